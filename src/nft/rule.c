// SPDX-License-Identifier: GPL-2.0-or-later
#include "rule.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

#include "expr.h"

/* Where a field is found, and what must hold for it to be there. */
struct field_place {
    enum load_source source;
    uint32_t what;        /* enum nft_meta_keys, nft_payload_bases or nft_ct_keys */
    uint32_t offset, len; /* offset: for ct an enum ct_direction */
    uint16_t ether_type;  /* the network protocol it belongs to; 0: none */
    uint8_t l4proto;      /* the transport protocol it belongs to; 0: none */
    bool ethernet;        /* a field of the link layer */
};

#define META(key, size)                                                                                      \
    {                                                                                                        \
        FROM_META, key, 0, size, 0, 0, false                                                                 \
    }
#define CONNECTION(key, direction, size)                                                                     \
    {                                                                                                        \
        FROM_CT, key, direction, size, 0, 0, false                                                           \
    }
#define LINK(off, size)                                                                                      \
    {                                                                                                        \
        FROM_PAYLOAD, NFT_PAYLOAD_LL_HEADER, off, size, 0, 0, true                                           \
    }
#define NETWORK(type, off, size)                                                                             \
    {                                                                                                        \
        FROM_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, off, size, type, 0, false                                  \
    }
#define TRANSPORT(type, proto, off, size)                                                                    \
    {                                                                                                        \
        FROM_PAYLOAD, NFT_PAYLOAD_TRANSPORT_HEADER, off, size, type, proto, false                            \
    }

static const struct field_place places[FIELDS] = {
    [FIELD_IIF] = META(NFT_META_IIF, 4),
    [FIELD_IIFNAME] = META(NFT_META_IIFNAME, 16),
    [FIELD_OIFNAME] = META(NFT_META_OIFNAME, 16),
    [FIELD_ETHER_DADDR] = LINK(0, 6),
    [FIELD_ETHER_SADDR] = LINK(6, 6),
    [FIELD_ETHER_TYPE] = LINK(12, 2),
    [FIELD_ARP_HTYPE] = NETWORK(ETH_P_ARP, 0, 2),
    [FIELD_ARP_PTYPE] = NETWORK(ETH_P_ARP, 2, 2),
    [FIELD_ARP_HLEN] = NETWORK(ETH_P_ARP, 4, 1),
    [FIELD_ARP_PLEN] = NETWORK(ETH_P_ARP, 5, 1),
    [FIELD_ARP_OPERATION] = NETWORK(ETH_P_ARP, 6, 2),
    [FIELD_ARP_SADDR_ETHER] = NETWORK(ETH_P_ARP, 8, 6),
    [FIELD_ARP_SADDR_IP] = NETWORK(ETH_P_ARP, 14, 4),
    [FIELD_IP_SADDR] = NETWORK(ETH_P_IP, 12, 4),
    [FIELD_IP_DADDR] = NETWORK(ETH_P_IP, 16, 4),
    [FIELD_IP6_LENGTH] = NETWORK(ETH_P_IPV6, 4, 2),
    [FIELD_IP6_NEXTHDR] = NETWORK(ETH_P_IPV6, 6, 1),
    [FIELD_IP6_HOPLIMIT] = NETWORK(ETH_P_IPV6, 7, 1),
    [FIELD_IP6_SADDR] = NETWORK(ETH_P_IPV6, 8, 16),
    [FIELD_IP6_DADDR] = NETWORK(ETH_P_IPV6, 24, 16),
    [FIELD_NFPROTO] = META(NFT_META_NFPROTO, 1),
    [FIELD_L4PROTO] = META(NFT_META_L4PROTO, 1),
    [FIELD_TCP_DPORT] = TRANSPORT(0, IPPROTO_TCP, 2, 2),
    [FIELD_UDP_SPORT] = TRANSPORT(0, IPPROTO_UDP, 0, 2),
    [FIELD_UDP_DPORT] = TRANSPORT(0, IPPROTO_UDP, 2, 2),
    [FIELD_SCTP_DPORT] = TRANSPORT(0, IPPROTO_SCTP, 2, 2),
    [FIELD_ICMP_TYPE] = TRANSPORT(ETH_P_IP, IPPROTO_ICMP, 0, 1),
    [FIELD_ICMPV6_TYPE] = TRANSPORT(ETH_P_IPV6, IPPROTO_ICMPV6, 0, 1),
    [FIELD_IGMP_TYPE] = TRANSPORT(0, IPPROTO_IGMP, 0, 1),
    [FIELD_TH_SPORT] = TRANSPORT(0, 0, 0, 2),
    [FIELD_TH_DPORT] = TRANSPORT(0, 0, 2, 2),
    [FIELD_CT_ORIGINAL_IP_SADDR] = CONNECTION(NFT_CT_SRC_IP, CT_ORIGINAL, 4),
    [FIELD_CT_ORIGINAL_IP6_SADDR] = CONNECTION(NFT_CT_SRC_IP6, CT_ORIGINAL, 16),
    [FIELD_CT_ORIGINAL_IP_DADDR] = CONNECTION(NFT_CT_DST_IP, CT_ORIGINAL, 4),
    [FIELD_CT_ORIGINAL_IP6_DADDR] = CONNECTION(NFT_CT_DST_IP6, CT_ORIGINAL, 16),
    [FIELD_CT_REPLY_IP_SADDR] = CONNECTION(NFT_CT_SRC_IP, CT_REPLY, 4),
    [FIELD_CT_REPLY_IP6_SADDR] = CONNECTION(NFT_CT_SRC_IP6, CT_REPLY, 16),
    [FIELD_ND_TARGET] = NETWORK(0, 48, 16),
    [FIELD_ND_OPTION] = NETWORK(0, 64, 2),
    [FIELD_ND_OPTION_MAC] = NETWORK(0, 66, 6),
};

/* What the rule has established so far, so that each dependency is written once. */
struct rule_context {
    struct nftnl_rule *rule;
    enum table_id table;
    uint16_t ether_type; /* 0: any */
    uint8_t l4proto;     /* 0: any */
    bool ethernet;
};

static void compare_meta_u8(struct nftnl_rule *rule, enum nft_meta_keys key, uint8_t value)
{
    expr_meta(rule, key, NFT_REG_1);
    expr_cmp(rule, NFT_CMP_EQ, &value, sizeof(value), NFT_REG_1);
}

/* meta iiftype ether */
static void require_ethernet(struct rule_context *context)
{
    uint16_t type = ARPHRD_ETHER; /* host byte order */

    if (context->table == TABLE_INET && !context->ethernet) {
        expr_meta(context->rule, NFT_META_IIFTYPE, NFT_REG_1);
        expr_cmp(context->rule, NFT_CMP_EQ, &type, sizeof(type), NFT_REG_1);
    }
    context->ethernet = true;
}

/* ether type T */
static void compare_ether_type(struct nftnl_rule *rule, uint16_t type)
{
    uint16_t wire = htons(type);

    expr_payload(rule, NFT_PAYLOAD_LL_HEADER, 12, 2, NFT_REG_1);
    expr_cmp(rule, NFT_CMP_EQ, &wire, sizeof(wire), NFT_REG_1);
}

/* meta protocol T */
static void compare_protocol(struct nftnl_rule *rule, uint16_t type)
{
    uint16_t wire = htons(type);

    expr_meta(rule, NFT_META_PROTOCOL, NFT_REG_1);
    expr_cmp(rule, NFT_CMP_EQ, &wire, sizeof(wire), NFT_REG_1);
}

/*
 * nft says "this is IPv4" in three ways: by nfproto in inet tables, by meta protocol for IP headers in bridge
 * tables, and by the frame's type otherwise. Its listing hides the dependency only in the form that it would
 * choose.
 */
static int require_network(struct rule_context *context, const struct field_place *place)
{
    if (context->ether_type == place->ether_type)
        return 0;
    if (context->ether_type)
        return -EINVAL;
    if (context->table == TABLE_INET && place->ether_type == ETH_P_ARP)
        return -EINVAL; /* the inet hooks see no ARP */

    if (context->table == TABLE_INET && !context->ethernet)
        compare_meta_u8(context->rule, NFT_META_NFPROTO,
                        place->ether_type == ETH_P_IP ? NFPROTO_IPV4 : NFPROTO_IPV6);
    else if (context->table == TABLE_BRIDGE && place->ether_type != ETH_P_ARP && !place->l4proto)
        compare_protocol(context->rule, place->ether_type);
    else
        compare_ether_type(context->rule, place->ether_type);
    context->ether_type = place->ether_type;
    return 0;
}

static int require_transport(struct rule_context *context, uint8_t l4proto)
{
    if (context->l4proto == l4proto)
        return 0;
    if (context->l4proto)
        return -EINVAL;
    compare_meta_u8(context->rule, NFT_META_L4PROTO, l4proto);
    context->l4proto = l4proto;
    return 0;
}

static int require_place(struct rule_context *context, const struct field_place *place)
{
    int r = 0;

    if (place->ethernet)
        require_ethernet(context);
    /* Once the transport protocol stands, nft asks no more for the network protocol that goes with it. */
    if (place->ether_type && !(place->l4proto && place->l4proto == context->l4proto))
        r = require_network(context, place);
    if (r == 0 && place->l4proto)
        r = require_transport(context, place->l4proto);
    return r;
}

static void load(struct nftnl_rule *rule, const struct field_place *place, uint32_t len, uint32_t reg)
{
    switch (place->source) {
    case FROM_META:
        expr_meta(rule, (enum nft_meta_keys)place->what, reg);
        break;
    case FROM_PAYLOAD:
        expr_payload(rule, (enum nft_payload_bases)place->what, place->offset, len, reg);
        break;
    case FROM_CT:
        expr_ct(rule, (enum nft_ct_keys)place->what, (enum ct_direction)place->offset, reg);
        break;
    }
}

static int load_field(struct rule_context *context, enum field field)
{
    int r = require_place(context, &places[field]);

    if (r == 0)
        load(context->rule, &places[field], places[field].len, NFT_REG_1);
    return r;
}

/* The value as it stands in the packet: *ret_len bytes, at most 4. */
static int value_bytes(enum field field, uint32_t value, uint8_t bytes[static 4], uint32_t *ret_len)
{
    uint32_t len = places[field].len;

    if (len > 4 || (len < 4 && value >> (8 * len)))
        return -EINVAL; /* names, MAC and IPv6 addresses are no numbers */
    for (uint32_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(value >> (8 * (len - 1 - i)));
    *ret_len = len;
    return 0;
}

/* What a match on a value says about the protocols of the packet. */
static void learn_protocol(struct rule_context *context, const struct match *match)
{
    if (match->negate)
        return;
    if (match->fields[0] == FIELD_L4PROTO)
        context->l4proto = (uint8_t)match->first;
    else if (match->fields[0] == FIELD_ETHER_TYPE)
        context->ether_type = (uint16_t)match->first;
    else if (match->fields[0] == FIELD_NFPROTO)
        context->ether_type = match->first == NFPROTO_IPV4 ? ETH_P_IP : ETH_P_IPV6;
}

static int encode_value(struct rule_context *context, const struct match *match)
{
    uint8_t bytes[4];
    uint32_t len;
    int r = value_bytes(match->fields[0], match->first, bytes, &len);

    if (r == 0)
        r = load_field(context, match->fields[0]);
    if (r < 0)
        return r;
    expr_cmp(context->rule, match->negate ? NFT_CMP_NEQ : NFT_CMP_EQ, bytes, len, NFT_REG_1);
    learn_protocol(context, match);
    return 0;
}

static int encode_range(struct rule_context *context, const struct match *match)
{
    uint8_t first[4], last[4];
    uint32_t len;
    int r = value_bytes(match->fields[0], match->first, first, &len);

    if (r == 0)
        r = value_bytes(match->fields[0], match->last, last, &len);
    if (r == 0 && (match->negate || match->first > match->last))
        r = -EINVAL;
    if (r == 0)
        r = load_field(context, match->fields[0]);
    if (r < 0)
        return r;
    expr_cmp(context->rule, NFT_CMP_GTE, first, len, NFT_REG_1);
    expr_cmp(context->rule, NFT_CMP_LTE, last, len, NFT_REG_1);
    return 0;
}

/* A prefix of whole bytes is compared as a shorter field; any other is masked first. nft does the same. */
static int encode_prefix(struct rule_context *context, const struct match *match)
{
    const struct field_place *place = &places[match->fields[0]];
    const struct cidr *prefix = &match->prefix;
    uint8_t address[16], mask[16] = {0};
    bool whole_bytes = prefix->len > 0 && prefix->len % 8 == 0;
    uint32_t len = whole_bytes ? prefix->len / 8 : place->len;
    int r;

    if (place->len != ip_size(prefix->net.family) || prefix->len > ip_bits(prefix->net.family))
        return -EINVAL;
    r = require_place(context, place);
    if (r < 0)
        return r;
    ip_to_bytes(prefix->net, address);
    load(context->rule, place, len, NFT_REG_1);
    if (!whole_bytes) {
        for (unsigned bit = 0; bit < prefix->len; bit++)
            mask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
        expr_mask(context->rule, mask, len, NFT_REG_1);
    }
    expr_cmp(context->rule, match->negate ? NFT_CMP_NEQ : NFT_CMP_EQ, address, len, NFT_REG_1);
    return 0;
}

/* Registers are numbered in 16-byte units where a field starts at one, else in 4-byte units. */
static uint32_t register_at(uint32_t offset)
{
    return offset % NFT_REG_SIZE == 0 ? NFT_REG_1 + offset / NFT_REG_SIZE
                                      : NFT_REG32_00 + offset / NFT_REG32_SIZE;
}

/* All dependencies come before the first load: they use the first register too. */
static int encode_set(struct rule_context *context, const struct match *match)
{
    uint32_t offset = 0;

    for (size_t i = 0; i < match->n_fields; i++) {
        int r = require_place(context, &places[match->fields[i]]);

        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < match->n_fields; i++) {
        const struct field_place *place = &places[match->fields[i]];

        if (offset + place->len > KEY_BYTES_MAX)
            return -E2BIG;
        load(context->rule, place, place->len, register_at(offset));
        offset += (place->len + 3) & ~3u;
    }
    if (match->kind == MATCH_UPDATE)
        expr_update(context->rule, match->set, NFT_REG_1);
    else
        expr_lookup(context->rule, match->set, match->negate, NFT_REG_1);
    return 0;
}

static int encode_ct_state(struct rule_context *context, const struct match *match)
{
    static const uint32_t zero;
    uint32_t mask = match->ct_states; /* host byte order */

    expr_ct(context->rule, NFT_CT_STATE, CT_NO_DIRECTION, NFT_REG_1);
    expr_mask(context->rule, &mask, sizeof(mask), NFT_REG_1);
    expr_cmp(context->rule, NFT_CMP_NEQ, &zero, sizeof(zero), NFT_REG_1);
    return 0;
}

/* tcp flags != syn / fin,syn,rst,ack */
static int encode_not_syn(struct rule_context *context)
{
    static const uint8_t fin_syn_rst_ack = 0x17, syn = 0x02;
    int r = require_transport(context, IPPROTO_TCP);

    if (r < 0)
        return r;
    expr_payload(context->rule, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, NFT_REG_1);
    expr_mask(context->rule, &fin_syn_rst_ack, 1, NFT_REG_1);
    expr_cmp(context->rule, NFT_CMP_NEQ, &syn, 1, NFT_REG_1);
    return 0;
}

/* ip hdrlength != 5: words, RFC 791 */
static int encode_options(struct rule_context *context)
{
    static const uint8_t hdrlength = 0x0f, no_options = 5;
    int r = require_place(context, &places[FIELD_IP_SADDR]);

    if (r < 0)
        return r;
    expr_payload(context->rule, NFT_PAYLOAD_NETWORK_HEADER, 0, 1, NFT_REG_1);
    expr_mask(context->rule, &hdrlength, 1, NFT_REG_1);
    expr_cmp(context->rule, NFT_CMP_NEQ, &no_options, 1, NFT_REG_1);
    return 0;
}

/* meta mark & MASK != 0 */
static int encode_mark(struct rule_context *context, const struct match *match)
{
    static const uint32_t zero;

    expr_meta(context->rule, NFT_META_MARK, NFT_REG_1);
    expr_mask(context->rule, &match->mark, sizeof(match->mark), NFT_REG_1); /* host byte order */
    expr_cmp(context->rule, NFT_CMP_NEQ, &zero, sizeof(zero), NFT_REG_1);
    return 0;
}

static bool fields_are_valid(const struct match *match, size_t n_max)
{
    if (match->n_fields < 1 || match->n_fields > n_max)
        return false;
    for (size_t i = 0; i < match->n_fields; i++) {
        if (match->fields[i] >= FIELDS)
            return false;
    }
    return true;
}

static int encode_match(struct rule_context *context, const struct match *match)
{
    switch (match->kind) {
    case MATCH_VALUE:
        return fields_are_valid(match, 1) ? encode_value(context, match) : -EINVAL;
    case MATCH_RANGE:
        return fields_are_valid(match, 1) ? encode_range(context, match) : -EINVAL;
    case MATCH_PREFIX:
        return fields_are_valid(match, 1) ? encode_prefix(context, match) : -EINVAL;
    case MATCH_SET:
    case MATCH_UPDATE:
        if (!match->set || (match->kind == MATCH_UPDATE && match->negate) ||
            !fields_are_valid(match, KEY_FIELDS_MAX))
            return -EINVAL;
        return strlen(match->set) <= NFT_NAME_LEN_MAX ? encode_set(context, match) : -E2BIG;
    case MATCH_CT_STATE:
        return encode_ct_state(context, match);
    case MATCH_NOT_SYN:
        return encode_not_syn(context);
    case MATCH_OPTIONS:
        return encode_options(context);
    case MATCH_MARK:
        return encode_mark(context, match);
    }
    return -EINVAL;
}

int verdict_code(enum table_verdict verdict, int *ret)
{
    switch (verdict) {
    case V_ACCEPT:
        *ret = NF_ACCEPT;
        return 0;
    case V_DROP:
        *ret = NF_DROP;
        return 0;
    case V_RETURN:
        *ret = NFT_RETURN;
        return 0;
    case V_JUMP:
        *ret = NFT_JUMP;
        return 0;
    case V_GOTO:
        *ret = NFT_GOTO;
        return 0;
    case V_NONE:
    case V_REJECT_TCP_RESET:
    case V_REJECT_ADMIN:
        break;
    }
    return -EINVAL;
}

static int encode_verdict(struct rule_context *context, const struct rule_stmt *rule)
{
    const char *chain = rule->verdict == V_JUMP || rule->verdict == V_GOTO ? rule->target : NULL;
    int code, r;

    if (rule->verdict == V_NONE)
        return 0;
    if (rule->verdict == V_REJECT_TCP_RESET) {
        expr_reject(context->rule, NFT_REJECT_TCP_RST, 0);
        return 0;
    }
    if (rule->verdict == V_REJECT_ADMIN) {
        expr_reject(context->rule, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
        return 0;
    }
    r = verdict_code(rule->verdict, &code);
    if (r < 0)
        return r;
    if ((rule->verdict == V_JUMP || rule->verdict == V_GOTO) && !chain)
        return -EINVAL;
    if (chain && strlen(chain) > NFT_NAME_LEN_MAX)
        return -E2BIG;
    expr_verdict(context->rule, code, chain);
    return 0;
}

static int encode_vmap(struct rule_context *context, const struct rule_stmt *rule)
{
    int r;

    if (rule->vmap_field >= FIELDS)
        return -EINVAL;
    if (strlen(rule->vmap) > NFT_NAME_LEN_MAX)
        return -E2BIG;
    r = load_field(context, rule->vmap_field);
    if (r == 0)
        expr_vmap(context->rule, rule->vmap, NFT_REG_1);
    return r;
}

/* meta mark set meta mark | BITS, or & ~BITS */
static void encode_mark_change(struct rule_context *context, const struct rule_stmt *rule)
{
    uint32_t keep = ~rule->mark, set = rule->mark_change == MARK_SET ? rule->mark : 0;

    if (rule->mark_change == MARK_KEEP)
        return;
    expr_meta(context->rule, NFT_META_MARK, NFT_REG_1);
    expr_bitwise(context->rule, &keep, &set, sizeof(keep), NFT_REG_1);
    expr_meta_set(context->rule, NFT_META_MARK, NFT_REG_1);
}

/* Of ours, nothing stands behind it. */
static int encode_log(struct rule_context *context, const struct rule_stmt *rule)
{
    if (!rule->log_prefix)
        return 0;
    if (rule->vmap || rule->verdict != V_NONE)
        return -EINVAL;
    if (strlen(rule->log_prefix) > RULE_PREFIX_MAX)
        return -E2BIG;
    expr_log(context->rule, rule->log_prefix, rule->log_group);
    return 0;
}

static int encode_comment(const char *comment, struct nftnl_rule *rule)
{
    struct nftnl_udata_buf *data;

    if (strlen(comment) > RULE_COMMENT_MAX)
        return -E2BIG;
    data = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);
    if (!data || !nftnl_udata_put_strz(data, NFTNL_UDATA_RULE_COMMENT, comment) ||
        nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(data),
                            nftnl_udata_buf_len(data)) < 0)
        abort();
    nftnl_udata_buf_free(data);
    return 0;
}

int rule_encode(enum table_id table, const struct rule_stmt *rule, struct nftnl_rule *nftnl)
{
    struct rule_context context = {.rule = nftnl, .table = table};
    int r = rule->n_matches <= RULE_MATCHES_MAX ? 0 : -E2BIG;

    for (size_t i = 0; r == 0 && i < rule->n_matches; i++)
        r = encode_match(&context, &rule->matches[i]);
    if (r == 0 && rule->verdict == V_REJECT_TCP_RESET && !rule->vmap)
        r = require_transport(&context, IPPROTO_TCP); /* the kernel resets nothing else */
    if (r < 0)
        return r;
    if (rule->counter)
        expr_counter(nftnl);
    encode_mark_change(&context, rule);
    r = encode_log(&context, rule);
    if (r < 0)
        return r;
    r = rule->vmap ? encode_vmap(&context, rule) : encode_verdict(&context, rule);
    if (r == 0 && rule->comment)
        r = encode_comment(rule->comment, nftnl);
    return r;
}

enum field rule_field_loaded(const struct rule_load *load)
{
    for (enum field field = 0; field < FIELDS; field++) {
        const struct field_place *place = &places[field];

        if (place->source != load->source || place->what != load->what)
            continue;
        if (load->source == FROM_META)
            return field;
        if (place->offset == load->offset && load->len <= place->len &&
            (!place->ether_type || place->l4proto || place->ether_type == load->ether_type) &&
            (!place->l4proto || place->l4proto == load->l4proto))
            return field;
    }
    return FIELDS;
}

uint32_t rule_field_len(enum field field)
{
    return places[field].len;
}
