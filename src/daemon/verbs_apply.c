/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs that change which policies are in force. */
#include <errno.h>

#include "control/protocol.h"
#include "daemon.h"
#include "verbs.h"

/* Those that were overridden count as much as those that are refused. */
static json_t *applied(const struct daemon *daemon, const struct load_result *result, size_t flows)
{
    size_t n = brain_policies(daemon->brain)->n_policies, overridden = result->overridden.n_errors;
    _cleanup_free_ char *cut =
        flows > 0 ? xasprintf("; %zu connection%s ended", flows, flows == 1 ? "" : "s") : NULL;
    _cleanup_free_ char *forced = result->untested ? xstrdup("; the expectations are not tested yet")
                                  : overridden
                                      ? xasprintf("; %zu expectation%s fail%s", overridden,
                                                  overridden == 1 ? "" : "s", overridden == 1 ? "s" : "")
                                      : NULL;
    _cleanup_free_ char *text =
        xasprintf("applied %zu polic%s; %zu change%s in the kernel%s%s", n, n == 1 ? "y" : "ies",
                  result->changes, result->changes == 1 ? "" : "s", cut ?: "", forced ?: "");
    json_t *object =
        json_pack("{s:I, s:I, s:I, s:s}", "policies", (json_int_t)n, "changes", (json_int_t)result->changes,
                  "connections_ended", (json_int_t)flows, "text", text);

    if (overridden)
        json_object_set_new(object, "overridden", diags_to_json(&result->overridden));
    return object;
}

static const char not_loaded[] = "the policies were not loaded; those in force stay in force";

json_t *verb_apply(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    _cleanup_diags_ struct diags diags = {0};
    const json_t *only = json_object_get(request, "only");
    const struct load_request wanted = {.only = json_string_value(only),
                                        .force = json_is_true(json_object_get(request, "force"))};
    size_t flows = brain_flow_count(daemon->brain);
    struct load_result result = {0};
    json_t *answer;

    (void)peer;
    if (only && !plan_id_is_valid(wanted.only))
        return control_error(STATUS_USAGE, "that is not the ID of a plan",
                             "it has 64 digits, and is needed in full: `cofferdam plan` prints it", NULL);
    int r = daemon_reload(daemon, &wanted, &result, &diags);
    if (r == -EINPROGRESS)
        answer = verb_error_of(&diags, "the policies wait for the Docker Engine");
    else if (r == -ESTALE)
        answer = verb_error_of(&diags, "the plan is stale");
    else if (r < 0)
        answer = control_error(STATUS_ERROR, not_loaded,
                               r == -ECANCELED
                                   ? "mend them or what is expected of them; `cofferdam apply --force` loads "
                                     "them as they are"
                                   : NULL,
                               &diags);
    else
        answer = control_answer(STATUS_OK, applied(daemon, &result, brain_flow_count(daemon->brain) - flows));
    diags_clear(&result.overridden);
    return answer;
}
