// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset/delta.h"

#include <string.h>

#include "util/mem.h"

static struct op *add_op(struct delta *delta, enum delta_phase phase, enum op_kind kind, enum table_id table)
{
    struct op_list *list = &delta->phases[phase];
    struct op *op = ARRAY_ADD(list->v, list->n);

    op->kind = kind;
    op->pair = delta->pair;
    op->table = table;
    return op;
}

const char *op_table_name(const struct op *op)
{
    return table_pair_name(op->pair, op->standby);
}

void delta_clear(struct delta *delta)
{
    for (size_t phase = 0; phase < PHASES; phase++) {
        struct op_list *list = &delta->phases[phase];

        for (size_t i = 0; i < list->n; i++) {
            free(list->v[i].name);
            free(list->v[i].element);
        }
        free(list->v);
    }
    *delta = (struct delta){0};
}

size_t delta_count(const struct delta *delta)
{
    size_t n = 0;

    for (size_t phase = 0; phase < PHASES; phase++)
        n += delta->phases[phase].n;
    return n;
}

size_t delta_deletions(const struct delta *delta)
{
    size_t n = 0;

    for (size_t phase = 0; phase < PHASES; phase++)
        for (size_t i = 0; i < delta->phases[phase].n; i++)
            n += delta->phases[phase].v[i].kind == OP_DELETE_ELEMENT;
    return n;
}

bool delta_is_elements_only(const struct delta *delta)
{
    for (size_t phase = 0; phase < PHASES; phase++) {
        for (size_t i = 0; i < delta->phases[phase].n; i++) {
            enum op_kind kind = delta->phases[phase].v[i].kind;

            if (kind != OP_ADD_ELEMENT && kind != OP_DELETE_ELEMENT)
                return false;
        }
    }
    return true;
}

static struct element *element_copy(const struct element *element)
{
    struct element *copy = xnew(struct element);

    *copy = *element;
    memset(&copy->hh, 0, sizeof(copy->hh));
    return copy;
}

static void element_op(struct delta *delta, enum delta_phase phase, enum op_kind kind, enum table_id table,
                       const struct set *set, const struct element *element)
{
    struct op *op = add_op(delta, phase, kind, table);

    op->set = set;
    op->element = element_copy(element);
}

void delta_add_element(struct delta *delta, enum delta_phase phase, enum table_id table,
                       const struct set *set, const struct element *element)
{
    element_op(delta, phase, OP_ADD_ELEMENT, table, set, element);
}

void delta_delete_element(struct delta *delta, enum table_id table, const struct set *set,
                          const struct element *element)
{
    element_op(delta, PHASE_SWITCH, OP_DELETE_ELEMENT, table, set, element);
}

static void add_elements(struct delta *delta, enum delta_phase phase, enum table_id table,
                         const struct set *set)
{
    for (const struct element *element = set->elements; element; element = element->hh.next)
        delta_add_element(delta, phase, table, set, element);
    if (set->catchall)
        delta_add_element(delta, phase, table, set, set->catchall);
}

void delta_add_set(struct delta *delta, enum delta_phase phase, enum table_id table, const struct set *set)
{
    add_op(delta, phase, OP_ADD_SET, table)->set = set;
    add_elements(delta, phase, table, set);
}

void delta_add_chain(struct delta *delta, enum delta_phase phase, enum table_id table,
                     const struct chain *chain)
{
    add_op(delta, phase, OP_ADD_CHAIN, table)->chain = chain;
    if (chain->n_rules)
        add_op(delta, phase, OP_ADD_RULES, table)->chain = chain;
}

static void delete_by_name(struct delta *delta, enum op_kind kind, enum table_id table, const char *name)
{
    add_op(delta, PHASE_SWEEP, kind, table)->name = xstrdup(name);
}

/*
 * Sets and chains first, then elements and rules, because both refer to chains and rules refer to sets.
 */
static void load_table(const struct table *table, enum table_id id, enum delta_phase phase, struct delta *ret)
{
    for (const struct set *set = table->sets; set; set = set->hh.next)
        add_op(ret, phase, OP_ADD_SET, id)->set = set;
    for (const struct chain *chain = table->chains; chain; chain = chain->hh.next)
        add_op(ret, phase, OP_ADD_CHAIN, id)->chain = chain;
    for (const struct set *set = table->sets; set; set = set->hh.next)
        add_elements(ret, phase, id, set);
    for (const struct chain *chain = table->chains; chain; chain = chain->hh.next) {
        if (chain->n_rules)
            add_op(ret, phase, OP_ADD_RULES, id)->chain = chain;
    }
}

static void mark_standby(struct op_list *list, size_t first)
{
    for (size_t i = first; i < list->n; i++)
        list->v[i].standby = true;
}

static void load_tables(const struct ruleset *to, enum delta_phase phase, struct delta *ret)
{
    for (size_t i = 0; i < TABLES; i++) {
        enum table_id table = i ? TABLE_BRIDGE : TABLE_INET;

        add_op(ret, phase, OP_REMOVE_TABLE, table);
        add_op(ret, phase, OP_ADD_TABLE, table);
        load_table(&to->tables[table], table, phase, ret);
    }
}

static void remove_tables(enum delta_phase phase, struct delta *ret)
{
    add_op(ret, phase, OP_REMOVE_TABLE, TABLE_INET);
    add_op(ret, phase, OP_REMOVE_TABLE, TABLE_BRIDGE);
}

static void remove_standby(enum delta_phase phase, struct delta *ret)
{
    size_t first = ret->phases[phase].n;

    remove_tables(phase, ret);
    mark_standby(&ret->phases[phase], first);
}

void delta_load(const struct ruleset *to, struct delta *ret)
{
    ret->pair = to->pair;
    load_tables(to, PHASE_SWITCH, ret);
}

void delta_replace(const struct ruleset *to, struct delta *ret)
{
    size_t first = ret->phases[PHASE_PREPARE].n;

    ret->pair = to->pair;
    load_tables(to, PHASE_PREPARE, ret);
    mark_standby(&ret->phases[PHASE_PREPARE], first);
    load_tables(to, PHASE_SWITCH, ret);
    remove_standby(PHASE_SWEEP, ret);
}

void delta_teardown(struct delta *ret)
{
    remove_tables(PHASE_SWITCH, ret);
    remove_standby(PHASE_SWITCH, ret);
}

/* The old one's elements that are gone or differ are deleted before the new ones come: a map's key is unique.
 */
static void elements_between(const struct set *from, const struct set *to, enum table_id table,
                             struct delta *ret)
{
    for (const struct element *element = from->elements; element; element = element->hh.next) {
        const struct element *other = set_find(to, element->key);

        if (!other || !element_equal(to, element, other))
            delta_delete_element(ret, table, to, element);
    }
    if (from->catchall && (!to->catchall || !element_equal(to, from->catchall, to->catchall)))
        delta_delete_element(ret, table, to, from->catchall);
    for (const struct element *element = to->elements; element; element = element->hh.next) {
        const struct element *other = set_find(from, element->key);

        if (!other || !element_equal(to, element, other))
            delta_add_element(ret, PHASE_SWITCH, table, to, element);
    }
    if (to->catchall && (!from->catchall || !element_equal(to, from->catchall, to->catchall)))
        delta_add_element(ret, PHASE_SWITCH, table, to, to->catchall);
}

/*
 * New sets and chains are all there before an element of a new map leads to a chain, or a rule names a set or
 * chain.
 */
static void prepare(const struct table *from, const struct table *to, enum table_id table, struct delta *ret)
{
    for (const struct set *set = to->sets; set; set = set->hh.next) {
        if (!table_set(from, set->name))
            add_op(ret, PHASE_PREPARE, OP_ADD_SET, table)->set = set;
    }
    for (const struct chain *chain = to->chains; chain; chain = chain->hh.next) {
        if (!table_chain(from, chain->name) && chain->hook == HOOK_NONE)
            add_op(ret, PHASE_PREPARE, OP_ADD_CHAIN, table)->chain = chain;
    }
    for (const struct set *set = to->sets; set; set = set->hh.next) {
        if (!table_set(from, set->name))
            add_elements(ret, PHASE_PREPARE, table, set);
    }
    for (const struct chain *chain = to->chains; chain; chain = chain->hh.next) {
        if (!table_chain(from, chain->name) && chain->hook == HOOK_NONE && chain->n_rules)
            add_op(ret, PHASE_PREPARE, OP_ADD_RULES, table)->chain = chain;
    }
}

static void switch_over(const struct table *from, const struct table *to, enum table_id table,
                        struct delta *ret)
{
    for (const struct set *set = to->sets; set; set = set->hh.next) {
        const struct set *old = table_set(from, set->name);

        if (old)
            elements_between(old, set, table, ret);
    }
    for (const struct chain *chain = to->chains; chain; chain = chain->hh.next) {
        const struct chain *old = table_chain(from, chain->name);

        if (!old && chain->hook != HOOK_NONE) {
            delta_add_chain(ret, PHASE_SWITCH, table, chain);
        } else if (old && !chain_equal(old, chain)) {
            if (old->n_rules)
                add_op(ret, PHASE_SWITCH, OP_FLUSH_CHAIN, table)->chain = chain;
            if (chain->n_rules)
                add_op(ret, PHASE_SWITCH, OP_ADD_RULES, table)->chain = chain;
        }
    }
}

/*
 * Rules hold sets and chains, and a map's elements hold chains: so first the rules go, then the sets. A foreign
 * chain can be jumped to from another, and by an element of a foreign map; all that is gone by then.
 */
static void sweep(const struct table *from, const struct table *to, enum table_id table, struct delta *ret)
{
    for (const struct chain *chain = from->chains; chain; chain = chain->hh.next) {
        if (!table_chain(to, chain->name) && chain->n_rules)
            delete_by_name(ret, OP_FLUSH_CHAIN, table, chain->name);
    }
    for (const struct set *set = from->sets; set; set = set->hh.next) {
        if (!table_set(to, set->name))
            delete_by_name(ret, OP_DELETE_SET, table, set->name);
    }
    for (const struct chain *chain = from->chains; chain; chain = chain->hh.next) {
        if (!table_chain(to, chain->name))
            delete_by_name(ret, OP_DELETE_CHAIN, table, chain->name);
    }
}

/* A set or chain whose type changed cannot be changed in place, nor can a table: only a new load helps. */
static bool same_shape(const struct ruleset *from, const struct ruleset *to)
{
    for (size_t i = 0; i < TABLES; i++) {
        const struct table *old = &from->tables[i], *new = &to->tables[i];

        if (old->absent || old->n_odd)
            return false;
        for (const struct set *set = new->sets; set; set = set->hh.next) {
            const struct set *other = table_set(old, set->name);

            if (other && !set_same_type(other, set))
                return false;
        }
        for (const struct chain *chain = new->chains; chain; chain = chain->hh.next) {
            const struct chain *other = table_chain(old, chain->name);

            if (other && !chain_same_type(other, chain))
                return false;
        }
    }
    return true;
}

static bool has_standby(const struct ruleset *ruleset)
{
    return ruleset->tables[TABLE_INET].standby || ruleset->tables[TABLE_BRIDGE].standby;
}

static void change_tables(const struct ruleset *from, const struct ruleset *to, struct delta *ret)
{
    for (size_t i = 0; i < TABLES; i++) {
        enum table_id table = i ? TABLE_BRIDGE : TABLE_INET;
        const struct table *old = &from->tables[i], *new = &to->tables[i];

        prepare(old, new, table, ret);
        switch_over(old, new, table, ret);
        sweep(old, new, table, ret);
    }
}

void delta_between(const struct ruleset *from, const struct ruleset *to, struct delta *ret)
{
    ret->pair = to->pair;
    if (!same_shape(from, to) && ruleset_stands(from)) {
        delta_replace(to, ret);
        return;
    }
    if (same_shape(from, to))
        change_tables(from, to, ret);
    else
        delta_load(to, ret);
    if (has_standby(from)) /* a daemon was killed before it could */
        remove_standby(PHASE_SWEEP, ret);
}
