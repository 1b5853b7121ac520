/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everybody who can talk, sorted into classes that two policy sets cannot tell apart: what the evaluator says of one
 * member of a class, it says of all.
 */
#pragma once

#include "intern.h"
#include "members.h"

enum which_set { SET_OLD, SET_NEW, POLICY_SETS };

#define BOTH_FAMILIES (1u << IP4 | 1u << IP6)

/* A live endpoint of a managed network. */
struct resident {
    const struct container *container;
    const struct container *former; /* the same one, in the old set's inventory */
    const struct endpoint *endpoint;
    const struct network *network;
    const struct selection *selection[POLICY_SETS];
};

/* What all rules of both sets treat alike, but for `same:`, which compares values of labels. */
struct kind {
    unsigned families;        /* bits 1 << IP4, 1 << IP6 */
    bool differs[DIRECTIONS]; /* the rules of its subjects are not the same in both sets */
    unsigned cut;             /* enum lock_cut, by lockdowns; 0: not locked down */
};

/* Those of one kind, on one network, with the same values of the labels that `same:` compares. */
struct class
{
    size_t kind;
    bool moved;                      /* some peer or `same:` means it in one of the inventories alone */
    struct party party[POLICY_SETS]; /* one of them, which stands for all */
    const struct network *network;   /* of endpoints, else NULL */
    size_t *values; /* for each label that is compared: a number, 0 for no such label; then those of the old
                       inventory, where that is another */
    size_t *residents; /* of endpoints: positions in the crowd's, ascending */
    size_t n_residents;
    struct ip_ranges outside; /* of PARTY_OUTSIDE; of the one family that the kind has */
};

struct crowd {
    struct evaluation with[POLICY_SETS];
    struct roll rolls[POLICY_SETS];
    struct resident *residents; /* by name of the container; its endpoints are neighbours */
    size_t n_residents;
    struct kind *kinds;
    size_t n_kinds;
    struct class *classes;
    size_t n_classes;
    size_t n_values; /* of a class: one for each label that is compared, and each inventory */
};

/* Both sets must be finished, and over the same inventory or two that differ in nothing but labels; all must outlive the
 * crowd. */
void crowd_init(struct crowd *crowd, const struct evaluation *before, const struct evaluation *after);
void crowd_clear(struct crowd *crowd);
/* Appends the name servers of a container, in an order of their own. */
void crowd_add_servers(const struct crowd *crowd, const struct container *container, struct bytes *bytes);
