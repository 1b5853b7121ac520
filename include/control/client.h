/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands' end of the control socket: one request, one answer (control/protocol.h).
 */
#pragma once

#include <jansson.h>

/*
 * Sends the request (not stolen) to the daemon and waits for its answer, at most timeout_ms in all.
 * Returns 0; -ENOENT or -ECONNREFUSED: no daemon listens at that path; -EACCES: this user may not;
 * -ENAMETOOLONG: no socket can have such a path; -ETIMEDOUT; -ECONNRESET: it ended before it answered; -EBADMSG: what came is no answer; -EMSGSIZE: it
 * is over CONTROL_MESSAGE_MAX; -E2BIG: the request is over CONTROL_REQUEST_MAX; another negative errno.
 */
int control_call(const char *path, const json_t *request, int timeout_ms, json_t **ret_answer);
