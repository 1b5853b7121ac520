// SPDX-License-Identifier: GPL-2.0-or-later
/* The codec against messages that the library builds, and its requests attribute by attribute. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "flow/codec.h"
#include "util/mem.h"

#define MESSAGE_MAX 1024

struct sample {
    enum ip_family family;
    uint8_t proto;
    const char *source, *destination, *reply_source, *reply_destination;
};

static void set_address(struct nf_conntrack *entry, enum nf_conntrack_attr attr4,
                        enum nf_conntrack_attr attr6, const char *text)
{
    struct in6_addr bytes;
    bool six = strchr(text, ':') != NULL;

    assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, text, &bytes), 1);
    nfct_set_attr(entry, six ? attr6 : attr4, &bytes);
}

static struct nf_conntrack *make_entry(const struct sample *sample)
{
    uint8_t family = sample->family == IP4 ? AF_INET : AF_INET6;
    struct nf_conntrack *entry = nfct_new();

    assert_non_null(entry);
    nfct_set_attr_u8(entry, ATTR_ORIG_L3PROTO, family);
    nfct_set_attr_u8(entry, ATTR_REPL_L3PROTO, family);
    nfct_set_attr_u8(entry, ATTR_ORIG_L4PROTO, sample->proto);
    nfct_set_attr_u8(entry, ATTR_REPL_L4PROTO, sample->proto);
    set_address(entry, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC, sample->source);
    set_address(entry, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST, sample->destination);
    set_address(entry, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC, sample->reply_source);
    set_address(entry, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST, sample->reply_destination);
    nfct_set_attr_u32(entry, ATTR_STATUS, IPS_CONFIRMED);
    return entry;
}

static void set_ports(struct nf_conntrack *entry)
{
    nfct_set_attr_u16(entry, ATTR_ORIG_PORT_SRC, htons(40000));
    nfct_set_attr_u16(entry, ATTR_ORIG_PORT_DST, htons(8080));
    nfct_set_attr_u16(entry, ATTR_REPL_PORT_SRC, htons(80));
    nfct_set_attr_u16(entry, ATTR_REPL_PORT_DST, htons(50000));
}

/* As the kernel sends an entry; the entry is used up. */
static struct nlmsghdr *message_of(void *buffer, struct nf_conntrack *entry, uint8_t family, bool with_id)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct nfgenmsg *header;

    message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
    header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
    header->nfgen_family = family;
    assert_int_equal(nfct_nlmsg_build(message, entry), 0);
    if (with_id)
        mnl_attr_put_u32(message, CTA_ID, htonl(0xcafe1234));
    nfct_destroy(entry);
    return message;
}

static const struct sample tcp4 = {IP4, IPPROTO_TCP, "10.0.0.2", "192.0.2.1", "10.0.0.9", "203.0.113.7"};
static const struct sample udp6 = {IP6, IPPROTO_UDP, "fd00::2", "2001:db8::1", "fd00::9", "fd00::ffff"};
static const struct sample icmp4 = {IP4, IPPROTO_ICMP, "10.0.0.2", "10.0.0.9", "10.0.0.9", "10.0.0.2"};
static const struct sample esp4 = {IP4, IPPROTO_ESP, "10.0.0.2", "10.0.0.9", "10.0.0.9", "10.0.0.2"};

static void assert_address(struct ip ip, const char *expected)
{
    char text[IP_TEXT_MAX];

    assert_string_equal(ip_format(ip, text), expected);
}

static void assert_tuples(const struct flow *flow, const struct sample *sample)
{
    assert_int_equal(flow->family, sample->family);
    assert_int_equal(flow->proto, sample->proto);
    assert_address(flow->original.source, sample->source);
    assert_address(flow->original.destination, sample->destination);
    assert_address(flow->reply.source, sample->reply_source);
    assert_address(flow->reply.destination, sample->reply_destination);
}

static void ports_status_and_zone_are_read(void **state)
{
    const struct sample *const samples[] = {&tcp4, &udp6};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        struct nf_conntrack *entry = make_entry(samples[i]);
        char buffer[MESSAGE_MAX] __attribute__((aligned(4)));
        struct flow flow;

        set_ports(entry);
        nfct_set_attr_u32(entry, ATTR_STATUS, IPS_CONFIRMED | IPS_ASSURED | IPS_SRC_NAT | IPS_DST_NAT);
        nfct_set_attr_u32(entry, ATTR_TIMEOUT, 432000);
        nfct_set_attr_u16(entry, ATTR_ZONE, 7);
        nfct_set_attr_u32(entry, ATTR_MARK, 0x80000001);
        assert_int_equal(
            flow_parse(message_of(buffer, entry, samples[i]->family == IP4 ? AF_INET : AF_INET6, true),
                       &flow),
            0);
        assert_tuples(&flow, samples[i]);
        assert_true(flow.has_ports);
        assert_int_equal(flow.original.source_port, 40000);
        assert_int_equal(flow.original.destination_port, 8080);
        assert_int_equal(flow.reply.source_port, 80);
        assert_int_equal(flow.reply.destination_port, 50000);
        assert_int_equal(flow.id, 0xcafe1234);
        assert_int_equal(flow.zone, 7);
        assert_false(flow_in_default_zone(&flow));
        assert_true(flow.confirmed && flow.assured && flow.snat && flow.dnat && !flow.expected);
        assert_int_equal(flow.timeout, 432000);
        assert_int_equal(flow.mark, 0x80000001);
        assert_false(flow.has_counters);
    }
}

static void one_direction_may_have_a_zone(void **state)
{
    struct nf_conntrack *entry = make_entry(&tcp4);
    char buffer[MESSAGE_MAX] __attribute__((aligned(4)));
    struct flow flow;

    (void)state;
    set_ports(entry);
    nfct_set_attr_u16(entry, ATTR_ORIG_ZONE, 5);
    assert_int_equal(flow_parse(message_of(buffer, entry, AF_INET, true), &flow), 0);
    assert_int_equal(flow.zone, 0);
    assert_int_equal(flow.zone_original, 5);
    assert_false(flow_in_default_zone(&flow));
}

static void icmp_and_what_has_no_ports(void **state)
{
    struct nf_conntrack *entry = make_entry(&icmp4);
    char buffer[MESSAGE_MAX] __attribute__((aligned(4)));
    struct flow flow;

    (void)state;
    nfct_set_attr_u8(entry, ATTR_ICMP_TYPE, 8);
    nfct_set_attr_u8(entry, ATTR_ICMP_CODE, 0);
    nfct_set_attr_u16(entry, ATTR_ICMP_ID, htons(4711));
    assert_int_equal(flow_parse(message_of(buffer, entry, AF_INET, true), &flow), 0);
    assert_tuples(&flow, &icmp4);
    assert_false(flow.has_ports);
    assert_int_equal(flow.icmp_type, 8);
    assert_int_equal(flow.icmp_id, 4711);
    assert_int_equal(flow.reply.source_port, 0);

    assert_int_equal(flow_parse(message_of(buffer, make_entry(&esp4), AF_INET, true), &flow), 0);
    assert_tuples(&flow, &esp4);
    assert_false(flow.has_ports);
}

static void what_cannot_be_named_is_refused(void **state)
{
    char buffer[MESSAGE_MAX] __attribute__((aligned(4)));
    struct nf_conntrack *entry = make_entry(&tcp4);
    struct nlmsghdr *message;
    struct flow flow = {.timeout = 99};

    (void)state;
    set_ports(entry);
    assert_int_equal(flow_parse(message_of(buffer, entry, AF_INET, false), &flow), -EBADMSG);

    entry = make_entry(&tcp4);
    set_ports(entry);
    message = message_of(buffer, entry, AF_INET6, true); /* says IPv6, holds IPv4 */
    assert_int_equal(flow_parse(message, &flow), -EBADMSG);
    ((struct nfgenmsg *)mnl_nlmsg_get_payload(message))->nfgen_family = AF_BRIDGE;
    assert_int_equal(flow_parse(message, &flow), -ENOMSG);
    message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
    assert_int_equal(flow_parse(message, &flow), -ENOMSG);
    assert_int_equal(flow.timeout, 99);
}

/* Cut off anywhere, or with any byte changed: an error or a flow, never a read beyond the message. */
static void damaged_messages_do_no_harm(void **state)
{
    char buffer[MESSAGE_MAX] __attribute__((aligned(4)));
    struct nf_conntrack *entry = make_entry(&udp6);
    struct nlmsghdr *message;
    size_t len;

    (void)state;
    set_ports(entry);
    message = message_of(buffer, entry, AF_INET6, true);
    len = message->nlmsg_len;
    for (size_t cut = MNL_NLMSG_HDRLEN; cut < len; cut += 4) { /* buffers hold whole words */
        struct nlmsghdr *copy = memcpy(xcalloc(1, cut), buffer, cut);
        struct flow flow;

        copy->nlmsg_len = (uint32_t)cut;
        assert_int_not_equal(flow_parse(copy, &flow), 0); /* the ID stands last */
        free(copy);
    }
    for (size_t at = MNL_NLMSG_HDRLEN; at < len; at++) {
        for (unsigned value = 0; value < 256; value++) {
            struct nlmsghdr *copy = memcpy(xcalloc(1, len), buffer, len);
            struct flow flow;

            ((uint8_t *)copy)[at] = (uint8_t)value;
            (void)flow_parse(copy, &flow);
            free(copy);
        }
    }
}

/* ---- requests ----------------------------------------------------------------------------------------- */

static struct flow flow_of(const struct sample *sample)
{
    struct nf_conntrack *entry = make_entry(sample);
    char buffer[MESSAGE_MAX] __attribute__((aligned(4)));
    struct flow flow;

    if (sample->proto == IPPROTO_ICMP) {
        nfct_set_attr_u8(entry, ATTR_ICMP_TYPE, 8);
        nfct_set_attr_u8(entry, ATTR_ICMP_CODE, 0);
        nfct_set_attr_u16(entry, ATTR_ICMP_ID, htons(4711));
    } else if (sample->proto != IPPROTO_ESP) {
        set_ports(entry);
    }
    assert_int_equal(
        flow_parse(message_of(buffer, entry, sample->family == IP4 ? AF_INET : AF_INET6, true), &flow), 0);
    return flow;
}

static const struct nlattr *find_attr(const struct nlmsghdr *message, uint16_t type)
{
    const struct nlattr *attr;

    mnl_attr_for_each (attr, message, sizeof(struct nfgenmsg)) {
        if (mnl_attr_get_type(attr) == type)
            return attr;
    }
    return NULL;
}

/* The library reads back what the request names. */
static void deleting_names_one_entry(void **state)
{
    const struct sample *const samples[] = {&tcp4, &udp6, &icmp4, &esp4};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        char buffer[FLOW_REQUEST_MAX] __attribute__((aligned(4)));
        struct flow flow = flow_of(samples[i]);
        struct nlmsghdr *message = flow_request_delete(buffer, &flow);
        struct nf_conntrack *named = nfct_new();
        bool six = samples[i]->family == IP6;
        struct ip source;

        assert_true(message->nlmsg_len < FLOW_REQUEST_MAX);
        assert_int_equal(message->nlmsg_type, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE);
        assert_int_equal(message->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
        assert_int_equal(((struct nfgenmsg *)mnl_nlmsg_get_payload(message))->nfgen_family,
                         six ? AF_INET6 : AF_INET);
        assert_non_null(find_attr(message, CTA_TUPLE_ORIG));
        assert_null(find_attr(message, CTA_TUPLE_REPLY));
        assert_null(find_attr(message, CTA_ZONE));
        assert_int_equal(ntohl(mnl_attr_get_u32(find_attr(message, CTA_ID))), flow.id);
        assert_int_equal(nfct_nlmsg_parse(message, named), 0);
        assert_int_equal(nfct_get_attr_u8(named, ATTR_ORIG_L4PROTO), samples[i]->proto);
        source = ip_from_bytes(samples[i]->family,
                               nfct_get_attr(named, six ? ATTR_ORIG_IPV6_SRC : ATTR_ORIG_IPV4_SRC));
        assert_address(source, samples[i]->source);
        if (flow.has_ports) {
            assert_int_equal(ntohs(nfct_get_attr_u16(named, ATTR_ORIG_PORT_SRC)), 40000);
            assert_int_equal(ntohs(nfct_get_attr_u16(named, ATTR_ORIG_PORT_DST)), 8080);
        }
        if (samples[i]->proto == IPPROTO_ICMP)
            assert_int_equal(ntohs(nfct_get_attr_u16(named, ATTR_ICMP_ID)), 4711);
        nfct_destroy(named);
    }
}

static void deleting_names_the_zone(void **state)
{
    char buffer[FLOW_REQUEST_MAX] __attribute__((aligned(4)));
    struct flow flow = flow_of(&udp6);
    struct nf_conntrack *named = nfct_new();
    struct nlmsghdr *message;

    (void)state;
    flow.zone = 7;
    message = flow_request_delete(buffer, &flow);
    assert_int_equal(ntohs(mnl_attr_get_u16(find_attr(message, CTA_ZONE))), 7);
    flow.zone = 0;
    flow.zone_original = 5;
    message = flow_request_delete(buffer, &flow);
    assert_null(find_attr(message, CTA_ZONE));
    assert_int_equal(nfct_nlmsg_parse(message, named), 0);
    assert_int_equal(nfct_get_attr_u16(named, ATTR_ORIG_ZONE), 5);
    nfct_destroy(named);
}

static void dumps_are_of_both_families(void **state)
{
    char buffer[FLOW_REQUEST_MAX] __attribute__((aligned(4)));
    struct nlmsghdr *message = flow_request_dump(buffer);

    (void)state;
    assert_int_equal(message->nlmsg_type, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET);
    assert_int_equal(message->nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
    assert_int_equal(((struct nfgenmsg *)mnl_nlmsg_get_payload(message))->nfgen_family, AF_UNSPEC);
}

/*
 * As Linux 6.18 told of them on x86-64 (numbers in the byte order of the host): a TCP connection to 8080 that was translated
 * to 80, a UDP one over IPv6, and an echo request over IPv6.
 */
static const char event_tcp[] =
    "c4000000000100060000000000000000020000003400018014000180080001000a090002080002000a0900011c000280"
    "050001000600000006000200e7da0000060003001f9000003400028014000180080001000a090001080002000a090002"
    "1c0002800500010006000000060002000050000006000300e7da000008000c0080e1c20d08000300000001a808000700"
    "00000078300004802c0001800500010001000000050002000a0000000500030000000000060004000300000006000500"
    "00000000";
static const char event_udp[] =
    "c40000000001000600000000000000000a0000004c0001802c00018014000300fd090000000000000000000000000002"
    "14000400fd0900000000000000000000000000011c000280050001001100000006000200afc600000600030000350000"
    "4c0002802c00018014000300fd09000000000000000000000000000114000400fd090000000000000000000000000002"
    "1c0002800500010011000000060002000035000006000300afc6000008000c00a5d7e3ab080003000000000808000700"
    "0000001e";
static const char event_echo[] =
    "d40000000001000600000000000000000a000000540001802c00018014000300fd090000000000000000000000000002"
    "14000400fd09000000000000000000000000000124000280050001003a000000060007006d5100000500080080000000"
    "0500090000000000540002802c00018014000300fd09000000000000000000000000000114000400fd09000000000000"
    "000000000000000224000280050001003a000000060007006d5100000500080081000000050009000000000008000c00"
    "10a0ff7f0800030000000008080007000000001e";

static const struct nlmsghdr *captured(void *buffer, const char *hex)
{
    uint8_t *bytes = buffer;

    for (size_t i = 0; hex[2 * i]; i++) {
        unsigned byte;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        bytes[i] = (uint8_t)byte;
    }
    return buffer;
}

static void assert_ip(struct ip ip, const char *expected)
{
    char text[IP_TEXT_MAX];

    assert_string_equal(ip_format(ip, text), expected);
}

static void events_are_read(void **state)
{
    char buffer[MESSAGE_MAX] __attribute__((aligned(4)));
    struct flow flow;

    (void)state;
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        skip();
    assert_int_equal(flow_parse(captured(buffer, event_tcp), &flow), 0);
    assert_ip(flow.original.source, "10.9.0.2");
    assert_int_equal(flow.original.destination_port, 8080);
    assert_ip(flow.reply.source, "10.9.0.1");
    assert_int_equal(flow.reply.source_port, 80);
    assert_true(flow.dnat && flow.confirmed && !flow.expected && !flow.snat);
    assert_true(flow_in_default_zone(&flow));
    assert_int_equal(flow_parse(captured(buffer, event_udp), &flow), 0);
    assert_int_equal(flow.proto, IPPROTO_UDP);
    assert_ip(flow.original.source, "fd09::2");
    assert_int_equal(flow.reply.source_port, 53);
    assert_int_equal(flow_parse(captured(buffer, event_echo), &flow), 0);
    assert_int_equal(flow.proto, IPPROTO_ICMPV6);
    assert_int_equal(flow.icmp_type, 128);
    assert_false(flow.has_ports);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_status_and_zone_are_read),
        cmocka_unit_test(one_direction_may_have_a_zone),
        cmocka_unit_test(icmp_and_what_has_no_ports),
        cmocka_unit_test(what_cannot_be_named_is_refused),
        cmocka_unit_test(damaged_messages_do_no_harm),
        cmocka_unit_test(deleting_names_one_entry),
        cmocka_unit_test(events_are_read),
        cmocka_unit_test(deleting_names_the_zone),
        cmocka_unit_test(dumps_are_of_both_families),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
