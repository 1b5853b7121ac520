// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Public addresses past the limit are the internet; others their block (IPv4: /24, IPv6: /64), and blocks past the limit
 * all that is outside. Ports past the limit are one range, which looks like a scan.
 */
#include "fold.h"

#include <string.h>

#define BLOCK4 24
#define BLOCK6 64

static void set_who(struct learn_who *who, enum learn_kind kind, char *first /* taken */)
{
    learn_who_clear(who);
    *who = (struct learn_who){.kind = kind, .first = first};
}

static char *block_text(struct ip ip)
{
    struct cidr block = {.net = ip, .len = ip.family == IP4 ? BLOCK4 : BLOCK6};
    char text[CIDR_TEXT_MAX];
    unsigned host = ip_bits(ip.family) - block.len;

    block.net.num = block.net.num >> host << host;
    return xstrdup(cidr_format(&block, text));
}

static bool is_same_service(const struct observation *a, const struct observation *b)
{
    return a->direction == b->direction && a->proto == b->proto && a->first_port == b->first_port &&
           a->last_port == b->last_port && learn_who_equal(&a->subject, &b->subject);
}

static bool is_address_of(const struct observation *o, bool public)
{
    return o->peer.kind == LEARN_ADDRESS && o->has_ip && ip_is_internet(o->ip) == public;
}

/* Is there one of that kind (and block) for the same service? */
static bool has_folded(const struct learning *learning, const struct observation *like, enum learn_kind kind,
                       const char *first)
{
    const struct observation *o, *next;

    HASH_ITER (hh, learning->observations, o, next) {
        if (o->peer.kind == kind && (!first || strcmp(o->peer.first, first) == 0) && is_same_service(o, like))
            return true;
    }
    return false;
}

/* What passed is never lost among what did not: a scan that is denied takes nothing else along. */
static bool is_same_range(const struct observation *a, const struct observation *b)
{
    return !a->allowed == !b->allowed && a->direction == b->direction && a->proto == b->proto &&
           learn_who_equal(&a->subject, &b->subject) && learn_who_equal(&a->peer, &b->peer);
}

static struct observation *find_range(const struct learning *learning, const struct observation *like)
{
    struct observation *o, *next;

    HASH_ITER (hh, learning->observations, o, next) {
        if (o->first_port != o->last_port && is_same_range(o, like))
            return o;
    }
    return NULL;
}

/* A range that is too much already grows. */
static void fold_into_range(struct learning *learning, struct observation *seen)
{
    struct observation *range = find_range(learning, seen);

    if (!range)
        return;
    if (seen->first_port < range->first_port || seen->last_port > range->last_port) {
        HASH_DEL(learning->observations, range);
        range->first_port = seen->first_port < range->first_port ? seen->first_port : range->first_port;
        range->last_port = seen->last_port > range->last_port ? seen->last_port : range->last_port;
        learning_put(learning, range);
    }
    seen->first_port = range->first_port;
    seen->last_port = range->last_port;
}

void fold_into(struct learning *learning, struct observation *seen)
{
    if (seen->peer.kind == LEARN_ADDRESS && has_folded(learning, seen, LEARN_OUTSIDE, NULL)) {
        set_who(&seen->peer, LEARN_OUTSIDE, NULL);
    } else if (is_address_of(seen, true) && has_folded(learning, seen, LEARN_INTERNET, NULL)) {
        set_who(&seen->peer, LEARN_INTERNET, NULL);
    } else if (is_address_of(seen, false)) {
        _cleanup_free_ char *block = block_text(seen->ip);

        if (has_folded(learning, seen, LEARN_BLOCK, block))
            set_who(&seen->peer, LEARN_BLOCK, STEAL(block));
    }
    fold_into_range(learning, seen);
}

/* ---- too many ----------------------------------------------------------------------------------------- */

enum fold { FOLD_PUBLIC, FOLD_OTHERS, FOLD_BLOCKS, FOLD_PORTS };

static bool is_folded(const struct observation *o, const struct observation *like, enum fold fold)
{
    switch (fold) {
    case FOLD_PUBLIC:
        return is_address_of(o, true) && is_same_service(o, like);
    case FOLD_OTHERS:
        return is_address_of(o, false) && is_same_service(o, like);
    case FOLD_BLOCKS:
        return (o->peer.kind == LEARN_BLOCK || o->peer.kind == LEARN_ADDRESS ||
                o->peer.kind == LEARN_INTERNET) &&
               is_same_service(o, like);
    case FOLD_PORTS:
        return is_same_range(o, like);
    }
    return false;
}

static size_t count(const struct learning *learning, const struct observation *like, enum fold fold)
{
    const struct observation *o, *next;
    size_t n = 0;

    HASH_ITER (hh, learning->observations, o, next) {
        n += is_folded(o, like, fold) && (fold != FOLD_BLOCKS || o->peer.kind == LEARN_BLOCK);
    }
    return n;
}

static void change(struct observation *o, enum fold fold, uint16_t first_port, uint16_t last_port)
{
    switch (fold) {
    case FOLD_PUBLIC:
        set_who(&o->peer, LEARN_INTERNET, NULL);
        break;
    case FOLD_OTHERS:
        set_who(&o->peer, LEARN_BLOCK, block_text(o->ip));
        break;
    case FOLD_BLOCKS:
        set_who(&o->peer, LEARN_OUTSIDE, NULL);
        break;
    case FOLD_PORTS:
        o->first_port = first_port;
        o->last_port = last_port;
        break;
    }
}

/* Each is taken out, changed, and put back, where it meets the others. */
static void fold_all(struct learning *learning, const struct observation *added, enum fold fold)
{
    struct observation *o, *next, **v = NULL;
    uint16_t first = UINT16_MAX, last = 0;
    size_t n = 0;

    HASH_ITER (hh, learning->observations, o, next) {
        if (!is_folded(o, added, fold))
            continue;
        first = o->first_port < first ? o->first_port : first;
        last = o->last_port > last ? o->last_port : last;
        *ARRAY_ADD(v, n) = o;
    }
    for (size_t i = 0; i < n; i++) {
        HASH_DEL(learning->observations, v[i]);
        change(v[i], fold, first, last);
    }
    for (size_t i = 0; i < n; i++)
        learning_put(learning, v[i]);
    free(v);
}

void fold_after(struct learning *learning, const struct observation *added)
{
    /* What it was like, as it may be gone after the first of these. */
    struct observation like = {.subject = learn_who_copy(&added->subject),
                               .peer = learn_who_copy(&added->peer),
                               .direction = added->direction,
                               .proto = added->proto,
                               .allowed = added->allowed,
                               .first_port = added->first_port,
                               .last_port = added->last_port};

    if (count(learning, &like, FOLD_PUBLIC) > LEARN_ADDRESSES_MAX)
        fold_all(learning, &like, FOLD_PUBLIC);
    if (count(learning, &like, FOLD_OTHERS) > LEARN_ADDRESSES_MAX)
        fold_all(learning, &like, FOLD_OTHERS);
    if (count(learning, &like, FOLD_BLOCKS) > LEARN_BLOCKS_MAX)
        fold_all(learning, &like, FOLD_BLOCKS);
    if (count(learning, &like, FOLD_PORTS) > LEARN_PORTS_MAX)
        fold_all(learning, &like, FOLD_PORTS);
    learn_who_clear(&like.subject);
    learn_who_clear(&like.peer);
}
