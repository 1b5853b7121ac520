/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flow: one entry of the kernel's connection tracking table, as a plain value.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/addr.h"

/* What the packets of one direction say; address translation is what makes the two directions differ. */
struct flow_tuple {
    struct ip source, destination;
    uint16_t source_port, destination_port; /* 0 unless the flow has ports; GRE: its keys */
};

struct flow_counters {
    uint64_t packets, bytes;
};

struct flow {
    enum ip_family family;
    uint8_t proto; /* IANA's number */
    bool has_ports;
    uint8_t icmp_type, icmp_code; /* of the first packet; ICMP and ICMPv6 only */
    uint16_t icmp_id;
    struct flow_tuple original, reply;
    uint16_t zone;                       /* of both directions; 0 is the default one */
    uint16_t zone_original, zone_reply;  /* of one direction alone */
    uint32_t mark;                       /* others' */
    uint8_t tcp_state;                   /* enum tcp_conntrack of the kernel's; 0: none is told */
    uint32_t id;                         /* tells an entry from a later one of the same tuple */
    bool confirmed, assured, snat, dnat; /* its status, in conntrack's own words */
    bool expected;     /* foretold by another flow (a helper): its first packet was "related" */
    uint32_t timeout;  /* seconds until it ends by itself */
    bool has_counters; /* the kernel counts only where nf_conntrack_acct is on */
    struct flow_counters original_counters, reply_counters;
    uint64_t start_ns; /* wall clock, since 1970; 0 unless nf_conntrack_timestamp is on */
};

/* In the zone that everybody uses who does not ask for another; only there addresses mean what we know of them. */
static inline bool flow_in_default_zone(const struct flow *flow)
{
    return flow->zone == 0 && flow->zone_original == 0 && flow->zone_reply == 0;
}
