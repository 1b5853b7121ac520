/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of the state directory that the daemon and the command share for lockdowns while no daemon answers. All are
 * believed only where they are our own (files_read_own()).
 */
#pragma once

#include "daemon/inventory_state.h"
#include "daemon/lock_pending.h"

/*
 * The containers and networks as the daemon knew them last. 0; -ENOENT: no daemon has written it; -EBADMSG: it is damaged;
 * -EPERM: others may write it; or another negative errno.
 */
int inventory_state_load(const char *directory, struct inventory **ret, struct inventory_age *ret_age);
/* The daemon's list of lockdowns, or its copy (files/lock_store.h): the same. */
int lock_list_load(const char *directory, struct lock_list **ret);

/*
 * Whoever changes the pending file, or the lock tables, holds this until both are as they should be, and closes *ret_fd
 * then. 0; -EWOULDBLOCK: another has held it all the time; or another negative errno.
 */
int lock_pending_hold(const char *directory, unsigned wait_ms, int *ret_fd);
/* 0, whatever of it is damaged; -ENOENT: there is none; or another negative errno. *ret must be zeroed. */
int lock_pending_load(const char *directory, struct lock_pending *ret);
/* Adds an operation behind those that are there, and is done only when that is on the disk. 0; -E2BIG: there are too many
 * already; or another negative errno. */
int lock_pending_append(const char *directory, const struct lock_op *op);

/* What is on record in the state directory, for a command without a daemon. Errors are 0 or a negative errno; what is not
 * there is none, -EBADMSG: damaged, -EACCES, -EPERM: this user may not read it, or others may write it. */
struct lock_record {
    struct lock_list *list;   /* the daemon's, which its rules hold */
    struct lock_list *merged; /* with what commands have done since: what is to hold */
    int list_error;           /* the list is empty then */
    int pending_error;        /* -EBADMSG: what can be read of it is in merged all the same */
    bool aside;               /* an earlier one was damaged, and nobody has released all since */
};

/* Always fills it in, with what can be read; *ret must be zeroed. */
void lock_record_load(const char *directory, const struct inventory *inventory, struct lock_record *ret);
/* Else more may be locked down than it says. */
bool lock_record_is_whole(const struct lock_record *record);
void lock_record_clear(struct lock_record *record);
#define _cleanup_lock_record_ _cleanup_(lock_record_clear)

/* A name for a request that no other has. 0 or a negative errno. */
int lock_request_new(char ret[static LOCK_REQUEST_SIZE]);
