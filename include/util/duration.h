/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Spans of time as people write them: "60s", "1h30m". */
#pragma once

#include <stdint.h>

#define DURATION_MAX (365ULL * 24 * 60 * 60 * 1000000) /* microseconds: one year of 365 days */

/*
 * One or more of a whole number and its unit, s, m, h or d, the larger unit first and each once: "90s", "2h", "1d12h".
 * A number without a unit is none, as 90 means seconds to some and minutes to others. 0, and *ret in microseconds;
 * -EINVAL: that is no span of time; -ERANGE: it is zero or longer than DURATION_MAX.
 */
int duration_parse(const char *text, uint64_t *ret);

/* The same form, rounded up to whole seconds: "1h30m", "0s". The caller frees it. */
char *duration_text(uint64_t usec);
