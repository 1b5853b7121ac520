/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `cofferdam lockdown` and `cofferdam release` have done while no daemon answered, in order, in the state directory
 * (LOCK_PENDING_FILE), until a daemon takes it over. Pure: text in and out.
 *
 * A line for each operation, and in front of it its checksum: "a430d84680aabd0b {...}", with
 *
 * {"format_version": "1.0", "n": 1, "request": ID, "time", "by", and one of
 *  "locks": [as in LOCK_STATE_FILE] | "release": [TEXT] | "release_all": true}
 *
 * n counts from 1, time is in seconds since 1970. Each line stands for itself, so that where one is damaged the others
 * still count: but a release only where nothing behind it is, as that may have been a lockdown of the same.
 */
#pragma once

#include "verdict/lock.h"

#define LOCK_PENDING_FILE "lockdown-pending.json"
#define LOCK_PENDING_LOCK "lockdown-pending.lock" /* held by whoever changes it (flock(2)) */
#define LOCK_PENDING_ASIDE                                                                                   \
    "lockdown-pending.damaged"              /* one that was damaged; it counts until all is released */
#define LOCK_PENDING_MAX (16 * 1024 * 1024) /* bytes */
#define LOCK_OPS_MAX 1000                   /* operations of one file */
#define LOCK_REQUEST_SIZE sizeof("0123456789abcdef0123456789abcdef") /* 128 random bits */

enum lock_op_kind { LOCK_OP_LOCK, LOCK_OP_RELEASE, LOCK_OP_RELEASE_ALL };

struct lock_op {
    enum lock_op_kind kind;
    char request[LOCK_REQUEST_SIZE];
    uint64_t time;
    char *by;                /* for people */
    struct lock_list *locks; /* LOCK_OP_LOCK */
    char **words;            /* LOCK_OP_RELEASE: as the user gave them */
    size_t n_words;
};

struct lock_pending {
    struct lock_op *v;
    size_t n;
    bool damaged; /* something of it cannot be read, or is missing */
};

void lock_op_clear(struct lock_op *op);
void lock_pending_clear(struct lock_pending *pending);
#define _cleanup_pending_ _cleanup_(lock_pending_clear)

/* Is it one? "0123456789abcdef0123456789abcdef" */
bool lock_request_is_valid(const char *request);
/* The line of the n-th operation, with its end. The caller frees it. */
char *lock_op_format(const struct lock_op *op, size_t n);
/* All that can be read of it; *ret must be zeroed. */
void lock_pending_parse(const char *text, size_t len, struct lock_pending *ret);

/*
 * What holds when the operations are carried out on list (NULL: nothing), each unless the list knows its request. Locks by
 * address or interface become those of the container that has it, where the inventory knows it. A new list, which knows
 * them all: to merge the same again changes nothing.
 */
struct lock_list *lock_pending_merge(const struct lock_list *list, const struct lock_pending *pending,
                                     const struct inventory *inventory);
