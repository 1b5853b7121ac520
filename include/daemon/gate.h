/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a policy set must hold before it comes into force: its own expectations. Pure.
 */
#pragma once

#include "verdict/verdict.h"

/*
 * Tests the `expect` documents of a set; diags gets what fails, and what nothing could be tested of as a warning. known:
 * whether the containers are. 0; -EBADMSG: an expectation fails; -EAGAIN: there are some, and no containers to test them
 * with.
 */
int gate_expectations(const struct evaluation *with, bool known, struct diags *diags);
