/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the policies of one class stand to another class, ports left aside: which of its rules, in both sets, mean it. The
 * verdict on a pair depends on the two stances and on its families alone, and there are far fewer of them than pairs.
 */
#pragma once

#include "crowd.h"

struct stance {
    const struct rule *
        *rules; /* of both sets; which is whose, and in which families, the number tells apart */
    size_t n;
    bool lookups; /* some of them mean it on port 53 alone */
};

struct stances;

/* The crowd is borrowed. */
struct stances *stances_new(const struct crowd *crowd);
struct stances *stances_free(struct stances *stances);

/*
 * The number of the stance of class `subject` to class `other`: of its egress rules where other is the destination, of
 * its ingress rules where it is the source. Equal numbers mean the same rules, in the same order, with the same effect
 * where none of them decides. Both are positions in the crowd's classes.
 */
size_t stance_find(struct stances *stances, enum direction direction, size_t subject, size_t other);
/* Valid until the next one is found. */
const struct stance *stance_get(const struct stances *stances, size_t number);
