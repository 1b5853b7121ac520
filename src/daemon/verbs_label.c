/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket's verbs "label", "label-list" and "label-reset": see control/protocol.h. */
#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "control/protocol.h"
#include "daemon.h"
#include "daemon/label_state.h"
#include "inventory/json.h"
#include "inventory/match.h"
#include "lockdown/report.h"
#include "ruleset/compare.h"
#include "util/text.h"
#include "verbs.h"

#define NAMES_MAX 1000 /* of one request */
#define WORD_MAX 2000  /* bytes of one name or selector */

static const char *name_of(const struct container *container)
{
    return container->name ? container->name : container->id;
}

/* ---- what is asked for -------------------------------------------------------------------------------- */

struct asked {
    const struct inventory *inventory;
    const json_t *set;    /* {KEY: VALUE} */
    const json_t *remove; /* [KEY] */
    const struct container **v;
    size_t n;
    const char *gone; /* a name that no container has any more, of whose labels some may follow; or NULL */
    bool follow, dry_run;
    const char *reason; /* or NULL */
    json_t *error;      /* the answer, when it cannot be done */
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

/* A list of texts, or nothing. */
static bool are_texts(const json_t *list, size_t max)
{
    bool good = !list || (json_is_array(list) && json_array_size(list) <= max);
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item)
        good = good && json_string_length(item) > 0 && json_string_length(item) <= WORD_MAX &&
               strlen(json_string_value(item)) == json_string_length(item);
    return good;
}

static void add_container(struct asked *asked, const struct container *container)
{
    for (size_t i = 0; i < asked->n; i++)
        if (asked->v[i] == container)
            return;
    *ARRAY_ADD(asked->v, asked->n) = container;
}

static void read_name(struct asked *asked, const char *word)
{
    const struct container *container;
    int r = inventory_find(asked->inventory, word, &container);

    if (r == 0)
        add_container(asked, container);
    else if (r == -ENOTUNIQ)
        refuse(asked, STATUS_ERROR, "give more digits of the ID, or the name",
               "label: more than one container has an ID that begins with '%s'", word);
    else if (json_object_size(asked->set) == 0 && json_array_size(asked->remove) > 0)
        asked->gone = word;
    else
        refuse(asked, STATUS_ERROR, "`docker ps -a` lists them", "label: there is no container '%s'", word);
}

static void read_selector(struct asked *asked, const char *text)
{
    _cleanup_(lock_freep) struct lock *lock = lock_new();
    size_t n = asked->n;
    const char *why;

    if (lock_select(lock, text, &why) < 0) {
        refuse(asked, STATUS_USAGE, why, "label: '%s' selects nothing", text);
        return;
    }
    for (const struct container *c = asked->inventory->containers; c; c = c->hh.next)
        if (lock_means(lock, c))
            add_container(asked, c);
    if (asked->n == n)
        refuse(asked, STATUS_ERROR, NULL, "label: '%s' means no container", text);
}

static void check_changes(struct asked *asked)
{
    json_t *value, *set = (json_t *)(uintptr_t)asked->set; /* jansson's loop wants it so */
    const json_t *item;
    const char *key, *why;
    size_t i;

    if (json_object_size(set) + json_array_size(asked->remove) == 0)
        refuse(asked, STATUS_USAGE, NULL, "label: no label is given or removed");
    if (json_object_size(set) > LABELS_EACH_MAX)
        refuse(asked, STATUS_USAGE, NULL, "label: a container has at most %d labels", LABELS_EACH_MAX);
    json_object_foreach (set, key, value) {
        const char *text = json_string_value(value);

        if (label_key_check(key, &why) < 0 || (text && label_value_check(text, &why) < 0))
            refuse(asked, STATUS_USAGE, why, "label: '%.100s' cannot be given", key);
        if (!text || strlen(text) != json_string_length(value))
            refuse(asked, STATUS_USAGE, NULL, "label: the value of '%.100s' must be a text", key);
    }
    json_array_foreach (asked->remove, i, item)
        if (json_object_get(set, json_string_value(item)))
            refuse(asked, STATUS_USAGE, NULL, "label: '%.100s' is given and removed",
                   json_string_value(item));
}

static void read_request(struct asked *asked, const json_t *request)
{
    const json_t *names = json_object_get(request, "containers"),
                 *select = json_object_get(request, "select"), *item;
    size_t i;

    asked->set = json_object_get(request, "set");
    asked->remove = json_object_get(request, "remove");
    asked->follow = json_is_true(json_object_get(request, "follow"));
    asked->dry_run = json_is_true(json_object_get(request, "dry_run"));
    asked->reason = json_string_value(json_object_get(request, "reason"));
    if (!are_texts(names, NAMES_MAX) || !are_texts(select, NAMES_MAX) ||
        !are_texts(asked->remove, LABELS_EACH_MAX) || (asked->set && !json_is_object(asked->set)))
        refuse(asked, STATUS_USAGE, NULL, "label: that is no request that this daemon knows");
    if (asked->reason && strlen(asked->reason) > LABEL_REASON_MAX)
        refuse(asked, STATUS_USAGE, NULL, "label: the reason is longer than %d bytes", LABEL_REASON_MAX);
    if (json_array_size(names) + json_array_size(select) == 0)
        refuse(asked, STATUS_USAGE, NULL, "label: say which containers");
    if (!asked->error)
        check_changes(asked);
    json_array_foreach (names, i, item)
        if (!asked->error)
            read_name(asked, json_string_value(item));
    json_array_foreach (select, i, item)
        if (!asked->error)
            read_selector(asked, json_string_value(item));
}

/* ---- the labels afterwards ---------------------------------------------------------------------------- */

static bool is_named(const struct given_label *label, const char *word)
{
    return word && label->whom->name && strcmp(label->whom->name, word) == 0;
}

/* It is there, or stands for one that was, and is to go. */
static bool is_removed(const struct asked *asked, const struct given_label *label)
{
    bool meant = is_named(label, asked->gone), listed = false;
    const json_t *item;
    size_t i;

    json_array_foreach (asked->remove, i, item)
        listed = listed || strcmp(json_string_value(item), label->key) == 0;
    for (i = 0; listed && !meant && i < asked->n; i++)
        meant = label_is_of(label, asked->v[i]) || label_was_of_former(label, asked->v[i]);
    return listed && meant;
}

/* One that follows, and has come to this container from one that is gone, is its alone. */
static bool is_replaced(const struct asked *asked, const struct given_label *label)
{
    if (!json_object_get(asked->set, label->key))
        return false;
    for (size_t i = 0; i < asked->n; i++)
        if (strcmp(label->whom->id, asked->v[i]->id) == 0 ||
            (!inventory_container(asked->inventory, label->whom->id) &&
             (label_is_of(label, asked->v[i]) || label_was_of_former(label, asked->v[i]))))
            return true;
    return false;
}

static bool stays(const struct given_label *label, const void *userdata)
{
    return !is_removed(userdata, label) && !is_replaced(userdata, label);
}

static void give(const struct asked *asked, const struct control_peer *peer, struct given_labels *list)
{
    struct who who = who_of(peer->pid, peer->uid);
    json_t *value, *set = (json_t *)(uintptr_t)asked->set;
    uint64_t now = (uint64_t)time(NULL);
    const char *key;

    for (size_t i = 0; i < asked->n; i++)
        json_object_foreach (set, key, value) {
            struct given_label *label = ARRAY_ADD(list->v, list->n);

            label->whom = label_whom(asked->v[i]);
            label->follow = asked->follow;
            label->key = xstrdup(key);
            label->value = xstrdup(json_string_value(value));
            label->reason = asked->reason && *asked->reason ? xstrdup(asked->reason) : NULL;
            label->who = who_copy(&who);
            label->since = now;
        }
    who_clear(&who);
}

static void check_removed(struct asked *asked, const struct given_labels *old)
{
    const json_t *item;
    size_t i;

    json_array_foreach (asked->remove, i, item) {
        const char *key = json_string_value(item), *name = asked->n ? name_of(asked->v[0]) : asked->gone;
        bool found = false;

        for (size_t j = 0; old && j < old->n; j++)
            found = found || (strcmp(old->v[j].key, key) == 0 && is_removed(asked, &old->v[j]));
        if (!found && asked->n && container_label(asked->v[0], key))
            refuse(asked, STATUS_ERROR, "another value can be given, which then counts instead",
                   "label: %s has label %.100s from Docker, and that cannot be removed", name, key);
        if (!found)
            refuse(asked, STATUS_ERROR, "`cofferdam label --list` shows those that were given",
                   "label: %s was given no label %.100s; nothing was done", name, key);
    }
}

/* A copy with the list's overlay, of which nothing but that is the copy's own. */
static struct container with_labels(const struct container *container, const struct given_labels *list)
{
    struct container copy = *container;

    copy.overlay = NULL;
    copy.n_overlay = 0;
    labels_overlay(list, &copy);
    return copy;
}

static void check_limits(struct asked *asked, const struct given_labels *list)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++)
        n += !list->v[i].ended;
    if (n > LABELS_MAX)
        refuse(asked, STATUS_ERROR, NULL, "label: more than %d labels cannot be given", LABELS_MAX);
    for (size_t i = 0; i < asked->n && !asked->error; i++) {
        struct container copy = with_labels(asked->v[i], list);

        if (copy.n_overlay > LABELS_EACH_MAX)
            refuse(asked, STATUS_ERROR, NULL, "label: %s would have more than %d labels",
                   name_of(asked->v[i]), LABELS_EACH_MAX);
        labels_free(copy.overlay, copy.n_overlay);
    }
}

/* ---- what it does ------------------------------------------------------------------------------------- */

struct report {
    json_t *containers, *connections, *problems, *warnings;
    bool failed;
};

static void add_text(json_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_text(json_t *list, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    json_array_append_new(list, json_text_or_null(text));
}

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

static json_t *labels_to_json(const struct container *container)
{
    json_t *labels = json_object();

    for (size_t i = 0; i < container->n_overlay; i++)
        json_object_set_new(labels, container->overlay[i].key,
                            json_text_or_null(container->overlay[i].value));
    return labels;
}

/* The policies that select `is` and not `other`. */
static json_t *selecting(const struct policy_set *set, const struct container *is,
                         const struct container *other)
{
    json_t *list = json_array();

    for (size_t i = 0; i < set->n_policies; i++)
        if (selector_means(&set->policies[i].select, is) && !selector_means(&set->policies[i].select, other))
            json_array_append_new(list, json_pack("{s:s, s:s}", "name", set->policies[i].name, "mode",
                                                  set->policies[i].mode == MODE_AUDIT ? "audit" : "enforce"));
    return list;
}

/* What is given where no policy is enforced does nothing. */
static void check_enforced(struct report *report, const struct inventory *inventory,
                           const struct container *container, const char *reason)
{
    const struct container *owner;

    if (reason && container->running)
        failed(report, "%s %s: no policy is enforced for it", name_of(container), reason);
    if (reason || container->mode != NETMODE_CONTAINER || !container->mode_target ||
        inventory_find(inventory, container->mode_target, &owner) < 0)
        return;
    failed(report,
           "%s shares the network of %s: what policies say of that one holds for both, so give it the label",
           name_of(container), name_of(owner));
}

/* Whose labels change: not those alone that were named, as labels may follow. */
static void report_containers(struct report *report, const struct brain *brain,
                              const struct given_labels *list)
{
    const struct inventory *inventory = brain_inventory(brain);

    for (const struct container *c = inventory->containers; c; c = c->hh.next) {
        struct container copy = with_labels(c, list);
        _cleanup_free_ char *reason = container_unenforced_reason(inventory, c);
        json_t *before = labels_to_json(c), *after = labels_to_json(&copy);

        if (!json_equal(before, after) && copy.n_overlay > 0)
            check_enforced(report, inventory, c, reason);
        if (!json_equal(before, after))
            json_array_append_new(
                report->containers,
                json_pack("{s:o, s:o, s:b, s:o, s:O, s:O, s:o, s:o}", "name", json_text_or_null(name_of(c)),
                          "id", json_text_or_null(c->id), "running", c->running, "not_enforced",
                          json_text_or_null(reason), "labels_before", before, "labels", after, "selected_by",
                          selecting(brain_policies(brain), &copy, c), "no_longer_selected_by",
                          selecting(brain_policies(brain), c, &copy)));
        json_decref(before);
        json_decref(after);
        labels_free(copy.overlay, copy.n_overlay);
    }
}

static void warn_of_unused(struct report *report, const struct policy_set *set, const struct asked *asked)
{
    json_t *value, *labels = (json_t *)(uintptr_t)asked->set;
    const char *key;

    json_object_foreach (labels, key, value)
        if (!policies_ask_label(set, key))
            add_text(report->warnings, "no policy asks about label %s", key);
    if (json_array_size(report->containers) == 0)
        add_text(report->warnings, "no container has other labels than before");
}

static void report_flows(struct report *report, const struct inventory *inventory, const struct cut_log *log)
{
    struct lock_report flows = {.connections = report->connections};

    lock_report_flows(&flows, inventory, log, (uint64_t)time(NULL));
}

/* The kernel is asked, not believed. */
static bool verify(struct daemon *daemon, struct report *report)
{
    _cleanup_differences_ struct differences differences = {0};
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    int r = kernel_tables(daemon, &tables);

    if (!brain_flows_settled(daemon->brain))
        failed(report, "connections that are no longer allowed cannot be ended yet; the log says why");
    if (r == 0)
        ruleset_compare(tables.ruleset, brain_ruleset(daemon->brain), 1, &differences);
    if (r == 0 && differences.n == 0 && brain_locks_in_force(daemon->brain))
        return !report->failed;
    brain_check(daemon->brain, daemon_now());
    daemon_touch(daemon);
    if (r < 0)
        failed(report, "the kernel's rules cannot be read back: %s", strerror(-r));
    else
        failed(report, "the kernel does not hold what it should: `cofferdam verify` says what");
    return false;
}

static void log_changes(const struct asked *asked, const struct control_peer *peer)
{
    json_t *value, *set = (json_t *)(uintptr_t)asked->set;
    struct who who = who_of(peer->pid, peer->uid);
    _cleanup_free_ char *by = who_text(&who),
                        *reason = text_escape(asked->reason ?: "no reason given", false);
    const json_t *item;
    const char *key;
    size_t j;

    for (size_t i = 0; i < asked->n || (i == 0 && asked->gone); i++) {
        _cleanup_free_ char *name = text_escape(i < asked->n ? name_of(asked->v[i]) : asked->gone, false);

        json_object_foreach (set, key, value)
            log_text(LOG_WARNING, "label %s=%s is given to %s%s by %s: %s", key, json_string_value(value),
                     name, asked->follow ? ", and to who follows it," : "", by, reason);
        json_array_foreach (asked->remove, j, item) {
            _cleanup_free_ char *removed = text_escape(json_string_value(item), false);

            log_text(LOG_WARNING, "label %s of %s is removed by %s: %s", removed, name, by, reason);
        }
    }
    who_clear(&who);
}

static json_t *answer(struct report *report, const struct cut_log *log, bool dry_run, uint64_t took,
                      bool verified)
{
    json_t *result =
        json_pack("{s:s, s:b, s:o, s:o, s:I, s:I, s:b, s:o, s:o}", "format_version", "1.0", "dry_run",
                  dry_run, "containers", report->containers, "connections", report->connections, "more",
                  (json_int_t)log->more, "took_usec", (json_int_t)took, "verified", verified, "problems",
                  report->problems, "warnings", report->warnings);

    return control_answer(report->failed ? STATUS_ERROR : STATUS_OK, result);
}

/* Which connections would be decided in another way, and which are open that would be ended. */
static json_t *dry_run(struct daemon *daemon, const struct given_labels *list, struct report *report)
{
    struct cut_log log = {0};
    json_t *plan = NULL;
    int r = label_plan(daemon, list, &plan, &log);

    if (r < 0)
        failed(report, "the connections that are open cannot be read: %s", strerror(-r));
    report_flows(report, brain_inventory(daemon->brain), &log);
    json_t *document = answer(report, &log, true, 0, false), *result = json_object_get(document, "result");
    if (plan) {
        json_object_set(result, "changes", json_object_get(plan, "connections"));
        json_object_set(result, "changes_text", json_object_get(plan, "connections_text"));
    }
    json_decref(plan);
    cut_log_clear(&log);
    return document;
}

static json_t *put_in_force(struct daemon *daemon, struct given_labels *list, struct report *report,
                            uint64_t begun)
{
    struct cut_log log = {.whole = true};
    uint64_t took;
    bool verified;

    daemon->cut = &log;
    daemon->applied_at = 0;
    brain_set_labels(daemon->brain, list, daemon_now());
    daemon_run(daemon);
    daemon->cut = NULL;
    took = daemon->applied_at ? daemon->applied_at - begun : 0;
    verified = verify(daemon, report);
    report_flows(report, brain_inventory(daemon->brain), &log);
    json_t *result = answer(report, &log, false, took, verified);
    cut_log_clear(&log);
    return result;
}

/* A label may grant: what is not on disk is not in force, as the next start would not know it. */
static json_t *save_and_do(struct daemon *daemon, struct given_labels *list, const struct asked *asked,
                           const struct control_peer *peer, struct report *report)
{
    uint64_t begun = daemon_now();
    int r = labels_save(daemon, list);

    if (r < 0) {
        _cleanup_free_ char *text = xasprintf("label: this cannot be saved in %s: %s; nothing was changed",
                                              daemon->settings->state, strerror(-r));

        given_labels_free(list);
        return control_error(STATUS_ERROR, text,
                             "what cannot be saved would not outlive the daemon; `cofferdam lockdown` can do "
                             "without",
                             NULL);
    }
    log_changes(asked, peer);
    return put_in_force(daemon, list, report, begun);
}

static json_t *not_now(const struct daemon *daemon)
{
    if (brain_torn_down(daemon->brain))
        return control_error(STATUS_ERROR, "the rules were removed: labels mean nothing", NULL, NULL);
    if (brain_labels_lost(daemon->brain))
        return control_error(STATUS_ERROR, "the labels are lost, and every container is locked down",
                             "`cofferdam label --reset` goes on without those that were given", NULL);
    if (!brain_inventory_known(daemon->brain))
        return control_error(STATUS_ERROR, "the containers are not known yet",
                             "the Docker Engine has not answered since cofferdamd started", NULL);
    return NULL;
}

static void report_clear(struct report *report)
{
    json_decref(report->containers);
    json_decref(report->connections);
    json_decref(report->problems);
    json_decref(report->warnings);
}

json_t *verb_label(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    struct asked asked = {.inventory = brain_inventory(daemon->brain), .error = not_now(daemon)};
    struct given_labels *list = NULL;
    struct report report;
    json_t *result;

    if (!asked.error)
        read_request(&asked, request);
    if (!asked.error)
        check_removed(&asked, brain_labels(daemon->brain));
    if (!asked.error) {
        list = given_labels_copy(brain_labels(daemon->brain), stays, &asked);
        give(&asked, peer, list);
        check_limits(&asked, list);
    }
    if (asked.error) {
        given_labels_free(list);
        free(asked.v);
        return asked.error;
    }
    report = (struct report){json_array(), json_array(), json_array(), json_array(), false};
    report_containers(&report, daemon->brain, list);
    warn_of_unused(&report, brain_policies(daemon->brain), &asked);
    if (asked.dry_run) {
        result = dry_run(daemon, list, &report);
        given_labels_free(list);
    } else {
        result = save_and_do(daemon, list, &asked, peer, &report);
        if (!json_object_get(result, "result"))
            report_clear(&report);
    }
    free(asked.v);
    return result;
}

/* ---- labels that are lost ----------------------------------------------------------------------------- */

json_t *verb_label_reset(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    struct report report;
    int r;

    (void)request;
    if (!brain_labels_lost(daemon->brain))
        return control_error(STATUS_ERROR, "label: the labels are not lost; nothing was done",
                             "`cofferdam label CONTAINER KEY-` removes one", NULL);
    r = labels_save(daemon, NULL);
    if (r < 0) {
        _cleanup_free_ char *text =
            xasprintf("label: the file in %s cannot be written: %s; nothing was changed",
                      daemon->settings->state, strerror(-r));

        return control_error(STATUS_ERROR, text, NULL, NULL);
    }
    log_text(LOG_WARNING, "the labels that were lost are given up by user %u, process %d",
             (unsigned)peer->uid, (int)peer->pid);
    report = (struct report){json_array(), json_array(), json_array(), json_array(), false};
    brain_forget_lost_labels(daemon->brain, daemon_now());
    if (lockdown_save(daemon, brain_locks(daemon->brain)) < 0)
        failed(&report, "the list of lockdowns cannot be saved: the next start locks all down again");
    return put_in_force(daemon, given_labels_new(), &report, daemon_now());
}
