// SPDX-License-Identifier: GPL-2.0-or-later
/* What rules have counted is read as the whole ruleset's reader has it, and before rules go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../unit/nft/sample.h"
#include "fixture.h"
#include "nft/counters.h"
#include "ruleset/delta.h"
#include "util/mem.h"

static size_t n_rules(const struct table_counters *counters)
{
    size_t n = 0;

    for (size_t i = 0; i < counters->n; i++)
        n += counters->chains[i].n;
    return n;
}

static void no_table_is_said(void **state)
{
    _cleanup_table_counters_ struct table_counters counters = {.table = 7};
    struct fixture *fixture = *state;

    assert_int_equal(nft_counters_read(fixture->nft, &counters), 0);
    assert_int_equal(counters.table, 0);
    assert_int_equal(counters.n, 0);
}

static void every_rule_is_read(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *everything = sample_everything();
    _cleanup_table_counters_ struct table_counters counters = {0};
    struct fixture *fixture = *state;
    uint64_t last = 0;

    load(fixture, everything);
    assert_int_equal(nft_counters_read(fixture->nft, &counters), 0);
    assert_true(counters.table > 0);
    for (size_t i = 0; i < counters.n; i++) {
        const struct chain *chain = table_chain(&everything->tables[TABLE_INET], counters.chains[i].name);

        assert_non_null(chain);
        assert_int_equal(counters.chains[i].n, chain->n_rules);
        for (size_t j = 1; j < counters.chains[i].n; j++)
            assert_true(counters.chains[i].rules[j].handle > counters.chains[i].rules[j - 1].handle);
        last += counters.chains[i].n;
    }
    assert_true(last > 0);
}

/* New tables have another handle, and what they count is what nft says they do. */
static void tables_that_are_replaced_are_others(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *small = sample_small();
    _cleanup_table_counters_ struct table_counters before = {0}, after = {0};
    _cleanup_delta_ struct delta delta = {0};
    struct fixture *fixture = *state;

    load(fixture, small);
    assert_int_equal(nft_counters_read(fixture->nft, &before), 0);
    delta_replace(small, &delta);
    assert_done(fixture, nft_apply(fixture->nft, &delta, &fixture->diags));
    assert_int_equal(nft_counters_read(fixture->nft, &after), 0);
    assert_int_not_equal(before.table, after.table);
    assert_int_equal(n_rules(&before), n_rules(&after));
    assert_true(nft_socket_namespace(fixture->nft) > 0);
}

struct seen {
    struct fixture *fixture;
    size_t calls, rules;
};

static void look(void *userdata)
{
    _cleanup_table_counters_ struct table_counters counters = {0};
    struct seen *seen = userdata;

    assert_int_equal(nft_counters_read(seen->fixture->nft, &counters), 0);
    seen->calls++;
    seen->rules = n_rules(&counters);
}

static void it_is_called_while_they_stand(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *everything = sample_everything();
    _cleanup_delta_ struct delta delta = {0};
    _cleanup_table_counters_ struct table_counters counters = {0};
    struct fixture *fixture = *state;
    struct seen seen = {.fixture = fixture};

    load(fixture, everything);
    assert_int_equal(nft_counters_read(fixture->nft, &counters), 0);
    nft_before_removal(fixture->nft, look, &seen);
    delta_teardown(&delta);
    assert_done(fixture, nft_apply(fixture->nft, &delta, &fixture->diags));
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.rules, n_rules(&counters));
    nft_before_removal(fixture->nft, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_table_is_said, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(every_rule_is_read, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(tables_that_are_replaced_are_others, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(it_is_called_while_they_stand, fixture_setup, fixture_teardown),
    };

    if (geteuid() != 0)
        return SKIPPED;
    return cmocka_run_group_tests_name("nft counters", tests, NULL, NULL);
}
