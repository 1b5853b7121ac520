// SPDX-License-Identifier: GPL-2.0-or-later
/* Who changes our tables in the real kernel: nft(8) does, and we do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../unit/nft/sample.h"
#include "fixture.h"
#include "nft/monitor.h"
#include "ruleset/delta.h"
#include "util/mem.h"

#define MANY 20000 /* elements: their notifications do not fit a small queue */

static struct {
    unsigned n;
    struct nft_change last;
} told;

static void on_change(const struct nft_change *change, void *userdata)
{
    (void)userdata;
    told.n++;
    told.last = *change;
}

static struct nft_monitor *open_monitor(struct fixture *fixture, int room)
{
    struct nft_monitor *monitor = NULL;

    memset(&told, 0, sizeof(told));
    assert_int_equal(nft_monitor_open(NULL, fixture->nft, room, on_change, NULL, &monitor), 0);
    return monitor;
}

static void assert_told(struct nft_monitor *monitor, unsigned n)
{
    assert_int_equal(nft_monitor_read(monitor), 0);
    assert_int_equal(told.n, n);
    told.n = 0;
}

static void what_nft_does_to_our_tables_is_told(void **state)
{
    static const char *const commands[] = {
        "nft insert rule inet cofferdam forward accept",
        "nft delete table bridge cofferdam",
        "nft 'add table inet cofferdam { flags dormant; }'",
        "nft flush ruleset",
    };
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    _cleanup_(nft_monitor_closep) struct nft_monitor *monitor = open_monitor(*state, NFT_MONITOR_ROOM);

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        load(*state, ruleset);
        assert_told(monitor, 0);
        free(witness(commands[i]));
        assert_told(monitor, 1);
        assert_string_equal(told.last.process, "nft");
        assert_int_not_equal(told.last.pid, 0);
        assert_false(told.last.lost);
    }
}

static void what_nft_does_elsewhere_is_not(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    _cleanup_(nft_monitor_closep) struct nft_monitor *monitor = open_monitor(*state, NFT_MONITOR_ROOM);

    load(*state, ruleset);
    free(witness(
        "nft 'table ip cofferdam { chain c { accept; }; }; table inet other { set s { type mark; }; }' && "
        "nft add element inet other s { 5 } && nft list ruleset && nft reset counters && "
        "nft delete table ip cofferdam"));
    assert_told(monitor, 0);
}

static struct ruleset *large(void)
{
    struct ruleset *ruleset = sample_small();
    struct set *set = sample_set(ruleset, TABLE_INET, "large", KEY_IPV4_ADDR);

    for (unsigned i = 0; i < MANY; i++) {
        struct element element = {.key = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};
        assert_true(set_insert(set, &element));
    }
    return ruleset;
}

/* Our own large loads fill the queue: that must not be taken for somebody else's doing, or they never end. */
static void our_own_flood_is_no_change_of_anothers(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = large();
    _cleanup_(nft_monitor_closep) struct nft_monitor *monitor = open_monitor(*state, 4096);

    for (int i = 0; i < 3; i++) {
        load(*state, ruleset);
        assert_told(monitor, 0);
    }
    load(*state, ruleset);
    free(witness("nft add table ip other")); /* lost in the flood, and it could have been about our tables */
    assert_told(monitor, 1);
    assert_true(told.last.lost);
    load(*state, ruleset);
    assert_told(monitor, 0);
    free(witness("nft delete table inet cofferdam"));
    assert_int_equal(nft_monitor_read(monitor), 0);
    assert_in_range(told.n, 1, 2);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_nft_does_to_our_tables_is_told),
        TEST(what_nft_does_elsewhere_is_not),
        TEST(our_own_flood_is_no_change_of_anothers),
    };

    if (geteuid() != 0)
        return SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
