/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Docker Engine's API over its unix socket, asynchronously on an sd-event loop. It only ever reads, and
 * only these paths, so that a proxy that allows nothing else can stand in front of the socket:
 *
 *   /version  /_ping  /info  /events  /containers/json  /containers/ID/json  /networks  /networks/ID
 *   /images/ID/json
 *
 * The order of use: docker_client_connect(), which negotiates the API's version; docker_client_events(), from
 * a little before; once the stream is open, docker_client_get() of the lists; and all over again after the
 * stream has ended, because the Engine may be another one by then. Nothing reconnects by itself.
 *
 * Handlers are called from the event loop, never from within the functions below, and may call any of them
 * except docker_client_free(). After docker_client_free() none is called.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "docker/decode.h"
#include "util/diag.h"

#define DOCKER_SOCKET "/var/run/docker.sock"
#define DOCKER_SOCKET_RUN "/run/docker.sock"

#define DOCKER_TIMEOUT_MS 10000 /* for an answer to be complete, and for an event stream to open */
#define DOCKER_INSPECT_TIMEOUT_MS                                                                            \
    60000                      /* of one container: the Engine holds it back while the container starts */
#define DOCKER_INSPECTS_MAX 16 /* at once; more wait for their turn, which their time-out does not count */

/*
 * Where the socket is: the setting (a path or unix:// and a path), else the value of DOCKER_HOST, else the
 * usual place; NULL and "" count as not given. 0 with a path that the caller frees; -EINVAL with an error in
 * diags that says what to do when it is no local socket (tcp://, ssh://, fd://, npipe://) or no absolute
 * path.
 */
int docker_socket_path(const char *setting, const char *docker_host, char **ret, struct diags *diags);

struct docker_client;
struct docker_request;

/* 0 or a negative errno. Does not connect yet. The client takes a reference to the loop; the path is copied.
 */
int docker_client_new(sd_event *event, const char *socket_path, struct docker_client **ret);
/* Cancels everything; NULL-safe; returns NULL. */
struct docker_client *docker_client_free(struct docker_client *client);
DEFINE_CLEANUP(struct docker_client *, docker_client_free);

/* Other time-outs than those above, for what is asked from now on. */
void docker_client_set_timeouts(struct docker_client *client, unsigned answer_ms, unsigned inspect_ms);

/* Borrowed by the handler. */
struct docker_reply {
    /*
     * 0: the answer is complete and its status 200. Otherwise what went wrong: -ENOENT: 404, or no socket
     * there; -ECONNREFUSED: nobody listens; -EACCES: no permission for the socket, 401 or 403; -ETIMEDOUT;
     * -ECONNRESET: closed too early; -EFBIG: the body is over DOCKER_ANSWER_MAX; -EINVAL: 400; -EBUSY: 409;
     * -EREMOTEIO: 5xx; -EPROTO: anything else that is no answer.
     */
    int error;
    unsigned status;  /* of HTTP; 0 when there was no answer */
    const char *body; /* when error is 0; never NULL; a NUL follows it */
    size_t len;
    const char *message; /* for people, when error is not 0: one line that names the socket or the request */
};

typedef void (*docker_reply_handler)(const struct docker_reply *reply, void *userdata);

/*
 * Asks for the version and settles which version of the API is spoken from now on. The handler gets version,
 * or NULL with a negative errno and a message for people; besides those of docker_reply, -EPROTONOSUPPORT:
 * this is no Engine that we can work with, and asking again is of no use before it is replaced.
 */
typedef void (*docker_connect_handler)(int error, const struct docker_version *version, const char *message,
                                       void *userdata);
int docker_client_connect(struct docker_client *client, docker_connect_handler handler, void *userdata);

/* The version settled last; NULL before the first and after a connect that failed. */
const struct docker_version *docker_client_version(const struct docker_client *client);
const char *docker_client_socket(const struct docker_client *client);

/*
 * Asks for a path (with its query, without the API's version): "/containers/json?all=1". The handler is
 * called once, unless the request is cancelled before. *ret (may be NULL) is valid until then. Returns 0;
 * -EPERM for a path that is not among those above; -ENOTCONN when no version is settled.
 */
int docker_client_get(struct docker_client *client, const char *path, docker_reply_handler handler,
                      void *userdata, struct docker_request **ret);
/* NULL-safe; returns NULL. The handler is not called any more. */
struct docker_request *docker_request_cancel(struct docker_request *request);

struct docker_event_handlers {
    void (*opened)(void *userdata); /* the Engine has answered: list now */
    void (*event)(const struct docker_event *event, void *userdata);
    /* Something in the stream made no sense and was skipped: what it was about is unknown. May be NULL. */
    void (*problem)(const char *message, void *userdata);
    /* The stream has ended, or never came about: errors as in docker_reply; -ECONNRESET also for a plain end.
     */
    void (*closed)(int error, const char *message, void *userdata);
};

/*
 * Follows container and network events (those of enum docker_action) from since_nsec of the wall clock on.
 * Since the Engine subscribes only after it has answered, ask from shortly before the call; what comes twice
 * is normal. A stream that is open is closed first, without a word. Returns 0 or -ENOTCONN. The handlers are
 * copied.
 */
int docker_client_events(struct docker_client *client, uint64_t since_nsec,
                         const struct docker_event_handlers *handlers, void *userdata);
/* Closes the stream; none of its handlers is called any more. */
void docker_client_events_stop(struct docker_client *client);

/* Whether the path (with a query or without) is one of those above. */
bool docker_path_allowed(const char *path);
