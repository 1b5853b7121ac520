// SPDX-License-Identifier: GPL-2.0-or-later
#include "flow/codec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "util/mem.h"

static bool is_icmp(uint8_t proto)
{
    return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* ---- requests ----------------------------------------------------------------------------------------- */

static struct nlmsghdr *put_header(void *buffer, uint16_t type, uint16_t flags, uint8_t family)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct nfgenmsg *header;

    message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
    message->nlmsg_flags = NLM_F_REQUEST | flags;
    header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
    header->nfgen_family = family;
    header->version = NFNETLINK_V0;
    return message;
}

struct nlmsghdr *flow_request_dump(void *buffer)
{
    return put_header(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC);
}

static void put_address(struct nlmsghdr *message, uint16_t type, struct ip ip)
{
    uint8_t bytes[sizeof(struct in6_addr)];

    ip_to_bytes(ip, bytes);
    mnl_attr_put(message, type, ip_size(ip.family), bytes);
}

static void put_proto(struct nlmsghdr *message, const struct flow *flow)
{
    struct nlattr *nest = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
    bool six = flow->proto == IPPROTO_ICMPV6;

    mnl_attr_put_u8(message, CTA_PROTO_NUM, flow->proto);
    if (flow->has_ports) {
        mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(flow->original.source_port));
        mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(flow->original.destination_port));
    } else if (is_icmp(flow->proto)) {
        mnl_attr_put_u8(message, six ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE, flow->icmp_type);
        mnl_attr_put_u8(message, six ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE, flow->icmp_code);
        mnl_attr_put_u16(message, six ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID, htons(flow->icmp_id));
    }
    mnl_attr_nest_end(message, nest);
}

static void put_original(struct nlmsghdr *message, const struct flow *flow)
{
    struct nlattr *nest = mnl_attr_nest_start(message, CTA_TUPLE_ORIG), *ip;

    ip = mnl_attr_nest_start(message, CTA_TUPLE_IP);
    put_address(message, flow->family == IP4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, flow->original.source);
    put_address(message, flow->family == IP4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, flow->original.destination);
    mnl_attr_nest_end(message, ip);
    put_proto(message, flow);
    if (flow->zone_original)
        mnl_attr_put_u16(message, CTA_TUPLE_ZONE, htons(flow->zone_original));
    mnl_attr_nest_end(message, nest);
}

struct nlmsghdr *flow_request_delete(void *buffer, const struct flow *flow)
{
    struct nlmsghdr *message =
        put_header(buffer, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, flow->family == IP4 ? AF_INET : AF_INET6);

    put_original(message, flow);
    if (flow->zone)
        mnl_attr_put_u16(message, CTA_ZONE, htons(flow->zone));
    mnl_attr_put_u32(message, CTA_ID, htonl(flow->id));
    return message;
}

/* ---- entries ------------------------------------------------------------------------------------------ */

#define ATTRS 32 /* more than any nest here has kinds of */

/* The attributes of a message or a nest by their type; unknown ones are left out. */
struct attrs {
    const struct nlattr *v[ATTRS];
};

static void keep(const struct nlattr *attr, struct attrs *attrs)
{
    uint16_t type = mnl_attr_get_type(attr);

    if (type < ATTRS)
        attrs->v[type] = attr;
}

static int get_nest(const struct nlattr *nest, struct attrs *ret)
{
    const struct nlattr *attr;

    *ret = (struct attrs){0};
    if (!nest)
        return -EBADMSG;
    mnl_attr_for_each_nested (attr, nest)
        keep(attr, ret);
    return 0;
}

/* The value's bytes if it has just this size. */
static const void *get_bytes(const struct nlattr *attr, size_t size)
{
    return attr && mnl_attr_get_payload_len(attr) == size ? mnl_attr_get_payload(attr) : NULL;
}

/* A number in network byte order; -EBADMSG: absent or of another size. */
static int get_number(const struct nlattr *attr, size_t size, uint64_t *ret)
{
    const uint8_t *bytes = get_bytes(attr, size);
    uint64_t number = 0;

    if (!bytes)
        return -EBADMSG;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    *ret = number;
    return 0;
}

static int get_u8(const struct nlattr *attr, uint8_t *ret)
{
    uint64_t number;
    int r = get_number(attr, sizeof(*ret), &number);

    if (r == 0)
        *ret = (uint8_t)number;
    return r;
}

static int get_u16(const struct nlattr *attr, uint16_t *ret)
{
    uint64_t number;
    int r = get_number(attr, sizeof(*ret), &number);

    if (r == 0)
        *ret = (uint16_t)number;
    return r;
}

static int get_u32(const struct nlattr *attr, uint32_t *ret)
{
    uint64_t number;
    int r = get_number(attr, sizeof(*ret), &number);

    if (r == 0)
        *ret = (uint32_t)number;
    return r;
}

static int get_addresses(const struct nlattr *nest, enum ip_family family, struct flow_tuple *ret)
{
    struct attrs attrs;
    const uint8_t *source, *destination;

    if (get_nest(nest, &attrs) < 0)
        return -EBADMSG;
    source = get_bytes(attrs.v[family == IP4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], ip_size(family));
    destination = get_bytes(attrs.v[family == IP4 ? CTA_IP_V4_DST : CTA_IP_V6_DST], ip_size(family));
    if (!source || !destination)
        return -EBADMSG;
    ret->source = ip_from_bytes(family, source);
    ret->destination = ip_from_bytes(family, destination);
    return 0;
}

/*
 * Every kernel that tracks connections knows the ports of these. Others, even SCTP or DCCP, it may have been built
 * without, or know no longer: then addresses and protocol alone name the entry.
 */
static bool needs_ports(uint8_t proto)
{
    return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

static int get_icmp(const struct attrs *attrs, struct flow *flow)
{
    bool six = flow->proto == IPPROTO_ICMPV6;

    if (get_u8(attrs->v[six ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE], &flow->icmp_type) < 0 ||
        get_u8(attrs->v[six ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE], &flow->icmp_code) < 0 ||
        get_u16(attrs->v[six ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID], &flow->icmp_id) < 0)
        return -EBADMSG;
    return 0;
}

static int get_proto(const struct nlattr *nest, struct flow *flow, bool original, struct flow_tuple *ret)
{
    struct attrs attrs;
    uint8_t proto;

    if (get_nest(nest, &attrs) < 0 || get_u8(attrs.v[CTA_PROTO_NUM], &proto) < 0)
        return -EBADMSG;
    if (original) {
        flow->proto = proto;
        flow->has_ports = needs_ports(proto) || attrs.v[CTA_PROTO_SRC_PORT];
    }
    if (proto != flow->proto)
        return -EBADMSG;
    if (is_icmp(proto))
        return original ? get_icmp(&attrs, flow) : 0;
    if (!flow->has_ports)
        return 0;
    if (get_u16(attrs.v[CTA_PROTO_SRC_PORT], &ret->source_port) < 0 ||
        get_u16(attrs.v[CTA_PROTO_DST_PORT], &ret->destination_port) < 0)
        return -EBADMSG;
    return 0;
}

static int get_tuple(const struct nlattr *nest, struct flow *flow, bool original)
{
    struct flow_tuple *tuple = original ? &flow->original : &flow->reply;
    struct attrs attrs;

    if (get_nest(nest, &attrs) < 0 || get_addresses(attrs.v[CTA_TUPLE_IP], flow->family, tuple) < 0 ||
        get_proto(attrs.v[CTA_TUPLE_PROTO], flow, original, tuple) < 0)
        return -EBADMSG;
    if (!attrs.v[CTA_TUPLE_ZONE])
        return 0;
    return get_u16(attrs.v[CTA_TUPLE_ZONE], original ? &flow->zone_original : &flow->zone_reply);
}

static int get_status(const struct nlattr *attr, struct flow *flow)
{
    uint32_t status;

    if (get_u32(attr, &status) < 0)
        return -EBADMSG;
    flow->confirmed = status & IPS_CONFIRMED;
    flow->assured = status & IPS_ASSURED;
    flow->snat = status & IPS_SRC_NAT;
    flow->dnat = status & IPS_DST_NAT;
    flow->expected = status & IPS_EXPECTED;
    return 0;
}

/* What is only told to people: where it cannot be understood it counts as not there. */
static bool get_counters(const struct nlattr *nest, struct flow_counters *ret)
{
    struct attrs attrs;

    return get_nest(nest, &attrs) == 0 &&
           get_number(attrs.v[CTA_COUNTERS_PACKETS], sizeof(uint64_t), &ret->packets) == 0 &&
           get_number(attrs.v[CTA_COUNTERS_BYTES], sizeof(uint64_t), &ret->bytes) == 0;
}

static void get_details(const struct attrs *attrs, struct flow *flow)
{
    struct attrs timestamp, info, tcp;

    flow->has_counters = get_counters(attrs->v[CTA_COUNTERS_ORIG], &flow->original_counters) &&
                         get_counters(attrs->v[CTA_COUNTERS_REPLY], &flow->reply_counters);
    (void)get_u32(attrs->v[CTA_TIMEOUT], &flow->timeout);
    (void)get_u32(attrs->v[CTA_MARK], &flow->mark);
    if (get_nest(attrs->v[CTA_PROTOINFO], &info) == 0 && get_nest(info.v[CTA_PROTOINFO_TCP], &tcp) == 0)
        (void)get_u8(tcp.v[CTA_PROTOINFO_TCP_STATE], &flow->tcp_state);
    if (get_nest(attrs->v[CTA_TIMESTAMP], &timestamp) == 0)
        (void)get_number(timestamp.v[CTA_TIMESTAMP_START], sizeof(uint64_t), &flow->start_ns);
}

static int get_flow(const struct nlmsghdr *message, struct flow *flow)
{
    const struct nlattr *attr;
    struct attrs attrs = {0};

    mnl_attr_for_each (attr, message, sizeof(struct nfgenmsg))
        keep(attr, &attrs);
    if (get_tuple(attrs.v[CTA_TUPLE_ORIG], flow, true) < 0 ||
        get_tuple(attrs.v[CTA_TUPLE_REPLY], flow, false) < 0 || get_u32(attrs.v[CTA_ID], &flow->id) < 0 ||
        get_status(attrs.v[CTA_STATUS], flow) < 0 ||
        (attrs.v[CTA_ZONE] && get_u16(attrs.v[CTA_ZONE], &flow->zone) < 0))
        return -EBADMSG;
    get_details(&attrs, flow);
    return 0;
}

int flow_parse(const struct nlmsghdr *message, struct flow *ret)
{
    const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
    struct flow flow = {0};
    int r;

    if (message->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW))
        return -ENOMSG;
    if (message->nlmsg_len < MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(*header)))
        return -EBADMSG;
    if (header->nfgen_family != AF_INET && header->nfgen_family != AF_INET6)
        return -ENOMSG;
    flow.family = header->nfgen_family == AF_INET ? IP4 : IP6;
    r = get_flow(message, &flow);
    if (r == 0)
        *ret = flow;
    return r;
}
