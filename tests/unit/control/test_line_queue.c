/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines that wait: in order, whole, never more than so much, and what is lost is counted and told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/line_queue.h"
#include "util/mem.h"

static void add(struct line_queue *queue, const char *line)
{
    line_queue_add(queue, line, strlen(line));
}

static void expect(const struct line_queue *queue, const char *text)
{
    assert_int_equal(queue->len, strlen(text));
    assert_memory_equal(queue->bytes + queue->start, text, queue->len);
}

static void in_order(void **state)
{
    struct line_queue queue = LINE_QUEUE(1000);

    (void)state;
    add(&queue, "one");
    add(&queue, "two");
    expect(&queue, "one\ntwo\n");
    line_queue_take(&queue, 2);
    expect(&queue, "e\ntwo\n");
    add(&queue, "");
    line_queue_take(&queue, 6);
    expect(&queue, "\n");
    line_queue_take(&queue, 1);
    assert_int_equal(queue.len, 0);
    assert_null(queue.bytes);
    add(&queue, "three");
    expect(&queue, "three\n");
    line_queue_clear(&queue);
}

static void what_is_lost_is_told_once_there_is_room(void **state)
{
    struct line_queue queue = LINE_QUEUE(100);
    char line[30];

    (void)state;
    memset(line, 'x', sizeof(line));
    for (int i = 0; i < 5; i++)
        line_queue_add(&queue, line, sizeof(line));
    assert_int_equal(queue.len, 93);
    assert_int_equal(queue.lost, 2);
    add(&queue, "y"); /* there would be room, but it would stand in front of what is lost */
    assert_int_equal(queue.lost, 3);
    line_queue_take(&queue, 31);
    assert_int_equal(queue.len, 62); /* more than half still */
    assert_int_equal(queue.lost, 3);
    line_queue_take(&queue, 31);
    assert_int_equal(queue.lost, 0);
    line_queue_take(&queue, 31);
    expect(&queue, "{\"lost\":3}\n");
    add(&queue, "z");
    line_queue_take(&queue, 11);
    expect(&queue, "z\n");
    line_queue_clear(&queue);
}

static void a_line_that_is_too_long_is_lost(void **state)
{
    struct line_queue queue = LINE_QUEUE(20);

    (void)state;
    add(&queue, "12345678901234567890");
    expect(&queue, "{\"lost\":1}\n");
    add(&queue, "a");
    expect(&queue, "{\"lost\":1}\na\n");
    line_queue_clear(&queue);
}

/* Against one long text, however it is read. */
static void any_way_of_reading(void **state)
{
    struct line_queue queue = LINE_QUEUE(1 << 20);
    _cleanup_free_ char *sent = xcalloc(1, 1 << 20), *got = xcalloc(1, 1 << 20);
    size_t n_sent = 0, n_got = 0;
    unsigned random = 4711;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char line[32];
        size_t len = (size_t)snprintf(line, sizeof(line), "line %d", i), n;

        random = random * 1103515245 + 12345;
        line_queue_add(&queue, line, len);
        n_sent += (size_t)sprintf(sent + n_sent, "%s\n", line);
        n = queue.len ? (random >> 16) % (queue.len + 1) : 0;
        if (random >> 28)
            continue;
        memcpy(got + n_got, queue.bytes + queue.start, n);
        n_got += n;
        line_queue_take(&queue, n);
    }
    memcpy(got + n_got, queue.bytes + queue.start, queue.len);
    assert_int_equal(queue.lost, 0);
    assert_string_equal(got, sent);
    line_queue_clear(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(what_is_lost_is_told_once_there_is_room),
        cmocka_unit_test(a_line_that_is_too_long_is_lost),
        cmocka_unit_test(any_way_of_reading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
