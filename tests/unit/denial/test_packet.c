// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets and messages byte by byte, also those that lie; and their Community IDs against published ones. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include "denial/community_id.h"
#include "denial/packet.h"
#include "util/mem.h"

static const uint8_t syn4[] = {0x45, 0, 0,  60, 1, 2, 0x40, 0,    64,   6,    0, 0, 10, 91,
                               0,    2, 10, 91, 0, 3, 0xc0, 0x01, 0x15, 0x38, 0, 0, 0,  0};

static struct denied_packet read_bytes(uint16_t type, const uint8_t *bytes, size_t len)
{
    struct denied_packet packet = {.ether_type = type};

    denied_packet_read(bytes, len, &packet);
    return packet;
}

static void assert_ip(struct ip ip, const char *text)
{
    char found[IP_TEXT_MAX];

    assert_string_equal(ip_format(ip, found), text);
}

static void a_syn(void **state)
{
    struct denied_packet packet = read_bytes(ETH_P_IP, syn4, sizeof(syn4));

    (void)state;
    assert_true(packet.has_ip && packet.has_proto && packet.has_ports);
    assert_ip(packet.source, "10.91.0.2");
    assert_ip(packet.destination, "10.91.0.3");
    assert_int_equal(packet.proto, IPPROTO_TCP);
    assert_int_equal(packet.source_port, 49153);
    assert_int_equal(packet.destination_port, 5432);
}

static void what_is_cut_short(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(syn4); len++) {
        _cleanup_free_ uint8_t *copy = xcalloc(1, len + 1); /* the sanitizers see what is read behind it */
        struct denied_packet packet;

        memcpy(copy, syn4, len);
        packet = read_bytes(ETH_P_IP, copy, len);
        assert_int_equal(packet.has_ip, len >= 20);
        assert_int_equal(packet.has_head, len >= 22);
        assert_int_equal(packet.has_ports, len >= 24);
    }
}

static void later_fragments_have_no_ports(void **state)
{
    uint8_t bytes[sizeof(syn4)];
    struct denied_packet packet;

    (void)state;
    memcpy(bytes, syn4, sizeof(bytes));
    bytes[7] = 8;
    packet = read_bytes(ETH_P_IP, bytes, sizeof(bytes));
    assert_true(packet.has_ip && packet.has_proto && !packet.has_ports && !packet.has_head);
}

static void behind_extension_headers(void **state)
{
    uint8_t bytes[40 + 8 + 8 + 8] = {0x60};
    struct denied_packet packet;

    (void)state;
    bytes[6] = IPPROTO_HOPOPTS;
    bytes[23] = 1;
    bytes[39] = 2;
    bytes[40] = IPPROTO_FRAGMENT;
    bytes[48] = IPPROTO_UDP;
    bytes[57] = 53;
    bytes[59] = 54;
    packet = read_bytes(ETH_P_IPV6, bytes, sizeof(bytes));
    assert_true(packet.has_proto && packet.has_ports);
    assert_ip(packet.source, "::1");
    assert_int_equal(packet.proto, IPPROTO_UDP);
    assert_int_equal(packet.source_port, 53);
    assert_int_equal(packet.destination_port, 54);
    bytes[41] = 255; /* longer than what is there */
    packet = read_bytes(ETH_P_IPV6, bytes, sizeof(bytes));
    assert_true(packet.has_ip && !packet.has_proto);
}

static void every_byte_may_be_anything(void **state)
{
    uint8_t bytes[DENIED_PACKET_BYTES];
    static const uint16_t types[] = {ETH_P_IP, ETH_P_IPV6, ETH_P_ARP, 0x8100};
    uint32_t random = 12345;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t len = (size_t)round % (sizeof(bytes) + 1);
        _cleanup_free_ uint8_t *copy = xcalloc(1, len + 1);

        for (size_t i = 0; i < len; i++) {
            random = random * 1664525 + 1013904223;
            copy[i] = i == 0 ? (uint8_t)(round & 1 ? 0x45 : 0x60) : (uint8_t)(random >> 24);
            if (i == 6)
                copy[i] %= 61; /* mostly extension headers */
        }
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
            struct denied_packet packet = read_bytes(types[i], copy, len);
            char id[COMMUNITY_ID_MAX];

            assert_true(packet.has_ip || !packet.has_proto);
            (void)community_id(&packet, id);
        }
    }
}

/* ---- messages ----------------------------------------------------------------------------------------- */

struct sample {
    char bytes[1024] __attribute__((aligned(8)));
    struct nlmsghdr *message;
};

static void begin(struct sample *sample, uint8_t family)
{
    struct nfgenmsg *header;

    memset(sample->bytes, 0, sizeof(sample->bytes));
    sample->message = mnl_nlmsg_put_header(sample->bytes);
    sample->message->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
    header = mnl_nlmsg_put_extra_header(sample->message, sizeof(*header));
    header->nfgen_family = family;
}

static void fill(struct sample *sample, const char *prefix)
{
    struct nfulnl_msg_packet_hdr about = {.hw_protocol = htons(ETH_P_IP), .hook = NF_INET_FORWARD};
    static const uint8_t frame[] = {2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2, 8, 0};

    mnl_attr_put(sample->message, NFULA_PACKET_HDR, sizeof(about), &about);
    if (prefix)
        mnl_attr_put_strz(sample->message, NFULA_PREFIX, prefix);
    mnl_attr_put_u32(sample->message, NFULA_IFINDEX_INDEV, htonl(5));
    mnl_attr_put_u32(sample->message, NFULA_IFINDEX_PHYSINDEV, htonl(7));
    mnl_attr_put(sample->message, NFULA_HWHEADER, sizeof(frame), frame);
    mnl_attr_put_u32(sample->message, NFULA_SEQ, htonl(41));
    mnl_attr_put(sample->message, NFULA_PAYLOAD, sizeof(syn4), syn4);
}

static void a_message(void **state)
{
    struct sample sample;
    struct denied_packet packet;
    uint32_t seq;

    (void)state;
    begin(&sample, NFPROTO_IPV4);
    fill(&sample, "host-egress");
    assert_int_equal(denied_packet_parse(sample.message, &packet, &seq), 0);
    assert_int_equal(seq, 41);
    assert_int_equal(packet.point, DENY_HOST_EGRESS);
    assert_int_equal(packet.in, 5);
    assert_int_equal(packet.port_in, 7);
    assert_int_equal(packet.source_mac.bytes[5], 2);
    assert_int_equal(packet.destination_mac.bytes[5], 3);
    assert_int_equal(packet.destination_port, 5432);
    assert_false(packet.outside);
    begin(&sample, NFPROTO_IPV4);
    fill(&sample, "outside-ingress");
    assert_int_equal(denied_packet_parse(sample.message, &packet, &seq), 0);
    assert_int_equal(packet.point, DENY_INGRESS);
    assert_true(packet.outside);
}

static void a_frame_is_its_ports(void **state)
{
    struct sample sample;
    struct denied_packet packet;
    uint32_t seq;

    (void)state;
    begin(&sample, NFPROTO_BRIDGE);
    fill(&sample, "spoofed");
    assert_int_equal(denied_packet_parse(sample.message, &packet, &seq), 0);
    assert_true(packet.bridged);
    assert_int_equal(packet.in, 7);
}

static void what_is_not_ours(void **state)
{
    struct sample sample;
    struct denied_packet packet;
    uint32_t seq;

    (void)state;
    begin(&sample, NFPROTO_IPV4);
    fill(&sample, "somebody: ");
    assert_int_equal(denied_packet_parse(sample.message, &packet, &seq), -ENOMSG);
    begin(&sample, NFPROTO_IPV4);
    fill(&sample, "unlogged");
    assert_int_equal(denied_packet_parse(sample.message, &packet, &seq), -ENOMSG);
    begin(&sample, NFPROTO_IPV4);
    fill(&sample, NULL);
    assert_int_equal(denied_packet_parse(sample.message, &packet, &seq), -ENOMSG);
    sample.message->nlmsg_type = NLMSG_ERROR;
    assert_int_equal(denied_packet_parse(sample.message, &packet, &seq), -ENOMSG);
}

static void messages_cut_short(void **state)
{
    struct sample sample;
    struct denied_packet packet;
    uint32_t seq, whole;

    (void)state;
    begin(&sample, NFPROTO_IPV4);
    fill(&sample, "egress");
    whole = sample.message->nlmsg_len;
    for (uint32_t len = sizeof(struct nlmsghdr); len < whole; len += 4) {
        struct sample *copy = xcalloc(1, sizeof(*copy));

        memcpy(copy->bytes, sample.bytes, len);
        copy->message = (struct nlmsghdr *)copy->bytes;
        copy->message->nlmsg_len = len;
        (void)denied_packet_parse(copy->message, &packet, &seq);
        free(copy);
    }
}

/* ---- Community IDs ------------------------------------------------------------------------------------ */

static struct denied_packet flow(uint8_t proto, const char *source, const char *destination, uint16_t a,
                                 uint16_t b)
{
    struct denied_packet packet = {.has_ip = true, .has_proto = true, .proto = proto};

    assert_int_equal(ip_parse(source, &packet.source), 0);
    assert_int_equal(ip_parse(destination, &packet.destination), 0);
    if (proto_has_ports(proto)) {
        packet.has_ports = true;
        packet.source_port = a;
        packet.destination_port = b;
    } else {
        packet.has_head = true;
        packet.head[0] = (uint8_t)a;
        packet.head[1] = (uint8_t)b;
    }
    return packet;
}

static void assert_id(struct denied_packet packet, const char *expected)
{
    char id[COMMUNITY_ID_MAX];

    assert_true(community_id(&packet, id));
    assert_string_equal(id, expected);
}

static void ids_are_those_of_others(void **state)
{
    (void)state;
    assert_id(flow(IPPROTO_TCP, "128.232.110.120", "66.35.250.204", 34855, 80),
              "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    assert_id(flow(IPPROTO_TCP, "66.35.250.204", "128.232.110.120", 80, 34855),
              "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    assert_id(flow(IPPROTO_UDP, "192.168.1.52", "8.8.8.8", 54585, 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
    assert_id(flow(IPPROTO_ICMP, "192.168.0.89", "192.168.0.1", 8, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
    assert_id(flow(IPPROTO_ICMP, "192.168.0.1", "192.168.0.89", 0, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
}

static void no_id_without_addresses(void **state)
{
    struct denied_packet packet = {.has_ip = false};
    char id[COMMUNITY_ID_MAX];

    (void)state;
    assert_false(community_id(&packet, id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_syn),
        cmocka_unit_test(what_is_cut_short),
        cmocka_unit_test(later_fragments_have_no_ports),
        cmocka_unit_test(behind_extension_headers),
        cmocka_unit_test(every_byte_may_be_anything),
        cmocka_unit_test(a_message),
        cmocka_unit_test(a_frame_is_its_ports),
        cmocka_unit_test(what_is_not_ours),
        cmocka_unit_test(messages_cut_short),
        cmocka_unit_test(ids_are_those_of_others),
        cmocka_unit_test(no_id_without_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
