// SPDX-License-Identifier: GPL-2.0-or-later
#include <netinet/in.h>
#include <string.h>

#include "inventory/match.h"
#include "util/mem.h"
#include "verdict/verdict.h"

#define DNS_PORT 53

static bool port_in(const struct port *port, const struct traffic *traffic, uint8_t proto)
{
    return traffic->proto == proto && traffic->port >= port->first && traffic->port <= port->last;
}

static bool icmp_matches(const struct port *port, const struct traffic *traffic)
{
    if (traffic->proto != IPPROTO_ICMP && traffic->proto != IPPROTO_ICMPV6)
        return false;
    if (!port->icmp_name)
        return true;
    return traffic->port == (traffic->proto == IPPROTO_ICMP ? port->icmp4_type : port->icmp6_type);
}

bool port_matches(const struct port *port, const struct traffic *traffic)
{
    switch (port->kind) {
    case PORT_TCP:
        return port_in(port, traffic, IPPROTO_TCP);
    case PORT_UDP:
        return port_in(port, traffic, IPPROTO_UDP);
    case PORT_SCTP:
        return port_in(port, traffic, IPPROTO_SCTP);
    case PORT_ICMP:
        return icmp_matches(port, traffic);
    }
    return false;
}

bool rule_ports_match(const struct rule *rule, const struct traffic *traffic)
{
    for (size_t i = 0; i < rule->n_ports; i++) {
        if (port_matches(&rule->ports[i], traffic))
            return true;
    }
    return rule->n_ports == 0;
}

/* ---- name servers ------------------------------------------------------------------------------------- */

/* What the Engine falls back to when the host's resolv.conf names loopback servers only. */
static const struct ip engine_default_servers[] = {
    {.num = 0x08080808, .family = IP4},                               /* 8.8.8.8 */
    {.num = 0x08080404, .family = IP4},                               /* 8.8.4.4 */
    {.num = (ipnum)0x2001486048600000 << 64 | 0x8888, .family = IP6}, /* 2001:4860:4860::8888 */
    {.num = (ipnum)0x2001486048600000 << 64 | 0x8844, .family = IP6}, /* 2001:4860:4860::8844 */
};

static size_t copy_servers(const struct ip *servers, size_t n, struct ip **ret)
{
    *ret = xcalloc(n, sizeof(**ret));
    if (n)
        memcpy(*ret, servers, n * sizeof(**ret));
    return n;
}

size_t container_name_servers(const struct inventory *inventory, const struct container *container,
                              struct ip **ret)
{
    if (!container->dns_known)
        return copy_servers(NULL, 0, ret);
    if (container->n_dns)
        return copy_servers(container->dns, container->n_dns, ret);
    if (inventory->n_name_servers)
        return copy_servers(inventory->name_servers, inventory->n_name_servers, ret);
    return copy_servers(engine_default_servers, ARRAY_SIZE(engine_default_servers), ret);
}

/* ---- peers -------------------------------------------------------------------------------------------- */

static bool party_address(const struct party *party, enum ip_family family, struct ip *ret)
{
    if (party->kind == PARTY_ENDPOINT) {
        if (!party->endpoint->has_ip[family])
            return false;
        *ret = party->endpoint->ip[family];
        return true;
    }
    *ret = party->ip;
    return party->has_ip && party->ip.family == family;
}

static bool cidr_matches(const struct peer *peer, const struct party *party, enum ip_family family)
{
    struct ip ip;

    if (party->kind != PARTY_OUTSIDE || !party_address(party, family, &ip) || !cidr_contains(&peer->cidr, ip))
        return false;
    for (size_t i = 0; i < peer->n_except; i++) {
        if (cidr_contains(&peer->except[i], ip))
            return false;
    }
    return true;
}

static bool is_internet(const struct party *party, enum ip_family family)
{
    struct ip ip;

    return party->kind == PARTY_OUTSIDE && party_address(party, family, &ip) && ip_is_internet(ip);
}

static bool is_same(const struct container *subject, const struct party *party, const char *key)
{
    const char *mine = container_label(subject, key), *theirs;

    if (!mine || party->kind != PARTY_ENDPOINT)
        return false;
    theirs = container_label(party->container, key);
    return theirs && strcmp(mine, theirs) == 0;
}

static bool is_name_server(const struct inventory *inventory, const struct container *subject,
                           const struct party *party, const struct traffic *traffic)
{
    struct ip ip, *servers;
    bool found = false;
    size_t n;

    if ((traffic->proto != IPPROTO_UDP && traffic->proto != IPPROTO_TCP) || traffic->port != DNS_PORT ||
        !party_address(party, traffic->family, &ip))
        return false;
    n = container_name_servers(inventory, subject, &servers);
    for (size_t i = 0; i < n; i++)
        found = found || ip_equal(servers[i], ip);
    free(servers);
    return found;
}

static bool peer_matches(const struct evaluation *with, const struct peer *peer, const struct party *subject,
                         const struct party *other, const struct traffic *traffic)
{
    switch (peer->kind) {
    case PEER_SELECTOR:
        return other->kind == PARTY_ENDPOINT &&
               selector_matches(&peer->selector, other->container, other->endpoint);
    case PEER_SAME:
        return is_same(subject->container, other, peer->same);
    case PEER_CIDR:
        return cidr_matches(peer, other, traffic->family);
    case PEER_ANY:
        return true;
    case PEER_INTERNET:
        return is_internet(other, traffic->family);
    case PEER_OUTSIDE:
        return other->kind == PARTY_OUTSIDE;
    case PEER_HOST:
        return other->kind == PARTY_HOST;
    case PEER_CONTAINERS:
        return other->kind == PARTY_ENDPOINT;
    case PEER_DNS:
        return is_name_server(with->inventory, subject->container, other, traffic);
    }
    return false;
}

bool rule_peers_match(const struct evaluation *with, const struct rule *rule, const struct party *subject,
                      const struct party *other, const struct traffic *traffic)
{
    for (size_t i = 0; i < rule->n_peers; i++) {
        if (peer_matches(with, &rule->peers[i], subject, other, traffic))
            return true;
    }
    return rule->n_peers == 0;
}

/* ---- verdicts ----------------------------------------------------------------------------------------- */

static const struct would_be in_force;

static bool counts(const struct would_be *would_be, const struct policy *policy)
{
    return policy->mode == MODE_ENFORCE || would_be->policies || would_be->one == policy;
}

static bool selects(const struct policy *policy, const struct would_be *would_be,
                    const struct container *container, const struct endpoint *endpoint)
{
    return counts(would_be, policy) && selector_matches(&policy->select, container, endpoint);
}

void policies_selecting(const struct evaluation *with, const struct container *container,
                        const struct endpoint *endpoint, struct selection *ret)
{
    *ret = (struct selection){0};
    for (size_t i = 0; i < with->policies->n_policies; i++) {
        const struct policy *policy = &with->policies->policies[i];

        if (selects(policy, &in_force, container, endpoint))
            *ARRAY_ADD(ret->v, ret->n) = policy;
    }
}

static struct side_verdict evaluate_side(const struct evaluation *with, const struct would_be *would_be,
                                         enum direction direction, const struct party *subject,
                                         const struct party *other, const struct traffic *traffic)
{
    struct side_verdict side = {.verdict = VERDICT_DENY, .reason = REASON_NO_POLICY};
    const struct selection *selection = would_be == &in_force ? subject->selection : NULL;

    if (subject->kind != PARTY_ENDPOINT)
        return (struct side_verdict){.verdict = VERDICT_ALLOW, .reason = REASON_NOT_SUBJECT};
    for (size_t i = 0; i < (selection ? selection->n : with->policies->n_policies); i++) {
        const struct policy *policy = selection ? selection->v[i] : &with->policies->policies[i];

        if (!selection && !selects(policy, would_be, subject->container, subject->endpoint))
            continue;
        if (side.reason == REASON_NO_POLICY)
            side.reason = REASON_NO_RULE;
        for (size_t j = 0; j < policy->n_rules[direction]; j++) {
            const struct rule *rule = &policy->rules[direction][j];

            if (!rule_ports_match(rule, traffic) || !rule_peers_match(with, rule, subject, other, traffic))
                continue;
            if (rule->deny)
                return (struct side_verdict){VERDICT_DENY, REASON_DENY_RULE, policy, rule};
            if (side.reason != REASON_RULE)
                side = (struct side_verdict){VERDICT_ALLOW, REASON_RULE, policy, rule};
        }
    }
    if (side.reason == REASON_NO_POLICY && with->settings->default_mode == MODE_AUDIT &&
        !would_be->default_mode)
        return (struct side_verdict){.verdict = VERDICT_ALLOW, .reason = REASON_DEFAULT_AUDIT};
    return side;
}

struct connection_verdict evaluate_staged(const struct evaluation *with, const struct would_be *would_be,
                                          const struct party *from, const struct party *to,
                                          const struct traffic *traffic)
{
    struct connection_verdict verdict = {
        .egress = evaluate_side(with, would_be, EGRESS, from, to, traffic),
        .ingress = evaluate_side(with, would_be, INGRESS, to, from, traffic),
    };

    verdict.verdict = verdict.egress.verdict == VERDICT_ALLOW && verdict.ingress.verdict == VERDICT_ALLOW
                          ? VERDICT_ALLOW
                          : VERDICT_DENY;
    return verdict;
}

struct connection_verdict evaluate(const struct evaluation *with, const struct party *from,
                                   const struct party *to, const struct traffic *traffic)
{
    return evaluate_staged(with, &in_force, from, to, traffic);
}
