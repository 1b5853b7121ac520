/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dry run of what the brain knows, now. */
#pragma once

#include "daemon/brain.h"
#include "plan/plan.h"

/* Why no plan can be made now, for people; NULL: it can. */
const char *plan_impossible(const struct brain *brain);
/* The brain and the policies are borrowed, and must not change as long as the plan is there; the kernel's content, as it
 * was read, becomes the plan's. */
struct plan *plan_new(const struct brain *brain, const struct policy_set *policies, struct ruleset *kernel);
