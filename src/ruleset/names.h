/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of sets and chains: after the selectors and policies they come from, so that a listing explains
 * itself, and equal exactly when what they stand for is equal.
 */
#pragma once

#include "grant.h"
#include "ruleset/ruleset.h"

/* A text that two expressions share exactly when they say the same. The caller frees it. */
char *expression_key(const struct peer_expression *who);
/* "compose/shop/web", or with a hash at the end where the selector is no plain word. The caller frees it. */
char *expression_name(const struct peer_expression *who);
/* "selector compose: shop/web, not name: x*", for error messages. The caller frees it. */
char *expression_text(const struct peer_expression *who);

/* "egress/shop-web/1a2b3c4d": direction or hook word, first policy (and how many more), and a hash of the
 * content. */
char *class_chain_name(const char *word, const struct subject *subject, const struct chain *content);
/* "addresses/1a2b3c4d" for a set of ranges. */
char *ranges_name(const struct ip_ranges *ranges, enum ip_family family);

/* A rule's or set's comment made safe for nft: printable ASCII, no quotes or backslashes, at most 127 bytes.
 */
char *safe_comment(const char *text);
