// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/decode.h"

#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "attrs.h"
#include "decode_rule.h"
#include "decode_set.h"
#include "util/mem.h"

/* Of one table. What is over them is not kept: then the table counts as one to be replaced. */
#define CHAINS_MAX 65536
#define SETS_MAX 65536
#define RULES_MAX 262144
#define ELEMENTS_MAX (512 * 1024)

#define TABLE_F_PERSIST 4 /* NFT_TABLE_F_PERSIST, Linux 6.9 */

struct limits {
    size_t n_chains, n_sets, n_rules, n_elements;
};

struct nft_decoder {
    struct nft_tables tables;
    struct limits limits[TABLES];
    struct bounds *bounds; /* of the sets of intervals */
    size_t n_bounds;
};

void nft_tables_clear(struct nft_tables *tables)
{
    ruleset_free(tables->ruleset);
    *tables = (struct nft_tables){0};
}

struct nft_decoder *nft_decoder_new(enum table_pair pair)
{
    struct nft_decoder *decoder = xnew(struct nft_decoder);

    decoder->tables.ruleset = ruleset_new();
    decoder->tables.ruleset->pair = pair;
    return decoder;
}

struct nft_decoder *nft_decoder_free(struct nft_decoder *decoder)
{
    if (!decoder)
        return NULL;
    for (size_t i = 0; i < decoder->n_bounds; i++)
        free(decoder->bounds[i].v);
    free(decoder->bounds);
    nft_tables_clear(&decoder->tables);
    free(decoder);
    return NULL;
}

const struct ruleset *nft_decoder_ruleset(const struct nft_decoder *decoder)
{
    return decoder->tables.ruleset;
}

static struct table *table_of(struct nft_decoder *decoder, enum table_id id)
{
    return &decoder->tables.ruleset->tables[id];
}

/* One more: false when that is one too many. */
static bool count(struct nft_decoder *decoder, enum table_id id, size_t *n, size_t max, const char *what)
{
    char text[64];

    if (*n < max) {
        (*n)++;
        return true;
    }
    if (*n == max) {
        snprintf(text, sizeof(text), "more than %zu %s", max, what);
        table_add_odd(table_of(decoder, id), text);
        (*n)++;
    }
    return false;
}

/* ---- tables ------------------------------------------------------------------------------------------- */

static int decode_table(struct nft_decoder *decoder, enum table_id id, const struct attrs *attrs)
{
    static const uint64_t known = ATTR_BIT(NFTA_TABLE_NAME) | ATTR_BIT(NFTA_TABLE_FLAGS) |
                                  ATTR_BIT(NFTA_TABLE_USE) | ATTR_BIT(NFTA_TABLE_HANDLE) |
                                  ATTR_BIT(NFTA_TABLE_PAD) | ATTR_BIT(NFTA_TABLE_OWNER);
    uint32_t flags = 0, owner = 0;
    char text[64];

    if ((attrs->v[NFTA_TABLE_FLAGS] && !attr_be32(attrs->v[NFTA_TABLE_FLAGS], &flags)) ||
        (attrs->v[NFTA_TABLE_OWNER] && !attr_be32(attrs->v[NFTA_TABLE_OWNER], &owner)))
        return -EBADMSG;
    if (flags & NFT_TABLE_F_DORMANT)
        table_add_odd(table_of(decoder, id), "flags dormant");
    if (flags & ~(uint32_t)(NFT_TABLE_F_DORMANT | NFT_TABLE_F_OWNER | TABLE_F_PERSIST)) {
        snprintf(text, sizeof(text), "flags %#x", flags);
        table_add_odd(table_of(decoder, id), text);
    }
    if (attrs_has_other(attrs, known))
        table_add_odd(table_of(decoder, id), "a comment, or what is not known of tables");
    decoder->tables.exists[id] = true;
    decoder->tables.flags[id] = flags;
    decoder->tables.owner[id] = owner;
    return 0;
}

static int decode_odd(struct nft_decoder *decoder, enum table_id id, const char *kind,
                      const struct nlattr *attr)
{
    _cleanup_free_ char *text = NULL;
    const char *name;

    if (!attr_text(attr, NFT_NAME_MAXLEN, &name))
        return -EBADMSG;
    text = xasprintf("%s %s", kind, name);
    table_add_odd(table_of(decoder, id), text);
    return 0;
}

/* ---- chains ------------------------------------------------------------------------------------------- */

static bool hook_decode(uint32_t number, enum chain_hook *ret)
{
    static const enum chain_hook hooks[] = {[NF_INET_PRE_ROUTING] = HOOK_PREROUTING,
                                            [NF_INET_LOCAL_IN] = HOOK_INPUT,
                                            [NF_INET_FORWARD] = HOOK_FORWARD,
                                            [NF_INET_LOCAL_OUT] = HOOK_OUTPUT};

    if (number >= ARRAY_SIZE(hooks))
        return false;
    *ret = hooks[number];
    return true;
}

/* NULL, or what of a base chain is none of ours. */
static const char *decode_base(const struct attrs *attrs, struct chain *chain)
{
    struct attrs hook = ATTRS(NFTA_HOOK_MAX);
    uint32_t number, priority, policy;
    const char *type;

    if (attrs_read_nest(attrs->v[NFTA_CHAIN_HOOK], &hook) < 0 ||
        attrs_has_other(&hook, ATTR_BIT(NFTA_HOOK_HOOKNUM) | ATTR_BIT(NFTA_HOOK_PRIORITY)))
        return "bound to devices";
    if (!attr_be32(hook.v[NFTA_HOOK_HOOKNUM], &number) || !hook_decode(number, &chain->hook))
        return "another hook";
    if (!attr_be32(hook.v[NFTA_HOOK_PRIORITY], &priority))
        return "no priority";
    chain->priority = (int32_t)priority;
    if (!attr_text(attrs->v[NFTA_CHAIN_TYPE], NFT_NAME_MAXLEN, &type) || strcmp(type, "filter") != 0)
        return "another type than filter";
    if (!attr_be32(attrs->v[NFTA_CHAIN_POLICY], &policy) || policy != NF_ACCEPT)
        return "another policy than accept";
    return NULL;
}

/* A chain that is part of a rule ("jump { ... }") comes and goes with it, as an anonymous set does. */
#define CHAIN_F_BASE 1u    /* NFT_CHAIN_BASE */
#define CHAIN_F_BINDING 4u /* NFT_CHAIN_BINDING */

static const char *decode_chain_details(const struct attrs *attrs, uint32_t flags, struct chain *chain)
{
    static const uint64_t known = ATTR_BIT(NFTA_CHAIN_TABLE) | ATTR_BIT(NFTA_CHAIN_HANDLE) |
                                  ATTR_BIT(NFTA_CHAIN_NAME) | ATTR_BIT(NFTA_CHAIN_HOOK) |
                                  ATTR_BIT(NFTA_CHAIN_POLICY) | ATTR_BIT(NFTA_CHAIN_USE) |
                                  ATTR_BIT(NFTA_CHAIN_TYPE) | ATTR_BIT(NFTA_CHAIN_PAD) |
                                  ATTR_BIT(NFTA_CHAIN_FLAGS) | ATTR_BIT(NFTA_CHAIN_ID);
    const char *why = attrs->v[NFTA_CHAIN_HOOK] ? decode_base(attrs, chain) : NULL;

    if (why)
        return why;
    if (flags & ~CHAIN_F_BASE)
        return "unknown flags";
    return attrs_has_other(attrs, known) ? "a counter, a comment, or what is not known of chains" : NULL;
}

static int decode_chain(struct nft_decoder *decoder, enum table_id id, const struct attrs *attrs)
{
    const char *name, *why;
    struct chain *chain;
    uint32_t flags = 0;

    if (!attr_text(attrs->v[NFTA_CHAIN_NAME], NFT_NAME_MAXLEN, &name) ||
        (attrs->v[NFTA_CHAIN_FLAGS] && !attr_be32(attrs->v[NFTA_CHAIN_FLAGS], &flags)) ||
        table_chain(table_of(decoder, id), name))
        return -EBADMSG;
    if (flags & CHAIN_F_BINDING || !count(decoder, id, &decoder->limits[id].n_chains, CHAINS_MAX, "chains"))
        return 0;
    chain = ruleset_add_chain(decoder->tables.ruleset, id, name);
    why = decode_chain_details(attrs, flags, chain);
    chain->foreign = why ? xstrdup(why) : NULL;
    return 0;
}

/* ---- rules -------------------------------------------------------------------------------------------- */

static void add_rule(struct nft_decoder *decoder, enum table_id id, struct chain *chain,
                     const struct attrs *attrs, const struct exprs *exprs)
{
    static const uint64_t known = ATTR_BIT(NFTA_RULE_TABLE) | ATTR_BIT(NFTA_RULE_CHAIN) |
                                  ATTR_BIT(NFTA_RULE_HANDLE) | ATTR_BIT(NFTA_RULE_EXPRESSIONS) |
                                  ATTR_BIT(NFTA_RULE_POSITION) | ATTR_BIT(NFTA_RULE_USERDATA) |
                                  ATTR_BIT(NFTA_RULE_PAD) | ATTR_BIT(NFTA_RULE_ID);
    const struct nlattr *data = attrs->v[NFTA_RULE_USERDATA];
    struct rule_stmt *rule = chain_add_rule(chain);

    if (attrs_has_other(attrs, known))
        rule_decode_foreign(exprs, rule);
    else
        rule_decode(decoder->tables.ruleset, id, exprs, data ? mnl_attr_get_payload(data) : NULL,
                    data ? mnl_attr_get_payload_len(data) : 0, rule);
}

/* Rules of chains that are not kept are passed over: those of a rule's own chain, and those over the limit. */
static int decode_rule(struct nft_decoder *decoder, enum table_id id, const struct attrs *attrs)
{
    struct exprs exprs = {0};
    struct chain *chain;
    const char *name;

    if (!attr_text(attrs->v[NFTA_RULE_CHAIN], NFT_NAME_MAXLEN, &name) ||
        (attrs->v[NFTA_RULE_EXPRESSIONS] && exprs_read(attrs->v[NFTA_RULE_EXPRESSIONS], &exprs) < 0))
        return -EBADMSG;
    chain = table_chain(table_of(decoder, id), name);
    if (chain && count(decoder, id, &decoder->limits[id].n_rules, RULES_MAX, "rules"))
        add_rule(decoder, id, chain, attrs, &exprs);
    exprs_clear(&exprs);
    return 0;
}

/* ---- sets --------------------------------------------------------------------------------------------- */

static int decode_set(struct nft_decoder *decoder, enum table_id id, const struct attrs *attrs)
{
    const char *name;

    if (!attr_text(attrs->v[NFTA_SET_NAME], NFT_NAME_MAXLEN, &name) || table_set(table_of(decoder, id), name))
        return -EBADMSG;
    if (count(decoder, id, &decoder->limits[id].n_sets, SETS_MAX, "sets"))
        (void)set_decode(decoder->tables.ruleset, id, name, attrs);
    return 0;
}

/* A set's messages follow each other. */
static struct bounds *bounds_of(struct nft_decoder *decoder, struct set *set)
{
    struct bounds *bounds;

    if (decoder->n_bounds && decoder->bounds[decoder->n_bounds - 1].set == set)
        return &decoder->bounds[decoder->n_bounds - 1];
    bounds = ARRAY_ADD(decoder->bounds, decoder->n_bounds);
    bounds->set = set;
    return bounds;
}

static int decode_elements(struct nft_decoder *decoder, enum table_id id, const struct attrs *attrs)
{
    const struct nlattr *list = attrs->v[NFTA_SET_ELEM_LIST_ELEMENTS], *element;
    struct bounds *bounds;
    const char *name;
    struct set *set;
    int r = 0;

    if (!attr_text(attrs->v[NFTA_SET_ELEM_LIST_SET], NFT_NAME_MAXLEN, &name) ||
        (list && !attrs_is_list_of(list, NFTA_LIST_ELEM)))
        return -EBADMSG;
    set = table_set(table_of(decoder, id), name);
    if (!set)
        return -EBADMSG;
    if (!list || set->foreign || set->meter.size) /* what packets put in is theirs */
        return 0;
    bounds = bounds_of(decoder, set);
    mnl_attr_for_each_nested (element, list) {
        if (r == 0 && count(decoder, id, &decoder->limits[id].n_elements, ELEMENTS_MAX, "elements"))
            r = element_decode(decoder->tables.ruleset, set, element, bounds);
    }
    return r;
}

/* ---- messages ----------------------------------------------------------------------------------------- */

/* NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, ...: it is the first everywhere. */
#define ATTR_TABLE 1

static int decode(struct nft_decoder *decoder, uint8_t type, enum table_id id, const struct attrs *attrs)
{
    switch (type) {
    case NFT_MSG_NEWTABLE:
        return decode_table(decoder, id, attrs);
    case NFT_MSG_NEWCHAIN:
        return decode_chain(decoder, id, attrs);
    case NFT_MSG_NEWRULE:
        return decode_rule(decoder, id, attrs);
    case NFT_MSG_NEWSET:
        return decode_set(decoder, id, attrs);
    case NFT_MSG_NEWSETELEM:
        return decode_elements(decoder, id, attrs);
    case NFT_MSG_NEWOBJ:
        return decode_odd(decoder, id, "object", attrs->v[NFTA_OBJ_NAME]);
    case NFT_MSG_NEWFLOWTABLE:
        return decode_odd(decoder, id, "flowtable", attrs->v[NFTA_FLOWTABLE_NAME]);
    }
    return 0;
}

int nft_decode(struct nft_decoder *decoder, const struct nlmsghdr *message)
{
    struct attrs attrs = ATTRS(31); /* more than there are of any of these */
    const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
    enum table_id id;
    enum table_pair pair = decoder->tables.ruleset->pair;
    const char *table;
    int r;

    if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
        return 0;
    r = attrs_read_message(message, &attrs);
    if (r < 0)
        return r;
    if (header->nfgen_family != NFPROTO_INET && header->nfgen_family != NFPROTO_BRIDGE)
        return 0;
    if (!attr_text(attrs.v[ATTR_TABLE], NFT_NAME_MAXLEN, &table))
        return -EBADMSG;
    id = header->nfgen_family == NFPROTO_INET ? TABLE_INET : TABLE_BRIDGE;
    if (strcmp(table, table_pair_name(pair, true)) == 0) /* that it is there is all that is of interest */
        table_of(decoder, id)->standby = true;
    if (strcmp(table, table_pair_name(pair, false)) != 0)
        return 0;
    return decode(decoder, message->nlmsg_type & 0xff, id, &attrs);
}

void nft_decoder_finish(struct nft_decoder *decoder, struct nft_tables *ret)
{
    for (size_t i = 0; i < decoder->n_bounds; i++) {
        if (!decoder->bounds[i].set->foreign)
            bounds_join(&decoder->bounds[i]);
    }
    *ret = decoder->tables;
    decoder->tables = (struct nft_tables){.ruleset = ruleset_new()};
    decoder->tables.ruleset->pair = ret->ruleset->pair;
    for (size_t i = 0; i < decoder->n_bounds; i++)
        free(decoder->bounds[i].v);
    decoder->n_bounds = 0;
    for (size_t i = 0; i < TABLES; i++) {
        struct table *table = &ret->ruleset->tables[i];

        table->absent = !ret->exists[i];
        ret->whole[i] = table->n_odd == 0;
        decoder->limits[i] = (struct limits){0};
    }
}
