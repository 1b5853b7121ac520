// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel tells of transactions, built here message by message. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nft/notice.h"

#define OWN 4711
#define OTHER 4712

static char buffer[512] __attribute__((aligned(8)));

static struct nlmsghdr *message(uint32_t port, unsigned type, uint8_t family)
{
    struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
    struct nfgenmsg *nfgen = mnl_nlmsg_put_extra_header(header, sizeof(*nfgen));

    header->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
    header->nlmsg_pid = port;
    nfgen->nfgen_family = family;
    return header;
}

static bool change(struct notice_reader *reader, uint32_t port, unsigned type, uint8_t family,
                   const char *table)
{
    struct nlmsghdr *header = message(port, type, family);
    struct nft_change found;

    mnl_attr_put_strz(header, NFTA_RULE_TABLE, table);
    mnl_attr_put_strz(header, NFTA_RULE_CHAIN, "forward");
    return notice_read(reader, header, &found);
}

static bool end(struct notice_reader *reader, uint32_t port, uint32_t generation, const char *process,
                struct nft_change *ret)
{
    struct nlmsghdr *header = message(port, NFT_MSG_NEWGEN, AF_UNSPEC);

    mnl_attr_put_u32(header, NFTA_GEN_ID, htonl(generation));
    mnl_attr_put_u32(header, NFTA_GEN_PROC_PID, htonl(99));
    mnl_attr_put_strz(header, NFTA_GEN_PROC_NAME, process);
    return notice_read(reader, header, ret);
}

static void anothers_change_of_our_table_is_told_with_its_name(void **state)
{
    static const unsigned types[] = {
        NFT_MSG_NEWTABLE,
        NFT_MSG_DELTABLE,
        NFT_MSG_NEWCHAIN,
        NFT_MSG_DELCHAIN,
        NFT_MSG_NEWRULE,
        NFT_MSG_DELRULE,
        NFT_MSG_NEWSET,
        NFT_MSG_DELSET,
        NFT_MSG_NEWSETELEM,
        NFT_MSG_DELSETELEM,
        0x1a /* DESTROYTABLE, which old headers do not name */,
    };
    static const uint8_t families[] = {NFPROTO_INET, NFPROTO_BRIDGE};
    struct notice_reader reader = {.own_port = OWN, .generation = 7};
    struct nft_change found;

    (void)state;
    for (uint32_t i = 0; i < 22; i++) {
        assert_false(change(&reader, OTHER, types[i / 2], families[i % 2], "cofferdam"));
        assert_false(change(&reader, OTHER, NFT_MSG_NEWRULE, NFPROTO_INET, "filter"));
        assert_true(end(&reader, OTHER, 8 + i, "nft", &found));
        assert_string_equal(found.process, "nft");
        assert_int_equal(found.pid, 99);
        assert_false(found.lost);
        assert_int_equal(reader.generation, 8 + i);
        assert_false(end(&reader, OTHER, 8 + i, "nft", &found)); /* each change is told once */
    }
    assert_int_equal(reader.n_own, 0);
}

static void the_standby_is_ours_too(void **state)
{
    struct notice_reader reader = {.own_port = OWN};
    struct nft_change found;

    (void)state;
    assert_false(change(&reader, OTHER, NFT_MSG_NEWTABLE, NFPROTO_BRIDGE, "cofferdam-standby"));
    assert_true(end(&reader, OTHER, 1, "nft", &found));
    assert_false(change(&reader, OTHER, NFT_MSG_NEWTABLE, NFPROTO_BRIDGE, "cofferdam-standby2"));
    assert_false(end(&reader, OTHER, 2, "nft", &found));
}

static void our_own_changes_are_not_told(void **state)
{
    struct notice_reader reader = {.own_port = OWN};
    struct nft_change found;

    (void)state;
    assert_false(change(&reader, OWN, NFT_MSG_DELTABLE, NFPROTO_INET, "cofferdam"));
    assert_false(change(&reader, OWN, NFT_MSG_NEWTABLE, NFPROTO_INET, "cofferdam"));
    assert_false(end(&reader, OWN, 1, "cofferdamd", &found));
    assert_int_equal(reader.n_own, 1);
}

static void other_tables_are_not_ours(void **state)
{
    static const struct {
        uint8_t family;
        const char *table;
    } others[] = {{NFPROTO_IPV4, "cofferdam"},
                  {NFPROTO_INET, "cofferdam2"},
                  {NFPROTO_INET, "coffer"},
                  {NFPROTO_BRIDGE, ""}};
    struct notice_reader reader = {.own_port = OWN};
    struct nft_change found;

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        assert_false(change(&reader, OTHER, NFT_MSG_DELTABLE, others[i].family, others[i].table));
        assert_false(end(&reader, OTHER, i + 1, "dockerd", &found));
    }
}

static void a_process_cannot_write_lines_of_its_own(void **state)
{
    struct notice_reader reader = {.own_port = OWN};
    struct nft_change found;

    (void)state;
    change(&reader, OTHER, NFT_MSG_DELRULE, NFPROTO_BRIDGE, "cofferdam");
    assert_true(end(&reader, OTHER, 1,
                    "a\nb \xff\x1b[" /* and more than any name is long */
                    "0123456789012345678901234567890123456789",
                    &found));
    assert_string_equal(found.process, "a?b???[012345678901234567890123");
}

static void what_makes_no_sense_is_passed_over(void **state)
{
    struct notice_reader reader = {.own_port = OWN};
    struct nft_change found;
    struct nlmsghdr *header = message(OTHER, NFT_MSG_DELTABLE, NFPROTO_INET);

    (void)state;
    assert_false(notice_read(&reader, header, &found));    /* names no table */
    mnl_attr_put(header, NFTA_TABLE_NAME, 9, "cofferdam"); /* without the end of the text */
    assert_false(notice_read(&reader, header, &found));
    assert_false(end(&reader, OTHER, 1, "x", &found));
    header = mnl_nlmsg_put_header(buffer); /* no header of nf_tables at all */
    header->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN;
    assert_false(notice_read(&reader, header, &found));
    header = message(OTHER, NFT_MSG_DELTABLE, NFPROTO_INET);
    header->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8;
    mnl_attr_put_strz(header, 1, "cofferdam");
    assert_false(notice_read(&reader, header, &found));
    assert_false(end(&reader, OTHER, 2, "x", &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anothers_change_of_our_table_is_told_with_its_name),
        cmocka_unit_test(the_standby_is_ours_too),
        cmocka_unit_test(our_own_changes_are_not_told),
        cmocka_unit_test(other_tables_are_not_ours),
        cmocka_unit_test(a_process_cannot_write_lines_of_its_own),
        cmocka_unit_test(what_makes_no_sense_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
