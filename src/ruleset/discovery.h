/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a container says of itself to its neighbours, below the addresses of its packets: who has them (neighbour
 * discovery, ARP), and who listens to what (IGMP, multicast listener discovery).
 */
#pragma once

#include "ruleset/compile.h"
#include "ruleset/ruleset.h"

/* The sets and chains that it takes, in table bridge. */
void discovery_build(struct ruleset *ruleset, const struct compile_options *options);

/* For the bridge's prerouting: ahead of what accepts by address, and ahead of what accepts ARP. */
void discovery_check_ip(struct chain *chain);
void discovery_check_arp(struct chain *chain);

/* For the inet hooks: drops neighbour discovery with anything between the IPv6 header and it. */
void discovery_refuse_hidden(struct chain *chain);

/* For table bridge, and ports of which nothing is known: drops advertisements of a container's address. */
void discovery_refuse_claims(struct chain *chain);
