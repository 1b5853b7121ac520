/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is staged, watched: what enforcing it would change is put together, since the policies are as they are. */
#include "daemon.h"

#include <string.h>
#include <syslog.h>

#include "denial/staged.h"
#include "denial/staged_tally.h"
#include "inventory/json.h"
#include "inventory/match.h"
#include "policy/compare.h"

/* ---- is anything staged? ------------------------------------------------------------------------------ */

static size_t count_selected(const struct inventory *inventory, const struct policy *policy)
{
    size_t n = 0;

    for (const struct container *container = inventory->containers; container; container = container->hh.next)
        n += container->running && selector_means(&policy->select, container);
    return n;
}

static bool is_watched(const struct daemon *daemon)
{
    const struct policy_set *policies = brain_policies(daemon->brain);
    const struct inventory *inventory = brain_inventory(daemon->brain);

    if (daemon->settings->default_mode == MODE_AUDIT)
        return true;
    for (size_t i = 0; i < policies->n_policies; i++)
        if (policies->policies[i].mode == MODE_AUDIT && count_selected(inventory, &policies->policies[i]) > 0)
            return true;
    return false;
}

bool staged_wants_allowed(const struct daemon *daemon)
{
    return daemon->staged.watched;
}

/* ---- since when --------------------------------------------------------------------------------------- */

/* Apart from the brain's, which goes when the next one comes. */
static struct policy_set *copy_of(const struct policy_set *policies)
{
    _cleanup_diags_ struct diags diags = {0};
    struct policy_set *copy = policies_parse(policies->files, policies->n_files, &diags);

    return copy ?: policy_set_new();
}

static bool is_same(const struct policy_set *a, const struct policy_set *b)
{
    _cleanup_policy_changes_ struct policy_changes changes = {0};

    policy_sets_compare(a, b, &changes);
    return changes.n == 0;
}

static void begin(struct staged *staged, const struct policy_set *policies)
{
    staged->tally = staged_tally_free(staged->tally);
    staged->tally = staged_tally_new();
    policy_set_free(staged->of);
    staged->of = copy_of(policies);
    free(staged->since);
    staged->since = daemon_wall_clock();
    staged->began = daemon_now();
}

/* What other policies would have changed says nothing of these. */
static void follow_policies(struct daemon *daemon, const struct policy_set *policies)
{
    struct staged *staged = &daemon->staged;

    if (staged->seen != policies && (!staged->of || !is_same(staged->of, policies))) {
        denied_log_end_open(daemon);
        allowed_log_end_open(daemon);
        begin(staged, policies);
        staged->standing = true;
    }
    staged->seen = policies;
}

static void watch(struct daemon *daemon)
{
    struct staged *staged = &daemon->staged;
    bool before = staged->watched;

    staged->watched = is_watched(daemon);
    flow_events_update(daemon);
    staged->standing = staged->standing || staged->watched > before;
    if (!staged->watched || !staged->standing || !brain_inventory_complete(daemon->brain))
        return;
    staged->standing = false;
    allowed_log_standing(daemon);
}

void staged_update(struct daemon *daemon)
{
    const struct policy_set *policies = brain_policies(daemon->brain);
    uint64_t changes = brain_inventory_changes(daemon->brain);
    struct staged *staged = &daemon->staged;

    if (staged->seen == policies && staged->changes == changes && !(staged->watched && staged->standing))
        return;
    follow_policies(daemon, policies);
    staged->changes = changes;
    watch(daemon);
}

void staged_record(struct daemon *daemon, const json_t *record, bool final)
{
    if (daemon->staged.tally)
        staged_tally_add(daemon->staged.tally, record, final);
}

void staged_close(struct staged *staged)
{
    staged->tally = staged_tally_free(staged->tally);
    staged->of = policy_set_free(staged->of);
    free(staged->since);
    *staged = (struct staged){0};
}

/* ---- status ------------------------------------------------------------------------------------------- */

static json_t *policy_to_json(const struct daemon *daemon, const struct policy *policy)
{
    json_t *json = staged_tally_item(daemon->staged.tally, policy->name);

    json_object_set_new(json, "name", json_text_or_null(policy->name));
    json_object_set_new(json, "file", json_text_or_null(policy->pos.file));
    json_object_set_new(json, "line", json_integer(policy->pos.line));
    json_object_set_new(json, "containers",
                        json_integer((json_int_t)count_selected(brain_inventory(daemon->brain), policy)));
    return json;
}

static json_t *policies_to_json(const struct daemon *daemon)
{
    const struct policy_set *policies = brain_policies(daemon->brain);
    json_t *list = json_array();

    for (size_t i = 0; i < policies->n_policies; i++)
        if (policies->policies[i].mode == MODE_AUDIT)
            json_array_append_new(list, policy_to_json(daemon, &policies->policies[i]));
    return list;
}

json_t *staged_to_json(struct daemon *daemon, bool *ret_changes)
{
    const struct staged *staged = &daemon->staged;
    bool audit = daemon->settings->default_mode == MODE_AUDIT;
    json_t *all, *json;

    staged_update(daemon);
    all = staged_tally_item(staged->tally, NULL);
    *ret_changes = json_array_size(json_object_get(all, "rows")) > 0;
    json = json_pack("{s:s, s:I, s:b, s:I, s:o, s:o, s:o}", "since", staged->since, "seconds",
                     (json_int_t)((daemon_now() - staged->began) / 1000000), "watched", staged->watched,
                     "seen", (json_int_t)staged_tally_seen(staged->tally), "all", all, "policies",
                     policies_to_json(daemon), "default_mode",
                     audit ? staged_tally_item(staged->tally, STAGED_DEFAULT_MODE) : json_null());
    return json;
}
