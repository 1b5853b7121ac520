/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The codec between deltas and nfnetlink messages. Pure: it fills buffers and reads none of the kernel's
 * state. Formats: linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ruleset/delta.h"

/*
 * One transaction as bytes, ready for one sendmsg(): batch begin (with the generation expected, 0: any), one
 * or more messages per operation, batch end. Sequence numbers count from seq; the begin message carries seq
 * itself. Element operations that follow each other and are of one kind and for one set share messages. The
 * end message asks for an ACK; kernels before 6.10 give none.
 */
struct nft_batch {
    uint8_t *bytes;
    size_t len;
    uint32_t seq_first, seq_last;
    /* For seq_first + i: the index of the (first) operation, or SIZE_MAX for the batch's own frame. */
    size_t *op_of_seq;
};

/*
 * Flags of a table. Old headers lack the second. A table with an owner is changed and removed by the netlink
 * socket that made or claimed it and by nobody else, nor does a flush of all rules by another touch it; with
 * PERSIST it stays when that socket is closed, and is then anybody's.
 */
#define NFT_TABLE_OWNER 0x2u   /* NFT_TABLE_F_OWNER, Linux 5.12 */
#define NFT_TABLE_PERSIST 0x4u /* NFT_TABLE_F_PERSIST, Linux 6.9 */
#define NFT_TABLE_PROTECTED (NFT_TABLE_OWNER | NFT_TABLE_PERSIST)

/*
 * table_flags: of the tables that are added. A table that stands with other flags is no obstacle when it is
 * removed first. dry_run leaves the end message out: the kernel then validates everything and commits nothing.
 * Returns 0; -E2BIG when a name, comment, key or rule is over the kernel's limits, -EINVAL when an operation
 * says what no rule or element can say (*ret_op says which operation).
 */
int nft_encode(const struct op_list *ops, uint32_t table_flags, uint32_t generation, uint32_t seq,
               bool dry_run, struct nft_batch *ret, size_t *ret_op);
/* A batch without an end that draws an error where the kernel lacks what protected tables need: both flags,
 * and removing a table that need not stand. */
void nft_encode_probe(uint32_t seq, struct nft_batch *ret);
void nft_batch_clear(struct nft_batch *batch);
#define _cleanup_nft_batch_ _cleanup_(nft_batch_clear)

/* Writes another expected generation into the begin message. */
void nft_batch_set_generation(struct nft_batch *batch, uint32_t generation);

/*
 * The operation that an error is about: seq, and the offset of the offending attribute in that message
 * (NLMSGERR_ATTR_OFFS; 0 when the kernel names none), which tells the elements of one message apart.
 * *ret_rule is the index of the rule for OP_ADD_RULES, else 0; *ret_exact is false when it could as well be
 * one of the operations that follow. SIZE_MAX for the batch's frame and for numbers that are none of ours.
 */
size_t nft_batch_find_op(const struct nft_batch *batch, uint32_t seq, uint32_t offset, size_t *ret_rule,
                         bool *ret_exact);
