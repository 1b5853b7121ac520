/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the rule counters share. */
#pragma once

#include "daemon/rule_counters.h"

#include <uthash.h>

#define RULE_KEY_HASH_MAX sizeof("0123456789abcdef")

/* A rule of a policy, in force or remembered. */
struct rule_tally {
    char *key;               /* policy, direction and a hash of what the rule says */
    struct rule_count count; /* its texts are owned */
    bool in_force;
    uint64_t gone; /* since when it is not */
    size_t number; /* while it is saved */
    UT_hash_handle hh;
};

/* A rule of the kernel, as it was read last, and whose it is. */
struct counted_rule {
    struct rule_counter read; /* handle 0: not yet */
    struct rule_tally **of;
    size_t n_of;
};

struct counted_chain {
    char *name;
    struct counted_rule *rules;
    size_t n;
    bool wanted; /* the ruleset has it */
    bool seen;   /* so had the kernel, when it was read last */
    UT_hash_handle hh;
};

struct rule_counters {
    char *where;
    uint64_t table; /* 0: not read yet */
    struct rule_tally *tallies;
    struct counted_chain *chains;
};

char *rule_tally_key(const char *policy, enum direction direction, const char *hash);
/* The key becomes the tally's; it must be new. */
struct rule_tally *rule_tally_add(struct rule_counters *counters, char *key);
struct rule_tally *rule_tally_find(const struct rule_counters *counters, const char *key); /* or NULL */
/* The name must be new. */
struct counted_chain *counted_chain_add(struct rule_counters *counters, const char *name, size_t n);
/* Nothing of it is left. */
void rule_counters_empty(struct rule_counters *counters);
