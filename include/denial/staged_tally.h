/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was seen that would change if what is staged were enforced, put together: per staged policy, for default_mode, and
 * for all of it at once; and in each per source, destination and port. Pure: no clock, all from records.
 *
 * It is bounded, and who makes many connections keeps nobody else out of it: when it is full, the source with most rows
 * loses one for another's, which is counted.
 */
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "util/mem.h"

#define STAGED_ROWS_MAX 4096

struct staged_tally;

struct staged_tally *staged_tally_new(void);
struct staged_tally *staged_tally_free(struct staged_tally *tally);
DEFINE_CLEANUP(struct staged_tally *, staged_tally_free);

/*
 * A record (docs/log.md) as it is opened, and once more when it is final: how many connections it stands for counts from
 * then on.
 */
void staged_tally_add(struct staged_tally *tally, const json_t *record, bool final);

/*
 * What was seen of one item: a policy's name, STAGED_DEFAULT_MODE, or NULL for all at once:
 * {"connections": N, "left_out": N, "rows": [...]}, the rows by direction, with most connections first. A new reference.
 */
json_t *staged_tally_item(const struct staged_tally *tally, const char *item);
/* Records that were looked at. */
unsigned long long staged_tally_seen(const struct staged_tally *tally);
