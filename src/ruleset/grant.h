/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Grants: what the rules of one class allow in one direction, with everything that deny rules forbid already
 * taken away, so that the kernel needs no deny rule. A grant is a block of peers times a list of services,
 * and subtracting one block from another gives blocks again:
 *
 *     P x S  minus  P' x S'   =   (P minus P') x S   plus   (P and P') x (S minus S')
 */
#pragma once

#include "inventory/inventory.h"
#include "policy/model.h"

/* A rectangle of IANA protocol numbers and, when it is one protocol, of ports or ICMP types; both ends
 * included. */
struct service {
    uint8_t proto_first, proto_last;
    uint16_t first, last; /* 0..65535: the whole protocol */
};

struct services {
    struct service *v; /* disjoint */
    size_t n;
};

enum region { REGION_CONTAINERS, REGION_HOST, REGION_OUTSIDE, REGIONS };

/* A conjunction: the containers that every `with` means and no `without` does. Both empty: every container.
 */
struct peer_expression {
    const struct selector **with, **without; /* the selectors are borrowed */
    size_t n_with, n_without;
};

struct peer_block {
    enum region region;
    struct peer_expression who; /* REGION_CONTAINERS */
    bool restricted;            /* only the addresses in ranges; always so for REGION_OUTSIDE */
    struct ip_ranges ranges[IP_FAMILIES];
};

struct grant {
    struct peer_block peers;
    struct services services;
    const struct policy *policy; /* borrowed */
    const struct rule *rule;     /* borrowed */
    const struct rule **also;    /* other rules that look alike and grant the same; borrowed */
    size_t n_also;
    enum direction direction;
};

struct grants {
    struct grant *v;
    size_t n;
};

/* More rules than this in one class of containers are refused: a mistake, and a burden for the kernel. */
#define GRANTS_MAX 4096

/*
 * What a class is: the enforcing policies that select its members, and what their rules depend on of the
 * member itself. Selectors made from `same:` are owned by the subject and borrowed by the grants.
 */
struct subject {
    const struct policy **policies;
    size_t n_policies;
    const struct container *container; /* any member: for its labels; only used while grants are made */
    const struct ip *name_servers;     /* for the peer `dns` */
    const enum region *name_server_regions;
    size_t n_name_servers;
    bool families[IP_FAMILIES]; /* which of them the members' networks have */
    struct selector **made;     /* from `same:` */
    size_t n_made;
};

void subject_clear(struct subject *subject);

/* Fills ret with everything that the subject's rules grant in that direction. 0, or -E2BIG over GRANTS_MAX.
 */
int grants_of(struct subject *subject, enum direction direction, struct grants *ret);
void grants_clear(struct grants *grants);
void grant_clear(struct grant *grant);
/* The other's rules grant the same as this one. */
void grant_add_rules(struct grant *grant, const struct grant *other);

/* Does the value stand for itself alone? A glob without wildcards says the same as a literal. */
bool label_match_is_literal(const struct label_match *label);

bool service_is_whole(const struct service *service);

/* An order of all selectors; 0 when they say the same. As qsort(3) asks, but for the pointers. */
int selector_compare(const struct selector *a, const struct selector *b);
/* Into an order that is the same however the rules, their peers and their ports are arranged in the policy. */
void services_sort(struct services *services);
/* The same for grants; what is said twice is left out, and known to be of both rules. */
void grants_sort(struct grants *grants);
/* Of one policy, by rules of one name or of none: nothing tells the one's rules in the kernel from the other's. */
bool grants_look_alike(const struct grant *a, const struct grant *b);
