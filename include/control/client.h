/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands' end of the control socket: one request, one answer (control/protocol.h), which may go on.
 */
#pragma once

#include <jansson.h>

#include "util/mem.h"

/*
 * Sends the request (not stolen) to the daemon and waits for its answer, at most timeout_ms in all.
 * Returns 0; -ENOENT or -ECONNREFUSED: no daemon listens at that path; -EACCES: this user may not;
 * -ENAMETOOLONG: no socket can have such a path; -ETIMEDOUT; -ECONNRESET: it ended before it answered; -EBADMSG: what came is no answer; -EMSGSIZE: it
 * is over CONTROL_MESSAGE_MAX; -E2BIG: the request is over CONTROL_REQUEST_MAX; another negative errno.
 */
int control_call(const char *path, const json_t *request, int timeout_ms, json_t **ret_answer);

/*
 * The same for a request whose answer is followed by lines as things happen. Where the answer is an error, nothing follows.
 */
struct control_follow;
int control_follow_open(const char *path, const json_t *request, int timeout_ms, json_t **ret_answer,
                        struct control_follow **ret);
struct control_follow *control_follow_close(struct control_follow *follow);
DEFINE_CLEANUP(struct control_follow *, control_follow_close);

/* For poll(2): lines may be there when it can be read, and just after it was opened. */
int control_follow_fd(const struct control_follow *follow);
/*
 * Hands out the lines that are there, each a JSON object, which is the caller's only for as long as the call takes. Does not
 * wait. Returns 0; -ECONNRESET: the daemon has ended; -EBADMSG: what came is no such line; another negative errno.
 */
typedef void (*control_line)(const json_t *line, void *userdata);
int control_follow_read(struct control_follow *follow, control_line handle, void *userdata);
