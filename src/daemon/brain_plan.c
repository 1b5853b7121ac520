// SPDX-License-Identifier: GPL-2.0-or-later
#include "brain_private.h"
#include "daemon/plan.h"

const char *plan_impossible(const struct brain *brain)
{
    if (brain->torn_down)
        return "the rules were removed";
    if (!brain->inventory_known)
        return "the containers are not known yet: the Docker Engine has not answered since cofferdamd started";
    /* Until then it is not said who is live. */
    if (brain->hold || !brain->loaded)
        return "the rules are not in force yet: see `cofferdam status`, and try again";
    return NULL;
}

struct plan *plan_new(const struct brain *brain, const struct policy_set *policies, struct ruleset *kernel)
{
    const struct evaluation old = {brain->policies, brain->inventory, brain->settings, brain->locks},
                            new = {policies, brain->inventory, brain->settings, brain->locks};
    struct compiler *compiler = compiler_new(policies, &brain->options);

    brain_compile_all(brain, compiler);
    return plan_between(&old, &new, kernel, compiler);
}
