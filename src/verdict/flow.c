// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many flows have few distinct answers. What an answer depends on is the pair of endpoints, or one endpoint and a
 * stretch of addresses that no rule tells apart, and a stretch of ports likewise; it is worked out once for each by
 * the evaluator, and remembered.
 */
#include "verdict/flow.h"

#include <netinet/in.h>
#include <string.h>

#include <uthash.h>

#define DECISIONS_MAX 65536 /* remembered at once: some 8 MiB */
#define DNS_PORT 53
#define BOOTPS_PORT 67         /* RFC 2131 */
#define DHCPV6_SERVER_PORT 547 /* RFC 8415 */

enum who {
    WHO_ENDPOINT,
    WHO_HOST,
    WHO_OUTSIDE,
    WHO_UNKNOWN,    /* an address on a managed network that is nobody's */
    WHO_LINK_LOCAL, /* an IPv6 address that says nothing about which link it is on */
    WHO_GROUP,      /* broadcast and multicast: what comes in for one is the host's */
};

/* What is known of one address by itself. */
struct address {
    struct ip_key key;
    enum who who;
    const struct container *container; /* WHO_ENDPOINT */
    const struct endpoint *endpoint;   /* WHO_ENDPOINT */
    struct selection selection;        /* WHO_ENDPOINT */
    UT_hash_handle hh;                 /* by key */
};

struct end {
    enum who who;
    const struct address *address; /* NULL: known by its range alone */
    struct ip ip;
};

struct decision {
    struct decision_key {
        const struct address *from, *to; /* NULL unless an endpoint */
        size_t stretch;                  /* of the end that is none */
        size_t ports;
        uint8_t from_who, to_who, family, proto;
    } key;
    enum verdict verdict;
    UT_hash_handle hh; /* by key */
};

/* Where something may be decided otherwise than right before it; sorted, each once. */
struct cuts {
    ipnum *v;
    size_t n;
};

struct flow_judge {
    struct evaluation with;
    struct address *addresses;
    struct ip_ranges subnets[IP_FAMILIES]; /* of managed networks */
    struct ip_ranges internet[IP_FAMILIES];
    struct cuts cuts[IP_FAMILIES];
    struct cuts port_cuts;
    struct decision *decisions;
};

/* ---- cuts --------------------------------------------------------------------------------------------- */

static void cut_range(struct cuts *cuts, ipnum first, ipnum last, ipnum max)
{
    *ARRAY_ADD(cuts->v, cuts->n) = first;
    if (last < max)
        *ARRAY_ADD(cuts->v, cuts->n) = last + 1;
}

static void cut_block(struct flow_judge *judge, const struct cidr *cidr)
{
    struct ip_range range = cidr_range(cidr);

    cut_range(&judge->cuts[cidr->net.family], range.first, range.last, ip_max(cidr->net.family));
}

static void cut_rule(struct flow_judge *judge, const struct rule *rule)
{
    for (size_t i = 0; i < rule->n_peers; i++) {
        const struct peer *peer = &rule->peers[i];

        if (peer->kind != PEER_CIDR)
            continue;
        cut_block(judge, &peer->cidr);
        for (size_t j = 0; j < peer->n_except; j++)
            cut_block(judge, &peer->except[j]);
    }
    for (size_t i = 0; i < rule->n_ports; i++) {
        if (rule->ports[i].kind != PORT_ICMP)
            cut_range(&judge->port_cuts, rule->ports[i].first, rule->ports[i].last, UINT16_MAX);
    }
}

static void cut_policies(struct flow_judge *judge)
{
    const struct policy_set *set = judge->with.policies;

    cut_range(&judge->port_cuts, DNS_PORT, DNS_PORT, UINT16_MAX);
    for (size_t i = 0; i < set->n_policies; i++) {
        for (size_t direction = 0; direction < DIRECTIONS; direction++) {
            for (size_t j = 0; j < set->policies[i].n_rules[direction]; j++)
                cut_rule(judge, &set->policies[i].rules[direction][j]);
        }
    }
}

static void cut_name_servers(struct flow_judge *judge, const struct container *container)
{
    _cleanup_free_ struct ip *servers = NULL;
    size_t n = container_name_servers(judge->with.inventory, container, &servers);

    for (size_t i = 0; i < n; i++)
        cut_range(&judge->cuts[servers[i].family], servers[i].num, servers[i].num, ip_max(servers[i].family));
}

static int compare_cuts(const void *a, const void *b)
{
    const ipnum *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void cuts_finish(struct cuts *cuts)
{
    size_t kept = 0;

    if (cuts->n > 1)
        qsort(cuts->v, cuts->n, sizeof(*cuts->v), compare_cuts);
    for (size_t i = 0; i < cuts->n; i++) {
        if (i == 0 || cuts->v[i] != cuts->v[kept - 1])
            cuts->v[kept++] = cuts->v[i];
    }
    cuts->n = kept;
}

/* The stretch between two cuts that the number is in: how many cuts lie at or before it. */
static size_t stretch_of(const struct cuts *cuts, ipnum num)
{
    size_t low = 0, high = cuts->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (cuts->v[middle] <= num)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- whose address ------------------------------------------------------------------------------------ */

static struct address *find_address(const struct flow_judge *judge, struct ip ip)
{
    struct ip_key key = ip_key(ip);
    struct address *address;

    HASH_FIND(hh, judge->addresses, &key, sizeof(key), address);
    return address;
}

static struct address *add_address(struct flow_judge *judge, struct ip ip, enum who who)
{
    struct address *address = xnew(struct address);

    address->key = ip_key(ip);
    address->who = who;
    HASH_ADD(hh, judge->addresses, key, sizeof(address->key), address);
    return address;
}

static void add_endpoint(struct flow_judge *judge, const struct container *container,
                         const struct endpoint *endpoint, struct ip ip)
{
    struct address *address = find_address(judge, ip);

    /* One of the two has ended, and whose policies count cannot be told. */
    if (address) {
        address->who = WHO_UNKNOWN;
        return;
    }
    address = add_address(judge, ip, WHO_ENDPOINT);
    address->container = container;
    address->endpoint = endpoint;
    policies_selecting(&judge->with, container, endpoint, &address->selection);
}

static bool is_enforced(const struct inventory *inventory, const struct endpoint *endpoint)
{
    const struct network *network =
        endpoint->network_id ? inventory_network(inventory, endpoint->network_id) : NULL;

    return endpoint->id && network && network->managed;
}

static void add_container(struct flow_judge *judge, const struct container *container)
{
    for (size_t i = 0; container->running && i < container->n_endpoints; i++) {
        const struct endpoint *endpoint = &container->endpoints[i];

        if (!is_enforced(judge->with.inventory, endpoint))
            continue;
        for (size_t family = 0; family < IP_FAMILIES; family++) {
            if (endpoint->has_ip[family])
                add_endpoint(judge, container, endpoint, endpoint->ip[family]);
        }
        cut_name_servers(judge, container);
    }
}

static void add_network(struct flow_judge *judge, const struct network *network)
{
    for (size_t i = 0; network->managed && i < network->n_subnets; i++) {
        const struct cidr *subnet = &network->subnets[i];
        struct ip_range range = cidr_range(subnet);
        struct ip last = {.num = range.last, .family = subnet->net.family};

        ip_ranges_add(&judge->subnets[subnet->net.family], range);
        /* RFC 3021: a network of two addresses has no broadcast address. */
        if (subnet->net.family == IP4 && subnet->len <= 30 && !find_address(judge, last))
            add_address(judge, last, WHO_GROUP);
    }
}

static bool is_link_local(struct ip ip)
{
    return ip.family == IP6 && ip.num >> 118 == 0xfe80 >> 6;
}

static struct end end_of(const struct flow_judge *judge, struct ip ip)
{
    struct end end = {.who = WHO_OUTSIDE, .address = find_address(judge, ip), .ip = ip};

    if (end.address)
        end.who = end.address->who;
    else if (ip_is_group(ip))
        end.who = WHO_GROUP;
    else if (ip_ranges_contain(&judge->subnets[ip.family], ip.num))
        end.who = WHO_UNKNOWN;
    else if (ip_is_loopback(ip))
        end.who = WHO_HOST;
    else if (is_link_local(ip))
        end.who = WHO_LINK_LOCAL;
    return end;
}

/* ---- making and freeing ------------------------------------------------------------------------------- */

struct flow_judge *flow_judge_new(const struct evaluation *with)
{
    struct flow_judge *judge = xnew(struct flow_judge);
    const struct inventory *inventory = with->inventory;

    judge->with = *with;
    cut_policies(judge);
    for (const struct container *container = inventory->containers; container; container = container->hh.next)
        add_container(judge, container);
    for (size_t i = 0; i < inventory->n_host_addresses; i++) {
        if (!find_address(judge, inventory->host_addresses[i]))
            add_address(judge, inventory->host_addresses[i], WHO_HOST);
    }
    for (const struct network *network = inventory->networks; network; network = network->hh.next)
        add_network(judge, network);
    for (size_t family = 0; family < IP_FAMILIES; family++) {
        struct ip_ranges *internet = &judge->internet[family];

        ip_ranges_add_internet(internet, (enum ip_family)family);
        for (size_t i = 0; i < internet->n; i++)
            cut_range(&judge->cuts[family], internet->v[i].first, internet->v[i].last,
                      ip_max((enum ip_family)family));
        cuts_finish(&judge->cuts[family]);
    }
    cuts_finish(&judge->port_cuts);
    return judge;
}

static void forget_decisions(struct flow_judge *judge)
{
    struct decision *decision, *next;

    HASH_ITER (hh, judge->decisions, decision, next) {
        HASH_DEL(judge->decisions, decision);
        free(decision);
    }
}

struct flow_judge *flow_judge_free(struct flow_judge *judge)
{
    struct address *address, *next;

    if (!judge)
        return NULL;
    forget_decisions(judge);
    HASH_ITER (hh, judge->addresses, address, next) {
        HASH_DEL(judge->addresses, address);
        free(address->selection.v);
        free(address);
    }
    for (size_t family = 0; family < IP_FAMILIES; family++) {
        ip_ranges_clear(&judge->subnets[family]);
        ip_ranges_clear(&judge->internet[family]);
        free(judge->cuts[family].v);
    }
    free(judge->port_cuts.v);
    free(judge);
    return NULL;
}

/* ---- judging ------------------------------------------------------------------------------------------ */

static struct party party_of(const struct end *end)
{
    switch (end->who) {
    case WHO_ENDPOINT:
        return (struct party){.kind = PARTY_ENDPOINT,
                              .container = end->address->container,
                              .endpoint = end->address->endpoint,
                              .selection = &end->address->selection};
    case WHO_HOST:
        return (struct party){.kind = PARTY_HOST, .ip = end->ip, .has_ip = true};
    case WHO_GROUP:
        return (struct party){.kind = PARTY_HOST};
    case WHO_OUTSIDE:
    case WHO_UNKNOWN:
    case WHO_LINK_LOCAL:
        break;
    }
    return (struct party){.kind = PARTY_OUTSIDE, .ip = end->ip, .has_ip = true};
}

/* The ports that no rule tells apart; for ICMP each type by itself. */
static size_t ports_of(const struct flow_judge *judge, const struct traffic *traffic)
{
    switch (traffic->proto) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
        return stretch_of(&judge->port_cuts, traffic->port);
    default:
        return traffic->port;
    }
}

static struct decision_key decision_key(const struct flow_judge *judge, const struct end *from,
                                        const struct end *to, const struct traffic *traffic)
{
    const struct end *other = from->who == WHO_ENDPOINT ? to : from;
    struct decision_key key;

    memset(&key, 0, sizeof(key)); /* padding is part of a hash key */
    key.from = from->who == WHO_ENDPOINT ? from->address : NULL;
    key.to = to->who == WHO_ENDPOINT ? to->address : NULL;
    key.stretch = other->who == WHO_ENDPOINT ? 0 : stretch_of(&judge->cuts[other->ip.family], other->ip.num);
    key.ports = ports_of(judge, traffic);
    key.from_who = (uint8_t)from->who;
    key.to_who = (uint8_t)to->who;
    key.family = (uint8_t)traffic->family;
    key.proto = traffic->proto;
    return key;
}

static enum verdict decide(struct flow_judge *judge, const struct end *from, const struct end *to,
                           const struct traffic *traffic)
{
    struct decision_key key = decision_key(judge, from, to, traffic);
    struct party source, destination;
    struct decision *decision;

    HASH_FIND(hh, judge->decisions, &key, sizeof(key), decision);
    if (decision)
        return decision->verdict;
    if (HASH_COUNT(judge->decisions) >= DECISIONS_MAX)
        forget_decisions(judge);
    source = party_of(from);
    destination = party_of(to);
    decision = xnew(struct decision);
    decision->key = key;
    decision->verdict = evaluate(&judge->with, &source, &destination, traffic).verdict;
    HASH_ADD(hh, judge->decisions, key, sizeof(decision->key), decision);
    return decision->verdict;
}

/* One of them has no owner: it may at most open connections to the internet, and that only where the settings say
 * so. */
static bool unknown_may(const struct flow_judge *judge, const struct end *to)
{
    return judge->with.settings->unknown_endpoints == UNKNOWN_INTERNET && to->who == WHO_OUTSIDE &&
           ip_ranges_contain(&judge->internet[to->ip.family], to->ip.num);
}

/* The rules let no container answer as a DHCP server, whatever the policies grant. */
static bool is_dhcp_server(const struct end *from, const struct flow *flow)
{
    return from->who == WHO_ENDPOINT && flow->proto == IPPROTO_UDP &&
           (flow->original.source_port == BOOTPS_PORT || flow->original.source_port == DHCPV6_SERVER_PORT);
}

/* Nor does anybody but the host reach its loopback address, or what is published there. */
static bool is_for_the_host_alone(const struct end *from, const struct flow *flow)
{
    return from->who != WHO_HOST && ip_is_loopback(flow->original.destination);
}

static bool is_ours(const struct end *end)
{
    return end->who == WHO_ENDPOINT || end->who == WHO_UNKNOWN;
}

static struct traffic traffic_of(const struct flow *flow)
{
    bool icmp = flow->proto == IPPROTO_ICMP || flow->proto == IPPROTO_ICMPV6;

    return (struct traffic){.family = flow->family,
                            .proto = flow->proto,
                            .port = icmp ? flow->icmp_type : flow->reply.source_port};
}

/* Which of the two it is can depend on the other end. */
static void settle_ends(struct end *from, struct end *to)
{
    if (from->who == WHO_GROUP) /* nobody's as a source; on a managed network if it is known by itself */
        from->who = from->address ? WHO_UNKNOWN : WHO_OUTSIDE;
    if (to->who == WHO_GROUP && to->address && from->who == WHO_HOST)
        to->who = WHO_UNKNOWN; /* the host's own broadcasts into a managed network are refused */
    /* Link-local packets are never forwarded: they are on the managed link that the other end is on. */
    if (from->who == WHO_LINK_LOCAL && is_ours(to))
        from->who = WHO_UNKNOWN;
    if (to->who == WHO_LINK_LOCAL && is_ours(from))
        to->who = WHO_UNKNOWN;
}

enum flow_fate flow_judge(struct flow_judge *judge, const struct flow *flow)
{
    struct traffic traffic = traffic_of(flow);
    struct end from, to;

    if (!flow_in_default_zone(flow))
        return FLOW_FOREIGN;
    from = end_of(judge, flow->original.source);
    to = end_of(judge, flow->reply.source);
    settle_ends(&from, &to);
    if (!is_ours(&from) && !is_ours(&to))
        return FLOW_FOREIGN;
    if (from.who == WHO_UNKNOWN || to.who == WHO_UNKNOWN)
        return unknown_may(judge, &to) ? FLOW_ALLOWED : FLOW_DENIED;
    if (flow->expected || is_dhcp_server(&from, flow) || is_for_the_host_alone(&from, flow))
        return FLOW_DENIED;
    return decide(judge, &from, &to, &traffic) == VERDICT_ALLOW ? FLOW_ALLOWED : FLOW_DENIED;
}

bool flow_touches(const struct flow *flow, const struct ip *addresses, size_t n)
{
    const struct ip own[] = {flow->original.source, flow->original.destination, flow->reply.source,
                             flow->reply.destination};

    for (size_t i = 0; n && i < ARRAY_SIZE(own); i++) {
        if (bsearch(&own[i], addresses, n, sizeof(*addresses), ip_compare))
            return true;
    }
    return false;
}
