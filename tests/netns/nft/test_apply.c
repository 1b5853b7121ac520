// SPDX-License-Identifier: GPL-2.0-or-later
/* Rulesets in the real kernel: what we send is what nft lists, and what nft lists is what we print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../unit/nft/sample.h"
#include "fixture.h"
#include "ruleset/delta.h"
#include "util/mem.h"

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void apply(struct fixture *fixture, struct delta *delta)
{
    assert_done(fixture, nft_apply(fixture->nft, delta, &fixture->diags));
    delta_clear(delta);
}

static void everything_is_listed_as_printed(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_everything();

    load(*state, ruleset);
    assert_listed(ruleset);
}

/* nft and we must agree on the text's meaning too: loaded by nft, it lists the same. */
static void printed_text_loads_and_lists_the_same(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_everything();
    _cleanup_free_ char *text = ruleset_text(ruleset);
    char path[] = "/tmp/cofferdam-nft-XXXXXX", command[256];
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    write_file(path, text);
    snprintf(command, sizeof(command), "nft -c -f %s 2>&1 && nft -f %s 2>&1; status=$?; rm %s; exit $status",
             path, path, path);
    free(witness(command));
    assert_listed(ruleset);
}

/* Byte for byte: nft's own debug output of the rules that the kernel holds, ours against those nft made. */
static void kernel_holds_the_same_expressions_as_from_nft(void **state)
{
    static const char dump[] =
        "for family in inet bridge; do nft --debug=netlink list table $family cofferdam; done "
        "2>/dev/null | grep '^  \\['";
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_everything();
    _cleanup_free_ char *text = ruleset_text(ruleset);
    _cleanup_free_ char *ours = NULL, *theirs = NULL;
    FILE *nft;

    load(*state, ruleset);
    ours = witness(dump);
    free(witness("nft flush ruleset"));
    nft = popen("nft -f -", "w");
    assert_non_null(nft);
    fputs(text, nft);
    assert_int_equal(pclose(nft), 0);
    theirs = witness(dump);
    assert_true(strlen(ours) > 10000);
    assert_string_equal(ours, theirs);
}

static void loading_twice_replaces(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *first = sample_everything();
    _cleanup_(ruleset_freep) struct ruleset *second = sample_small();

    load(*state, first);
    load(*state, second);
    assert_listed(second);
    load(*state, second);
    assert_listed(second);
}

static void delta_leads_from_one_to_the_other_and_back(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *nothing = ruleset_new();
    _cleanup_(ruleset_freep) struct ruleset *everything = sample_everything();
    _cleanup_(ruleset_freep) struct ruleset *small = sample_small();
    const struct ruleset *way[] = {everything, nothing, small, nothing, everything};
    struct delta delta = {0};

    load(*state, nothing);
    for (size_t i = 0; i < ARRAY_SIZE(way); i++) {
        delta_between(i ? way[i - 1] : nothing, way[i], &delta);
        apply(*state, &delta);
        assert_listed(way[i]);
    }
}

static void add_interval(struct set *set, const char *first, const char *last)
{
    struct element element = sample_interval(first, last);

    assert_true(set_insert(set, &element));
}

static struct ruleset *with_intervals(void)
{
    struct ruleset *ruleset = ruleset_new();

    sample_set(ruleset, TABLE_INET, "blocks", KEY_IPV4_ADDR)->interval = true;
    return ruleset;
}

/* Elements come and go one by one, at both ends of the number space, next to each other and under the same
 * key. */
static void intervals_change_by_element(void **state)
{
    static const char *const ranges[][2] = {
        {"10.0.0.0", "10.255.255.255"},
        {"11.0.0.0", "11.0.0.255"},
        {"0.0.0.0", "0.0.0.255"},
        {"224.0.0.0", "255.255.255.255"},
        {"255.255.255.255", "255.255.255.255"},
        {"0.0.0.0", "255.255.255.255"},
        {"10.0.0.0", "10.0.0.255"},
    };
    /* Which of them are there, one bit each; never two that overlap. */
    static const unsigned steps[] = {0,  1, 3,  7,  15, 32, 0, 16, 20, 64, 1,
                                     66, 3, 15, 32, 15, 12, 4, 32, 16, 0};
    struct ruleset *from = with_intervals();
    struct delta delta = {0};

    load(*state, from);
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        struct ruleset *to = with_intervals();

        for (size_t j = 0; j < ARRAY_SIZE(ranges); j++) {
            if (steps[i] >> j & 1)
                add_interval(table_set(&to->tables[TABLE_INET], "blocks"), ranges[j][0], ranges[j][1]);
        }
        delta_between(from, to, &delta);
        apply(*state, &delta);
        assert_listed(to);
        ruleset_free(from);
        from = to;
    }
    ruleset_free(from);
}

static void map_elements_change_their_verdict(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *from = sample_small();
    _cleanup_(ruleset_freep) struct ruleset *to = sample_small();
    struct set *map = table_set(&to->tables[TABLE_INET], "ingress4");
    struct element element = sample_address("10.0.0.1");
    struct delta delta = {0};

    set_find(map, element.key)->verdict = V_GOTO;
    map->catchall->verdict = V_ACCEPT;
    load(*state, from);
    delta_between(from, to, &delta);
    assert_true(delta_is_elements_only(&delta));
    apply(*state, &delta);
    assert_listed(to);
    delta_between(to, from, &delta);
    apply(*state, &delta);
    assert_listed(from);
}

/* Adding what is there already is no error, though it moves no generation. */
static void elements_can_be_added_again(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    const struct set *set = table_set(&ruleset->tables[TABLE_INET], "live4");
    struct delta delta = {0};

    load(fixture, ruleset);
    delta_add_element(&delta, PHASE_SWITCH, TABLE_INET, set, set->elements);
    apply(fixture, &delta);
    assert_listed(ruleset);
}

static void validating_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_everything();
    _cleanup_(ruleset_freep) struct ruleset *small = sample_small();
    _cleanup_delta_ struct delta delta = {0};
    uint32_t before, after;
    struct nft_table_state state_now;

    assert_int_equal(nft_generation(fixture->nft, &before), 0);
    delta_load(ruleset, &delta);
    assert_done(fixture, nft_validate(fixture->nft, &delta, &fixture->diags));
    assert_int_equal(nft_table_state(fixture->nft, TABLE_INET, &state_now), 0);
    assert_false(state_now.exists);
    delta_clear(&delta);

    load(fixture, small);
    assert_int_equal(nft_generation(fixture->nft, &before), 0);
    delta_between(small, ruleset, &delta); /* all three phases */
    assert_true(delta.phases[PHASE_PREPARE].n > 0 && delta.phases[PHASE_SWITCH].n > 0);
    assert_true(delta.phases[PHASE_SWEEP].n > 0);
    assert_done(fixture, nft_validate(fixture->nft, &delta, &fixture->diags));
    assert_int_equal(nft_generation(fixture->nft, &after), 0);
    assert_int_equal(before, after);
    assert_listed(small);
}

static void teardown_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_everything();
    _cleanup_free_ char *listed = NULL;
    struct delta delta = {0};

    load(fixture, ruleset);
    free(witness(
        "nft 'add table inet docker; add table inet cofferdam-standby; add table bridge cofferdam-standby'"));
    delta_teardown(&delta);
    apply(fixture, &delta);
    listed = witness("nft list tables");
    assert_string_equal(listed, "table inet docker\n");
    delta_teardown(&delta); /* nothing is there: no error either */
    apply(fixture, &delta);
}

/* What stands is replaced; of the standby nothing is left, and what was left before goes too. */
static void replacing_leaves_no_standby(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *first = sample_everything();
    _cleanup_(ruleset_freep) struct ruleset *second = sample_small();
    _cleanup_free_ char *listed = NULL;
    struct nft_table_state standby;
    struct delta delta = {0}, killed = {0};

    load(fixture, first);
    delta_replace(second, &delta);
    assert_done(fixture, nft_validate(fixture->nft, &delta, &fixture->diags));
    killed.phases[PHASE_PREPARE] = delta.phases[PHASE_PREPARE]; /* borrowed */
    assert_done(fixture, nft_apply(fixture->nft, &killed, &fixture->diags));
    assert_listed(first);
    assert_int_equal(nft_standby_state(fixture->nft, TABLE_BRIDGE, &standby), 0);
    assert_true(standby.exists);
    apply(fixture, &delta);
    assert_listed(second);
    listed = witness("nft list tables");
    assert_string_equal(listed, "table inet cofferdam\ntable bridge cofferdam\n");
    delta_replace(first, &delta); /* every expression that we have stands in a standby, too */
    apply(fixture, &delta);
    assert_listed(first);
}

static void tables_are_found(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    struct nft_table_state state_now;

    assert_int_equal(nft_table_state(fixture->nft, TABLE_BRIDGE, &state_now), 0);
    assert_false(state_now.exists);
    load(fixture, ruleset);
    assert_int_equal(nft_table_state(fixture->nft, TABLE_BRIDGE, &state_now), 0);
    assert_true(state_now.exists);
    free(witness("nft delete table inet cofferdam"));
    assert_int_equal(nft_table_state(fixture->nft, TABLE_INET, &state_now), 0);
    assert_false(state_now.exists);
}

/* Several MiB in one transaction: send buffer, message splitting, attribute lengths. */
static void a_large_batch_goes_through(void **state)
{
    enum { ELEMENTS = 60000, CHAINS = 2000 };
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct set *map = sample_map(ruleset, TABLE_INET, "ingress6", KEY_IPV6_ADDR);
    _cleanup_free_ char *count = NULL;
    struct delta delta = {0};
    const char *leaf = NULL;

    for (unsigned i = 0; i < CHAINS; i++) {
        char name[64];
        struct chain *chain;

        snprintf(name, sizeof(name), "class-with-a-rather-long-name-%u", i);
        chain = ruleset_add_chain(ruleset, TABLE_INET, name);
        leaf = chain->name;
        for (unsigned j = 0; j < 4; j++)
            sample_value(sample_rule(chain, V_ACCEPT, NULL), FIELD_TCP_DPORT, 1 + j);
    }
    for (unsigned i = 0; i < ELEMENTS; i++) {
        struct element element = {.key = {0xfd, [13] = (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i},
                                  .verdict = V_JUMP,
                                  .target = leaf};

        assert_true(set_insert(map, &element));
    }
    delta_load(ruleset, &delta);
    assert_done(fixture, nft_validate(fixture->nft, &delta, &fixture->diags));
    apply(fixture, &delta);
    count = witness("nft list table inet cofferdam | grep -o 'fd00::[0-9a-f:]* : jump' | wc -l");
    assert_int_equal(atoi(count), ELEMENTS);
    assert_true(nft_last_kernel_ns(fixture->nft) > 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(everything_is_listed_as_printed),
        TEST(printed_text_loads_and_lists_the_same),
        TEST(kernel_holds_the_same_expressions_as_from_nft),
        TEST(loading_twice_replaces),
        TEST(delta_leads_from_one_to_the_other_and_back),
        TEST(intervals_change_by_element),
        TEST(map_elements_change_their_verdict),
        TEST(elements_can_be_added_again),
        TEST(validating_changes_nothing),
        TEST(teardown_leaves_nothing),
        TEST(replacing_leaves_no_standby),
        TEST(tables_are_found),
        TEST(a_large_batch_goes_through),
    };

    if (geteuid() != 0)
        return SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
