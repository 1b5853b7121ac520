/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often each rule of the policies has let something pass: the kernel's counters, read now and then, and before rules go
 * with what they have counted (daemon/rule_counters.h); on disk, so that they outlive the daemon and the host.
 */
#include "daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "files/boot.h"
#include "files/files.h"
#include "inventory/json.h"
#include "nft/counters.h"
#include "util/utc.h"

#define EVERY_MIN 10000000ull  /* microseconds between two readings ... */
#define EVERY_MAX 300000000ull /* ... which are rarer where they take long: */
#define SHARE 500              /* a five-hundredth of the time at most */
#define SAVE_MIN 60000000ull   /* the same between two times that they are written */
#define SAVE_MAX 1800000000ull

static uint64_t wall_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t pause_after(uint64_t cost, uint64_t min, uint64_t max)
{
    uint64_t pause = cost * SHARE;

    return pause < min ? min : pause > max ? max : pause;
}

/* ---- on disk ------------------------------------------------------------------------------------------ */

static void save(struct daemon *daemon)
{
    struct rule_watch *rules = &daemon->rules;
    uint64_t begun = daemon_now(), now;
    _cleanup_free_ char *text = rule_counters_save(rules->counters);
    int r = state_save_soon(daemon->settings->state, RULE_COUNTERS_FILE, text);

    now = daemon_now();
    rules->save_at = now + pause_after(now - begun, SAVE_MIN, SAVE_MAX);
    if (r < 0 && rules->save_error == 0)
        log_text(
            LOG_WARNING,
            "the counts of the rules cannot be saved in %s (%s): the next daemon goes on from older ones",
            daemon->settings->state, strerror(-r));
    rules->save_error = r;
    rules->unsaved = r < 0;
}

/* False: there is nothing to go on from. */
static bool restore(struct daemon *daemon)
{
    _cleanup_free_ char *path = xasprintf("%s/" RULE_COUNTERS_FILE, daemon->settings->state), *text = NULL;
    size_t len;
    int r = files_read_own(path, RULE_COUNTERS_MAX, &text, &len);

    if (r == 0)
        r = rule_counters_restore(daemon->rules.counters, text);
    if (r < 0 && r != -ENOENT)
        log_text(LOG_WARNING, "%s cannot be used (%s): the rules are counted anew", path,
                 r == -EBADMSG ? "it is damaged" : strerror(-r));
    return r == 0;
}

/* ---- the kernel's counters ---------------------------------------------------------------------------- */

/* 0 or a negative errno, which is what status says until the next time. */
static int read_kernel(struct daemon *daemon, bool first)
{
    _cleanup_table_counters_ struct table_counters kernel = {0};
    struct rule_watch *rules = &daemon->rules;
    uint64_t begun = daemon_now();

    rules->read_error = nft_counters_read(daemon->nft, &kernel);
    if (rules->read_error < 0)
        return rules->read_error;
    if (first)
        rule_counters_begin(rules->counters, rules->where, &kernel);
    else if (rule_counters_read(rules->counters, rules->where, &kernel, wall_now()))
        rules->unsaved = true;
    rules->every = pause_after(daemon_now() - begun, EVERY_MIN, EVERY_MAX);
    return 0;
}

static void before_removal(void *userdata)
{
    struct daemon *daemon = userdata;

    (void)read_kernel(daemon, false);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct daemon *daemon = userdata;
    struct rule_watch *rules = &daemon->rules;

    (void)usec;
    (void)read_kernel(daemon, false);
    if (rules->unsaved && daemon_now() >= rules->save_at)
        save(daemon);
    sd_event_source_set_time_relative(source, rules->every);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

/* ---- what they are of --------------------------------------------------------------------------------- */

static void learn(struct daemon *daemon)
{
    struct rule_watch *rules = &daemon->rules;

    rules->policies = brain_policies(daemon->brain);
    rules->ruleset = brain_ruleset(daemon->brain);
    rules->n_chains = HASH_COUNT(rules->ruleset->tables[TABLE_INET].chains);
    rule_counters_learn(rules->counters, rules->policies, rules->ruleset, wall_now());
    rules->unsaved = true;
}

/*
 * Chains that stand may be of other rules from now on: what they have counted until now is that of those before. A ruleset
 * loses no chains: with another number of them, or other policies, it is another.
 */
void rules_update(struct daemon *daemon)
{
    struct rule_watch *rules = &daemon->rules;
    const struct ruleset *ruleset = brain_ruleset(daemon->brain);
    bool changed = rules->policies != brain_policies(daemon->brain);

    if (!changed && rules->ruleset == ruleset &&
        rules->n_chains == HASH_COUNT(ruleset->tables[TABLE_INET].chains))
        return;
    if (changed)
        (void)read_kernel(daemon, false);
    learn(daemon);
    if (changed)
        save(daemon);
}

size_t rules_list(struct daemon *daemon, struct rule_count **ret)
{
    (void)read_kernel(daemon, false);
    learn(daemon);
    return rule_counters_list(daemon->rules.counters, ret);
}

void rules_record(struct daemon *daemon, const json_t *record, bool final)
{
    const json_t *own = json_object_get(record, "cofferdam"), *rule = json_object_get(record, "rule");
    const char *verdict = json_string_value(json_object_get(own, "verdict"));
    const char *word = json_string_value(json_object_get(own, "direction"));
    const char *policy = json_string_value(json_object_get(rule, "ruleset"));
    const char *name = json_string_value(json_object_get(rule, "name"));
    json_int_t packets = json_integer_value(json_object_get(own, "count"));

    if (!final || !verdict || strcmp(verdict, "deny") != 0 || !word || !policy || !name || packets <= 0 ||
        !daemon->rules.counters)
        return;
    rule_counters_denied(daemon->rules.counters, policy,
                         strcmp(word, direction_name(EGRESS)) == 0 ? EGRESS : INGRESS, name,
                         (uint64_t)packets, wall_now());
    daemon->rules.unsaved = true;
}

/* ---- status ------------------------------------------------------------------------------------------- */

#define UNUSED_AFTER (24 * 3600 * 1000000ull)

static json_t *time_or_null(uint64_t usec)
{
    _cleanup_free_ char *text = usec ? utc_text(usec / 1000000) : NULL;

    return json_text_or_null(text);
}

static char *place_of(const struct daemon *daemon, const struct rule_count *count)
{
    const struct policy_set *policies = brain_policies(daemon->brain);

    for (size_t i = 0; i < policies->n_policies; i++) {
        const struct policy *policy = &policies->policies[i];

        if (strcmp(policy->name, count->policy) == 0 && count->index <= policy->n_rules[count->direction]) {
            const struct source_pos *pos = &policy->rules[count->direction][count->index - 1].pos;

            return xasprintf("%s:%u", pos->file ? pos->file : "?", pos->line);
        }
    }
    return NULL;
}

static json_t *count_to_json(const struct daemon *daemon, const struct rule_count *count, uint64_t now)
{
    _cleanup_free_ char *place = place_of(daemon, count);
    bool watched_long = now >= count->since + UNUSED_AFTER;
    bool unused = !count->deny && !count->staged && count->hits == 0 && watched_long;

    return json_pack("{s:s, s:s, s:i, s:o, s:o, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:o, s:o, s:b}", "policy",
                     count->policy, "direction", direction_name(count->direction), "index", (int)count->index,
                     "name", json_text_or_null(count->name), "reference", json_text_or_null(place), "deny",
                     count->deny, "staged", count->staged, "shared", count->shared, "kernel_rules",
                     (json_int_t)count->n_kernel, "hits", (json_int_t)count->hits, "bytes",
                     (json_int_t)count->bytes, "denied", (json_int_t)count->denied, "last_hit",
                     time_or_null(count->last_hit), "since", time_or_null(count->since), "unused", unused);
}

json_t *rules_to_json(struct daemon *daemon)
{
    _cleanup_free_ struct rule_count *list = NULL;
    size_t n = rules_list(daemon, &list);
    const struct rule_watch *rules = &daemon->rules;
    _cleanup_free_ char *error = NULL;
    json_t *array = json_array();
    uint64_t now = wall_now();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, count_to_json(daemon, &list[i], now));
    if (rules->read_error < 0)
        error = xasprintf("the kernel's counters cannot be read: %s", kernel_read_error(rules->read_error));
    else if (rules->save_error < 0)
        error = xasprintf("the counts cannot be saved in %s: %s", daemon->settings->state,
                          strerror(-rules->save_error));
    return json_pack("{s:o, s:I, s:o, s:o}", "now", time_or_null(now), "every",
                     (json_int_t)(rules->every / 1000000), "error", json_text_or_null(error), "list", array);
}

/* ---- start and end ------------------------------------------------------------------------------------ */

void rules_open(struct daemon *daemon)
{
    struct rule_watch *rules = &daemon->rules;
    _cleanup_free_ char *boot = boot_id();

    rules->counters = rule_counters_new();
    rules->where = xasprintf("%s %" PRIu64, boot ?: "", nft_socket_namespace(daemon->nft));
    rules->every = EVERY_MIN;
    if (!restore(daemon))
        (void)read_kernel(daemon, true);
    nft_before_removal(daemon->nft, before_removal, daemon);
    if (sd_event_add_time_relative(daemon->event, &rules->timer, CLOCK_MONOTONIC, rules->every, 1000000,
                                   on_time, daemon) >= 0)
        (void)sd_event_source_set_priority(rules->timer, SD_EVENT_PRIORITY_IDLE);
}

void rules_close(struct daemon *daemon)
{
    struct rule_watch *rules = &daemon->rules;

    if (rules->counters && daemon->brain && daemon->nft) {
        (void)read_kernel(daemon, false);
        if (rules->unsaved)
            save(daemon);
    }
    sd_event_source_unref(rules->timer);
    rule_counters_free(rules->counters);
    free(rules->where);
    *rules = (struct rule_watch){0};
}
