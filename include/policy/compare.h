/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between two policy sets, policy by policy. Policies are the same when they mean the same and describe
 * themselves alike: where they stand, and the order of rules, peers and ports, does not count.
 */
#pragma once

#include "policy/model.h"

enum policy_change_kind { POLICY_ADDED, POLICY_CHANGED, POLICY_REMOVED };

struct policy_change {
    enum policy_change_kind kind;
    const struct policy *from, *to; /* borrowed from the sets; NULL where there is none */
};

struct policy_changes {
    struct policy_change *v; /* by name */
    size_t n;
    size_t n_of[POLICY_REMOVED + 1];
    size_t n_same;
};

/* Both sets are finished, so sorted by name. *ret is for policy_changes_clear(). */
void policy_sets_compare(const struct policy_set *from, const struct policy_set *to,
                         struct policy_changes *ret);
void policy_changes_clear(struct policy_changes *changes);
#define _cleanup_policy_changes_ _cleanup_(policy_changes_clear)

/* All that the rule says, its name too: the same text for rules that mean the same, wherever they stand. The caller frees
 * it. */
char *rule_meaning(const struct rule *rule);

const char *policy_change_name(enum policy_change_kind kind); /* "added" */
