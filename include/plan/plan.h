/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dry run: what another policy set would change. Pure: the edge reads the kernel's tables and its connections, and
 * has the kernel validate the delta. packaging/schemas/plan.schema.json says what is in the result of the control
 * protocol's verb "plan"; what its plan_id depends on is in plan/plan_basis.h.
 *
 * connections_allowed and _denied of the summary count the connections listed, of which each may be many; those that
 * Docker blocks whatever the policies say are listed, and not counted.
 */
#pragma once

#include <jansson.h>

#include "flow/flow.h"
#include "plan/plan_basis.h"
#include "plan/recorded.h"
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
    bool lines;                          /* wanted, of the rules that change */
    bool full;                           /* connections_text in full */
    int flows_error;                     /* 0: plan_add_flow() was called for all */
    struct diags *warnings;              /* of the new policies' files, moved out of it; or NULL */
    int validation;                      /* 0: the kernel would take the delta */
    const struct diags *validations;     /* what it says to it otherwise */
    const struct recorded_log *recorded; /* to be judged too; or NULL */
};

/* A new reference. *ret_exit: an enum exit_status. Before plan_take_basis(). */
json_t *plan_to_json(struct plan *plan, const struct plan_facts *facts, int *ret_exit);
/* Of a plan its connections and connections_text alone, where the inventories may differ in labels too: an object. A new
 * reference. */
json_t *plan_connections(const struct evaluation *old, const struct evaluation *new);
/* What it was made from, which becomes the caller's; NULL where there is no kernel. */
struct plan_basis *plan_take_basis(struct plan *plan);
