/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What other labels would change: the policies in force, on the containers as they are and on copies with those labels. */
#include <errno.h>

#include "daemon.h"
#include "daemon/labels.h"
#include "inventory/json.h"
#include "plan/plan.h"
#include "verbs.h"
#include "verdict/flow.h"

/* All that policies look at is in what is printed of an inventory. */
static struct inventory *copy_of(const struct inventory *inventory, const struct given_labels *list)
{
    json_t *json = inventory_to_json(inventory);
    _cleanup_diags_ struct diags diags = {0};
    struct inventory *copy = NULL;

    if (inventory_from_json(json, &copy, &diags) < 0)
        copy = NULL;
    json_decref(json);
    for (struct container *c = copy ? copy->containers : NULL; c; c = c->hh.next)
        labels_overlay(list, c);
    return copy;
}

struct forecast {
    struct flow_judge *before, *after;
    struct cut_log *log;
};

static int foretell(const struct flow *flow, void *userdata)
{
    struct forecast *forecast = userdata;

    if (flow_in_default_zone(flow) && flow_judge(forecast->after, flow) == FLOW_DENIED &&
        flow_judge(forecast->before, flow) != FLOW_DENIED)
        cut_log_add(forecast->log, flow);
    return 0;
}

static int foretell_flows(struct daemon *daemon, const struct evaluation *before,
                          const struct evaluation *after, struct cut_log *log)
{
    _cleanup_(flow_judge_freep) struct flow_judge *was = flow_judge_new(before), *is = flow_judge_new(after);
    struct forecast forecast = {was, is, log};
    int r = daemon->flows ? 0 : flow_socket_open(&daemon->flows);

    return r < 0 ? r : flow_dump(daemon->flows, foretell, &forecast);
}

int label_plan(struct daemon *daemon, const struct given_labels *list, json_t **ret_plan, struct cut_log *log)
{
    const struct inventory *inventory = brain_inventory(daemon->brain);
    _cleanup_(inventory_freep) struct inventory *now = copy_of(inventory, brain_labels(daemon->brain)),
                                                *then = copy_of(inventory, list);
    const struct evaluation before = {brain_policies(daemon->brain), now, daemon->settings,
                                      brain_locks(daemon->brain)},
                            after = {brain_policies(daemon->brain), then, daemon->settings,
                                     brain_locks(daemon->brain)};

    if (!now || !then) /* it cannot be, as we wrote it ourselves */
        return -EBADMSG;
    *ret_plan = plan_connections(&before, &after);
    return foretell_flows(daemon, &before, &after, log);
}
