// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel_tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/mem.h"

static void copy_chain(struct ruleset *ruleset, enum table_id table, const struct chain *from)
{
    struct chain *chain;

    assert_null(table_chain(&ruleset->tables[table], from->name));
    chain = ruleset_add_chain(ruleset, table, from->name);
    chain->hook = from->hook;
    chain->priority = from->priority;
}

static void copy_rules(struct ruleset *ruleset, enum table_id table, const struct chain *from)
{
    struct chain *chain = table_chain(&ruleset->tables[table], from->name);

    assert_non_null(chain);
    assert_int_equal(chain->n_rules, 0);
    for (size_t i = 0; i < from->n_rules; i++) {
        const struct rule_stmt *source = &from->rules[i];
        struct rule_stmt *rule = chain_add_rule(chain);

        *rule = *source;
        rule->matches = NULL;
        rule->n_matches = 0;
        for (size_t j = 0; j < source->n_matches; j++) {
            struct match *match = rule_add_match(rule);

            *match = source->matches[j];
            if (match->kind == MATCH_SET) {
                match->set = ruleset_intern(ruleset, match->set);
                assert_non_null(table_set(&ruleset->tables[table], match->set));
            }
        }
        rule->comment = xstrdup_null(source->comment);
        rule->origin = NULL;
        rule->source = (struct rule_source){0};
        rule->target = source->target ? ruleset_intern(ruleset, source->target) : NULL;
        rule->log_prefix = source->log_prefix ? ruleset_intern(ruleset, source->log_prefix) : NULL;
        if (rule->target)
            assert_non_null(table_chain(&ruleset->tables[table], rule->target));
        rule->vmap = source->vmap ? ruleset_intern(ruleset, source->vmap) : NULL;
    }
}

static void copy_set(struct ruleset *ruleset, enum table_id table, const struct set *from)
{
    struct set *set;

    assert_null(table_set(&ruleset->tables[table], from->name));
    set = ruleset_add_set(ruleset, table, from->name, from->n_key, from->key);
    set->map = from->map;
    set->interval = from->interval;
    set->meter = from->meter;
}

static void add_element(struct ruleset *ruleset, const struct op *op)
{
    struct set *set = table_set(&ruleset->tables[op->table], op->set->name);
    struct element element = *op->element;

    assert_non_null(set);
    if (element.target) {
        element.target = ruleset_intern(ruleset, element.target);
        assert_non_null(table_chain(&ruleset->tables[op->table], element.target));
    }
    if (!set_insert(set, &element))
        fail_msg("element already in set %s", set->name);
}

static void delete_element(struct ruleset *ruleset, const struct op *op)
{
    struct set *set = table_set(&ruleset->tables[op->table], op->set->name);

    assert_non_null(set);
    if (op->element->catchall) {
        assert_non_null(set->catchall);
        free(set->catchall);
        set->catchall = NULL;
    } else if (!set_remove(set, op->element->key)) {
        fail_msg("no such element in set %s", set->name);
    }
}

static void flush_chain(struct chain *chain)
{
    assert_non_null(chain);
    for (size_t i = 0; i < chain->n_rules; i++) {
        free(chain->rules[i].matches);
        free(chain->rules[i].comment);
        free(chain->rules[i].origin);
        free(chain->rules[i].foreign);
    }
    free(chain->rules);
    chain->rules = NULL;
    chain->n_rules = 0;
}

static bool element_leads_to(const struct element *element, const char *chain)
{
    return element && element->target && strcmp(element->target, chain) == 0;
}

/* The kernel lets nothing go that something refers to. */
static void assert_unused(const struct table *table, const char *chain, const char *set)
{
    for (const struct chain *from = table->chains; from; from = from->hh.next) {
        for (size_t i = 0; i < from->n_rules; i++) {
            const struct rule_stmt *rule = &from->rules[i];

            if (chain && rule->target && strcmp(rule->target, chain) == 0)
                fail_msg("chain %s is busy", chain);
            if (set && rule->vmap && strcmp(rule->vmap, set) == 0)
                fail_msg("map %s is busy", set);
            for (size_t j = 0; set && j < rule->n_matches; j++) {
                if (rule->matches[j].set && strcmp(rule->matches[j].set, set) == 0)
                    fail_msg("set %s is busy", set);
            }
        }
    }
    for (const struct set *map = chain ? table->sets : NULL; map; map = map->hh.next) {
        if (element_leads_to(map->catchall, chain))
            fail_msg("chain %s is busy", chain);
        for (const struct element *element = map->elements; element; element = element->hh.next) {
            if (element_leads_to(element, chain))
                fail_msg("chain %s is busy", chain);
        }
    }
}

static void free_chain(struct table *table, struct chain *chain)
{
    flush_chain(chain);
    HASH_DEL(table->chains, chain);
    free(chain->foreign);
    free(chain);
}

static void free_set(struct table *table, struct set *set)
{
    while (set->elements)
        assert_true(set_remove(set, set->elements->key));
    HASH_DEL(table->sets, set);
    free(set->catchall);
    free(set->origin);
    free(set->foreign);
    free(set);
}

static void delete_object(struct table *table, const struct op *op)
{
    bool is_chain = op->kind == OP_DELETE_CHAIN;
    struct chain *chain = is_chain ? table_chain(table, op->name) : NULL;
    struct set *set = is_chain ? NULL : table_set(table, op->name);

    assert_true(chain || set);
    assert_unused(table, is_chain ? op->name : NULL, is_chain ? NULL : op->name);
    if (chain)
        free_chain(table, chain);
    else
        free_set(table, set);
}

static void delete_table(struct table *table)
{
    while (table->chains)
        free_chain(table, table->chains);
    while (table->sets)
        free_set(table, table->sets);
    while (table->n_odd)
        free(table->odd[--table->n_odd]);
    table->absent = true;
}

static void add_table(struct ruleset *ruleset, enum table_id table)
{
    assert_true(ruleset->tables[table].absent);
    ruleset->tables[table].absent = false;
}

static void apply_op(struct ruleset *ruleset, const struct op *op)
{
    if (op->kind != OP_ADD_TABLE && op->kind != OP_REMOVE_TABLE)
        assert_false(ruleset->tables[op->table].absent);
    switch (op->kind) {
    case OP_ADD_TABLE:
        add_table(ruleset, op->table);
        break;
    case OP_REMOVE_TABLE:
        delete_table(&ruleset->tables[op->table]);
        break;
    case OP_ADD_SET:
        copy_set(ruleset, op->table, op->set);
        break;
    case OP_ADD_CHAIN:
        copy_chain(ruleset, op->table, op->chain);
        break;
    case OP_ADD_RULES:
        copy_rules(ruleset, op->table, op->chain);
        break;
    case OP_ADD_ELEMENT:
        add_element(ruleset, op);
        break;
    case OP_DELETE_ELEMENT:
        delete_element(ruleset, op);
        break;
    case OP_FLUSH_CHAIN:
        flush_chain(table_chain(&ruleset->tables[op->table], op->name ? op->name : op->chain->name));
        break;
    case OP_DELETE_CHAIN:
    case OP_DELETE_SET:
        delete_object(&ruleset->tables[op->table], op);
        break;
    }
}

/* A packet can meet both empty while the kernel puts one in the other's place. */
static void assert_covered(const struct table *old, const struct table *standby)
{
    if (!old->absent && old->chains && (standby->absent || !standby->chains))
        fail_msg("a table that stands is replaced, and nothing stands meanwhile");
}

static void apply_phase(struct ruleset *ruleset, struct ruleset *standby, const struct op_list *ops)
{
    for (size_t i = 0; i < ops->n; i++) {
        const struct op *op = &ops->v[i], *next = i + 1 < ops->n ? &ops->v[i + 1] : NULL;

        if (op->kind == OP_REMOVE_TABLE && !op->standby && next && next->kind == OP_ADD_TABLE)
            assert_covered(&ruleset->tables[op->table], &standby->tables[op->table]);
        apply_op(op->standby ? standby : ruleset, op);
    }
}

void kernel_apply_phases(struct ruleset *ruleset, const struct delta *delta, size_t n)
{
    _cleanup_(ruleset_freep) struct ruleset *standby = ruleset_new();

    for (size_t i = 0; i < TABLES; i++)
        standby->tables[i].absent = !ruleset->tables[i].standby;
    for (size_t phase = 0; phase < n; phase++)
        apply_phase(ruleset, standby, &delta->phases[phase]);
    for (size_t i = 0; i < TABLES; i++)
        ruleset->tables[i].standby = !standby->tables[i].absent;
}

void kernel_apply(struct ruleset *ruleset, const struct delta *delta)
{
    kernel_apply_phases(ruleset, delta, PHASES);
}

/* ---- copies ------------------------------------------------------------------------------------------- */

struct ruleset *kernel_copy(const struct ruleset *from)
{
    struct ruleset *copy = ruleset_new();
    _cleanup_delta_ struct delta delta = {0};

    delta_load(from, &delta);
    kernel_apply(copy, &delta);
    for (size_t i = 0; i < TABLES; i++) {
        copy->tables[i].absent = from->tables[i].absent;
        copy->tables[i].standby = from->tables[i].standby;
    }
    return copy;
}
