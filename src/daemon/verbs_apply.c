/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs that change which policies are in force. */
#include <errno.h>

#include "control/protocol.h"
#include "daemon.h"
#include "verbs.h"

json_t *verb_apply(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    _cleanup_diags_ struct diags diags = {0};
    size_t changes = 0, flows = brain_flow_count(daemon->brain);

    (void)request, (void)peer;
    int r = daemon_reload(daemon, &changes, &diags);
    flows = brain_flow_count(daemon->brain) - flows;
    if (r == -EINPROGRESS)
        return verb_error_of(&diags, "the policies wait for the Docker Engine");
    if (r < 0)
        return control_error(STATUS_ERROR, "the policies were not loaded; those in force stay in force", NULL,
                             &diags);
    size_t n = brain_policies(daemon->brain)->n_policies;
    _cleanup_free_ char *cut =
        flows > 0 ? xasprintf("; %zu connection%s ended", flows, flows == 1 ? "" : "s") : NULL;
    _cleanup_free_ char *text =
        xasprintf("applied %zu polic%s; %zu change%s in the kernel%s", n, n == 1 ? "y" : "ies", changes,
                  changes == 1 ? "" : "s", cut ? cut : "");
    return control_answer(STATUS_OK, json_pack("{s:I, s:I, s:I, s:s}", "policies", (json_int_t)n, "changes",
                                               (json_int_t)changes, "connections_ended", (json_int_t)flows,
                                               "text", text));
}
