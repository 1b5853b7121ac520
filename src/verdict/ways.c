/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ways.h"

#include <string.h>

#define SHARED_NETWORK_HOPS 8 /* container:x whose x is container:y; a longer chain is a mistake or a loop */

void ends_clear(struct ends *ends)
{
    free(ends->v);
    *ends = (struct ends){};
}

const struct container *container_network_owner(const struct inventory *inventory,
                                                const struct container *container)
{
    const struct container *owner = container;

    for (int hops = 0; owner->mode == NETMODE_CONTAINER; hops++)
        if (hops == SHARED_NETWORK_HOPS || !owner->mode_target ||
            inventory_find(inventory, owner->mode_target, &owner) < 0)
            return NULL;
    return owner;
}

/* By ID; a container that never ran may name its networks without one. */
static const struct network *network_of(const struct inventory *inventory, const struct endpoint *endpoint)
{
    const struct network *network, *next;

    if (endpoint->network_id && *endpoint->network_id)
        return inventory_network(inventory, endpoint->network_id);
    HASH_ITER (hh, inventory->networks, network, next) {
        if (network->name && endpoint->network_name && strcmp(network->name, endpoint->network_name) == 0)
            return network;
    }
    return NULL;
}

bool network_is_enforced(const struct inventory *inventory, const struct network *network)
{
    _cleanup_free_ char *reason = network ? network_unenforced_reason(inventory, network) : NULL;

    return network && !reason;
}

void ends_add_endpoint(const struct inventory *inventory, const struct container *container,
                       const struct endpoint *endpoint, enum ip_family family, struct ends *ends)
{
    const struct network *network = network_of(inventory, endpoint);
    bool expected = !endpoint->id && (family == IP4 || (network && network->ipv6));
    struct end end = {.family = family, .network = network};

    if (!endpoint->has_ip[family] && !expected)
        return;
    if (network_is_enforced(inventory, network))
        end.party = (struct party){.kind = PARTY_ENDPOINT, .container = container, .endpoint = endpoint};
    else if (endpoint->has_ip[family])
        end.party = (struct party){.kind = PARTY_OUTSIDE};
    else
        return;
    end.party.ip = endpoint->ip[family];
    end.party.has_ip = endpoint->has_ip[family];
    *ARRAY_ADD(ends->v, ends->n) = end;
}

static bool is_bridge(const struct network *network)
{
    return network && network->driver && strcmp(network->driver, "bridge") == 0;
}

static bool are_isolated(const struct network *from, const struct network *to, enum ip_family family)
{
    return from != to && !(family == IP6 && from->ipv6_open && to->ipv6_open);
}

/* Docker's own rules: no traffic between its networks, managed or not, none between an internal network and the outside. */
static bool docker_blocks(const struct explain_way *way, const struct end *from, const struct end *to)
{
    if ((way->network_from && way->network_to) || (is_bridge(from->network) && is_bridge(to->network)))
        return are_isolated(from->network, to->network, way->family);
    return (way->from.kind == PARTY_OUTSIDE && way->network_to && way->network_to->internal) ||
           (way->to.kind == PARTY_OUTSIDE && way->network_from && way->network_from->internal);
}

struct explain_way way_between(const struct end *from, const struct end *to)
{
    struct explain_way way = {.from = from->party, .to = to->party, .family = from->family};

    if (way.from.kind == PARTY_ENDPOINT)
        way.network_from = from->network;
    if (way.to.kind == PARTY_ENDPOINT)
        way.network_to = to->network;
    way.shared = way.network_from && way.network_from == way.network_to;
    way.docker_blocks = docker_blocks(&way, from, to);
    return way;
}
