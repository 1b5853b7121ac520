/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "members.h"

#include <string.h>

#include "inventory/match.h"

/* ---- addresses ---------------------------------------------------------------------------------------- */

static void add_block(struct ip_ranges *set, const char *text, enum ip_family family)
{
    struct cidr cidr;

    if (cidr_parse(text, &cidr) == 0 && cidr.net.family == family)
        ip_ranges_add(set, cidr_range(&cidr));
}

/* Addresses of managed networks are containers' or nobody's, loopback and the unspecified address go nowhere. */
static void find_nowhere(struct roll *roll, enum ip_family family)
{
    static const char *const blocks[] = {"0.0.0.0/8", "127.0.0.0/8", "::/127"};
    const struct inventory *inventory = roll->with->inventory;
    struct ip_ranges *nowhere = &roll->nowhere[family];

    for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
        add_block(nowhere, blocks[i], family);
    for (const struct network *network = inventory->networks; network; network = network->hh.next)
        for (size_t i = 0; i < network->n_subnets; i++)
            if (network->subnets[i].net.family == family && network_is_enforced(inventory, network))
                ip_ranges_add(nowhere, cidr_range(&network->subnets[i]));
    for (size_t i = 0; i < inventory->n_host_addresses; i++)
        if (inventory->host_addresses[i].family == family)
            ip_ranges_add(nowhere, (struct ip_range){inventory->host_addresses[i].num,
                                                     inventory->host_addresses[i].num});
}

static void add_cut(struct roll *roll, enum ip_family family, struct ip_range range)
{
    *ARRAY_ADD(roll->cuts[family], roll->n_cuts[family]) = range.first;
    if (range.last < ip_max(family))
        *ARRAY_ADD(roll->cuts[family], roll->n_cuts[family]) = range.last + 1;
}

static void cut_at_peer(struct roll *roll, const struct peer *peer)
{
    if (peer->kind != PEER_CIDR)
        return;
    add_cut(roll, peer->cidr.net.family, cidr_range(&peer->cidr));
    for (size_t i = 0; i < peer->n_except; i++)
        add_cut(roll, peer->cidr.net.family, cidr_range(&peer->except[i]));
}

static void cut_at_name_servers(struct roll *roll, const struct container *container)
{
    _cleanup_free_ struct ip *servers = NULL;
    size_t n = container_name_servers(roll->with->inventory, container, &servers);

    for (size_t i = 0; i < n; i++)
        add_cut(roll, servers[i].family, (struct ip_range){servers[i].num, servers[i].num});
}

static void cut_at_internet(struct roll *roll, enum ip_family family)
{
    struct ip_ranges internet = {0};

    ip_ranges_add_internet(&internet, family);
    for (size_t i = 0; i < internet.n; i++)
        add_cut(roll, family, internet.v[i]);
    ip_ranges_clear(&internet);
}

static int compare_numbers(const void *a, const void *b)
{
    ipnum x = *(const ipnum *)a, y = *(const ipnum *)b;

    return (x > y) - (x < y);
}

/* Sorts them and leaves each in once. */
static void sort_cuts(ipnum *cuts, size_t *n)
{
    size_t kept = 0;

    qsort(cuts, *n, sizeof(*cuts), compare_numbers);
    for (size_t i = 0; i < *n; i++)
        if (!kept || cuts[i] != cuts[kept - 1])
            cuts[kept++] = cuts[i];
    *n = kept;
}

static void find_cuts(struct roll *roll)
{
    const struct policy_set *set = roll->with->policies;

    for (size_t p = 0; p < set->n_policies; p++)
        for (enum direction d = 0; d < DIRECTIONS; d++)
            for (size_t r = 0; r < set->policies[p].n_rules[d]; r++)
                for (size_t i = 0; i < set->policies[p].rules[d][r].n_peers; i++)
                    cut_at_peer(roll, &set->policies[p].rules[d][r].peers[i]);
    for (size_t i = 0; i < roll->n_containers; i++)
        cut_at_name_servers(roll, roll->containers[i]);
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        cut_at_internet(roll, family);
        sort_cuts(roll->cuts[family], &roll->n_cuts[family]);
    }
}

struct ip_ranges peer_outside(const struct roll *roll, const struct peer *peer, enum ip_family family)
{
    struct ip_ranges ranges = {0}, holes = {0};

    switch (peer->kind) {
    case PEER_CIDR:
        if (peer->cidr.net.family == family)
            ip_ranges_add(&ranges, cidr_range(&peer->cidr));
        for (size_t i = 0; ranges.n && i < peer->n_except; i++)
            ip_ranges_add(&holes, cidr_range(&peer->except[i]));
        break;
    case PEER_INTERNET:
        ip_ranges_add_internet(&ranges, family);
        break;
    case PEER_ANY:
    case PEER_OUTSIDE:
        ip_ranges_fill(&ranges, family);
        break;
    case PEER_SELECTOR:
    case PEER_SAME:
    case PEER_HOST:
    case PEER_CONTAINERS:
    case PEER_DNS:
        break;
    }
    ip_ranges_subtract(&ranges, &holes);
    ip_ranges_subtract(&ranges, &roll->nowhere[family]);
    ip_ranges_clear(&holes);
    return ranges;
}

/* ---- the roll ----------------------------------------------------------------------------------------- */

static int compare_containers(const void *a, const void *b)
{
    const struct container *x = *(struct container *const *)a, *y = *(struct container *const *)b;
    int r = strcmp(x->name ?: "", y->name ?: "");

    return r ?: strcmp(x->id, y->id);
}

static void list_containers(struct roll *roll)
{
    for (const struct container *c = roll->with->inventory->containers; c; c = c->hh.next)
        *ARRAY_ADD(roll->containers, roll->n_containers) = c;
    if (roll->n_containers)
        qsort(roll->containers, roll->n_containers, sizeof(*roll->containers), compare_containers);
}

static void list_selections(struct roll *roll)
{
    size_t n = 0;

    for (size_t i = 0; i < roll->n_containers; i++)
        n += roll->containers[i]->n_endpoints;
    roll->selections = xcalloc(n, sizeof(*roll->selections));
    roll->first_selection = xcalloc(roll->n_containers, sizeof(*roll->first_selection));
    n = 0;
    for (size_t i = 0; i < roll->n_containers; i++) {
        const struct container *container = roll->containers[i];

        roll->first_selection[i] = n;
        for (size_t e = 0; e < container->n_endpoints; e++)
            policies_selecting(roll->with, container, &container->endpoints[e], &roll->selections[n++]);
    }
}

void roll_init(struct roll *roll, const struct evaluation *with)
{
    *roll = (struct roll){.with = with};
    list_containers(roll);
    list_selections(roll);
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        find_nowhere(roll, family);
    find_cuts(roll);
}

void roll_clear(struct roll *roll)
{
    for (size_t i = 0, n = 0; i < roll->n_containers; i++)
        for (size_t e = 0; e < roll->containers[i]->n_endpoints; e++)
            free(roll->selections[n++].v);
    free(roll->selections);
    free(roll->first_selection);
    free(roll->containers);
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        ip_ranges_clear(&roll->nowhere[family]);
        free(roll->cuts[family]);
    }
}

const struct selection *roll_selection(const struct roll *roll, const struct container *container,
                                       size_t endpoint)
{
    const struct container **found = bsearch(&container, roll->containers, roll->n_containers,
                                             sizeof(*roll->containers), compare_containers);

    return &roll->selections[roll->first_selection[found - roll->containers] + endpoint];
}

/* ---- members ------------------------------------------------------------------------------------------ */

static struct member *add_member(struct members *members)
{
    return ARRAY_ADD(members->v, members->n);
}

/* The container's ends; with a selector only those of the endpoints that it means. */
static void add_ends(const struct roll *roll, const struct container *container,
                     const struct selector *selector, struct ends *ends)
{
    for (size_t i = 0; i < container->n_endpoints; i++) {
        const struct endpoint *endpoint = &container->endpoints[i];
        size_t before = ends->n;

        if (selector && !selector_matches(selector, container, endpoint))
            continue;
        for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
            ends_add_endpoint(roll->with->inventory, container, endpoint, family, ends);
        for (size_t n = before; n < ends->n; n++)
            if (ends->v[n].party.kind == PARTY_ENDPOINT)
                ends->v[n].party.selection = roll_selection(roll, container, i);
    }
}

static void add_host_ends(struct ends *ends)
{
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        *ARRAY_ADD(ends->v, ends->n) = (struct end){.party = {.kind = PARTY_HOST}, .family = family};
}

/* A container that the peer names: what it has no network of its own for is decided by whose network it is in. */
static void add_selected(const struct roll *roll, const struct container *container,
                         const struct selector *selector, struct members *members)
{
    const struct container *owner = container_network_owner(roll->with->inventory, container);
    struct member member = {.container = owner, .named = container};

    if (!owner || !selector_means(selector, container))
        return;
    if (owner->mode == NETMODE_HOST)
        add_host_ends(&member.ends);
    else
        add_ends(roll, owner, owner == container ? selector : NULL, &member.ends);
    *add_member(members) = member;
}

/* Every container that is one to the policies: neither the host's network nor one that is not managed makes it one. */
static void add_container(const struct roll *roll, const struct container *container, struct members *members)
{
    struct member member = {.container = container, .named = container};
    size_t kept = 0;

    add_ends(roll, container, NULL, &member.ends);
    for (size_t i = 0; i < member.ends.n; i++)
        if (member.ends.v[i].party.kind == PARTY_ENDPOINT)
            member.ends.v[kept++] = member.ends.v[i];
    member.ends.n = kept;
    *add_member(members) = member;
}

static void add_address(struct ends *ends, enum ip_family family, ipnum first, ipnum last)
{
    /* Of a whole block, its second address: the first reads as the block itself. */
    struct ip ip = {.num = first + (last > first && (first & 0xff) == 0), .family = family};

    *ARRAY_ADD(ends->v, ends->n) =
        (struct end){.party = {.kind = PARTY_OUTSIDE, .ip = ip, .has_ip = true}, .family = family};
}

static void add_outside_ends(const struct roll *roll, const struct peer *peer, enum ip_family family,
                             struct ends *ends)
{
    struct ip_ranges ranges = peer_outside(roll, peer, family);

    for (size_t i = 0; i < ranges.n; i++) {
        ipnum first = ranges.v[i].first;

        for (size_t c = 0; c < roll->n_cuts[family]; c++) {
            ipnum cut = roll->cuts[family][c];

            if (cut <= first || cut > ranges.v[i].last)
                continue;
            add_address(ends, family, first, cut - 1);
            first = cut;
        }
        add_address(ends, family, first, ranges.v[i].last);
    }
    ip_ranges_clear(&ranges);
}

static void add_outside(const struct roll *roll, const struct peer *peer, struct members *members)
{
    struct member *member = add_member(members);

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        add_outside_ends(roll, peer, family, &member->ends);
}

void members_find(const struct roll *roll, const struct peer *peer, struct members *ret)
{
    bool any = peer->kind == PEER_ANY;

    *ret = (struct members){};
    for (size_t i = 0; i < roll->n_containers; i++) {
        if (peer->kind == PEER_SELECTOR)
            add_selected(roll, roll->containers[i], &peer->selector, ret);
        else if (peer->kind == PEER_CONTAINERS || any)
            add_container(roll, roll->containers[i], ret);
    }
    if (peer->kind == PEER_HOST || any)
        add_host_ends(&add_member(ret)->ends);
    if (peer->kind == PEER_CIDR || peer->kind == PEER_INTERNET || peer->kind == PEER_OUTSIDE || any)
        add_outside(roll, peer, ret);
}

void members_clear(struct members *members)
{
    for (size_t i = 0; i < members->n; i++)
        ends_clear(&members->v[i].ends);
    free(members->v);
    *members = (struct members){};
}
