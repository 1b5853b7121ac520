/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The `expect` documents of a policy set, tested against an inventory: each of `from` to each of `to`, on each of
 * `ports`, must have the verdict that is expected.
 *
 * Both verdicts are meant strictly. A connection counts as *allowed* only when the policies let it pass on every network
 * that both ends share, in every family that both have there, and Docker itself does not block it; it counts as *denied*
 * only when the policies let it pass on none, whatever Docker blocks besides. Where nothing is enforced (a container
 * with the host's network, say), nothing is denied. Of the addresses outside and of ports, one of each piece that the
 * policies may decide otherwise is tried, so none is left out.
 */
#pragma once

#include "policy/parse.h"
#include "verdict/verdict.h"

/* What fails in one line of an `expect` document: one peer of `from`, one of `to`, one of `ports`. */
struct expect_failure {
    const struct expect *expect;
    const struct expectation *expectation;
    const struct peer *from, *to;
    const struct port *port; /* NULL: the line has no ports */
    /* The first pair that fails. */
    char *from_name, *to_name; /* a container's name, "host", an address */
    char *tried; /* "5432/tcp", "1-442/tcp", "other protocols"; NULL where nothing is enforced */
    enum ip_family family;
    char *why;                   /* what each side says, on one line */
    const struct source_pos *by; /* of the rule that decides, or NULL */
    size_t n_failed, n_pairs;    /* pairs (of a container and another, the host, or the outside) */
};

struct expect_result {
    struct expect_failure *failures;
    size_t n_failures;
    /* Lines for which the inventory has no pair at all. */
    const struct expectation **untested;
    size_t n_untested;
    size_t n_tested; /* lines that were tested */
};

/* Everything in `with` must outlive the result. */
void expect_test(const struct evaluation *with, struct expect_result *ret);
void expect_result_clear(struct expect_result *result);

/* The same as diagnostics, each at the place of its line. Returns 0, or -EBADMSG when an expectation fails. */
int expect_report(const struct evaluation *with, const struct expect_result *result, struct diags *diags);
