/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What containers do, put together from records (docs/log.md): which kinds of connections there were, with whom, how often
 * and when. Pure: no clock, no sockets.
 *
 * A *learning* is one such watch. Its *subjects* are the containers that it means, each by the name that a policy gives it:
 * its Compose service where all of that service's containers are meant, else the label that it was selected by, else its
 * own name. A *peer* is who is at the other end: a container, by such a name; the name servers that the subject asks; the
 * host; or an address outside. An address is never kept where there is a name.
 *
 * An *observation* is a subject, a direction, a peer, a protocol and a port. Addresses and ports past a limit are folded
 * into one observation, so that neither visitors nor a scan make a learning grow without end.
 *
 * All times are seconds since 1970.
 */
#pragma once

#include <jansson.h>

#include <uthash.h>

#include "inventory/inventory.h"
#include "policy/model.h"
#include "util/mem.h"
#include "verdict/lock.h"

#define LEARNINGS_MAX 16
#define LEARN_TARGETS_MAX 256       /* of one learning */
#define LEARN_OBSERVATIONS_MAX 4096 /* of one learning; more kinds than that are counted, and left out */
#define LEARN_ADDRESSES_MAX 8       /* of one subject, direction, protocol and port; then they are folded */
#define LEARN_BLOCKS_MAX 8          /* the same, of blocks that addresses were folded into */
#define LEARN_PORTS_MAX 32          /* of one subject, direction, peer and protocol; then they are folded */
#define LEARN_NAMES_MAX 16          /* containers of one end of an observation that are remembered */

enum learn_kind {
    LEARN_COMPOSE,   /* first: project, second: service */
    LEARN_LABEL,     /* first: key, second: value, a glob */
    LEARN_NAME,      /* first: a container's name, or a glob */
    LEARN_HOST,      /* this Docker host */
    LEARN_RESOLVER,  /* the name servers of the subject */
    LEARN_ADDRESS,   /* first: an address outside */
    LEARN_BLOCK,     /* first: a block of such, folded */
    LEARN_INTERNET,  /* public addresses, folded */
    LEARN_OUTSIDE,   /* addresses outside, folded */
    LEARN_ELSEWHERE, /* an address of a managed network that no container is known to have */
};

struct learn_who {
    enum learn_kind kind;
    char *first, *second; /* NULL where the kind has none */
};

struct learn_names {
    char **v;
    size_t n;
    bool more; /* than are remembered */
};

struct observation {
    char *key; /* of all that tells it from others */
    struct learn_who subject, peer;
    enum direction direction;
    uint8_t proto;                  /* IANA's number */
    uint16_t first_port, last_port; /* the destination's, or the type of ICMP; 0 of a protocol without */
    bool has_ip;
    struct ip ip;     /* an address of the peer that was seen */
    uint64_t allowed; /* connections */
    uint64_t denied;  /* packets: the kernel counts these, and not connections */
    bool forbidden;   /* a deny rule has denied it */
    uint64_t first, last;
    char *example;                      /* "web (172.18.0.2) -> db (172.18.0.3) 5432/tcp"; escaped */
    struct learn_names subjects, peers; /* by container name */
    UT_hash_handle hh;                  /* by key */
};

struct learning {
    struct lock **targets; /* containers by what they are known by, or selectors */
    size_t n_targets;
    char *title; /* "web, api"; as it was asked for, sorted: what it is found by */
    char *by;    /* who began it, for people; may be NULL */
    uint64_t since;
    uint64_t until;                   /* 0: until it is stopped */
    uint64_t ended;                   /* 0: it goes on */
    uint64_t new_at;                  /* the last time that something new was seen; since where nothing was */
    uint64_t blind;                   /* seconds in which no daemon ran */
    uint64_t left_out;                /* records of new kinds, once there were too many */
    struct observation *observations; /* uthash by key, in the order in which they came */
};

struct learning *learning_new(void);
struct learning *learning_free(struct learning *learning);
DEFINE_CLEANUP(struct learning *, learning_free);
/* The lock becomes the learning's. After the last one, learning_settle() makes the title of them. */
void learning_add(struct learning *learning, struct lock *target);
void learning_settle(struct learning *learning);

/* Does it mean this container? By the labels that count. */
bool learning_means(const struct learning *learning, const struct container *container);
/* Does it go on at that time? */
bool learning_runs(const struct learning *learning, uint64_t now);

/*
 * A record of the log, as it opens (final: false) or ends. Returns whether it was of one of the subjects. What has begun
 * before the learning counts from its beginning; what has begun before its end counts as a whole.
 */
bool learning_record(struct learning *learning, const json_t *record, bool final,
                     const struct inventory *inventory, uint64_t now);
/* For those who have observations from elsewhere: takes over the observation, which must be zeroed but for its fields. */
void learning_put(struct learning *learning, struct observation *observation);

/* ---- who (src/learn/who.c) ---------------------------------------------------------------------------- */

struct learn_who learn_who_of(const struct learning *learning, const struct container *container,
                              const struct inventory *inventory);
struct learn_who learn_who_copy(const struct learn_who *who);
void learn_who_clear(struct learn_who *who);
bool learn_who_equal(const struct learn_who *a, const struct learn_who *b);
/* As a peer of a rule, or a selector: "{compose: shop/web}", "host", "{cidr: 10.0.0.7/32}"; NULL: policies have no word
 * for it. The caller frees it. */
char *learn_who_yaml(const struct learn_who *who);
/* For people: "shop/web", "the host". The caller frees it. */
char *learn_who_text(const struct learn_who *who);
/* "5432/tcp", "53-60/udp", "icmp/echo-request"; NULL: policies have no word for it. The caller frees it. */
char *observation_port(const struct observation *observation);
/* The same for people, who have words for all: "protocol 47". The caller frees it. */
char *observation_service(const struct observation *observation);
void observation_free(struct observation *observation);
