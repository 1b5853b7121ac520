/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Community ID, version 1: one name of a flow for all who log it, whichever direction they saw. */
#pragma once

#include <stdbool.h>

#include "denial/packet.h"

#define COMMUNITY_ID_MAX 32 /* "1:" and 28 characters */

/* false: the packet is none that has one. Seed 0, as everybody's default is. */
bool community_id(const struct denied_packet *packet, char ret[static COMMUNITY_ID_MAX]);
