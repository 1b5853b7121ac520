// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/hour.h"

#include <string.h>

#include <uthash.h>

#include "util/utc.h"
#include "watch/record.h"

#define MINUTES 60
#define MINUTE (DENIED_HOUR / MINUTES)
#define PEERS 6 /* of one container: the most frequent of them is told of */

/* Slot m % MINUTES is minute m's, as long as it says so. */
struct slot {
    uint64_t minute, connections, packets;
};

struct series {
    struct slot slots[MINUTES];
    uint64_t last; /* microseconds */
};

struct peer {
    char *name, *port, *reason; /* port may be "" */
    struct series series;
};

struct subject {
    char *key;
    char *kind, *name, *id, *direction; /* name, id: "" where it is no container */
    struct series series;
    struct peer peers[PEERS];
    size_t n_peers;
    UT_hash_handle hh;
};

struct denied_hour {
    struct subject *subjects; /* uthash by key */
    struct series others;
};

/* One record, read. */
struct denial_told {
    const char *kind, *name, *id, *direction, *peer, *reason;
    char *port;
    uint64_t packets, at;
};

/* ---- sums --------------------------------------------------------------------------------------------- */

static void series_add(struct series *series, uint64_t connections, uint64_t packets, uint64_t at)
{
    uint64_t minute = at / MINUTE;
    struct slot *slot = &series->slots[minute % MINUTES];

    if (slot->minute != minute)
        *slot = (struct slot){.minute = minute};
    slot->connections += connections;
    slot->packets += packets;
    if (at > series->last)
        series->last = at;
}

static struct slot series_sum(const struct series *series, uint64_t now)
{
    uint64_t minute = now / MINUTE;
    struct slot sum = {0};

    for (size_t i = 0; i < MINUTES; i++) {
        const struct slot *slot = &series->slots[i];

        if (slot->minute > minute || slot->minute + MINUTES <= minute)
            continue;
        sum.connections += slot->connections;
        sum.packets += slot->packets;
    }
    return sum;
}

static void series_merge(struct series *series, const struct series *other)
{
    for (size_t i = 0; i < MINUTES; i++) {
        const struct slot *slot = &other->slots[i];

        if (slot->connections || slot->packets)
            series_add(series, slot->connections, slot->packets, slot->minute * MINUTE);
    }
    if (other->last > series->last)
        series->last = other->last;
}

/* ---- making and freeing ------------------------------------------------------------------------------- */

static void peer_clear(struct peer *peer)
{
    free(peer->name);
    free(peer->port);
    free(peer->reason);
}

static void subject_drop(struct denied_hour *hour, struct subject *subject)
{
    HASH_DEL(hour->subjects, subject);
    for (size_t i = 0; i < subject->n_peers; i++)
        peer_clear(&subject->peers[i]);
    free(subject->key);
    free(subject->kind);
    free(subject->name);
    free(subject->id);
    free(subject->direction);
    free(subject);
}

struct denied_hour *denied_hour_new(void)
{
    return xnew(struct denied_hour);
}

struct denied_hour *denied_hour_free(struct denied_hour *hour)
{
    struct subject *subject, *next;

    if (!hour)
        return NULL;
    HASH_ITER (hh, hour->subjects, subject, next)
        subject_drop(hour, subject);
    free(hour);
    return NULL;
}

static void subject_put(struct denied_hour *hour, struct subject *subject)
{
    HASH_ADD_KEYPTR(hh, hour->subjects, subject->key, strlen(subject->key), subject);
}

struct denied_hour *denied_hour_copy(const struct denied_hour *hour)
{
    struct denied_hour *copy = denied_hour_new();

    copy->others = hour->others;
    for (const struct subject *subject = hour->subjects; subject; subject = subject->hh.next) {
        struct subject *same = xnew(struct subject);

        *same = *subject;
        same->key = xstrdup(subject->key);
        same->kind = xstrdup(subject->kind);
        same->name = xstrdup(subject->name);
        same->id = xstrdup(subject->id);
        same->direction = xstrdup(subject->direction);
        for (size_t i = 0; i < same->n_peers; i++) {
            same->peers[i].name = xstrdup(subject->peers[i].name);
            same->peers[i].port = xstrdup(subject->peers[i].port);
            same->peers[i].reason = xstrdup(subject->peers[i].reason);
        }
        subject_put(copy, same);
    }
    return copy;
}

/* ---- adding ------------------------------------------------------------------------------------------- */

/* "5432/tcp", "icmp", ""; the caller frees it. */
static char *port_of(const json_t *record)
{
    const json_t *port = record_at(record, "destination.port");
    const char *transport = record_text(record, "network.transport");

    if (json_is_integer(port))
        return xasprintf("%lld%s%s", (long long)json_integer_value(port), *transport ? "/" : "", transport);
    return xstrdup(transport);
}

/* A container, or else whatever has the address. */
static const char *end_name(const json_t *record, bool source)
{
    const char *name = record_text(record, source ? "cofferdam.source.container.name"
                                                  : "cofferdam.destination.container.name");
    const char *kind = record_text(record, source ? "cofferdam.source.kind" : "cofferdam.destination.kind");

    if (*name || strcmp(kind, "host") == 0)
        return *name ? name : kind;
    return record_text(record, source ? "source.ip" : "destination.ip");
}

static bool read_record(const json_t *record, struct denial_told *ret)
{
    const char *direction = record_text(record, "cofferdam.direction"),
               *end = record_text(record, "event.end");
    const json_t *count = record_at(record, "cofferdam.count");
    bool source = strcmp(direction, "egress") == 0;
    struct denial_told told = {
        .kind = record_text(record, source ? "cofferdam.source.kind" : "cofferdam.destination.kind"),
        .name = record_text(record, source ? "cofferdam.source.container.name"
                                           : "cofferdam.destination.container.name"),
        .id = record_text(record,
                          source ? "cofferdam.source.container.id" : "cofferdam.destination.container.id"),
        .direction = direction,
        .peer = end_name(record, !source),
        .reason = record_text(record, "event.reason"),
        .packets = (uint64_t)json_integer_value(count),
    };

    if (strcmp(record_text(record, "cofferdam.verdict"), "deny") != 0 || !*direction || !*told.kind ||
        json_integer_value(count) < 1 || utc_parse_usec(end, &told.at) < 0)
        return false;
    told.port = port_of(record);
    *ret = told;
    return true;
}

static struct subject *oldest(const struct denied_hour *hour)
{
    struct subject *found = hour->subjects;

    for (struct subject *subject = found; subject; subject = subject->hh.next)
        if (subject->series.last < found->series.last)
            found = subject;
    return found;
}

static void make_room(struct denied_hour *hour)
{
    struct subject *subject = oldest(hour);

    series_merge(&hour->others, &subject->series);
    subject_drop(hour, subject);
}

static void rename_to(char **text, const char *now)
{
    if (strcmp(*text, now) == 0)
        return;
    free(*text);
    *text = xstrdup(now);
}

static struct subject *subject_of(struct denied_hour *hour, const struct denial_told *told)
{
    _cleanup_free_ char *key = xasprintf("%s %s %s", told->direction, told->kind, told->id);
    struct subject *subject;

    HASH_FIND_STR(hour->subjects, key, subject);
    if (subject) {
        rename_to(&subject->name, told->name);
        return subject;
    }
    if (HASH_COUNT(hour->subjects) >= DENIED_HOUR_MAX)
        make_room(hour);
    subject = xnew(struct subject);
    subject->key = STEAL(key);
    subject->kind = xstrdup(told->kind);
    subject->name = xstrdup(told->name);
    subject->id = xstrdup(told->id);
    subject->direction = xstrdup(told->direction);
    subject_put(hour, subject);
    return subject;
}

static struct peer *peer_of(struct subject *subject, const struct denial_told *told, uint64_t now)
{
    struct peer *least = NULL;
    uint64_t fewest = 0;

    for (size_t i = 0; i < subject->n_peers; i++) {
        struct peer *peer = &subject->peers[i];
        uint64_t packets = series_sum(&peer->series, now).packets;

        if (strcmp(peer->name, told->peer) == 0 && strcmp(peer->port, told->port) == 0)
            return peer;
        if (!least || packets < fewest) {
            least = peer;
            fewest = packets;
        }
    }
    if (subject->n_peers < PEERS)
        least = &subject->peers[subject->n_peers++];
    else
        peer_clear(least);
    *least = (struct peer){.name = xstrdup(told->peer), .port = xstrdup(told->port), .reason = xstrdup("")};
    return least;
}

bool denied_hour_add(struct denied_hour *hour, const json_t *record, uint64_t now)
{
    struct denial_told told;
    struct subject *subject;
    struct peer *peer;

    if (!read_record(record, &told))
        return false;
    if (told.at > now) /* the clock was set back */
        told.at = now;
    if (told.at / MINUTE + MINUTES <= now / MINUTE) {
        free(told.port);
        return true;
    }
    subject = subject_of(hour, &told);
    peer = peer_of(subject, &told, now);
    rename_to(&peer->reason, told.reason);
    series_add(&subject->series, 1, told.packets, told.at);
    series_add(&peer->series, 1, told.packets, told.at);
    free(told.port);
    return true;
}

/* ---- telling ------------------------------------------------------------------------------------------ */

static json_t *time_json(uint64_t at)
{
    _cleanup_free_ char *text = utc_text(at / 1000000);

    return json_string(text);
}

static json_t *text_or_null(const char *text)
{
    return *text ? json_string(text) : json_null();
}

static json_t *most_json(const struct subject *subject, uint64_t now)
{
    const struct peer *most = NULL;
    struct slot top = {0};

    for (size_t i = 0; i < subject->n_peers; i++) {
        struct slot sum = series_sum(&subject->peers[i].series, now);

        if (sum.packets > top.packets) {
            most = &subject->peers[i];
            top = sum;
        }
    }
    if (!most)
        return json_null();
    return json_pack("{s:o, s:o, s:s, s:I, s:I}", "peer", text_or_null(most->name), "port",
                     text_or_null(most->port), "reason", most->reason, "connections",
                     (json_int_t)top.connections, "packets", (json_int_t)top.packets);
}

static json_t *subject_json(const struct subject *subject, const struct slot *sum, uint64_t now)
{
    return json_pack("{s:o, s:o, s:s, s:s, s:I, s:I, s:o, s:o}", "name", text_or_null(subject->name), "id",
                     text_or_null(subject->id), "kind", subject->kind, "direction", subject->direction,
                     "connections", (json_int_t)sum->connections, "packets", (json_int_t)sum->packets, "last",
                     time_json(subject->series.last), "most", most_json(subject, now));
}

struct found {
    const struct subject *subject;
    struct slot sum;
};

static int by_packets(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    if (x->sum.packets != y->sum.packets)
        return x->sum.packets < y->sum.packets ? 1 : -1;
    return strcmp(x->subject->key, y->subject->key);
}

json_t *denied_hour_to_json(const struct denied_hour *hour, uint64_t now, uint64_t since)
{
    uint64_t begin = now > DENIED_HOUR ? now - DENIED_HOUR : 0;
    struct slot all = series_sum(&hour->others, now), others = all;
    _cleanup_free_ struct found *found = xcalloc(HASH_COUNT(hour->subjects) + 1, sizeof(*found));
    json_t *list = json_array();
    size_t n = 0;

    for (const struct subject *subject = hour->subjects; subject; subject = subject->hh.next) {
        struct slot sum = series_sum(&subject->series, now);

        if (sum.packets == 0)
            continue;
        found[n++] = (struct found){subject, sum};
        all.connections += sum.connections;
        all.packets += sum.packets;
    }
    qsort(found, n, sizeof(*found), by_packets);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, subject_json(found[i].subject, &found[i].sum, now));
    return json_pack("{s:o, s:b, s:I, s:I, s:o, s:{s:I, s:I}}", "since",
                     time_json(since > begin ? since : begin), "whole_hour", since <= begin, "connections",
                     (json_int_t)all.connections, "packets", (json_int_t)all.packets, "containers", list,
                     "others", "connections", (json_int_t)others.connections, "packets",
                     (json_int_t)others.packets);
}
