/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket's verbs "lockdown", "release" and "lockdown-list": see control/protocol.h. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "control/protocol.h"
#include "daemon.h"
#include "daemon/lock_pending.h"
#include "daemon/lock_state.h"
#include "files/boot.h"
#include "inventory/json.h"
#include "lockdown/flows.h"
#include "lockdown/request.h"
#include "ruleset/compare.h"
#include "util/text.h"
#include "verdict/flow.h"
#include "verdict/lock_list.h"

static void read_request(struct daemon *daemon, const json_t *request, const struct control_peer *peer,
                         struct lock_asked *ret)
{
    struct who who = who_of_process(peer->pid, peer->uid);
    _cleanup_free_ char *by = who_line(&who);
    _cleanup_free_ char *boot = boot_id();
    const struct lock_asker asker = {.inventory = brain_inventory(daemon->brain),
                                     .inventory_known = brain_inventory_known(daemon->brain),
                                     .help = "`docker ps -a` lists them",
                                     .by = by,
                                     .wall = (uint64_t)time(NULL),
                                     .boot = boot,
                                     .boot_now = boot_now()};

    lock_request_read(request, &asker, ret);
    who_clear(&who);
}

/*
 * What has happened until now comes first: the file of what commands did, which may tell that this request is one of them.
 * The answer where it is not to be carried out; else NULL.
 */
static json_t *too_late(struct daemon *daemon, const json_t *request)
{
    const json_t *expires = json_object_get(request, "expires"), *id = json_object_get(request, "request");
    const char *name = json_string_value(id);

    if ((expires && !json_is_integer(expires)) || (id && !(name && lock_request_is_valid(name))))
        return control_error(STATUS_USAGE, "\"expires\" is a number, and \"request\" 32 hexadecimal digits",
                             NULL, NULL);
    if (expires && boot_now() > (uint64_t)json_integer_value(expires)) {
        log_text(LOG_NOTICE, "a request was read too late: the command has given up waiting for it");
        return control_error_code(STATUS_ERROR, "expired",
                                  "the command has given up waiting; nothing was done", NULL);
    }
    takeover_take(daemon);
    if (name && lock_list_knows(brain_locks(daemon->brain), name))
        return control_error_code(STATUS_ERROR, "done", "this request was carried out already", NULL);
    return NULL;
}

/* new: what it has made, which learns of it; or NULL. */
static void remember(struct lock_list *list, const struct lock_list *new, const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "request"));

    for (size_t i = 0; new &&i < new->n; i++)
        list->v[list->n - new->n + i]->request = xstrdup_null(name);
    if (name)
        lock_list_remember(list, name);
}

/* ---- doing it ----------------------------------------------------------------------------------------- */

/* The kernel is asked, not believed. */
static bool verify(struct daemon *daemon, struct lock_report *report)
{
    _cleanup_differences_ struct differences differences = {0};
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    int r;

    if (!brain_inventory_known(daemon->brain)) {
        lock_report_fail(
            report,
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
        lock_report_fail(report, "the kernel's rules cannot be read back: %s", strerror(-r));
    else
        lock_report_fail(report, "the kernel does not hold what it should: `cofferdam verify` says what");
    return false;
}

static bool cut_flows(struct daemon *daemon, struct lock_report *report)
{
    size_t left = 0;
    int r = daemon->flows ? 0 : flow_socket_open(&daemon->flows);

    if (r == 0)
        r = lock_flows_cut(daemon->flows, brain_locks(daemon->brain), brain_inventory(daemon->brain),
                           daemon->cut, &left);
    return lock_report_cut(report, r, left);
}

static bool save(struct daemon *daemon, const struct lock_list *list, struct lock_report *report,
                 const char *then)
{
    int r = lockdown_save(daemon, list);

    if (r < 0)
        lock_report_fail(report, "this cannot be saved in %s (%s): %s", daemon->settings->state, strerror(-r),
                         then);
    return r == 0;
}

static json_t *lockdown_answer(const struct lock_report *report, const struct lock_outcome *outcome)
{
    return control_answer(report->failed ? STATUS_ERROR : STATUS_OK, lock_report_result(report, outcome));
}

/* What would be cut by the new locks that those which hold leave open. */
static json_t *dry_run(struct daemon *daemon, const struct lock_list *list, const struct lock_list *new,
                       struct lock_report *report)
{
    const struct inventory *inventory = brain_inventory(daemon->brain);
    _cleanup_cut_log_ struct cut_log log = {0};
    int r = daemon->flows ? 0 : flow_socket_open(&daemon->flows);

    if (r == 0)
        r = lock_flows_find(daemon->flows, list, new, inventory, &log);
    if (r < 0)
        lock_report_fail(report, "the connections that are open cannot be read: %s", strerror(-r));
    lock_report_flows(report, inventory, &log, (uint64_t)time(NULL));
    return lockdown_answer(report, &(struct lock_outcome){.dry_run = true, .more = log.more});
}

static json_t *lock_down(struct daemon *daemon, struct lock_list *list, struct lock_report *report,
                         uint64_t begun)
{
    struct lock_outcome outcome = {0};
    _cleanup_cut_log_ struct cut_log log = {0};
    bool ended;

    daemon->cut = &log;
    daemon->applied_at = 0;
    brain_set_locks(daemon->brain, list, daemon_now());
    daemon_run(daemon);
    outcome.took = daemon->applied_at ? daemon->applied_at - begun : 0;
    outcome.saved =
        save(daemon, list, report, "it holds now, and will not after a restart of cofferdamd or the host");
    ended = cut_flows(daemon, report);
    daemon->cut = NULL;
    outcome.verified = verify(daemon, report);
    if (!outcome.verified)
        outcome.not_in_force = brain_inventory_known(daemon->brain) ? LOCK_NOT_KERNEL : LOCK_NOT_UNKNOWN;
    outcome.verified = outcome.verified && ended;
    outcome.more = log.more;
    lockdown_arm(daemon);
    lock_report_flows(report, brain_inventory(daemon->brain), &log, (uint64_t)time(NULL));
    return lockdown_answer(report, &outcome);
}

json_t *verb_lockdown(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    uint64_t begun = daemon_now();
    _cleanup_lock_report_ struct lock_report report = lock_report_new();
    _cleanup_lock_asked_ struct lock_asked asked = {0};
    struct lock_list *list;
    json_t *answer = too_late(daemon, request);

    if (answer)
        return answer;
    read_request(daemon, request, peer, &asked);
    list = asked.error
               ? NULL
               : lock_list_with(brain_locks(daemon->brain), asked.locks, brain_inventory(daemon->brain));
    if (list && list->n > LOCKS_MAX)
        lock_refuse(&asked, STATUS_ERROR, "one with a selector means many", "there are %d lockdowns already",
                    LOCKS_MAX);
    if (!asked.error && brain_torn_down(daemon->brain))
        lock_refuse(&asked, STATUS_ERROR, NULL, "the rules were removed: nothing can be locked down");
    if (asked.error) {
        lock_list_free(list);
        return asked.error;
    }
    remember(list, asked.locks, request);
    lock_report_containers(&report, brain_inventory(daemon->brain), asked.locks, daemon->docker_socket);
    if (!asked.dry_run)
        return lock_down(daemon, list, &report, begun);
    answer = dry_run(daemon, list, asked.locks, &report);
    lock_list_free(list);
    return answer;
}

/* ---- release ------------------------------------------------------------------------------------------ */

/* What a word of the request names must be locked down, or nothing is done. */
static void check_words(struct daemon *daemon, const struct lock_list *locks, const json_t *words,
                        struct lock_asked *asked)
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
            found = found || (!is_label_hold(locks->v[j]) && lock_is_named(locks->v[j], inventory, text));
        if (found)
            continue;
        if (brain_labels_lost(daemon->brain))
            lock_refuse(asked, STATUS_ERROR, "`cofferdam label --reset` ends that",
                        "release: everybody is locked down as long as the labels are lost; nothing was done");
        if (inventory_find(inventory, text, &container) == 0)
            effect = lock_effect(locks, inventory, container);
        if (effect.first)
            lock_refuse(asked, STATUS_ERROR, "release that one: `cofferdam lockdown --list` shows them",
                        "release: %s is locked down as %s; nothing was done", text, lock_text(effect.first));
        else
            lock_refuse(asked, STATUS_ERROR, "`cofferdam lockdown --list` shows what is",
                        "release: %s is not locked down; nothing was done", text);
    }
}

static json_t *let_go(struct daemon *daemon, struct lock_list *list, json_t *names, bool all)
{
    _cleanup_lock_report_ struct lock_report report = lock_report_new();
    bool saved = save(daemon, list, &report,
                      "it is released now, and will be locked down again after a restart of "
                      "cofferdamd or the host");
    bool verified;

    if (all && saved)
        takeover_released_all(daemon);
    brain_set_locks(daemon->brain, list, daemon_now());
    daemon_run(daemon);
    verified = verify(daemon, &report);
    if (takeover_is_unfinished(daemon))
        lock_report_fail(&report, "what was cut off while cofferdamd did not answer stays so for now: %s",
                         takeover_tables(daemon) ?: "the next look at it will show");
    lockdown_arm(daemon);
    return control_answer(report.failed ? STATUS_ERROR : STATUS_OK,
                          json_pack("{s:s, s:o, s:b, s:b, s:o, s:O}", "format_version", "1.0", "released",
                                    names, "saved", saved, "verified", verified, "lockdowns",
                                    brain_locks_to_json(daemon->brain), "problems", report.problems));
}

json_t *verb_release(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    json_t *late = too_late(daemon, request);
    const struct lock_list *locks = brain_locks(daemon->brain);
    const json_t *words = json_object_get(request, "containers"), *word;
    struct lock_release release = {.inventory = brain_inventory(daemon->brain),
                                   .all = json_is_true(json_object_get(request, "all"))};
    _cleanup_free_ char **texts = NULL;
    struct lock_asked asked = {0};
    json_t *names;
    size_t i;

    (void)peer;
    if (late)
        return late;
    if (lock_request_has_list(&asked, request, "release", "containers", LOCK_NAMES_MAX) && !release.all &&
        json_array_size(words) == 0)
        lock_refuse(&asked, STATUS_USAGE, NULL, "release: say which containers");
    if (!asked.error && !release.all)
        check_words(daemon, locks, words, &asked);
    if (asked.error)
        return asked.error;
    json_array_foreach (words, i, word)
        *ARRAY_ADD(texts, release.n_words) = (char *)json_string_value(word);
    release.words = texts;
    names = json_array();
    for (i = 0; locks && i < locks->n; i++)
        if (!is_label_hold(locks->v[i]) && !lock_outlives(locks->v[i], &release)) {
            json_array_append_new(names, json_text_or_null(lock_text(locks->v[i])));
            takeover_ended(daemon, locks->v[i]);
        }
    struct lock_list *list = lock_list_copy(locks, lock_outlives, &release);
    remember(list, NULL, request);
    return let_go(daemon, list, names, release.all);
}

json_t *verb_lockdown_list(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    (void)request, (void)peer;
    takeover_take(daemon);
    return control_answer(STATUS_OK, json_pack("{s:s, s:o, s:o}", "format_version", "1.0", "lockdowns",
                                               brain_locks_to_json(daemon->brain), "lock_tables",
                                               json_text_or_null(takeover_tables(daemon))));
}
