/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules in nftnl's terms. A rule is written exactly as nft 1.0.6 would write it, with the protocol
 * dependencies that its fields imply, so that the kernel's listing of it is the text of ruleset/print.h
 * again.
 */
#pragma once

#include "ruleset/ruleset.h"

struct nftnl_rule;

#define RULE_MATCHES_MAX 64  /* keeps the expressions of a rule below the 64 KiB of one netlink attribute */
#define RULE_COMMENT_MAX 127 /* what nft accepts */
#define RULE_PREFIX_MAX 127  /* NF_LOG_PREFIXLEN, without its end */
#define NFT_NAME_LEN_MAX (NFT_NAME_MAXLEN - 1)

/*
 * Appends the rule's expressions and comment to *nftnl, which has its table and chain already.
 * 0; -E2BIG: too many matches, comment or name too long; -EINVAL: no such rule can be said (two protocols of
 * one layer, a value that does not fit its field).
 */
int rule_encode(enum table_id table, const struct rule_stmt *rule, struct nftnl_rule *nftnl);

/* The kernel's number of a verdict; -EINVAL for those that are no verdicts to the kernel (none, rejects). */
int verdict_code(enum table_verdict verdict, int *ret);

/* Something that a rule loads into a register, and what the rule has said of the packet's protocols before. */
struct rule_load {
    enum load_source { FROM_META, FROM_PAYLOAD, FROM_CT } source;
    uint32_t what;        /* enum nft_meta_keys, nft_payload_bases or nft_ct_keys */
    uint32_t offset, len; /* of payload; offset: for ct an enum ct_direction */
    uint16_t ether_type;  /* 0: any */
    uint8_t l4proto;      /* 0: any */
};

/* The field that is loaded so, or its first bytes; FIELDS when it is none of ours. */
enum field rule_field_loaded(const struct rule_load *load);
uint32_t rule_field_len(enum field field); /* bytes in the packet */
