/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is enforced and what cannot be: managed networks, and containers that have none. */
#include <string.h>

#include "inventory/inventory.h"
#include "policy/settings.h"

/* "container:" chains are one long; this is only against a ring in bad data. */
#define FOLLOW_MAX 8

#define ROOTLESS "the Docker Engine is rootless, and its bridges are where these rules are not"

static bool listed(const char *name, char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static char *unmanaged_reason(const struct network *network, const struct settings *settings)
{
    const char *driver = network->driver ? network->driver : "";
    const char *name = network->name ? network->name : "";

    if (strcmp(driver, "bridge") != 0)
        return xasprintf("its driver is %s, not bridge", driver[0] ? driver : "unknown");
    if (network->scope && strcmp(network->scope, "local") != 0)
        return xasprintf("its scope is %s, not local", network->scope);
    if (strcmp(name, "docker_gwbridge") == 0)
        return xstrdup("it is Swarm's own, and the Engine does not say whose its addresses are");
    if (!network->bridge)
        return xstrdup("the Engine does not say which bridge is its");
    if (listed(name, settings->unmanaged, settings->n_unmanaged))
        return xstrdup("the settings list it under networks: unmanaged");
    if (!settings->managed_all && !listed(name, settings->managed, settings->n_managed))
        return xstrdup("the settings do not list it under networks: managed");
    return NULL;
}

void network_decide_managed(struct network *network, const struct settings *settings)
{
    free(network->unmanaged_reason);
    network->unmanaged_reason = unmanaged_reason(network, settings);
    network->managed = !network->unmanaged_reason;
}

char *network_unenforced_reason(const struct inventory *inventory, const struct network *network)
{
    if (!network->managed)
        return xstrdup(network->unmanaged_reason ? network->unmanaged_reason : "not decided yet");
    if (inventory->rootless)
        return xstrdup(ROOTLESS);
    if (network->elsewhere)
        return xasprintf("its bridge %s is not in this network namespace", network->bridge);
    return NULL;
}

/* By ID; a container that never ran may name its networks without one. */
static const struct network *endpoint_network(const struct inventory *inventory,
                                              const struct endpoint *endpoint)
{
    if (endpoint->network_id && endpoint->network_id[0])
        return inventory_network(inventory, endpoint->network_id);
    for (const struct network *n = inventory->networks; n; n = n->hh.next)
        if (n->name && endpoint->network_name && strcmp(n->name, endpoint->network_name) == 0)
            return n;
    return NULL;
}

static const char *endpoint_network_name(const struct endpoint *endpoint)
{
    if (endpoint->network_name && endpoint->network_name[0])
        return endpoint->network_name;
    return endpoint->network_id ? endpoint->network_id : "?";
}

static char *endpoint_reason(const struct inventory *inventory, const struct endpoint *endpoint)
{
    const struct network *network = endpoint_network(inventory, endpoint);
    const char *name = endpoint_network_name(endpoint);

    if (!network)
        return xasprintf("is on network %s, which is not known", name);
    if (network->managed && !network->elsewhere)
        return NULL;
    _cleanup_free_ char *reason = network_unenforced_reason(inventory, network);
    return xasprintf("is on network %s%s: %s", name, network->managed ? "" : ", which is not managed",
                     reason);
}

static char *networks_reason(const struct inventory *inventory, const struct container *container)
{
    for (size_t i = 0; i < container->n_endpoints; i++) {
        char *reason = endpoint_reason(inventory, &container->endpoints[i]);

        if (reason)
            return reason;
    }
    return NULL;
}

static bool may_change_network(const struct container *container)
{
    return container->privileged || container->net_admin;
}

static char *follow_reason(const struct inventory *inventory, const struct container *container,
                           unsigned depth);

static char *shared_reason(const struct inventory *inventory, const struct container *container,
                           unsigned depth)
{
    const char *word = container->mode_target ? container->mode_target : "";
    const struct container *target;
    _cleanup_free_ char *reason = NULL;

    if (inventory_find(inventory, word, &target) < 0)
        return xasprintf("shares the network of container %s, which is not known", word);
    if (depth >= FOLLOW_MAX)
        return xstrdup("shares its network in a ring of containers");
    reason = follow_reason(inventory, target, depth + 1);
    if (!reason)
        return NULL;
    return xasprintf("shares the network of container %s, which %s", target->name ? target->name : target->id,
                     reason);
}

static char *follow_reason(const struct inventory *inventory, const struct container *container,
                           unsigned depth)
{
    switch (container->mode) {
    case NETMODE_NONE:
        return NULL;
    case NETMODE_HOST:
        return xstrdup(may_change_network(container)
                           ? "uses the host's network, and may change it and these rules (CAP_NET_ADMIN)"
                           : "uses the host's network");
    case NETMODE_CONTAINER:
        return shared_reason(inventory, container, depth);
    case NETMODE_BRIDGE:
        return networks_reason(inventory, container);
    }
    return NULL;
}

char *container_unenforced_reason(const struct inventory *inventory, const struct container *container)
{
    if (inventory->rootless && container->mode != NETMODE_NONE)
        return xstrdup(ROOTLESS);
    return follow_reason(inventory, container, 0);
}

const struct network *network_sits_on(const struct inventory *inventory, const struct network *network)
{
    for (const struct network *under = inventory->networks; network->parent && under;
         under = under->hh.next) {
        size_t len = under->bridge ? strlen(under->bridge) : 0;

        if (under->managed && len > 0 && strncmp(network->parent, under->bridge, len) == 0 &&
            (network->parent[len] == '\0' || network->parent[len] == '.'))
            return under;
    }
    return NULL;
}

/* ---- what enforcing does not mean --------------------------------------------------------------------- */

/* It holds on to the namespace that it has joined, and Docker gives the other one a new one with each start. */
static char *shared_caution(const struct inventory *inventory, const struct container *container)
{
    const struct container *target;

    if (inventory_find(inventory, container->mode_target ? container->mode_target : "", &target) < 0)
        return NULL; /* which is its reason not to be enforced */
    if (!target->running)
        return xasprintf(
            "has no network, as container %s does not run, whose network it shares; it has to be "
            "restarted after that one",
            target->name ? target->name : target->id);
    if (!may_change_network(container))
        return NULL;
    return xasprintf("may change addresses, routes and filters of container %s, whose network it shares "
                     "(CAP_NET_ADMIN); only the addresses that Docker gave that one get past its bridge",
                     target->name ? target->name : target->id);
}

char *container_caution(const struct inventory *inventory, const struct container *container)
{
    if (!container->running)
        return NULL;
    if (container->privileged)
        return xstrdup("is privileged: root in it can take over the host, and remove these rules");
    return container->mode == NETMODE_CONTAINER ? shared_caution(inventory, container) : NULL;
}
