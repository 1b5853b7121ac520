/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Within the lint of an inventory: rules by which nothing passes. */
#pragma once

#include "verdict/verdict.h"

/*
 * Warns of each allow rule in force, or peer of one, that means connections between those who are there and by which
 * none of them passes, as deny rules take all of them, the other side allows none, or Docker itself blocks them. Exact;
 * but where there is too much to look at, the last policies are left out.
 */
void lint_rules(const struct evaluation *with, struct diags *diags);
