/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was denied within the last hour, per container and direction, in minutes that go out of sight one by one. Pure:
 * times come from the records and from the caller, in microseconds since 1970.
 *
 * It is bounded: of more containers than DENIED_HOUR_MAX those that were denied something longest ago go into one sum, and
 * of more peers of one container those that had least.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "util/mem.h"

#define DENIED_HOUR 3600000000ull
#define DENIED_HOUR_MAX 512 /* containers, in one direction each */

struct denied_hour;

struct denied_hour *denied_hour_new(void);
struct denied_hour *denied_hour_free(struct denied_hour *hour);
DEFINE_CLEANUP(struct denied_hour *, denied_hour_free);
/* For adding to it what is not final yet. */
struct denied_hour *denied_hour_copy(const struct denied_hour *hour);

/* A record as the log has it, at its end; an older one changes nothing. False: it tells of nothing that was denied. */
bool denied_hour_add(struct denied_hour *hour, const json_t *record, uint64_t now);

/* As status has it, of the hour before now, since when all of it was added: a new reference. */
json_t *denied_hour_to_json(const struct denied_hour *hour, uint64_t now, uint64_t since);
