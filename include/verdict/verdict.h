/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The evaluator: may this party open that connection, and why? It reads the policy model itself, not the
 * compiled rules, so that `explain` and `plan` speak in the operator's words.
 */
#pragma once

#include "inventory/inventory.h"
#include "policy/model.h"
#include "policy/settings.h"

enum party_kind { PARTY_ENDPOINT, PARTY_HOST, PARTY_OUTSIDE };

/* The enforcing policies that select one endpoint, borrowed from their set. */
struct selection {
    const struct policy **v;
    size_t n;
};

struct party {
    enum party_kind kind;
    const struct container *container; /* PARTY_ENDPOINT */
    const struct endpoint *endpoint;   /* PARTY_ENDPOINT */
    /* PARTY_ENDPOINT: policies_selecting() it, of who asks often and has kept it; NULL: evaluate() finds out. */
    const struct selection *selection;
    struct ip ip; /* PARTY_OUTSIDE; PARTY_HOST: the address meant, if has_ip */
    bool has_ip;
};

/* What would be sent. proto is the IANA number; port is the port, or the type for ICMP (1) and ICMPv6 (58).
 */
struct traffic {
    enum ip_family family;
    uint8_t proto;
    uint16_t port;
};

enum verdict { VERDICT_DENY, VERDICT_ALLOW };

enum reason {
    REASON_NOT_SUBJECT,   /* this side is no container: nothing to ask here */
    REASON_RULE,          /* an allow rule decided */
    REASON_DENY_RULE,     /* a deny rule decided */
    REASON_NO_RULE,       /* policies select the container, none of their rules allows it */
    REASON_NO_POLICY,     /* no enforcing policy selects the container */
    REASON_DEFAULT_AUDIT, /* no enforcing policy selects it and default_mode is audit: allowed */
};

/* One side of a verdict: the source's egress or the destination's ingress. */
struct side_verdict {
    enum verdict verdict;
    enum reason reason;
    const struct policy *policy; /* of the deciding rule */
    const struct rule *rule;
};

struct connection_verdict {
    enum verdict verdict; /* both sides allow */
    struct side_verdict egress, ingress;
};

struct lock_list;
/* Borrowed for the call; name_servers are those of the source for the peer `dns`, see
 * endpoint_name_servers(). */
struct evaluation {
    const struct policy_set *policies;
    const struct inventory *inventory;
    const struct settings *settings;
    /* Those in force, or NULL: what packets meet before any policy. evaluate() is about policies alone. */
    const struct lock_list *locks;
};

struct connection_verdict evaluate(const struct evaluation *with, const struct party *from,
                                   const struct party *to, const struct traffic *traffic);

/* What is only staged, and counts as if it were enforced. */
struct would_be {
    bool policies;            /* all staged policies */
    const struct policy *one; /* this one */
    bool default_mode;        /* default_mode: audit */
};

/* The same with that, whatever selections the parties carry. */
struct connection_verdict evaluate_staged(const struct evaluation *with, const struct would_be *would_be,
                                          const struct party *from, const struct party *to,
                                          const struct traffic *traffic);

/*
 * The name servers that this container's lookups go to: its own --dns, else the host's, else (default bridge,
 * where the host has none but loopback ones) the Engine's built-in ones. Written to ret, which the caller
 * frees.
 */
size_t container_name_servers(const struct inventory *inventory, const struct container *container,
                              struct ip **ret);

/* The caller frees ret->v. */
void policies_selecting(const struct evaluation *with, const struct container *container,
                        const struct endpoint *endpoint, struct selection *ret);

bool port_matches(const struct port *port, const struct traffic *traffic);

/* The two conditions of a rule, each by itself; it matches when both do. subject: who its policy selects, other: the
 * peer. */
bool rule_ports_match(const struct rule *rule, const struct traffic *traffic);
bool rule_peers_match(const struct evaluation *with, const struct rule *rule, const struct party *subject,
                      const struct party *other, const struct traffic *traffic);
