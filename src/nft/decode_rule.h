/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A rule as the kernel tells it, back in the model's terms. */
#pragma once

#include "expr_read.h"
#include "ruleset/ruleset.h"

/*
 * The inverse of rule_encode(), and held to it: a rule counts as one of ours only if the encoder makes the
 * very same expressions and user data of what is decoded. Any other is foreign. Of the ways to say a rule that
 * the encoder makes the same of, it is the shortest, the one that nft lists: `tcp dport 80`, not `meta l4proto
 * tcp tcp dport 80`. Names are interned in the ruleset; *ret, which must be zeroed, is filled.
 */
void rule_decode(struct ruleset *ruleset, enum table_id table, const struct exprs *exprs,
                 const void *user_data, size_t user_data_len, struct rule_stmt *ret);

/* Marks a rule as foreign, with the names of its expressions. */
void rule_decode_foreign(const struct exprs *exprs, struct rule_stmt *ret);

/* The verdict of a number of the kernel's; false for those that we never use. */
bool verdict_decode(uint32_t code, enum table_verdict *ret);
