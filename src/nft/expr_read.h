/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The expressions of a rule, as the kernel tells them or as we would send them: one form, so that the two can
 * be compared. What a packet makes of it (counters' values) and what both say of the same thing in two ways
 * (numbers of registers) is evened out. linux/netfilter/nf_tables.h.
 */
#pragma once

#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum expr_kind {
    EXPR_PAYLOAD,
    EXPR_META,
    EXPR_CT,
    EXPR_CMP,
    EXPR_BITWISE,
    EXPR_LOOKUP,
    EXPR_COUNTER,
    EXPR_VERDICT,
    EXPR_REJECT,
    EXPR_LIMIT,
    EXPR_UPDATE, /* dynset */
    EXPR_LOG,
    EXPR_FOREIGN, /* another, or with an attribute that ours never have */
    EXPR_KINDS = EXPR_FOREIGN,
};

#define EXPR_NO_REGISTER UINT32_MAX
#define EXPR_NAME_MAX 16

struct expr_data {
    uint32_t len;
    uint8_t bytes[NFT_DATA_VALUE_MAXLEN];
};

/* Unused members are zero, and there is no padding, so that memcmp() compares. */
struct expr {
    uint32_t kind;       /* enum expr_kind */
    uint32_t sreg, dreg; /* EXPR_NO_REGISTER: none */
    uint32_t what;       /* key, base, operation, type of reject, or code of the verdict; limit: the rate */
    uint32_t offset,
        len;        /* payload; bitwise: len; ct: offset is an enum ct_direction; limit: unit and burst */
    uint32_t flags; /* lookup; reject: the code; log: the group */
    struct expr_data data, xor; /* cmp: data; bitwise: mask and xor */
    char name
        [NFT_NAME_MAXLEN]; /* lookup, update: the set; verdict: the chain; log: the prefix; foreign: what expression it is */
};

struct exprs {
    struct expr *v;
    size_t n;
    uint64_t packets, bytes; /* of the counter among them; not compared */
};

/* The content of NFTA_RULE_EXPRESSIONS. 0, or -EBADMSG when it is cut short or of more than the kernel's 128.
 */
int exprs_read(const struct nlattr *list, struct exprs *ret);
void exprs_clear(struct exprs *exprs);
bool exprs_equal(const struct exprs *a, const struct exprs *b);

/* A verdict in NFTA_*_DATA: its code, and the chain it leads to (left alone when there is none). */
bool verdict_read(const struct nlattr *data, uint32_t *ret_code, char name[static NFT_NAME_MAXLEN]);

/* For people: "payload cmp limit counter verdict". */
void exprs_print(const struct exprs *exprs, FILE *out);
