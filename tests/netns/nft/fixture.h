/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A network namespace for each test, and nft(8) as an independent witness of what the kernel holds. */
#pragma once

#include "nft/socket.h"
#include "ruleset/ruleset.h"
#include "util/diag.h"

#define SKIPPED 77 /* what ctest takes for "not run" */

struct fixture {
    struct nft_socket *nft;
    struct diags diags;
};

/* cmocka's set-up and tear-down of one test. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Runs a shell command in the test's namespace; what it says is freed by the caller. Fails the test when it
 * fails. */
char *witness(const char *command);
int witness_status(const char *command);

/* The text with every elements list sorted and on one line, and without empty lines. */
char *normalise(const char *text);

char *ruleset_text(const struct ruleset *ruleset);
/* The kernel holds just this ruleset, and nft lists it in just these words. */
void assert_listed(const struct ruleset *ruleset);
/* The same of tables that a socket owns, and of those left behind by a socket that is closed. */
void assert_listed_protected(const struct ruleset *ruleset);
void assert_listed_orphaned(const struct ruleset *ruleset);
/* Fails the test with all diagnostics when r is negative. */
void assert_done(struct fixture *fixture, int r);
/* A diagnostic, or its help, contains the text. */
void assert_said(const struct fixture *fixture, const char *text);
void load(struct fixture *fixture, const struct ruleset *ruleset);
