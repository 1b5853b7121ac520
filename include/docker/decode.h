/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the Docker Engine says, decoded: bytes of its API's answers in, inventory values out. Pure.
 *
 * The Engine is trusted, yet what it passes on (names, labels, images) is written by strangers, and fields
 * come and go between releases. So no field is relied upon: what is missing, null or of another type counts
 * as absent; an element without what makes it one (a container without an ID) is skipped with a warning in
 * diags; what is too large is refused. Every function returns 0, or -EBADMSG with the reason as an error in
 * diags when the answer as a whole cannot be used. diags may be NULL. Out parameters are written only on
 * success.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inventory/inventory.h"
#include "util/diag.h"

#define DOCKER_ANSWER_MAX ((size_t)64 * 1024 * 1024) /* bytes; longer answers are refused */
#define DOCKER_LINE_MAX ((size_t)1024 * 1024)        /* bytes of one event */

/* ---- GET /version ------------------------------------------------------------------------------------- */

/* Of the Engine's API 1.x: what we ask for at most (Docker 28.3), and what we need at least (Docker 20.10).
 */
#define DOCKER_API_NEWEST 51
#define DOCKER_API_OLDEST 41

struct docker_version {
    char *engine;       /* "20.10.24"; "" when the Engine does not say */
    unsigned api_minor; /* the version of the API to use, "1.N": the newest that both sides know */
};

void docker_version_clear(struct docker_version *version);

/*
 * Also chooses the API version. Besides -EBADMSG returns, each with an error in diags: -EPROTONOSUPPORT when
 * the Engine is too old or too new, or is no Docker Engine (Podman).
 */
int docker_decode_version(const char *bytes, size_t len, struct docker_version *ret, struct diags *diags);

/* ---- GET /info ---------------------------------------------------------------------------------------- */

struct docker_info {
    char *name; /* of the host; may be NULL */
    bool rootless;
    bool userns; /* root in containers is another user on the host */
    bool live_restore;
    bool swarm;             /* this node is part of a swarm */
    char *firewall_backend; /* "iptables", "nftables", ...; NULL before Docker 28.1 */
};

void docker_info_clear(struct docker_info *info);
int docker_decode_info(const char *bytes, size_t len, struct docker_info *ret, struct diags *diags);

/* ---- containers --------------------------------------------------------------------------------------- */

struct container_list {
    struct container **v; /* owned; an item that was taken out is NULL */
    size_t n;
};

void container_list_clear(struct container_list *list);

/*
 * GET /containers/json?all=1. What the list cannot tell: `dns` (dns_known stays false), the privileges, whose PID and
 * IPC namespaces it shares, and
 * `image` of a container whose tag has moved on since (NULL). labels_known is false. While a container starts or stops,
 * its endpoints here may be those of before: the network tells the live ones.
 */
int docker_decode_containers(const char *bytes, size_t len, struct container_list *ret, struct diags *diags);

/*
 * GET /containers/ID/json: everything but the published ports; labels_known is false. The Engine answers only when a start or stop
 * that is under way has ended.
 */
int docker_decode_container(const char *bytes, size_t len, struct container **ret, struct diags *diags);

/* ---- GET /images/ID/json ------------------------------------------------------------------------------ */

struct label_list {
    struct label *v; /* sorted by key */
    size_t n;
};

void label_list_clear(struct label_list *list);
int docker_decode_image_labels(const char *bytes, size_t len, struct label_list *ret, struct diags *diags);

/*
 * Marks those labels of the container that merely repeat the image's (same key and value), which do not
 * count, and sets labels_known. With trust (`image_labels: trust` in the settings) none is marked, and image
 * may be NULL.
 */
void container_apply_image_labels(struct container *container, const struct label_list *image, bool trust);

/* ---- networks ----------------------------------------------------------------------------------------- */

struct network_list {
    struct network **v; /* owned; an item that was taken out is NULL */
    size_t n;
};

void network_list_clear(struct network_list *list);

/* GET /networks. The list does not tell who is connected. `managed` is not decided yet. */
int docker_decode_networks(const char *bytes, size_t len, struct network_list *ret, struct diags *diags);

/*
 * An endpoint that is live now. endpoint.id, network_id and network_name are set; port is not known to the
 * Engine. container_id is the Engine's key: a container's full ID, or something that no container has (a
 * build step, a gateway of Swarm's).
 */
struct live_endpoint {
    char *container_id;
    char *container_name; /* may be NULL */
    struct endpoint endpoint;
};

struct network_detail {
    struct network *network; /* owned */
    struct live_endpoint *v;
    size_t n;
};

void network_detail_clear(struct network_detail *detail);

/* GET /networks/ID: the one answer that is right and immediate while a container starts. */
int docker_decode_network(const char *bytes, size_t len, struct network_detail *ret, struct diags *diags);

/* ---- GET /events -------------------------------------------------------------------------------------- */

enum docker_event_type { DOCKER_CONTAINER, DOCKER_NETWORK, DOCKER_OTHER_TYPE };

enum docker_action {
    DOCKER_CREATE,
    DOCKER_START,
    DOCKER_DIE,
    DOCKER_STOP,
    DOCKER_DESTROY,
    DOCKER_RENAME,
    DOCKER_PAUSE,
    DOCKER_UNPAUSE,
    DOCKER_UPDATE,
    DOCKER_CONNECT,    /* networks only */
    DOCKER_DISCONNECT, /* networks only; Docker 20.10 says it twice */
    DOCKER_OTHER_ACTION,
};

/*
 * Only what the Engine itself says: container events mix the container's labels into their attributes, and
 * all but name and image can be forged by them.
 */
struct docker_event {
    enum docker_event_type type;
    enum docker_action action;
    char *id;           /* of the container or network; never NULL or empty */
    char *name;         /* of the container or network, without a slash; may be NULL */
    char *image;        /* container events; may be NULL */
    char *container_id; /* network connect and disconnect; otherwise NULL */
    int64_t time_nano;  /* of the Engine's wall clock, since 1970; 0 when it does not say */
};

void docker_event_clear(struct docker_event *event);
const char *docker_action_name(enum docker_action action); /* "create"; "other" */

/* One line of the stream. A type or action that we do not know is no error. */
int docker_decode_event(const char *bytes, size_t len, struct docker_event *ret, struct diags *diags);

/*
 * Puts the pieces of a stream together to lines, however the stream was cut. Lines without any content are
 * left out. A line longer than DOCKER_LINE_MAX is dropped whole and counted.
 */
struct line_splitter {
    char *bytes;
    size_t len, size;
    bool skipping;     /* within a line that is too long */
    size_t n_too_long; /* lines dropped so far */
};

typedef void (*line_handler)(const char *line, size_t len, void *userdata);

void line_splitter_feed(struct line_splitter *splitter, const char *bytes, size_t len, line_handler handler,
                        void *userdata);
void line_splitter_clear(struct line_splitter *splitter);

/* ---- errors ------------------------------------------------------------------------------------------- */

/*
 * The Engine's message from the body of an answer that is an error: {"message": "..."}, or plain text as very
 * old and very new versions, and proxies, send it. One line, no control characters, at most 500 bytes. ""
 * when it says nothing. The caller frees it.
 */
char *docker_error_text(const char *bytes, size_t len);
