// SPDX-License-Identifier: GPL-2.0-or-later
#include "denial/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnetfilter_log/libnetfilter_log.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

#define IP4_HEADER 20u
#define IP6_HEADER 40u
#define ARP_SENDER 14u /* of IPv4 over Ethernet: RFC 826 */
#define ARP_TARGET 24u
#define ARP_BYTES 28u
#define ETHER_HEADER 14u
#define IP6_HEADERS_MAX 8 /* in front of the transport header */

bool proto_has_ports(uint8_t proto)
{
    return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_DCCP || proto == IPPROTO_SCTP ||
           proto == IPPROTO_UDPLITE;
}

static uint16_t read_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void read_transport(const uint8_t *bytes, size_t len, struct denied_packet *packet)
{
    packet->has_head = len >= sizeof(packet->head);
    if (packet->has_head)
        memcpy(packet->head, bytes, sizeof(packet->head));
    packet->has_ports = proto_has_ports(packet->proto) && len >= 4;
    if (packet->has_ports) {
        packet->source_port = read_u16(bytes);
        packet->destination_port = read_u16(bytes + 2);
    }
}

static void read_ip4(const uint8_t *bytes, size_t len, struct denied_packet *packet)
{
    size_t header = len ? (bytes[0] & 0x0fu) * 4u : 0;

    if (len < IP4_HEADER || bytes[0] >> 4 != 4 || header < IP4_HEADER)
        return;
    packet->has_ip = packet->has_proto = true;
    packet->source = ip_from_bytes(IP4, bytes + 12);
    packet->destination = ip_from_bytes(IP4, bytes + 16);
    packet->proto = bytes[9];
    if ((read_u16(bytes + 6) & 0x1fff) == 0 && header < len) /* else it is a later fragment */
        read_transport(bytes + header, len - header, packet);
}

static bool is_extension(uint8_t proto)
{
    return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
           proto == IPPROTO_FRAGMENT || proto == IPPROTO_AH;
}

/* Of an extension header that begins here; RFC 8200, and RFC 4302 for the odd one. */
static size_t extension_len(uint8_t proto, const uint8_t *bytes)
{
    if (proto == IPPROTO_FRAGMENT)
        return 8;
    return proto == IPPROTO_AH ? (bytes[1] + 2u) * 4u : (bytes[1] + 1u) * 8u;
}

static void read_ip6(const uint8_t *bytes, size_t len, struct denied_packet *packet)
{
    size_t at = IP6_HEADER;
    uint8_t proto;

    if (len < IP6_HEADER || bytes[0] >> 4 != 6)
        return;
    packet->has_ip = true;
    packet->source = ip_from_bytes(IP6, bytes + 8);
    packet->destination = ip_from_bytes(IP6, bytes + 24);
    proto = bytes[6];
    for (int i = 0; i < IP6_HEADERS_MAX && is_extension(proto); i++) {
        uint8_t next;

        if (len < at + 8)
            return;
        next = bytes[at];
        if (proto == IPPROTO_FRAGMENT && (read_u16(bytes + at + 2) & 0xfff8) != 0) {
            packet->has_proto = true;
            packet->proto = next;
            return;
        }
        at += extension_len(proto, bytes + at);
        proto = next;
    }
    packet->has_proto = true;
    packet->proto = proto;
    if (at < len)
        read_transport(bytes + at, len - at, packet);
}

static void read_arp(const uint8_t *bytes, size_t len, struct denied_packet *packet)
{
    if (len < ARP_BYTES)
        return;
    packet->has_ip = true;
    packet->source = ip_from_bytes(IP4, bytes + ARP_SENDER);
    packet->destination = ip_from_bytes(IP4, bytes + ARP_TARGET);
}

void denied_packet_read(const uint8_t *bytes, size_t len, struct denied_packet *packet)
{
    if (packet->ether_type == ETH_P_IP)
        read_ip4(bytes, len, packet);
    else if (packet->ether_type == ETH_P_IPV6)
        read_ip6(bytes, len, packet);
    else if (packet->ether_type == ETH_P_ARP)
        read_arp(bytes, len, packet);
}

/* ---- messages ----------------------------------------------------------------------------------------- */

static unsigned read_index(const struct nlattr *attr)
{
    return attr && mnl_attr_get_payload_len(attr) >= 4 ? ntohl(mnl_attr_get_u32(attr)) : 0;
}

static bool read_prefix(const struct nlattr *attr, struct denied_packet *packet)
{
    const char *text;
    size_t len;

    if (!attr)
        return false;
    text = mnl_attr_get_payload(attr);
    len = mnl_attr_get_payload_len(attr);
    if (len == 0 || !memchr(text, '\0', len))
        return false;
    packet->outside = strncmp(text, DENY_OUTSIDE, strlen(DENY_OUTSIDE)) == 0;
    return deny_point_parse(packet->outside ? text + strlen(DENY_OUTSIDE) : text, &packet->point);
}

/* What the frame's header has; where there is none, what the interface says of the sender. */
static void read_hardware(struct nlattr *const *attrs, struct denied_packet *packet)
{
    const struct nlattr *header = attrs[NFULA_HWHEADER], *address = attrs[NFULA_HWADDR];
    const size_t len = sizeof(packet->source_mac.bytes);

    if (header && mnl_attr_get_payload_len(header) >= ETHER_HEADER) {
        const uint8_t *bytes = mnl_attr_get_payload(header);

        packet->has_mac = packet->has_destination_mac = true;
        memcpy(packet->destination_mac.bytes, bytes, len);
        memcpy(packet->source_mac.bytes, bytes + len, len);
    } else if (address && mnl_attr_get_payload_len(address) >= sizeof(struct nfulnl_msg_packet_hw)) {
        const struct nfulnl_msg_packet_hw *hardware = mnl_attr_get_payload(address);

        packet->has_mac = ntohs(hardware->hw_addrlen) == len;
        if (packet->has_mac)
            memcpy(packet->source_mac.bytes, hardware->hw_addr, len);
    }
}

static int read_packet(const struct nlmsghdr *message, struct nlattr *const *attrs,
                       struct denied_packet *packet)
{
    const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
    const struct nlattr *about = attrs[NFULA_PACKET_HDR], *payload = attrs[NFULA_PAYLOAD];

    if (!about || mnl_attr_get_payload_len(about) < sizeof(struct nfulnl_msg_packet_hdr))
        return -EBADMSG;
    packet->bridged = header->nfgen_family == NFPROTO_BRIDGE;
    packet->ether_type =
        ntohs(((const struct nfulnl_msg_packet_hdr *)mnl_attr_get_payload(about))->hw_protocol);
    packet->in = read_index(attrs[NFULA_IFINDEX_INDEV]);
    packet->out = read_index(attrs[NFULA_IFINDEX_OUTDEV]);
    packet->port_in = read_index(attrs[NFULA_IFINDEX_PHYSINDEV]);
    packet->port_out = read_index(attrs[NFULA_IFINDEX_PHYSOUTDEV]);
    if (packet->bridged && packet->port_in) /* the interface is said to be the bridge then */
        packet->in = packet->port_in;
    if (packet->bridged && packet->port_out)
        packet->out = packet->port_out;
    read_hardware(attrs, packet);
    /* Where the packet has no frame, its family says what it is. */
    if (!packet->bridged && header->nfgen_family == NFPROTO_IPV4)
        packet->ether_type = ETH_P_IP;
    else if (!packet->bridged && header->nfgen_family == NFPROTO_IPV6)
        packet->ether_type = ETH_P_IPV6;
    if (payload)
        denied_packet_read(mnl_attr_get_payload(payload), mnl_attr_get_payload_len(payload), packet);
    return 0;
}

int denied_packet_parse(const struct nlmsghdr *message, struct denied_packet *ret, uint32_t *ret_seq)
{
    struct denied_packet packet = {0};
    struct nlattr *attrs[NFULA_MAX + 1] = {0};
    int r;

    if (message->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
        return -ENOMSG;
    if (mnl_nlmsg_get_payload_len(message) < sizeof(struct nfgenmsg) ||
        nflog_nlmsg_parse(message, attrs) < MNL_CB_STOP)
        return -EBADMSG;
    *ret_seq = read_index(attrs[NFULA_SEQ]);
    if (!read_prefix(attrs[NFULA_PREFIX], &packet))
        return -ENOMSG;
    r = read_packet(message, attrs, &packet);
    if (r == 0)
        *ret = packet;
    return r;
}
