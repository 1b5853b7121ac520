/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One function per nft expression, each appending it to a rule. They know the kernel's numbers and nothing of
 * what a rule means; rule.c puts them together. linux/netfilter/nf_tables.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netfilter/nf_tables.h>

struct nftnl_rule;

/* Loads len bytes at an offset of a header (NFT_PAYLOAD_*) into a register. */
void expr_payload(struct nftnl_rule *rule, enum nft_payload_bases base, uint32_t offset, uint32_t len,
                  uint32_t reg);
void expr_meta(struct nftnl_rule *rule, enum nft_meta_keys key, uint32_t reg);
/* Of a connection. Its directions are one more than the kernel's numbers (IP_CT_DIR_*): most keys have none. */
enum ct_direction { CT_NO_DIRECTION, CT_ORIGINAL, CT_REPLY };
void expr_ct(struct nftnl_rule *rule, enum nft_ct_keys key, enum ct_direction direction, uint32_t reg);
/* Ends the rule unless the register compares to the data as op says. */
void expr_cmp(struct nftnl_rule *rule, enum nft_cmp_ops op, const void *data, uint32_t len, uint32_t reg);
/* meta KEY set reg */
void expr_meta_set(struct nftnl_rule *rule, enum nft_meta_keys key, uint32_t reg);
/* reg = (reg & mask) ^ xor */
void expr_bitwise(struct nftnl_rule *rule, const void *mask, const void * xor, uint32_t len, uint32_t reg);
/* reg = reg & mask */
void expr_mask(struct nftnl_rule *rule, const void *mask, uint32_t len, uint32_t reg);
/* Ends the rule unless the key from the register on is in the set (with invert: is not). */
void expr_lookup(struct nftnl_rule *rule, const char *set, bool invert, uint32_t reg);
/* Takes the verdict that the map has for the key. */
void expr_vmap(struct nftnl_rule *rule, const char *map, uint32_t reg);
void expr_counter(struct nftnl_rule *rule);
/* Puts the key from the register on into the set, or finds it there; ends the rule where a limit of the element is passed. */
void expr_update(struct nftnl_rule *rule, const char *set, uint32_t reg);
/* To this group of NFLOG's. */
void expr_log(struct nftnl_rule *rule, const char *prefix, uint16_t group);
/* verdict: NF_ACCEPT, NFT_JUMP, ...; chain: where to, else NULL. */
void expr_verdict(struct nftnl_rule *rule, int verdict, const char *chain);
void expr_reject(struct nftnl_rule *rule, enum nft_reject_types type, uint8_t code);
