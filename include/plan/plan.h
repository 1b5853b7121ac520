/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dry run: what another policy set would change. Pure: the edge reads the kernel's tables and its connections, and
 * has the kernel validate the delta. The result of the control protocol's verb "plan":
 *
 * {"changes": BOOL, "plan_id": TEXT (64 hexadecimal digits) | null (offline),
 *  "summary": {"policies_added", "policies_changed", "policies_removed", "policies_same", "connections_allowed",
 *              "connections_denied", "live_connections_cut", "rules_added", "rules_removed", "rules_reordered", "errors",
 *              "warnings"},                                                   (numbers)
 *  "policies": [{"name", "change": "added" | "changed" | "removed", "mode": "enforce" | "audit" | null, "old_mode",
 *                "place": {"file", "line"} | null, "old_place"}],          (null where there is none, before or after)
 *  "connections": [...], "connections_text": TEXT,                          (those of verdict/changes_json.h and changes.h)
 *  "live_connections": {"known": BOOL, "cut": [{"from", "from_address", "from_port", "to", "to_address", "port", "via"}],
 *                       "more": N (not listed)},
 *  "rules": {"operations": N (in the kernel), "replaced": BOOL (the tables, in whole), "validated": BOOL | null (offline),
 *            "lines": [{"change": "+" | "-" | "~", "table": "inet cofferdam", "kind", "name", "text"}] | null,
 *            "more": N (lines not listed)},
 *  "problems": [...]}                                                       (diagnostics, as `check --json` has them)
 *
 * from and to are a container's name, "host" or an address; port is "5432/tcp", or a protocol; via is where the
 * connection was opened to, where that was another address or port ("192.0.2.1:8080"), or null. kind and name are those
 * of `verify`. "~" is a chain whose rules change their order.
 *
 * connections_allowed and _denied count the connections listed, of which each may be many; those that Docker blocks
 * whatever the policies say are listed, and not counted.
 *
 * plan_id depends on the policies in force and the new ones (the bytes of their files, not their names), the containers
 * and networks, and the content of our tables: as long as it is the same, so is the plan, but for
 * the connections that are open. See plan/plan_basis.h.
 */
#pragma once

#include <jansson.h>

#include "flow/flow.h"
#include "plan/plan_basis.h"
#include "ruleset/compile.h"
#include "verdict/verdict.h"

struct plan;

/*
 * From the policies in force to the new ones, over one inventory, which must not change as long as the plan is there. The
 * kernel's content, as it was read, and the compiler, which holds the new policies and all that is live, become the
 * plan's.
 */
struct plan *plan_between(const struct evaluation *old, const struct evaluation *new, struct ruleset *kernel,
                          struct compiler *compiler);
/* The same where there is no kernel to read: as if it held what the old policies make of the inventory. */
struct plan *plan_offline(const struct evaluation *old, const struct evaluation *new);
struct plan *plan_free(struct plan *plan);
DEFINE_CLEANUP(struct plan *, plan_free);

/* What would be done in the kernel, if what others have changed there was put right first. */
const struct delta *plan_delta(const struct plan *plan);
/* An open connection; the same one may be told of more than once. */
void plan_add_flow(struct plan *plan, const struct flow *flow);

/* What the edge has found out. */
struct plan_facts {
    bool lines;                      /* wanted, of the rules that change */
    bool full;                       /* connections_text in full */
    int flows_error;                 /* 0: plan_add_flow() was called for all */
    struct diags *warnings;          /* of the new policies' files, moved out of it; or NULL */
    int validation;                  /* 0: the kernel would take the delta */
    const struct diags *validations; /* what it says to it otherwise */
};

/* A new reference. *ret_exit: an enum exit_status. Before plan_take_basis(). */
json_t *plan_to_json(struct plan *plan, const struct plan_facts *facts, int *ret_exit);
/* What it was made from, which becomes the caller's; NULL where there is no kernel. */
struct plan_basis *plan_take_basis(struct plan *plan);
