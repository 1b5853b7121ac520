/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fixed part of the ruleset: base chains, dispatch maps and the sets that say what is managed and live.
 * What a packet meets, in order, is written there and nowhere else.
 */
#pragma once

#include "ruleset/compile.h"
#include "ruleset/ruleset.h"

/* Verdict maps from an endpoint's address to its class's chain; each ends in "* : drop". */
enum dispatch { DISPATCH_EGRESS, DISPATCH_INGRESS, DISPATCH_HOST_EGRESS, DISPATCH_HOST_INGRESS, DISPATCHES };

/* "egress4" and so on; static. */
const char *dispatch_map_name(enum dispatch dispatch, enum ip_family family);
/* The word in the names of the class chains that the map leads to. */
enum deny_point dispatch_deny_point(enum dispatch dispatch);
const char *dispatch_word(enum dispatch dispatch);

/* Has the field in question, of an address, in either family. */
enum field source_field(enum ip_family family);
enum field destination_field(enum ip_family family);

void skeleton_build(struct ruleset *ruleset, const struct compile_options *options);
