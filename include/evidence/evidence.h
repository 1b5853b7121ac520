/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a lockdown would destroy, written down before it does: cofferdam-evidence(5).
 *
 * It must neither keep nor delay the cut. So all of it is done by child processes, which are given a time and then left
 * to themselves: a disk that hangs, a full one, an Engine or daemon that does not answer cost that time at most, and
 * memory that runs out ends a child.
 */
#pragma once

#include <jansson.h>

#include "policy/settings.h"

#define EVIDENCE_COLLECT_MS 2000 /* before the cut, in all */
#define EVIDENCE_FINISH_MS 10000 /* after it */

struct evidence;

/*
 * Collects, and returns when that is done or time is up. request: the lockdown's, control/protocol.h; borrowed until this
 * returns. directory: made, or used if it is empty, else a folder is made in it. Never NULL.
 */
struct evidence *evidence_collect(const struct settings *settings, const char *directory,
                                  const json_t *request);

/*
 * Adds what was cut (the answer's result, or NULL: nothing was), the manifest and the checksums, and has all of it on the
 * disk. Returns the report of it, packaging/schemas/lockdown.schema.json "evidence", a new reference, and frees evidence.
 */
json_t *evidence_finish(struct evidence *evidence, const json_t *result);
