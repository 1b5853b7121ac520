/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts from the kernel's links: bridges and their switches, ports, and which endpoint is behind which port.
 */
#include "brain_private.h"
#include "daemon/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "util/hash.h"

#define SWITCHES_PER_SECOND                                                                                  \
    10 /* more are put off: two programs that fight over a switch shall not burn the host */

struct fact_link *brain_find_link(const struct brain *brain, unsigned index)
{
    struct fact_link *fact;

    HASH_FIND(hh, brain->links, &index, sizeof(index), fact);
    return fact;
}

struct fact_bridge *brain_find_bridge(struct brain *brain, const char *name, bool make)
{
    struct fact_bridge *bridge;

    HASH_FIND_STR(brain->bridges, name, bridge);
    if (bridge || !make)
        return bridge;
    bridge = xnew(struct fact_bridge);
    memcpy(bridge->name, name, strnlen(name, sizeof(bridge->name) - 1));
    HASH_ADD_STR(brain->bridges, name, bridge);
    return bridge;
}

/* The managed bridge that a link is a port of, or NULL. */
struct fact_bridge *brain_bridge_of(struct brain *brain, const struct fact_link *link)
{
    const struct fact_link *master = link->link.master ? brain_find_link(brain, link->link.master) : NULL;
    struct fact_bridge *bridge = master ? brain_find_bridge(brain, master->link.name, false) : NULL;

    return bridge && bridge->managed ? bridge : NULL;
}

/* ---- the bridges' switches ---------------------------------------------------------------------------- */

/* What a managed bridge is kept at. */
static const struct bridge_switches all_on = {true, true, true};

static void push_switches(struct brain *brain, const struct fact_bridge *bridge,
                          const struct bridge_switches *switches)
{
    struct action *action = brain_push(brain, ACTION_SET_SWITCHES);

    action->link.index = bridge->index;
    action->link.is_bridge = true;
    action->link.switches = *switches;
    memcpy(action->link.name, bridge->name, sizeof(action->link.name));
}

static uint64_t hash_names(uint64_t hash, char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = hash_bytes(hash, names[i], strlen(names[i]) + 1);
    return hash_bytes(hash, "", 1);
}

/* Which networks are managed: what was nobody's of them may be one of them under other settings. */
static void hash_networks(const struct settings *settings, char ret[static STATE_NETWORKS_SIZE])
{
    uint64_t hash = hash_bytes(HASH_START, settings->managed_all ? "all" : "named", 3);

    hash = hash_names(hash, settings->managed, settings->n_managed);
    hash = hash_names(hash, settings->unmanaged, settings->n_unmanaged);
    snprintf(ret, STATE_NETWORKS_SIZE, "%016" PRIx64, hash);
}

static void save_state(struct brain *brain)
{
    struct state state = {0};

    hash_networks(brain->settings, state.networks);
    for (struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next) {
        if (bridge->foreign)
            memcpy(*ARRAY_ADD(state.foreign, state.n_foreign), bridge->name, sizeof(bridge->name));
        if (!bridge->managed || bridge->unlisted)
            continue;
        struct state_bridge *saved = ARRAY_ADD(state.bridges, state.n_bridges);
        memcpy(saved->name, bridge->name, sizeof(saved->name));
        saved->changed = bridge->changed;
        saved->former = bridge->former;
    }
    brain_push(brain, ACTION_SAVE_STATE)->text = state_format(&state);
    state_clear(&state);
}

int brain_take_state(struct brain *brain, const char *text)
{
    char networks[STATE_NETWORKS_SIZE];
    struct state state;
    int r = state_parse(text, &state);

    hash_networks(brain->settings, networks);
    for (size_t i = 0; i < state.n_bridges; i++) {
        struct fact_bridge *bridge = brain_find_bridge(brain, state.bridges[i].name, true);
        bridge->managed = true;
        bridge->changed = state.bridges[i].changed;
        bridge->former = state.bridges[i].former;
        brain->bridges_dirty = true;
    }
    for (size_t i = 0; i < state.n_foreign && strcmp(state.networks, networks) == 0; i++)
        brain_find_bridge(brain, state.foreign[i], true)->foreign = true;
    state_clear(&state);
    return r;
}

static bool too_often(struct fact_bridge *bridge, uint64_t now)
{
    if (now - bridge->switches_from >= SEC) {
        bridge->switches_from = now;
        bridge->n_switches = 0;
    }
    if (bridge->n_switches++ < SWITCHES_PER_SECOND)
        return false;
    bridge->next_try = bridge->switches_from + SEC;
    return true;
}

static void log_switched_off(struct brain *brain, const struct link *bridge)
{
    if (bridge->switches.nf_call_iptables && bridge->switches.nf_call_ip6tables)
        brain_log(
            brain, LOG_WARNING,
            "somebody has turned no_linklocal_learn off on %s, so that its containers can make it send a "
            "neighbour's frames to them: it is turned on again",
            bridge->name);
    else
        brain_log(brain, LOG_WARNING,
                  "somebody has turned the filtering of bridged packets off on %s, so that those between its "
                  "containers are dropped: it is turned on again",
                  bridge->name);
}

/*
 * Bridged frames must pass our rules, and those that never do must teach the bridge nothing. If somebody turned that
 * off, or the bridge is new, it is turned on; in between, the rules let none pass (chain seen).
 */
static void check_switch(struct brain *brain, struct fact_bridge *bridge, uint64_t now)
{
    const struct fact_link *link = bridge->index ? brain_find_link(brain, bridge->index) : NULL;

    if (!brain->br_netfilter || brain->torn_down || !bridge->managed || bridge->unlisted || !link ||
        bridge->setting)
        return;
    if (link_has_switches(&link->link, &all_on)) {
        bridge->switched = true;
        bridge->next_try = 0;
        return;
    }
    if (now < bridge->next_try || too_often(bridge, now))
        return;
    if (bridge->switched)
        log_switched_off(brain, &link->link);
    if (!bridge->changed) {
        bridge->changed = true;
        bridge->former = link->link.switches;
        save_state(brain); /* before the switch: a crash in between loses nothing */
    }
    bridge->setting = true;
    bridge->next_try = 0;
    push_switches(brain, bridge, &all_on);
}

void brain_switches_set(struct brain *brain, unsigned index, int error, uint64_t now)
{
    struct fact_link *link = brain_find_link(brain, index);
    struct fact_bridge *bridge = link ? brain_find_bridge(brain, link->link.name, false) : NULL;

    if (!bridge || !bridge->setting || bridge->index != index)
        return;
    bridge->setting = false;
    if (error < 0 && bridge->error == 0)
        brain_log(brain, LOG_ERR,
                  "cannot turn the filtering of bridged packets on for %s (%s): all packets between its "
                  "containers are dropped until that works",
                  bridge->name, strerror(-error));
    bridge->error = error;
    if (error < 0) {
        bridge->next_try = now + 5 * SEC;
    } else {
        bridge->switched = true;
        link->link.switches = all_on;
    }
}

static void mark_managed(struct brain *brain, struct fact_bridge *bridge, bool managed, uint64_t now)
{
    bool was = bridge->managed;

    bridge->managed = managed;
    if (was == managed)
        return;
    brain->bridges_dirty = true;
    brain->match_dirty = true;
    if (!managed && bridge->changed) {
        if (bridge->index)
            push_switches(brain, bridge, &bridge->former);
        bridge->changed = bridge->switched = false;
        bridge->error = 0;
    }
    check_switch(brain, bridge, now);
}

/* The name that the Engine gives the bridge of a network that does not ask for another one. */
static bool is_engines_name(const char *name)
{
    return strcmp(name, "docker0") == 0 ||
           (strncmp(name, "br-", 3) == 0 && strlen(name) == 15 && strspn(name + 3, "0123456789abcdef") == 12);
}

/*
 * A bridge that looks like the Engine's is closed as soon as it is there: a network made while no daemon ran would
 * otherwise be open until the Engine answers, which at boot it does after it has started containers.
 */
static void suspect(struct brain *brain, struct fact_bridge *bridge, uint64_t now)
{
    if (bridge->managed || bridge->foreign || !brain->settings->managed_all || !is_engines_name(bridge->name))
        return;
    bridge->unlisted = true;
    bridge->serial = ++brain->serial;
    mark_managed(brain, bridge, true, now);
    brain_want(brain, FETCH_NETWORKS, NULL, now);
}

/* The networks were listed as they were at this time or later. */
void brain_bridges_listed(struct brain *brain, uint64_t asked)
{
    for (struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next)
        if (bridge->unlisted && bridge->serial < asked) {
            bridge->unlisted = false;
            brain->networks_dirty = true;
        }
}

/* Which bridges are managed follows from the networks, once these are known at all; before, from the state
 * file. */
void brain_decide_bridges(struct brain *brain, uint64_t now)
{
    bool changed = false;

    if (!brain->networks_dirty || !brain->networks_known)
        return;
    brain->networks_dirty = false;
    for (struct network *network = brain->inventory->networks; network; network = network->hh.next)
        if (network->managed && network->bridge)
            brain_find_bridge(brain, network->bridge, true);
    for (struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next) {
        bool managed = bridge->unlisted, was = bridge->managed, was_foreign = bridge->foreign;
        for (struct network *network = brain->inventory->networks; network && !managed;
             network = network->hh.next)
            managed = network->managed && network->bridge && strcmp(network->bridge, bridge->name) == 0;
        mark_managed(brain, bridge, managed, now);
        if (managed)
            check_switch(brain, bridge, now);
        bridge->foreign = !managed && bridge->index && is_engines_name(bridge->name);
        changed = changed || was != managed || was_foreign != bridge->foreign;
    }
    if (changed) {
        save_state(brain);
        brain_ask_unmatched(brain, now);
    }
}

/* A network without its bridge, though containers that were never seen to leave it are on it: it is not here. */
void brain_find_elsewhere(struct brain *brain)
{
    for (struct fact_network *fact = brain->networks; fact; fact = fact->hh.next) {
        struct network *network = inventory_network(brain->inventory, fact->id);
        const struct fact_bridge *bridge =
            network && network->managed ? brain_find_bridge(brain, network->bridge, false) : NULL;

        if (!network)
            continue;
        network->elsewhere = false;
        for (size_t i = 0; bridge && !bridge->index && i < fact->n_live; i++)
            network->elsewhere = network->elsewhere || !fact->live[i].ended;
    }
}

void brain_restore_bridges(struct brain *brain)
{
    for (struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next) {
        if (bridge->changed && bridge->index)
            push_switches(brain, bridge, &bridge->former);
        bridge->changed = bridge->managed = false;
    }
    save_state(brain);
}

/* ---- who is behind a port ----------------------------------------------------------------------------- */

static void ask(struct brain *brain, struct fact_link *link, uint64_t now)
{
    uint64_t wait = PEER_ASK_MIN << (link->asks < 16 ? link->asks : 16);

    if (link->asking)
        return;
    link->asking = true;
    link->asks++;
    link->next_ask =
        link->asks >= PEER_ASKS_MAX ? UINT64_MAX : now + (wait < PEER_ASK_MAX ? wait : PEER_ASK_MAX);
    brain_push(brain, ACTION_QUERY_PEER)->link = link->link;
}

/* A port whose endpoint is found is not asked again: what a container does to its MAC address changes
 * nothing. */
static bool wants_asking(struct brain *brain, const struct fact_link *link)
{
    return link->link.is_veth && !link->in_use && brain_bridge_of(brain, link);
}

void brain_peer_mac(struct brain *brain, unsigned index, int error, const struct mac *mac, uint64_t now)
{
    struct fact_link *link = brain_find_link(brain, index);

    (void)now;
    if (!link)
        return;
    link->asking = false;
    if (error < 0 || link->in_use)
        return;
    link->has_mac = true;
    link->mac = *mac;
    brain->match_dirty = true;
}

bool brain_peers_asked(const struct brain *brain)
{
    for (struct fact_link *link = brain->links; link; link = link->hh.next)
        if (link->asking)
            return false;
    return true;
}

static bool may_be_owned_by(const struct fact_link *link, const char *container_id, uint64_t now)
{
    return !link->owner || strcmp(link->owner, container_id) == 0 || (link->free_at && now >= link->free_at);
}

/*
 * May this port be the endpoint's? MAC addresses are the container's own to change, and with some Engines the
 * next owner of an IP address has the same, so they alone prove little: the port must be free, not another
 * container's, and about as old as the endpoint, unless that was there before we looked.
 */
static bool fits(const struct fact_link *link, unsigned bridge, const struct live *live, uint64_t now)
{
    if (link->in_use || link->link.master != bridge || !link->has_mac ||
        memcmp(link->mac.bytes, live->endpoint.mac.bytes, sizeof(link->mac.bytes)) != 0)
        return false;
    if (!may_be_owned_by(link, live->container_id, now) || link->first_seen > live->appeared + PORT_NEWER_MAX)
        return false;
    return live->was_there || link->first_seen + PORT_OLDER_MAX >= live->appeared;
}

/* It may be left behind by an Engine that was killed, and the endpoint's own be about to appear. */
static bool is_too_early(struct fact_link *link, const struct live *live, uint64_t now)
{
    uint64_t at = live->appeared + PORT_FREE_AFTER;

    if (now < at && at < link->next_ask)
        link->next_ask = at;
    return now < at;
}

/*
 * Where two claim the same address, neither gets it. But a port whose endpoint has ended makes no claim beside one that
 * has been nobody's.
 */
static struct fact_link *find_port(struct brain *brain, const struct live *live, unsigned bridge,
                                   uint64_t now)
{
    struct fact_link *found[2] = {NULL}; /* nobody's yet; an ended endpoint's */
    unsigned n[2] = {0};

    for (struct fact_link *link = brain->links; link; link = link->hh.next) {
        bool left = link->owner && strcmp(link->owner_endpoint, live->endpoint.id) != 0;
        if (!fits(link, bridge, live, now) || (left && is_too_early(link, live, now)))
            continue;
        found[left] = link;
        n[left]++;
    }
    bool left = n[false] == 0;
    return n[left] == 1 ? found[left] : NULL;
}

static void match_live(struct brain *brain, struct live *live, unsigned bridge, uint64_t now)
{
    struct fact_link *found = find_port(brain, live, bridge, now);

    if (!found)
        return;
    live->port = found->index;
    live->ended = false;
    found->in_use = true;
    found->free_at = 0;
    free(found->owner);
    free(found->owner_endpoint);
    found->owner = xstrdup(live->container_id);
    found->owner_endpoint = xstrdup(live->endpoint.id);
    brain_mark(brain, live->container_id);
}

static bool wants_port(const struct live *live, uint64_t now)
{
    return !live->port && live->endpoint.has_mac && (!live->ended || now >= live->ended_at + ENDED_FOR_GOOD);
}

void brain_match_ports(struct brain *brain, uint64_t now)
{
    if (!brain->match_dirty)
        return;
    brain->match_dirty = false;
    for (struct fact_network *fact = brain->networks; fact; fact = fact->hh.next) {
        const struct network *network = inventory_network(brain->inventory, fact->id);
        struct fact_bridge *bridge = network && network->managed && network->bridge
                                         ? brain_find_bridge(brain, network->bridge, false)
                                         : NULL;
        if (!bridge || !bridge->index)
            continue;
        for (size_t i = 0; i < fact->n_live; i++)
            if (wants_port(&fact->live[i], now))
                match_live(brain, &fact->live[i], bridge->index, now);
    }
}

static void leave_port(struct brain *brain, struct live *live)
{
    struct fact_link *link = live->port ? brain_find_link(brain, live->port) : NULL;

    if (link)
        link->in_use = false;
    live->port = 0;
    brain->match_dirty = true;
}

/*
 * The Engine no longer knows the endpoint. It removes the port first: so the notification of that is under
 * way, or else the port was not the endpoint's.
 */
void brain_release_port(struct brain *brain, struct live *live, uint64_t now)
{
    struct fact_link *link = live->port ? brain_find_link(brain, live->port) : NULL;

    if (link) {
        link->free_at = now + PORT_FREE_AFTER;
        link->next_ask = link->free_at;
        link->asks = 0;
    }
    leave_port(brain, live);
}

/* The endpoint that has this port, or NULL. */
static struct live *live_at_port(struct brain *brain, unsigned index)
{
    for (struct fact_network *fact = brain->networks; fact; fact = fact->hh.next)
        for (size_t i = 0; i < fact->n_live; i++)
            if (fact->live[i].port == index)
                return &fact->live[i];
    return NULL;
}

/* After bridges became managed, and at each resync: every port without an endpoint is asked once more. */
void brain_ask_unmatched(struct brain *brain, uint64_t now)
{
    for (struct fact_link *link = brain->links; link; link = link->hh.next)
        if (wants_asking(brain, link))
            ask(brain, link, now);
}

/* ---- links -------------------------------------------------------------------------------------------- */

static struct fact_link *add_link(struct brain *brain, const struct link *link, uint64_t now)
{
    struct fact_link *fact = xnew(struct fact_link);

    fact->index = link->index;
    fact->first_seen = now;
    fact->next_ask = UINT64_MAX;
    HASH_ADD(hh, brain->links, index, sizeof(fact->index), fact);
    return fact;
}

static void bridge_seen(struct brain *brain, struct fact_link *fact, uint64_t now)
{
    struct fact_bridge *bridge = brain_find_bridge(brain, fact->link.name, true);

    if (bridge->index != fact->index) {
        /* made anew: what we know of its switch is about the one before, unless that was before our start */
        if (bridge->index != 0)
            bridge->changed = false;
        bridge->index = fact->index;
        bridge->switched = bridge->setting = false;
        bridge->error = 0;
        bridge->next_try = 0;
        brain->bridges_dirty = brain->match_dirty = true;
    }
    suspect(brain, bridge, now);
    check_switch(brain, bridge, now);
}

/* Neither there, nor a network's, nor in the rules: nothing about it needs remembering. */
void brain_forget_bridges(struct brain *brain)
{
    struct fact_bridge *bridge, *next;

    HASH_ITER (hh, brain->bridges, bridge, next) {
        if (bridge->index || bridge->managed || bridge->compiled ||
            (bridge->foreign && !brain->networks_known))
            continue;
        HASH_DEL(brain->bridges, bridge);
        free(bridge);
    }
}

static void bridge_gone(struct brain *brain, unsigned index)
{
    for (struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next)
        if (bridge->index == index) {
            bridge->index = 0;
            bridge->changed = bridge->switched = bridge->setting = false;
            bridge->error = 0;
            brain->bridges_dirty = true;
        }
}

/* Its endpoint ended when it left the bridge; it is back, and still its container's. */
static void revive(struct brain *brain, const struct fact_link *fact)
{
    for (struct fact_network *network = brain->networks; network; network = network->hh.next) {
        struct live *live = fact->owner ? brain_find_live(network, fact->owner) : NULL;
        if (live && live->ended && !live->port) {
            live->ended = false;
            brain->match_dirty = true;
        }
    }
}

/* A port that leaves its bridge keeps its owner but not its endpoint: there is no way to the bridge through
 * it, and what the container still sends would go past it. */
static void master_changed(struct brain *brain, struct fact_link *fact, uint64_t now)
{
    struct live *live = fact->in_use ? live_at_port(brain, fact->index) : NULL;

    brain->ports_dirty = true;
    if (live) {
        brain_mark(brain, live->container_id);
        leave_port(brain, live);
        live->ended = true;
        live->ended_at = now;
    }
    if (brain_bridge_of(brain, fact))
        revive(brain, fact);
    fact->asks = 0;
}

void brain_link(struct brain *brain, const struct link *link, uint64_t now)
{
    struct fact_link *fact = brain_find_link(brain, link->index);
    struct link before = {0};

    if (fact)
        before = fact->link;
    else
        fact = add_link(brain, link, now);
    fact->link = *link;
    fact->stale = false;
    if (strcmp(before.name, link->name) != 0 && before.name[0]) {
        brain->ports_dirty = brain->bridges_dirty = true;
        if (before.is_bridge)
            bridge_gone(brain, link->index);
        struct live *live = fact->in_use ? live_at_port(brain, fact->index) : NULL;
        if (live)
            brain_mark(brain, live->container_id);
    }
    if (link->is_bridge)
        bridge_seen(brain, fact, now);
    if (before.master != link->master)
        master_changed(brain, fact, now);

    struct fact_bridge *bridge = brain_bridge_of(brain, fact);
    if (bridge && before.master != link->master)
        brain_want_bridge_networks(brain, bridge->name, now);
    if (wants_asking(brain, fact)) {
        fact->asks = 0;
        ask(brain, fact, now);
    }
}

static void drop_link(struct brain *brain, struct fact_link *fact)
{
    if (fact->compiled[0]) /* the compiler forgets it with the next flush */
        memcpy(ARRAY_ADD(brain->gone_ports, brain->n_gone_ports)->name, fact->compiled,
               sizeof(fact->compiled));
    HASH_DEL(brain->links, fact);
    free(fact->owner);
    free(fact->owner_endpoint);
    free(fact);
}

void brain_link_gone(struct brain *brain, const struct link *link, uint64_t now)
{
    struct fact_link *fact = brain_find_link(brain, link->index);

    if (!fact)
        return;
    struct fact_bridge *bridge = brain_bridge_of(brain, fact);
    struct live *live = fact->in_use ? live_at_port(brain, fact->index) : NULL;
    if (live) {
        /* The Engine removes the port before it releases the address: this is the one signal that is never
         * late. */
        live->ended = true;
        live->ended_at = now;
        live->port = 0;
        brain_mark(brain, live->container_id);
    }
    if (bridge)
        brain_want_bridge_networks(brain, bridge->name, now);
    if (fact->link.is_bridge)
        bridge_gone(brain, fact->index);
    brain->ports_dirty = true;
    brain->match_dirty = true; /* of two with one MAC address, the other may be the one */
    drop_link(brain, fact);
}

void brain_link_reset(struct brain *brain)
{
    for (struct fact_link *link = brain->links; link; link = link->hh.next)
        link->stale = true;
}

void brain_link_reset_done(struct brain *brain, uint64_t now)
{
    struct fact_link *fact, *next;

    HASH_ITER (hh, brain->links, fact, next)
        if (fact->stale)
            brain_link_gone(brain, &fact->link, now);
}

/* ---- time --------------------------------------------------------------------------------------------- */

/* Asking again is for ports that some live endpoint may be waiting for. */
static bool someone_waits(const struct brain *brain, uint64_t now)
{
    for (struct fact_network *fact = brain->networks; fact; fact = fact->hh.next)
        for (size_t i = 0; i < fact->n_live; i++)
            if (wants_port(&fact->live[i], now))
                return true;
    return false;
}

void brain_ports_tick(struct brain *brain, uint64_t now)
{
    bool waits = someone_waits(brain, now);

    for (struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next)
        if (bridge->next_try && now >= bridge->next_try)
            check_switch(brain, bridge, now);
    for (struct fact_link *link = brain->links; link; link = link->hh.next) {
        if (now < link->next_ask)
            continue;
        link->next_ask = UINT64_MAX;
        if (waits && wants_asking(brain, link))
            ask(brain, link, now);
    }
}

uint64_t brain_ports_deadline(const struct brain *brain)
{
    uint64_t next = UINT64_MAX;

    for (struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next)
        if (bridge->managed && bridge->index && bridge->next_try && bridge->next_try < next)
            next = bridge->next_try;
    for (struct fact_link *link = brain->links; link; link = link->hh.next)
        if (!link->in_use && link->next_ask < next)
            next = link->next_ask;
    return next;
}

void brain_ports_clear(struct brain *brain)
{
    struct fact_link *link, *next_link;
    struct fact_bridge *bridge, *next_bridge;

    HASH_ITER (hh, brain->links, link, next_link) {
        HASH_DEL(brain->links, link);
        free(link->owner);
        free(link->owner_endpoint);
        free(link);
    }
    HASH_ITER (hh, brain->bridges, bridge, next_bridge) {
        HASH_DEL(brain->bridges, bridge);
        free(bridge);
    }
}
