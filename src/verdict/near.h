/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Within an explanation: the two sides of a way, and the rules that almost matched. What a rule allows is the
 * evaluator's word alone; here it is only asked about ports and peers apart.
 */
#pragma once

#include <stdio.h>

#include "inventory/match.h"
#include "verdict/explain.h"

static inline const struct party *side_party(const struct explain_way *way, enum direction direction)
{
    return direction == EGRESS ? &way->from : &way->to;
}

static inline const struct party *side_peer(const struct explain_way *way, enum direction direction)
{
    return direction == EGRESS ? &way->to : &way->from;
}

static inline const struct side_verdict *side_verdict(const struct explain_way *way, enum direction direction)
{
    return direction == EGRESS ? &way->decision.egress : &way->decision.ingress;
}

static inline bool policy_selects(const struct policy *policy, const struct party *party)
{
    return selector_matches(&policy->select, party->container, party->endpoint);
}

/* "shop-db egress 2 (shop.yaml:12)" */
void write_rule(const struct policy *policy, enum direction direction, const struct rule *rule, FILE *out);

/* Why an allow rule does not allow what is denied; the nearest come first. */
enum near_miss {
    NEAR_DENIED, /* it would, but for a deny rule */
    NEAR_STAGED, /* it would, but its policy is only staged */
    NEAR_EXCEPT, /* its port, and an address that `except` takes out */
    NEAR_INSIDE, /* its port, and an address in its network, which is no address outside */
    NEAR_PORT,   /* this peer, other ports */
    NEAR_PEER,   /* this port, other peers */
    NEAR_MISSES,
};

struct near_rule {
    enum near_miss miss;
    const struct policy *policy;
    const struct rule *rule;
    const struct peer *peer;   /* NEAR_EXCEPT, NEAR_INSIDE */
    const struct cidr *except; /* NEAR_EXCEPT */
};

struct near_rules {
    struct near_rule *v;
    size_t n;
};

void near_rules_clear(struct near_rules *rules);

/* The allow rules that almost match, where this side is denied; else none. Where a deny rule decides, only those that
 * match but for it. */
void near_rules_find(const struct explanation *x, const struct explain_way *way, enum direction direction,
                     struct near_rules *ret);
/* The deny rules in force that match; miss means nothing. */
void near_rules_denying(const struct explanation *x, const struct explain_way *way, enum direction direction,
                        struct near_rules *ret);

/* "port", "peer", ...: the kind of miss as JSON has it. */
const char *near_miss_name(enum near_miss miss);
/* "shop-db ingress 1 (shop.yaml:12) allows this peer, but only 5432/tcp". The caller frees it. */
char *near_rule_text(const struct near_rule *near, enum direction direction);
