// SPDX-License-Identifier: GPL-2.0-or-later
/* What people are told of two rulesets that differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../nft/sample.h"
#include "ruleset/compare.h"
#include "util/mem.h"

#define MAX 100

static char *text_of(const struct ruleset *is, const struct ruleset *should)
{
    _cleanup_differences_ struct differences differences = {0};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    ruleset_compare(is, should, MAX, &differences);
    assert_int_equal(differences.n_more, 0);
    for (size_t i = 0; i < differences.n; i++) {
        const struct difference *difference = &differences.v[i];

        fprintf(out, "%s %s %s %s: %s\n", table_family_name(difference->table),
                difference_what_name(difference->what), difference_kind_name(difference->kind),
                difference->name, difference->text);
    }
    fclose(out);
    return text;
}

static void assert_told(const struct ruleset *is, const struct ruleset *should, const char *expected)
{
    _cleanup_free_ char *text = text_of(is, should);

    assert_string_equal(text, expected);
}

static void the_same(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *is = sample_everything();
    _cleanup_(ruleset_freep) struct ruleset *should = sample_everything();
    _cleanup_differences_ struct differences differences = {0};

    (void)state;
    assert_told(is, should, "");
    differences_clear(&differences);
    ruleset_free(STEAL(is));
    is = sample_small();
    ruleset_free(STEAL(should));
    should = sample_small();
    ruleset_compare(is, should, 0, &differences);
    /* 2 tables, 2 sets with 3 elements, 2 chains with 3 rules */
    assert_int_equal(differences.n_objects, 12);
    assert_int_equal(differences.n_more, 0);
}

static void rules(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *is = sample_small();
    _cleanup_(ruleset_freep) struct ruleset *should = sample_small();
    struct chain *chain = table_chain(&is->tables[TABLE_INET], "class");
    struct rule_stmt swap;

    (void)state;
    chain_add_rule(chain)->verdict = V_ACCEPT;
    assert_told(is, should, "inet foreign rule class: accept\n");
    chain->rules[1].verdict = V_ACCEPT; /* the drop */
    assert_told(is, should,
                "inet missing rule class: drop\n"
                "inet foreign rule class: accept\n"
                "inet foreign rule class: accept\n");
    chain->n_rules = 2;
    chain->rules[1].verdict = V_DROP;
    swap = chain->rules[0];
    chain->rules[0] = chain->rules[1];
    chain->rules[1] = swap;
    assert_told(is, should, "inet different chain class: its rules stand in another order\n");
    chain->rules[0].foreign = xstrdup("limit immediate");
    assert_told(is, should,
                "inet missing rule class: drop\n"
                "inet foreign rule class: # foreign: limit immediate\n");
}

static void chains(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *is = sample_small();
    _cleanup_(ruleset_freep) struct ruleset *should = sample_small();

    (void)state;
    ruleset_add_chain(is, TABLE_INET, "z");
    chain_add_rule(ruleset_add_chain(is, TABLE_INET, "a"))->verdict = V_ACCEPT;
    ruleset_add_chain(should, TABLE_BRIDGE, "b");
    table_chain(&is->tables[TABLE_INET], "forward")->foreign = xstrdup("another policy than accept");
    assert_told(is, should,
                "inet different chain forward: chain forward { type filter hook forward priority -10; } "
                "# another policy than accept\n"
                "inet foreign chain a: chain a\n"
                "inet foreign rule a: accept\n"
                "inet foreign chain z: chain z\n"
                "bridge missing chain b: chain b\n");
}

static void sets(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *is = sample_small();
    _cleanup_(ruleset_freep) struct ruleset *should = sample_small();
    struct set *live = table_set(&is->tables[TABLE_INET], "live4");
    struct set *map = table_set(&is->tables[TABLE_INET], "ingress4");
    struct element element = sample_address("10.0.0.200");

    (void)state;
    assert_true(set_insert(live, &element));
    element = sample_address("10.0.0.9");
    assert_true(set_insert(live, &element));
    element = sample_address("10.0.0.1");
    assert_true(set_remove(live, element.key));
    set_find(map, element.key)->verdict = V_GOTO;
    map->catchall->verdict = V_ACCEPT;
    sample_set(is, TABLE_INET, "z", KEY_IFNAME);
    sample_map(is, TABLE_INET, "a", KEY_IPV6_ADDR)->foreign = xstrdup("timeout");
    sample_set(should, TABLE_BRIDGE, "blocks", KEY_IPV4_ADDR)->interval = true;
    assert_told(is, should,
                "inet missing element live4: 10.0.0.1\n"
                "inet foreign element live4: 10.0.0.9\n"
                "inet foreign element live4: 10.0.0.200\n"
                "inet different element ingress4: 10.0.0.1 : goto class\n"
                "inet different element ingress4: * : accept\n"
                "inet foreign set a: map a { type ipv6_addr : verdict; } # timeout\n"
                "inet foreign set z: set z { type ifname; }\n"
                "bridge missing set blocks: set blocks { type ipv4_addr; flags interval; }\n");
}

static void foreign_elements(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *is = sample_small();
    _cleanup_(ruleset_freep) struct ruleset *should = sample_small();
    struct set *live = table_set(&is->tables[TABLE_INET], "live4");

    (void)state;
    live->elements->foreign = true;
    assert_told(is, should,
                "inet different element live4: 10.0.0.1 # with a timeout, a comment or what else is never "
                "ours\n");
    live->interval = true;
    assert_told(is, should, "inet different set live4: set live4 { type ipv4_addr; flags interval; }\n");
}

static void tables(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *is = sample_small();
    _cleanup_(ruleset_freep) struct ruleset *should = sample_small();

    (void)state;
    table_add_odd(&is->tables[TABLE_INET], "flags dormant");
    is->tables[TABLE_BRIDGE].absent = true;
    is->tables[TABLE_BRIDGE].standby = true;
    assert_told(is, should,
                "inet foreign table cofferdam: flags dormant\n"
                "bridge foreign table cofferdam-standby: the whole table\n"
                "bridge missing table cofferdam: the whole table\n");
}

/* However much somebody adds, only so much is told, and the rest is counted. */
static void only_so_much_is_told(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *is = sample_everything();
    _cleanup_(ruleset_freep) struct ruleset *should = ruleset_new();
    _cleanup_differences_ struct differences few = {0}, all = {0};

    (void)state;
    ruleset_compare(is, should, 7, &few);
    ruleset_compare(is, should, 100000, &all);
    assert_int_equal(few.n, 7);
    assert_int_equal(few.n_more, all.n - 7);
    assert_int_equal(all.n_more, 0);
    for (size_t i = 0; i < few.n; i++)
        assert_string_equal(few.v[i].text, all.v[i].text);
}

/* Every object that comes or goes is told of once, so the numbers add up. */
static void assert_adds_up(const struct ruleset *is, const struct ruleset *should)
{
    _cleanup_differences_ struct differences diff = {0}, all_is = {0}, all_should = {0};

    ruleset_diff(is, should, 100000, &diff);
    ruleset_compare(is, is, 0, &all_is);
    ruleset_compare(should, should, 0, &all_should);
    assert_int_equal(diff.n, diff.n_of[DIFFERENCE_MISSING] + diff.n_of[DIFFERENCE_FOREIGN]);
    assert_int_equal(all_is.n_objects + diff.n_of[DIFFERENCE_MISSING],
                     all_should.n_objects + diff.n_of[DIFFERENCE_FOREIGN]);
}

static void a_change_is_told_in_full(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *small = sample_small(), *everything = sample_everything();
    _cleanup_(ruleset_freep) struct ruleset *should = sample_small();
    struct table *table = &should->tables[TABLE_INET];
    struct chain *chain = ruleset_add_chain(should, TABLE_INET, "z");
    _cleanup_differences_ struct differences diff = {0};

    (void)state;
    assert_adds_up(small, everything);
    assert_adds_up(everything, small);
    chain_add_rule(chain)->verdict = V_ACCEPT;
    chain_add_rule(chain)->verdict = V_DROP;
    table_chain(table, "forward")->priority = 5;
    assert_adds_up(small, should);
    ruleset_diff(small, should, 0, &diff);
    /* the new chain with two rules; the old base chain and its successor, with what rules they have */
    size_t n = 1 + table_chain(table, "forward")->n_rules;
    assert_int_equal(diff.n, 0);
    assert_int_equal(diff.n_of[DIFFERENCE_MISSING], 3 + n);
    assert_int_equal(diff.n_of[DIFFERENCE_FOREIGN], n);
    assert_int_equal(diff.n_of[DIFFERENCE_DIFFERENT], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same),
        cmocka_unit_test(rules),
        cmocka_unit_test(chains),
        cmocka_unit_test(sets),
        cmocka_unit_test(foreign_elements),
        cmocka_unit_test(tables),
        cmocka_unit_test(only_so_much_is_told),
        cmocka_unit_test(a_change_is_told_in_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
