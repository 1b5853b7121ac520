/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Engine's lists of containers and networks, on an event loop of its own that ends when both came, or time is up. */
#include <errno.h>
#include <stdlib.h>

#include <systemd/sd-event.h>

#include "docker/client.h"
#include "lockdown/inventory.h"

struct questions {
    sd_event *event;
    struct docker_client *client;
    struct container_list *containers;
    struct network_list *networks;
    size_t n_open;
    int error; /* the first */
};

static void answered(struct questions *questions, int error)
{
    questions->error = questions->error ? questions->error : error;
    if (--questions->n_open == 0 || questions->error)
        sd_event_exit(questions->event, questions->error);
}

static void on_containers(const struct docker_reply *reply, void *userdata)
{
    struct questions *questions = userdata;

    answered(questions, reply->error
                            ? reply->error
                            : docker_decode_containers(reply->body, reply->len, questions->containers, NULL));
}

static void on_networks(const struct docker_reply *reply, void *userdata)
{
    struct questions *questions = userdata;

    answered(questions, reply->error
                            ? reply->error
                            : docker_decode_networks(reply->body, reply->len, questions->networks, NULL));
}

static int ask(struct questions *questions, const char *path, docker_reply_handler handler)
{
    int r = docker_client_get(questions->client, path, handler, questions, NULL);

    questions->n_open += r == 0;
    return r;
}

static void on_connected(int error, const struct docker_version *version, const char *message, void *userdata)
{
    struct questions *questions = userdata;
    int r = error;

    (void)version, (void)message;
    if (r == 0)
        r = ask(questions, "/containers/json?all=1", on_containers);
    if (r == 0)
        r = ask(questions, "/networks", on_networks);
    answered(questions, r);
}

static int on_time_up(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)usec, (void)userdata;
    return sd_event_exit(sd_event_source_get_event(source), -ETIMEDOUT);
}

static int ask_all(struct questions *questions, const char *socket)
{
    int r = sd_event_new(&questions->event);

    if (r >= 0)
        r = sd_event_add_time_relative(questions->event, NULL, CLOCK_MONOTONIC, LOCK_ENGINE_MS * 1000ULL,
                                       1000, on_time_up, NULL);
    if (r >= 0)
        r = docker_client_new(questions->event, socket, &questions->client);
    if (r < 0)
        return r;
    docker_client_set_timeouts(questions->client, LOCK_ENGINE_MS, LOCK_ENGINE_MS);
    r = docker_client_connect(questions->client, on_connected, questions);
    questions->n_open += r == 0;
    return r < 0 ? r : sd_event_loop(questions->event);
}

int lock_ask_engine(const struct settings *settings, struct container_list *ret_containers,
                    struct network_list *ret_networks)
{
    struct container_list containers = {0};
    struct network_list networks = {0};
    struct questions questions = {.containers = &containers, .networks = &networks};
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_free_ char *socket = NULL;
    int r = docker_socket_path(settings->docker, getenv("DOCKER_HOST"), &socket, &diags);

    if (r == 0)
        r = ask_all(&questions, socket);
    docker_client_free(questions.client);
    sd_event_unref(questions.event);
    if (r == 0) {
        *ret_containers = containers;
        *ret_networks = networks;
        return 0;
    }
    container_list_clear(&containers);
    network_list_clear(&networks);
    return r;
}
