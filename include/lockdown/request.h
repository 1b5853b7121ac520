/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request for a lockdown, as the control protocol has it (control/protocol.h), made into locks: by the daemon, and by the
 * command where none answers. Pure.
 */
#pragma once

#include <jansson.h>

#include "inventory/inventory.h"
#include "verdict/lock.h"

#define LOCK_NAMES_MAX 1000 /* of one request */

/* Who asks, when, and what is known then. All borrowed. */
struct lock_asker {
    const struct inventory *inventory;
    bool inventory_known; /* else names that it does not have are taken as they are */
    bool nameless;        /* an address or a port that no container has can be cut for itself */
    const char *help;     /* for who is not found, then */
    const char *by;       /* for people */
    uint64_t wall;        /* seconds since 1970 */
    const char *boot;     /* the kernel's boot ID, or NULL */
    uint64_t boot_now;    /* its CLOCK_BOOTTIME, in microseconds */
};

struct lock_asked {
    struct lock_list *locks; /* one for each container, selector, address or port */
    bool dry_run;
    json_t *error; /* the answer, when it cannot be done; NULL: it can */
};

/* *ret is for lock_asked_clear(), which leaves error to the caller. */
void lock_request_read(const json_t *request, const struct lock_asker *asker, struct lock_asked *ret);
void lock_asked_clear(struct lock_asked *asked);
#define _cleanup_lock_asked_ _cleanup_(lock_asked_clear)

/* The first refusal counts; help may be NULL. */
void lock_refuse(struct lock_asked *asked, int status, const char *help, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A list of texts that is short enough, each of them too; anything else is refused. verb: for people. */
bool lock_request_has_list(struct lock_asked *asked, const json_t *request, const char *verb, const char *key,
                           size_t max);
