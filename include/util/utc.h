/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moments in UTC as RFC 3339 has them: "2026-11-20T15:04:05Z". */
#pragma once

#include <stdint.h>

/* Seconds since 1970; "" where that year has no four digits. The caller frees it. */
char *utc_text(uint64_t seconds);
/* In exactly that form, and a day that there is: 0, else -EINVAL. */
int utc_parse(const char *text, uint64_t *ret);
