// SPDX-License-Identifier: GPL-2.0-or-later
/* By which name a policy would mean who is at one end of a connection. */
#include <netinet/in.h>
#include <string.h>

#include "inventory/match.h"
#include "learn/learn.h"
#include "policy/scalar.h"
#include "util/text.h"

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_of_service(const struct container *container, const char *project, const char *service)
{
    return same(container_label(container, COMPOSE_PROJECT), project) &&
           same(container_label(container, COMPOSE_SERVICE), service);
}

/* Labels are what others have written: what could play tricks in a policy file is no name. */
static bool is_clean(const char *text)
{
    _cleanup_free_ char *safe = text ? text_escape(text, false) : NULL;

    return safe && strcmp(safe, text) == 0;
}

/* Is it the service as a whole that is watched? */
static bool means_service(const struct learning *learning, const struct inventory *inventory,
                          const char *project, const char *service)
{
    const struct container *container, *next;

    HASH_ITER (hh, inventory->containers, container, next) {
        if (is_of_service(container, project, service) && !learning_means(learning, container))
            return false;
    }
    return true;
}

/* What the selector that means it says of it, where that is more than one container's name. */
static bool who_selected(const struct learning *learning, const struct container *container,
                         struct learn_who *ret)
{
    for (size_t i = 0; i < learning->n_targets; i++) {
        const struct lock *target = learning->targets[i];
        const struct selector *select = &target->select;

        if (!target->select_text || !lock_means(target, container))
            continue;
        if (select->n_labels > 0) {
            const char *value = container_label(container, select->labels[0].key);

            if (!value || !glob_match(select->labels[0].value, value))
                continue; /* its image's: no policy would mean it by that */
            *ret = (struct learn_who){LEARN_LABEL, xstrdup(select->labels[0].key),
                                      xstrdup(select->labels[0].value)};
            return true;
        }
        if (select->name) {
            *ret = (struct learn_who){LEARN_NAME, xstrdup(select->name), NULL};
            return true;
        }
    }
    return false;
}

struct learn_who learn_who_of(const struct learning *learning, const struct container *container,
                              const struct inventory *inventory)
{
    const char *project = container_label(container, COMPOSE_PROJECT);
    const char *service = container_label(container, COMPOSE_SERVICE);
    struct learn_who who;

    if (is_clean(project) && is_clean(service) &&
        (!learning_means(learning, container) || means_service(learning, inventory, project, service)))
        return (struct learn_who){LEARN_COMPOSE, xstrdup(project), xstrdup(service)};
    if (who_selected(learning, container, &who))
        return who;
    return (struct learn_who){LEARN_NAME, xstrdup(container->name ? container->name : container->id), NULL};
}

struct learn_who learn_who_copy(const struct learn_who *who)
{
    return (struct learn_who){who->kind, xstrdup_null(who->first), xstrdup_null(who->second)};
}

void learn_who_clear(struct learn_who *who)
{
    free(who->first);
    free(who->second);
    *who = (struct learn_who){0};
}

bool learn_who_equal(const struct learn_who *a, const struct learn_who *b)
{
    return a->kind == b->kind && same(a->first, b->first) && same(a->second, b->second);
}

/* ---- texts -------------------------------------------------------------------------------------------- */

static char *yaml_pair(const char *key, const char *value)
{
    _cleanup_free_ char *scalar = yaml_scalar(value);

    return xasprintf("{%s: %s}", key, scalar);
}

static char *yaml_label(const struct learn_who *who)
{
    _cleanup_free_ char *key = yaml_scalar(who->first), *value = yaml_scalar(who->second);

    return xasprintf("{labels: {%s: %s}}", key, value);
}

char *learn_who_yaml(const struct learn_who *who)
{
    switch (who->kind) {
    case LEARN_COMPOSE: {
        _cleanup_free_ char *both = xasprintf("%s/%s", who->first, who->second);

        return yaml_pair("compose", both);
    }
    case LEARN_LABEL:
        return yaml_label(who);
    case LEARN_NAME:
        return yaml_pair("name", who->first);
    case LEARN_HOST:
        return xstrdup("host");
    case LEARN_RESOLVER:
        return xstrdup("dns");
    case LEARN_ADDRESS: {
        _cleanup_free_ char *block = xasprintf("%s/%u", who->first, strchr(who->first, ':') ? 128 : 32);

        return yaml_pair("cidr", block);
    }
    case LEARN_BLOCK:
        return yaml_pair("cidr", who->first);
    case LEARN_INTERNET:
        return xstrdup("internet");
    case LEARN_OUTSIDE:
        return xstrdup("outside");
    case LEARN_ELSEWHERE:
        break;
    }
    return NULL;
}

char *learn_who_text(const struct learn_who *who)
{
    switch (who->kind) {
    case LEARN_COMPOSE:
        return xasprintf("%s/%s", who->first, who->second);
    case LEARN_LABEL:
        return xasprintf("%s=%s", who->first, who->second);
    case LEARN_NAME:
    case LEARN_ADDRESS:
    case LEARN_BLOCK:
        return xstrdup(who->first);
    case LEARN_HOST:
        return xstrdup("the host");
    case LEARN_RESOLVER:
        return xstrdup("its name servers");
    case LEARN_INTERNET:
        return xstrdup("public addresses");
    case LEARN_OUTSIDE:
        return xstrdup("addresses outside");
    case LEARN_ELSEWHERE:
        break;
    }
    return xstrdup("an address that no container has");
}

static const char *proto_word(uint8_t proto)
{
    switch (proto) {
    case IPPROTO_TCP:
        return "tcp";
    case IPPROTO_UDP:
        return "udp";
    case IPPROTO_SCTP:
        return "sctp";
    default:
        return NULL;
    }
}

char *observation_port(const struct observation *observation)
{
    const char *word = proto_word(observation->proto);
    uint16_t first = observation->first_port, last = observation->last_port;

    if (word)
        return first == last ? xasprintf("%u/%s", first, word) : xasprintf("%u-%u/%s", first, last, word);
    if (first == last && ((observation->proto == IPPROTO_ICMP && first == 8) ||
                          (observation->proto == IPPROTO_ICMPV6 && first == 128)))
        return xstrdup("icmp/echo-request");
    return NULL;
}

char *observation_service(const struct observation *observation)
{
    char *port = observation_port(observation);

    if (port)
        return port;
    if (observation->proto == IPPROTO_ICMP || observation->proto == IPPROTO_ICMPV6)
        return xasprintf("%s type %u", observation->proto == IPPROTO_ICMP ? "icmp" : "icmpv6",
                         observation->first_port);
    return xasprintf("protocol %u", observation->proto);
}
