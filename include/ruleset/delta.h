/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The delta: ordered operations that turn one ruleset into another, in up to three transactions.
 *
 * A set of intervals misses while the transaction that makes it commits, and a verdict map's element must
 * only move to a chain that already stands. So new sets and chains are made in one transaction (PREPARE),
 * elements and the rules of the base chains change in the next (SWITCH), and what nobody refers to any more
 * goes in the last (SWEEP). A container's start or stop is one SWITCH of elements only, unless nothing of its
 * class was there before.
 *
 * Nor may tables that stand go in the transaction that brings their successors: new base chains are in their hooks
 * before it commits, when they are still empty, and old ones stay there after it, when they are empty already, so a
 * packet that passes just then can meet both. Something else has to stand through it: the standby, tables of another
 * name with a copy of what is wanted (see delta_replace()).
 */
#pragma once

#include "ruleset/ruleset.h"

enum op_kind {
    OP_ADD_TABLE,
    OP_REMOVE_TABLE, /* with all that is in it, whether it stands or not */
    OP_ADD_SET,      /* the set without its elements */
    OP_ADD_CHAIN,    /* the chain without its rules */
    OP_ADD_RULES,    /* all rules of op->chain, to an empty chain */
    OP_FLUSH_CHAIN,  /* removes all rules */
    OP_ADD_ELEMENT,
    OP_DELETE_ELEMENT,
    OP_DELETE_CHAIN, /* with its rules */
    OP_DELETE_SET,
};

struct op {
    enum op_kind kind;
    enum table_pair pair;
    enum table_id table;
    bool standby; /* of the table's standby, not of the table */
    /* Borrowed from the ruleset that the delta leads to, valid as long as that is unchanged: */
    const struct chain *chain; /* OP_ADD_CHAIN, OP_ADD_RULES, OP_FLUSH_CHAIN */
    const struct set *set;     /* OP_ADD_SET, OP_ADD_ELEMENT, OP_DELETE_ELEMENT */
    /* Owned: */
    char *name;              /* OP_DELETE_CHAIN, OP_DELETE_SET, and OP_FLUSH_CHAIN of a chain that goes */
    struct element *element; /* OP_ADD_ELEMENT, OP_DELETE_ELEMENT; no hash handle in use; target borrowed */
};

enum delta_phase { PHASE_PREPARE, PHASE_SWITCH, PHASE_SWEEP, PHASES };

struct op_list {
    struct op *v;
    size_t n;
};

struct delta {
    enum table_pair pair; /* of operations that are added; what leads to a ruleset sets it */
    struct op_list phases[PHASES];
};

/* Frees what it holds; the delta can be used again. */
void delta_clear(struct delta *delta);
#define _cleanup_delta_ _cleanup_(delta_clear)
size_t delta_count(const struct delta *delta);     /* operations in all phases */
size_t delta_deletions(const struct delta *delta); /* elements that are deleted */
/* Only elements are added or deleted. */
bool delta_is_elements_only(const struct delta *delta);

void delta_add_element(struct delta *delta, enum delta_phase phase, enum table_id table,
                       const struct set *set, const struct element *element);
void delta_delete_element(struct delta *delta, enum table_id table, const struct set *set,
                          const struct element *element);
void delta_add_set(struct delta *delta, enum delta_phase phase, enum table_id table, const struct set *set);
void delta_add_chain(struct delta *delta, enum delta_phase phase, enum table_id table,
                     const struct chain *chain);

const char *op_table_name(const struct op *op); /* as table_pair_name() */

/* Everything, where nothing of ours stands: one transaction (PHASE_SWITCH). */
void delta_load(const struct ruleset *to, struct delta *ret);
/*
 * Everything, where tables of ours stand or may stand: the standby comes (PHASE_PREPARE), the tables are replaced
 * (PHASE_SWITCH), the standby goes (PHASE_SWEEP). What the ruleset denies is denied from the first on. Where the
 * second fails the standby is left: it only denies.
 */
void delta_replace(const struct ruleset *to, struct delta *ret);
/*
 * What leads from one ruleset to another. Chains without a hook are named after their content; they change only
 * where `from` was read from the kernel and somebody had changed them. What cannot be changed in place (a
 * table that is absent or odd, a set or chain of a name of ours and another type) needs everything anew:
 * delta_replace(), or delta_load() where there is no table. A standby that somebody has left goes last.
 */
void delta_between(const struct ruleset *from, const struct ruleset *to, struct delta *ret);
/* Removes our tables, those of ret->pair, and a standby that may have been left: one transaction. */
void delta_teardown(struct delta *ret);
