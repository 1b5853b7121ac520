/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Live flows against the policies: would this connection be let through if it were opened now? Pure.
 */
#pragma once

#include "flow/flow.h"
#include "util/mem.h"
#include "verdict/verdict.h"

enum flow_fate {
    FLOW_FOREIGN, /* no end is an endpoint of a managed network, or an address on one: not ours to judge */
    FLOW_ALLOWED,
    FLOW_DENIED,
};

/*
 * Judges many flows under the same policies, inventory and settings; all are borrowed, and must neither change nor
 * go while the judge is there. The ends of a connection are those that the rules see: its source before, and its
 * destination after translation.
 *
 * An end is, in this order: a live endpoint of a managed network; the host (its addresses in the inventory, and
 * loopback); an address in a managed network's subnet that neither has, which is denied everything but, with
 * unknown_endpoints: internet, connections that it opens to public addresses; the outside. An address that two live
 * endpoints have counts as one that nobody has. A connection that a helper foretold is denied, as in the rules.
 * The inventory's host_addresses must be up to date: a bridge's own address is in its subnet.
 */
struct flow_judge;

struct flow_judge *flow_judge_new(const struct evaluation *with);
struct flow_judge *flow_judge_free(struct flow_judge *judge);
DEFINE_CLEANUP(struct flow_judge *, flow_judge_free);

enum flow_fate flow_judge(struct flow_judge *judge, const struct flow *flow);

/* Is one of the four addresses of its tuples among these? They must be sorted by ip_sort(). */
bool flow_touches(const struct flow *flow, const struct ip *addresses, size_t n);
