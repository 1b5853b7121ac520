/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts -> inventory -> compiler. What changed was marked; only that is looked at, and doing it twice does
 * nothing. */
#include "brain_private.h"

#include <string.h>
#include <syslog.h>

void brain_mark(struct brain *brain, const char *container_id)
{
    struct fact_container *fact;

    HASH_FIND_STR(brain->containers, container_id, fact);
    if (fact) {
        brain->inventory_changes++;
        fact->dirty = true;
        brain->containers_dirty = true;
    }
}

/*
 * The network that an endpoint in a container's settings means. A container that does not run may still name
 * an ID that its network had before (the default bridge gets a new one whenever the Engine starts): then the
 * name decides.
 */
struct network *brain_network_of(const struct brain *brain, const struct endpoint *endpoint)
{
    struct network *network =
        endpoint->network_id ? inventory_network(brain->inventory, endpoint->network_id) : NULL;

    if (network || !endpoint->network_name)
        return network;
    for (network = brain->inventory->networks; network; network = network->hh.next)
        if (strcmp(network->name, endpoint->network_name) == 0)
            return network;
    return NULL;
}

/* ---- facts -> inventory
 * ------------------------------------------------------------------------------------ */

static const struct live *live_of(const struct brain *brain, const char *network_id, const char *container_id)
{
    struct fact_network *fact;

    HASH_FIND_STR(brain->networks, network_id, fact);
    const struct live *live = fact ? brain_find_live(fact, container_id) : NULL;
    return live && !live->ended ? live : NULL;
}

static bool has_endpoint(const struct container *container, const char *network_id)
{
    for (size_t i = 0; i < container->n_endpoints; i++)
        if (container->endpoints[i].network_id && strcmp(container->endpoints[i].network_id, network_id) == 0)
            return true;
    return false;
}

static void add_live(struct brain *brain, struct container *container, const struct network *network,
                     const struct live *live)
{
    struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);
    struct fact_link *port = live->port ? brain_find_link(brain, live->port) : NULL;

    *endpoint = endpoint_copy(&live->endpoint);
    free(endpoint->network_name);
    endpoint->network_name = xstrdup_null(network->name);
    if (port) {
        memcpy(endpoint->port, port->link.name, sizeof(endpoint->port));
        endpoint->port_index = port->index;
    }
    container->running = true;
}

static void add_settled(struct brain *brain, struct container *container, const struct endpoint *settings)
{
    const struct network *network = brain_network_of(brain, settings);
    struct endpoint *endpoint;

    if (network && network->managed) {
        if (has_endpoint(container, network->id))
            return;
        const struct live *live = live_of(brain, network->id, container->id);
        if (live) {
            add_live(brain, container, network, live);
            return;
        }
        /* Whatever the list says of addresses and endpoint IDs: the network does not know of it. */
        endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);
        endpoint->network_id = xstrdup(network->id);
        endpoint->network_name = xstrdup_null(network->name);
        return;
    }
    endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);
    *endpoint = endpoint_copy(settings);
    if (!endpoint->network_id)
        endpoint->network_id = xstrdup("");
}

/* Taken off `none` and put on another network: the Engine still says `none`. */
static void leave_none(struct container *container)
{
    for (size_t i = 0; i < container->n_endpoints; i++)
        if (container->mode == NETMODE_NONE &&
            (container->endpoints[i].has_ip[IP4] || container->endpoints[i].has_ip[IP6]))
            container->mode = NETMODE_BRIDGE;
}

static bool has_same_endpoint(const struct container *container, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < container->n_endpoints; i++)
        if (container->endpoints[i].id && strcmp(container->endpoints[i].id, endpoint->id) == 0)
            return true;
    return false;
}

/* What has ended is remembered, as packets of its may be told of later. */
static void end_endpoints(struct brain *brain, struct container *container, struct endpoint *endpoints,
                          size_t n, uint64_t now)
{
    for (size_t i = 0; i < n; i++) {
        if (endpoints[i].id && !has_same_endpoint(container, &endpoints[i]))
            brain_remember(brain, container, &endpoints[i], now);
        endpoint_clear(&endpoints[i]);
    }
    free(endpoints);
}

static void derive_endpoints(struct brain *brain, struct fact_container *fact, struct container *container,
                             uint64_t now)
{
    struct endpoint *former = STEAL(container->endpoints);
    size_t n_former = container->n_endpoints;

    container->n_endpoints = 0;
    container->running = fact->running;
    container->mode = fact->mode;
    for (size_t i = 0; i < fact->n_settings; i++)
        add_settled(brain, container, &fact->settings[i]);
    for (struct fact_network *other = brain->networks; other; other = other->hh.next) {
        const struct network *network = inventory_network(brain->inventory, other->id);
        if (!network || !network->managed || has_endpoint(container, network->id))
            continue;
        const struct live *live = live_of(brain, network->id, container->id);
        if (live)
            add_live(brain, container, network, live);
    }
    leave_none(container);
    end_endpoints(brain, container, former, n_former, now);
}

/* It is gone with all its endpoints. */
static void drop_container(struct brain *brain, struct container *container, uint64_t now)
{
    brain_remember_all(brain, container, now);
    inventory_drop_container(brain->inventory, container->id);
}

void brain_derive(struct brain *brain, uint64_t now)
{
    if (!brain->containers_dirty)
        return;
    for (struct fact_container *fact = brain->containers; fact; fact = fact->hh.next) {
        struct container *container = inventory_container(brain->inventory, fact->id);
        if (!fact->dirty || !container)
            continue;
        brain_mark_joined(brain, container);
        if (fact->gone)
            drop_container(brain, container, now);
        else
            derive_endpoints(brain, fact, container, now);
    }
}

/* ---- inventory -> compiler
 * --------------------------------------------------------------------------------- */

static bool is_managed(const struct brain *brain, const struct endpoint *endpoint)
{
    const struct network *network =
        endpoint->network_id ? inventory_network(brain->inventory, endpoint->network_id) : NULL;

    return network && network->managed;
}

static const struct endpoint *live_endpoint(const struct brain *brain, const struct container *container,
                                            const char *network_id)
{
    for (size_t i = 0; container && i < container->n_endpoints; i++) {
        const struct endpoint *endpoint = &container->endpoints[i];
        if (endpoint->id && endpoint->network_id && strcmp(endpoint->network_id, network_id) == 0)
            return is_managed(brain, endpoint) ? endpoint : NULL;
    }
    return NULL;
}

static void applied_clear(struct applied *applied)
{
    free(applied->network_id);
    free(applied->endpoint_id);
}

/* The same endpoint, with all addresses that it had. */
static bool is_still(const struct applied *applied, const struct endpoint *endpoint)
{
    if (!endpoint || strcmp(endpoint->id, applied->endpoint_id) != 0)
        return false;
    for (int family = 0; family < IP_FAMILIES; family++)
        if (applied->has_ip[family] &&
            (!endpoint->has_ip[family] || !ip_equal(endpoint->ip[family], applied->ip[family])))
            return false;
    return true;
}

static void drop_ended(struct brain *brain, struct fact_container *fact, struct delta *delta, uint64_t now)
{
    const struct container *container = inventory_container(brain->inventory, fact->id);
    size_t kept = 0;

    for (size_t i = 0; i < fact->n_applied; i++) {
        struct applied *applied = &fact->applied[i];
        if (is_still(applied, live_endpoint(brain, container, applied->network_id))) {
            fact->applied[kept++] = *applied;
            continue;
        }
        compiler_drop_endpoint(brain->compiler, fact->id, applied->network_id, delta);
        brain_end_addresses(brain, applied->has_ip, applied->ip);
        brain_ended_due(brain, now + brain->flows_calm);
        if (brain->loaded)
            brain_log(brain, LOG_INFO, "%s has left network %.12s", container ? container->name : fact->id,
                      applied->network_id);
        applied_clear(applied);
    }
    fact->n_applied = kept;
}

static struct applied *find_applied(const struct fact_container *fact, const char *network_id)
{
    for (size_t i = 0; i < fact->n_applied; i++)
        if (strcmp(fact->applied[i].network_id, network_id) == 0)
            return &fact->applied[i];
    return NULL;
}

static void add_applied(struct brain *brain, struct fact_container *fact, const struct container *container,
                        const struct endpoint *endpoint)
{
    char ip4[IP_TEXT_MAX] = "", ip6[IP_TEXT_MAX] = "";
    struct applied *applied = find_applied(fact, endpoint->network_id);
    bool is_new = !applied;

    if (is_new) {
        /* array_grow() needs every size to have been grown to in turn; applied only shrinks within its storage */
        fact->applied = xreallocarray(fact->applied, fact->n_applied + 1, sizeof(*fact->applied));
        applied = &fact->applied[fact->n_applied++];
        *applied = (struct applied){.network_id = xstrdup(endpoint->network_id),
                                    .endpoint_id = xstrdup(endpoint->id)};
    }
    memcpy(applied->has_ip, endpoint->has_ip, sizeof(applied->has_ip));
    memcpy(applied->ip, endpoint->ip, sizeof(applied->ip));
    if (!is_new || !brain->loaded)
        return;
    if (endpoint->has_ip[IP4])
        ip_format(endpoint->ip[IP4], ip4);
    if (endpoint->has_ip[IP6])
        ip_format(endpoint->ip[IP6], ip6);
    brain_log(brain, LOG_INFO, "%s is on network %s: %s%s%s", container->name, endpoint->network_name, ip4,
              ip4[0] && ip6[0] ? ", " : "", ip6);
}

/*
 * What is not known of a container yet can mostly only grant more. But what denies it something may go by a label, and
 * where nothing is denied to whom no policy selects, any policy may.
 */
static bool may_be_denied_later(const struct brain *brain)
{
    bool may = brain->options.default_mode == MODE_AUDIT;

    for (size_t i = 0; i < brain->policies->n_policies && !may; i++) {
        const struct policy *policy = &brain->policies->policies[i];
        for (size_t direction = 0; direction < DIRECTIONS; direction++)
            for (size_t j = 0; j < policy->n_rules[direction]; j++)
                may = may || policy->rules[direction][j].deny;
    }
    return may;
}

/* It may have had connections that it may not have now. */
static bool has_lost(const struct brain *brain, const struct fact_container *fact, const struct delta *delta,
                     size_t n_deleted)
{
    return delta && delta_deletions(delta) > n_deleted && (fact->complete || may_be_denied_later(brain));
}

/* Its address may have been a build step's until now, whose connections to the internet it may not have. */
static bool strangers_may_connect(const struct brain *brain)
{
    return brain->options.unknown_endpoints == UNKNOWN_INTERNET;
}

static void set_endpoint(struct brain *brain, struct fact_container *fact, const struct container *container,
                         const struct endpoint *endpoint, struct delta *delta, uint64_t now)
{
    size_t n_deleted = delta ? delta_deletions(delta) : 0;
    bool goes_on = find_applied(fact, endpoint->network_id);
    bool unjudged = !goes_on && brain_labels_pending(brain, container) && may_be_denied_later(brain);
    /* who goes on may have got another address */
    bool waits = goes_on ? brain_has_ended(brain, endpoint) : brain_must_wait(brain, endpoint);

    if (endpoint->id && !unjudged && !waits) {
        compiler_set_endpoint(brain->compiler, brain->inventory, container, endpoint, delta);
        add_applied(brain, fact, container, endpoint);
        if (has_lost(brain, fact, delta, n_deleted) || (!goes_on && strangers_may_connect(brain)))
            brain_flows_due(brain, now);
        return;
    }
    compiler_prepare_endpoint(brain->compiler, brain->inventory, container, endpoint, delta);
    if (endpoint->id && !unjudged) {
        fact->waits = true;
        brain_ended_due(brain, now);
    }
}

static void set_live(struct brain *brain, struct fact_container *fact, struct delta *delta, uint64_t now)
{
    const struct container *container = inventory_container(brain->inventory, fact->id);

    for (size_t i = 0; container && i < container->n_endpoints; i++)
        if (is_managed(brain, &container->endpoints[i]))
            set_endpoint(brain, fact, container, &container->endpoints[i], delta, now);
    fact->complete = container && container->labels_known && container->dns_known;
}

/* What is live at an address that turned out to have been another identity's is not live until its flows are ended. */
void brain_drop_waiting(struct brain *brain)
{
    for (struct fact_container *fact = brain->containers; fact; fact = fact->hh.next) {
        const struct container *container = inventory_container(brain->inventory, fact->id);
        size_t kept = 0;

        for (size_t i = 0; i < fact->n_applied; i++) {
            struct applied *applied = &fact->applied[i];
            const struct endpoint *endpoint = live_endpoint(brain, container, applied->network_id);

            if (!endpoint || !brain_must_wait(brain, endpoint)) {
                fact->applied[kept++] = *applied;
                continue;
            }
            compiler_drop_endpoint(brain->compiler, fact->id, applied->network_id, NULL);
            applied_clear(applied);
            fact->waits = true;
        }
        fact->n_applied = kept;
    }
}

/*
 * A port of a managed bridge stays one as long as it is there, unless it goes to somebody else's bridge: what comes out
 * of it when its bridge is gone is still a container's.
 */
static bool is_port(struct brain *brain, const struct fact_link *link)
{
    return brain_bridge_of(brain, link) || (link->was_port && !link->link.master);
}

static void drop_ports(struct brain *brain, struct delta *delta)
{
    for (size_t i = 0; i < brain->n_gone_ports; i++)
        compiler_drop_port(brain->compiler, brain->gone_ports[i].name, delta);
    free(STEAL(brain->gone_ports));
    brain->n_gone_ports = 0;
    for (struct fact_link *link = brain->links; link; link = link->hh.next) {
        if (!link->compiled[0] || (strcmp(link->compiled, link->link.name) == 0 && is_port(brain, link)))
            continue;
        compiler_drop_port(brain->compiler, link->compiled, delta);
        link->compiled[0] = '\0';
    }
}

static void add_ports(struct brain *brain, struct delta *delta)
{
    for (struct fact_link *link = brain->links; link; link = link->hh.next) {
        if (link->compiled[0] || !is_port(brain, link))
            continue;
        compiler_add_port(brain->compiler, link->link.name, delta);
        link->was_port = true;
        memcpy(link->compiled, link->link.name, sizeof(link->compiled));
    }
}

static void reconcile_bridges(struct brain *brain, bool managed, struct delta *delta)
{
    for (struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next) {
        if (bridge->managed != managed || bridge->compiled == managed)
            continue;
        if (managed)
            compiler_add_bridge(brain->compiler, bridge->name, delta);
        else
            compiler_drop_bridge(brain->compiler, bridge->name, delta);
        bridge->compiled = managed;
    }
}

static void fact_container_free(struct brain *brain, struct fact_container *fact)
{
    HASH_DEL(brain->containers, fact);
    for (size_t i = 0; i < fact->n_settings; i++)
        endpoint_clear(&fact->settings[i]);
    for (size_t i = 0; i < fact->n_applied; i++)
        applied_clear(&fact->applied[i]);
    free(fact->settings);
    free(fact->applied);
    free(fact->id);
    free(fact);
}

void brain_containers_clear(struct brain *brain)
{
    struct fact_container *fact, *next;

    HASH_ITER (hh, brain->containers, fact, next)
        fact_container_free(brain, fact);
}

static void clear_marks(struct brain *brain)
{
    struct fact_container *fact, *next;

    HASH_ITER (hh, brain->containers, fact, next) {
        fact->dirty = false;
        if (!fact->gone)
            continue;
        fact_container_free(brain, fact);
        brain->n_removed++;
    }
    brain->containers_dirty = false;
    brain->bridges_dirty = false;
    brain->ports_dirty = false;
}

/* What ends goes first, so that an address is free for its next owner. */
void brain_reconcile(struct brain *brain, struct delta *delta, uint64_t now)
{
    if (brain->containers_dirty)
        for (struct fact_container *fact = brain->containers; fact; fact = fact->hh.next)
            if (fact->dirty)
                drop_ended(brain, fact, delta, now);
    if (brain->ports_dirty || brain->bridges_dirty)
        drop_ports(brain, delta);
    if (brain->bridges_dirty) {
        reconcile_bridges(brain, false, delta);
        reconcile_bridges(brain, true, delta);
        brain_forget_bridges(brain);
    }
    if (brain->ports_dirty || brain->bridges_dirty)
        add_ports(brain, delta);
    if (brain->containers_dirty)
        for (struct fact_container *fact = brain->containers; fact; fact = fact->hh.next)
            if (fact->dirty)
                set_live(brain, fact, delta, now);
    clear_marks(brain);
}

/* What waits, for its address or its labels, is not live for a new compiler either. */
static void drop_waiting(const struct brain *brain, struct compiler *compiler)
{
    for (const struct fact_container *fact = brain->containers; fact; fact = fact->hh.next) {
        const struct container *container = inventory_container(brain->inventory, fact->id);

        for (size_t i = 0; container && i < container->n_endpoints; i++)
            if (container->endpoints[i].id && !find_applied(fact, container->endpoints[i].network_id))
                compiler_drop_endpoint(compiler, fact->id, container->endpoints[i].network_id, NULL);
    }
}

/* An earlier daemon knew them as ports, and they have no bridge now. */
void brain_adopt_ports(struct brain *brain, const struct ruleset *kernel)
{
    for (struct fact_link *link = brain->links; link; link = link->hh.next) {
        if (link->compiled[0] || link->link.master || !ruleset_has_port(kernel, link->link.name))
            continue;
        compiler_add_port(brain->compiler, link->link.name, NULL);
        memcpy(link->compiled, link->link.name, sizeof(link->compiled));
        link->was_port = true;
    }
}

void brain_compile_all(const struct brain *brain, struct compiler *compiler)
{
    compiler_set_locks(compiler, brain->locks);
    compiler_load(compiler, brain->inventory);
    for (struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next)
        if (bridge->managed)
            compiler_add_bridge(compiler, bridge->name, NULL);
    for (struct fact_link *link = brain->links; link; link = link->hh.next)
        if (link->compiled[0])
            compiler_add_port(compiler, link->compiled, NULL);
    drop_waiting(brain, compiler);
}
