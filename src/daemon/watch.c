/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who follows records on the control socket, as they are published. */
#include "daemon.h"

#include <string.h>

#include "control/protocol.h"
#include "inventory/json.h"
#include "verbs.h"
#include "watch/filter.h"
#include "watch/record.h"

struct watcher {
    struct daemon *daemon;
    struct control_stream *stream;
    struct watch_filter *filter;
    struct watcher *next;
};

static void on_end(void *userdata)
{
    struct watcher *watcher = userdata;
    struct daemon *daemon = watcher->daemon;

    for (struct watcher **at = &daemon->watchers; *at; at = &(*at)->next)
        if (*at == watcher) {
            *at = watcher->next;
            break;
        }
    watch_filter_free(watcher->filter);
    free(watcher);
    flow_events_update(daemon);
}

/* ---- records ------------------------------------------------------------------------------------------ */

static char *line_of(const json_t *record, bool final)
{
    json_t *line = json_pack("{s:O, s:b}", "record", record, "final", final);
    char *text = json_dumps(line, JSON_COMPACT);

    json_decref(line);
    return text;
}

static void send_line(const struct watcher *watcher, const char *line)
{
    if (line)
        control_stream_send(watcher->stream, line, strlen(line));
}

void watch_record(struct daemon *daemon, const json_t *record, bool final)
{
    _cleanup_free_ char *line = NULL;

    if (!daemon->watchers || (final && !record_end_tells_more(record)))
        return;
    for (const struct watcher *watcher = daemon->watchers; watcher; watcher = watcher->next) {
        if (!watch_filter_matches(watcher->filter, record))
            continue;
        line = line ? line : line_of(record, final);
        send_line(watcher, line);
    }
}

bool watch_wants_allowed(const struct daemon *daemon)
{
    for (const struct watcher *watcher = daemon->watchers; watcher; watcher = watcher->next)
        if (watch_filter_wants_allowed(watcher->filter))
            return true;
    return false;
}

/* ---- the verb ----------------------------------------------------------------------------------------- */

/* What goes on already, or it would be seen a minute later only. */
static void send_open(const json_t *record, void *userdata)
{
    const struct watcher *watcher = userdata;

    if (!watch_filter_matches(watcher->filter, record))
        return;
    _cleanup_free_ char *line = line_of(record, false);
    send_line(watcher, line);
}

/* Why something may not be seen, though it happens. NULL: there is no reason. The caller frees it. */
static char *problem(const struct daemon *daemon, const struct watch_filter *filter)
{
    json_t *status = denied_log_status(daemon);
    bool on = json_is_true(json_object_get(status, "on"));
    const char *error = json_string_value(json_object_get(status, "error"));
    char *text = NULL;

    if (!on)
        text = xasprintf("what is denied is not seen: %s",
                         error ? error : "the settings say log: {denied: off}");
    else if (watch_filter_wants_allowed(filter))
        text = allowed_log_error(daemon);
    json_decref(status);
    return text;
}

json_t *verb_watch(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    _cleanup_(watch_filter_freep) struct watch_filter *filter = NULL;
    _cleanup_diags_ struct diags diags = {0};
    struct watcher *watcher;

    (void)peer;
    if (watch_filter_from_json(request, &filter, &diags) < 0)
        return control_error(STATUS_USAGE, diags.v[0].message, diags.v[0].help, NULL);
    watcher = xnew(struct watcher);
    watcher->stream = control_stream_open(daemon->control, on_end, watcher);
    if (!watcher->stream) {
        free(watcher);
        return control_error(STATUS_ERROR, "too many watch already",
                             "end one of them; `cofferdam watch --since 10m` reads the log's file instead",
                             NULL);
    }
    watcher->daemon = daemon;
    watcher->filter = STEAL(filter);
    watcher->next = daemon->watchers;
    daemon->watchers = watcher;
    flow_events_update(daemon);
    records_each_open(daemon, send_open, watcher);
    _cleanup_free_ char *why = problem(daemon, watcher->filter);
    json_t *result = json_pack("{s:b}", "watching", 1);
    if (why)
        json_object_set_new(result, "problem", json_text_or_null(why));
    return control_answer(STATUS_OK, result);
}
