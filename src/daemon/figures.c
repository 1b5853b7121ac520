/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of the metrics the brain knows. */
#include "brain_private.h"

#include "inventory/match.h"
#include "metrics/metrics.h"

/* No enforcing policy selects it, and those are let pass. */
static bool is_let_pass(const struct brain *brain, const struct container *container)
{
    if (brain->options.default_mode != MODE_AUDIT)
        return false;
    for (size_t i = 0; i < brain->policies->n_policies; i++)
        if (brain->policies->policies[i].mode == MODE_ENFORCE &&
            selector_means(&brain->policies->policies[i].select, container))
            return false;
    return true;
}

static enum container_state state_of(const struct brain *brain, const struct container *container)
{
    _cleanup_free_ char *reason = container_unenforced_reason(brain->inventory, container);

    if (reason || brain_not_in_force(brain))
        return CONTAINER_UNENFORCED;
    if (lock_effect(brain->locks, brain->inventory, container).cut)
        return CONTAINER_LOCKED;
    return is_let_pass(brain, container) ? CONTAINER_AUDIT : CONTAINER_ENFORCED;
}

static void count_inventory(const struct brain *brain, struct metrics *metrics)
{
    for (const struct container *c = brain->inventory->containers; c; c = c->hh.next)
        if (c->running)
            metrics->containers[state_of(brain, c)]++;
    for (const struct network *n = brain->inventory->networks; n; n = n->hh.next) {
        _cleanup_free_ char *reason = network_unenforced_reason(brain->inventory, n);

        if (reason || brain_not_in_force(brain))
            metrics->networks_unenforced++;
        else
            metrics->networks_enforced++;
    }
}

static void count_policies(const struct brain *brain, struct metrics *metrics)
{
    for (size_t i = 0; i < brain->policies->n_policies; i++)
        switch (brain->policies->policies[i].mode) {
        case MODE_ENFORCE:
            metrics->policies_enforce++;
            break;
        case MODE_AUDIT:
            metrics->policies_audit++;
            break;
        }
}

void brain_figures(const struct brain *brain, const struct status_facts *facts, struct metrics *metrics)
{
    json_t *problems = brain_problems(brain, facts);

    metrics->problems = json_array_size(problems);
    json_decref(problems);
    count_inventory(brain, metrics);
    count_policies(brain, metrics);
    metrics->enforced = brain_can_enforce(brain) && metrics->containers[CONTAINER_UNENFORCED] == 0;
    metrics->engine = brain->engine_version;
    metrics->docker_connected = brain->connected;
    metrics->inventory_known = brain->inventory_known;
    metrics->policies_in_force = brain_policies_in_force(brain);
    metrics->lockdowns = brain->locks ? brain->locks->n : 0;
    metrics->drift_repairs = brain->n_changes;
    metrics->connections_ended = brain->n_flows_ended;
    metrics->version = facts->version;
    metrics->policy_load_success = !facts->last_load_error;
    metrics->expectations_failed = facts->expectations_failed;
    metrics->tables_protected = facts->tables_protected;
    metrics->audit_log_complete = !facts->audit_error;
    metrics->trial_running = facts->trial && !json_is_null(facts->trial);
}
