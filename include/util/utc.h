/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moments in UTC as RFC 3339 has them: "2026-11-20T15:04:05Z". */
#pragma once

#include <stdint.h>

/* Seconds since 1970; "" where that year has no four digits. The caller frees it. */
char *utc_text(uint64_t seconds);
/*
 * RFC 3339 with a fraction of a second and an offset from UTC, where there are such: microseconds since 1970. 0; -EINVAL:
 * it is none, or before 1970.
 */
int utc_parse_usec(const char *text, uint64_t *ret);
/* In exactly that form, and a day that there is: 0, else -EINVAL. */
int utc_parse(const char *text, uint64_t *ret);
