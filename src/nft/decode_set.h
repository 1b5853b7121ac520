/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets and their elements as the kernel tells them, back in the model's terms. */
#pragma once

#include "attrs.h"
#include "ruleset/ruleset.h"

/* The two ends that a set of intervals is told by, until they are put together. */
struct bounds {
    struct set *set;
    struct bound *v;
    size_t n;
};

/* Adds the set that attrs (of NFTA_SET_*) tell of; one that we never make is marked foreign. NULL: it is an
 * anonymous one, part of the rule that uses it. */
struct set *set_decode(struct ruleset *ruleset, enum table_id table, const char *name,
                       const struct attrs *attrs);

/* Adds one element of a set that is not foreign; of a set of intervals an end of one, to *bounds. -EBADMSG: it
 * is cut short. */
int element_decode(struct ruleset *ruleset, struct set *set, const struct nlattr *nest,
                   struct bounds *bounds);

/* Makes intervals of their ends; a set in which they do not fit together becomes foreign. */
void bounds_join(struct bounds *bounds);
