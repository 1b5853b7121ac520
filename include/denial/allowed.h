/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections that were allowed, as conntrack tells of them, in the form of which records are made. Pure. */
#pragma once

#include "denial/packet.h"
#include "flow/flow.h"
#include "inventory/inventory.h"

/*
 * What its first packet was to whom it reached: its destination is that after translation. false: neither end is in a
 * managed network, or it is in another zone, and nobody wants a record of it.
 */
bool allowed_packet(const struct inventory *inventory, const struct flow *flow, struct denied_packet *ret);
