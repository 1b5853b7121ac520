// SPDX-License-Identifier: GPL-2.0-or-later
#include "grant.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "util/mem.h"

/* ---- services ----------------------------------------------------------------------------------------- */

#define ICMP_TYPES 255

bool service_is_whole(const struct service *service)
{
    return service->first == 0 && service->last == UINT16_MAX;
}

static void service_add(struct services *services, unsigned proto_first, unsigned proto_last, unsigned first,
                        unsigned last)
{
    *ARRAY_ADD(services->v, services->n) =
        (struct service){(uint8_t)proto_first, (uint8_t)proto_last, (uint16_t)first, (uint16_t)last};
}

static struct services services_copy(const struct services *services)
{
    struct services copy = {0};

    for (size_t i = 0; i < services->n; i++)
        *ARRAY_ADD(copy.v, copy.n) = services->v[i];
    return copy;
}

static void services_clear(struct services *services)
{
    free(services->v);
    *services = (struct services){0};
}

static unsigned min_of(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned max_of(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static bool service_meet(const struct service *a, const struct service *b, struct service *ret)
{
    struct service both = {(uint8_t)max_of(a->proto_first, b->proto_first),
                           (uint8_t)min_of(a->proto_last, b->proto_last),
                           (uint16_t)max_of(a->first, b->first), (uint16_t)min_of(a->last, b->last)};

    if (both.proto_first > both.proto_last || both.first > both.last)
        return false;
    *ret = both;
    return true;
}

/* What is left of one rectangle without a part of it: protocols below and above, then ports below and above.
 */
static void service_without(const struct service *whole, const struct service *hole, struct services *ret)
{
    if (hole->proto_first > whole->proto_first)
        service_add(ret, whole->proto_first, hole->proto_first - 1u, whole->first, whole->last);
    if (hole->first > whole->first)
        service_add(ret, hole->proto_first, hole->proto_last, whole->first, hole->first - 1u);
    if (hole->last < whole->last)
        service_add(ret, hole->proto_first, hole->proto_last, hole->last + 1u, whole->last);
    if (hole->proto_last < whole->proto_last)
        service_add(ret, hole->proto_last + 1u, whole->proto_last, whole->first, whole->last);
}

static void services_subtract(struct services *from, const struct services *what)
{
    for (size_t i = 0; i < what->n; i++) {
        struct services rest = {0};

        for (size_t j = 0; j < from->n; j++) {
            struct service hole;

            if (service_meet(&from->v[j], &what->v[i], &hole))
                service_without(&from->v[j], &hole, &rest);
            else
                *ARRAY_ADD(rest.v, rest.n) = from->v[j];
        }
        services_clear(from);
        *from = rest;
    }
}

static void services_intersect(struct services *a, const struct services *b)
{
    struct services both = {0};

    for (size_t i = 0; i < a->n; i++) {
        for (size_t j = 0; j < b->n; j++) {
            struct service meet;

            if (service_meet(&a->v[i], &b->v[j], &meet))
                *ARRAY_ADD(both.v, both.n) = meet;
        }
    }
    services_clear(a);
    *a = both;
}

static bool services_overlap(const struct services *a, const struct services *b)
{
    struct service meet;

    for (size_t i = 0; i < a->n; i++) {
        for (size_t j = 0; j < b->n; j++) {
            if (service_meet(&a->v[i], &b->v[j], &meet))
                return true;
        }
    }
    return false;
}

static void services_add_icmp(struct services *services, const struct port *port)
{
    if (!port->icmp_name) {
        service_add(services, IPPROTO_ICMP, IPPROTO_ICMP, 0, UINT16_MAX);
        service_add(services, IPPROTO_ICMPV6, IPPROTO_ICMPV6, 0, UINT16_MAX);
        return;
    }
    if (port->icmp4_type >= 0)
        service_add(services, IPPROTO_ICMP, IPPROTO_ICMP, (unsigned)port->icmp4_type,
                    (unsigned)port->icmp4_type);
    if (port->icmp6_type >= 0)
        service_add(services, IPPROTO_ICMPV6, IPPROTO_ICMPV6, (unsigned)port->icmp6_type,
                    (unsigned)port->icmp6_type);
}

static void services_add_port(struct services *services, const struct port *port)
{
    switch (port->kind) {
    case PORT_TCP:
        service_add(services, IPPROTO_TCP, IPPROTO_TCP, port->first, port->last);
        break;
    case PORT_UDP:
        service_add(services, IPPROTO_UDP, IPPROTO_UDP, port->first, port->last);
        break;
    case PORT_SCTP:
        service_add(services, IPPROTO_SCTP, IPPROTO_SCTP, port->first, port->last);
        break;
    case PORT_ICMP:
        services_add_icmp(services, port);
        break;
    }
}

/* The union of a rule's ports, made disjoint so that no packet is granted, or shown, twice. */
static struct services services_of(const struct rule *rule)
{
    struct services wanted = {0}, all = {0};

    if (rule->n_ports == 0)
        service_add(&wanted, 0, UINT8_MAX, 0, UINT16_MAX);
    for (size_t i = 0; i < rule->n_ports; i++)
        services_add_port(&wanted, &rule->ports[i]);
    services_sort(&wanted);
    for (size_t i = 0; i < wanted.n; i++) {
        struct services one = {0};

        *ARRAY_ADD(one.v, one.n) = wanted.v[i];
        services_subtract(&one, &all);
        for (size_t j = 0; j < one.n; j++)
            *ARRAY_ADD(all.v, all.n) = one.v[j];
        services_clear(&one);
    }
    services_clear(&wanted);
    return all;
}

/* ---- peers -------------------------------------------------------------------------------------------- */

static void expression_clear(struct peer_expression *who)
{
    free(who->with);
    free(who->without);
}

static struct peer_expression expression_copy(const struct peer_expression *who)
{
    struct peer_expression copy = {0};

    for (size_t i = 0; i < who->n_with; i++)
        *ARRAY_ADD(copy.with, copy.n_with) = who->with[i];
    for (size_t i = 0; i < who->n_without; i++)
        *ARRAY_ADD(copy.without, copy.n_without) = who->without[i];
    return copy;
}

static void block_clear(struct peer_block *block)
{
    expression_clear(&block->who);
    for (size_t family = 0; family < IP_FAMILIES; family++)
        ip_ranges_clear(&block->ranges[family]);
}

static struct peer_block block_copy(const struct peer_block *block)
{
    struct peer_block copy = *block;

    copy.who = expression_copy(&block->who);
    for (size_t family = 0; family < IP_FAMILIES; family++)
        copy.ranges[family] = ip_ranges_copy(&block->ranges[family]);
    return copy;
}

bool label_match_is_literal(const struct label_match *label)
{
    return label->literal || !label->value || !strpbrk(label->value, "*?[\\");
}

static bool selector_listed(const struct selector *const *list, size_t n, const struct selector *selector)
{
    for (size_t i = 0; i < n; i++) {
        if (selector_compare(list[i], selector) == 0)
            return true;
    }
    return false;
}

static bool block_is_empty(const struct peer_block *block)
{
    for (size_t i = 0; i < block->who.n_with; i++) {
        if (selector_listed(block->who.without, block->who.n_without, block->who.with[i]))
            return true;
    }
    return block->restricted && block->ranges[IP4].n == 0 && block->ranges[IP6].n == 0;
}

/* block := block and deny. A deny names at most one selector. */
static void block_intersect(struct peer_block *block, const struct peer_block *deny)
{
    for (size_t i = 0; i < deny->who.n_with; i++) {
        if (!selector_listed(block->who.with, block->who.n_with, deny->who.with[i]))
            *ARRAY_ADD(block->who.with, block->who.n_with) = deny->who.with[i];
    }
    if (!deny->restricted)
        return;
    for (size_t family = 0; family < IP_FAMILIES; family++) {
        if (block->restricted) {
            ip_ranges_intersect(&block->ranges[family], &deny->ranges[family]);
        } else {
            block->ranges[family] = ip_ranges_copy(&deny->ranges[family]);
        }
    }
    block->restricted = true;
}

/* block := block minus deny; false when nothing is left. */
static bool block_subtract(struct peer_block *block, const struct peer_block *deny)
{
    if (deny->region == REGION_OUTSIDE) {
        for (size_t family = 0; family < IP_FAMILIES; family++)
            ip_ranges_subtract(&block->ranges[family], &deny->ranges[family]);
        return !block_is_empty(block);
    }
    if (deny->who.n_with == 0)
        return false; /* every container, or the host */
    *ARRAY_ADD(block->who.without, block->who.n_without) = deny->who.with[0];
    return !block_is_empty(block);
}

/* ---- grants ------------------------------------------------------------------------------------------- */

void grant_clear(struct grant *grant)
{
    block_clear(&grant->peers);
    services_clear(&grant->services);
    free(grant->also);
}

void grant_add_rules(struct grant *grant, const struct grant *other)
{
    if (other->rule != grant->rule)
        *ARRAY_ADD(grant->also, grant->n_also) = other->rule;
    for (size_t i = 0; i < other->n_also; i++)
        *ARRAY_ADD(grant->also, grant->n_also) = other->also[i];
}

void grants_clear(struct grants *grants)
{
    for (size_t i = 0; i < grants->n; i++)
        grant_clear(&grants->v[i]);
    free(grants->v);
    *grants = (struct grants){0};
}

void subject_clear(struct subject *subject)
{
    for (size_t i = 0; i < subject->n_made; i++) {
        selector_clear(subject->made[i]);
        free(subject->made[i]);
    }
    free(subject->made);
    free(subject->policies);
    *subject = (struct subject){0};
}

static struct grant *grant_add(struct grants *grants, enum region region, const struct grant *like)
{
    struct grant *grant = ARRAY_ADD(grants->v, grants->n);

    grant->peers.region = region;
    grant->policy = like->policy;
    grant->rule = like->rule;
    grant->direction = like->direction;
    grant->services = services_copy(&like->services);
    return grant;
}

static void add_containers(struct grants *grants, const struct grant *like, const struct selector *selector)
{
    struct grant *grant = grant_add(grants, REGION_CONTAINERS, like);

    if (selector && !selector->all)
        *ARRAY_ADD(grant->peers.who.with, grant->peers.who.n_with) = selector;
}

static void add_outside(struct grants *grants, const struct grant *like)
{
    struct grant *grant = grant_add(grants, REGION_OUTSIDE, like);

    grant->peers.restricted = true;
    for (size_t family = 0; family < IP_FAMILIES; family++)
        ip_ranges_fill(&grant->peers.ranges[family], (enum ip_family)family);
}

static void add_internet(struct grants *grants, const struct grant *like)
{
    struct grant *grant = grant_add(grants, REGION_OUTSIDE, like);

    grant->peers.restricted = true;
    for (size_t family = 0; family < IP_FAMILIES; family++)
        ip_ranges_add_internet(&grant->peers.ranges[family], (enum ip_family)family);
}

static void add_cidr(struct grants *grants, const struct grant *like, const struct peer *peer)
{
    struct grant *grant = grant_add(grants, REGION_OUTSIDE, like);
    enum ip_family family = peer->cidr.net.family;
    struct ip_ranges holes = {0};

    grant->peers.restricted = true;
    ip_ranges_add(&grant->peers.ranges[family], cidr_range(&peer->cidr));
    for (size_t i = 0; i < peer->n_except; i++)
        ip_ranges_add(&holes, cidr_range(&peer->except[i]));
    ip_ranges_subtract(&grant->peers.ranges[family], &holes);
    ip_ranges_clear(&holes);
}

/* The rule's own ports still count: `dns` is the name servers' port 53 and no more. */
static void add_dns(struct grants *grants, const struct grant *like, const struct subject *subject)
{
    for (size_t i = 0; i < subject->n_name_servers; i++) {
        struct ip server = subject->name_servers[i];
        struct grant *grant = grant_add(grants, subject->name_server_regions[i], like);
        struct services dns = {0};

        grant->peers.restricted = true;
        ip_ranges_add(&grant->peers.ranges[server.family], (struct ip_range){server.num, server.num});
        service_add(&dns, IPPROTO_UDP, IPPROTO_UDP, 53, 53);
        service_add(&dns, IPPROTO_TCP, IPPROTO_TCP, 53, 53);
        services_intersect(&grant->services, &dns);
        services_clear(&dns);
    }
}

/* `same: L`: a label of exactly the subject's own value. A subject without the label has no such peers. */
static void add_same(struct grants *grants, const struct grant *like, struct subject *subject,
                     const char *key)
{
    const char *value = container_label(subject->container, key);
    struct selector *selector;

    if (!value)
        return;
    selector = xnew(struct selector);
    *ARRAY_ADD(selector->labels, selector->n_labels) =
        (struct label_match){.key = xstrdup(key), .value = xstrdup(value), .literal = true};
    *ARRAY_ADD(subject->made, subject->n_made) = selector;
    add_containers(grants, like, selector);
}

static void add_peer(struct grants *grants, const struct grant *like, struct subject *subject,
                     const struct peer *peer)
{
    switch (peer->kind) {
    case PEER_SELECTOR:
        add_containers(grants, like, &peer->selector);
        break;
    case PEER_SAME:
        add_same(grants, like, subject, peer->same);
        break;
    case PEER_CIDR:
        add_cidr(grants, like, peer);
        break;
    case PEER_ANY:
        add_containers(grants, like, NULL);
        grant_add(grants, REGION_HOST, like);
        add_outside(grants, like);
        break;
    case PEER_INTERNET:
        add_internet(grants, like);
        break;
    case PEER_OUTSIDE:
        add_outside(grants, like);
        break;
    case PEER_HOST:
        grant_add(grants, REGION_HOST, like);
        break;
    case PEER_CONTAINERS:
        add_containers(grants, like, NULL);
        break;
    case PEER_DNS:
        add_dns(grants, like, subject);
        break;
    }
}

static void add_rule(struct grants *grants, struct subject *subject, const struct policy *policy,
                     enum direction direction, const struct rule *rule)
{
    static const struct peer any = {.kind = PEER_ANY};
    struct grant like = {
        .policy = policy, .rule = rule, .direction = direction, .services = services_of(rule)};

    if (rule->n_peers == 0)
        add_peer(grants, &like, subject, &any);
    for (size_t i = 0; i < rule->n_peers; i++)
        add_peer(grants, &like, subject, &rule->peers[i]);
    services_clear(&like.services);
}

/* Appends what is left of a grant without one denied block of peers and services; the grant is used up. */
static void subtract_one(struct grants *rest, struct grant *grant, const struct grant *deny)
{
    struct grant inside;

    if (grant->peers.region != deny->peers.region || !services_overlap(&grant->services, &deny->services)) {
        *ARRAY_ADD(rest->v, rest->n) = *grant;
        return;
    }
    inside = *grant;
    inside.peers = block_copy(&grant->peers);
    inside.services = services_copy(&grant->services);
    inside.also = NULL;
    inside.n_also = 0;
    grant_add_rules(&inside, grant);
    block_intersect(&inside.peers, &deny->peers);
    if (block_is_empty(&inside.peers)) {
        grant_clear(&inside);
        *ARRAY_ADD(rest->v, rest->n) = *grant;
        return;
    }
    if (block_subtract(&grant->peers, &deny->peers)) {
        *ARRAY_ADD(rest->v, rest->n) = *grant;
    } else {
        grant_clear(grant);
    }
    services_subtract(&inside.services, &deny->services);
    if (inside.services.n) {
        *ARRAY_ADD(rest->v, rest->n) = inside;
    } else {
        grant_clear(&inside);
    }
}

static int subtract_all(struct grants *allowed, const struct grants *denied)
{
    for (size_t i = 0; i < denied->n; i++) {
        struct grants rest = {0};

        for (size_t j = 0; j < allowed->n; j++)
            subtract_one(&rest, &allowed->v[j], &denied->v[i]);
        free(allowed->v);
        *allowed = rest;
        if (allowed->n > GRANTS_MAX)
            return -E2BIG;
    }
    return 0;
}

/* Rules that say nothing (a `cidr` that its `except` uses up, a `dns` without port 53) leave no grant. */
static void drop_empty(struct grants *grants)
{
    size_t n = 0;

    for (size_t i = 0; i < grants->n; i++) {
        struct grant *grant = &grants->v[i];

        if (grant->services.n && !block_is_empty(&grant->peers)) {
            grants->v[n++] = *grant;
            continue;
        }
        grant_clear(grant);
    }
    grants->n = n;
}

int grants_of(struct subject *subject, enum direction direction, struct grants *ret)
{
    struct grants allowed = {0}, denied = {0};
    int r;

    for (size_t i = 0; i < subject->n_policies; i++) {
        const struct policy *policy = subject->policies[i];

        for (size_t j = 0; j < policy->n_rules[direction]; j++) {
            const struct rule *rule = &policy->rules[direction][j];

            add_rule(rule->deny ? &denied : &allowed, subject, policy, direction, rule);
        }
    }
    drop_empty(&allowed);
    drop_empty(&denied);
    grants_sort(&allowed);
    grants_sort(&denied);
    r = allowed.n > GRANTS_MAX ? -E2BIG : subtract_all(&allowed, &denied);
    grants_clear(&denied);
    if (r < 0) {
        grants_clear(&allowed);
        return r;
    }
    *ret = allowed;
    return 0;
}
