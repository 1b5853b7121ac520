// SPDX-License-Identifier: GPL-2.0-or-later
/* Neighbour messages, built as the kernel builds them. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "link/neighbour.h"
#include "link/parse.h"

static const uint8_t mac_bytes[] = {2, 0x42, 10, 91, 0, 2};

struct buffer {
    char bytes[1024];
} __attribute__((aligned(8)));

static struct nlmsghdr *start(struct buffer *buffer, uint8_t family, uint16_t state)
{
    struct nlmsghdr *message;
    struct ndmsg *body;

    memset(buffer, 0, sizeof(*buffer));
    message = mnl_nlmsg_put_header(buffer->bytes);
    body = mnl_nlmsg_put_extra_header(message, sizeof(*body));
    message->nlmsg_type = RTM_NEWNEIGH;
    body->ndm_family = family;
    body->ndm_ifindex = 7;
    body->ndm_state = state;
    body->ndm_flags = NTF_MASTER;
    return message;
}

static struct nlmsghdr *arp(struct buffer *buffer)
{
    struct nlmsghdr *message = start(buffer, AF_INET, NUD_STALE);

    mnl_attr_put_u32(message, NDA_DST, htonl(0x0a5b0002));
    mnl_attr_put(message, NDA_LLADDR, sizeof(mac_bytes), mac_bytes);
    mnl_attr_put_u32(message, NDA_PROBES, 1);
    return message;
}

static struct nlmsghdr *fdb(struct buffer *buffer)
{
    struct nlmsghdr *message = start(buffer, AF_BRIDGE, NUD_REACHABLE);

    mnl_attr_put(message, NDA_LLADDR, sizeof(mac_bytes), mac_bytes);
    mnl_attr_put_u32(message, NDA_MASTER, 3);
    mnl_attr_put_u16(message, NDA_VLAN, 1);
    mnl_attr_put_u32(message, NDA_DST, htonl(0x01020304)); /* where a tunnel leads */
    return message;
}

static void a_neighbour_of_the_host(void **state)
{
    struct buffer buffer;
    struct neighbour neighbour;
    char text[IP_TEXT_MAX];

    (void)state;
    assert_int_equal(neighbour_parse(arp(&buffer), &neighbour), 0);
    assert_true(!neighbour.is_fdb && neighbour.has_mac && neighbour.index == 7 && !neighbour.master);
    assert_string_equal(ip_format(neighbour.ip, text), "10.91.0.2");
    assert_memory_equal(neighbour.mac.bytes, mac_bytes, sizeof(mac_bytes));
    assert_string_equal(neighbour_state_name(neighbour.state), "stale");
}

static void one_that_has_not_answered(void **state)
{
    struct buffer buffer;
    struct nlmsghdr *message = start(&buffer, AF_INET6, NUD_INCOMPLETE);
    struct in6_addr address = {.s6_addr = {0xfd, 0x91, [15] = 2}};
    struct neighbour neighbour;
    char text[IP_TEXT_MAX];

    (void)state;
    mnl_attr_put(message, NDA_DST, sizeof(address), &address);
    assert_int_equal(neighbour_parse(message, &neighbour), 0);
    assert_false(neighbour.has_mac);
    assert_string_equal(ip_format(neighbour.ip, text), "fd91::2");
    assert_string_equal(neighbour_state_name(neighbour.state), "incomplete");
    assert_string_equal(neighbour_state_name(0), "none");
}

static void what_a_bridge_has_learnt(void **state)
{
    struct buffer buffer;
    struct neighbour neighbour;

    (void)state;
    assert_int_equal(neighbour_parse(fdb(&buffer), &neighbour), 0);
    assert_true(neighbour.is_fdb && neighbour.has_mac && neighbour.index == 7 && neighbour.master == 3);
    assert_int_equal(neighbour.vlan, 1);
    assert_int_equal(neighbour.flags, NTF_MASTER);
}

static void what_is_none(void **state)
{
    struct buffer buffer;
    struct neighbour neighbour;
    struct nlmsghdr *message = arp(&buffer);

    (void)state;
    message->nlmsg_type = RTM_DELNEIGH;
    assert_int_equal(neighbour_parse(message, &neighbour), -ENOMSG);
    assert_int_equal(neighbour_parse(start(&buffer, AF_INET, 0), &neighbour), -ENOMSG);
    assert_int_equal(neighbour_parse(start(&buffer, AF_BRIDGE, 0), &neighbour), -ENOMSG);
    message = start(&buffer, AF_INET6, 0);
    mnl_attr_put_u32(message, NDA_DST, 1); /* of the other family's size */
    assert_int_equal(neighbour_parse(message, &neighbour), -EBADMSG);
    message = start(&buffer, AF_BRIDGE, 0);
    mnl_attr_put_u8(message, NDA_VLAN, 1);
    assert_int_equal(neighbour_parse(message, &neighbour), -EBADMSG);
}

/* Cut short anywhere, it is refused or read, and nothing beyond its end is looked at (as valgrind and ASan see). */
static void cut_short(void **state)
{
    struct buffer buffer;
    struct nlmsghdr *whole[] = {arp(&buffer), NULL};

    (void)state;
    for (size_t len = MNL_NLMSG_HDRLEN; len <= whole[0]->nlmsg_len; len++) {
        struct nlmsghdr *copy = malloc(len);
        struct neighbour neighbour;

        assert_non_null(copy);
        memcpy(copy, whole[0], len);
        copy->nlmsg_len = (uint32_t)len;
        (void)neighbour_parse(copy, &neighbour);
        free(copy);
    }
}

static void requests(void **state)
{
    char bytes[LINK_REQUEST_MAX] __attribute__((aligned(4)));

    (void)state;
    for (int is_fdb = 0; is_fdb < 2; is_fdb++) {
        const struct nlmsghdr *message = neighbour_request(bytes, is_fdb);
        const struct ndmsg *body = mnl_nlmsg_get_payload(message);

        assert_int_equal(message->nlmsg_type, RTM_GETNEIGH);
        assert_int_equal(message->nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
        assert_int_equal(body->ndm_family, is_fdb ? AF_BRIDGE : AF_UNSPEC);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_neighbour_of_the_host),
        cmocka_unit_test(one_that_has_not_answered),
        cmocka_unit_test(what_a_bridge_has_learnt),
        cmocka_unit_test(what_is_none),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(requests),
    };

    return cmocka_run_group_tests_name("link-neighbour", tests, NULL, NULL);
}
