// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections that must end: the kernel's connection tracking table, asked and changed as the brain says. */
#include "daemon.h"

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

    bool must = is_cut(flow, daemon) || brain_flow_must_end(daemon->brain, flow);

    if (must && daemon->cut && daemon->cut->whole)
        cut_log_add(daemon->cut, flow);
    return must;
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
