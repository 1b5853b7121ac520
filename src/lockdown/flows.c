/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lockdown/flows.h"

#include <string.h>

#include "verdict/flow.h"

#define CUT_ROUNDS 10

struct search {
    const struct lock_list *locks;
    const struct inventory *inventory;
    struct ip *addresses; /* of whom is cut */
    size_t n_addresses;
    struct cut_log *log; /* may be NULL */
};

static bool is_cut(const struct flow *flow, void *userdata)
{
    const struct search *search = userdata;

    if (!search->n_addresses || !flow_touches(flow, search->addresses, search->n_addresses) ||
        lock_flow_fate(search->locks, search->inventory, flow) != LOCK_CUTS)
        return false;
    if (search->log)
        cut_log_add(search->log, flow);
    return true;
}

int lock_flows_cut(struct flow_socket *socket, const struct lock_list *locks,
                   const struct inventory *inventory, struct cut_log *log, size_t *ret_left)
{
    struct search search = {.locks = locks, .inventory = inventory, .log = log};
    int r = 0;

    search.n_addresses = lock_addresses(locks, inventory, &search.addresses);
    *ret_left = 0;
    for (int round = 0; r == 0 && round < CUT_ROUNDS; round++) {
        r = flow_sweep(socket, is_cut, &search, ret_left);
        if (*ret_left == 0)
            break;
    }
    free(search.addresses);
    return r;
}

static int look(const struct flow *flow, void *userdata)
{
    if (flow_in_default_zone(flow))
        (void)is_cut(flow, userdata);
    return 0;
}

int lock_flows_find(struct flow_socket *socket, const struct lock_list *locks, const struct lock_list *new,
                    const struct inventory *inventory, struct cut_log *log)
{
    struct search search = {.locks = locks, .inventory = inventory, .log = log};
    int r;

    search.n_addresses = lock_addresses(new, inventory, &search.addresses);
    r = flow_dump(socket, look, &search);
    free(search.addresses);
    return r;
}

bool lock_report_cut(struct lock_report *report, int error, size_t left)
{
    if (error < 0)
        lock_report_fail(
            report,
            "the connections that are open cannot be ended (%s); their packets are dropped all the same",
            strerror(-error));
    else if (left > 0)
        lock_report_fail(
            report,
            "%zu connections came back as often as they were ended; their packets are dropped all the same",
            left);
    return error == 0 && left == 0;
}
