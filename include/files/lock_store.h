/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of lockdowns in the state directory, twice: one file that is damaged loses nothing. The first is written first;
 * the second is a copy, which a crash between the two leaves one change behind.
 */
#pragma once

#include <stdbool.h>

#include "daemon/lock_state.h"

#define LOCK_STATE_COPY "lockdown.json.copy"

/* What is known of the list, apart from its content. */
struct lock_store_state {
    int error; /* of the first file; 0 or a negative errno; -EBADMSG: it is damaged; -ENOENT: there is none */
    int copy_error; /* of the copy, which is read only where the first cannot be used */
};

/*
 * 0: *ret is the list, the copy's if state->error is not 0. -ENOENT: there is neither. Otherwise the error of the first
 * file, or of the copy where there is no first: then nobody knows who is locked down. state is always filled in.
 */
int lock_store_load(const char *directory, struct lock_list **ret, struct lock_store_state *state);
/*
 * 0 or a negative errno: the first file's, without which nothing has changed. *ret_copy_error, 0 or a negative errno, is
 * always set; a copy that cannot be written is removed, so that nothing older comes back.
 */
int lock_store_save(const char *directory, const struct lock_list *list, int *ret_copy_error);
