/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server side of the control protocol (control/protocol.h): a unix stream socket that only root may open,
 * served on the event loop without ever blocking it.
 */
#pragma once

#include <sys/types.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "util/diag.h"

#define CONTROL_CLIENTS_MAX 32
#define CONTROL_REQUEST_USEC                                                                                 \
    (5 * 1000 * 1000ULL) /* a client that has not sent its request by then is dropped */
#define CONTROL_ANSWER_USEC (30 * 1000 * 1000ULL) /* the same for one that has not read its answer */

struct control_server;

/* Who asks, from the socket's credentials (unix(7), SO_PEERCRED). */
struct control_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* Answers a request, which is a JSON object. Returns a new reference, never NULL. */
typedef json_t *(*control_handler)(const json_t *request, const struct control_peer *peer, void *userdata);

/*
 * Listens on path, mode 0660, made anew; its directory is made (0755) when it is missing, one level only. Two
 * daemons cannot share a path: it is locked by "path.lock" as long as the server stands.
 * Returns 0; -EADDRINUSE: another daemon holds the lock; another negative errno. diags then says what failed.
 */
int control_server_open(sd_event *event, const char *path, control_handler handler, void *userdata,
                        struct control_server **ret, struct diags *diags);
/* Drops all clients and removes the socket. Returns NULL. */
struct control_server *control_server_close(struct control_server *server);
DEFINE_CLEANUP(struct control_server *, control_server_close);

/* Is an answer still on its way to a client? */
bool control_server_busy(const struct control_server *server);
