/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside the client: requests and the event stream share its connection settings. */
#pragma once

#include "docker/client.h"
#include "loop.h"
#include "outcome.h"

struct stream;

struct docker_client {
    struct curl_loop *loop;
    char *socket;
    struct docker_version version;
    unsigned timeout_ms, inspect_timeout_ms;
    bool connected;                 /* version is settled */
    bool calling;                   /* a handler is running */
    struct docker_request *running; /* with libcurl */
    struct docker_request *waiting; /* inspections whose turn has not come, in order */
    unsigned n_inspections;         /* running ones */
    struct stream *stream;          /* NULL: none */
    uint64_t stream_serial;         /* changes whenever stream does */
};

/* A transfer with what all of them have in common; on_body gets body_userdata. The caller cleans it up. NULL
 * when libcurl refuses. */
typedef size_t (*body_handler)(char *bytes, size_t size, size_t n, void *userdata);
CURL *client_transfer(const struct docker_client *client, const char *path, bool versioned,
                      body_handler on_body, void *body_userdata);

/* Text that grows while it comes, up to a cap. Always followed by a NUL once there is any. */
struct body {
    char *bytes;
    size_t len, size;
    bool too_large;
};

/* false when it would be over max; nothing is added then. */
bool body_add(struct body *body, const char *bytes, size_t len, size_t max);

/* Calls the handlers for what has come. */
void stream_deliver(struct docker_client *client);
/* The stream's transfer, which is easy, has ended. */
void stream_ended(struct docker_client *client, CURLcode code);
bool stream_is(const struct docker_client *client, const CURL *easy);
