/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which port of which bridge is whose, asked of the kernel. */
#include <errno.h>
#include <string.h>

#include "link/link.h"
#include "lockdown/inventory.h"

struct links {
    struct link *v;
    size_t n;
};

static void on_link(const struct link *link, bool gone, void *userdata)
{
    struct links *links = userdata;

    if (!gone)
        *ARRAY_ADD(links->v, links->n) = *link;
}

/* Before the links are listed again. */
static void on_reset(void *userdata)
{
    ((struct links *)userdata)->n = 0;
}

static const struct link *bridge_of(const struct links *links, const struct inventory *inventory,
                                    const struct endpoint *endpoint)
{
    const struct network *network = inventory_network(inventory, endpoint->network_id);

    for (size_t i = 0; network && network->bridge && i < links->n; i++)
        if (links->v[i].is_bridge && strcmp(links->v[i].name, network->bridge) == 0)
            return &links->v[i];
    return NULL;
}

static bool is_port_of(const struct link *link, const struct link *bridge)
{
    return link->is_veth && link->master == bridge->index;
}

static bool is_its_own(struct link_monitor *monitor, const struct link *link, const struct endpoint *endpoint)
{
    struct mac mac;

    return link_peer_mac(monitor, link, &mac) == 0 &&
           memcmp(mac.bytes, endpoint->mac.bytes, sizeof(mac.bytes)) == 0;
}

static void set_port(struct endpoint *endpoint, const struct link *link)
{
    memcpy(endpoint->port, link->name, IFNAMSIZ);
    endpoint->port_index = link->index;
}

/* The one that the daemon knew, as long as that is there: its name is this endpoint's alone, and within the container the MAC
 * may have been changed. */
static void find_port(struct link_monitor *monitor, const struct links *links, const struct link *bridge,
                      struct endpoint *endpoint)
{
    char known[IFNAMSIZ];

    memcpy(known, endpoint->port, IFNAMSIZ);
    endpoint->port[0] = '\0';
    for (size_t i = 0; i < links->n; i++)
        if (strcmp(links->v[i].name, known) == 0 && is_port_of(&links->v[i], bridge)) {
            set_port(endpoint, &links->v[i]);
            return;
        }
    for (size_t i = 0; endpoint->has_mac && i < links->n; i++)
        if (is_port_of(&links->v[i], bridge) && is_its_own(monitor, &links->v[i], endpoint)) {
            set_port(endpoint, &links->v[i]);
            return;
        }
}

int lock_ask_links(struct inventory *inventory,
                   bool (*wanted)(const struct container *container, void *userdata), void *userdata)
{
    _cleanup_(link_monitor_closep) struct link_monitor *monitor = NULL;
    struct links links = {0};
    int r = link_monitor_open(NULL, on_link, on_reset, &links, &monitor);

    for (struct container *c = inventory->containers; r == 0 && c; c = c->hh.next)
        for (size_t i = 0; wanted(c, userdata) && i < c->n_endpoints; i++) {
            const struct link *bridge = bridge_of(&links, inventory, &c->endpoints[i]);

            if (bridge && c->endpoints[i].id)
                find_port(monitor, &links, bridge, &c->endpoints[i]);
        }
    if (r == 0) {
        free(STEAL(inventory->host_addresses));
        inventory->n_host_addresses = 0;
        r = link_host_addresses(monitor, &inventory->host_addresses, &inventory->n_host_addresses);
    }
    free(links.v);
    return r;
}

int lock_open_bridges(const struct inventory *inventory,
                      bool (*wanted)(const struct container *container, void *userdata), void *userdata)
{
    static const struct bridge_switches on = {true, true, true};
    _cleanup_(link_monitor_closep) struct link_monitor *monitor = NULL;
    struct links links = {0};
    int r = link_require_br_netfilter();

    if (r == 0)
        r = link_monitor_open(NULL, on_link, on_reset, &links, &monitor);
    for (const struct container *c = inventory->containers; r == 0 && c; c = c->hh.next)
        for (size_t i = 0; wanted(c, userdata) && r == 0 && i < c->n_endpoints; i++) {
            const struct link *bridge = bridge_of(&links, inventory, &c->endpoints[i]);

            if (c->endpoints[i].id && bridge && !link_has_switches(bridge, &on))
                r = link_set_switches(monitor, bridge->index, &on);
        }
    free(links.v);
    return r;
}
