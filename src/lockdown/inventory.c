/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lockdown/inventory.h"

#include <string.h>

static void forget_endpoint(struct endpoint *endpoint)
{
    free(STEAL(endpoint->id));
    endpoint->has_mac = endpoint->has_ip[IP4] = endpoint->has_ip[IP6] = false;
    endpoint->port[0] = '\0';
    endpoint->port_index = 0;
}

void inventory_forget_live(struct inventory *inventory)
{
    for (struct container *c = inventory->containers; c; c = c->hh.next) {
        c->running = false;
        for (size_t i = 0; i < c->n_endpoints; i++)
            forget_endpoint(&c->endpoints[i]);
    }
}

static void keep_ports(const struct container *old, struct container *new)
{
    for (size_t i = 0; i < new->n_endpoints; i++)
        for (size_t j = 0; new->endpoints[i].id &&j < old->n_endpoints; j++)
            if (old->endpoints[j].id && strcmp(old->endpoints[j].id, new->endpoints[i].id) == 0)
                memcpy(new->endpoints[i].port, old->endpoints[j].port, IFNAMSIZ);
}

/* What only an inspection tells, and does not change as long as the container is there. */
static void keep_powers(struct container *old, struct container *new)
{
    new->privileged = old->privileged;
    new->net_admin = old->net_admin;
    new->own_kernel = old->own_kernel;
    new->dns_known = old->dns_known;
    new->dns = STEAL(old->dns);
    new->n_dns = old->n_dns;
    old->n_dns = 0;
    if (!new->image)
        new->image = STEAL(old->image);
}

static bool is_listed(const struct container_list *list, const char *id)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i]->id, id) == 0)
            return true;
    return false;
}

static void freshen_containers(struct inventory *inventory, struct container_list *list)
{
    struct container *c, *next;

    HASH_ITER (hh, inventory->containers, c, next)
        if (!is_listed(list, c->id))
            inventory_drop_container(inventory, c->id);
    for (size_t i = 0; i < list->n; i++) {
        struct container *old = inventory_container(inventory, list->v[i]->id);

        if (old) {
            keep_ports(old, list->v[i]);
            keep_powers(old, list->v[i]);
        }
        inventory_put_container(inventory, STEAL(list->v[i]));
    }
}

static void freshen_networks(struct inventory *inventory, struct network_list *list,
                             const struct settings *settings)
{
    struct network *network, *next;

    HASH_ITER (hh, inventory->networks, network, next) {
        bool listed = false;

        for (size_t i = 0; i < list->n; i++)
            listed = listed || strcmp(list->v[i]->id, network->id) == 0;
        if (!listed)
            inventory_drop_network(inventory, network->id);
    }
    for (size_t i = 0; i < list->n; i++) {
        const struct network *old = inventory_network(inventory, list->v[i]->id);

        network_decide_managed(list->v[i], settings);
        list->v[i]->elsewhere = old && old->elsewhere;
        inventory_put_network(inventory, STEAL(list->v[i]));
    }
}

void inventory_freshen(struct inventory *inventory, struct container_list *containers,
                       struct network_list *networks, const struct settings *settings)
{
    freshen_networks(inventory, networks, settings);
    freshen_containers(inventory, containers);
}
