/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Denied packets, put together: one record for what one source sends to one destination and port, from its first packet
 * until it has been quiet for a while. The kernel tells of the first packet and of one in ten seconds; how many there
 * were its meters know, which are asked. Pure: no clock, no sockets.
 *
 * Whose packets are many shall not keep others from being recorded: the table is bounded, and when it is full, who has
 * most records in it gives one up, which is then written early.
 *
 * All times are microseconds of one monotonic clock that starts above 0.
 */
#pragma once

#include <net/if.h>

#include <uthash.h>

#include "denial/packet.h"
#include "util/mem.h"

#define DENIALS_MAX 4096
#define DENIAL_POLL 5000000ull /* the kernel's meter is asked so often */
#define DENIAL_QUIET                                                                                         \
    10000000ull /* a record ends so long after its last packet, and twice the pause before that one */
#define DENIAL_AGE 60000000ull /* or so long after its first */

/* Whose packets they are: an address, or the bridge's port. */
struct denial_key {
    uint8_t source[16], destination[16];
    uint32_t port_in; /* of frames */
    uint16_t port;    /* the destination's; of what has no ports the transport header's first two bytes */
    uint16_t ether_type;
    uint8_t proto, bridged, padding[2];
};

struct denial_source;

struct denial {
    struct denial_key key;
    struct denied_packet packet; /* the first */
    char port[IFNAMSIZ]; /* the name of packet.in, where it is a bridge's port, for who asks the meter */
    uint64_t first_seen, last_seen;
    uint64_t count;
    uint64_t since_1970;    /* the user's own: when the clock started, for times that people read */
    void *facts;            /* the user's own, e.g. who it was at that time; see denials_new() */
    bool closed;            /* written; kept until the kernel has forgotten its count as well */
    uint64_t base, metered; /* the meter's count before the record, and when it was asked last */
    uint64_t n_told;        /* packets that the kernel told of */
    uint64_t gap, poll_at;
    struct denial_source *source;
    UT_hash_handle hh;
};

struct denials;

/* free_facts may be NULL. */
struct denials *denials_new(void (*free_facts)(void *facts));
struct denials *denials_free(struct denials *denials);
DEFINE_CLEANUP(struct denials *, denials_free);

/*
 * The record of a packet: one that is open, with *ret_new false; or a new one without facts. NULL: there are too many,
 * and it counts as lost. An open record that the packet is not of, as it was denied for another reason, must be closed
 * first: *ret_other is set to it, and nothing is done.
 */
struct denial *denials_add(struct denials *denials, const struct denied_packet *packet, uint64_t now,
                           bool *ret_new, struct denial **ret_other);
/* While the table is full, the record that has to go for another of this packet's source: to be polled, written and
 * closed before denials_add(). NULL: there is room, or the source has its share already. */
struct denial *denials_crowded(struct denials *denials, const struct denied_packet *packet);

/*
 * May its source begin one more record, at so many a second and twice as many at once, or is the packet of one that is
 * open? false: it counts as lost. For packets that no meter of the kernel's holds back.
 */
bool denials_admit(struct denials *denials, const struct denied_packet *packet, unsigned rate, uint64_t now);

/*
 * What is over a source's rate the kernel does not tell of, but counts. Is the count of this record's source to be read
 * again? And the count that was read, with which what was not told of counts as lost.
 */
bool denial_source_is_due(const struct denial *denial, uint64_t now);
void denials_source_read(struct denials *denials, struct denial *denial, uint64_t packets, uint64_t now);

/* The next record whose poll is due, or NULL; *ret_at is when the next one is (UINT64_MAX: never). */
struct denial *denials_due(struct denials *denials, uint64_t now, uint64_t *ret_at);
/* What the meter says now: so many packets of the key, the last so long ago. found: it knows the key. Returns whether
 * the record has ended. */
bool denial_poll(struct denial *denial, bool found, uint64_t packets, uint64_t since_last, uint64_t now);
/* It was written. */
void denials_close(struct denials *denials, struct denial *denial, uint64_t now);
/* It is as if it had never been. */
void denials_forget(struct denials *denials, struct denial *denial);
/* The one after this, or with NULL the first, open or closed; NULL: there is none. */
struct denial *denials_next(const struct denials *denials, const struct denial *after);
/* Any that is open, or NULL. */
struct denial *denials_first_open(struct denials *denials);

size_t denials_open(const struct denials *denials);
/* Connections that were not recorded, as the table was full or their source had too many. */
uint64_t denials_lost(const struct denials *denials);
