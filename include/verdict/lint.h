/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Warnings about a policy set that only an inventory shows: policies that select nothing, peers that match nothing,
 * labels that do not count because only the image sets them, grants of the internet without lookups, rules by which nothing
 * passes, ports on which nobody listens.
 */
#pragma once

#include "policy/parse.h"
#include "verdict/verdict.h"

/* Adds them to diags, in the order of their places. */
void inventory_lint(const struct evaluation *with, struct diags *diags);
