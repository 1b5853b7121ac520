// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>

#include "flow/socket.h"
#include "util/mem.h"

#define PORTION 16384 /* flows kept in memory until they are deleted: some 4 MiB */

struct sweep {
    struct flow_socket *socket;
    bool (*must_end)(const struct flow *flow, void *userdata);
    void *userdata;
    struct flow *flows;
    size_t n, ended;
    bool found; /* in this round */
    int error;  /* the first of those that do not keep the sweep from going on */
};

static void end_flows(struct sweep *sweep)
{
    size_t deleted = 0;
    int r = flow_delete(sweep->socket, sweep->flows, sweep->n, &deleted);

    if (r < 0 && sweep->error == 0)
        sweep->error = r;
    sweep->ended += deleted;
    sweep->found = true;
    sweep->n = 0;
}

static int judge(const struct flow *flow, void *userdata)
{
    struct sweep *sweep = userdata;

    if (!flow_in_default_zone(flow) || !sweep->must_end(flow, sweep->userdata))
        return 0;
    *ARRAY_ADD(sweep->flows, sweep->n) = *flow;
    if (sweep->n == PORTION)
        end_flows(sweep);
    return 0;
}

int flow_sweep(struct flow_socket *socket, bool (*must_end)(const struct flow *flow, void *userdata),
               void *userdata, size_t *ret_ended)
{
    struct sweep sweep = {.socket = socket, .must_end = must_end, .userdata = userdata, .found = true};

    for (int i = 0; i < FLOW_SWEEP_ROUNDS && sweep.found; i++) {
        int r;

        sweep.found = false;
        r = flow_dump(socket, judge, &sweep);
        /* What was read until then is worth deleting whatever became of the rest. */
        if (sweep.n)
            end_flows(&sweep);
        if (r < 0 && sweep.error == 0)
            sweep.error = r;
    }
    free(sweep.flows);
    if (sweep.error == 0 && ret_ended)
        *ret_ended = sweep.ended;
    return sweep.error;
}
