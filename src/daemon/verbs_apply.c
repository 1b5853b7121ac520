/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs that change which policies are in force, and what they leave in the history. */
#include <errno.h>
#include <string.h>

#include "control/protocol.h"
#include "daemon.h"
#include "daemon/plan.h"
#include "inventory/json.h"
#include "util/duration.h"
#include "verbs.h"

/* ---- what is asked for -------------------------------------------------------------------------------- */

struct wish {
    const char *comment; /* NULL: none */
    uint64_t span;       /* of a trial; 0: for good */
    uint64_t extend;     /* 0: not asked for */
};

static json_t *take_span(const json_t *request, const char *key, const char *option, uint64_t *ret)
{
    const json_t *value = json_object_get(request, key);
    const char *text = json_string_value(value);
    uint64_t span = 0;

    if (!value || json_is_null(value))
        return NULL;
    if (!text || duration_parse(text, &span) < 0 || span < TRIAL_SPAN_MIN || span > TRIAL_SPAN_MAX) {
        _cleanup_free_ char *error =
            xasprintf("%s takes a span of time from 5s to 24h, such as 60s or 1h30m", option);
        return control_error(STATUS_USAGE, error, NULL, NULL);
    }
    *ret = span;
    return NULL;
}

/* NULL, or an answer that says what is wrong. */
static json_t *take_wish(const json_t *request, struct wish *ret)
{
    const json_t *comment = json_object_get(request, "comment");
    json_t *error = NULL;

    *ret = (struct wish){.comment = json_string_value(comment)};
    if (comment && !json_is_null(comment) && !ret->comment)
        return control_error(STATUS_USAGE, "the comment is no text", NULL, NULL);
    if (ret->comment && strlen(ret->comment) > CHANGE_COMMENT_MAX)
        return control_error(STATUS_USAGE, "the comment is longer than 1000 bytes", NULL, NULL);
    error = take_span(request, "confirm_within", "--confirm-within", &ret->span);
    return error ?: take_span(request, "extend", "--extend", &ret->extend);
}

static struct change change_of(enum change_kind kind, const struct wish *wish,
                               const struct control_peer *peer)
{
    struct who who = who_of(peer->pid, peer->uid);
    struct change change = change_now(kind, &who);

    change.comment = xstrdup_null(wish->comment);
    who_clear(&who);
    return change;
}

/* ---- answers ------------------------------------------------------------------------------------------ */

static json_t *blocked(struct daemon *daemon)
{
    _cleanup_free_ char *why = trial_blocks(daemon);
    const char *help = "see to it that the state directory can be written";

    if (!why)
        return NULL;
    if (daemon->trial.ending)
        help = "wait until they are in force: see `cofferdam status`";
    else if (daemon->trial.running)
        help = "first `cofferdam confirm`, which keeps them, or `cofferdam rollback`, which goes back";
    return control_error(STATUS_ERROR, why, help, NULL);
}

/* What was done, but could not be written down. */
static json_t *warnings_of(const struct daemon *daemon)
{
    json_t *warnings = json_array();

    if (daemon->keep.error < 0)
        json_array_append_new(
            warnings, json_sprintf("the policies in force cannot be saved in %s: %s; see `cofferdam status`",
                                   daemon->settings->state, strerror(-daemon->keep.error)));
    if (daemon->history.error < 0)
        json_array_append_new(warnings,
                              json_sprintf("this is not in the history, which cannot be written: %s",
                                           strerror(-daemon->history.error)));
    return warnings;
}

/* The result's text, with what went wrong in lines of their own; steals the object. */
static json_t *answer(const struct daemon *daemon, json_t *result, const char *text)
{
    json_t *warnings = warnings_of(daemon), *warning;
    char *all = xstrdup(text);
    size_t i;

    json_array_foreach (warnings, i, warning) {
        char *longer = xasprintf("%s\nwarning: %s", all, json_string_value(warning));
        free(all);
        all = longer;
    }
    json_object_set_new(result, "trial", trial_to_json(daemon));
    json_object_set_new(result, "number", json_integer((json_int_t)daemon->history.in_force));
    json_object_set_new(result, "warnings", warnings);
    json_object_set_new(result, "text", json_text_or_null(all));
    free(all);
    return control_answer(STATUS_OK, result);
}

static char *trial_text(const struct daemon *daemon)
{
    _cleanup_free_ char *until = trial_until(daemon);

    return xasprintf("They are in force %s, and then the policies before them come back by themselves.\n"
                     "Check that you can open a NEW connection, as those that are open prove nothing. Then:\n"
                     "  cofferdam confirm     to keep them\n"
                     "  cofferdam rollback    to go back now",
                     until);
}

/* ---- putting a set in force --------------------------------------------------------------------------- */

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* Those that were overridden count as much as those that are refused. The caller frees it; NULL: none. */
static char *overridden_text(const struct load_result *result)
{
    size_t n = result->overridden.n_errors;

    if (result->untested)
        return xstrdup("; the expectations are not tested yet");
    return n ? xasprintf("; %zu expectation%s fail%s", n, plural(n), n == 1 ? "s" : "") : NULL;
}

static json_t *applied(struct daemon *daemon, const char *done, const struct load_result *result,
                       size_t flows)
{
    size_t n = brain_policies(daemon->brain)->n_policies;
    _cleanup_free_ char *cut = flows > 0 ? xasprintf("; %zu connection%s ended", flows, plural(flows)) : NULL;
    _cleanup_free_ char *forced = overridden_text(result);
    _cleanup_free_ char *trial = daemon->trial.running ? trial_text(daemon) : NULL;
    _cleanup_free_ char *text =
        xasprintf("%s %zu polic%s%s; %zu change%s in the kernel%s%s%s%s", done, n, n == 1 ? "y" : "ies",
                  trial ? " on trial" : "", result->changes, plural(result->changes), cut ?: "", forced ?: "",
                  trial ? "\n" : "", trial ?: "");
    json_t *object = json_pack("{s:I, s:I, s:I}", "policies", (json_int_t)n, "changes",
                               (json_int_t)result->changes, "connections_ended", (json_int_t)flows);

    if (result->overridden.n_errors)
        json_object_set_new(object, "overridden", diags_to_json(&result->overridden));
    return answer(daemon, object, text);
}

static const char not_loaded[] = "the policies were not loaded; those in force stay in force";

static json_t *refused(int error, const struct diags *diags)
{
    if (error == -EINPROGRESS)
        return verb_error_of(diags, "the policies wait for the Docker Engine");
    if (error == -ESTALE)
        return verb_error_of(diags, "the plan is stale");
    return control_error(STATUS_ERROR, not_loaded,
                         error == -ECANCELED
                             ? "mend them or what is expected of them; `cofferdam apply --force` loads "
                               "them as they are"
                             : NULL,
                         diags);
}

/* A set that may be loaded. The policies become the brain's, and the change is moved from. */
struct loading {
    struct policy_set *policies;
    struct change change;
    struct held held;         /* of the set, where it is not on trial */
    struct load_request wish; /* what it must pass */
    const char *done;         /* for people, once it is in force: "applied" */
};

/* For good or on trial. */
static json_t *put_in_force(struct daemon *daemon, struct loading *loading, uint64_t span,
                            struct diags *diags)
{
    size_t flows = brain_flow_count(daemon->brain);
    struct load_result result = {0};
    json_t *object;
    int r = policies_check(daemon, loading->policies, &loading->wish, &result, diags);

    loading->change.forced = result.overridden.n_errors;
    if (r == 0 && span)
        r = trial_begin(daemon, STEAL(loading->policies), &loading->change, span, &result, diags);
    else if (r == 0)
        r = policies_apply(daemon, STEAL(loading->policies), &loading->change, &loading->held, &result,
                           diags);
    if (r < 0)
        object = refused(r, diags);
    else
        object = applied(daemon, loading->done, &result, brain_flow_count(daemon->brain) - flows);
    diags_clear(&result.overridden);
    return object;
}

static void loading_clear(struct loading *loading)
{
    policy_set_free(loading->policies);
    change_clear(&loading->change);
    held_clear(&loading->held);
}

/* A trial begins where it is known what is in force. */
static json_t *no_trial_now(const struct daemon *daemon, const struct wish *wish)
{
    const char *impossible = wish->span ? plan_impossible(daemon->brain) : NULL;

    return impossible ? control_error(STATUS_ERROR, "no trial can begin now", impossible, NULL) : NULL;
}

static json_t *take_request(const json_t *request, struct load_request *ret)
{
    const json_t *only = json_object_get(request, "only");

    *ret = (struct load_request){.only = json_string_value(only),
                                 .force = json_is_true(json_object_get(request, "force"))};
    if (!only || plan_id_is_valid(ret->only))
        return NULL;
    return control_error(STATUS_USAGE, "that is not the ID of a plan",
                         "it has 64 digits, and is needed in full: `cofferdam plan` prints it", NULL);
}

json_t *verb_apply(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    _cleanup_(loading_clear) struct loading loading = {.done = "applied"};
    _cleanup_diags_ struct diags diags = {0};
    struct wish wish;
    json_t *error = take_wish(request, &wish) ?: take_request(request, &loading.wish) ?: blocked(daemon)
                        ?: no_trial_now(daemon, &wish);

    if (error)
        return error;
    if (policies_read(daemon, &loading.policies, &diags) < 0)
        return control_error(STATUS_ERROR, not_loaded, NULL, &diags);
    loading.change = change_of(wish.span ? CHANGE_TRIAL : CHANGE_APPLY, &wish, peer);
    loading.change.plan_id = xstrdup_null(loading.wish.only);
    return put_in_force(daemon, &loading, wish.span, &diags);
}

/* ---- confirm ------------------------------------------------------------------------------------------ */

static json_t *extended(struct daemon *daemon)
{
    _cleanup_free_ char *until = trial_until(daemon),
                        *text = xasprintf("the policies stay on trial %s", until);

    return answer(daemon, json_object(), text);
}

json_t *verb_confirm(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    _cleanup_diags_ struct diags diags = {0};
    struct wish wish;
    json_t *error = take_wish(request, &wish);

    if (error)
        return error;
    if (wish.extend)
        return trial_extend(daemon, wish.extend, &diags) < 0
                   ? verb_error_of(&diags, "the trial cannot be prolonged")
                   : extended(daemon);
    struct change change = change_of(CHANGE_CONFIRM, &wish, peer);
    int r = trial_confirm(daemon, &change, &diags);
    change_clear(&change);
    return r < 0 ? verb_error_of(&diags, "the trial cannot be confirmed")
                 : answer(daemon, json_object(), "confirmed: the policies stay in force");
}

/* ---- rollback ----------------------------------------------------------------------------------------- */

static json_t *end_trial(struct daemon *daemon, const struct wish *wish, const struct control_peer *peer)
{
    _cleanup_diags_ struct diags diags = {0};
    struct change change = change_of(CHANGE_ROLLBACK, wish, peer);
    size_t flows = brain_flow_count(daemon->brain);
    struct load_result result = {0};
    int r = trial_roll_back(daemon, &change, &diags);

    change_clear(&change);
    if (r < 0)
        return verb_error_of(&diags, "the trial cannot be ended");
    brain_policies_result(daemon->brain, &result.changes, NULL);
    return applied(daemon, "the trial is over, and what was before is in force:", &result,
                   brain_flow_count(daemon->brain) - flows);
}

/* Which one? NULL, or an answer that says what is wrong. */
static json_t *choose(struct daemon *daemon, unsigned *ret)
{
    struct history_entry *entries = NULL;
    _cleanup_free_ struct history_item *items = NULL;
    size_t n = 0;
    int r = history_list(daemon, &entries, &items, &n);

    if (r < 0)
        return control_error(STATUS_ERROR, "the history cannot be read", strerror(-r), NULL);
    history_entries_free(entries, n);
    switch (history_choose(items, n, ret)) {
    case CHOICE_FOUND:
        return NULL;
    case CHOICE_NONE:
        break;
    case CHOICE_CAME_BACK:
        return control_error(
            STATUS_ERROR, "the policies from before the trial are in force already",
            "to go back further, say to which of them: `cofferdam history`, then `cofferdam rollback N`",
            NULL);
    }
    return control_error(STATUS_ERROR, "there is nothing to go back to",
                         "the history holds no other policies than those in force: see `cofferdam history`",
                         NULL);
}

/* Nobody who goes back is held up by expectations that fail; they are told. */
static json_t *go_back(struct daemon *daemon, unsigned number, const struct wish *wish,
                       const struct control_peer *peer)
{
    _cleanup_(history_entry_clear) struct history_entry entry = {0};
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_free_ char *done = xasprintf("rolled back to #%u:", number);
    _cleanup_(loading_clear) struct loading loading = {.done = done, .wish = {.force = true}};
    int r = history_load(daemon, number, &entry);

    if (r < 0)
        return history_refuse(daemon, number, r);
    if (entry.nothing)
        return control_error(STATUS_ERROR, "there were no policies then, as none could be read",
                             "an empty directory of policies denies everything as well", NULL);
    loading.policies = policies_parse(entry.files, entry.n_files, &diags);
    if (!loading.policies)
        return control_error(STATUS_ERROR,
                             "this cofferdamd finds errors in those policies; those in force stay in force",
                             "the files are printed by `cofferdam history N`", &diags);
    loading.change = change_of(wish->span ? CHANGE_TRIAL : CHANGE_ROLLBACK, wish, peer);
    loading.change.from = number;
    loading.held = (struct held){HELD_ROLLBACK, number, daemon_wall_clock()};
    return put_in_force(daemon, &loading, wish->span, &diags);
}

json_t *verb_rollback(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    unsigned number = 0;
    struct wish wish;
    json_t *error = take_wish(request, &wish) ?: history_take_number(request, &number);

    if (!error && daemon->trial.running && !number && !wish.span)
        return end_trial(daemon, &wish, peer);
    error = error ?: blocked(daemon) ?: no_trial_now(daemon, &wish);
    if (!error && !number)
        error = choose(daemon, &number);
    return error ?: go_back(daemon, number, &wish, peer);
}
