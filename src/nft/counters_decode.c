// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "attrs.h"
#include "nft/counters.h"
#include "ruleset/ruleset.h"

static int read_counter(const struct nlattr *element, struct rule_counter *ret)
{
    struct attrs expr = ATTRS(NFTA_EXPR_MAX), counter = ATTRS(NFTA_COUNTER_MAX);
    const char *name;

    if (attrs_read_nest(element, &expr) < 0 || !attr_text(expr.v[NFTA_EXPR_NAME], NFT_NAME_MAXLEN, &name))
        return -EBADMSG;
    if (strcmp(name, "counter") != 0)
        return 0;
    if (!expr.v[NFTA_EXPR_DATA] || attrs_read_nest(expr.v[NFTA_EXPR_DATA], &counter) < 0 ||
        !attr_be64(counter.v[NFTA_COUNTER_PACKETS], &ret->packets) ||
        !attr_be64(counter.v[NFTA_COUNTER_BYTES], &ret->bytes))
        return -EBADMSG;
    return 0;
}

static int read_expressions(const struct nlattr *list, struct rule_counter *ret)
{
    const struct nlattr *element;
    int r = 0;

    if (!attrs_is_list_of(list, NFTA_LIST_ELEM))
        return -EBADMSG;
    mnl_attr_for_each_nested (element, list)
        if (r == 0)
            r = read_counter(element, ret);
    return r;
}

/* A chain's rules come one after the other. */
static struct chain_counters *chain_of(struct table_counters *counters, const char *name)
{
    struct chain_counters *chain = counters->n ? &counters->chains[counters->n - 1] : NULL;

    if (chain && strcmp(chain->name, name) == 0)
        return chain;
    chain = ARRAY_ADD(counters->chains, counters->n);
    chain->name = xstrdup(name);
    return chain;
}

static bool is_ours(const struct nlmsghdr *message, const struct attrs *attrs)
{
    const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
    const char *table;

    return header->nfgen_family == NFPROTO_INET &&
           attr_text(attrs->v[NFTA_RULE_TABLE], NFT_NAME_MAXLEN, &table) && strcmp(table, TABLE_NAME) == 0;
}

int nft_counters_decode(struct table_counters *counters, const struct nlmsghdr *message)
{
    struct attrs attrs = ATTRS(NFTA_RULE_MAX);
    struct rule_counter rule = {0};
    struct chain_counters *chain;
    const char *name;

    if (message->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE))
        return 0;
    if (attrs_read_message(message, &attrs) < 0)
        return -EBADMSG;
    if (!is_ours(message, &attrs))
        return 0;
    if (!attr_text(attrs.v[NFTA_RULE_CHAIN], NFT_NAME_MAXLEN, &name) ||
        !attr_be64(attrs.v[NFTA_RULE_HANDLE], &rule.handle))
        return -EBADMSG;
    if (attrs.v[NFTA_RULE_EXPRESSIONS] && read_expressions(attrs.v[NFTA_RULE_EXPRESSIONS], &rule) < 0)
        return -EBADMSG;
    chain = chain_of(counters, name);
    *ARRAY_ADD(chain->rules, chain->n) = rule;
    return 0;
}
