/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket's verbs. */
#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "control/policy_files.h"
#include "control/protocol.h"
#include "daemon.h"
#include "daemon/plan.h"
#include "inventory/json.h"
#include "ruleset/compare.h"
#include "verbs.h"
#include "verdict/explain_json.h"

json_t *verb_error_of(const struct diags *diags, const char *otherwise)
{
    for (size_t i = 0; i < diags->n; i++)
        if (diags->v[i].level == DIAG_ERROR)
            return control_error(STATUS_ERROR, diags->v[i].message, diags->v[i].help, NULL);
    return control_error(STATUS_ERROR, otherwise, NULL, NULL);
}

void status_facts_with(struct daemon *daemon, void (*use)(const struct status_facts *facts, void *userdata),
                       void *userdata)
{
    _cleanup_free_ char *audit = audit_problem(daemon), *textfile = metrics_problem(daemon);
    uint32_t generation = 0;

    nft_generation(daemon->nft, &generation);
    struct status_facts facts = {
        .version = COFFERDAM_VERSION,
        .started = daemon->started,
        .policies_loaded = daemon->policies_loaded,
        .policies_dir = daemon->settings->policies,
        .last_load_error = daemon->last_load_error,
        .policies_kept = daemon->keep.used,
        .expectations_failed = daemon->expectations.n_failed,
        .expectation_error = daemon->expectations.first,
        .keep_error = daemon->keep.error < 0 ? strerror(-daemon->keep.error) : NULL,
        .audit_error = audit,
        .history_error = daemon->history.error < 0 ? strerror(-daemon->history.error) : NULL,
        .textfile_error = textfile,
        .trial_left = daemon->trial.left,
        .lock_tables = takeover_tables(daemon),
        .engine_socket = daemon->docker_socket,
        .pid = getpid(),
        .generation = generation,
    };
    kernel_protection(daemon, &facts);
    json_t *trial = trial_to_json(daemon),
           *held = daemon->trial.running ? json_null() : held_to_json(&daemon->keep.held);
    facts.trial = trial;
    facts.held = held;
    json_t *log = denied_log_status(daemon);
    facts.log = log;
    use(&facts, userdata);
    json_decref(trial);
    json_decref(held);
    json_decref(log);
}

struct asked_status {
    const struct brain *brain;
    json_t *status;
    bool enforced;
};

static void make_status(const struct status_facts *facts, void *userdata)
{
    struct asked_status *asked = userdata;

    asked->status = brain_status(asked->brain, facts, &asked->enforced);
}

static json_t *verb_status(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    struct asked_status asked = {.brain = daemon->brain};

    (void)peer;
    status_facts_with(daemon, make_status, &asked);
    json_object_set_new(asked.status, "denied", denied_hour_status(daemon));
    if (json_is_true(json_object_get(request, "rules")))
        json_object_set_new(asked.status, "rules", rules_to_json(daemon));
    if (json_is_true(json_object_get(request, "staged"))) {
        bool changes;

        json_object_set_new(asked.status, "staged", staged_to_json(daemon, &changes));
        return control_answer(changes ? STATUS_ATTENTION : STATUS_OK, asked.status);
    }
    return control_answer(asked.enforced ? STATUS_OK : STATUS_ATTENTION, asked.status);
}

static json_t *verb_explain(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    const char *from = json_string_value(json_object_get(request, "from"));
    const char *to = json_string_value(json_object_get(request, "to"));
    const json_t *port = json_object_get(request, "port");
    const struct evaluation with = {
        .policies = brain_policies(daemon->brain),
        .inventory = brain_inventory(daemon->brain),
        .settings = daemon->settings,
    };
    _cleanup_(explanation_freep) struct explanation *explanation = NULL;
    _cleanup_diags_ struct diags diags = {0};

    (void)peer;
    if (!brain_inventory_known(daemon->brain))
        return control_error(STATUS_ERROR, "the containers are not known yet",
                             "the Docker Engine has not answered since cofferdamd started", NULL);
    if (!from || !to || (port && !json_is_string(port) && !json_is_null(port)))
        return control_error(
            STATUS_USAGE, "explain needs \"from\" and \"to\", and \"port\" as a text if at all", NULL, NULL);
    if (explain(&with, from, to, json_string_value(port), &explanation, &diags) < 0)
        return verb_error_of(&diags, "that cannot be explained");
    json_t *result = explanation_to_json(explanation);
    enum verdict verdict = lockdown_explain(brain_locks(daemon->brain), with.inventory, explanation, result);
    return control_answer(verdict == VERDICT_ALLOW ? STATUS_OK : STATUS_ATTENTION, result);
}

static json_t *read_error(int error)
{
    return control_error(STATUS_ERROR, "the kernel's rules cannot be read", kernel_read_error(error), NULL);
}

/* ---- plan --------------------------------------------------------------------------------------------- */

static int plan_flow(const struct flow *flow, void *userdata)
{
    plan_add_flow(userdata, flow);
    return 0;
}

static int plan_flows(struct daemon *daemon, struct plan *plan)
{
    int r = daemon->flows ? 0 : flow_socket_open(&daemon->flows);

    return r < 0 ? r : flow_dump(daemon->flows, plan_flow, plan);
}

static void warn_of_trial(struct daemon *daemon, struct diags *diags)
{
    _cleanup_free_ char *blocked = trial_blocks(daemon);

    if (blocked)
        diag_help(diag_add(diags, DIAG_WARNING, NULL, NULL, "%s", blocked),
                  "`cofferdam apply` is refused until `cofferdam confirm` or `cofferdam rollback`");
}

/* All that apply does but committing. */
static json_t *make_plan(struct daemon *daemon, const struct policy_set *policies, struct plan_facts *facts)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    _cleanup_(plan_freep) struct plan *plan = NULL;
    _cleanup_diags_ struct diags validations = {0};
    int status, r = kernel_tables(daemon, &tables);

    if (r < 0)
        return read_error(r);
    plan = plan_new(daemon->brain, policies, STEAL(tables.ruleset));
    facts->flows_error = plan_flows(daemon, plan);
    facts->validation = nft_validate(daemon->nft, plan_delta(plan), &validations);
    facts->validations = &validations;
    json_t *result = plan_to_json(plan, facts, &status);
    plan_remember(&daemon->plans, plan_take_basis(plan));
    return control_answer(status, result);
}

static json_t *verb_plan(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    _cleanup_(policy_set_freep) struct policy_set *policies = NULL;
    _cleanup_(recorded_log_freep) struct recorded_log *log = NULL;
    const json_t *recorded = json_object_get(request, "recorded");
    _cleanup_diags_ struct diags diags = {0};
    struct plan_facts facts = {.lines = json_is_true(json_object_get(request, "rules")),
                               .full = json_is_true(json_object_get(request, "full")),
                               .warnings = &diags};

    (void)peer;
    /* What others have done to the rules belongs into the plan: it is told of before it is put right. */
    if (brain_has_repairs(daemon->brain))
        host_refresh(daemon);
    else
        daemon_settle(daemon);
    const char *impossible = plan_impossible(daemon->brain);
    if (impossible)
        return control_error(STATUS_ERROR, "no plan can be made now", impossible, NULL);
    policies = policy_files_from_json(json_object_get(request, "files"), &diags);
    if (!policies)
        return control_error(STATUS_USAGE, "plan needs \"files\", each with \"path\" and \"text\"", NULL,
                             NULL);
    if (diags.n_errors)
        return control_error(STATUS_ERROR, "the policies have mistakes", NULL, &diags);
    if (recorded && !(log = recorded_log_from_json(recorded)))
        return control_error(STATUS_USAGE, "\"recorded\" is nothing that plan understands", NULL, NULL);
    facts.recorded = log;
    warn_of_trial(daemon, &diags);
    return make_plan(daemon, policies, &facts);
}

/* ---- verify ------------------------------------------------------------------------------------------- */

#define DIFFERENCES_MAX 100 /* listed */

static json_t *difference_to_json(const struct difference *difference)
{
    _cleanup_free_ char *table = xasprintf("%s " TABLE_NAME, table_family_name(difference->table));
    json_t *object =
        json_pack("{s:s, s:s, s:s}", "table", table, "kind", difference_kind_name(difference->kind), "what",
                  difference_what_name(difference->what));

    /* What strangers have put there may be no UTF-8. */
    json_object_set_new(object, "name", json_text_or_null(difference->name));
    json_object_set_new(object, "text", json_text_or_null(difference->text));
    return object;
}

static json_t *differences_to_json(const struct differences *differences)
{
    json_t *list = json_array();

    for (size_t i = 0; i < differences->n; i++)
        json_array_append_new(list, difference_to_json(&differences->v[i]));
    return list;
}

static json_t *verb_verify(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    _cleanup_differences_ struct differences differences = {0};

    (void)request, (void)peer;
    if (!brain_inventory_known(daemon->brain))
        return control_error(STATUS_ERROR, "it is not known yet what the kernel should hold",
                             "the Docker Engine has not answered since cofferdamd started", NULL);
    int r = kernel_tables(daemon, &tables);
    if (r < 0)
        return read_error(r);
    ruleset_compare(tables.ruleset, brain_ruleset(daemon->brain), DIFFERENCES_MAX, &differences);
    bool same = differences.n == 0;
    if (!same) {
        brain_check(daemon->brain, daemon_now());
        daemon_touch(daemon);
    }
    return control_answer(same ? STATUS_OK : STATUS_ATTENTION,
                          json_pack("{s:b, s:I, s:o, s:I, s:b, s:I}", "same", same, "objects",
                                    (json_int_t)differences.n_objects, "differences",
                                    differences_to_json(&differences), "more", (json_int_t)differences.n_more,
                                    "repairing", !same && !brain_torn_down(daemon->brain), "generation",
                                    (json_int_t)tables.generation));
}

/* ------------------------------------------------------------------------------------------------------- */

static json_t *verb_teardown(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    (void)request, (void)peer;
    takeover_take(daemon); /* what was locked down will be again at the next start */
    brain_teardown(daemon->brain, daemon_now());
    daemon_run(daemon);
    if (!brain_torn_down(daemon->brain) || takeover_remove_tables(daemon) < 0)
        return control_error(STATUS_ERROR, "the kernel refuses to remove the rules; they stay in force", NULL,
                             NULL);
    kernel_forget(daemon);
    trial_drop(daemon);
    daemon->exit_when_idle = true;
    daemon_touch(daemon);
    return control_answer(
        STATUS_OK, json_pack("{s:s}", "text", "the rules are removed; containers are no longer isolated"));
}

/* ---- names -------------------------------------------------------------------------------------------- */

static json_t *container_names(const struct inventory *inventory)
{
    json_t *names = json_array();

    for (const struct container *c = inventory->containers; c; c = c->hh.next)
        json_array_append_new(names, json_text_or_null(c->name ?: c->id));
    return names;
}

/* Projects, and their services; some more than once. */
static json_t *compose_names(const struct inventory *inventory)
{
    json_t *names = json_array();

    for (const struct container *c = inventory->containers; c; c = c->hh.next) {
        const char *project = container_label(c, "com.docker.compose.project");
        const char *service = container_label(c, "com.docker.compose.service");
        _cleanup_free_ char *both = project && service ? xasprintf("%s/%s", project, service) : NULL;

        if (project)
            json_array_append_new(names, json_text_or_null(project));
        if (both)
            json_array_append_new(names, json_text_or_null(both));
    }
    return names;
}

static json_t *lock_names(const struct lock_list *locks)
{
    json_t *names = json_array();

    for (size_t i = 0; locks && i < locks->n; i++)
        json_array_append_new(names, json_text_or_null(lock_text(locks->v[i])));
    return names;
}

/* All that a command line may name, and no more: who asks waits with a finger on the key. */
static json_t *verb_names(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    const struct inventory *inventory = brain_inventory(daemon->brain);

    (void)request, (void)peer;
    return control_answer(STATUS_OK, json_pack("{s:o, s:o, s:o}", "containers", container_names(inventory),
                                               "compose", compose_names(inventory), "lockdowns",
                                               lock_names(brain_locks(daemon->brain))));
}

enum right {
    RIGHT_READ,
    RIGHT_CHANGE,
    RIGHT_CHANGE_UNLESS_DRY, /* reads only where the request says "dry_run" */
};

struct verb {
    const char *name;
    json_t *(*run)(struct daemon *daemon, const json_t *request, const struct control_peer *peer);
    enum right right;
};

/* What changes something is on record, whatever it is. */
static const struct verb verbs[] = {
    {"status", verb_status, RIGHT_READ},
    {"explain", verb_explain, RIGHT_READ},
    {"plan", verb_plan, RIGHT_READ},
    {"apply", verb_apply, RIGHT_CHANGE},
    {"confirm", verb_confirm, RIGHT_CHANGE},
    {"rollback", verb_rollback, RIGHT_CHANGE},
    {"history", verb_history, RIGHT_READ},
    {"verify", verb_verify, RIGHT_READ},
    {"teardown", verb_teardown, RIGHT_CHANGE},
    {"lockdown", verb_lockdown, RIGHT_CHANGE_UNLESS_DRY},
    {"release", verb_release, RIGHT_CHANGE},
    {"lockdown-list", verb_lockdown_list, RIGHT_READ},
    {"label", verb_label, RIGHT_CHANGE_UNLESS_DRY},
    {"label-list", verb_label_list, RIGHT_READ},
    {"label-reset", verb_label_reset, RIGHT_CHANGE},
    {"names", verb_names, RIGHT_READ},
    {"metrics", verb_metrics, RIGHT_READ},
    {"watch", verb_watch, RIGHT_READ},
    {"learn", verb_learn, RIGHT_CHANGE},
    {"learn-show", verb_learn_show, RIGHT_READ},
    {"learn-list", verb_learn_list, RIGHT_READ},
    {"learn-stop", verb_learn_stop, RIGHT_CHANGE},
    {"learn-forget", verb_learn_forget, RIGHT_CHANGE},
};

static const struct verb *find_verb(const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "verb"));

    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static bool changes(const struct verb *verb, const json_t *request)
{
    switch (verb->right) {
    case RIGHT_READ:
        return false;
    case RIGHT_CHANGE:
        return true;
    case RIGHT_CHANGE_UNLESS_DRY:
        return !json_is_true(json_object_get(request, "dry_run"));
    }
    return true;
}

/* What containers listen on is known to those who may look into their namespaces: it comes with the request, and is
 * forgotten again. */
static json_t *run(struct daemon *daemon, const struct verb *verb, const json_t *request,
                   const struct control_peer *peer)
{
    json_t *answer;

    brain_set_listening(daemon->brain, json_object_get(request, "listening"));
    answer = verb->run(daemon, request, peer);
    brain_set_listening(daemon->brain, NULL);
    return answer;
}

/* ---- on record ---------------------------------------------------------------------------------------- */

/* It was done all the same: whoever asked is told, and it stands in status until it is on record. */
static void say_not_on_record(const struct daemon *daemon, json_t *answer)
{
    json_t *result = json_object_get(answer, "result");
    _cleanup_free_ char *problem = audit_problem(daemon);

    if (result && problem)
        json_object_set_new(result, "not_on_record", json_text_or_null(problem));
}

static json_t *run_on_record(struct daemon *daemon, const struct verb *verb, const json_t *request,
                             const struct control_peer *peer)
{
    uint64_t begun = daemon_now();
    /* Before it, as who asks may be gone afterwards; but what takes time must not hold a lockdown up. */
    struct who who = who_of_process(peer->pid, peer->uid);
    json_t *lockdowns = verb->run == verb_release ? brain_locks_to_json(daemon->brain) : NULL;
    json_t *answer = run(daemon, verb, request, peer);

    struct audit_facts facts = {.action = verb->name,
                                .duration = daemon_now() - begun,
                                .who = &who,
                                .request = request,
                                .answer = answer,
                                .lockdowns = lockdowns};
    who_find_names(&who);
    if (audit_record(daemon, &facts) < 0)
        say_not_on_record(daemon, answer);
    json_decref(lockdowns);
    who_clear(&who);
    return answer;
}

/* ---- rights ------------------------------------------------------------------------------------------- */

static bool may(const struct daemon *daemon, const struct control_peer *peer, bool change)
{
    if (peer->uid == 0)
        return true;
    return peer->in_group && (!change || daemon->settings->control_group_may == GROUP_MAY_CHANGE);
}

static json_t *refuse(struct daemon *daemon, const char *action, const json_t *request,
                      const struct control_peer *peer)
{
    _cleanup_free_ char *error =
        xasprintf("user %u may %s: %s is refused", (unsigned)peer->uid,
                  peer->in_group ? "read here, and change nothing" : "not ask here", action);
    json_t *answer = control_error(
        STATUS_ERROR, error,
        peer->in_group
            ? "run it as root; or set control_group_may: change, which lets the whole group"
            : "run it as root; or as a member of the group that control_group names in the settings",
        NULL);

    audit_refused(daemon, action, peer, request, answer);
    return answer;
}

static json_t *unknown(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    json_t *answer = control_error(STATUS_USAGE, "this daemon knows no such command",
                                   "cofferdam and cofferdamd may be of different versions", NULL);

    if (peer->uid != 0)
        audit_refused(daemon, "unknown", peer, request, answer);
    return answer;
}

json_t *daemon_verb(const json_t *request, const struct control_peer *peer, void *userdata)
{
    const struct verb *verb = find_verb(request);
    struct daemon *daemon = userdata;

    if (!may(daemon, peer, verb && changes(verb, request)))
        return refuse(daemon, verb ? verb->name : "unknown", request, peer);
    if (!verb)
        return unknown(daemon, request, peer);
    if (changes(verb, request))
        return run_on_record(daemon, verb, request, peer);
    log_text(LOG_DEBUG, "%s, asked for by user %u (process %d)", verb->name, (unsigned)peer->uid,
             (int)peer->pid);
    return run(daemon, verb, request, peer);
}

void daemon_refused(const char *error, const struct control_peer *peer, void *userdata)
{
    if (peer->uid == 0)
        return;
    json_t *answer = control_error(STATUS_ERROR, error, NULL, NULL);
    audit_refused(userdata, "malformed", peer, NULL, answer);
    json_decref(answer);
}
