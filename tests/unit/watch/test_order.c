/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records as they were written, put into the order in which they began. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/mem.h"
#include "watch/order.h"

#define SECOND 1000000ull

struct seen {
    uint64_t last;
    size_t n;
};

static void note(char *text, void *userdata)
{
    struct seen *seen = userdata;
    uint64_t began = strtoull(text, NULL, 10);

    assert_true(began >= seen->last);
    seen->last = began;
    seen->n++;
    free(text);
}

static void add(struct watch_order *order, uint64_t began, uint64_t ended)
{
    watch_order_add(order, began, ended, xasprintf("%llu", (unsigned long long)began));
}

static void the_earlier_comes_first(void **state)
{
    struct seen seen = {0};
    struct watch_order order = {.handle = note, .userdata = &seen};

    (void)state;
    add(&order, 5 * SECOND, 6 * SECOND);
    add(&order, 1 * SECOND, 61 * SECOND);
    add(&order, 5 * SECOND, 62 * SECOND);
    assert_int_equal(seen.n, 0);
    add(&order, 300 * SECOND, 301 * SECOND);
    assert_int_equal(seen.n, 3);
    watch_order_end(&order);
    assert_int_equal(seen.n, 4);
    watch_order_end(&order);
    assert_int_equal(seen.n, 4);
}

/* Records of up to a minute, as they end, for hours. */
static void many(void **state)
{
    struct seen seen = {0};
    struct watch_order order = {.handle = note, .userdata = &seen};
    size_t most = 0;

    (void)state;
    srand(4711);
    for (uint64_t i = 0; i < 50000; i++) {
        uint64_t ended = (i + 100) * SECOND;

        add(&order, ended - (uint64_t)(rand() % 60) * SECOND, ended);
        most = order.n > most ? order.n : most;
    }
    assert_true(most < 1000);
    watch_order_end(&order);
    assert_int_equal(seen.n, 50000);
}

/* What would take too much room is let go, though something might still come before it. */
static void not_without_end(void **state)
{
    struct seen seen = {0};
    struct watch_order order = {.handle = note, .userdata = &seen};

    (void)state;
    for (uint64_t i = 0; i < WATCH_ORDER_MAX + 50; i++)
        add(&order, i, i);
    assert_int_equal(seen.n, 50);
    watch_order_end(&order);
    assert_int_equal(seen.n, WATCH_ORDER_MAX + 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_earlier_comes_first), cmocka_unit_test(many),
                                       cmocka_unit_test(not_without_end)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
