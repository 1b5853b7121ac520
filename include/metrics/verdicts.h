/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often each rule of each policy has decided, and how often none has. Pure. What there is too much of is counted
 * together, under the rule OTHER_RULES: policies come and go while the counts stay.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/model.h"
#include "util/mem.h"

#define VERDICT_COUNTS_MAX 20000
#define OTHER_RULES "(others)"

struct verdict_count {
    bool allow;
    enum direction
        direction;      /* which side decided: what the source may send, or what may reach the destination */
    const char *policy; /* "": none */
    const char *rule;   /* its name, or "egress 2"; "no-rule" */
    uint64_t count;     /* packets that begin a connection, or try to */
};

struct verdict_counts;

struct verdict_counts *verdict_counts_new(void);
struct verdict_counts *verdict_counts_free(struct verdict_counts *counts); /* NULL-safe, returns NULL */
DEFINE_CLEANUP(struct verdict_counts *, verdict_counts_free);

/* Adds to the count of the same rule, or begins one; the texts are copied. */
void verdict_counts_add(struct verdict_counts *counts, const struct verdict_count *count);
/* The same for all of others. */
void verdict_counts_add_all(struct verdict_counts *counts, const struct verdict_counts *others);

/*
 * All of them, sorted by their names: a new array, which the caller frees, of what belongs to counts and is valid until
 * the next addition. *ret_n: how many.
 */
const struct verdict_count **verdict_counts_sorted(const struct verdict_counts *counts, size_t *ret_n);
