// SPDX-License-Identifier: GPL-2.0-or-later
/* What the Docker Engine tells, on an event loop of its own that ends when all has been told, or time is up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-event.h>

#include "docker/client.h"
#include "doctor/collect.h"

#define ANSWER_MS 5000
#define ALL_USEC (20 * 1000 * 1000ull)
#define CONTAINERS_MAX 4096 /* inspected; more are counted as unread */

struct inspection;

struct questions {
    struct fact_engine *engine;
    const struct settings *settings;
    sd_event *event;
    struct docker_client *client;
    size_t n_open;
    struct inspection *inspections;
};

/* A container's inspection. It stays until the end, as one that time has run out on is never answered. */
struct inspection {
    struct questions *questions;
    char *name;
    struct inspection *next;
};

static void answered(struct questions *questions)
{
    if (--questions->n_open == 0)
        sd_event_exit(questions->event, 0);
}

static void ask(struct questions *questions, const char *path, docker_reply_handler handler, void *userdata)
{
    if (docker_client_get(questions->client, path, handler, userdata, NULL) == 0)
        questions->n_open++;
}

static void on_info(const struct docker_reply *reply, void *userdata)
{
    struct questions *questions = userdata;
    struct fact_engine *engine = questions->engine;

    engine->info_known =
        reply->error == 0 && docker_decode_info(reply->body, reply->len, &engine->info, NULL) == 0;
    answered(questions);
}

static void on_networks(const struct docker_reply *reply, void *userdata)
{
    struct questions *questions = userdata;
    struct fact_engine *engine = questions->engine;

    engine->networks_known =
        reply->error == 0 && docker_decode_networks(reply->body, reply->len, &engine->networks, NULL) == 0;
    for (size_t i = 0; i < engine->networks.n; i++)
        network_decide_managed(engine->networks.v[i], questions->settings);
    answered(questions);
}

static void on_container(const struct docker_reply *reply, void *userdata)
{
    struct inspection *inspection = userdata;
    struct fact_engine *engine = inspection->questions->engine;
    struct docker_powers powers;

    if (reply->error == 0 && docker_decode_powers(reply->body, reply->len, &powers, NULL) == 0) {
        *ARRAY_ADD(engine->powers, engine->n_powers) = (struct fact_powers){STEAL(inspection->name), powers};
        engine->n_unread--;
    } else if (reply->error == -ENOENT) {
        engine->n_unread--; /* it has gone meanwhile */
    }
    answered(inspection->questions);
}

static void inspect(struct questions *questions, const struct container *container)
{
    _cleanup_free_ char *path = xasprintf("/containers/%s/json", container->id);
    struct inspection *inspection;

    questions->engine->n_unread++;
    if (questions->engine->n_unread > CONTAINERS_MAX)
        return;
    inspection = xnew(struct inspection);
    *inspection = (struct inspection){.questions = questions,
                                      .name = xstrdup(container->name ? container->name : container->id),
                                      .next = questions->inspections};
    questions->inspections = inspection;
    ask(questions, path, on_container, inspection);
}

static void free_inspections(struct questions *questions)
{
    while (questions->inspections) {
        struct inspection *next = questions->inspections->next;

        free(questions->inspections->name);
        free(questions->inspections);
        questions->inspections = next;
    }
}

static void on_containers(const struct docker_reply *reply, void *userdata)
{
    struct questions *questions = userdata;
    struct fact_engine *engine = questions->engine;
    struct container_list list = {0};

    engine->containers_known =
        reply->error == 0 && docker_decode_containers(reply->body, reply->len, &list, NULL) == 0;
    for (size_t i = 0; i < list.n; i++)
        if (list.v[i]->running)
            inspect(questions, list.v[i]);
    container_list_clear(&list);
    answered(questions);
}

static void on_connected(int error, const struct docker_version *version, const char *message, void *userdata)
{
    struct questions *questions = userdata;
    struct fact_engine *engine = questions->engine;

    if (error) {
        engine->error = xstrdup(message ? message : strerror(-error));
    } else {
        engine->version = xstrdup(version->engine);
        engine->api_minor = version->api_minor;
        ask(questions, "/info", on_info, questions);
        ask(questions, "/networks", on_networks, questions);
        ask(questions, "/containers/json", on_containers, questions);
    }
    answered(questions);
}

static int on_time_up(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)usec, (void)userdata;
    return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int ask_all(struct questions *questions)
{
    int r = sd_event_new(&questions->event);

    if (r >= 0)
        r = sd_event_add_time_relative(questions->event, NULL, CLOCK_MONOTONIC, ALL_USEC, 0, on_time_up,
                                       NULL);
    if (r >= 0)
        r = docker_client_new(questions->event, questions->engine->socket, &questions->client);
    if (r < 0)
        return r;
    docker_client_set_timeouts(questions->client, ANSWER_MS, ANSWER_MS);
    r = docker_client_connect(questions->client, on_connected, questions);
    questions->n_open += r == 0;
    return r < 0 ? r : sd_event_loop(questions->event);
}

void collect_engine(const struct settings *settings, struct fact_engine *ret)
{
    struct questions questions = {.engine = ret, .settings = settings};
    _cleanup_diags_ struct diags diags = {0};
    int r;

    *ret = (struct fact_engine){0};
    r = docker_socket_path(settings->docker, getenv("DOCKER_HOST"), &ret->socket, &diags);
    if (r == 0)
        r = ask_all(&questions);
    if (r < 0 && !ret->error)
        ret->error = xstrdup(diags.n ? diags.v[0].message : strerror(-r));
    if (!ret->error && !ret->version)
        ret->error = xasprintf("%s: no answer in time", ret->socket);
    docker_client_free(questions.client);
    sd_event_unref(questions.event);
    free_inspections(&questions);
}
