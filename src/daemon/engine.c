/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts from the Docker Engine: what is asked when, and what its answers mean. */
#include "brain_private.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <syslog.h>

/* ---- asking ------------------------------------------------------------------------------------------- */

static struct fetch *find_fetch(struct brain *brain, enum fetch_kind kind, const char *id, bool make)
{
    _cleanup_free_ char *key = xasprintf("%d:%s", (int)kind, id ? id : "");
    struct fetch *fetch;

    HASH_FIND_STR(brain->fetches, key, fetch);
    if (fetch || !make)
        return fetch;
    fetch = xnew(struct fetch);
    fetch->key = STEAL(key);
    fetch->kind = kind;
    fetch->id = xstrdup_null(id);
    HASH_ADD_KEYPTR(hh, brain->fetches, fetch->key, strlen(fetch->key), fetch);
    return fetch;
}

static void free_fetch(struct brain *brain, struct fetch *fetch)
{
    HASH_DEL(brain->fetches, fetch);
    free(fetch->key);
    free(fetch->id);
    free(fetch);
}

static void send_fetch(struct brain *brain, struct fetch *fetch)
{
    struct action *action = brain_push(brain, ACTION_FETCH);

    fetch->in_flight = true;
    fetch->again = false;
    fetch->retry_at = 0;
    fetch->serial = ++brain->serial;
    action->fetch = fetch->kind;
    action->id = xstrdup_null(fetch->id);
}

/* At most one question about a thing is under way: an answer that is older than the event is asked for again.
 */
void brain_want(struct brain *brain, enum fetch_kind kind, const char *id, uint64_t now)
{
    struct fetch *fetch;

    (void)now;
    if (!brain->connected)
        return; /* everything is listed after the connection is made */
    fetch = find_fetch(brain, kind, id, true);
    if (fetch->in_flight)
        fetch->again = true;
    else
        send_fetch(brain, fetch);
}

/* An answer came. Returns when it was asked for; 0: it was not, and must not count. */
static uint64_t fetched(struct brain *brain, enum fetch_kind kind, const char *id)
{
    struct fetch *fetch = find_fetch(brain, kind, id, false);

    if (!fetch || !fetch->in_flight)
        return 0;
    uint64_t serial = fetch->serial;
    if (fetch->again)
        send_fetch(brain, fetch);
    else
        free_fetch(brain, fetch);
    return serial;
}

static void drop_fetches(struct brain *brain)
{
    struct fetch *fetch, *next;

    HASH_ITER (hh, brain->fetches, fetch, next)
        free_fetch(brain, fetch);
    brain_unpush(brain, ACTION_FETCH);
}

/* ---- connection --------------------------------------------------------------------------------------- */

void brain_resync(struct brain *brain, uint64_t now)
{
    brain_want(brain, FETCH_NETWORKS, NULL, now);
    brain_want(brain, FETCH_CONTAINERS, NULL, now);
    brain->resync_at = now + RESYNC_INTERVAL;
    brain->behind = false;
    brain_ask_unmatched(brain, now);
    brain_sweep(brain);
}

void brain_behind(struct brain *brain, uint64_t now)
{
    if (!brain->behind)
        brain_log(brain, LOG_WARNING,
                  "the Docker Engine's events come late: some may have been lost, everything is "
                  "listed again");
    brain->behind = true;
    if (brain->resync_at > now + BEHIND_CALM)
        brain->resync_at = now + BEHIND_CALM;
}

void brain_engine_up(struct brain *brain, const struct docker_version *version, uint64_t now)
{
    free(brain->engine_version);
    brain->engine_version = xstrdup(version->engine);
    brain->engine_api = version->api_minor;
    brain_judge_lookups(brain);
    free(STEAL(brain->engine_error));
    brain->connected = true;
    brain->connecting = false;
    brain->connect_at = 0;
    brain->listed_containers = brain->listed_networks = brain->synced = false;
    brain_log(brain, LOG_INFO, "connected to Docker Engine %s, API 1.%u", version->engine,
              version->api_minor);
    brain_want(brain, FETCH_INFO, NULL, now);
    brain_resync(brain, now);
}

/* A rootless Engine is in a network namespace of its own, and we are not: whatever we load, its packets do not meet it. */
void brain_info(struct brain *brain, const struct docker_info *info)
{
    if (fetched(brain, FETCH_INFO, NULL) == 0)
        return;
    if (info->rootless && !brain->inventory->rootless)
        brain_log(
            brain, LOG_ERR,
            "this Docker Engine is rootless, and its bridges are in a network namespace of its own: none of its "
            "containers is restricted, whatever the policies say");
    brain->inventory->rootless = info->rootless;
}

/*
 * What is known stays: an endpoint ends when its port goes, and that the kernel tells us. A new one that
 * takes its place is not known, and so is denied, until the Engine answers.
 */
void brain_engine_down(struct brain *brain, const char *why, uint64_t now)
{
    if (!brain->engine_error || strcmp(brain->engine_error, why) != 0)
        brain_log(brain, LOG_WARNING,
                  "no connection to the Docker Engine: %s; what is known of containers stays in force", why);
    free(brain->engine_error);
    brain->engine_error = xstrdup(why);
    brain->connected = brain->connecting = brain->synced = false;
    drop_fetches(brain);
    brain->connect_at = now + brain->backoff;
    brain->backoff *= 2;
    if (brain->backoff > CONNECT_BACKOFF_MAX)
        brain->backoff = CONNECT_BACKOFF_MAX;
}

void brain_engine_tick(struct brain *brain, uint64_t now)
{
    if (brain->connect_at && now >= brain->connect_at && !brain->connecting) {
        brain->connect_at = 0;
        brain->connecting = true;
        brain_push(brain, ACTION_CONNECT);
    }
    if (!brain->connected)
        return;
    if (now >= brain->resync_at)
        brain_resync(brain, now);
    for (struct fetch *fetch = brain->fetches; fetch; fetch = fetch->hh.next)
        if (fetch->retry_at && now >= fetch->retry_at)
            send_fetch(brain, fetch);
}

uint64_t brain_engine_deadline(const struct brain *brain)
{
    uint64_t next = UINT64_MAX;

    if (brain->connect_at)
        next = brain->connect_at;
    if (!brain->connected)
        return next;
    if (brain->resync_at < next)
        next = brain->resync_at;
    for (struct fetch *fetch = brain->fetches; fetch; fetch = fetch->hh.next)
        if (fetch->retry_at && fetch->retry_at < next)
            next = fetch->retry_at;
    return next;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* ---- images ------------------------------------------------------------------------------------------- */

static struct fact_image *find_image(struct brain *brain, const char *id)
{
    struct fact_image *image;

    HASH_FIND_STR(brain->images, id, image);
    return image;
}

static void image_free(struct brain *brain, struct fact_image *image)
{
    HASH_DEL(brain->images, image);
    label_list_clear(&image->labels);
    free(image->id);
    free(image);
}

/* A label counts once it is known that it does not merely repeat the image's. */
static void judge_labels(struct brain *brain, struct container *container, uint64_t now)
{
    struct fact_image *image;

    if (brain->settings->trust_image_labels) {
        container_apply_image_labels(container, NULL, true);
        return;
    }
    if (!container->image_id || container->labels_known)
        return;
    image = find_image(brain, container->image_id);
    if (!image) {
        image = xnew(struct fact_image);
        image->id = xstrdup(container->image_id);
        HASH_ADD_KEYPTR(hh, brain->images, image->id, strlen(image->id), image);
        brain_want(brain, FETCH_IMAGE, image->id, now);
    } else if (image->known) {
        container_apply_image_labels(container, &image->labels, false);
    }
}

/* Its image is still being read. Where that fails, labels do not count until it succeeds. */
bool brain_labels_pending(struct brain *brain, const struct container *container)
{
    const struct fact_image *image =
        container->image_id && !container->labels_known ? find_image(brain, container->image_id) : NULL;

    return image && !image->failed;
}

static void image_failed(struct brain *brain, struct fact_image *image)
{
    image->failed = true;
    for (struct container *container = brain->inventory->containers; container;
         container = container->hh.next)
        if (same_text(container->image_id, image->id))
            brain_mark(brain, container->id);
}

void brain_image(struct brain *brain, const char *id, struct label_list *labels, uint64_t now)
{
    struct fact_image *image = find_image(brain, id);

    if (fetched(brain, FETCH_IMAGE, id) == 0 || !image)
        return;
    label_list_clear(&image->labels);
    image->labels = *labels;
    *labels = (struct label_list){0};
    image->known = true;
    image->failed = false;
    for (struct container *container = brain->inventory->containers; container;
         container = container->hh.next)
        if (container->image_id && strcmp(container->image_id, id) == 0 && !container->labels_known) {
            judge_labels(brain, container, now);
            brain_overlay(brain, container); /* whom they follow to may go by labels */
            brain_mark(brain, container->id);
        }
}

/* After a list: forgets the images of no container, asks again for those that could not be read. */
static void sweep_images(struct brain *brain, uint64_t now)
{
    struct fact_image *image, *next;

    HASH_ITER (hh, brain->images, image, next) {
        bool used = false;
        for (struct container *container = brain->inventory->containers; container && !used;
             container = container->hh.next)
            used = container->image_id && strcmp(container->image_id, image->id) == 0;
        if (!used)
            image_free(brain, image);
        else if (!image->known && !find_fetch(brain, FETCH_IMAGE, image->id, false))
            brain_want(brain, FETCH_IMAGE, image->id, now);
    }
}

/* ---- containers --------------------------------------------------------------------------------------- */

static struct fact_container *find_container(struct brain *brain, const char *id)
{
    struct fact_container *fact;

    HASH_FIND_STR(brain->containers, id, fact);
    return fact;
}

static bool same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
    bool same = same_text(a->network_id, b->network_id) && same_text(a->network_name, b->network_name) &&
                same_text(a->id, b->id) && a->has_mac == b->has_mac &&
                (!a->has_mac || memcmp(&a->mac, &b->mac, sizeof(a->mac)) == 0);

    for (int f = 0; f < IP_FAMILIES; f++)
        same = same && a->has_ip[f] == b->has_ip[f] && (!a->has_ip[f] || ip_equal(a->ip[f], b->ip[f]));
    return same;
}

static bool same_published(const struct container *a, const struct container *b)
{
    bool same = a->n_published == b->n_published;

    for (size_t i = 0; same && i < a->n_published; i++)
        same = published_port_compare(&a->published[i], &b->published[i]) == 0;
    return same;
}

static bool same_container(const struct fact_container *fact, const struct container *old,
                           const struct container *new)
{
    if (!same_text(old->name, new->name) || !same_text(old->image_id, new->image_id) ||
        fact->mode != new->mode || !same_text(old->mode_target, new->mode_target) ||
        fact->running != new->running || !same_published(old, new) ||
        !container_ports_equal(&old->exposed, &new->exposed) || old->n_labels != new->n_labels ||
        fact->n_settings != new->n_endpoints)
        return false;
    if (!old->dns_known && !same_text(old->image, new->image))
        return false;
    for (size_t i = 0; i < new->n_labels; i++)
        if (strcmp(old->labels[i].key, new->labels[i].key) != 0 ||
            strcmp(old->labels[i].value, new->labels[i].value) != 0)
            return false;
    for (size_t i = 0; i < new->n_endpoints; i++)
        if (!same_endpoint(&fact->settings[i], &new->endpoints[i]))
            return false;
    return true;
}

/* What only an inspection tells is kept from the one before. */
static void inherit(struct container *new, struct container *old)
{
    if (old->dns_known) {
        new->dns = STEAL(old->dns);
        new->n_dns = old->n_dns;
        new->dns_known = true;
        old->n_dns = 0;
        free(new->image);
        new->image = STEAL(old->image);
        new->privileged = old->privileged;
        new->net_admin = old->net_admin;
        new->own_kernel = old->own_kernel;
        new->pid_target = STEAL(old->pid_target);
        new->ipc_target = STEAL(old->ipc_target);
    }
}

static void take_settings(struct fact_container *fact, struct container *container)
{
    for (size_t i = 0; i < fact->n_settings; i++)
        endpoint_clear(&fact->settings[i]);
    free(fact->settings);
    fact->settings = STEAL(container->endpoints);
    fact->n_settings = container->n_endpoints;
    container->n_endpoints = 0;
    fact->running = container->running;
    fact->mode = container->mode;
}

/* Its old name may give it what the new one does not: so it is asked again until it has but one. */
static void ask_name_again(struct brain *brain, struct fact_container *fact, bool unsure, uint64_t now)
{
    struct fetch *fetch;

    fact->unsure = unsure ? fact->unsure + 1 : 0;
    if (!unsure)
        return;
    fetch = find_fetch(brain, FETCH_CONTAINER, fact->id, true);
    if (!fetch->in_flight)
        fetch->retry_at = now + (RENAME_RETRY << (fact->unsure < 10 ? fact->unsure - 1 : 10));
}

static void put_container(struct brain *brain, struct container *container, uint64_t now)
{
    struct fact_container *fact = find_container(brain, container->id);
    struct container *old = inventory_container(brain->inventory, container->id);

    if (!fact) {
        fact = xnew(struct fact_container);
        fact->id = xstrdup(container->id);
        HASH_ADD_KEYPTR(hh, brain->containers, fact->id, strlen(fact->id), fact);
    }
    fact->serial = ++brain->serial;
    ask_name_again(brain, fact, container->name_unsure, now);
    if (!(old && old->dns_known) && !find_fetch(brain, FETCH_INSPECT, fact->id, false))
        brain_want(brain, FETCH_INSPECT, fact->id, now);
    if (old && !fact->gone && same_container(fact, old, container)) {
        container_free(container);
        return;
    }
    fact->gone = false;
    if (old) {
        brain_remember_all(brain, old, now);
        inherit(container, old);
    }
    take_settings(fact, container);
    judge_labels(brain, container, now);
    brain_overlay(brain, container);
    inventory_put_container(brain->inventory, container);
    brain_mark(brain, fact->id);
}

static void drop_container(struct brain *brain, struct fact_container *fact)
{
    fact->gone = true;
    brain_mark(brain, fact->id);
}

/* Its list entry was made when the question arrived; what was answered since then is newer. */
static bool is_newer(uint64_t serial, uint64_t asked)
{
    return serial > asked;
}

void brain_containers(struct brain *brain, struct container_list *list, uint64_t now)
{
    uint64_t asked = fetched(brain, FETCH_CONTAINERS, NULL), arrived = ++brain->serial;

    if (asked == 0)
        return;
    for (size_t i = 0; i < list->n; i++) {
        struct fact_container *fact = list->v[i] ? find_container(brain, list->v[i]->id) : NULL;
        if (!list->v[i])
            continue;
        if (fact && is_newer(fact->serial, asked)) {
            brain_want(brain, FETCH_CONTAINER, fact->id, now);
            fact->serial = ++brain->serial;
        } else {
            put_container(brain, STEAL(list->v[i]), now);
        }
    }
    for (struct fact_container *fact = brain->containers; fact; fact = fact->hh.next) {
        if (is_newer(fact->serial, arrived) || fact->gone)
            continue;
        if (is_newer(fact->serial, asked))
            brain_want(brain, FETCH_CONTAINER, fact->id, now);
        else
            drop_container(brain, fact);
    }
    brain->listed_containers = true;
    brain->backoff = CONNECT_BACKOFF_MIN;
    sweep_images(brain, now);
}

void brain_container(struct brain *brain, const char *id, struct container_list *list, uint64_t now)
{
    struct fact_container *fact = find_container(brain, id);
    bool found = false;

    if (fetched(brain, FETCH_CONTAINER, id) == 0)
        return;
    for (size_t i = 0; i < list->n; i++)
        /* the Engine's filter takes a prefix too */
        if (list->v[i] && strcmp(list->v[i]->id, id) == 0) {
            found = true;
            put_container(brain, STEAL(list->v[i]), now);
        }
    if (!found && fact)
        drop_container(brain, fact);
}

void brain_inspected(struct brain *brain, const char *id, struct container *container, uint64_t now)
{
    struct container *known = inventory_container(brain->inventory, id);

    (void)now;
    if (fetched(brain, FETCH_INSPECT, id) == 0 || !known || !container)
        return;
    free(known->dns);
    known->dns = STEAL(container->dns);
    known->n_dns = container->n_dns;
    container->n_dns = 0;
    known->dns_known = true;
    known->privileged = container->privileged;
    known->net_admin = container->net_admin;
    known->own_kernel = container->own_kernel;
    free(known->pid_target);
    known->pid_target = STEAL(container->pid_target);
    free(known->ipc_target);
    known->ipc_target = STEAL(container->ipc_target);
    if (container->image) {
        free(known->image);
        known->image = STEAL(container->image);
    }
    brain_mark(brain, id);
}

/* ---- networks ----------------------------------------------------------------------------------------- */

static struct fact_network *find_network(struct brain *brain, const char *id)
{
    struct fact_network *fact;

    HASH_FIND_STR(brain->networks, id, fact);
    return fact;
}

static void live_clear(struct live *live)
{
    free(live->container_id);
    endpoint_clear(&live->endpoint);
}

static void network_changed(struct brain *brain)
{
    brain->networks_dirty = true;
    brain->match_dirty = true;
    for (struct fact_container *fact = brain->containers; fact; fact = fact->hh.next)
        brain_mark(brain, fact->id);
}

static bool same_network(const struct network *old, const struct network *new)
{
    if (!same_text(old->name, new->name) || !same_text(old->bridge, new->bridge) ||
        !same_text(old->parent, new->parent) || old->managed != new->managed ||
        !same_text(old->unmanaged_reason, new->unmanaged_reason) || old->internal != new->internal ||
        old->ipv6 != new->ipv6 || old->ipv6_open != new->ipv6_open || old->n_subnets != new->n_subnets)
        return false;
    for (size_t i = 0; i < old->n_subnets; i++)
        if (!ip_equal(old->subnets[i].net, new->subnets[i].net) || old->subnets[i].len != new->subnets[i].len)
            return false;
    return true;
}

/* Before release 27 it makes no rules for IPv6, unless it is told to: then it blocks more than is said of it here. */
static bool leaves_ipv6_open(const struct brain *brain)
{
    return brain->engine_version && strtoul(brain->engine_version, NULL, 10) < 27;
}

static struct fact_network *put_network(struct brain *brain, struct network *network)
{
    struct fact_network *fact = find_network(brain, network->id);
    struct network *old = inventory_network(brain->inventory, network->id);

    if (!fact) {
        fact = xnew(struct fact_network);
        fact->id = xstrdup(network->id);
        HASH_ADD_KEYPTR(hh, brain->networks, fact->id, strlen(fact->id), fact);
    }
    fact->serial = ++brain->serial;
    network_decide_managed(network, brain->settings);
    network->ipv6_open = network->ipv6 && !network->internal && leaves_ipv6_open(brain);
    if (old && same_network(old, network)) {
        network_free(network);
        return fact;
    }
    inventory_put_network(brain->inventory, network);
    brain->inventory_changes++;
    network_changed(brain);
    return fact;
}

static void drop_network(struct brain *brain, struct fact_network *fact, uint64_t now)
{
    for (size_t i = 0; i < fact->n_live; i++) {
        brain_release_port(brain, &fact->live[i], now);
        live_clear(&fact->live[i]);
    }
    free(fact->live);
    inventory_drop_network(brain->inventory, fact->id);
    brain->inventory_changes++;
    network_changed(brain);
    HASH_DEL(brain->networks, fact);
    free(fact->id);
    free(fact);
}

void brain_networks(struct brain *brain, struct network_list *list, uint64_t now)
{
    uint64_t asked = fetched(brain, FETCH_NETWORKS, NULL), arrived = ++brain->serial;
    struct fact_network *fact, *next;

    if (asked == 0)
        return;
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i]) {
            fact = put_network(brain, STEAL(list->v[i]));
            const struct network *network = inventory_network(brain->inventory, fact->id);
            if (network->managed)
                brain_want(brain, FETCH_NETWORK, fact->id, now);
        }
    HASH_ITER (hh, brain->networks, fact, next) {
        if (is_newer(fact->serial, arrived))
            continue;
        if (is_newer(fact->serial, asked))
            brain_want(brain, FETCH_NETWORK, fact->id, now);
        else
            drop_network(brain, fact, now);
    }
    brain_bridges_listed(brain, asked);
    brain->networks_dirty = brain->networks_dirty || !brain->networks_known;
    brain->listed_networks = brain->networks_known = true;
}

static int compare_live(const void *a, const void *b)
{
    return strcmp(((const struct live *)a)->container_id, ((const struct live *)b)->container_id);
}

struct live *brain_find_live(const struct fact_network *fact, const char *container_id)
{
    struct live key = {.container_id = (char *)(uintptr_t)container_id};

    return fact->n_live ? bsearch(&key, fact->live, fact->n_live, sizeof(key), compare_live) : NULL;
}

/* The Engine's key of an endpoint that no container has (a build step, a gateway of Swarm's) is none. */
static bool is_container_id(const char *id)
{
    size_t len = 0;

    while (isxdigit((unsigned char)id[len]))
        len++;
    return len == 64 && id[len] == '\0';
}

/*
 * What the answer before said of an endpoint. Since 28 the Engine lists one under a key of its own ("ep-...")
 * until the container has joined it, some 50 ms after its port came up: it is the same endpoint.
 */
static struct live *find_former(const struct fact_network *old, const struct live *live)
{
    struct live *former = brain_find_live(old, live->container_id);

    for (size_t i = 0; i < old->n_live && !former && is_container_id(live->container_id); i++)
        if (!is_container_id(old->live[i].container_id) &&
            same_text(old->live[i].endpoint.id, live->endpoint.id))
            former = &old->live[i];
    return former;
}

/* Its port, if one was found, was found under the former key. */
static void take_over(struct brain *brain, const struct live *live, const struct live *former, uint64_t now)
{
    struct fact_link *link = live->port ? brain_find_link(brain, live->port) : NULL;

    if (strcmp(former->container_id, live->container_id) == 0)
        return;
    if (link) {
        free(link->owner);
        link->owner = xstrdup(live->container_id);
    }
    brain_mark(brain, live->container_id);
    if (!find_container(brain, live->container_id))
        brain_want(brain, FETCH_CONTAINER, live->container_id, now);
}

/* A new answer's endpoint: what we found out ourselves about it (its port, or that it has ended) is kept. */
static void compare_with_old(struct brain *brain, struct live *live, struct live *old, uint64_t now)
{
    live->appeared = now;
    live->was_there = !brain->synced;
    if (!old || !same_text(old->endpoint.id, live->endpoint.id)) {
        brain->match_dirty = true;
        brain_mark(brain, live->container_id);
        if (is_container_id(live->container_id) && !find_container(brain, live->container_id))
            brain_want(brain, FETCH_CONTAINER, live->container_id, now);
        return;
    }
    live->appeared = old->appeared;
    live->was_there = old->was_there;
    live->ended = old->ended;
    live->ended_at = old->ended_at;
    live->port = old->port;
    old->port = 0;
    take_over(brain, live, old, now);
    if (!same_endpoint(&old->endpoint, &live->endpoint))
        brain_mark(brain, live->container_id);
}

static void take_detail(struct brain *brain, struct fact_network *fact, struct network_detail *detail,
                        uint64_t now)
{
    struct fact_network old = *fact;

    fact->live = xcalloc(detail->n ? detail->n : 1, sizeof(*fact->live));
    fact->n_live = detail->n;
    for (size_t i = 0; i < detail->n; i++) {
        fact->live[i].container_id = STEAL(detail->v[i].container_id);
        fact->live[i].endpoint = detail->v[i].endpoint;
        detail->v[i].endpoint = (struct endpoint){0};
    }
    qsort(fact->live, fact->n_live, sizeof(*fact->live), compare_live);
    for (size_t i = 0; i < fact->n_live; i++)
        compare_with_old(brain, &fact->live[i], find_former(&old, &fact->live[i]), now);
    for (size_t i = 0; i < old.n_live; i++) {
        struct live *live = &old.live[i];
        if (!brain_find_live(fact, live->container_id))
            brain_mark(brain, live->container_id);
        if (live->port)
            brain_release_port(brain, live, now);
        live_clear(live);
    }
    free(old.live);
    fact->has_detail = true;
}

void brain_network(struct brain *brain, const char *id, struct network_detail *detail, uint64_t now)
{
    if (fetched(brain, FETCH_NETWORK, id) == 0 || !detail->network || strcmp(detail->network->id, id) != 0)
        return;
    struct fact_network *fact = put_network(brain, STEAL(detail->network));
    const struct network *network = inventory_network(brain->inventory, id);
    if (network->managed)
        take_detail(brain, fact, detail, now);
}

void brain_want_bridge_networks(struct brain *brain, const char *bridge, uint64_t now)
{
    for (struct network *network = brain->inventory->networks; network; network = network->hh.next)
        if (network->managed && network->bridge && strcmp(network->bridge, bridge) == 0)
            brain_want(brain, FETCH_NETWORK, network->id, now);
}

/* ---- what could not be had ---------------------------------------------------------------------------- */

static void nothing_there(struct brain *brain, enum fetch_kind kind, const char *id, uint64_t now)
{
    struct fact_network *network;
    struct fact_container *container;
    struct fact_image *image;

    switch (kind) {
    case FETCH_CONTAINERS:
    case FETCH_NETWORKS:
    case FETCH_INSPECT: /* the list says when it is gone */
    case FETCH_INFO:
        break;
    case FETCH_CONTAINER:
        container = find_container(brain, id);
        if (container)
            drop_container(brain, container);
        break;
    case FETCH_NETWORK:
        network = find_network(brain, id);
        if (network)
            drop_network(brain, network, now);
        break;
    case FETCH_IMAGE:
        image = find_image(brain, id);
        if (image)
            image_failed(brain, image);
        break;
    }
}

static const char *fetch_name(enum fetch_kind kind)
{
    switch (kind) {
    case FETCH_CONTAINERS:
        return "the list of containers";
    case FETCH_CONTAINER:
        return "a container";
    case FETCH_INSPECT:
        return "a container's settings";
    case FETCH_NETWORKS:
        return "the list of networks";
    case FETCH_NETWORK:
        return "a network";
    case FETCH_INFO:
        return "what the Engine says about itself";
    case FETCH_IMAGE:
        return "an image's labels";
    }
    return "something";
}

void brain_fetch_failed(struct brain *brain, enum fetch_kind kind, const char *id, int error,
                        const char *message, uint64_t now)
{
    struct fetch *fetch = find_fetch(brain, kind, id, false);

    if (!fetch || !fetch->in_flight)
        return;
    if (error == -ENOENT) {
        fetched(brain, kind, id);
        nothing_there(brain, kind, id, now);
        return;
    }
    if (fetch->failures++ == 0)
        brain_log(brain, LOG_WARNING, "cannot read %s from the Docker Engine: %s", fetch_name(kind), message);
    struct fact_image *image = kind == FETCH_IMAGE ? find_image(brain, id) : NULL;
    if (image)
        image_failed(brain, image);
    if (fetch->again)
        send_fetch(brain, fetch);
    else {
        fetch->in_flight = false;
        fetch->retry_at = now + (FETCH_RETRY << (fetch->failures < 6 ? fetch->failures - 1 : 5));
    }
}

/* ---- events ------------------------------------------------------------------------------------------- */

/* The networks that a container is on, or would be: its endpoints there may have begun or ended. */
static void want_networks_of(struct brain *brain, const char *container_id, uint64_t now)
{
    const struct container *container = inventory_container(brain->inventory, container_id);

    for (size_t i = 0; container && i < container->n_endpoints; i++) {
        const struct network *network = brain_network_of(brain, &container->endpoints[i]);
        if (network && network->managed)
            brain_want(brain, FETCH_NETWORK, network->id, now);
    }
}

static void container_event(struct brain *brain, const struct docker_event *event, uint64_t now)
{
    switch (event->action) {
    case DOCKER_CREATE:
    case DOCKER_RENAME:
    case DOCKER_UPDATE:
        brain_want(brain, FETCH_CONTAINER, event->id, now);
        break;
    case DOCKER_START:
    case DOCKER_DIE:
    case DOCKER_STOP:
    case DOCKER_DESTROY:
        brain_want(brain, FETCH_CONTAINER, event->id, now);
        want_networks_of(brain, event->id, now);
        break;
    case DOCKER_PAUSE: /* it keeps its addresses and answers nothing */
    case DOCKER_UNPAUSE:
    case DOCKER_CONNECT:
    case DOCKER_DISCONNECT:
    case DOCKER_OTHER_ACTION:
        break;
    }
}

/*
 * No event says who has an address now: a `disconnect` may come after the next container has the address. It
 * only makes us look.
 */
static void network_event(struct brain *brain, const struct docker_event *event, uint64_t now)
{
    const struct network *network = inventory_network(brain->inventory, event->id);

    if (event->action == DOCKER_OTHER_ACTION)
        return;
    if (!network || network->managed || event->action == DOCKER_DESTROY)
        brain_want(brain, FETCH_NETWORK, event->id, now);
    if (event->container_id && (!network || !network->managed || !find_container(brain, event->container_id)))
        brain_want(brain, FETCH_CONTAINER, event->container_id, now);
}

void brain_docker_event(struct brain *brain, const struct docker_event *event, uint64_t now)
{
    switch (event->type) {
    case DOCKER_CONTAINER:
        container_event(brain, event, now);
        break;
    case DOCKER_NETWORK:
        network_event(brain, event, now);
        break;
    case DOCKER_OTHER_TYPE:
        break;
    }
}

void brain_engine_clear(struct brain *brain)
{
    struct fact_network *network, *next_network;
    struct fact_image *image, *next_image;

    drop_fetches(brain);
    HASH_ITER (hh, brain->networks, network, next_network)
        drop_network(brain, network, 0);
    HASH_ITER (hh, brain->images, image, next_image)
        image_free(brain, image);
}
