// SPDX-License-Identifier: GPL-2.0-or-later
#include "denial/table.h"

#include <string.h>

#include "ruleset/meters.h"

#define SECOND 1000000ull
#define FORGOTTEN_AFTER (METER_TIMEOUT * SECOND)
#define SHARE_MIN 16 /* records that each source may have, however many sources there are */

struct denial_source_key {
    uint8_t address[16];
    uint32_t port_in;
};

struct denial_source {
    struct denial_source_key key;
    size_t n;                    /* records, closed ones too */
    uint64_t told, metered;      /* packets that the kernel told of, and counted, ... */
    uint64_t told_then, read_at; /* ... when that was read last; 0: never */
    uint64_t paid_until;         /* its records were begun as if one by one at its rate, until then */
    UT_hash_handle hh;
};

struct denials {
    struct denial *all; /* in the order in which they were first seen */
    struct denial_source *sources;
    size_t n_open;
    uint64_t lost;
    void (*free_facts)(void *facts);
};

struct denials *denials_new(void (*free_facts)(void *facts))
{
    struct denials *denials = xnew(struct denials);

    denials->free_facts = free_facts;
    return denials;
}

static void drop_facts(struct denials *denials, struct denial *denial)
{
    if (denial->facts && denials->free_facts)
        denials->free_facts(denial->facts);
    denial->facts = NULL;
}

static void drop(struct denials *denials, struct denial *denial)
{
    struct denial_source *source = denial->source;

    drop_facts(denials, denial);
    denials->n_open -= !denial->closed;
    HASH_DEL(denials->all, denial);
    free(denial);
    if (--source->n > 0)
        return;
    HASH_DEL(denials->sources, source);
    free(source);
}

struct denials *denials_free(struct denials *denials)
{
    if (!denials)
        return NULL;
    while (denials->all)
        drop(denials, denials->all);
    free(denials);
    return NULL;
}

size_t denials_open(const struct denials *denials)
{
    return denials->n_open;
}

uint64_t denials_lost(const struct denials *denials)
{
    return denials->lost;
}

/* ---- keys --------------------------------------------------------------------------------------------- */

static struct denial_key key_of(const struct denied_packet *packet)
{
    struct denial_key key = {.ether_type = packet->ether_type, .bridged = packet->bridged};

    if (packet->has_ip) {
        ip_to_bytes(packet->source, key.source);
        ip_to_bytes(packet->destination, key.destination);
    } else if (packet->has_mac) {
        memcpy(key.source, packet->source_mac.bytes, sizeof(packet->source_mac.bytes));
    }
    if (packet->bridged) {
        key.port_in = packet->in;
        return key; /* the meter knows no more of frames */
    }
    key.proto = packet->proto;
    if (packet->has_ports)
        key.port = packet->destination_port;
    else if (packet->has_head)
        key.port = (uint16_t)(packet->head[0] << 8 | packet->head[1]);
    return key;
}

static struct denial_source_key source_key_of(const struct denied_packet *packet)
{
    struct denial_source_key key = {0};

    if (packet->bridged)
        key.port_in = packet->in;
    else if (packet->has_ip)
        ip_to_bytes(packet->counts_for_destination ? packet->destination : packet->source, key.address);
    return key;
}

static struct denial_source *find_source(const struct denials *denials, const struct denied_packet *packet)
{
    struct denial_source_key key = source_key_of(packet);
    struct denial_source *source;

    HASH_FIND(hh, denials->sources, &key, sizeof(key), source);
    return source;
}

static struct denial *find(const struct denials *denials, const struct denied_packet *packet)
{
    struct denial_key key = key_of(packet);
    struct denial *denial;

    HASH_FIND(hh, denials->all, &key, sizeof(key), denial);
    return denial;
}

/* ---- room --------------------------------------------------------------------------------------------- */

static bool is_full(const struct denials *denials)
{
    return HASH_COUNT(denials->all) >= DENIALS_MAX;
}

/* What is closed goes first, the oldest of it. */
static bool drop_closed(struct denials *denials)
{
    for (struct denial *denial = denials->all; denial; denial = denial->hh.next) {
        if (!denial->closed)
            continue;
        drop(denials, denial);
        return true;
    }
    return false;
}

static bool has_its_share(const struct denials *denials, const struct denial_source *source)
{
    size_t share = DENIALS_MAX / (HASH_COUNT(denials->sources) + 1);

    return source && source->n >= (share > SHARE_MIN ? share : SHARE_MIN);
}

struct denial *denials_crowded(struct denials *denials, const struct denied_packet *packet)
{
    const struct denial_source *most = NULL;

    if (!is_full(denials) || find(denials, packet) || drop_closed(denials) ||
        has_its_share(denials, find_source(denials, packet)))
        return NULL;
    for (const struct denial_source *source = denials->sources; source; source = source->hh.next)
        if (!most || source->n > most->n)
            most = source;
    for (struct denial *denial = denials->all; denial; denial = denial->hh.next)
        if (denial->source == most)
            return denial;
    return NULL;
}

bool denials_admit(struct denials *denials, const struct denied_packet *packet, unsigned rate, uint64_t now)
{
    struct denial_source *source = find_source(denials, packet);
    const uint64_t each = SECOND / rate;

    if (!source || find(denials, packet))
        return true;
    if (source->paid_until < now)
        source->paid_until = now;
    if (source->paid_until >= now + 2 * SECOND) {
        denials->lost++;
        return false;
    }
    source->paid_until += each;
    return true;
}

/* ---- packets ------------------------------------------------------------------------------------------ */

static struct denial_source *make_source(struct denials *denials, const struct denied_packet *packet)
{
    struct denial_source *source = find_source(denials, packet);

    if (source)
        return source;
    source = xnew(struct denial_source);
    source->key = source_key_of(packet);
    HASH_ADD(hh, denials->sources, key, sizeof(source->key), source);
    return source;
}

static struct denial *add(struct denials *denials, const struct denied_packet *packet)
{
    struct denial *denial = xnew(struct denial);

    denial->key = key_of(packet);
    denial->source = make_source(denials, packet);
    denial->source->n++;
    HASH_ADD(hh, denials->all, key, sizeof(denial->key), denial);
    return denial;
}

static void open_record(struct denials *denials, struct denial *denial, const struct denied_packet *packet,
                        uint64_t now)
{
    denials->n_open++;
    denial->packet = *packet;
    denial->port[0] = '\0';
    denial->first_seen = denial->last_seen = now;
    denial->count = denial->n_told = 1;
    denial->gap = 0;
    denial->closed = false;
    denial->poll_at = now + DENIAL_POLL;
}

bool denial_source_is_due(const struct denial *denial, uint64_t now)
{
    return !denial->source->read_at || now - denial->source->read_at >= DENIAL_POLL;
}

void denials_source_read(struct denials *denials, struct denial *denial, uint64_t packets, uint64_t now)
{
    struct denial_source *source = denial->source;
    uint64_t counted = packets < source->metered ? packets : packets - source->metered;
    uint64_t told = source->told - source->told_then;

    if (source->read_at && counted > told)
        denials->lost += counted - told;
    source->metered = packets;
    source->told_then = source->told;
    source->read_at = now;
}

static void note_packet(struct denial *denial, uint64_t now)
{
    denial->n_told++;
    if (denial->count < denial->n_told)
        denial->count = denial->n_told;
    denial->gap = now - denial->last_seen;
    denial->last_seen = now;
}

struct denial *denials_add(struct denials *denials, const struct denied_packet *packet, uint64_t now,
                           bool *ret_new, struct denial **ret_other)
{
    struct denial *denial = find(denials, packet);
    struct denial_source *source = find_source(denials, packet);

    *ret_new = false;
    *ret_other = NULL;
    if (source)
        source->told++;
    if (denial && !denial->closed && denial->packet.point != packet->point) {
        source->told--; /* it is added again */
        *ret_other = denial;
        return NULL;
    }
    if (denial && !denial->closed) {
        note_packet(denial, now);
        return denial;
    }
    if (!denial && (is_full(denials) ||
                    (HASH_COUNT(denials->all) > DENIALS_MAX / 2 && has_its_share(denials, source)))) {
        denials->lost++;
        return NULL;
    }
    if (!denial)
        denial = add(denials, packet);
    else if (now - denial->last_seen > FORGOTTEN_AFTER)
        denial->base = denial->metered = 0;
    else
        denial->base = denial->metered;
    open_record(denials, denial, packet, now);
    *ret_new = true;
    return denial;
}

/* ---- time --------------------------------------------------------------------------------------------- */

struct denial *denials_due(struct denials *denials, uint64_t now, uint64_t *ret_at)
{
    struct denial *denial, *next;

    *ret_at = UINT64_MAX;
    HASH_ITER (hh, denials->all, denial, next) {
        if (denial->poll_at > now) {
            *ret_at = denial->poll_at < *ret_at ? denial->poll_at : *ret_at;
            continue;
        }
        if (!denial->closed)
            return denial;
        drop(denials, denial);
    }
    return NULL;
}

static void take_count(struct denial *denial, uint64_t packets, uint64_t last)
{
    uint64_t before = denial->count;

    if (packets < denial->metered)
        denial->base = 0; /* it was forgotten, and begins anew */
    denial->metered = packets;
    if (packets - denial->base > denial->count)
        denial->count = packets - denial->base;
    if (last <= denial->last_seen)
        return;
    if (denial->count > before)
        denial->gap = (last - denial->last_seen) / (denial->count - before);
    denial->last_seen = last;
}

bool denial_poll(struct denial *denial, bool found, uint64_t packets, uint64_t since_last, uint64_t now)
{
    uint64_t end, quiet;

    if (found)
        take_count(denial, packets, since_last < now ? now - since_last : now);
    quiet = denial->last_seen + DENIAL_QUIET + 2 * denial->gap;
    end = denial->first_seen + DENIAL_AGE;
    if (quiet < end)
        end = quiet;
    denial->poll_at = end < now + DENIAL_POLL ? end : now + DENIAL_POLL;
    return now >= end;
}

void denials_close(struct denials *denials, struct denial *denial, uint64_t now)
{
    (void)now;
    drop_facts(denials, denial);
    denials->n_open--;
    denial->closed = true;
    denial->poll_at = denial->last_seen + FORGOTTEN_AFTER + SECOND;
}

void denials_forget(struct denials *denials, struct denial *denial)
{
    drop(denials, denial);
}

struct denial *denials_next(const struct denials *denials, const struct denial *after)
{
    return after ? after->hh.next : denials->all;
}

struct denial *denials_first_open(struct denials *denials)
{
    struct denial *denial = denials->all;

    while (denial && denial->closed)
        denial = denial->hh.next;
    return denial;
}
