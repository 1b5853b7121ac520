/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket's verbs "lockdown", "release" and "lockdown-list": see control/protocol.h. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "control/protocol.h"
#include "daemon.h"
#include "daemon/lock_state.h"
#include "inventory/json.h"
#include "ruleset/compare.h"
#include "util/duration.h"
#include "util/text.h"
#include "verdict/flow.h"
#include "verdict/lock_list.h"

#define NAMES_MAX 1000 /* of one request */

static void add_text(json_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_text(json_t *list, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    json_array_append_new(list, json_text_or_null(text));
}

static const char *name_of(const struct container *container)
{
    return container->name ? container->name : container->id;
}

/* ---- what is asked for -------------------------------------------------------------------------------- */

struct asked {
    struct lock_list *locks; /* one for each name or selector */
    const struct control_peer *peer;
    bool dry_run;
    json_t *error; /* the answer, when it cannot be done */
};

static void refuse(struct asked *asked, int status, const char *help, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void refuse(struct asked *asked, int status, const char *help, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    _cleanup_free_ char *safe = text_escape(text, false);
    if (!asked->error)
        asked->error = control_error(status, safe, help, NULL);
}

/* A list of texts that is short enough, each of them too; anything else is refused. */
static bool is_list(struct asked *asked, const json_t *request, const char *key, size_t max)
{
    const json_t *list = json_object_get(request, key), *item;
    bool good = !list || (json_is_array(list) && json_array_size(list) <= max);
    size_t i;

    json_array_foreach (list, i, item)
        good = good && json_string_length(item) > 0 && json_string_length(item) <= LOCK_TEXT_MAX &&
               strlen(json_string_value(item)) == json_string_length(item);
    if (!good)
        refuse(asked, STATUS_USAGE, NULL, "lockdown: \"%s\" must be a list of at most %zu texts", key, max);
    return good;
}

/* An address that a container has, or an ID, stands for the container: in rules, addresses are those of others. */
static char *resolve_peer(const struct inventory *inventory, const char *text)
{
    const struct container *container = NULL;
    const struct endpoint *endpoint;
    const char *port;
    _cleanup_free_ char *word = lock_peer_word(text, &port);
    struct ip ip;

    if (ip_parse(word, &ip) == 0)
        inventory_owner(inventory, ip, &container, &endpoint);
    else if (strcmp(word, "host") != 0)
        inventory_find(inventory, word, &container);
    return container && container->name ? xasprintf("%s%s", container->name, port) : xstrdup(text);
}

/* Everything but whom it means. */
static struct lock *read_terms(struct daemon *daemon, struct asked *asked, const json_t *request)
{
    const char *direction = json_string_value(json_object_get(request, "direction"));
    const char *reason = json_string_value(json_object_get(request, "reason")), *why = "";
    json_int_t limit = json_integer_value(json_object_get(request, "for"));
    struct lock *lock = lock_new();
    const json_t *item;
    size_t i;

    if (direction)
        lock->cut = lock_cut_parse(direction);
    if (!lock->cut)
        refuse(asked, STATUS_USAGE, "in, out or both", "lockdown: '%.100s' is no direction", direction);
    if (reason && strlen(reason) > LOCK_TEXT_MAX)
        refuse(asked, STATUS_USAGE, NULL, "lockdown: the reason is longer than %d bytes", LOCK_TEXT_MAX);
    if (limit < 0 || (uint64_t)limit > DURATION_MAX)
        refuse(asked, STATUS_USAGE, NULL, "lockdown: that is no span of time");
    lock->reason = reason && *reason ? xstrdup(reason) : NULL;
    lock->by = xasprintf("user %u, process %d", (unsigned)asked->peer->uid, (int)asked->peer->pid);
    lock->since = (uint64_t)time(NULL);
    if (limit > 0 && !asked->error)
        lockdown_limit(lock, (uint64_t)limit);
    if (!is_list(asked, request, "allow", LOCK_ALLOW_MAX) || !lock->cut)
        return lock;
    json_array_foreach (json_object_get(request, "allow"), i, item) {
        _cleanup_free_ char *peer = resolve_peer(brain_inventory(daemon->brain), json_string_value(item));

        if (lock_allow(lock, peer, &why) < 0)
            refuse(asked, STATUS_USAGE, why, "lockdown: '%.200s' is no peer", json_string_value(item));
    }
    return lock;
}

static void read_container(struct daemon *daemon, struct asked *asked, const struct lock *terms,
                           const char *word)
{
    const struct inventory *inventory = brain_inventory(daemon->brain);
    const struct container *container;
    int r = inventory_find(inventory, word, &container);
    struct lock *lock;

    if (r == -ENOTUNIQ) {
        refuse(asked, STATUS_ERROR, "give more digits of the ID, or the name",
               "lockdown: more than one container has an ID that begins with '%s'; nothing was done", word);
        return;
    }
    if (r < 0 && brain_inventory_known(daemon->brain)) {
        refuse(asked, STATUS_ERROR, "`docker ps -a` lists them",
               "lockdown: there is no container '%s'; nothing was done", word);
        return;
    }
    lock = lock_copy(terms);
    if (r == 0)
        lock_name(lock, container);
    else
        lock->name = xstrdup(word);
    lock_list_add(asked->locks, lock);
}

static void read_selector(struct asked *asked, const struct lock *terms, const json_t *request,
                          const char *text)
{
    struct lock *lock = lock_copy(terms);
    const json_t *item;
    const char *why;
    size_t i;

    if (lock_select(lock, text, &why) < 0)
        refuse(asked, STATUS_USAGE, why, "lockdown: '%s' selects nothing", text);
    json_array_foreach (json_object_get(request, "except"), i, item)
        *ARRAY_ADD(lock->except, lock->n_except) = xstrdup(json_string_value(item));
    lock_list_add(asked->locks, lock);
}

static void read_request(struct daemon *daemon, const json_t *request, struct asked *asked)
{
    const json_t *names = json_object_get(request, "containers"),
                 *selectors = json_object_get(request, "select"), *item;
    size_t i;

    asked->locks = lock_list_new();
    asked->dry_run = json_is_true(json_object_get(request, "dry_run"));
    if (!is_list(asked, request, "containers", NAMES_MAX) || !is_list(asked, request, "select", NAMES_MAX) ||
        !is_list(asked, request, "except", LOCK_EXCEPT_MAX))
        return;
    if (json_array_size(names) + json_array_size(selectors) == 0)
        refuse(asked, STATUS_USAGE, NULL, "lockdown: say which containers");
    _cleanup_(lock_freep) struct lock *terms = read_terms(daemon, asked, request);
    if (asked->error)
        return;
    json_array_foreach (names, i, item)
        read_container(daemon, asked, terms, json_string_value(item));
    json_array_foreach (selectors, i, item)
        read_selector(asked, terms, request, json_string_value(item));
}

/* ---- the report --------------------------------------------------------------------------------------- */

struct report {
    json_t *containers, *connections, *problems;
    size_t n_met; /* containers that are meant now */
    bool failed;
};

static void failed(struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void failed(struct report *report, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    add_text(report->problems, "%s", text);
    report->failed = true;
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

static void report_container(struct report *report, const struct inventory *inventory,
                             const struct container *container)
{
    _cleanup_free_ char *reason = container_unenforced_reason(inventory, container);
    _cleanup_free_ char *other = reason ? instead(container) : NULL;
    _cleanup_free_ char *caution = container_caution(inventory, container);
    bool lookups_pass = container->running && container_lookups_by_engine(inventory, container);

    report->n_met++;
    report->failed = report->failed || (reason && container->running);
    json_array_append_new(report->containers,
                          json_pack("{s:o, s:o, s:b, s:o, s:o, s:o, s:b, s:o}", "name",
                                    json_text_or_null(name_of(container)), "id",
                                    json_text_or_null(container->id), "running", container->running,
                                    "not_cut", json_text_or_null(reason), "instead", json_text_or_null(other),
                                    "caution", json_text_or_null(caution), "lookups_pass", lookups_pass,
                                    "shares_network_with", sharing(inventory, container)));
}

static bool is_meant(const struct lock_list *locks, const struct container *container)
{
    for (size_t i = 0; i < locks->n; i++)
        if (lock_means(locks->v[i], container))
            return true;
    return false;
}

static void report_containers(struct report *report, const struct inventory *inventory,
                              const struct lock_list *locks)
{
    for (const struct container *c = inventory->containers; c; c = c->hh.next)
        if (is_meant(locks, c))
            report_container(report, inventory, c);
}

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

static json_t *flow_to_json(const struct inventory *inventory, const struct flow *flow)
{
    _cleanup_free_ char *port = flow_port(flow);
    uint64_t bytes = flow->original_counters.bytes + flow->reply_counters.bytes;
    uint64_t now = (uint64_t)time(NULL), start = flow->start_ns / 1000000000;

    return json_pack("{s:o, s:o, s:s, s:o, s:o}", "from", peer_to_json(inventory, flow->original.source),
                     "to", peer_to_json(inventory, flow->reply.source), "port", port, "bytes",
                     flow->has_counters ? json_integer((json_int_t)bytes) : json_null(), "age",
                     start ? json_integer((json_int_t)(now > start ? now - start : 0)) : json_null());
}

static void report_flows(struct report *report, const struct inventory *inventory, const struct cut_log *log)
{
    for (size_t i = 0; i < log->n; i++)
        json_array_append_new(report->connections, flow_to_json(inventory, &log->v[i]));
}

static struct report report_new(void)
{
    return (struct report){.containers = json_array(), .connections = json_array(), .problems = json_array()};
}

/* ---- doing it ----------------------------------------------------------------------------------------- */

/* The kernel is asked, not believed. */
static bool verify(struct daemon *daemon, struct report *report)
{
    _cleanup_differences_ struct differences differences = {0};
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    int r;

    if (!brain_inventory_known(daemon->brain)) {
        failed(report,
               "the Docker Engine has not answered since cofferdamd started: the containers are not known, "
               "and this holds from when they are");
        return false;
    }
    r = kernel_tables(daemon, &tables);
    if (r == 0)
        ruleset_compare(tables.ruleset, brain_ruleset(daemon->brain), 1, &differences);
    if (r == 0 && differences.n == 0 && brain_locks_in_force(daemon->brain))
        return true;
    brain_check(daemon->brain, daemon_now());
    daemon_touch(daemon);
    if (r < 0)
        failed(report, "the kernel's rules cannot be read back: %s", strerror(-r));
    else
        failed(report, "the kernel does not hold what it should: `cofferdam verify` says what");
    return false;
}

static bool cut_flows(struct daemon *daemon, struct report *report)
{
    size_t left = 0;
    int r = flows_cut(daemon, &left);

    if (r < 0)
        failed(report,
               "the connections that are open cannot be ended (%s); their packets are dropped all the same",
               strerror(-r));
    else if (left > 0)
        failed(
            report,
            "%zu connections came back as often as they were ended; their packets are dropped all the same",
            left);
    return r == 0 && left == 0;
}

static bool save(struct daemon *daemon, const struct lock_list *list, struct report *report, const char *then)
{
    int r = lockdown_save(daemon, list);

    if (r < 0)
        failed(report, "this cannot be saved in %s (%s): %s", daemon->settings->state, strerror(-r), then);
    return r == 0;
}

static json_t *lockdown_answer(struct report *report, const struct cut_log *log, bool dry_run, uint64_t took,
                               bool verified, bool saved)
{
    json_t *result = json_pack(
        "{s:s, s:b, s:o, s:o, s:I, s:I, s:b, s:b, s:o}", "format_version", "1.0", "dry_run", dry_run,
        "containers", report->containers, "connections", report->connections, "more", (json_int_t)log->more,
        "took_usec", (json_int_t)took, "verified", verified, "saved", saved, "problems", report->problems);

    return control_answer(report->failed ? STATUS_ERROR : STATUS_OK, result);
}

struct trial {
    const struct lock_list *locks;
    const struct inventory *inventory;
    const struct ip *addresses;
    size_t n_addresses;
    struct cut_log log;
};

static int try_flow(const struct flow *flow, void *userdata)
{
    struct trial *trial = userdata;

    if (flow_in_default_zone(flow) && flow_touches(flow, trial->addresses, trial->n_addresses) &&
        lock_flow_fate(trial->locks, trial->inventory, flow) == LOCK_CUTS)
        cut_log_add(&trial->log, flow);
    return 0;
}

/* What would be cut by the new locks that those which hold leave open. */
static json_t *dry_run(struct daemon *daemon, const struct lock_list *list, const struct lock_list *new,
                       struct report *report)
{
    const struct inventory *inventory = brain_inventory(daemon->brain);
    _cleanup_free_ struct ip *addresses = NULL;
    struct trial trial = {.locks = list, .inventory = inventory};
    int r = daemon->flows ? 0 : flow_socket_open(&daemon->flows);

    trial.n_addresses = lock_addresses(new, inventory, &addresses);
    trial.addresses = addresses;
    if (r == 0)
        r = flow_dump(daemon->flows, try_flow, &trial);
    if (r < 0)
        failed(report, "the connections that are open cannot be read: %s", strerror(-r));
    report_flows(report, inventory, &trial.log);
    json_t *answer = lockdown_answer(report, &trial.log, true, 0, false, false);
    free(trial.log.v);
    return answer;
}

static void log_lockdown(const struct lock_list *locks, size_t n_met, size_t n_flows)
{
    for (size_t i = 0; i < locks->n; i++) {
        _cleanup_free_ char *who = text_escape(lock_text(locks->v[i]), false);
        _cleanup_free_ char *reason = text_escape(locks->v[i]->reason ?: "no reason given", false);

        log_text(LOG_WARNING, "%s is locked down (%s) by %s: %s", who, lock_cut_name(locks->v[i]->cut),
                 locks->v[i]->by, reason);
    }
    log_text(LOG_NOTICE, "%zu container%s cut off, %zu connection%s ended", n_met, n_met == 1 ? "" : "s",
             n_flows, n_flows == 1 ? "" : "s");
}

static json_t *lock_down(struct daemon *daemon, struct lock_list *list, const struct lock_list *new,
                         struct report *report, uint64_t begun)
{
    struct cut_log log = {0};
    bool saved, verified, ended;
    uint64_t took;

    daemon->cut = &log;
    daemon->applied_at = 0;
    brain_set_locks(daemon->brain, list, daemon_now());
    daemon_run(daemon);
    took = daemon->applied_at ? daemon->applied_at - begun : 0;
    saved =
        save(daemon, list, report, "it holds now, and will not after a restart of cofferdamd or the host");
    ended = cut_flows(daemon, report);
    daemon->cut = NULL;
    verified = verify(daemon, report) && ended;
    lockdown_arm(daemon);
    report_flows(report, brain_inventory(daemon->brain), &log);
    log_lockdown(new, report->n_met, log.n + log.more);
    json_t *answer = lockdown_answer(report, &log, false, took, verified, saved);
    free(log.v);
    return answer;
}

json_t *verb_lockdown(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    uint64_t begun = daemon_now();
    struct report report = report_new();
    struct asked asked = {.peer = peer};
    json_t *answer;

    read_request(daemon, request, &asked);
    _cleanup_(lock_list_freep) struct lock_list *new = asked.locks;
    struct lock_list *list =
        asked.error ? NULL : lock_list_with(brain_locks(daemon->brain), new, brain_inventory(daemon->brain));
    if (list && list->n > LOCKS_MAX)
        refuse(&asked, STATUS_ERROR, "one with a selector means many", "there are %d lockdowns already",
               LOCKS_MAX);
    if (!asked.error && brain_torn_down(daemon->brain))
        refuse(&asked, STATUS_ERROR, NULL, "the rules were removed: nothing can be locked down");
    if (asked.error) {
        lock_list_free(list);
        json_decref(report.containers);
        json_decref(report.connections);
        json_decref(report.problems);
        return asked.error;
    }
    report_containers(&report, brain_inventory(daemon->brain), new);
    if (asked.dry_run) {
        answer = dry_run(daemon, list, new, &report);
        lock_list_free(list);
        return answer;
    }
    return lock_down(daemon, list, new, &report, begun);
}

/* ---- release ------------------------------------------------------------------------------------------ */

/* What a word of the request names must be locked down, or nothing is done. */
static void check_words(struct daemon *daemon, const struct lock_list *locks, const json_t *words,
                        struct asked *asked)
{
    const struct inventory *inventory = brain_inventory(daemon->brain);
    const json_t *word;
    size_t i;

    json_array_foreach (words, i, word) {
        const char *text = json_string_value(word);
        const struct container *container;
        struct lock_effect effect = {0};
        bool found = false;

        for (size_t j = 0; locks && j < locks->n; j++)
            found = found || lock_is_named(locks->v[j], inventory, text);
        if (found)
            continue;
        if (inventory_find(inventory, text, &container) == 0)
            effect = lock_effect(locks, inventory, container);
        if (effect.first)
            refuse(asked, STATUS_ERROR, "release that one: `cofferdam lockdown --list` shows them",
                   "release: %s is locked down as %s; nothing was done", text, lock_text(effect.first));
        else
            refuse(asked, STATUS_ERROR, "`cofferdam lockdown --list` shows what is",
                   "release: %s is not locked down; nothing was done", text);
    }
}

static json_t *let_go(struct daemon *daemon, struct lock_list *list, json_t *names)
{
    struct report report = report_new();
    bool saved = save(daemon, list, &report,
                      "it is released now, and will be locked down again after a restart of "
                      "cofferdamd or the host");
    bool verified;

    brain_set_locks(daemon->brain, list, daemon_now());
    daemon_run(daemon);
    verified = verify(daemon, &report);
    lockdown_arm(daemon);
    json_decref(report.containers);
    json_decref(report.connections);
    return control_answer(report.failed ? STATUS_ERROR : STATUS_OK,
                          json_pack("{s:s, s:o, s:b, s:b, s:o, s:o}", "format_version", "1.0", "released",
                                    names, "saved", saved, "verified", verified, "lockdowns",
                                    brain_locks_to_json(daemon->brain), "problems", report.problems));
}

json_t *verb_release(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    const struct lock_list *locks = brain_locks(daemon->brain);
    const json_t *words = json_object_get(request, "containers"), *word;
    struct lock_release release = {.inventory = brain_inventory(daemon->brain),
                                   .all = json_is_true(json_object_get(request, "all"))};
    _cleanup_free_ char **texts = NULL;
    struct asked asked = {0};
    json_t *names;
    size_t i;

    if (is_list(&asked, request, "containers", NAMES_MAX) && !release.all && json_array_size(words) == 0)
        refuse(&asked, STATUS_USAGE, NULL, "release: say which containers");
    if (!asked.error && !release.all)
        check_words(daemon, locks, words, &asked);
    if (asked.error)
        return asked.error;
    json_array_foreach (words, i, word)
        *ARRAY_ADD(texts, release.n_words) = (char *)json_string_value(word);
    release.words = texts;
    names = json_array();
    for (i = 0; locks && i < locks->n; i++)
        if (!lock_outlives(locks->v[i], &release)) {
            _cleanup_free_ char *who = text_escape(lock_text(locks->v[i]), false);

            json_array_append_new(names, json_text_or_null(lock_text(locks->v[i])));
            log_text(LOG_WARNING, "%s is released by user %u, process %d", who, (unsigned)peer->uid,
                     (int)peer->pid);
        }
    return let_go(daemon, lock_list_copy(locks, lock_outlives, &release), names);
}

json_t *verb_lockdown_list(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    (void)request, (void)peer;
    return control_answer(STATUS_OK, json_pack("{s:s, s:o}", "format_version", "1.0", "lockdowns",
                                               brain_locks_to_json(daemon->brain)));
}
