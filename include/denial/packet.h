/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A packet that the rules have denied and told NFLOG of, as a plain value. Pure. linux/netfilter/nfnetlink_log.h.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ruleset/deny.h"
#include "util/addr.h"

#define DENIED_PACKET_BYTES 128 /* of a packet that are looked at */

struct denied_packet {
    enum deny_point point;
    bool outside; /* it came from no managed bridge, and the meters of those have counted it */
    bool allowed; /* or the first of a connection that was allowed (allowed.h); no point then */
    bool counts_for_destination; /* it takes the destination's share of the records, not the source's */
    bool bridged; /* denied in the bridge table, before anybody has looked at its transport header */
    uint16_t ether_type;
    bool has_ip;
    struct ip source, destination; /* of ARP: of the sender and of whom it asks for */
    bool has_proto;                /* false: behind headers that are longer than what is seen of the packet */
    uint8_t proto;                 /* IANA's number */
    bool has_head;                 /* of the transport header: */
    uint8_t head[2];               /* its first two bytes (ICMP: type and code) */
    bool has_ports;
    uint16_t source_port, destination_port;
    unsigned in, out;           /* indices of the interfaces; 0: none */
    unsigned port_in, port_out; /* of the bridge's ports, where it crosses one */
    bool has_mac;
    struct mac source_mac;
    bool has_destination_mac;
    struct mac destination_mac;
};

/* Has it ports where the rules look for them? TCP, UDP, DCCP, SCTP, UDP-Lite. */
bool proto_has_ports(uint8_t proto);

/*
 * 0, and in *ret_seq the number that the kernel has given the message (they have no gaps unless some are lost);
 * -ENOMSG: it is no packet, or none with a prefix of ours; -EBADMSG: malformed.
 */
int denied_packet_parse(const struct nlmsghdr *message, struct denied_packet *ret, uint32_t *ret_seq);

/* The packet alone, without its message: fills in the addresses and what follows them. */
void denied_packet_read(const uint8_t *bytes, size_t len, struct denied_packet *packet);
