/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy language as a JSON Schema (draft 2020-12), made from the tables that the parser itself reads by: for
 * editors, and for whoever writes policies with programs.
 *
 * It describes one document of a policy file. It never refuses what the parser takes, but takes some of what the parser
 * refuses, such as a bad glob or a CIDR block with host bits set: `cofferdam check` has the last word.
 */
#pragma once

#include <jansson.h>

json_t *policy_json_schema(void); /* a new reference */
