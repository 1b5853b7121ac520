/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Docker Engine: questions out, decoded answers to the brain. */
#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "daemon.h"

#define NSEC_PER_SEC ((uint64_t)1000000000)
#define LATE_NSEC (3 * NSEC_PER_SEC) /* the Engine tells events within milliseconds */

struct request {
    struct daemon *daemon;
    enum fetch_kind kind;
    char *id;
    struct docker_request *handle;
    struct request *next;
};

/* ---- answers ------------------------------------------------------------------------------------------ */

static void request_free(struct request *request)
{
    for (struct request **at = &request->daemon->requests; *at; at = &(*at)->next)
        if (*at == request) {
            *at = request->next;
            break;
        }
    free(request->id);
    free(request);
}

static void answer_containers(struct request *request, const struct docker_reply *reply, int *ret_error,
                              struct diags *diags)
{
    struct container_list list;

    *ret_error = docker_decode_containers(reply->body, reply->len, &list, diags);
    if (*ret_error < 0)
        return;
    if (request->kind == FETCH_CONTAINERS)
        brain_containers(request->daemon->brain, &list, daemon_now());
    else
        brain_container(request->daemon->brain, request->id, &list, daemon_now());
    container_list_clear(&list);
}

static void answer_inspect(struct request *request, const struct docker_reply *reply, int *ret_error,
                           struct diags *diags)
{
    struct container *container;

    *ret_error = docker_decode_container(reply->body, reply->len, &container, diags);
    if (*ret_error < 0)
        return;
    brain_inspected(request->daemon->brain, request->id, container, daemon_now());
    container_free(container);
}

static void answer_networks(struct request *request, const struct docker_reply *reply, int *ret_error,
                            struct diags *diags)
{
    struct network_list list;

    *ret_error = docker_decode_networks(reply->body, reply->len, &list, diags);
    if (*ret_error < 0)
        return;
    brain_networks(request->daemon->brain, &list, daemon_now());
    network_list_clear(&list);
}

static void answer_network(struct request *request, const struct docker_reply *reply, int *ret_error,
                           struct diags *diags)
{
    struct network_detail detail;

    *ret_error = docker_decode_network(reply->body, reply->len, &detail, diags);
    if (*ret_error < 0)
        return;
    brain_network(request->daemon->brain, request->id, &detail, daemon_now());
    network_detail_clear(&detail);
}

static void answer_info(struct request *request, const struct docker_reply *reply, int *ret_error,
                        struct diags *diags)
{
    struct docker_info info;

    *ret_error = docker_decode_info(reply->body, reply->len, &info, diags);
    if (*ret_error < 0)
        return;
    brain_info(request->daemon->brain, &info);
    docker_info_clear(&info);
}

static void answer_image(struct request *request, const struct docker_reply *reply, int *ret_error,
                         struct diags *diags)
{
    struct label_list labels;

    *ret_error = docker_decode_image_labels(reply->body, reply->len, &labels, diags);
    if (*ret_error < 0)
        return;
    brain_image(request->daemon->brain, request->id, &labels, daemon_now());
    label_list_clear(&labels);
}

static void on_reply(const struct docker_reply *reply, void *userdata)
{
    static void (*const answers[])(struct request *, const struct docker_reply *, int *, struct diags *) = {
        [FETCH_CONTAINERS] = answer_containers, [FETCH_CONTAINER] = answer_containers,
        [FETCH_INSPECT] = answer_inspect,       [FETCH_NETWORKS] = answer_networks,
        [FETCH_NETWORK] = answer_network,       [FETCH_INFO] = answer_info,
        [FETCH_IMAGE] = answer_image,
    };
    struct request *request = userdata;
    struct daemon *daemon = request->daemon;
    _cleanup_diags_ struct diags diags = {0};
    int error = reply->error;

    if (error == 0)
        answers[request->kind](request, reply, &error, &diags);
    if (error < 0) {
        const char *message = reply->error < 0 ? reply->message
                              : diags.n > 0    ? diags.v[0].message
                                               : strerror(-error);
        brain_fetch_failed(daemon->brain, request->kind, request->id, error,
                           message ? message : strerror(-error), daemon_now());
    }
    request_free(request);
    daemon_touch(daemon);
}

/* ---- questions ---------------------------------------------------------------------------------------- */

/* IDs come from the Engine: hexadecimal, or "sha256:" and that. Nothing else may get into a path. */
static bool is_plain(const char *id)
{
    return id && id[0] &&
           strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:_-") == strlen(id);
}

static char *path_of(enum fetch_kind kind, const char *id)
{
    if (kind != FETCH_CONTAINERS && kind != FETCH_NETWORKS && kind != FETCH_INFO && !is_plain(id))
        return NULL;
    switch (kind) {
    case FETCH_CONTAINERS:
        return xstrdup("/containers/json?all=1");
    case FETCH_CONTAINER: /* filters={"id":["..."]} */
        return xasprintf("/containers/json?all=1&filters=%%7B%%22id%%22%%3A%%5B%%22%s%%22%%5D%%7D", id);
    case FETCH_INSPECT:
        return xasprintf("/containers/%s/json", id);
    case FETCH_NETWORKS:
        return xstrdup("/networks");
    case FETCH_NETWORK:
        return xasprintf("/networks/%s", id);
    case FETCH_INFO:
        return xstrdup("/info");
    case FETCH_IMAGE:
        return xasprintf("/images/%s/json", id);
    }
    return NULL;
}

void engine_fetch(struct daemon *daemon, enum fetch_kind kind, const char *id)
{
    _cleanup_free_ char *path = path_of(kind, id);
    struct request *request;
    int r;

    if (!path) {
        brain_fetch_failed(daemon->brain, kind, id, -ENOENT, "no such ID is possible", daemon_now());
        return;
    }
    request = xnew(struct request);
    *request =
        (struct request){.daemon = daemon, .kind = kind, .id = xstrdup_null(id), .next = daemon->requests};
    daemon->requests = request;
    r = docker_client_get(daemon->docker, path, on_reply, request, &request->handle);
    if (r < 0) {
        brain_fetch_failed(daemon->brain, kind, id, r == -ENOENT ? -EIO : r, strerror(-r), daemon_now());
        request_free(request);
    }
}

static void cancel_all(struct daemon *daemon)
{
    while (daemon->requests) {
        docker_request_cancel(daemon->requests->handle);
        request_free(daemon->requests);
    }
}

/* ---- the connection ----------------------------------------------------------------------------------- */

static void engine_lost(struct daemon *daemon, const char *why)
{
    cancel_all(daemon);
    docker_client_events_stop(daemon->docker);
    brain_engine_down(daemon->brain, why, daemon_now());
    daemon_touch(daemon);
}

static void on_opened(void *userdata)
{
    struct daemon *daemon = userdata;

    brain_engine_up(daemon->brain, docker_client_version(daemon->docker), daemon_now());
    daemon_touch(daemon);
}

static uint64_t wall_clock_nsec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void on_event(const struct docker_event *event, void *userdata)
{
    struct daemon *daemon = userdata;

    if (event->time_nano > 0 && (uint64_t)event->time_nano + LATE_NSEC < wall_clock_nsec())
        brain_behind(daemon->brain, daemon_now());
    brain_docker_event(daemon->brain, event, daemon_now());
    daemon_touch(daemon);
}

static void on_problem(const char *message, void *userdata)
{
    struct daemon *daemon = userdata;

    log_text(LOG_WARNING, "an event of the Docker Engine was skipped, everything is listed again: %s",
             message);
    brain_resync(daemon->brain, daemon_now());
    daemon_touch(daemon);
}

static void on_closed(int error, const char *message, void *userdata)
{
    engine_lost(userdata, message && message[0] ? message : strerror(-error));
}

/* The Engine subscribes only after it has answered, and its clock is ours: so from a little before. */
static uint64_t a_second_ago(void)
{
    return wall_clock_nsec() - NSEC_PER_SEC;
}

static void on_connected(int error, const struct docker_version *version, const char *message, void *userdata)
{
    static const struct docker_event_handlers handlers = {
        .opened = on_opened, .event = on_event, .problem = on_problem, .closed = on_closed};
    struct daemon *daemon = userdata;

    (void)version;
    if (error == 0) {
        error = docker_client_events(daemon->docker, a_second_ago(), &handlers, daemon);
        message = NULL;
    }
    if (error < 0)
        engine_lost(daemon, message && message[0] ? message : strerror(-error));
}

void engine_connect(struct daemon *daemon)
{
    int r = docker_client_connect(daemon->docker, on_connected, daemon);

    if (r < 0)
        engine_lost(daemon, strerror(-r));
}

int engine_open(struct daemon *daemon, struct diags *diags)
{
    int r =
        docker_socket_path(daemon->settings->docker, getenv("DOCKER_HOST"), &daemon->docker_socket, diags);

    if (r < 0)
        return r;
    r = docker_client_new(daemon->event, daemon->docker_socket, &daemon->docker);
    if (r < 0)
        diag_add(diags, DIAG_ERROR, NULL, NULL, "cannot use the Engine's socket: %s", strerror(-r));
    return r;
}

void engine_close(struct daemon *daemon)
{
    if (daemon->docker)
        cancel_all(daemon);
    daemon->docker = docker_client_free(daemon->docker);
    free(STEAL(daemon->docker_socket));
}
