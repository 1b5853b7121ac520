/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is denied: packets in, records out (records.c). */
#include "daemon.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "ruleset/meters.h"

#define RETRY 30000000ull /* of what could not be opened, microseconds */
#define TICK 250000ull    /* what is due is looked for no oftener */

static void free_facts(void *facts)
{
    json_decref(facts);
}

/* ---- how many ----------------------------------------------------------------------------------------- */

static void add_address(struct meter_key *key, struct ip ip)
{
    uint8_t bytes[16];

    ip_to_bytes(ip, bytes);
    meter_key_add(key, bytes, ip_size(ip.family));
}

/* Of managed bridges and of all else: connections and sources. */
static const char *const inet_meters[2][IP_FAMILIES][2] = {
    {{METER_DENIED4, METER_DENIERS4}, {METER_DENIED6, METER_DENIERS6}},
    {{METER_OUTSIDE_DENIED4, METER_OUTSIDE_DENIERS4}, {METER_OUTSIDE_DENIED6, METER_OUTSIDE_DENIERS6}},
};

static bool packet_meter(const struct denied_packet *packet, struct meter_key *key)
{
    const uint8_t port[] = {(uint8_t)(packet->destination_port >> 8), (uint8_t)packet->destination_port};

    if (!packet->has_ip || !packet->has_proto || !(packet->has_ports || packet->has_head))
        return false;
    key->table = TABLE_INET;
    key->meter = inet_meters[packet->outside][packet->source.family][0];
    add_address(key, packet->source);
    add_address(key, packet->destination);
    meter_key_add(key, &packet->proto, sizeof(packet->proto));
    meter_key_add(key, packet->has_ports ? port : packet->head, 2);
    return true;
}

static bool frame_meter(const struct denial *denial, struct meter_key *key)
{
    const struct denied_packet *packet = &denial->packet;
    const uint8_t type[] = {(uint8_t)(packet->ether_type >> 8), (uint8_t)packet->ether_type};
    bool is_ip = packet->ether_type == ETH_P_IP || packet->ether_type == ETH_P_IPV6;

    if (!denial->port[0] || !(is_ip ? packet->has_ip : packet->has_mac))
        return false;
    key->table = TABLE_BRIDGE;
    key->meter = packet->ether_type == ETH_P_IP     ? METER_FRAMES4
                 : packet->ether_type == ETH_P_IPV6 ? METER_FRAMES6
                                                    : METER_FRAMES;
    meter_key_add(key, denial->port, sizeof(denial->port));
    if (is_ip) {
        add_address(key, packet->source);
        add_address(key, packet->destination);
    } else {
        meter_key_add(key, type, sizeof(type));
        meter_key_add(key, packet->source_mac.bytes, sizeof(packet->source_mac.bytes));
    }
    return true;
}

/* The lock tables have meters of their own: a packet is in theirs or in those of the rules. */
static bool read_pairs(const struct denied_log *log, struct meter_key key, struct meter_reading *ret)
{
    struct meter_reading rules = {0}, locks = {0};
    bool found;

    key.pair = PAIR_RULES;
    found = meter_read(log->meters, &key, &rules) == 0;
    key.pair = PAIR_LOCK;
    found = meter_read(log->meters, &key, &locks) == 0 || found;
    if (!found)
        return false;
    ret->packets = rules.packets + locks.packets;
    ret->left_ms = rules.left_ms > locks.left_ms ? rules.left_ms : locks.left_ms;
    return true;
}

static bool read_meter(struct daemon *daemon, const struct denial *denial, struct meter_key *key,
                       struct meter_reading *ret)
{
    struct denied_log *log = &daemon->denied;
    bool found = denial->packet.bridged ? frame_meter(denial, key) : packet_meter(&denial->packet, key);

    if (found && !log->meters)
        found = meter_socket_open(&log->meters) == 0;
    if (found && denial->packet.point == DENY_LOCKED)
        return read_pairs(log, *key, ret);
    return found && meter_read(log->meters, key, ret) == 0;
}

/* What its source was over its rate with. */
static void poll_source(struct daemon *daemon, struct denial *denial, uint64_t now)
{
    const struct denied_packet *packet = &denial->packet;
    struct meter_key key = {.table = packet->bridged ? TABLE_BRIDGE : TABLE_INET};
    struct meter_reading reading;

    if (!denial_source_is_due(denial, now) || !daemon->denied.meters)
        return;
    if (packet->bridged) {
        key.meter = METER_SENDERS;
        meter_key_add(&key, denial->port, sizeof(denial->port));
    } else if (packet->has_ip) {
        key.meter = inet_meters[packet->outside][packet->source.family][1];
        add_address(&key, packet->source);
    }
    if (key.meter && read_pairs(&daemon->denied, key, &reading))
        denials_source_read(daemon->denied.denials, denial, reading.packets, now);
}

/* Has it ended? */
static bool poll_meter(struct daemon *daemon, struct denial *denial, uint64_t now)
{
    struct meter_reading reading = {0};
    struct meter_key key = {0};
    uint64_t since = 0;
    bool found = read_meter(daemon, denial, &key, &reading);

    if (found && reading.left_ms < METER_TIMEOUT * 1000)
        since = (METER_TIMEOUT * 1000 - reading.left_ms) * 1000;
    poll_source(daemon, denial, now);
    return denial_poll(denial, found, reading.packets, since, now);
}

static void end_record(struct daemon *daemon, struct denial *denial, uint64_t now)
{
    record_end(daemon, denial);
    denials_close(daemon->denied.denials, denial, now);
}

/* ---- events ------------------------------------------------------------------------------------------- */

static void open_reader(struct daemon *daemon, uint64_t now);

static void set_timer(struct daemon *daemon, uint64_t at, uint64_t now)
{
    struct denied_log *log = &daemon->denied;

    if (at != UINT64_MAX && at < now + TICK)
        at = now + TICK;
    log->timer_at = at;
    sd_event_source_set_time(log->timer, at);
    sd_event_source_set_enabled(log->timer, at == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct daemon *daemon = userdata;
    struct denied_log *log = &daemon->denied;
    uint64_t now = daemon_now(), next;

    (void)source, (void)usec;
    if (!log->reader)
        open_reader(daemon, now);
    for (struct denial *denial; (denial = denials_due(log->denials, now, &next));)
        if (poll_meter(daemon, denial, now))
            end_record(daemon, denial, now);
    records_say_lost(daemon, now);
    if (!log->reader && now + RETRY < next)
        next = now + RETRY;
    set_timer(daemon, next, now);
    return 0;
}

static void end_now(struct daemon *daemon, struct denial *denial, uint64_t now)
{
    (void)poll_meter(daemon, denial, now);
    end_record(daemon, denial, now);
}

static void on_packet(const struct denied_packet *packet, void *userdata)
{
    struct daemon *daemon = userdata;
    struct denied_log *log = &daemon->denied;
    uint64_t now = daemon_now();
    struct denial *crowded, *other, *denial;
    bool is_new;

    if (record_is_of_bystander(daemon, packet))
        return;
    crowded = denials_crowded(log->denials, packet);
    if (crowded)
        end_now(daemon, crowded, now);
    if (crowded) /* what is closed makes room */
        (void)denials_crowded(log->denials, packet);
    denial = denials_add(log->denials, packet, now, &is_new, &other);
    if (other) {
        end_now(daemon, other, now);
        denial = denials_add(log->denials, packet, now, &is_new, &other);
    }
    if (!denial || !is_new)
        return;
    if (packet->bridged && packet->in)
        (void)if_indextoname(packet->in, denial->port);
    record_begin(daemon, denial, now);
    poll_source(daemon, denial, now);
    if (denial->poll_at < log->timer_at)
        set_timer(daemon, denial->poll_at, now);
}

/* ---- addresses that change hands ------------------------------------------------------------------------ */

/* So that the kernel tells of the first packet of whoever comes next. */
static void reset_meter(struct daemon *daemon, const struct denial *denial, struct delta *delta)
{
    struct element element = {0};
    struct meter_reading reading;
    struct meter_key key = {0};
    const struct set *set;

    if (!read_meter(daemon, denial, &key, &reading) || meter_read(daemon->denied.meters, &key, &reading) < 0)
        return; /* or it is the lock tables' */
    set = table_set(&brain_ruleset(daemon->brain)->tables[key.table], key.meter);
    memcpy(element.key, key.bytes, sizeof(element.key));
    if (set && set->key_len == key.len)
        delta_delete_element(delta, key.table, set, &element);
}

void denied_log_update(struct daemon *daemon)
{
    struct denied_log *log = &daemon->denied;
    _cleanup_free_ struct ip *ended = NULL;
    size_t n = brain_take_ended(daemon->brain, &ended);
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_delta_ struct delta delta = {0};
    struct denial *next;

    if (n > 0)
        allowed_log_ended(daemon, ended, n);
    if (!log->denials || n == 0)
        return;
    for (struct denial *denial = denials_next(log->denials, NULL); denial; denial = next) {
        next = denials_next(log->denials, denial);
        if (!record_is_of(denial, ended, n))
            continue;
        if (!denial->closed)
            end_now(daemon, denial, daemon_now());
        reset_meter(daemon, denial, &delta);
        denials_forget(log->denials, denial);
    }
    if (delta_count(&delta) > 0)
        (void)nft_apply(daemon->nft, &delta, &diags); /* what went by itself meanwhile needs no help */
}

/* ---- start and end ------------------------------------------------------------------------------------ */

static void open_reader(struct daemon *daemon, uint64_t now)
{
    struct denied_log *log = &daemon->denied;
    const struct settings *settings = daemon->settings;
    int r = denial_reader_open(daemon->event, (uint16_t)settings->log.group, on_packet, daemon, &log->reader);

    (void)now;
    if (r < 0 && r != log->reader_error)
        log_text(LOG_ERR, "denied connections are not logged: NFLOG group %u cannot be read: %s",
                 settings->log.group,
                 r == -EBUSY ? "another program reads it; set another in log: {group: ...}" : strerror(-r));
    log->reader_error = r;
}

/* Rules that log fail to load where the kernel cannot log: so whether it can is found out before. */
void denied_log_open(struct daemon *daemon)
{
    struct denied_log *log = &daemon->denied;

    log->timer_at = UINT64_MAX;
    if (daemon->settings->log.denied == LOG_DENIED_ON)
        (void)meter_socket_open(&log->meters); /* else it is tried again when it is needed */
    if (daemon->settings->log.denied == LOG_DENIED_OFF)
        return;
    log->denials = denials_new(free_facts);
    open_reader(daemon, 0);
    if (log->reader_error < 0 && log->reader_error != -EBUSY) {
        daemon->settings->log.denied = LOG_DENIED_OFF;
        return;
    }
    if (sd_event_add_time(daemon->event, &log->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_timer, daemon) >=
            0 &&
        !log->reader)
        set_timer(daemon, daemon_now() + RETRY, daemon_now());
}

/* What is written the next daemon shall not count again. */
static void reset_meters(struct daemon *daemon)
{
    struct denials *denials = daemon->denied.denials;
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_delta_ struct delta delta = {0};

    for (struct denial *denial = denials_next(denials, NULL); denial; denial = denials_next(denials, denial))
        reset_meter(daemon, denial, &delta);
    if (delta_count(&delta) > 0)
        (void)nft_apply(daemon->nft, &delta, &diags); /* what went by itself meanwhile needs no help */
}

void denied_log_end_open(struct daemon *daemon)
{
    struct denials *denials = daemon->denied.denials;
    uint64_t now = daemon_now();

    for (struct denial *denial; denials && (denial = denials_first_open(denials));)
        end_now(daemon, denial, now);
}

void denied_log_close(struct daemon *daemon)
{
    struct denied_log *log = &daemon->denied;

    if (daemon->brain)
        denied_log_end_open(daemon);
    if (log->denials && daemon->brain && daemon->nft)
        reset_meters(daemon);
    log->reader = denial_reader_close(log->reader);
    log->meters = meter_socket_close(log->meters);
    log->denials = denials_free(log->denials);
    sd_event_source_unref(log->timer);
    *log = (struct denied_log){0};
}

uint64_t denied_log_lost(const struct daemon *daemon)
{
    const struct denied_log *log = &daemon->denied;

    return denial_reader_lost(log->reader) + (log->denials ? denials_lost(log->denials) : 0);
}

json_t *denied_log_status(const struct daemon *daemon)
{
    const struct denied_log *log = &daemon->denied;
    const struct records *records = &daemon->records;
    _cleanup_free_ char *error = NULL;

    if (log->reader_error < 0)
        error = xasprintf("NFLOG group %u cannot be read: %s", daemon->settings->log.group,
                          strerror(-log->reader_error));
    else if (records->file_error < 0)
        error =
            xasprintf("%s cannot be written: %s", daemon->settings->log.file, strerror(-records->file_error));
    else
        error = allowed_log_error(daemon);
    return json_pack(
        "{s:b, s:b, s:s?, s:I, s:I, s:I, s:s?}", "on", log->reader != NULL, "allowed",
        daemon->allowed.events != NULL, "file", daemon->settings->log.file, "open",
        (json_int_t)((log->denials ? denials_open(log->denials) : 0) + allowed_log_open_records(daemon)),
        "records", (json_int_t)records->n_written, "lost", (json_int_t)records_lost(daemon), "error", error);
}
