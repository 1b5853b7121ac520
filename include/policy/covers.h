/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does one thing that a policy says mean all that another does, whatever containers there are? None of these is ever true
 * by mistake; where only an inventory could tell, they say no.
 */
#pragma once

#include "policy/model.h"

/* Whoever b selects, a selects: all that a requires stands in b in the same words. */
bool selector_covers(const struct selector *a, const struct selector *b);
/* Of the same subject: whoever b means, a means. */
bool peer_covers(const struct peer *a, const struct peer *b);
/* Of the same subject and direction: whatever b matches, a matches. What they do with it is not looked at. */
bool rule_covers(const struct rule *a, const struct rule *b);
