/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets and their elements as messages. Elements are written with libmnl directly: there are many of them, and
 * a message's attributes must not pass 64 KiB together.
 */
#pragma once

#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "ruleset/delta.h"

struct nftnl_set;

#define ELEMENTS_PER_MESSAGE 400
#define ELEMENTS_BYTES_MAX                                                                                   \
    (32 * 1024) /* of one message; well below what an attribute's 16-bit length can say */

/* flags dynamic,timeout, and with expressions */
#define SET_METER_FLAGS ((uint32_t)(NFT_SET_EVAL | NFT_SET_TIMEOUT | NFT_SET_EXPR))

/* nft's number of a data type, which a set's listing shows. */
uint32_t set_key_type_number(enum key_type type);

/* The set with nft's own user data, by which its listing finds the byte order. 0, -E2BIG or -EINVAL. */
int set_encode(const struct set *set, uint32_t id, struct nftnl_set *nftnl);

/*
 * Fills a message, whose header and nfgenmsg stand, with the elements of the operations from first on that
 * are of the same kind and for the same set, as many as fit; *ret_n says how many. 0; -E2BIG or -EINVAL: the
 * operation at first + *ret_n cannot be said.
 */
int elements_encode(struct nlmsghdr *message, const struct op *first, size_t n, size_t *ret_n);

/* nft begins each set of intervals with the end of an interval at zero; so do we, when the set is made
 * (OP_ADD_SET). */
void elements_encode_first_end(struct nlmsghdr *message, const struct op *op);

/*
 * Which element of a message filled by elements_encode(), counted in operations, holds the byte at this
 * offset (from the message's header); 0 when none does.
 */
size_t elements_index_at(const struct nlmsghdr *message, uint32_t offset);
