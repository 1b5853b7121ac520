/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What policies that were read must pass before they are loaded: nothing comes between that and their coming into force. */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "daemon/gate.h"
#include "daemon/plan.h"

/* ---- is it the plan that was agreed to? --------------------------------------------------------------- */

static int say_stale(struct diags *diags, const char *message, const char *help)
{
    log_text(LOG_NOTICE, "nothing is applied: %s", message);
    diag_help(diag_add(diags, DIAG_ERROR, NULL, NULL, "%s", message), "%s", help);
    return -ESTALE;
}

static int check_plan(struct daemon *daemon, const struct policy_set *policies, const char *id,
                      struct diags *diags)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    _cleanup_(plan_basis_freep) struct plan_basis *now = NULL;
    _cleanup_free_ char *moved = NULL, *message = NULL;
    const char *impossible = plan_impossible(daemon->brain);
    int r = impossible ? -EINPROGRESS : kernel_tables(daemon, &tables);

    if (impossible)
        return say_stale(diags, "it cannot be said whether the plan is still true", impossible);
    if (r < 0) {
        message = xasprintf("it cannot be said whether the plan is still true: %s", kernel_read_error(r));
        return say_stale(diags, message, "nothing was changed; try again");
    }
    now = plan_basis_new(brain_policies(daemon->brain), policies, brain_inventory(daemon->brain),
                         tables.ruleset);
    moved = plan_moved(&daemon->plans, id, now);
    if (!moved)
        return 0;
    message = xasprintf("the plan is stale: %s", moved);
    return say_stale(diags, message, "nothing was changed; make a new one with `cofferdam plan`");
}

/* ---- do the policies what they are expected to? ------------------------------------------------------- */

static int test(const struct daemon *daemon, const struct policy_set *policies, struct diags *diags)
{
    const struct evaluation with = {policies, brain_inventory(daemon->brain), daemon->settings, NULL};

    return gate_expectations(&with, brain_inventory_complete(daemon->brain), diags);
}

static int check_expectations(const struct daemon *daemon, const struct policy_set *policies, bool force,
                              struct load_result *result, struct diags *diags)
{
    _cleanup_diags_ struct diags found = {0};
    int r = test(daemon, policies, &found);

    if (r == -EBADMSG)
        result->n_failed = found.n_errors;
    result->untested = r == -EAGAIN;
    diags_move(r < 0 && force ? &result->overridden : diags, &found);
    return r < 0 && !force ? -ECANCELED : 0;
}

int apply_gate(struct daemon *daemon, const struct policy_set *policies, const struct load_request *request,
               struct load_result *result, struct diags *diags)
{
    int r = request->only ? check_plan(daemon, policies, request->only, diags) : 0;

    return r < 0 ? r : check_expectations(daemon, policies, request->force, result, diags);
}

/* ---- those of the policies in force ------------------------------------------------------------------- */

static char *first_error(const struct diags *diags)
{
    for (size_t i = 0; i < diags->n; i++)
        if (diags->v[i].level == DIAG_ERROR)
            return diag_line(&diags->v[i]);
    return NULL;
}

void expectations_set(struct expectations *expectations, const struct load_result *result)
{
    free(expectations->first);
    expectations->due = result->untested;
    expectations->n_failed = result->n_failed;
    expectations->first = result->n_failed ? first_error(&result->overridden) : NULL;
}

void expectations_update(struct daemon *daemon)
{
    struct expectations *expectations = &daemon->expectations;
    struct load_result result = {0};
    _cleanup_diags_ struct diags warnings = {0};

    if (!expectations->due || !brain_inventory_complete(daemon->brain) ||
        !brain_policies_in_force(daemon->brain))
        return;
    check_expectations(daemon, brain_policies(daemon->brain), true, &result, &warnings);
    expectations_set(expectations, &result);
    if (result.n_failed)
        log_text(LOG_ERR, "the policies in force do not do what their own expectations say");
    log_diags(&result.overridden);
    diags_clear(&result.overridden);
}
