// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rulesets that somebody has tampered with, at random: the delta from there leads to the one that is wanted,
 * by steps that the kernel takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ruleset/compare.h"
#include "ruleset/compile.h"
#include "util/mem.h"
#include "world.h"

#define WORLDS 400
#define NAME_MAX_ 32

static const struct compile_options enforce = {MODE_ENFORCE, UNKNOWN_DENY, true, 0, 0};

struct tamperer {
    struct ruleset *ruleset;
    enum table_id table;
    unsigned *seed;
    unsigned n_made; /* chains and sets of no names of ours */
};

static struct table *table_of(const struct tamperer *tamperer)
{
    return &tamperer->ruleset->tables[tamperer->table];
}

static struct chain *random_chain(const struct tamperer *tamperer)
{
    struct chain *chain = table_of(tamperer)->chains;

    for (unsigned i = chain ? world_random(tamperer->seed, HASH_COUNT(chain)) : 0; i > 0; i--)
        chain = chain->hh.next;
    return chain;
}

static struct set *random_set(const struct tamperer *tamperer)
{
    struct set *set = table_of(tamperer)->sets;

    for (unsigned i = set ? world_random(tamperer->seed, HASH_COUNT(set)) : 0; i > 0; i--)
        set = set->hh.next;
    return set;
}

/* One with elements, if there is one. */
static struct element *random_element(const struct tamperer *tamperer, struct set *set)
{
    struct element *element = set->elements;

    for (unsigned i = element ? world_random(tamperer->seed, HASH_COUNT(element)) : 0; i > 0; i--)
        element = element->hh.next;
    return element;
}

static void drop_rule(struct chain *chain, size_t i)
{
    struct rule_stmt *rule = &chain->rules[i];

    free(rule->matches);
    free(rule->comment);
    free(rule->origin);
    free(rule->foreign);
    memmove(rule, rule + 1, (chain->n_rules - i - 1) * sizeof(*rule));
    chain->n_rules--;
}

static void tamper_with_rules(struct tamperer *tamperer)
{
    struct chain *chain = random_chain(tamperer);
    size_t i = chain->n_rules ? world_random(tamperer->seed, (unsigned)chain->n_rules) : 0;
    struct rule_stmt swap;

    switch (chain->n_rules ? world_random(tamperer->seed, 6) : 0) {
    case 0:
        chain_add_rule(chain)->verdict = V_ACCEPT;
        break;
    case 1:
        drop_rule(chain, i);
        break;
    case 2:
        if (!chain->rules[i].foreign)
            chain->rules[i].foreign = xstrdup("limit");
        break;
    case 3:
        free(chain->rules[i].comment);
        chain->rules[i].comment = xstrdup("another");
        break;
    case 4:
        while (chain->n_rules)
            drop_rule(chain, 0);
        break;
    case 5:
        swap = chain->rules[0];
        chain->rules[0] = chain->rules[i];
        chain->rules[i] = swap;
        break;
    }
}

static void tamper_with_elements(struct tamperer *tamperer)
{
    struct set *set = random_set(tamperer);
    struct element *element = set ? random_element(tamperer, set) : NULL;
    struct element added = {.verdict = V_ACCEPT};

    switch (set ? world_random(tamperer->seed, 6) : 6) {
    case 0:
        for (size_t i = 0; i < set->key_len; i++)
            added.key[i] = added.key_end[i] = (uint8_t)world_random(tamperer->seed, 256);
        (void)set_insert(set, &added);
        break;
    case 1:
        if (element)
            (void)set_remove(set, element->key);
        break;
    case 2:
        if (element)
            element->foreign = true;
        break;
    case 3:
        if (element) {
            element->verdict = V_RETURN;
            element->target = NULL;
            element->key_end[set->key_len - 1] ^= 1;
        }
        break;
    case 4:
        added.catchall = added.foreign = true;
        (void)set_insert(set, &added);
        break;
    case 5:
        free(set->catchall);
        set->catchall = NULL;
        break;
    }
}

static const char *new_name(struct tamperer *tamperer, char name[static NAME_MAX_])
{
    snprintf(name, NAME_MAX_, "evil%u", tamperer->n_made++);
    return name;
}

/* A chain with a rule that uses a set and one that jumps to another chain; something of ours leads to it. */
static void add_chain(struct tamperer *tamperer)
{
    struct chain *other = random_chain(tamperer), *chain;
    struct set *set = random_set(tamperer);
    struct element element = {.key = {66}, .verdict = V_JUMP};
    struct rule_stmt *rule;
    char name[NAME_MAX_];

    chain = ruleset_add_chain(tamperer->ruleset, tamperer->table, new_name(tamperer, name));
    if (world_random(tamperer->seed, 2)) {
        chain->hook = HOOK_FORWARD;
        chain->foreign = world_random(tamperer->seed, 2) ? xstrdup("policy drop") : NULL;
    }
    rule = chain_add_rule(chain);
    rule->verdict = V_JUMP;
    rule->target = other->name;
    if (set) {
        struct match *match = rule_add_match(chain_add_rule(chain));

        match->kind = MATCH_SET;
        match->set = set->name;
    }
    if (chain->hook != HOOK_NONE)
        return;
    rule = chain_add_rule(other);
    rule->verdict = V_GOTO;
    rule->target = chain->name;
    element.target = chain->name;
    if (set && set->map)
        (void)set_insert(set, &element);
}

/* A map whose elements lead to chains, and which a rule of ours looks into. */
static void add_set(struct tamperer *tamperer)
{
    static const enum key_type key = KEY_IPV4_ADDR;
    struct element element = {.verdict = V_GOTO, .target = random_chain(tamperer)->name};
    struct chain *chain = random_chain(tamperer);
    char name[NAME_MAX_];
    struct set *set = ruleset_add_set(tamperer->ruleset, tamperer->table, new_name(tamperer, name), 1, &key);

    set->map = true;
    set->foreign = world_random(tamperer->seed, 2) ? xstrdup("timeout") : NULL;
    (void)set_insert(set, &element);
    chain_add_rule(chain)->vmap = set->name;
}

/* What only a new table mends. */
static void tamper_with_types(struct tamperer *tamperer)
{
    struct chain *chain = random_chain(tamperer);
    struct set *set = random_set(tamperer);

    switch (world_random(tamperer->seed, 6)) {
    case 0:
        table_add_odd(table_of(tamperer), "flags dormant");
        break;
    case 1:
        table_of(tamperer)->absent = true;
        break;
    case 2:
        chain->priority++;
        break;
    case 3:
        if (!chain->foreign)
            chain->foreign = xstrdup("policy drop");
        break;
    case 4:
        if (set)
            set->interval = !set->interval;
        break;
    case 5:
        if (set && !set->foreign)
            set->foreign = xstrdup("timeout");
        break;
    }
}

static void tamper(struct ruleset *ruleset, unsigned *seed)
{
    struct tamperer tamperer = {.ruleset = ruleset, .seed = seed};
    bool types = world_random(seed, 8) == 0;

    for (unsigned i = world_random(seed, 12) + 1; i > 0; i--) {
        tamperer.table = world_random(seed, 3) ? TABLE_INET : TABLE_BRIDGE;
        switch (world_random(seed, 5)) {
        case 0:
            tamper_with_rules(&tamperer);
            break;
        case 1:
        case 2:
            tamper_with_elements(&tamperer);
            break;
        case 3:
            if (world_random(seed, 2))
                add_chain(&tamperer);
            else
                add_set(&tamperer);
            break;
        case 4:
            if (types)
                tamper_with_types(&tamperer);
            break;
        }
    }
}

static void assert_same(const struct ruleset *is, const struct ruleset *should, unsigned number)
{
    _cleanup_differences_ struct differences differences = {0};
    _cleanup_delta_ struct delta delta = {0};

    ruleset_compare(is, should, 1, &differences);
    if (differences.n)
        fail_msg("world %u: %s %s %s: %s", number, difference_what_name(differences.v[0].what),
                 difference_kind_name(differences.v[0].kind), differences.v[0].name, differences.v[0].text);
    delta_between(is, should, &delta);
    assert_int_equal(delta_count(&delta), 0);
}

struct compiled {
    struct world world; /* which the compiler borrows */
    struct compiler *compiler;
};

static struct compiled compile(unsigned seed)
{
    struct compiled compiled = {.world = world_make(seed)};

    compiled.compiler = compiler_new(compiled.world.policies, &enforce);
    compiler_add_bridge(compiled.compiler, "br0", NULL);
    compiler_load(compiled.compiler, compiled.world.inventory);
    return compiled;
}

static void compiled_clear(struct compiled *compiled)
{
    compiler_free(compiled->compiler);
    world_clear(&compiled->world);
}

static void load(struct ruleset *kernel, const struct ruleset *wanted)
{
    _cleanup_delta_ struct delta delta = {0};

    delta_load(wanted, &delta);
    kernel_apply(kernel, &delta);
}

static bool has_standby(const struct ruleset *ruleset)
{
    return ruleset->tables[TABLE_INET].standby || ruleset->tables[TABLE_BRIDGE].standby;
}

/* Killed after any of the transactions, by whoever comes next: nothing is left of the standby either. */
static void a_killed_change_is_finished(void **state)
{
    size_t n_left = 0;

    (void)state;
    for (unsigned number = 1; number <= WORLDS; number++) {
        struct compiled before = compile(number);
        _cleanup_(compiled_clear) struct compiled after = compile(number + 1);
        const struct ruleset *wanted = compiler_ruleset(after.compiler);
        _cleanup_(ruleset_freep) struct ruleset *kernel = ruleset_new();
        unsigned seed = number;

        load(kernel, compiler_ruleset(before.compiler));
        compiled_clear(&before);
        tamper(kernel, &seed);
        for (size_t phases = 1; phases <= PHASES; phases++) {
            _cleanup_delta_ struct delta delta = {0};

            delta_between(kernel, wanted, &delta);
            kernel_apply_phases(kernel, &delta, phases);
            n_left += has_standby(kernel);
        }
        assert_false(has_standby(kernel));
        assert_same(kernel, wanted, number);
    }
    assert_true(n_left > WORLDS / 40);
}

static bool loads_everything(const struct delta *delta)
{
    for (size_t i = 0; i < delta->phases[PHASE_SWITCH].n; i++) {
        if (delta->phases[PHASE_SWITCH].v[i].kind == OP_ADD_TABLE)
            return true;
    }
    return false;
}

/* Comparing finds something if and only if the delta has something to do. */
static void tampering_is_undone(void **state)
{
    size_t n_loads = 0, n_same = 0;

    (void)state;
    for (unsigned number = 1; number <= WORLDS; number++) {
        _cleanup_(compiled_clear) struct compiled compiled = compile(number);
        const struct ruleset *wanted = compiler_ruleset(compiled.compiler);
        _cleanup_(ruleset_freep) struct ruleset *kernel = ruleset_new();
        _cleanup_differences_ struct differences differences = {0};
        _cleanup_delta_ struct delta delta = {0};
        unsigned seed = number;

        load(kernel, wanted);
        assert_same(kernel, wanted, number);
        tamper(kernel, &seed);
        ruleset_compare(kernel, wanted, 5, &differences);
        delta_between(kernel, wanted, &delta);
        assert_int_equal(differences.n > 0, delta_count(&delta) > 0);
        n_same += differences.n == 0;
        n_loads += loads_everything(&delta);
        kernel_apply(kernel, &delta);
        assert_same(kernel, wanted, number);
    }
    assert_true(n_loads > WORLDS / 40 && n_loads < WORLDS / 4);
    assert_true(n_same < WORLDS / 4);
}

/* A daemon that comes back with other policies finds the tables of the old ones, tampered with. */
static void other_policies_adopt_what_stands(void **state)
{
    (void)state;
    for (unsigned number = 1; number <= WORLDS; number++) {
        struct compiled before = compile(number);
        _cleanup_(compiled_clear) struct compiled after = compile(number + 1);
        const struct ruleset *wanted = compiler_ruleset(after.compiler);
        _cleanup_(ruleset_freep) struct ruleset *kernel = ruleset_new();
        _cleanup_delta_ struct delta delta = {0};
        unsigned seed = number;

        load(kernel, compiler_ruleset(before.compiler));
        compiled_clear(&before); /* what is read back borrows nothing */
        tamper(kernel, &seed);
        delta_between(kernel, wanted, &delta);
        kernel_apply(kernel, &delta);
        assert_same(kernel, wanted, number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tampering_is_undone),
        cmocka_unit_test(other_policies_adopt_what_stands),
        cmocka_unit_test(a_killed_change_is_finished),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
