/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a numbered message looks like, and how denied traffic is told from all other. */
#pragma once

#include "probe.h"

#define MAGIC_ANSWER 0x636f6661 /* to be sent back */
#define MAGIC_QUIET 0x636f6671
#define MAGIC_DENIED 0x636f6664 /* must not arrive anywhere */

/* Source ports of the flood, whose packets must not arrive anywhere. */
#define DENIED_FIRST 7000
#define DENIED_LAST 7999

struct message {
    uint32_t magic;
    uint32_t flow;
    uint64_t number;
};

/* A receive buffer that holds all that may come while the machine is busy elsewhere. */
void make_room(int fd);
