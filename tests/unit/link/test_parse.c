// SPDX-License-Identifier: GPL-2.0-or-later
/* rtnetlink messages, built as the kernel builds them. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "link/parse.h"

struct buffer {
    char bytes[4096];
} __attribute__((aligned(8)));

static struct nlmsghdr *start(struct buffer *buffer, uint16_t type, uint8_t family, int index)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer->bytes);
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));

    message->nlmsg_type = type;
    info->ifi_family = family;
    info->ifi_index = index;
    return message;
}

static void put_kind(struct nlmsghdr *message, const char *kind, int iptables, int ip6tables,
                     const struct br_boolopt_multi *options)
{
    struct nlattr *info = mnl_attr_nest_start(message, IFLA_LINKINFO), *data;

    mnl_attr_put_strz(message, IFLA_INFO_KIND, kind);
    data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    mnl_attr_put_u32(message, IFLA_BR_FORWARD_DELAY, 1500);
    if (iptables >= 0)
        mnl_attr_put_u8(message, IFLA_BR_NF_CALL_IPTABLES, (uint8_t)iptables);
    if (ip6tables >= 0)
        mnl_attr_put_u8(message, IFLA_BR_NF_CALL_IP6TABLES, (uint8_t)ip6tables);
    if (options)
        mnl_attr_put(message, IFLA_BR_MULTI_BOOLOPT, sizeof(*options), options);
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, info);
}

static void xdp_is_read(void **state)
{
    (void)state;
    for (uint8_t attached = 0; attached < 3; attached++) {
        struct buffer buffer;
        struct nlmsghdr *message = start(&buffer, RTM_NEWLINK, AF_UNSPEC, 4);
        struct nlattr *xdp;
        struct link link;
        bool gone;

        mnl_attr_put_strz(message, IFLA_IFNAME, "eth0");
        xdp = mnl_attr_nest_start(message, IFLA_XDP);
        mnl_attr_put_u8(message, IFLA_XDP_ATTACHED, attached);
        mnl_attr_nest_end(message, xdp);
        assert_int_equal(link_parse(message, &link, &gone), 0);
        assert_int_equal(link.has_xdp, attached != 0);
    }
}

static void bridge_is_read(void **state)
{
    struct buffer buffer;
    struct nlmsghdr *message = start(&buffer, RTM_NEWLINK, AF_UNSPEC, 4);
    struct link link;
    bool gone = true;

    (void)state;
    mnl_attr_put_strz(message, IFLA_IFNAME, "docker0");
    put_kind(message, "bridge", 1, 0, NULL);
    assert_int_equal(link_parse(message, &link, &gone), 0);
    assert_false(gone);
    assert_int_equal(link.index, 4);
    assert_string_equal(link.name, "docker0");
    assert_true(link.is_bridge);
    assert_false(link.is_veth);
    assert_true(link.switches.nf_call_iptables);
    assert_false(link.switches.nf_call_ip6tables);
    assert_int_equal(link.master, 0);
    assert_int_equal(link.peer_netns, -1);
}

/* The mask says which options the kernel has, and only those count. */
static void options_of_a_bridge_are_read(void **state)
{
    static const struct {
        struct br_boolopt_multi options;
        bool has, learns_not;
    } cases[] = {{{.optval = 0, .optmask = 7}, true, false},
                 {{.optval = 1, .optmask = 7}, true, true},
                 {{.optval = 6, .optmask = 7}, true, false},
                 {{.optval = 1, .optmask = 6}, false, false}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buffer buffer;
        struct nlmsghdr *message = start(&buffer, RTM_NEWLINK, AF_UNSPEC, 4);
        struct link link;
        bool gone;

        mnl_attr_put_strz(message, IFLA_IFNAME, "docker0");
        put_kind(message, "bridge", 1, 0, &cases[i].options);
        assert_int_equal(link_parse(message, &link, &gone), 0);
        assert_int_equal(link.has_no_linklocal_learn, cases[i].has);
        assert_int_equal(link.switches.no_linklocal_learn, cases[i].learns_not);
    }
}

static void port_of_a_bridge_is_read(void **state)
{
    struct buffer buffer;
    struct nlmsghdr *message = start(&buffer, RTM_DELLINK, AF_UNSPEC, 12);
    struct link link;
    bool gone = false;

    (void)state;
    mnl_attr_put_strz(message, IFLA_IFNAME, "veth0123456789a"); /* 15 bytes: as long as can be */
    mnl_attr_put_u32(message, IFLA_MASTER, 4);
    mnl_attr_put_u32(message, IFLA_LINK, 2);
    mnl_attr_put_u32(message, IFLA_LINK_NETNSID, 7);
    put_kind(message, "veth", -1, -1, NULL);
    assert_int_equal(link_parse(message, &link, &gone), 0);
    assert_true(gone);
    assert_string_equal(link.name, "veth0123456789a");
    assert_true(link.is_veth);
    assert_int_equal(link.master, 4);
    assert_int_equal(link.peer_index, 2);
    assert_int_equal(link.peer_netns, 7);
}

/* A namespace without a number is not ours: the peer is unknown, not local. */
static void peer_in_an_unnumbered_namespace_is_unknown(void **state)
{
    struct buffer buffer;
    struct nlmsghdr *message = start(&buffer, RTM_NEWLINK, AF_UNSPEC, 12);
    struct link link;
    bool gone;

    (void)state;
    mnl_attr_put_strz(message, IFLA_IFNAME, "veth0");
    mnl_attr_put_u32(message, IFLA_LINK, 2);
    mnl_attr_put_u32(message, IFLA_LINK_NETNSID, (uint32_t)-1);
    put_kind(message, "veth", -1, -1, NULL);
    assert_int_equal(link_parse(message, &link, &gone), 0);
    assert_int_equal(link.peer_index, 0);
}

/* IFLA_LINK of a VLAN is its lower device, no peer; a kind that only begins like ours is another. */
static void other_kinds_have_no_peer(void **state)
{
    struct buffer buffer;
    struct nlmsghdr *message = start(&buffer, RTM_NEWLINK, AF_UNSPEC, 9);
    struct link link;
    bool gone;

    (void)state;
    mnl_attr_put_strz(message, IFLA_IFNAME, "x");
    mnl_attr_put_u32(message, IFLA_LINK, 2);
    put_kind(message, "bridge_slave", 1, 1, NULL);
    assert_int_equal(link_parse(message, &link, &gone), 0);
    assert_false(link.is_bridge);
    assert_false(link.switches.nf_call_iptables);
    assert_int_equal(link.peer_index, 0);
}

/* When a port leaves its bridge, the kernel says "DELLINK" of it in the family AF_BRIDGE: the link lives on.
 */
static void bridge_view_is_no_news(void **state)
{
    struct buffer buffer;
    struct nlmsghdr *message = start(&buffer, RTM_DELLINK, AF_BRIDGE, 12);
    struct link link;
    bool gone;

    (void)state;
    mnl_attr_put_strz(message, IFLA_IFNAME, "veth0");
    assert_int_equal(link_parse(message, &link, &gone), -ENOMSG);
    message->nlmsg_type = RTM_NEWADDR;
    assert_int_equal(link_parse(message, &link, &gone), -ENOMSG);
}

static void malformed_links_are_refused(void **state)
{
    struct buffer buffer;
    struct nlmsghdr *message = start(&buffer, RTM_NEWLINK, AF_UNSPEC, 12);
    struct link link;
    bool gone;

    (void)state;
    assert_int_equal(link_parse(message, &link, &gone), -EBADMSG); /* no name */
    mnl_attr_put_strz(message, IFLA_IFNAME, "sixteen-letters-");
    assert_int_equal(link_parse(message, &link, &gone), -EBADMSG);
    message = start(&buffer, RTM_NEWLINK, AF_UNSPEC, 12);
    mnl_attr_put_strz(message, IFLA_IFNAME, "veth0");
    mnl_attr_put_u16(message, IFLA_MASTER, 1);
    assert_int_equal(link_parse(message, &link, &gone), -EBADMSG);
    message = start(&buffer, RTM_NEWLINK, AF_UNSPEC, 0);
    mnl_attr_put_strz(message, IFLA_IFNAME, "veth0");
    assert_int_equal(link_parse(message, &link, &gone), -EBADMSG);
    message->nlmsg_len = NLMSG_HDRLEN + 4;
    assert_int_equal(link_parse(message, &link, &gone), -EBADMSG);
}

static void mac_is_read(void **state)
{
    static const uint8_t bytes[] = {2, 0x42, 0xac, 17, 0, 2, 9, 9};
    struct buffer buffer;
    struct nlmsghdr *message = start(&buffer, RTM_NEWLINK, AF_UNSPEC, 12);
    struct mac mac;

    (void)state;
    assert_int_equal(link_parse_mac(message, &mac), -ENOMSG);
    mnl_attr_put(message, IFLA_ADDRESS, 8, bytes); /* not an Ethernet address */
    assert_int_equal(link_parse_mac(message, &mac), -ENOMSG);
    mnl_attr_put(message, IFLA_ADDRESS, 6, bytes);
    assert_int_equal(link_parse_mac(message, &mac), 0);
    assert_memory_equal(mac.bytes, bytes, 6);
}

static struct nlmsghdr *start_address(struct buffer *buffer, uint8_t family)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer->bytes);
    struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));

    message->nlmsg_type = RTM_NEWADDR;
    info->ifa_family = family;
    return message;
}

static void addresses_are_read(void **state)
{
    static const uint8_t far[] = {10, 0, 0, 1}, near[] = {10, 0, 0, 2}, six[16] = {0xfd, [15] = 1};
    struct buffer buffer;
    struct nlmsghdr *message = start_address(&buffer, AF_INET);
    struct ip ip;

    (void)state;
    mnl_attr_put(message, IFA_ADDRESS, 4, far); /* the other end of a point-to-point link */
    mnl_attr_put(message, IFA_LOCAL, 4, near);
    assert_int_equal(link_parse_address(message, &ip), 0);
    assert_int_equal(ip.family, IP4);
    assert_true(ip.num == 0x0a000002);
    message = start_address(&buffer, AF_INET6);
    assert_int_equal(link_parse_address(message, &ip), -ENOMSG);
    mnl_attr_put(message, IFA_ADDRESS, 16, six);
    assert_int_equal(link_parse_address(message, &ip), 0);
    assert_int_equal(ip.family, IP6);
    assert_true((uint64_t)ip.num == 1 && (uint64_t)(ip.num >> 120) == 0xfd);
    message = start_address(&buffer, AF_INET6);
    mnl_attr_put(message, IFA_ADDRESS, 4, far);
    assert_int_equal(link_parse_address(message, &ip), -EBADMSG);
    message = start_address(&buffer, AF_PACKET);
    assert_int_equal(link_parse_address(message, &ip), -ENOMSG);
}

/* Any bytes behind a sound header: nothing outside is read (AddressSanitizer watches), names stay text. */
static void random_changes_are_harmless(void **state)
{
    struct buffer original;
    struct nlmsghdr *message = start(&original, RTM_NEWLINK, AF_UNSPEC, 12);
    uint32_t random = 1;
    size_t parsed = 0;

    (void)state;
    mnl_attr_put_strz(message, IFLA_IFNAME, "veth0");
    mnl_attr_put_u32(message, IFLA_MASTER, 4);
    mnl_attr_put(message, IFLA_ADDRESS, 6, "abcdef");
    put_kind(message, "bridge", 1, 1, NULL);
    for (int i = 0; i < 20000; i++) {
        struct nlmsghdr *copy = malloc(message->nlmsg_len);
        struct link link;
        struct mac mac;
        bool gone;

        assert_non_null(copy);
        memcpy(copy, message, message->nlmsg_len);
        for (int j = 0; j < 3; j++) {
            random = random * 1664525 + 1013904223;
            ((uint8_t *)copy)[NLMSG_HDRLEN + (random >> 8) % (message->nlmsg_len - NLMSG_HDRLEN)] =
                (uint8_t)(random >> 24);
        }
        if (link_parse(copy, &link, &gone) == 0) {
            assert_true(strnlen(link.name, IFNAMSIZ) < IFNAMSIZ);
            parsed++;
        }
        (void)link_parse_mac(copy, &mac);
        free(copy);
    }
    assert_true(parsed > 100 && parsed < 20000);
}

static const struct nlattr *find(const struct nlmsghdr *message, uint16_t type)
{
    const struct nlattr *attr;

    mnl_attr_for_each (attr, message, sizeof(struct ifinfomsg))
        if (mnl_attr_get_type(attr) == type)
            return attr;
    return NULL;
}

static void requests_are_as_the_kernel_wants_them(void **state)
{
    char bytes[LINK_REQUEST_MAX] __attribute__((aligned(8)));
    struct nlmsghdr *message = link_request_get(bytes, 5, 3);
    struct link link;
    bool gone;

    (void)state;
    assert_int_equal(message->nlmsg_type, RTM_GETLINK);
    assert_int_equal(message->nlmsg_flags, NLM_F_REQUEST);
    assert_int_equal(((const struct ifinfomsg *)mnl_nlmsg_get_payload(message))->ifi_index, 5);
    assert_int_equal(mnl_attr_get_u32(find(message, IFLA_TARGET_NETNSID)), 3);
    assert_null(find(link_request_get(bytes, 5, -1), IFLA_TARGET_NETNSID));
    message = link_request_list(bytes);
    assert_int_equal(message->nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
    message = link_request_switches(bytes, 6, &(struct bridge_switches){true, false, true});
    assert_true(message->nlmsg_len <= LINK_REQUEST_MAX);
    assert_int_equal(message->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK); /* changes, never creates */
    mnl_attr_put_strz(message, IFLA_IFNAME, "br0");
    assert_int_equal(link_parse(message, &link, &gone), 0);
    assert_true(link.is_bridge && link.switches.nf_call_iptables && !link.switches.nf_call_ip6tables);
    assert_true(link.has_no_linklocal_learn && link.switches.no_linklocal_learn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bridge_is_read),
        cmocka_unit_test(options_of_a_bridge_are_read),
        cmocka_unit_test(xdp_is_read),
        cmocka_unit_test(port_of_a_bridge_is_read),
        cmocka_unit_test(peer_in_an_unnumbered_namespace_is_unknown),
        cmocka_unit_test(other_kinds_have_no_peer),
        cmocka_unit_test(bridge_view_is_no_news),
        cmocka_unit_test(malformed_links_are_refused),
        cmocka_unit_test(mac_is_read),
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(random_changes_are_harmless),
        cmocka_unit_test(requests_are_as_the_kernel_wants_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
