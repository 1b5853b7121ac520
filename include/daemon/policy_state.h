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
 *
 * A set that is held stays in force at a start although the policy files are newer: it was rolled back to, or newer ones
 * are on trial. Then the format_version is "1.1", and there is a key more:
 *
 * "held": {"reason": "trial" | "expired" | "rollback", "number": 7, "since": "2026-11-20T15:04:05Z"}
 *
 * number: of the set in the history, 0 where it is not in it. "files" is then null where nothing could be read before the
 * trial, and all is denied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "policy/model.h"

#define POLICY_STATE_FILE "policies.json"
#define POLICY_STATE_MAX (64 * 1024 * 1024) /* bytes */

enum held_reason {
    HELD_NOT,
    HELD_TRIAL,    /* newer policies are on trial, or were when the daemon ended */
    HELD_EXPIRED,  /* newer policies were not confirmed */
    HELD_ROLLBACK, /* somebody asked for it */
};

struct held {
    enum held_reason reason;
    unsigned number; /* of the set in the history; 0: it is not in it */
    char *since;     /* a time; NULL where reason is HELD_NOT */
};

void held_clear(struct held *held);
struct held held_copy(const struct held *held);
bool held_same(const struct held *a, const struct held *b);
const char *held_reason_name(enum held_reason reason); /* "trial" */
/* NULL where nothing is held; a new reference. */
json_t *held_to_json(const struct held *held);

struct policy_state {
    char *saved; /* when the set came into force: "2026-11-20T15:04:05Z"; NULL: there is no set */
    struct policy_file *files;
    size_t n_files;
    bool nothing; /* there are no files, as everything is denied: nothing could be read */
    struct held held;
};

void policy_state_clear(struct policy_state *state);
/* Takes a copy of the files, which nothing holds; what state had is released. */
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

/* ---- files in other documents ------------------------------------------------------------------------- */

struct policy_file *policy_files_copy(const struct policy_file *files, size_t n);
bool policy_files_same(const struct policy_file *a, size_t n_a, const struct policy_file *b, size_t n_b);
/* [{"path", "text"}], a new reference; NULL: a path or a text is no UTF-8. */
json_t *saved_files_to_json(const struct policy_file *files, size_t n);
/* 0, and the caller frees them by policy_files_free(); or -EBADMSG. */
int saved_files_from_json(const json_t *array, struct policy_file **ret, size_t *ret_n);
/* "2026-11-20T15:04:05Z"? It is shown to people. */
bool is_time_text(const char *text);
