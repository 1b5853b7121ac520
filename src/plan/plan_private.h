/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the dry run share. */
#pragma once

#include "plan/plan.h"
#include "plan/recorded.h"
#include "verdict/flow.h"
#include "verdict/lock.h"

struct plan {
    struct evaluation old, new;
    const struct ruleset *kernel;
    struct ruleset *read;     /* from the kernel; NULL: offline */
    struct compiler *base;    /* offline: what the kernel is taken to hold */
    struct plan_basis *basis; /* NULL: offline, or taken */
    struct compiler *compiler;
    struct delta delta;
    struct flow_judge *old_judge, *new_judge; /* made when the first flow is told of */
    struct ip *locked;                        /* of containers that are locked down; made with them */
    size_t n_locked;
    struct flow *cut;
    size_t n_cut, n_more;
};

/* What an operator should know of the new policies and of what is not enforced; those of the files come first. */
void plan_problems(const struct plan *plan, const struct plan_facts *facts, struct diags *ret);
/* What both sets say of what was recorded: an object, as the plan has it. A new reference. */
json_t *plan_recorded(const struct evaluation *old, const struct evaluation *new,
                      const struct recorded_log *log);
