/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server side of the control protocol (control/protocol.h): a unix stream socket that only root and at most one group
 * may open, served on the event loop without ever blocking it.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "util/diag.h"

#define CONTROL_CLIENTS_MAX 32
#define CONTROL_OTHERS_MAX 24 /* of them for other users than the server's own, which always gets in */
#define CONTROL_REQUEST_USEC                                                                                 \
    (5 * 1000 * 1000ULL) /* a client that has not sent its request by then is dropped */
#define CONTROL_ANSWER_USEC (30 * 1000 * 1000ULL) /* the same for one that has not read its answer */

struct control_server;

/* Who asks, from the socket's credentials (unix(7), SO_PEERCRED). */
struct control_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    bool in_group; /* the service's, when it connected (SO_PEERGROUPS) */
};

/* Answers a request, which is a JSON object. Returns a new reference, never NULL. */
typedef json_t *(*control_handler)(const json_t *request, const struct control_peer *peer, void *userdata);
/* Is told of a request that is none, and was refused. */
typedef void (*control_refusal)(const char *error, const struct control_peer *peer, void *userdata);

struct control_service {
    control_handler handle;
    control_refusal refused; /* may be NULL */
    void *userdata;
    bool has_group;
    gid_t group; /* whose members may connect, too */
};

/*
 * Listens on path, mode 0600, made anew, with an access control list where a group is let in: that needs no right to give
 * files away. Where the list cannot be had, the socket stays root's, and diags has a warning. The socket's
 * directory is made (0755) when it is missing, one level only. Two
 * daemons cannot share a path: it is locked by "path.lock" as long as the server stands.
 * Returns 0; -EADDRINUSE: another daemon holds the lock; another negative errno. diags then says what failed.
 */
int control_server_open(sd_event *event, const char *path, const struct control_service *service,
                        struct control_server **ret, struct diags *diags);
/* Drops all clients and removes the socket. Returns NULL. */
struct control_server *control_server_close(struct control_server *server);
DEFINE_CLEANUP(struct control_server *, control_server_close);

/*
 * A client that is told of things as they happen: its answer is followed by lines until it goes, or the server closes. A
 * slow one holds nothing up: what it has no time for is lost to it, and it is told how much that was (line_queue.h).
 */
#define CONTROL_STREAMS_MAX 12
#define CONTROL_OTHER_STREAMS_MAX 8          /* of them for other users than the server's own */
#define CONTROL_STREAM_MAX ((size_t)1 << 20) /* bytes that wait for one of them */

struct control_stream;
/* It is over: not to be used any more. */
typedef void (*control_stream_end)(void *userdata);
/* Only while a request is handled: whoever has sent it becomes one. Borrowed until it ends; NULL: there are too many. */
struct control_stream *control_stream_open(struct control_server *server, control_stream_end ended,
                                           void *userdata);
/* A line without its end. Nothing ends by this. */
void control_stream_send(struct control_stream *stream, const char *line, size_t len);

/* Is an answer still on its way to a client? */
bool control_server_busy(const struct control_server *server);
