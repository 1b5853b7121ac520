/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Within the lint of an inventory: ports on which nobody listens. */
#pragma once

#include "members.h"

/* Warns of each single port of the policy's ingress that none of its subjects has in use, where that is known of all. */
void lint_ports(const struct roll *roll, const struct policy *policy, struct diags *diags);
