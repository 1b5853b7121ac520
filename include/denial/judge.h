/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who the ends of a denied packet are, and which policies and rule it is about, as they are now: to be asked at the time
 * of the packet. The answer is the record as JSON in the names of the Elastic Common Schema, but for what only its end
 * shows. Pure.
 */
#pragma once

#include <jansson.h>

#include "denial/table.h"
#include "verdict/lock.h"
#include "verdict/verdict.h"

/* One end: who has the address, or sent the frame. */
struct denial_end {
    const struct container *container; /* NULL: it is no container's, as far as is known */
    const struct endpoint *endpoint;
};

/* Borrowed for the call. */
struct denial_context {
    struct evaluation with;
    const struct lock_list *locks; /* or NULL */
    struct denial_end source, destination;
    unsigned generation;  /* the number of the policy set in force; 0: not known */
    const char *hostname; /* may be NULL */
    const char *in, *out; /* names of the interfaces; NULL: none, or not known */
};

/*
 * A frame to many goes to each port of its bridge, and is denied at those of who is locked down. Is it about somebody
 * else than that port's owner (NULL: nobody's), and so none of his? Those that search for his address are about him.
 */
bool denial_is_bystander(const struct denied_packet *packet, const struct endpoint *owner);
/* A new reference. */
json_t *denial_judge(const struct denied_packet *packet, const struct denial_context *context);
/* Does it not know who has an address of a managed network that somebody may turn out to have had, or by which lockdown
 * it was denied? */
bool denial_is_unsure(const json_t *record);
/* Adds what its end shows: count and times, in microseconds since 1970. The same object. */
void denial_finish(json_t *record, const struct denial *denial, uint64_t first_seen, uint64_t last_seen);
/* "web (172.18.0.2) -> db (172.18.0.3) 5432/tcp denied: ..., 3 packets", escaped; borrowed from the record. */
const char *denial_message(const json_t *record);
