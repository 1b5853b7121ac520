/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-event.h>

#include "docker/client.h"

struct asking {
    sd_event *event;
    struct docker_client *client;
    struct engine_question *questions;
    size_t n, n_open;
    char *error; /* of all */
};

/* A handler is given one pointer. */
struct slot {
    struct asking *asking;
    struct engine_question *question;
};

static void answered(struct asking *asking)
{
    if (--asking->n_open == 0)
        sd_event_exit(asking->event, 0);
}

static void on_reply(const struct docker_reply *reply, void *userdata)
{
    struct slot *slot = userdata;
    struct engine_question *question = slot->question;

    if (reply->error == 0) {
        question->body = xstrndup(reply->body, reply->len);
        question->len = reply->len;
    } else {
        question->error = xstrdup(reply->message ?: strerror(-reply->error));
    }
    answered(slot->asking);
    free(slot);
}

static void ask(struct asking *asking, struct engine_question *question)
{
    struct slot *slot = xnew(struct slot);
    int r;

    *slot = (struct slot){asking, question};
    r = docker_client_get(asking->client, question->path, on_reply, slot, NULL);
    if (r < 0) {
        question->error = xstrdup(strerror(-r));
        free(slot);
    } else {
        asking->n_open++;
    }
}

static void on_connected(int error, const struct docker_version *version, const char *message, void *userdata)
{
    struct asking *asking = userdata;

    (void)version;
    if (error)
        asking->error = xstrdup(message ?: strerror(-error));
    for (size_t i = 0; i < asking->n && !error; i++)
        ask(asking, &asking->questions[i]);
    answered(asking);
}

static int on_time_up(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)usec, (void)userdata;
    return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int run(struct asking *asking, const char *socket, unsigned ms)
{
    int r = sd_event_new(&asking->event);

    if (r >= 0)
        r = sd_event_add_time_relative(asking->event, NULL, CLOCK_MONOTONIC, ms * 1000ull, 0, on_time_up,
                                       NULL);
    if (r >= 0)
        r = docker_client_new(asking->event, socket, &asking->client);
    if (r < 0)
        return r;
    docker_client_set_timeouts(asking->client, ms, ms);
    r = docker_client_connect(asking->client, on_connected, asking);
    asking->n_open += r == 0;
    return r < 0 ? r : sd_event_loop(asking->event);
}

void engine_ask(const struct settings *settings, struct engine_question *questions, size_t n, unsigned ms)
{
    struct asking asking = {.questions = questions, .n = n};
    _cleanup_free_ char *socket = NULL;
    _cleanup_diags_ struct diags diags = {0};
    int r = docker_socket_path(settings->docker, getenv("DOCKER_HOST"), &socket, &diags);

    if (r == 0)
        r = run(&asking, socket, ms);
    if (r < 0 && !asking.error)
        asking.error = xstrdup(diags.n ? diags.v[0].message : strerror(-r));
    for (size_t i = 0; i < n; i++)
        if (!questions[i].body && !questions[i].error)
            questions[i].error =
                asking.error ? xstrdup(asking.error) : xasprintf("no answer within %u ms", ms);
    docker_client_free(asking.client);
    sd_event_unref(asking.event);
    free(asking.error);
}
