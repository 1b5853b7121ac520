/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel's tables made of structs: they take deltas, and are as strict about them as nf_tables is. */
#pragma once

#include "ruleset/delta.h"
#include "ruleset/ruleset.h"

/* Carries a delta out on a ruleset, as the kernel would; fails the test where the kernel would answer with an
 * error, and where tables that stand are replaced without a standby. Of a standby that is left it is only known that
 * it stands. */
void kernel_apply(struct ruleset *ruleset, const struct delta *delta);
/* The same, but of the phases only the first n: it is killed then. */
void kernel_apply_phases(struct ruleset *ruleset, const struct delta *delta, size_t n);
/* What stands after this ruleset was loaded. */
struct ruleset *kernel_copy(const struct ruleset *from);
