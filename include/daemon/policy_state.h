/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy set that was in force last, POLICY_STATE_FILE in the state directory: the files that it was read from,
 * exactly as they were, so that a daemon that starts when they have mistakes can go on with it. A codec: text in and
 * out.
 *
 * {"format_version": "1.0", "saved": "2026-11-20T15:04:05Z", "checksum": "9ae16a3b2f90404f",
 *  "files": [{"path": "/etc/cofferdam/policies/shop.yaml", "text": "policy: ..."}]}
 *
 * The checksum is of all the rest, so that a file of which a part was lost is never taken for a whole one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "policy/model.h"

#define POLICY_STATE_FILE "policies.json"
#define POLICY_STATE_MAX (64 * 1024 * 1024) /* bytes */

struct policy_state {
    char *saved; /* when the set came into force: "2026-11-20T15:04:05Z"; NULL: there is no set */
    struct policy_file *files;
    size_t n_files;
};

void policy_state_clear(struct policy_state *state);
/* Takes a copy of the files; what state held is released. */
void policy_state_set(struct policy_state *state, const char *saved, const struct policy_file *files,
                      size_t n);
/* Is it a set of just these files? */
bool policy_state_same(const struct policy_state *state, const struct policy_file *files, size_t n);

/*
 * 0, and the caller frees *ret; -EFBIG: it would have more than POLICY_STATE_MAX bytes; -EILSEQ: a path or a text is
 * no UTF-8.
 */
int policy_state_format(const struct policy_state *state, char **ret);
/* Takes len bytes. 0, or -EBADMSG: they are not, down to the last one, what policy_state_format() has made. */
int policy_state_parse(const char *text, size_t len, struct policy_state *ret);
