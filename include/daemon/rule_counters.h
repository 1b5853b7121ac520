/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often each rule of the policies has let something pass, since it is watched. The kernel counts by its own rules: one
 * rule of a policy is many there, in the chains of several classes, and now and then one of them stands for several rules
 * of a policy that nothing in the kernel tells apart. Chains come and go, and with them what they have counted: so what
 * has been added since the last reading is added up here, and nothing is counted twice, whatever is read when.
 *
 * A rule is the same as long as it says the same: its policy's name, its direction, its own name, peers, ports and
 * whether it denies. Where it stands in its policy does not count. One that has left the policies is remembered for a
 * day, for when it comes back.
 *
 * Pure: no clock, no kernel, no files. All times are microseconds since 1970.
 */
#pragma once

#include "policy/model.h"
#include "ruleset/counters.h"
#include "ruleset/ruleset.h"

#define RULE_COUNTERS_FILE "rule-counters.json"
#define RULE_COUNTERS_MAX (16 * 1024 * 1024) /* bytes of the file */
#define RULE_REMEMBERED (24 * 3600 * 1000000ull)

/* One rule of the policies in force. */
struct rule_count {
    const char *policy; /* borrowed until the next change of the counters, as is the name */
    const char *name;   /* the rule's own, or NULL */
    unsigned index;     /* from 1, within its policy and direction */
    enum direction direction;
    bool
        deny; /* the kernel holds no such rule, as deny rules are taken off those that allow: only denied counts */
    bool staged; /* of a policy in mode audit: the kernel holds nothing of it */
    bool
        shared; /* what it is in the kernel stands for other rules of its policy as well, for which it counts too */
    size_t
        n_kernel; /* rules in the kernel that stand for it; 0: no container has it, or nothing of it is left */
    uint64_t hits,
        bytes; /* packets that met it, which are those that no connection was known for; and their bytes */
    uint64_t denied;   /* packets in the log's records that name it; deny rules alone */
    uint64_t last_hit; /* or the last packet denied: not later than that; 0: never */
    uint64_t since;    /* when it began to be watched */
};

struct rule_counters;

struct rule_counters *rule_counters_new(void);
struct rule_counters *rule_counters_free(struct rule_counters *counters); /* NULL-safe, returns NULL */
DEFINE_CLEANUP(struct rule_counters *, rule_counters_free);

/*
 * These are the policies in force, and the ruleset compiled from them. What the kernel has counted until now is that of the
 * rules before: it should have been read just now. Nothing is kept of the arguments.
 */
void rule_counters_learn(struct rule_counters *counters, const struct policy_set *policies,
                         const struct ruleset *ruleset, uint64_t now);

/*
 * What the kernel holds now. where: a text that no other kernel's, or other network namespace's, tables have. What rules
 * of chains have counted that were not learned yet is counted once they are. Returns whether anything was added.
 */
bool rule_counters_read(struct rule_counters *counters, const char *where,
                        const struct table_counters *kernel, uint64_t now);
/* The same, but what was counted until now is nobody's: nothing is known of when it was. For a first start where tables
 * stand. */
void rule_counters_begin(struct rule_counters *counters, const char *where,
                         const struct table_counters *kernel);

/* The log has a record that this rule denied so many packets; rule as the record names it: "no-metadata", "egress 2". */
void rule_counters_denied(struct rule_counters *counters, const char *policy, enum direction direction,
                          const char *rule, uint64_t packets, uint64_t now);

/* All rules of the policies in force, by policy, direction and index; what is written twice in one policy is one. The
 * caller frees *ret. */
size_t rule_counters_list(const struct rule_counters *counters, struct rule_count **ret);

/* As a text for a file. The caller frees it. */
char *rule_counters_save(const struct rule_counters *counters);
/* Of what was saved; counters must be new. 0, or -EBADMSG: it is damaged, and they stay new. */
int rule_counters_restore(struct rule_counters *counters, const char *text);
