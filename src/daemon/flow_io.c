// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections that must end: the kernel's connection tracking table, asked and changed as the brain says. */
#include "daemon.h"

#define CUT_LOG_MAX 1000

void cut_log_add(struct cut_log *log, const struct flow *flow)
{
    for (size_t i = 0; i < log->n; i++)
        if (log->v[i].id == flow->id)
            return;
    if (log->n == CUT_LOG_MAX)
        log->more++;
    else
        *ARRAY_ADD(log->v, log->n) = *flow;
}

static bool is_cut(const struct flow *flow, void *userdata)
{
    struct daemon *daemon = userdata;
    bool cut = brain_lock_fate(daemon->brain, flow) == LOCK_CUTS;

    if (cut && daemon->cut)
        cut_log_add(daemon->cut, flow);
    return cut;
}

static bool must_end(const struct flow *flow, void *userdata)
{
    struct daemon *daemon = userdata;

    return is_cut(flow, daemon) || brain_flow_must_end(daemon->brain, flow);
}

/* One sweep may find what a packet, on its way when the rules changed, has put into the table only after the last. */
int flows_cut(struct daemon *daemon, size_t *ret_left)
{
    int r = daemon->flows ? 0 : flow_socket_open(&daemon->flows);

    *ret_left = 0;
    brain_begin_lock_flows(daemon->brain);
    for (int round = 0; r == 0 && round < FLOWS_CUT_ROUNDS; round++) {
        r = flow_sweep(daemon->flows, is_cut, daemon, ret_left);
        if (*ret_left == 0)
            break;
    }
    return r;
}

/* What the host's own addresses are decides whose a connection is: a lease may just have been renewed. */
void flows_end(struct daemon *daemon)
{
    size_t ended = 0;
    int r = daemon->flows ? 0 : flow_socket_open(&daemon->flows);

    host_refresh(daemon);
    brain_begin_flows(daemon->brain);
    if (r == 0)
        r = flow_sweep(daemon->flows, must_end, daemon, &ended);
    brain_flows_ended(daemon->brain, r, ended, daemon_now());
}
