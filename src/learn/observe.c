// SPDX-License-Identifier: GPL-2.0-or-later
/* From records to observations. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "fold.h"
#include "learn/learn.h"
#include "util/utc.h"
#include "verdict/verdict.h"

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"
#define DNS_PORT 53

/* ---- a learning --------------------------------------------------------------------------------------- */

struct learning *learning_new(void)
{
    return xnew(struct learning);
}

static void names_clear(struct learn_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->v[i]);
    free(names->v);
}

void observation_free(struct observation *observation)
{
    free(observation->key);
    learn_who_clear(&observation->subject);
    learn_who_clear(&observation->peer);
    free(observation->example);
    names_clear(&observation->subjects);
    names_clear(&observation->peers);
    free(observation);
}

struct learning *learning_free(struct learning *learning)
{
    struct observation *observation, *next;

    if (!learning)
        return NULL;
    HASH_ITER (hh, learning->observations, observation, next) {
        HASH_DEL(learning->observations, observation);
        observation_free(observation);
    }
    for (size_t i = 0; i < learning->n_targets; i++)
        lock_free(learning->targets[i]);
    free(learning->targets);
    free(learning->title);
    free(learning->by);
    free(learning);
    return NULL;
}

void learning_add(struct learning *learning, struct lock *target)
{
    *ARRAY_ADD(learning->targets, learning->n_targets) = target;
}

static int compare_targets(const void *a, const void *b)
{
    return strcmp(lock_text(*(struct lock *const *)a), lock_text(*(struct lock *const *)b));
}

void learning_settle(struct learning *learning)
{
    char *title = xstrdup("");

    if (learning->n_targets > 0)
        qsort(learning->targets, learning->n_targets, sizeof(struct lock *), compare_targets);
    for (size_t i = 0; i < learning->n_targets; i++) {
        char *longer = xasprintf("%s%s%s", title, i ? ", " : "", lock_text(learning->targets[i]));

        free(title);
        title = longer;
    }
    free(learning->title);
    learning->title = title;
}

bool learning_means(const struct learning *learning, const struct container *container)
{
    for (size_t i = 0; i < learning->n_targets; i++)
        if (lock_means(learning->targets[i], container))
            return true;
    return false;
}

bool learning_runs(const struct learning *learning, uint64_t now)
{
    return !learning->ended && (!learning->until || now < learning->until);
}

/* ---- observations ------------------------------------------------------------------------------------- */

static void names_add(struct learn_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->v[i], name) == 0)
            return;
    if (names->n >= LEARN_NAMES_MAX)
        names->more = true;
    else
        *ARRAY_ADD(names->v, names->n) = xstrdup(name);
}

static char *key_of(const struct observation *o)
{
    return xasprintf("%d %d %s/%s %d %s/%s %u %u-%u", o->direction, o->subject.kind,
                     o->subject.first ? o->subject.first : "", o->subject.second ? o->subject.second : "",
                     o->peer.kind, o->peer.first ? o->peer.first : "", o->peer.second ? o->peer.second : "",
                     o->proto, o->first_port, o->last_port);
}

void observation_merge(struct observation *into, const struct observation *from)
{
    into->allowed += from->allowed;
    into->denied += from->denied;
    into->forbidden = into->forbidden || from->forbidden;
    if (!into->first || from->first < into->first)
        into->first = from->first;
    if (from->last > into->last)
        into->last = from->last;
    if (!into->example)
        into->example = xstrdup_null(from->example);
    if (!into->has_ip && from->has_ip) {
        into->ip = from->ip;
        into->has_ip = true;
    }
    for (size_t i = 0; i < from->subjects.n; i++)
        names_add(&into->subjects, from->subjects.v[i]);
    for (size_t i = 0; i < from->peers.n; i++)
        names_add(&into->peers, from->peers.v[i]);
    into->subjects.more = into->subjects.more || from->subjects.more;
    into->peers.more = into->peers.more || from->peers.more;
}

void learning_put(struct learning *learning, struct observation *observation)
{
    struct observation *old;

    free(observation->key);
    observation->key = key_of(observation);
    HASH_FIND_STR(learning->observations, observation->key, old);
    if (old) {
        observation_merge(old, observation);
        observation_free(observation);
        return;
    }
    HASH_ADD_KEYPTR(hh, learning->observations, observation->key, strlen(observation->key), observation);
}

static const struct observation *find(const struct learning *learning, struct observation *like)
{
    struct observation *found;

    free(like->key);
    like->key = key_of(like);
    HASH_FIND_STR(learning->observations, like->key, found);
    return found;
}

/* One that was seen now; it is the learning's, or freed. again: so many of it may have been counted before. */
static void see(struct learning *learning, struct observation *seen, uint64_t again, uint64_t now)
{
    bool is_new;

    fold_into(learning, seen);
    is_new = !find(learning, seen);
    if (!is_new && seen->allowed)
        seen->allowed -= again;
    else if (!is_new && seen->denied)
        seen->denied -= again;
    if (is_new && HASH_COUNT(learning->observations) >= LEARN_OBSERVATIONS_MAX) {
        learning->left_out++;
        observation_free(seen);
        return;
    }
    if (is_new)
        learning->new_at = now;
    learning_put(learning, seen);
    if (is_new)
        fold_after(learning, seen);
}

/* ---- records ------------------------------------------------------------------------------------------ */

static const json_t *at(const json_t *json, const char *a, const char *b)
{
    json = json_object_get(json, a);
    return b ? json_object_get(json, b) : json;
}

static const char *text_at(const json_t *json, const char *a, const char *b)
{
    const char *text = json_string_value(at(json, a, b));

    return text ? text : "";
}

/* One end of a record. */
struct end {
    const char *kind;
    const struct container *container; /* kind "container" */
    struct container *made;            /* the same, where the inventory does not have it any more */
    struct ip ip;
    bool has_ip;
};

static void add_label(struct container *container, const char *key, const char *value)
{
    if (*value)
        *ARRAY_ADD(container->labels, container->n_labels) =
            (struct label){.key = xstrdup(key), .value = xstrdup(value)};
}

/* One that is gone, as far as the record knows it. */
static struct container *make_container(const json_t *json)
{
    struct container *container = container_new();

    container->id = xstrdup(text_at(json, "id", NULL));
    container->name = xstrdup(text_at(json, "name", NULL));
    container->labels_known = true;
    add_label(container, COMPOSE_PROJECT, text_at(json, "compose", "project"));
    add_label(container, COMPOSE_SERVICE, text_at(json, "compose", "service"));
    labels_sort(container->labels, container->n_labels);
    return container;
}

static struct end read_end(const json_t *record, const char *which, const struct inventory *inventory)
{
    const json_t *json = at(record, "cofferdam", which), *container = json_object_get(json, "container");
    struct end end = {.kind = text_at(json, "kind", NULL)};

    end.has_ip = ip_parse(text_at(record, which, "ip"), &end.ip) == 0;
    if (!container)
        return end;
    end.container = inventory_container(inventory, text_at(container, "id", NULL));
    if (!end.container)
        end.container = end.made = make_container(container);
    return end;
}

static void end_clear(struct end *end)
{
    container_free(end->made);
}

/* What of a record is the same for both of its ends. */
struct seen {
    struct end source, destination;
    uint8_t proto;
    uint16_t port;
    bool allowed, forbidden;
    uint64_t count, again; /* again: of these, when the record opened */
    uint64_t first, last;
};

static char *end_text(const struct end *end)
{
    char ip[IP_TEXT_MAX] = "?";

    if (end->has_ip)
        ip_format(end->ip, ip);
    if (end->container)
        return xasprintf("%s (%s)", end->container->name ? end->container->name : end->container->id, ip);
    return strcmp(end->kind, "host") == 0 ? xasprintf("host (%s)", ip) : xstrdup(ip);
}

/* Seconds of "2026-11-20T15:04:05.123456Z"; otherwise where it has none. */
static uint64_t time_at(const json_t *record, const char *key, uint64_t otherwise)
{
    const char *text = text_at(record, "event", key);
    _cleanup_free_ char *seconds = xasprintf("%.19sZ", text);
    uint64_t at;

    return utc_parse(seconds, &at) == 0 ? at : otherwise;
}

/* Only what the policies decide is theirs to allow. */
static bool is_judged_by_policies(const json_t *record)
{
    static const char *const points[] = {"egress", "ingress", "host-egress", "host-ingress"};
    const char *point = text_at(record, "cofferdam", "point");

    for (size_t i = 0; i < ARRAY_SIZE(points); i++)
        if (strcmp(point, points[i]) == 0)
            return true;
    return false;
}

static bool read_record(const json_t *record, const struct inventory *inventory, uint64_t now,
                        struct seen *ret)
{
    const json_t *icmp = at(record, "cofferdam", "icmp"), *port = at(record, "destination", "port");
    const char *verdict = text_at(record, "cofferdam", "verdict");
    json_int_t count = json_integer_value(at(record, "cofferdam", "count"));
    unsigned long proto = strtoul(text_at(record, "network", "iana_number"), NULL, 10);

    ret->allowed = strcmp(verdict, "allow") == 0;
    if (proto == 0 || proto > UINT8_MAX || (!ret->allowed && strcmp(verdict, "deny") != 0) ||
        (!ret->allowed && !is_judged_by_policies(record)))
        return false;
    ret->proto = (uint8_t)proto;
    ret->port = (uint16_t)json_integer_value(icmp ? json_object_get(icmp, "type") : port);
    ret->count = count > 0 ? (uint64_t)count : 1;
    ret->first = time_at(record, "start", now);
    ret->last = time_at(record, "end", now);
    ret->forbidden = !ret->allowed && *text_at(record, "rule", "ruleset");
    ret->source = read_end(record, "source", inventory);
    ret->destination = read_end(record, "destination", inventory);
    return true;
}

static char *example_of(const struct seen *seen)
{
    _cleanup_free_ char *from = end_text(&seen->source), *to = end_text(&seen->destination);
    struct observation only = {.proto = seen->proto, .first_port = seen->port, .last_port = seen->port};
    _cleanup_free_ char *service = observation_service(&only);

    return xasprintf("%s -> %s %s", from, to, service);
}

static bool is_resolver(const struct inventory *inventory, const struct end *subject, const struct seen *seen)
{
    _cleanup_free_ struct ip *servers = NULL;
    size_t n;

    if (seen->port != DNS_PORT || (seen->proto != IPPROTO_UDP && seen->proto != IPPROTO_TCP) ||
        !seen->destination.has_ip)
        return false;
    n = container_name_servers(inventory, subject->container, &servers);
    for (size_t i = 0; i < n; i++)
        if (ip_equal(servers[i], seen->destination.ip))
            return true;
    return false;
}

static struct learn_who peer_of(const struct learning *learning, const struct seen *seen,
                                const struct end *subject, const struct end *peer,
                                const struct inventory *inventory)
{
    char text[IP_TEXT_MAX];

    if (peer == &seen->destination && is_resolver(inventory, subject, seen))
        return (struct learn_who){.kind = LEARN_RESOLVER};
    if (peer->container)
        return learn_who_of(learning, peer->container, inventory);
    if (strcmp(peer->kind, "host") == 0)
        return (struct learn_who){.kind = LEARN_HOST};
    if (strcmp(peer->kind, "outside") == 0 && peer->has_ip)
        return (struct learn_who){.kind = LEARN_ADDRESS, .first = xstrdup(ip_format(peer->ip, text))};
    return (struct learn_who){.kind = LEARN_ELSEWHERE};
}

static const char *name_of(const struct container *container)
{
    return container->name ? container->name : container->id;
}

static bool see_end(struct learning *learning, const struct seen *seen, bool source,
                    const struct inventory *inventory, uint64_t now)
{
    const struct end *subject = source ? &seen->source : &seen->destination;
    const struct end *peer = source ? &seen->destination : &seen->source;

    if (!subject->container || !learning_means(learning, subject->container))
        return false;
    struct observation *o = xnew(struct observation);
    o->subject = learn_who_of(learning, subject->container, inventory);
    o->peer = peer_of(learning, seen, subject, peer, inventory);
    o->direction = source ? EGRESS : INGRESS;
    o->proto = seen->proto;
    o->first_port = o->last_port = seen->port;
    o->has_ip = peer->has_ip;
    o->ip = peer->ip;
    o->allowed = seen->allowed ? seen->count : 0;
    o->denied = seen->allowed ? 0 : seen->count;
    o->forbidden = seen->forbidden;
    o->first = seen->first > learning->since ? seen->first : learning->since;
    o->last = seen->last;
    o->example = example_of(seen);
    names_add(&o->subjects, name_of(subject->container));
    if (peer->container)
        names_add(&o->peers, name_of(peer->container));
    see(learning, o, seen->again, now);
    return true;
}

bool learning_record(struct learning *learning, const json_t *record, bool final,
                     const struct inventory *inventory, uint64_t now)
{
    struct seen seen = {0};
    bool meant, source, destination;

    if (!read_record(record, inventory, now, &seen))
        return false;
    meant = !learning->ended || (final && seen.first <= learning->ended);
    /* The first was counted when it opened. */
    seen.again = final && seen.first >= learning->since;
    source = meant && see_end(learning, &seen, true, inventory, now);
    destination = meant && see_end(learning, &seen, false, inventory, now);
    end_clear(&seen.source);
    end_clear(&seen.destination);
    return source || destination;
}
