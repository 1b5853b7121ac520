/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lockdown/report.h"

#include <stdio.h>

#include "inventory/json.h"
#include "util/text.h"

#define CUT_LOG_MAX 1000

void cut_log_add(struct cut_log *log, const struct flow *flow)
{
    for (size_t i = 0; i < log->n; i++)
        if (log->v[i].id == flow->id)
            return;
    if (log->n == CUT_LOG_MAX)
        log->more++;
    else
        *ARRAY_ADD(log->v, log->n) = *flow;
}

void cut_log_clear(struct cut_log *log)
{
    free(log->v);
    *log = (struct cut_log){0};
}

struct lock_report lock_report_new(void)
{
    return (struct lock_report){.containers = json_array(),
                                .unnamed = json_array(),
                                .connections = json_array(),
                                .problems = json_array()};
}

void lock_report_clear(struct lock_report *report)
{
    json_decref(report->containers);
    json_decref(report->unnamed);
    json_decref(report->connections);
    json_decref(report->problems);
    *report = (struct lock_report){0};
}

void lock_report_fail(struct lock_report *report, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    json_array_append_new(report->problems, json_text_or_null(text));
    report->failed = true;
}

/* ---- who is meant ------------------------------------------------------------------------------------- */

static const char *name_of(const struct container *container)
{
    return container->name ? container->name : container->id;
}

/* It cannot be cut by rules for bridges; what can be done without losing its memory. */
static char *instead(const struct container *container)
{
    _cleanup_free_ char *name = text_escape(name_of(container), false);

    if (container->mode == NETMODE_BRIDGE)
        return xasprintf(
            "`docker pause %s` stops it and keeps its memory; `docker network disconnect` takes it off "
            "that network",
            name);
    return xasprintf("`docker pause %s` stops it and keeps its memory", name);
}

static const struct container *network_owner(const struct inventory *inventory,
                                             const struct container *container)
{
    const struct container *owner;

    if (container->mode != NETMODE_CONTAINER || !container->mode_target ||
        inventory_find(inventory, container->mode_target, &owner) < 0)
        return container;
    return owner;
}

static json_t *sharing(const struct inventory *inventory, const struct container *container)
{
    const struct container *owner = network_owner(inventory, container);
    json_t *names = json_array();

    for (const struct container *c = inventory->containers; c; c = c->hh.next)
        if (c != container && network_owner(inventory, c) == owner)
            json_array_append_new(names, json_text_or_null(name_of(c)));
    return names;
}

static void report_container(struct lock_report *report, const struct inventory *inventory,
                             const struct container *container, const char *engine_socket)
{
    _cleanup_free_ char *reason = container_unenforced_reason(inventory, container);
    _cleanup_free_ char *other = reason ? instead(container) : NULL;
    _cleanup_free_ char *caution = container_caution(inventory, container);
    bool lookups_pass = container->running && container_lookups_by_engine(inventory, container);

    report->n_met++;
    report->failed = report->failed || (reason && container->running);
    json_t *object = json_pack(
        "{s:o, s:o, s:b, s:o, s:o, s:o, s:b, s:o}", "name", json_text_or_null(name_of(container)), "id",
        json_text_or_null(container->id), "running", container->running, "not_cut", json_text_or_null(reason),
        "instead", json_text_or_null(other), "caution", json_text_or_null(caution), "lookups_pass",
        lookups_pass, "shares_network_with", sharing(inventory, container));
    json_put_shared(object, inventory, container, engine_socket);
    json_array_append_new(report->containers, object);
}

static bool is_meant(const struct lock_list *locks, const struct container *container)
{
    for (size_t i = 0; i < locks->n; i++)
        if (lock_means(locks->v[i], container))
            return true;
    return false;
}

void lock_report_containers(struct lock_report *report, const struct inventory *inventory,
                            const struct lock_list *locks, const char *engine_socket)
{
    for (const struct container *c = inventory->containers; c; c = c->hh.next)
        if (is_meant(locks, c))
            report_container(report, inventory, c, engine_socket);
    for (size_t i = 0; i < locks->n; i++)
        if (lock_is_nameless(locks->v[i]))
            json_array_append_new(report->unnamed, json_text_or_null(lock_text(locks->v[i])));
}

/* ---- connections -------------------------------------------------------------------------------------- */

static json_t *peer_to_json(const struct inventory *inventory, struct ip ip)
{
    const struct container *container;
    const struct endpoint *endpoint;
    char text[IP_TEXT_MAX];

    if (inventory_owner(inventory, ip, &container, &endpoint))
        return json_text_or_null(name_of(container));
    for (size_t i = 0; i < inventory->n_host_addresses; i++)
        if (ip_equal(inventory->host_addresses[i], ip))
            return json_string("host");
    return json_string(ip_format(ip, text));
}

static char *flow_port(const struct flow *flow)
{
    static const struct {
        uint8_t proto;
        const char *name;
    } names[] = {{1, "icmp"}, {6, "tcp"}, {17, "udp"}, {58, "icmpv6"}, {132, "sctp"}};
    _cleanup_free_ char *number = xasprintf("protocol %u", flow->proto);
    const char *name = number;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        name = names[i].proto == flow->proto ? names[i].name : name;
    return flow->has_ports ? xasprintf("%u/%s", flow->reply.source_port, name) : xstrdup(name);
}

json_t *lock_flow_to_json(const struct inventory *inventory, const struct flow *flow, uint64_t now)
{
    _cleanup_free_ char *port = flow_port(flow);
    uint64_t bytes = flow->original_counters.bytes + flow->reply_counters.bytes;
    uint64_t start = flow->start_ns / 1000000000;

    return json_pack("{s:o, s:o, s:s, s:o, s:o}", "from", peer_to_json(inventory, flow->original.source),
                     "to", peer_to_json(inventory, flow->reply.source), "port", port, "bytes",
                     flow->has_counters ? json_integer((json_int_t)bytes) : json_null(), "age",
                     start ? json_integer((json_int_t)(now > start ? now - start : 0)) : json_null());
}

void lock_report_flows(struct lock_report *report, const struct inventory *inventory,
                       const struct cut_log *log, uint64_t now)
{
    for (size_t i = 0; i < log->n; i++)
        json_array_append_new(report->connections, lock_flow_to_json(inventory, &log->v[i], now));
}

json_t *lock_report_result(const struct lock_report *report, const struct lock_outcome *outcome)
{
    return json_pack("{s:s, s:b, s:O, s:O, s:O, s:I, s:I, s:b, s:b, s:o, s:O}", "format_version", "1.0",
                     "dry_run", outcome->dry_run, "containers", report->containers, "unnamed",
                     report->unnamed, "connections", report->connections, "more", (json_int_t)outcome->more,
                     "took_usec", (json_int_t)outcome->took, "verified", outcome->verified, "saved",
                     outcome->saved, "not_in_force", json_text_or_null(outcome->not_in_force), "problems",
                     report->problems);
}
