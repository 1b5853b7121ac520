/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policies on their way from files into the brain. */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "control/protocol.h"
#include "files/files.h"
#include "policy/parse.h"

/* ---- reading ------------------------------------------------------------------------------------------ */

static int read_files(struct daemon *daemon, struct policy_set **ret, struct diags *diags)
{
    _cleanup_(policy_set_freep) struct policy_set *policies = policy_set_new();
    int r = files_load_policies(daemon->settings->policies, policies, diags);
    int finished = policy_set_finish(policies, diags);

    if (r == 0)
        r = finished;
    if (r == 0)
        *ret = STEAL(policies);
    else if (diags->n_errors == 0)
        diag_add(diags, DIAG_ERROR, NULL, NULL, "the policies cannot be read: %s", strerror(-r));
    return r;
}

static void remember_error(struct daemon *daemon, const struct diags *diags)
{
    _cleanup_free_ char *line = NULL;

    free(STEAL(daemon->last_load_error));
    for (size_t i = 0; i < diags->n && !daemon->last_load_error; i++)
        if (diags->v[i].level == DIAG_ERROR)
            daemon->last_load_error = diag_line(&diags->v[i]);
    if (daemon->last_load_error && diags->n_errors > 1) {
        line = STEAL(daemon->last_load_error);
        daemon->last_load_error = xasprintf("%s; and %zu more", line, diags->n_errors - 1);
    }
}

static int refuse(struct daemon *daemon, int error, const struct diags *diags)
{
    remember_error(daemon, diags);
    log_text(LOG_ERR, "the policies were not loaded; those in force stay in force");
    log_diags(diags);
    return error;
}

int policies_read(struct daemon *daemon, struct policy_set **ret, struct diags *diags)
{
    int r = read_files(daemon, ret, diags);

    return r < 0 ? refuse(daemon, r, diags) : 0;
}

int policies_check(struct daemon *daemon, const struct policy_set *policies,
                   const struct load_request *request, struct load_result *result, struct diags *diags)
{
    daemon_settle(daemon);
    int r = apply_gate(daemon, policies, request, result, diags);
    if (r < 0)
        return r == -ESTALE ? r : refuse(daemon, r, diags);
    log_diags(diags); /* warnings */
    return 0;
}

struct policy_set *policies_parse(const struct policy_file *files, size_t n, struct diags *diags)
{
    _cleanup_(policy_set_freep) struct policy_set *policies = policy_set_new();
    int r = 0;

    for (size_t i = 0; i < n; i++)
        if (policy_parse(policies, files[i].path, files[i].text, files[i].len, diags) < 0)
            r = -EBADMSG;
    if (policy_set_finish(policies, diags) < 0 || r < 0)
        return NULL;
    return STEAL(policies);
}

/* ---- loading ------------------------------------------------------------------------------------------ */

static void remember_load(struct daemon *daemon)
{
    daemon->keep.used = false;
    free(STEAL(daemon->last_load_error));
    free(daemon->policies_loaded);
    daemon->policies_loaded = daemon_wall_clock();
}

void policies_changed(struct daemon *daemon)
{
    remember_load(daemon);
    expectations_set(&daemon->expectations, &(struct load_result){.untested = true});
}

static void log_load(const struct daemon *daemon, int r, const struct load_result *result,
                     const struct diags *diags)
{
    if (result->overridden.n_errors) {
        log_text(LOG_WARNING, "the policies are loaded by force, although expectations %s:",
                 result->untested ? "cannot be tested" : "fail");
        log_diags(&result->overridden);
    }
    if (r == -EINPROGRESS)
        log_text(LOG_WARNING, "%s", diags->v[diags->n - 1].message);
    else
        log_text(LOG_NOTICE, "%zu policies are in force; %zu changes in the kernel",
                 brain_policies(daemon->brain)->n_policies, result->changes);
}

int policies_load(struct daemon *daemon, struct policy_set *policies, struct load_result *result,
                  struct diags *diags)
{
    const char *message = NULL;

    brain_load_policies(daemon->brain, policies, daemon_now());
    daemon_run(daemon);
    int r = brain_policies_result(daemon->brain, &result->changes, &message);
    if (r < 0)
        diag_add(diags, DIAG_ERROR, NULL, NULL, "%s", message ? message : strerror(-r));
    if (r < 0 && r != -EINPROGRESS) {
        remember_error(daemon, diags);
        return r;
    }
    remember_load(daemon);
    expectations_set(&daemon->expectations, result);
    log_load(daemon, r, result, diags);
    return r;
}

int policies_apply(struct daemon *daemon, struct policy_set *policies, struct change *change,
                   const struct held *held, struct load_result *result, struct diags *diags)
{
    bool due = daemon->keep.due;

    daemon->keep.due = false; /* what it says is of the set before */
    int r = policies_load(daemon, policies, result, diags);
    if (r == 0 || r == -EINPROGRESS)
        policy_keep_due(daemon, change, held);
    else
        daemon->keep.due = due;
    policy_keep_update(daemon);
    return r;
}

static json_t *reloaded(struct daemon *daemon, size_t flows)
{
    size_t cut = brain_flow_count(daemon->brain) - flows;

    return control_answer(STATUS_OK, json_pack("{s:I, s:I}", "connections_ended", (json_int_t)cut, "number",
                                               (json_int_t)daemon->history.in_force));
}

/* The answer is for the audit log. */
static json_t *reload(struct daemon *daemon, struct change *change)
{
    _cleanup_(policy_set_freep) struct policy_set *policies = NULL;
    _cleanup_diags_ struct diags diags = {0};
    struct load_result result = {0};
    size_t flows = brain_flow_count(daemon->brain);
    int r = policies_read(daemon, &policies, &diags);

    if (r == 0)
        r = policies_check(daemon, policies, &(struct load_request){0}, &result, &diags);
    if (r == 0)
        r = policies_apply(daemon, STEAL(policies), change, NULL, &result, &diags);
    return r < 0 ? control_error(STATUS_ERROR, "the policies were not loaded", NULL, &diags)
                 : reloaded(daemon, flows);
}

void policies_hangup(struct daemon *daemon, pid_t pid, uid_t uid)
{
    _cleanup_free_ char *blocked = trial_blocks(daemon);
    struct who who = who_of(pid, uid);
    struct change change = change_now(CHANGE_RELOAD, &who);

    _cleanup_free_ char *error = blocked ? xasprintf("the policies are not read again: %s", blocked) : NULL;
    audit_event(daemon, "reload", &who,
                error ? control_error(STATUS_ERROR, error, NULL, NULL) : reload(daemon, &change), NULL);
    change_clear(&change);
    who_clear(&who);
}

/* ---- at the start ------------------------------------------------------------------------------------- */

static struct policy_set *restore(struct daemon *daemon)
{
    struct policy_set *policies = policy_keep_restore(daemon);

    if (policies)
        return policies;
    log_text(
        LOG_CRIT,
        "the policies %s: every connection of every container is denied until they are mended and applied",
        daemon->last_load_error ? "have errors" : "to go on with cannot be used");
    return policy_set_new();
}

static bool are_the_saved(const struct daemon *daemon, const struct policy_set *policies)
{
    return policy_state_same(&daemon->keep.saved, policies->files, policies->n_files);
}

/* The files, or what was saved, where they have errors, or where it is held and they are others. */
static struct policy_set *files_or_saved(struct daemon *daemon)
{
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_(policy_set_freep) struct policy_set *policies = NULL;
    int r = read_files(daemon, &policies, &diags);
    bool held = daemon->keep.saved.held.reason && !(r == 0 && are_the_saved(daemon, policies));

    log_diags(&diags);
    if (r < 0)
        remember_error(daemon, &diags);
    if (r < 0 || held)
        return restore(daemon);
    return STEAL(policies);
}

struct policy_set *policies_first(struct daemon *daemon)
{
    struct policy_set *policies = NULL;
    struct change change = change_now(CHANGE_START, NULL);

    policy_keep_open(daemon);
    daemon->expectations.due = true;
    daemon->policies_loaded = daemon_wall_clock();
    if (!trial_open(daemon, &policies)) {
        policies = files_or_saved(daemon);
        policy_keep_due(daemon, &change, &daemon->keep.held);
    }
    change_clear(&change);
    return policies;
}
