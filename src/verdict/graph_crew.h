/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Within a graph: the running containers, and which of them are one node. */
#pragma once

#include <stddef.h>

#include "verdict/changes.h"

struct crew_member {
    const struct container *container;
    char *note;   /* graph_member's */
    size_t group; /* his service, or he himself: a position in groups */
};

struct crew {
    struct crew_member *v; /* by name */
    size_t n;
    struct crew_group {
        char *name;
        size_t node;     /* numbered from 0, in the order in which they appear here */
        size_t position; /* of the node's groups; for who makes the nodes */
    } * groups;
    size_t n_groups, n_nodes;
};

/*
 * Each group is a node; if these were more than `nodes`, groups whose members are on the same lines, on the same side,
 * are one.
 */
void crew_init(struct crew *crew, const struct evaluation *with, const struct changes *lines, size_t nodes);
void crew_clear(struct crew *crew);
