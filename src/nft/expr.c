// SPDX-License-Identifier: GPL-2.0-or-later
#include "expr.h"

#include <stdio.h> /* libnftnl's headers want FILE */
#include <stdlib.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

/* libnftnl fails here only for want of memory: the names are all known to it. */
static struct nftnl_expr *expr_add(struct nftnl_rule *rule, const char *name)
{
    struct nftnl_expr *expr = nftnl_expr_alloc(name);

    if (!expr)
        abort();
    nftnl_rule_add_expr(rule, expr);
    return expr;
}

static void set_data(struct nftnl_expr *expr, uint16_t attr, const void *data, uint32_t len)
{
    if (nftnl_expr_set(expr, attr, data, len) < 0)
        abort();
}

static void set_text(struct nftnl_expr *expr, uint16_t attr, const char *text)
{
    if (nftnl_expr_set_str(expr, attr, text) < 0)
        abort();
}

void expr_payload(struct nftnl_rule *rule, enum nft_payload_bases base, uint32_t offset, uint32_t len,
                  uint32_t reg)
{
    struct nftnl_expr *expr = expr_add(rule, "payload");

    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, len);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, reg);
}

void expr_meta(struct nftnl_rule *rule, enum nft_meta_keys key, uint32_t reg)
{
    struct nftnl_expr *expr = expr_add(rule, "meta");

    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, reg);
}

void expr_meta_set(struct nftnl_rule *rule, enum nft_meta_keys key, uint32_t reg)
{
    struct nftnl_expr *expr = expr_add(rule, "meta");

    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_SREG, reg);
}

void expr_ct(struct nftnl_rule *rule, enum nft_ct_keys key, enum ct_direction direction, uint32_t reg)
{
    struct nftnl_expr *expr = expr_add(rule, "ct");

    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_KEY, key);
    if (direction != CT_NO_DIRECTION)
        nftnl_expr_set_u8(expr, NFTNL_EXPR_CT_DIR, (uint8_t)(direction - 1));
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_DREG, reg);
}

void expr_cmp(struct nftnl_rule *rule, enum nft_cmp_ops op, const void *data, uint32_t len, uint32_t reg)
{
    struct nftnl_expr *expr = expr_add(rule, "cmp");

    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, reg);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, op);
    set_data(expr, NFTNL_EXPR_CMP_DATA, data, len);
}

void expr_bitwise(struct nftnl_rule *rule, const void *mask, const void * xor, uint32_t len, uint32_t reg)
{
    struct nftnl_expr *expr = expr_add(rule, "bitwise");

    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, reg);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, reg);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, len);
    set_data(expr, NFTNL_EXPR_BITWISE_MASK, mask, len);
    set_data(expr, NFTNL_EXPR_BITWISE_XOR, xor, len);
}

void expr_mask(struct nftnl_rule *rule, const void *mask, uint32_t len, uint32_t reg)
{
    static const uint8_t zero[NFT_REG_SIZE];

    expr_bitwise(rule, mask, zero, len, reg);
}

static struct nftnl_expr *lookup(struct nftnl_rule *rule, const char *set, uint32_t reg)
{
    struct nftnl_expr *expr = expr_add(rule, "lookup");

    nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, reg);
    /* By name alone: the kernel finds sets of the same transaction by their name as well. */
    set_text(expr, NFTNL_EXPR_LOOKUP_SET, set);
    return expr;
}

void expr_lookup(struct nftnl_rule *rule, const char *set, bool invert, uint32_t reg)
{
    struct nftnl_expr *expr = lookup(rule, set, reg);

    if (invert)
        nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

void expr_vmap(struct nftnl_rule *rule, const char *map, uint32_t reg)
{
    nftnl_expr_set_u32(lookup(rule, map, reg), NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
}

void expr_counter(struct nftnl_rule *rule)
{
    expr_add(rule, "counter");
}

void expr_update(struct nftnl_rule *rule, const char *set, uint32_t reg)
{
    struct nftnl_expr *expr = expr_add(rule, "dynset");

    nftnl_expr_set_u32(expr, NFTNL_EXPR_DYNSET_SREG_KEY, reg);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
    set_text(expr, NFTNL_EXPR_DYNSET_SET_NAME, set);
}

void expr_log(struct nftnl_rule *rule, const char *prefix, uint16_t group)
{
    struct nftnl_expr *expr = expr_add(rule, "log");

    nftnl_expr_set_u16(expr, NFTNL_EXPR_LOG_GROUP, group);
    set_text(expr, NFTNL_EXPR_LOG_PREFIX, prefix);
}

void expr_verdict(struct nftnl_rule *rule, int verdict, const char *chain)
{
    struct nftnl_expr *expr = expr_add(rule, "immediate");

    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
    if (chain)
        set_text(expr, NFTNL_EXPR_IMM_CHAIN, chain);
}

void expr_reject(struct nftnl_rule *rule, enum nft_reject_types type, uint8_t code)
{
    struct nftnl_expr *expr = expr_add(rule, "reject");

    nftnl_expr_set_u32(expr, NFTNL_EXPR_REJECT_TYPE, type);
    nftnl_expr_set_u8(expr, NFTNL_EXPR_REJECT_CODE, code);
}
