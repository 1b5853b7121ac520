/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is allowed: new connections as the kernel's connection tracking tells of them, put together into records. */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "denial/allowed.h"
#include "files/files.h"

#define RETRY 30000000ull /* of what could not be opened, microseconds */
#define TICK 250000ull    /* what is due is looked for no oftener */
#define EVENTS_SYSCTL "/proc/sys/net/netfilter/nf_conntrack_events"

/* The kernel says nothing of it by itself. */
static bool events_are_off(void)
{
    _cleanup_free_ char *text = NULL;

    return files_read(EVENTS_SYSCTL, 64, &text, NULL) == 0 && strcmp(text, "0\n") == 0;
}

static void free_facts(void *facts)
{
    json_decref(facts);
}

/* ---- connections -------------------------------------------------------------------------------------- */

static void set_timer(struct allowed_log *log, uint64_t at, uint64_t now)
{
    if (at != UINT64_MAX && at < now + TICK)
        at = now + TICK;
    log->timer_at = at;
    sd_event_source_set_time(log->timer, at);
    sd_event_source_set_enabled(log->timer, at == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static void end_record(struct daemon *daemon, struct denial *connection)
{
    record_end(daemon, connection);
    denials_forget(daemon->allowed.connections, connection);
}

static void on_flow(const struct flow *flow, void *userdata)
{
    struct daemon *daemon = userdata;
    struct allowed_log *log = &daemon->allowed;
    uint64_t now = daemon_now();
    struct denial *connection, *other;
    struct denied_packet packet;
    bool is_new;

    if (!allowed_packet(brain_inventory(daemon->brain), flow, &packet) ||
        !denials_admit(log->connections, &packet, daemon->settings->log.rate, now))
        return;
    connection = denials_crowded(log->connections, &packet);
    if (connection)
        end_record(daemon, connection);
    connection = denials_add(log->connections, &packet, now, &is_new, &other);
    if (!connection || !is_new)
        return;
    record_begin(daemon, connection, now);
    if (connection->poll_at < log->timer_at)
        set_timer(log, connection->poll_at, now);
}

void allowed_log_ended(struct daemon *daemon, const struct ip *ended, size_t n)
{
    struct denial *next, *connection;

    if (!daemon->allowed.connections)
        return;
    for (connection = denials_next(daemon->allowed.connections, NULL); connection; connection = next) {
        next = denials_next(daemon->allowed.connections, connection);
        if (record_is_of(connection, ended, n))
            end_record(daemon, connection);
    }
}

/* ---- start and end ------------------------------------------------------------------------------------ */

static void open_events(struct daemon *daemon)
{
    struct allowed_log *log = &daemon->allowed;
    int before = log->error;
    _cleanup_free_ char *error = NULL;

    log->error = flow_events_open(daemon->event, on_flow, daemon, &log->events);
    error = log->error == before && before < 0 ? NULL : allowed_log_error(daemon);
    if (error)
        log_text(LOG_ERR, "allowed connections are not known: %s", error);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct daemon *daemon = userdata;
    struct allowed_log *log = &daemon->allowed;
    uint64_t now = daemon_now(), next;

    (void)source, (void)usec;
    if (!log->events)
        open_events(daemon);
    for (struct denial *connection; (connection = denials_due(log->connections, now, &next));)
        if (denial_poll(connection, false, 0, 0, now))
            end_record(daemon, connection);
    records_say_lost(daemon, now);
    if (!log->events && now + RETRY < next)
        next = now + RETRY;
    set_timer(log, next, now);
    return 0;
}

static void begin(struct daemon *daemon)
{
    struct allowed_log *log = &daemon->allowed;

    log->timer_at = UINT64_MAX;
    log->connections = denials_new(free_facts);
    if (sd_event_add_time(daemon->event, &log->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_timer, daemon) <
        0)
        log_text(LOG_ERR, "allowed connections are not known: there is no timer for them");
    open_events(daemon);
    if (!log->events)
        set_timer(log, daemon_now() + RETRY, daemon_now());
}

void allowed_log_end_open(struct daemon *daemon)
{
    for (struct denial *next;
         daemon->allowed.connections && (next = denials_next(daemon->allowed.connections, NULL));)
        end_record(daemon, next);
}

static void end(struct daemon *daemon)
{
    struct allowed_log *log = &daemon->allowed;

    allowed_log_end_open(daemon);
    log->lost_before = allowed_log_lost(daemon);
    log->events = flow_events_close(log->events);
    log->connections = denials_free(log->connections);
    log->timer = sd_event_source_disable_unref(log->timer);
    log->error = 0;
}

static bool is_wanted(const struct daemon *daemon)
{
    return daemon->settings->log.allowed == LOG_ALLOWED_ON || watch_wants_allowed(daemon) ||
           staged_wants_allowed(daemon) || learn_wants_allowed(daemon);
}

/* Not within a record that somebody is told of, who wants no more of them. */
static int on_unwanted(sd_event_source *source, void *userdata)
{
    struct daemon *daemon = userdata;

    (void)source;
    if (daemon->allowed.wanted && !is_wanted(daemon)) {
        daemon->allowed.wanted = false;
        end(daemon);
    }
    return 0;
}

void flow_events_update(struct daemon *daemon)
{
    struct allowed_log *log = &daemon->allowed;

    if (is_wanted(daemon) == log->wanted)
        return;
    if (!log->wanted) {
        log->wanted = true;
        begin(daemon);
    } else if (log->unwanted) {
        sd_event_source_set_enabled(log->unwanted, SD_EVENT_ONESHOT);
    } else {
        sd_event_add_defer(daemon->event, &log->unwanted, on_unwanted, daemon);
    }
}

static int on_standing(const struct flow *flow, void *userdata)
{
    on_flow(flow, userdata);
    return 0;
}

void allowed_log_standing(struct daemon *daemon)
{
    int r = 0;

    if (!daemon->allowed.connections)
        return;
    if (!daemon->flows)
        r = flow_socket_open(&daemon->flows);
    if (r == 0)
        r = flow_dump(daemon->flows, on_standing, daemon);
    if (r < 0 && r != -EBADMSG)
        log_text(LOG_WARNING, "connections that stand already are not looked at: %s", strerror(-r));
}

void allowed_log_close(struct daemon *daemon)
{
    if (daemon->allowed.wanted)
        end(daemon);
    sd_event_source_disable_unref(daemon->allowed.unwanted);
    daemon->allowed = (struct allowed_log){0};
}

/* ---- for people --------------------------------------------------------------------------------------- */

char *allowed_log_error(const struct daemon *daemon)
{
    const struct allowed_log *log = &daemon->allowed;

    if (!log->wanted)
        return NULL;
    if (log->error < 0)
        return xasprintf("connection tracking cannot be listened to: %s", strerror(-log->error));
    return events_are_off() ? xstrdup("net.netfilter.nf_conntrack_events is 0, and the kernel tells of no "
                                      "connection that is allowed: set it to 1 or 2")
                            : NULL;
}

size_t allowed_log_open_records(const struct daemon *daemon)
{
    return daemon->allowed.connections ? denials_open(daemon->allowed.connections) : 0;
}

uint64_t allowed_log_lost(const struct daemon *daemon)
{
    const struct allowed_log *log = &daemon->allowed;

    return log->lost_before + flow_events_lost(log->events) +
           (log->connections ? denials_lost(log->connections) : 0);
}
