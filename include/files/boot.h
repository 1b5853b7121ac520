/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The running kernel's identity, and the clock that nobody can set. */
#pragma once

#include <stdint.h>

/* The boot ID, which the caller frees; NULL: it cannot be read. */
char *boot_id(void);
/* CLOCK_BOOTTIME, in microseconds. */
uint64_t boot_now(void);
