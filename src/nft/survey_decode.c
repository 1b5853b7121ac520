// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/survey.h"

#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include <uthash.h>

#include "attrs.h"
#include "expr_read.h"
#include "util/mem.h"

const char *nft_family_name(unsigned family)
{
    switch (family) {
    case NFPROTO_INET:
        return "inet";
    case NFPROTO_IPV4:
        return "ip";
    case NFPROTO_IPV6:
        return "ip6";
    case NFPROTO_ARP:
        return "arp";
    case NFPROTO_BRIDGE:
        return "bridge";
    case NFPROTO_NETDEV:
        return "netdev";
    default:
        return "?";
    }
}

static void chain_clear(struct survey_chain *chain)
{
    free(chain->table);
    free(chain->name);
    free(chain->type);
    free(chain->devices);
    for (size_t i = 0; i < chain->n_jumps; i++)
        free(chain->jumps[i]);
    free(chain->jumps);
}

void nft_survey_clear(struct nft_survey *survey)
{
    for (size_t i = 0; i < survey->n_tables; i++)
        free(survey->tables[i].name);
    for (size_t i = 0; i < survey->n_chains; i++)
        chain_clear(&survey->chains[i]);
    for (size_t i = 0; i < survey->n_flowtables; i++) {
        free(survey->flowtables[i].table);
        free(survey->flowtables[i].name);
        free(survey->flowtables[i].devices);
    }
    free(survey->tables);
    free(survey->chains);
    free(survey->flowtables);
    *survey = (struct nft_survey){0};
}

static unsigned family_of(const struct nlmsghdr *message)
{
    const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);

    return header->nfgen_family;
}

static char *text_or_empty(const struct nlattr *attr)
{
    const char *text = "";

    attr_text(attr, NFT_NAME_MAXLEN, &text);
    return xstrdup(text);
}

/* ---- tables and flow tables --------------------------------------------------------------------------- */

static int decode_table(struct nft_survey *survey, const struct nlmsghdr *message)
{
    struct attrs attrs = ATTRS(NFTA_TABLE_MAX + 8);
    struct survey_table *table;
    int r = attrs_read_message(message, &attrs);

    if (r < 0 || survey->n_tables >= SURVEY_MAX)
        return r < 0 ? r : -E2BIG;
    table = ARRAY_ADD(survey->tables, survey->n_tables);
    table->family = family_of(message);
    table->name = text_or_empty(attrs.v[NFTA_TABLE_NAME]);
    attr_be32(attrs.v[NFTA_TABLE_FLAGS], &table->flags);
    attr_be32(attrs.v[NFTA_TABLE_OWNER], &table->owner);
    return 0;
}

#define DEVICE_PREFIX 2 /* NFTA_DEVICE_PREFIX, of newer kernels: how the names of interfaces begin */

/* The names in a nest of devices, with a space between, and a star behind a beginning; NULL where there are none. */
static char *device_names(const struct nlattr *nest)
{
    char names[SURVEY_DEVICES_MAX] = "";
    const struct nlattr *attr;
    size_t len = 0;

    if (!nest)
        return NULL;
    mnl_attr_for_each_nested (attr, nest) {
        const char *name;
        size_t n;

        if (!attr_text(attr, NFT_NAME_MAXLEN, &name))
            continue;
        n = strlen(name);
        if (len + n + 3 > sizeof(names))
            break;
        if (len)
            names[len++] = ' ';
        memcpy(names + len, name, n + 1);
        len += n;
        if (mnl_attr_get_type(attr) == DEVICE_PREFIX)
            memcpy(names + len++, "*", 2);
    }
    return len ? xstrdup(names) : NULL;
}

static int decode_flowtable(struct nft_survey *survey, const struct nlmsghdr *message)
{
    struct attrs attrs = ATTRS(NFTA_FLOWTABLE_MAX + 8), hook = ATTRS(NFTA_FLOWTABLE_HOOK_MAX + 8);
    struct survey_flowtable *flowtable;
    int r = attrs_read_message(message, &attrs);

    if (r == 0 && attrs.v[NFTA_FLOWTABLE_HOOK])
        r = attrs_read_nest(attrs.v[NFTA_FLOWTABLE_HOOK], &hook);
    if (r < 0 || survey->n_flowtables >= SURVEY_MAX)
        return r < 0 ? r : -E2BIG;
    flowtable = ARRAY_ADD(survey->flowtables, survey->n_flowtables);
    flowtable->family = family_of(message);
    flowtable->table = text_or_empty(attrs.v[NFTA_FLOWTABLE_TABLE]);
    flowtable->name = text_or_empty(attrs.v[NFTA_FLOWTABLE_NAME]);
    flowtable->devices = device_names(hook.v[NFTA_FLOWTABLE_HOOK_DEVS]);
    return 0;
}

/* ---- chains ------------------------------------------------------------------------------------------- */

static int decode_hook(const struct nlattr *nest, struct survey_chain *chain)
{
    struct attrs attrs = ATTRS(NFTA_HOOK_MAX + 8);
    uint32_t hook = 0, priority = 0;
    const char *device;
    int r = attrs_read_nest(nest, &attrs);

    if (r < 0)
        return r;
    attr_be32(attrs.v[NFTA_HOOK_HOOKNUM], &hook);
    attr_be32(attrs.v[NFTA_HOOK_PRIORITY], &priority);
    chain->base = true;
    chain->hook = hook;
    chain->priority = (int)priority;
    if (attrs.v[NFTA_HOOK_DEVS])
        chain->devices = device_names(attrs.v[NFTA_HOOK_DEVS]);
    else if (attr_text(attrs.v[NFTA_HOOK_DEV], NFT_NAME_MAXLEN, &device))
        chain->devices = xstrdup(device);
    return 0;
}

static int decode_chain(struct nft_survey *survey, const struct nlmsghdr *message)
{
    struct attrs attrs = ATTRS(NFTA_CHAIN_MAX + 8);
    struct survey_chain chain = {.family = family_of(message)};
    uint32_t policy = NF_ACCEPT;
    const char *type;
    int r = attrs_read_message(message, &attrs);

    if (r == 0 && survey->n_chains >= SURVEY_MAX)
        r = -E2BIG;
    if (r == 0 && attrs.v[NFTA_CHAIN_HOOK])
        r = decode_hook(attrs.v[NFTA_CHAIN_HOOK], &chain);
    if (r < 0)
        return r;
    chain.table = text_or_empty(attrs.v[NFTA_CHAIN_TABLE]);
    chain.name = text_or_empty(attrs.v[NFTA_CHAIN_NAME]);
    attr_be32(attrs.v[NFTA_CHAIN_POLICY], &policy);
    chain.policy_drop = chain.base && policy == NF_DROP;
    if (attr_text(attrs.v[NFTA_CHAIN_TYPE], NFT_NAME_MAXLEN, &type))
        chain.type = xstrdup(type);
    *ARRAY_ADD(survey->chains, survey->n_chains) = chain;
    return 0;
}

static bool is_chain(const struct survey_chain *chain, unsigned family, const char *table, const char *name)
{
    return chain->family == family && strcmp(chain->name, name) == 0 && strcmp(chain->table, table) == 0;
}

/* The kernel tells rules in the order of their chains: the search goes on where the last one ended. */
static struct survey_chain *find_chain(struct nft_survey *survey, unsigned family, const char *table,
                                       const char *name)
{
    for (size_t i = 0; i < survey->n_chains; i++) {
        size_t place = (survey->last_chain + i) % survey->n_chains;

        if (is_chain(&survey->chains[place], family, table, name)) {
            survey->last_chain = place;
            return &survey->chains[place];
        }
    }
    return NULL;
}

/* ---- rules -------------------------------------------------------------------------------------------- */

/* What the expressions of a rule before this one have left behind, as far as a change of the mark needs it. */
struct rule_state {
    struct survey_chain *chain;
    uint32_t
        mark_bits; /* that the value read last may differ from the mark in: all, but for the mark itself */
};

static int add_jump(struct survey_chain *chain, const char *name)
{
    for (size_t i = 0; i < chain->n_jumps; i++)
        if (strcmp(chain->jumps[i], name) == 0)
            return 0;
    if (chain->n_jumps >= SURVEY_MAX)
        return -E2BIG;
    *ARRAY_ADD(chain->jumps, chain->n_jumps) = xstrdup(name);
    return 0;
}

static int read_verdict(const struct nlattr *data, struct survey_chain *chain)
{
    char name[NFT_NAME_MAXLEN] = "";
    uint32_t code;

    if (!verdict_read(data, &code, name))
        return 0;
    if (code == NF_ACCEPT)
        chain->does |= DOES_ACCEPT;
    else if (code == NF_DROP)
        chain->does |= DOES_DROP;
    return name[0] ? add_jump(chain, name) : 0;
}

static int read_immediate(const struct nlattr *data, struct rule_state *rule)
{
    struct attrs attrs = ATTRS(NFTA_IMMEDIATE_MAX);
    uint32_t dreg;
    int r = attrs_read_nest(data, &attrs);

    if (r < 0 || !attr_be32(attrs.v[NFTA_IMMEDIATE_DREG], &dreg) || !attrs.v[NFTA_IMMEDIATE_DATA])
        return r;
    return dreg == NFT_REG_VERDICT ? read_verdict(attrs.v[NFTA_IMMEDIATE_DATA], rule->chain) : 0;
}

static int read_lookup(const struct nlattr *data, struct rule_state *rule)
{
    struct attrs attrs = ATTRS(NFTA_LOOKUP_MAX);
    uint32_t dreg;
    int r = attrs_read_nest(data, &attrs);

    if (r == 0 && attr_be32(attrs.v[NFTA_LOOKUP_DREG], &dreg) && dreg == NFT_REG_VERDICT)
        rule->chain->does |= DOES_MAP;
    return r;
}

/* The register's value, in the byte order of the host. */
static bool read_value(const struct nlattr *nest, uint32_t *ret)
{
    struct attrs attrs = ATTRS(NFTA_DATA_MAX);

    if (!nest || attrs_read_nest(nest, &attrs) < 0 || !attrs.v[NFTA_DATA_VALUE] ||
        mnl_attr_get_payload_len(attrs.v[NFTA_DATA_VALUE]) != sizeof(*ret))
        return false;
    memcpy(ret, mnl_attr_get_payload(attrs.v[NFTA_DATA_VALUE]), sizeof(*ret));
    return true;
}

/* (value & mask) ^ xor changes the bits that the mask lacks, and those of xor. */
static int read_bitwise(const struct nlattr *data, struct rule_state *rule)
{
    struct attrs attrs = ATTRS(NFTA_BITWISE_MAX + 8);
    uint32_t mask, xor;
    int r = attrs_read_nest(data, &attrs);

    if (r < 0)
        return r;
    if (read_value(attrs.v[NFTA_BITWISE_MASK], &mask) && read_value(attrs.v[NFTA_BITWISE_XOR], &xor))
        rule->mark_bits |= ~mask | xor;
    else
        rule->mark_bits = UINT32_MAX;
    return 0;
}

static int read_meta(const struct nlattr *data, struct rule_state *rule)
{
    struct attrs attrs = ATTRS(NFTA_META_MAX);
    uint32_t key;
    int r = attrs_read_nest(data, &attrs);

    if (r < 0 || !attr_be32(attrs.v[NFTA_META_KEY], &key))
        return r;
    if (!attrs.v[NFTA_META_SREG])
        rule->mark_bits = key == NFT_META_MARK ? 0 : UINT32_MAX;
    else if (key == NFT_META_MARK)
        rule->chain->mark_bits |= rule->mark_bits;
    return 0;
}

/* ---- the extensions of iptables ----------------------------------------------------------------------- */

/* The mode "restore" of CONNMARK, behind ctmark, ctmask and nfmask: struct xt_connmark_tginfo1, or tginfo2. */
static bool restores_mark(const uint8_t *info, size_t len, uint32_t revision)
{
    size_t place = 3 * sizeof(uint32_t) + (revision >= 2 ? 2 : 0);

    return len > place && info[place] == 2;
}

/* What CONNMARK restores may be moved to other bits, since revision 2: struct xt_connmark_tginfo2, shift_bits. */
static bool shifts_mark(const uint8_t *info, uint32_t revision)
{
    return revision >= 2 && info[3 * sizeof(uint32_t) + 1] > 0;
}

/* Which bits of the mark a target changes. MARK: struct xt_mark_tginfo2 {mark, mask}. */
static uint32_t target_mark_bits(const char *name, uint32_t revision, const uint8_t *info, size_t len)
{
    uint32_t words[3];

    if (strcmp(name, "MARK") == 0 && len >= 2 * sizeof(*words)) {
        memcpy(words, info, 2 * sizeof(*words));
        return words[0] | words[1];
    }
    if (strcmp(name, "CONNMARK") == 0 && restores_mark(info, len, revision)) {
        memcpy(words, info, sizeof(words));
        return shifts_mark(info, revision) ? UINT32_MAX : words[1] | words[2];
    }
    return 0;
}

static unsigned target_does(const char *name, const uint8_t *info, size_t len)
{
    static const char *const translating[] = {"DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP", "TPROXY"};
    uint16_t flags;

    if (strcmp(name, "DROP") == 0 || strcmp(name, "REJECT") == 0)
        return DOES_DROP;
    if (strcmp(name, "NOTRACK") == 0)
        return DOES_UNTRACK;
    if (strcmp(name, "CT") == 0 && len >= sizeof(flags)) { /* struct xt_ct_target_info: XT_CT_NOTRACK */
        memcpy(&flags, info, sizeof(flags));
        return flags & 1 ? DOES_UNTRACK : 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(translating); i++)
        if (strcmp(name, translating[i]) == 0)
            return DOES_TRANSLATE;
    return 0;
}

static int read_target(const struct nlattr *data, struct rule_state *rule)
{
    struct attrs attrs = ATTRS(NFTA_TARGET_MAX);
    const struct nlattr *info;
    uint32_t revision = 0;
    const char *name;
    int r = attrs_read_nest(data, &attrs);

    info = attrs.v[NFTA_TARGET_INFO];
    if (r < 0 || !info || !attr_text(attrs.v[NFTA_TARGET_NAME], NFT_NAME_MAXLEN, &name))
        return r;
    attr_be32(attrs.v[NFTA_TARGET_REV], &revision);
    rule->chain->does |= target_does(name, mnl_attr_get_payload(info), mnl_attr_get_payload_len(info));
    rule->chain->mark_bits |=
        target_mark_bits(name, revision, mnl_attr_get_payload(info), mnl_attr_get_payload_len(info));
    return 0;
}

static int read_expression(const char *name, const struct nlattr *data, struct rule_state *rule)
{
    static const struct {
        const char *name;
        unsigned does;
    } simple[] = {{"reject", DOES_DROP},          {"notrack", DOES_UNTRACK}, {"nat", DOES_TRANSLATE},
                  {"masq", DOES_TRANSLATE},       {"redir", DOES_TRANSLATE}, {"tproxy", DOES_TRANSLATE},
                  {"flow_offload", DOES_OFFLOAD}, {"fwd", DOES_REDIRECT},    {"dup", DOES_REDIRECT}};
    static const struct {
        const char *name;
        int (*read)(const struct nlattr *data, struct rule_state *rule);
    } readers[] = {{"immediate", read_immediate},
                   {"lookup", read_lookup},
                   {"bitwise", read_bitwise},
                   {"meta", read_meta},
                   {"target", read_target}};

    for (size_t i = 0; i < ARRAY_SIZE(simple); i++)
        if (strcmp(name, simple[i].name) == 0)
            rule->chain->does |= simple[i].does;
    if (strcmp(name, "bitwise") != 0 && strcmp(name, "meta") != 0)
        rule->mark_bits = UINT32_MAX; /* these two alone are known to go on from the mark */
    for (size_t i = 0; data && i < ARRAY_SIZE(readers); i++)
        if (strcmp(name, readers[i].name) == 0)
            return readers[i].read(data, rule);
    return 0;
}

static int decode_rule(struct nft_survey *survey, const struct nlmsghdr *message)
{
    struct attrs attrs = ATTRS(NFTA_RULE_MAX + 8);
    const char *table, *name;
    struct rule_state rule = {.mark_bits = UINT32_MAX};
    const struct nlattr *element;
    int r = attrs_read_message(message, &attrs);

    if (r < 0)
        return r;
    if (!attr_text(attrs.v[NFTA_RULE_TABLE], NFT_NAME_MAXLEN, &table) ||
        !attr_text(attrs.v[NFTA_RULE_CHAIN], NFT_NAME_MAXLEN, &name))
        return -EBADMSG;
    rule.chain = find_chain(survey, family_of(message), table, name);
    if (!rule.chain)
        return -EAGAIN; /* made since the chains were told */
    rule.chain->n_rules++;
    if (!attrs.v[NFTA_RULE_EXPRESSIONS])
        return 0;
    mnl_attr_for_each_nested (element, attrs.v[NFTA_RULE_EXPRESSIONS]) {
        struct attrs expression = ATTRS(NFTA_EXPR_MAX);
        const char *what;

        r = attrs_read_nest(element, &expression);
        if (r == 0 && attr_text(expression.v[NFTA_EXPR_NAME], NFT_NAME_MAXLEN, &what))
            r = read_expression(what, expression.v[NFTA_EXPR_DATA], &rule);
        if (r < 0)
            return r;
    }
    return 0;
}

int nft_survey_decode(struct nft_survey *survey, const struct nlmsghdr *message)
{
    if (NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
        return 0;
    if (mnl_nlmsg_get_payload_len(message) < sizeof(struct nfgenmsg))
        return -EBADMSG;
    switch (NFNL_MSG_TYPE(message->nlmsg_type)) {
    case NFT_MSG_NEWTABLE:
        return decode_table(survey, message);
    case NFT_MSG_NEWCHAIN:
        return decode_chain(survey, message);
    case NFT_MSG_NEWRULE:
        return decode_rule(survey, message);
    case NFT_MSG_NEWFLOWTABLE:
        return decode_flowtable(survey, message);
    default: /* the kernel's, and there are many */
        return 0;
    }
}

/* ---- what a base chain leads to ----------------------------------------------------------------------- */

/* A chain by its name, among those of one table. */
struct named {
    const char *name; /* borrowed */
    size_t place;
    UT_hash_handle hh;
};

struct walk {
    const struct nft_survey *survey;
    struct named *names;
    bool *seen;    /* by the chain's place */
    size_t *queue; /* places of chains that were seen; those before `done` were looked into */
    size_t n, done;
    bool maps;
    unsigned does;
    uint32_t mark_bits;
};

static void walk_add(struct walk *walk, size_t place)
{
    if (walk->seen[place])
        return;
    walk->seen[place] = true;
    walk->queue[walk->n++] = place;
}

static void walk_start(struct walk *walk, const struct survey_chain *base)
{
    const struct nft_survey *survey = walk->survey;

    walk->seen = xcalloc(survey->n_chains, sizeof(*walk->seen));
    walk->queue = xcalloc(survey->n_chains, sizeof(*walk->queue));
    for (size_t i = 0; i < survey->n_chains; i++) {
        const struct survey_chain *chain = &survey->chains[i];
        struct named *named;

        if (chain->family != base->family || strcmp(chain->table, base->table) != 0)
            continue;
        named = xnew(struct named);
        named->name = chain->name;
        named->place = i;
        HASH_ADD_KEYPTR(hh, walk->names, named->name, strlen(named->name), named);
    }
    walk_add(walk, (size_t)(base - survey->chains));
}

static void walk_into(struct walk *walk, const struct survey_chain *chain)
{
    walk->does |= chain->does;
    walk->mark_bits |= chain->mark_bits;
    for (size_t i = 0; i < chain->n_jumps; i++) {
        struct named *named;

        HASH_FIND_STR(walk->names, chain->jumps[i], named);
        if (named)
            walk_add(walk, named->place);
    }
    if (!(chain->does & DOES_MAP) || walk->maps)
        return;
    walk->maps = true;
    for (const struct named *named = walk->names; named; named = named->hh.next)
        if (!walk->survey->chains[named->place].base)
            walk_add(walk, named->place);
}

static void walk_end(struct walk *walk)
{
    struct named *named, *next;

    HASH_ITER (hh, walk->names, named, next) {
        HASH_DEL(walk->names, named);
        free(named);
    }
    free(walk->seen);
    free(walk->queue);
}

unsigned nft_survey_does(const struct nft_survey *survey, const struct survey_chain *base,
                         uint32_t *ret_mark_bits)
{
    struct walk walk = {.survey = survey};

    walk_start(&walk, base);
    while (walk.done < walk.n)
        walk_into(&walk, &survey->chains[walk.queue[walk.done++]]);
    walk_end(&walk);
    *ret_mark_bits = walk.mark_bits;
    return walk.does;
}
