/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose an address was: endpoints that have ended, for a while, for packets that are told of late. */
#include "brain_private.h"

#include <string.h>

#define PAST_FOR (90 * SEC)
#define PAST_MAX 2048
#define PAST_LATE (2 * SEC) /* that the end of an endpoint is noticed before its last packets are */

static void past_clear(struct past *past)
{
    container_free(past->container);
    *past = (struct past){0};
}

void brain_past_clear(struct brain *brain)
{
    for (size_t i = 0; i < brain->n_past; i++)
        past_clear(&brain->past[i]);
    free(STEAL(brain->past));
    brain->n_past = 0;
}

/* What a record tells of a container, and what policies ask of it. */
static struct container *copy_for(const struct container *container, const struct endpoint *endpoint)
{
    struct container *copy = container_new();

    copy->id = xstrdup(container->id);
    copy->name = xstrdup_null(container->name);
    copy->image = xstrdup_null(container->image);
    copy->labels_known = container->labels_known;
    copy->mode = container->mode;
    for (size_t i = 0; i < container->n_labels; i++) {
        const struct label *label = &container->labels[i];

        *ARRAY_ADD(copy->labels, copy->n_labels) =
            (struct label){xstrdup(label->key), xstrdup(label->value), label->from_image};
    }
    *ARRAY_ADD(copy->endpoints, copy->n_endpoints) = endpoint_copy(endpoint);
    return copy;
}

/* The oldest stand first. */
static void forget_old(struct brain *brain, uint64_t now)
{
    size_t n = 0;

    while (n < brain->n_past && (brain->past[n].until + PAST_FOR < now || brain->n_past - n >= PAST_MAX))
        past_clear(&brain->past[n++]);
    if (n == 0)
        return;
    memmove(brain->past, brain->past + n, (brain->n_past - n) * sizeof(*brain->past));
    brain->n_past -= n;
}

void brain_remember(struct brain *brain, const struct container *container, const struct endpoint *endpoint,
                    uint64_t now)
{
    if (!endpoint->id || (!endpoint->has_ip[IP4] && !endpoint->has_ip[IP6]))
        return;
    forget_old(brain, now);
    for (size_t i = 0; i < brain->n_past; i++)
        if (strcmp(brain->past[i].container->endpoints[0].id, endpoint->id) == 0) {
            brain->past[i].until = now;
            brain->past_changed = true;
            return;
        }
    brain->past_changed = true;
    /* array_grow() needs every size to have been grown to in turn */
    brain->past = xreallocarray(brain->past, brain->n_past + 1, sizeof(*brain->past));
    brain->past[brain->n_past++] = (struct past){.container = copy_for(container, endpoint), .until = now};
}

void brain_remember_all(struct brain *brain, const struct container *container, uint64_t now)
{
    for (size_t i = 0; i < container->n_endpoints; i++)
        brain_remember(brain, container, &container->endpoints[i], now);
}

static bool has_address(const struct endpoint *endpoint, struct ip ip)
{
    return endpoint->has_ip[ip.family] && ip_equal(endpoint->ip[ip.family], ip);
}

/* Of a frame, the port says more than what is in it. */
static bool is_meant(const struct endpoint *endpoint, const struct whose *whose)
{
    if (!endpoint->id)
        return false;
    if (whose->port)
        return endpoint->port_index == whose->port;
    if (!whose->has_ip || !has_address(endpoint, whose->ip))
        return false;
    return !whose->has_mac || !endpoint->has_mac ||
           memcmp(&whose->mac, &endpoint->mac, sizeof(whose->mac)) == 0;
}

static bool find_live(const struct brain *brain, const struct whose *whose,
                      const struct container **ret_container, const struct endpoint **ret_endpoint)
{
    for (const struct container *container = brain->inventory->containers; container;
         container = container->hh.next)
        for (size_t i = 0; i < container->n_endpoints; i++)
            if (is_meant(&container->endpoints[i], whose)) {
                *ret_container = container;
                *ret_endpoint = &container->endpoints[i];
                return true;
            }
    return false;
}

/* What is only replaced by newer news of itself has not ended. */
static bool is_live(const struct brain *brain, const char *endpoint_id)
{
    for (const struct container *container = brain->inventory->containers; container;
         container = container->hh.next)
        for (size_t i = 0; i < container->n_endpoints; i++)
            if (container->endpoints[i].id && strcmp(container->endpoints[i].id, endpoint_id) == 0)
                return true;
    return false;
}

size_t brain_take_ended(struct brain *brain, struct ip **ret)
{
    size_t n = 0;

    *ret = NULL;
    for (size_t i = 0; brain->past_changed && i < brain->n_past; i++) {
        struct past *past = &brain->past[i];
        const struct endpoint *endpoint = &past->container->endpoints[0];

        if (past->taken || is_live(brain, endpoint->id))
            continue;
        past->taken = true;
        for (int family = 0; family < IP_FAMILIES; family++)
            if (endpoint->has_ip[family])
                *ARRAY_ADD(*ret, n) = endpoint->ip[family];
    }
    brain->past_changed = false;
    return n;
}

bool brain_whose(const struct brain *brain, const struct whose *whose, const struct container **ret_container,
                 const struct endpoint **ret_endpoint)
{
    if (find_live(brain, whose, ret_container, ret_endpoint))
        return true;
    for (size_t i = brain->n_past; i-- > 0;) {
        const struct past *past = &brain->past[i];
        const struct endpoint *endpoint = &past->container->endpoints[0];

        if (whose->at > past->until + PAST_LATE || !is_meant(endpoint, whose))
            continue;
        *ret_container = past->container;
        *ret_endpoint = endpoint;
        return true;
    }
    return false;
}
