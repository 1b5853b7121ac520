// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages as the kernel sends them, built with libnftnl; whole, and cut short anywhere. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/flowtable.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nft/survey.h"
#include "util/mem.h"

struct buffer {
    char bytes[8192];
} __attribute__((aligned(8)));

static struct nlmsghdr *start(struct buffer *buffer, uint16_t type, uint16_t family)
{
    memset(buffer, 0, sizeof(*buffer));
    return nftnl_nlmsg_build_hdr(buffer->bytes, type, family, 0, 1);
}

static struct nlmsghdr *flowtable_message(struct buffer *buffer)
{
    static const char *devices[] = {"eth0", "br-shop", NULL};
    struct nftnl_flowtable *flowtable = nftnl_flowtable_alloc();
    struct nlmsghdr *message = start(buffer, NFT_MSG_NEWFLOWTABLE, NFPROTO_INET);

    nftnl_flowtable_set_str(flowtable, NFTNL_FLOWTABLE_TABLE, "router");
    nftnl_flowtable_set_str(flowtable, NFTNL_FLOWTABLE_NAME, "fast");
    nftnl_flowtable_set_u32(flowtable, NFTNL_FLOWTABLE_HOOKNUM, 0);
    nftnl_flowtable_set_s32(flowtable, NFTNL_FLOWTABLE_PRIO, 0);
    nftnl_flowtable_set_data(flowtable, NFTNL_FLOWTABLE_DEVICES, devices, 0);
    nftnl_flowtable_nlmsg_build_payload(message, flowtable);
    nftnl_flowtable_free(flowtable);
    return message;
}

static struct nlmsghdr *table_message(struct buffer *buffer)
{
    struct nftnl_table *table = nftnl_table_alloc();
    struct nlmsghdr *message = start(buffer, NFT_MSG_NEWTABLE, NFPROTO_INET);

    nftnl_table_set_str(table, NFTNL_TABLE_NAME, "router");
    nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, 2);
    nftnl_table_nlmsg_build_payload(message, table);
    nftnl_table_free(table);
    return message;
}

static struct nlmsghdr *chain_message(struct buffer *buffer, const char *name, bool base)
{
    struct nftnl_chain *chain = nftnl_chain_alloc();
    struct nlmsghdr *message = start(buffer, NFT_MSG_NEWCHAIN, NFPROTO_INET);

    nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, "router");
    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
    if (base) {
        nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, NF_INET_FORWARD);
        nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, -5);
        nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_DROP);
        nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
    }
    nftnl_chain_nlmsg_build_payload(message, chain);
    nftnl_chain_free(chain);
    return message;
}

static struct nftnl_expr *verdict(uint32_t code, const char *target)
{
    struct nftnl_expr *expr = nftnl_expr_alloc("immediate");

    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, code);
    if (target)
        nftnl_expr_set_str(expr, NFTNL_EXPR_IMM_CHAIN, target);
    return expr;
}

static struct nftnl_expr *flow_add(void)
{
    struct nftnl_expr *expr = nftnl_expr_alloc("flow_offload");

    nftnl_expr_set_str(expr, NFTNL_EXPR_FLOW_TABLE_NAME, "fast");
    return expr;
}

/* Takes both expressions. */
static struct nlmsghdr *rule_message(struct buffer *buffer, const char *chain, struct nftnl_expr *first,
                                     struct nftnl_expr *second)
{
    struct nftnl_rule *rule = nftnl_rule_alloc();
    struct nlmsghdr *message = start(buffer, NFT_MSG_NEWRULE, NFPROTO_INET);

    nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, "router");
    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
    nftnl_rule_add_expr(rule, first);
    if (second)
        nftnl_rule_add_expr(rule, second);
    nftnl_rule_nlmsg_build_payload(message, rule);
    nftnl_rule_free(rule);
    return message;
}

static void all_is_read(void **state)
{
    _cleanup_nft_survey_ struct nft_survey survey = {0};
    struct buffer buffer;
    uint32_t mark_bits;

    (void)state;
    assert_int_equal(nft_survey_decode(&survey, table_message(&buffer)), 0);
    assert_int_equal(nft_survey_decode(&survey, chain_message(&buffer, "forward", true)), 0);
    assert_int_equal(nft_survey_decode(&survey, chain_message(&buffer, "sub", false)), 0);
    assert_int_equal(nft_survey_decode(&survey, chain_message(&buffer, "unused", false)), 0);
    assert_int_equal(nft_survey_decode(
                         &survey, rule_message(&buffer, "forward", verdict((uint32_t)NFT_JUMP, "sub"), NULL)),
                     0);
    assert_int_equal(
        nft_survey_decode(&survey, rule_message(&buffer, "sub", flow_add(), verdict(NF_ACCEPT, NULL))), 0);
    assert_int_equal(
        nft_survey_decode(&survey, rule_message(&buffer, "unused", verdict(NF_DROP, NULL), NULL)), 0);
    assert_int_equal(nft_survey_decode(&survey, flowtable_message(&buffer)), 0);

    assert_int_equal(survey.n_tables, 1);
    assert_int_equal(survey.tables[0].flags, 2);
    assert_int_equal(survey.n_chains, 3);
    assert_true(survey.chains[0].base && survey.chains[0].policy_drop && !survey.chains[1].base);
    assert_int_equal(survey.chains[0].priority, -5);
    assert_int_equal(survey.chains[0].hook, NF_INET_FORWARD);
    assert_string_equal(survey.chains[0].jumps[0], "sub");
    assert_int_equal(nft_survey_does(&survey, &survey.chains[0], &mark_bits), DOES_OFFLOAD | DOES_ACCEPT);
    assert_int_equal(nft_survey_does(&survey, &survey.chains[2], &mark_bits), DOES_DROP);
    assert_int_equal(survey.n_flowtables, 1);
    assert_string_equal(survey.flowtables[0].table, "router");
    assert_string_equal(survey.flowtables[0].name, "fast");
    assert_string_equal(survey.flowtables[0].devices, "eth0 br-shop");
}

/* libnftnl knows no beginnings of names yet. */
static void beginnings_of_names(void **state)
{
    _cleanup_nft_survey_ struct nft_survey survey = {0};
    struct nlattr *hook, *devices;
    struct nlmsghdr *message;
    struct buffer buffer;

    (void)state;
    message = start(&buffer, NFT_MSG_NEWCHAIN, NFPROTO_NETDEV);
    mnl_attr_put_strz(message, NFTA_CHAIN_TABLE, "edge");
    mnl_attr_put_strz(message, NFTA_CHAIN_NAME, "in");
    hook = mnl_attr_nest_start(message, NFTA_CHAIN_HOOK);
    mnl_attr_put_u32(message, NFTA_HOOK_HOOKNUM, 0);
    mnl_attr_put_u32(message, NFTA_HOOK_PRIORITY, 0);
    devices = mnl_attr_nest_start(message, NFTA_HOOK_DEVS);
    mnl_attr_put_strz(message, NFTA_DEVICE_NAME, "eth0");
    mnl_attr_put_strz(message, NFTA_DEVICE_NAME + 1, "veth");
    mnl_attr_nest_end(message, devices);
    mnl_attr_nest_end(message, hook);
    assert_int_equal(nft_survey_decode(&survey, message), 0);
    assert_string_equal(survey.chains[0].devices, "eth0 veth*");
}

/* A rule of a chain that has come since the chains were told: the reader asks again. */
static void a_rule_without_its_chain(void **state)
{
    _cleanup_nft_survey_ struct nft_survey survey = {0};
    struct buffer buffer;

    (void)state;
    assert_int_equal(nft_survey_decode(&survey, rule_message(&buffer, "forward", flow_add(), NULL)), -EAGAIN);
}

/* Two chains that lead to each other. */
static void a_circle_ends(void **state)
{
    _cleanup_nft_survey_ struct nft_survey survey = {0};
    struct buffer buffer;
    uint32_t mark_bits;

    (void)state;
    nft_survey_decode(&survey, chain_message(&buffer, "a", true));
    nft_survey_decode(&survey, chain_message(&buffer, "b", false));
    nft_survey_decode(&survey, rule_message(&buffer, "a", verdict((uint32_t)NFT_JUMP, "b"), NULL));
    nft_survey_decode(&survey,
                      rule_message(&buffer, "b", verdict((uint32_t)NFT_GOTO, "a"), verdict(NF_DROP, NULL)));
    assert_int_equal(nft_survey_does(&survey, &survey.chains[0], &mark_bits), DOES_DROP);
}

/* The copy is as long as the message says, so that a sanitizer or valgrind sees what is read behind its end. */
static void cut(struct nlmsghdr *message)
{
    for (size_t len = sizeof(*message); len <= message->nlmsg_len; len++) {
        _cleanup_nft_survey_ struct nft_survey survey = {0};
        struct buffer chain;
        struct nlmsghdr *copy = malloc(len);

        assert_non_null(copy);
        assert_int_equal(nft_survey_decode(&survey, chain_message(&chain, "sub", false)), 0);
        memcpy(copy, message, len);
        copy->nlmsg_len = (uint32_t)len;
        (void)nft_survey_decode(&survey, copy);
        free(copy);
    }
}

static void what_is_cut_short_does_no_harm(void **state)
{
    _cleanup_nft_survey_ struct nft_survey survey = {0};
    struct buffer buffer;
    struct nlmsghdr *message;

    (void)state;
    cut(table_message(&buffer));
    cut(chain_message(&buffer, "forward", true));
    cut(rule_message(&buffer, "sub", flow_add(), verdict((uint32_t)NFT_JUMP, "sub")));
    cut(flowtable_message(&buffer));
    message = flowtable_message(&buffer);
    message->nlmsg_len -= 4;
    assert_int_equal(nft_survey_decode(&survey, message), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_read),
        cmocka_unit_test(beginnings_of_names),
        cmocka_unit_test(a_rule_without_its_chain),
        cmocka_unit_test(a_circle_ends),
        cmocka_unit_test(what_is_cut_short_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
