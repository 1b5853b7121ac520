/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records of connections: who the ends are, and where they go: to the file, to the journal, and to whoever else wants them. */
#include "daemon.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include <systemd/sd-journal.h>

#include "denial/judge.h"

#define SAY_AGAIN 60000000ull /* that something is lost, microseconds */
#define MESSAGE_AUDITED "2f1e6c0b9d3a47d8b5c4e7a9108f6d32"
#define MESSAGE_DENIED "8d3f2c61a7b94e5c9f0e64b1d27a3c58"

/* ---- who ---------------------------------------------------------------------------------------------- */

static struct denial_end find_end(const struct daemon *daemon, const struct whose *whose)
{
    struct denial_end end = {0};

    (void)brain_whose(daemon->brain, whose, &end.container, &end.endpoint);
    return end;
}

/* A frame's sender is whose port it came by; a packet's, whose address it has, as the bridge's rules have seen to. */
static struct denial_end find_source(const struct daemon *daemon, const struct denied_packet *packet,
                                     uint64_t at)
{
    struct whose whose = {.ip = packet->source,
                          .has_ip = packet->has_ip,
                          .port = packet->bridged ? packet->in : packet->port_in,
                          .has_mac = packet->has_mac,
                          .mac = packet->source_mac,
                          .at = at};
    struct denial_end end = find_end(daemon, &whose);

    if (end.container || packet->bridged || packet->point == DENY_SPOOFED)
        return end;
    whose.port = 0;
    return find_end(daemon, &whose);
}

static struct denial_end find_destination(const struct daemon *daemon, const struct denied_packet *packet,
                                          uint64_t at)
{
    struct whose whose = {.ip = packet->destination, .has_ip = packet->has_ip, .at = at};
    struct denial_end end = find_end(daemon, &whose);

    if (end.container || !packet->bridged || !packet->out || packet->point != DENY_LOCKED)
        return end;
    whose = (struct whose){.port = packet->out, .at = at}; /* a search for its address is sent to a group */
    return find_end(daemon, &whose);
}

bool record_is_of_bystander(const struct daemon *daemon, const struct denied_packet *packet)
{
    const struct whose whose = {.port = packet->out, .at = daemon_now()};

    return denial_is_bystander(packet, packet->out ? find_end(daemon, &whose).endpoint : NULL);
}

static json_t *judge(const struct daemon *daemon, const struct denial *denial)
{
    const struct denied_packet *packet = &denial->packet;
    char in[IFNAMSIZ], out[IFNAMSIZ];
    unsigned in_index = packet->port_in ? packet->port_in : packet->in;
    unsigned out_index = packet->port_out ? packet->port_out : packet->out;
    const struct denial_context context = {
        .with = {.policies = brain_policies(daemon->brain),
                 .inventory = brain_inventory(daemon->brain),
                 .settings = daemon->settings},
        .locks = brain_locks(daemon->brain),
        .source = find_source(daemon, packet, denial->first_seen),
        .destination = find_destination(daemon, packet, denial->first_seen),
        .generation = daemon->history.in_force,
        .hostname = daemon->records.hostname,
        .in = denial->port[0] ? denial->port
              : in_index      ? if_indextoname(in_index, in)
                              : NULL,
        .out = out_index ? if_indextoname(out_index, out) : NULL,
    };

    return denial_judge(packet, &context);
}

/* ---- the file ----------------------------------------------------------------------------------------- */

static void write_file(struct daemon *daemon, const json_t *record)
{
    struct records *records = &daemon->records;
    const char *path = daemon->settings->log.file;
    int r;

    if (!path)
        return;
    _cleanup_free_ char *text = json_dumps(record, JSON_COMPACT);
    _cleanup_free_ char *line = text ? xasprintf("%s\n", text) : NULL;
    r = line ? append_line(&records->file, path, 0640, line) : -ENOMEM;
    if (r < 0)
        records->unwritten++;
    if (r < 0 && r != records->file_error)
        log_text(LOG_ERR, "denied connections cannot be written to %s: %s", path, append_why(r));
    records->file_error = r;
}

/* ---- the journal -------------------------------------------------------------------------------------- */

static const char *text_at(const json_t *record, const char *a, const char *b, const char *c)
{
    const json_t *json = json_object_get(json_object_get(record, a), b);
    const char *text = json_string_value(c ? json_object_get(json, c) : json);

    return text ? text : "";
}

static const char *container_at(const json_t *record, const char *end, const char *key)
{
    const json_t *container =
        json_object_get(json_object_get(json_object_get(record, "cofferdam"), end), "container");
    const char *text = json_string_value(json_object_get(container, key));

    return text ? text : "";
}

/* With what is denied; or audited: what passes, and would not if what is staged were enforced. */
static void write_journal(const struct daemon *daemon, const json_t *record, bool audited)
{
    json_int_t count = json_integer_value(json_object_get(json_object_get(record, "cofferdam"), "count"));

    if (daemon->settings->log.journal == LOG_JOURNAL_OFF || !log_is_journal())
        return;
    sd_journal_send("MESSAGE=%s; %lld %s%s", denial_message(record), (long long)count,
                    audited ? "connection" : "packet", count == 1 ? "" : "s", "MESSAGE_ID=%s",
                    audited ? MESSAGE_AUDITED : MESSAGE_DENIED, "PRIORITY=%i", LOG_NOTICE,
                    "COFFERDAM_VERDICT=%s", audited ? "allow" : "deny", "COFFERDAM_STAGED_VERDICT=%s",
                    text_at(record, "cofferdam", "staged", "verdict"), "COFFERDAM_STAGED_REASON=%s",
                    text_at(record, "cofferdam", "staged", "reason"), "COFFERDAM_POINT=%s",
                    text_at(record, "cofferdam", "point", NULL), "COFFERDAM_DIRECTION=%s",
                    text_at(record, "cofferdam", "direction", NULL), "COFFERDAM_SOURCE=%s",
                    text_at(record, "source", "ip", NULL), "COFFERDAM_DESTINATION=%s",
                    text_at(record, "destination", "ip", NULL), "COFFERDAM_SOURCE_CONTAINER=%s",
                    container_at(record, "source", "name"), "COFFERDAM_SOURCE_CONTAINER_ID=%s",
                    container_at(record, "source", "id"), "COFFERDAM_DESTINATION_CONTAINER=%s",
                    container_at(record, "destination", "name"), "COFFERDAM_DESTINATION_CONTAINER_ID=%s",
                    container_at(record, "destination", "id"), "COFFERDAM_POLICY=%s",
                    text_at(record, "rule", "ruleset", NULL), "COFFERDAM_RULE=%s",
                    text_at(record, "rule", "name", NULL), "COFFERDAM_COUNT=%lld", (long long)count, NULL);
}

/* ---- all who want them ---------------------------------------------------------------------------------- */

static void write_record(struct daemon *daemon, const json_t *record)
{
    bool allowed = strcmp(text_at(record, "cofferdam", "verdict", NULL), "allow") == 0;
    bool audited = strcmp(text_at(record, "event", "action", NULL), "audited") == 0;

    if (allowed && !audited && daemon->settings->log.allowed == LOG_ALLOWED_OFF)
        return;
    write_file(daemon, record);
    if (!allowed || audited)
        write_journal(daemon, record, audited);
    daemon->records.n_written++;
}

void records_publish(struct daemon *daemon, const json_t *record, bool final)
{
    if (final) {
        write_record(daemon, record);
        metrics_record(daemon, record);
    }
    watch_record(daemon, record, final);
    learn_record(daemon, record, final);
    denied_hour_record(daemon, record, final);
    staged_record(daemon, record, final);
    rules_record(daemon, record, final);
}

/* ---- records ------------------------------------------------------------------------------------------ */

static uint64_t wall_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Who had just begun when its first packet came is known by now. */
static void settle_facts(const struct daemon *daemon, struct denial *denial)
{
    json_t *now;

    if (denial->facts && !denial_is_unsure(denial->facts))
        return;
    now = judge(daemon, denial);
    json_decref(denial->facts);
    denial->facts = now;
}

void record_complete(struct denial *denial)
{
    denial_finish(denial->facts, denial, denial->since_1970 + denial->first_seen,
                  denial->since_1970 + denial->last_seen);
}

void record_begin(struct daemon *daemon, struct denial *denial, uint64_t now)
{
    denial->since_1970 = wall_now() - now;
    denial->facts = judge(daemon, denial);
    record_complete(denial);
    records_publish(daemon, denial->facts, false);
}

void record_end(struct daemon *daemon, struct denial *denial)
{
    settle_facts(daemon, denial);
    record_complete(denial);
    records_publish(daemon, denial->facts, true);
}

bool record_is_of(const struct denial *denial, const struct ip *ips, size_t n)
{
    for (size_t i = 0; i < n && denial->packet.has_ip && !denial->packet.bridged; i++)
        if (ip_equal(denial->packet.source, ips[i]) || ip_equal(denial->packet.destination, ips[i]))
            return true;
    return false;
}

static void each_open(const struct denials *denials, void (*handle)(const json_t *record, void *userdata),
                      void *userdata)
{
    struct denial *denial = denials ? denials_next(denials, NULL) : NULL;

    for (; denial; denial = denials_next(denials, denial))
        if (!denial->closed && denial->facts) {
            record_complete(denial);
            handle(denial->facts, userdata);
        }
}

void records_each_open(const struct daemon *daemon, void (*handle)(const json_t *record, void *userdata),
                       void *userdata)
{
    each_open(daemon->denied.denials, handle, userdata);
    each_open(daemon->allowed.connections, handle, userdata);
}

uint64_t records_lost(const struct daemon *daemon)
{
    return daemon->records.unwritten + denied_log_lost(daemon) + allowed_log_lost(daemon);
}

void records_say_lost(struct daemon *daemon, uint64_t now)
{
    struct records *records = &daemon->records;
    uint64_t n = records_lost(daemon);

    if (n == records->lost_said || (records->said_at && now < records->said_at + SAY_AGAIN))
        return;
    log_text(
        LOG_WARNING,
        "of the log's connections, %llu could not be logged since the start (%llu since this was last said)",
        (unsigned long long)n, (unsigned long long)(n - records->lost_said));
    records->lost_said = n;
    records->said_at = now;
}

void records_open(struct daemon *daemon)
{
    char hostname[256] = "";

    daemon->records.file.fd = -1;
    if (gethostname(hostname, sizeof(hostname) - 1) == 0 && hostname[0])
        daemon->records.hostname = xstrdup(hostname);
}

void records_close(struct records *records)
{
    append_close(&records->file);
    free(records->hostname);
    *records = (struct records){.file.fd = -1};
}
