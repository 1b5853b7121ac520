/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event stream. libcurl hands over bytes from within its own work, where nothing may be asked of it; so
 * what comes is kept as items and handed on when libcurl has returned.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "client_priv.h"

#define ERROR_BODY_MAX ((size_t)64 * 1024)

enum item_kind { ITEM_OPENED, ITEM_EVENT, ITEM_PROBLEM };

struct item {
    enum item_kind kind;
    struct docker_event event; /* ITEM_EVENT */
    char *message;             /* ITEM_PROBLEM */
};

struct stream {
    struct docker_client *client;
    struct docker_event_handlers handlers;
    void *userdata;
    CURL *easy;
    sd_event_source *open_timer;
    bool opened;
    struct line_splitter splitter;
    size_t n_too_long; /* reported so far */
    struct body body;  /* of an answer that is an error */
    struct item *items;
    size_t n_items;
};

static void items_free(struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        docker_event_clear(&items[i].event);
        free(items[i].message);
    }
    free(items);
}

static void stream_free(struct stream *stream)
{
    if (stream->easy) {
        curl_multi_remove_handle(curl_loop_multi(stream->client->loop), stream->easy);
        curl_easy_cleanup(stream->easy);
    }
    sd_event_source_disable_unref(stream->open_timer);
    line_splitter_clear(&stream->splitter);
    items_free(stream->items, stream->n_items);
    free(stream->body.bytes);
    free(stream);
}

static struct attempt stream_attempt(const struct docker_client *client)
{
    return (struct attempt){.socket = client->socket, .path = "/events", .timeout_ms = client->timeout_ms};
}

/* ---- from libcurl ------------------------------------------------------------------------------------- */

static void add_problem(struct stream *stream, char *message)
{
    *ARRAY_ADD(stream->items, stream->n_items) = (struct item){.kind = ITEM_PROBLEM, .message = message};
}

static void on_line(const char *line, size_t len, void *userdata)
{
    _cleanup_diags_ struct diags diags = {0};
    struct stream *stream = userdata;
    struct docker_event event;

    if (docker_decode_event(line, len, &event, &diags) < 0) {
        add_problem(stream, xstrdup(diags.v[0].message));
        return;
    }
    *ARRAY_ADD(stream->items, stream->n_items) = (struct item){.kind = ITEM_EVENT, .event = event};
}

static void feed_lines(struct stream *stream, const char *bytes, size_t len)
{
    line_splitter_feed(&stream->splitter, bytes, len, on_line, stream);
    if (stream->splitter.n_too_long == stream->n_too_long)
        return;
    stream->n_too_long = stream->splitter.n_too_long;
    add_problem(stream, xasprintf("the Engine sent an event of over %zu bytes", DOCKER_LINE_MAX));
}

static size_t on_body(char *bytes, size_t size, size_t n, void *userdata)
{
    struct stream *stream = userdata;

    if (stream->opened)
        feed_lines(stream, bytes, size * n);
    else
        body_add(&stream->body, bytes, size * n, ERROR_BODY_MAX); /* what is over is of no interest */
    return size * n;
}

/* The empty line ends the headers. */
static size_t on_header(char *line, size_t size, size_t n, void *userdata)
{
    struct stream *stream = userdata;
    long status = 0;

    if (stream->opened || size * n > 2 || line[0] != '\r')
        return size * n;
    curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return size * n;
    stream->opened = true;
    sd_event_source_set_enabled(stream->open_timer, SD_EVENT_OFF);
    *ARRAY_ADD(stream->items, stream->n_items) = (struct item){.kind = ITEM_OPENED};
    return size * n;
}

/* ---- to the handlers ---------------------------------------------------------------------------------- */

static void deliver(const struct docker_event_handlers *handlers, const struct item *item, void *userdata)
{
    switch (item->kind) {
    case ITEM_OPENED:
        handlers->opened(userdata);
        break;
    case ITEM_EVENT:
        handlers->event(&item->event, userdata);
        break;
    case ITEM_PROBLEM:
        if (handlers->problem)
            handlers->problem(item->message, userdata);
        break;
    }
}

/* Any handler may stop the stream, or start another one in its place. */
void stream_deliver(struct docker_client *client)
{
    struct stream *stream = client->stream;
    uint64_t serial = client->stream_serial;
    struct docker_event_handlers handlers;
    struct item *items;
    void *userdata;
    size_t n;

    if (!stream)
        return;
    handlers = stream->handlers;
    userdata = stream->userdata;
    n = stream->n_items;
    items = STEAL(stream->items);
    stream->n_items = 0;
    client->calling = true;
    for (size_t i = 0; i < n && client->stream_serial == serial; i++)
        deliver(&handlers, &items[i], userdata);
    client->calling = false;
    items_free(items, n);
}

static void close_stream(struct docker_client *client, struct outcome *outcome)
{
    struct docker_event_handlers handlers = client->stream->handlers;
    void *userdata = client->stream->userdata;

    docker_client_events_stop(client);
    client->calling = true;
    handlers.closed(outcome->error, outcome->message, userdata);
    client->calling = false;
    outcome_clear(outcome);
}

static struct outcome ended_by_engine(const struct docker_client *client)
{
    return (struct outcome){
        .error = -ECONNRESET,
        .status = 200,
        .message =
            xasprintf("the Docker Engine at %s ended its stream of events: it was stopped or restarted",
                      client->socket),
    };
}

void stream_ended(struct docker_client *client, CURLcode code)
{
    struct stream *stream = client->stream;
    struct attempt attempt = stream_attempt(client);
    struct outcome outcome;

    if (stream->opened)
        outcome = ended_by_engine(client);
    else
        outcome = outcome_of(&attempt, stream->easy, code, stream->body.bytes, stream->body.len, false);
    close_stream(client, &outcome);
}

bool stream_is(const struct docker_client *client, const CURL *easy)
{
    return client->stream && client->stream->easy == easy;
}

static int on_open_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct stream *stream = userdata;
    struct attempt attempt = stream_attempt(stream->client);
    struct outcome outcome = outcome_timed_out(&attempt);

    (void)source;
    (void)usec;
    close_stream(stream->client, &outcome);
    return 0;
}

/* ---- opening ------------------------------------------------------------------------------------------ */

/* {"type":["container","network"],"event":["create",...]}: exec and health checks alone could flood the
 * stream. */
static char *filters_text(void)
{
    char *filters, *text = xstrdup("{\"type\":[\"container\",\"network\"],\"event\":[");

    for (enum docker_action action = DOCKER_CREATE; action < DOCKER_OTHER_ACTION; action++) {
        char *longer =
            xasprintf("%s%s\"%s\"", text, action == DOCKER_CREATE ? "" : ",", docker_action_name(action));

        free(text);
        text = longer;
    }
    filters = xasprintf("%s]}", text);
    free(text);
    return filters;
}

static char *events_path(uint64_t since_nsec)
{
    _cleanup_free_ char *filters = filters_text();
    char *escaped = curl_easy_escape(NULL, filters, 0);
    char *path = xasprintf("/events?since=%" PRIu64 ".%09" PRIu64 "&filters=%s", since_nsec / 1000000000,
                           since_nsec % 1000000000, escaped ? escaped : "");

    curl_free(escaped);
    return path;
}

static int start(struct docker_client *client, struct stream *stream, uint64_t since_nsec)
{
    _cleanup_free_ char *path = events_path(since_nsec);
    int r = sd_event_add_time_relative(curl_loop_event(client->loop), &stream->open_timer, CLOCK_MONOTONIC,
                                       (uint64_t)client->timeout_ms * 1000, 0, on_open_timer, stream);

    if (r < 0)
        return r;
    stream->easy = client_transfer(client, path, true, on_body, stream);
    if (!stream->easy)
        return -ENOMEM;
    curl_easy_setopt(stream->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(stream->easy, CURLOPT_HEADERDATA, stream);
    return curl_multi_add_handle(curl_loop_multi(client->loop), stream->easy) == CURLM_OK ? 0 : -EIO;
}

int docker_client_events(struct docker_client *client, uint64_t since_nsec,
                         const struct docker_event_handlers *handlers, void *userdata)
{
    struct stream *stream;
    int r;

    docker_client_events_stop(client);
    if (!client->connected)
        return -ENOTCONN;
    stream = xnew(struct stream);
    stream->client = client;
    stream->handlers = *handlers;
    stream->userdata = userdata;
    r = start(client, stream, since_nsec);
    if (r < 0) {
        stream_free(stream);
        return r;
    }
    client->stream = stream;
    client->stream_serial++;
    return 0;
}

void docker_client_events_stop(struct docker_client *client)
{
    if (!client->stream)
        return;
    stream_free(client->stream);
    client->stream = NULL;
    client->stream_serial++;
}
