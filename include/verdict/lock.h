/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lockdowns: which containers are cut off, whatever the policies say, and what may still pass. Pure.
 *
 * A lock means a container by its ID, and whoever comes after it under its name or as its Compose service's container of
 * the same number; or all containers that a selector means, now or later. What it *cuts* are the connections that others
 * open to the container (in), or those that it opens (out), or both. Its *exceptions* are peers that may still open, or
 * be opened, what is cut; with both, peers may only reach in. An exception grants what the container's policies may
 * deny; the peer's own policies go on counting.
 */
#pragma once

#include "flow/flow.h"
#include "inventory/inventory.h"
#include "policy/model.h"

#define LOCKS_MAX 10000
#define LOCK_ALLOW_MAX 64      /* exceptions of one lock */
#define LOCK_EXCEPT_MAX 64     /* containers that a selector does not mean all the same */
#define LOCK_TEXT_MAX 1000     /* bytes of any text of a lock */
#define LOCK_REQUESTS_MAX 4000 /* that a list remembers */

enum lock_cut { CUT_IN = 1, CUT_OUT = 2, CUT_BOTH = 3 };

struct lock {
    /* One container. NULL, all of them, with a selector. */
    char *id, *name;
    char *project, *service, *number; /* Compose's; NULL where it has none */
    /* Or a selector. */
    char *select_text; /* as given: "compose=shop/web" */
    struct selector select;
    char **except; /* names */
    size_t n_except;
    /*
     * Or what has no name: whoever has this address, or this port of a bridge. Only until it is known whose it is: an
     * address passes on to others.
     */
    char *address, *interface; /* at most one of them */

    unsigned cut; /* enum lock_cut */
    char **allow; /* as given: "forensics:22/tcp" */
    size_t n_allow;
    struct policy_set *exceptions; /* one policy that says the same; NULL without any */

    char *reason;          /* may be NULL */
    char *by;              /* who did it, for people */
    uint64_t since, until; /* seconds since 1970; until 0: until it is released */
    char *boot;            /* until: the kernel's boot ID at the time, and the end on its CLOCK_BOOTTIME */
    uint64_t boot_until;   /* microseconds */
    char *request;         /* the one that it was made by, as the command named it; may be NULL */
    bool stands_in; /* for a list that cannot be read, until the kernel has told whom it meant; not saved */
};

struct lock_list {
    struct lock **v;
    size_t n;
    char **requests; /* that were carried out lately, the newest last */
    size_t n_requests;
};

struct lock *lock_new(void);
struct lock *lock_free(struct lock *lock);
DEFINE_CLEANUP(struct lock *, lock_free);
struct lock_list *lock_list_new(void);
struct lock_list *lock_list_free(struct lock_list *list);
DEFINE_CLEANUP(struct lock_list *, lock_list_free);
/* The lock becomes the list's. */
void lock_list_add(struct lock_list *list, struct lock *lock);
struct lock *lock_copy(const struct lock *lock);

/* Remembers by what the container will be known. */
void lock_name(struct lock *lock, const struct container *container);
/*
 * "compose=PROJECT[/SERVICE]", "label=KEY=VALUE" or "name=GLOB"; "all" alone is every container. Returns 0, or -EINVAL
 * and what would be right in *ret_why (static).
 */
int lock_select(struct lock *lock, const char *text, const char **ret_why);
/*
 * PEER[:PORT/PROTO]: a container's name, `host`, or an address or block outside the containers; IPv6 with a port in
 * brackets: [fd00::1]:22/tcp. Call it after cut is set. 0 or -EINVAL, as above.
 */
int lock_allow(struct lock *lock, const char *text, const char **ret_why);

/* The peer of such a text, without brackets, which the caller frees; *ret_port is the rest: ":22/tcp", or "". */
char *lock_peer_word(const char *text, const char **ret_port);

/*
 * "192.0.2.7", "2001:db8::7", or a port of a bridge. 0, or -EINVAL, as above: no address that a container can have, or no
 * interface's name.
 */
int lock_by_address(struct lock *lock, const char *text, const char **ret_why);
int lock_by_interface(struct lock *lock, const char *text, const char **ret_why);
/* Is this all that it goes by: neither a name nor a selector? */
bool lock_is_nameless(const struct lock *lock);
/* The address of such a lock. */
bool lock_has_address(const struct lock *lock, struct ip *ret);

/* "web", "compose=shop/web", an address, or a port */
const char *lock_text(const struct lock *lock);
/* What else must be said where it is said that somebody is locked down: " (connections that it opens), but for db", or
 * "". Not escaped; the caller frees it. */
char *lock_limits_text(unsigned cut, const struct lock *exceptions);
/* "in", "out", "both"; 0 for any other word */
const char *lock_cut_name(unsigned cut);
unsigned lock_cut_parse(const char *text);

#define LOCK_FOREVER UINT64_MAX

/*
 * Ends after so many microseconds. boot: the running kernel's boot ID (NULL: not known) and its CLOCK_BOOTTIME, in
 * microseconds, which nobody can set; lock->since is set.
 */
void lock_limit(struct lock *lock, uint64_t usec, const char *boot, uint64_t boot_now);
/*
 * For how much longer it holds, in microseconds; 0: its time is over; LOCK_FOREVER. By the clock that nobody can set as
 * long as the kernel is the one that knew the lock first; under another by the wall's, in seconds since 1970, and then
 * never for longer than it was to hold in all, however far back that was set.
 */
uint64_t lock_left(const struct lock *lock, const char *boot, uint64_t boot_now, uint64_t wall_now);

/* Does it mean this container? By labels as they stand, an image's too: a lie locks only the liar. */
bool lock_means(const struct lock *lock, const struct container *container);

/* What all locks together do to a container and to those that share its network. */
struct lock_effect {
    unsigned cut; /* 0: not locked down */
    /* Whose exceptions count, or NULL: where more than one lock means the container, none do. */
    const struct lock *exceptions;
    const struct lock *first; /* one of the locks; NULL without any */
};

/* "locked down, but for db": lock_limits_text() in full. */
char *lock_effect_text(const struct lock_effect *effect);
/* list may be NULL. */
struct lock_effect lock_effect(const struct lock_list *list, const struct inventory *inventory,
                               const struct container *container);

enum lock_fate {
    LOCK_SILENT, /* no lock cuts it: the policies decide */
    LOCK_EXEMPT, /* it would be cut, but for an exception */
    LOCK_CUTS,
};

struct party;
struct traffic;
/* What those of one end, its source (EGRESS) or its destination (INGRESS), do to a connection that is opened. LOCK_EXEMPT
 * grants what this end's policies may deny; the other end's go on counting. */
enum lock_fate lock_end_fate(const struct lock_list *list, const struct inventory *inventory,
                             enum direction direction, const struct party *subject, const struct party *other,
                             const struct traffic *traffic);
/* What the locks do to a connection that is opened. The port is that after translation. */
enum lock_fate lock_fate(const struct lock_list *list, const struct inventory *inventory,
                         const struct party *from, const struct party *to, const struct traffic *traffic);
/* The same for one that is open. */
enum lock_fate lock_flow_fate(const struct lock_list *list, const struct inventory *inventory,
                              const struct flow *flow);

/* A copy of those for which keep (NULL: all) says so, and of all requests. */
struct lock_list *lock_list_copy(const struct lock_list *list,
                                 bool (*keep)(const struct lock *lock, const void *userdata),
                                 const void *userdata);

/* The addresses of all live endpoints that are cut, and those that are locks themselves, sorted by ip_sort(); the caller
 * frees them. */
size_t lock_addresses(const struct lock_list *list, const struct inventory *inventory, struct ip **ret);
