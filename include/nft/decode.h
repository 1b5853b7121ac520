/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The codec from the kernel's messages back to a ruleset: the inverse of nft/encode.h. Pure. It trusts
 * nothing: a message that is cut short is an error, and whatever the encoder cannot have written is marked
 * foreign, so that it equals nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

#include "ruleset/ruleset.h"

/* A pair of our tables as the kernel holds them; of a standby only that it is there. */
struct nft_tables {
    struct ruleset *ruleset; /* with what is foreign marked as such; never NULL once read */
    bool exists[TABLES];
    uint32_t flags[TABLES]; /* NFT_TABLE_F_* */
    uint32_t owner[TABLES]; /* netlink port ID of the socket that owns the table; 0: none */
    /* Nothing stands in the table that can only be mended by replacing it (then its odd list says what). */
    bool whole[TABLES];
    uint32_t generation;
};

void nft_tables_clear(struct nft_tables *tables);
#define _cleanup_nft_tables_ _cleanup_(nft_tables_clear)

struct nft_decoder;

struct nft_decoder *nft_decoder_new(enum table_pair pair);
struct nft_decoder *nft_decoder_free(struct nft_decoder *decoder); /* returns NULL */
DEFINE_CLEANUP(struct nft_decoder *, nft_decoder_free);

/*
 * Reads one message of a dump: table, chain, set, rule, elements, object or flow table; others, and those of
 * other tables, are passed over. Chains must come before their rules and sets before their elements.
 * 0, or -EBADMSG when it is cut short or names a chain or set that has not come.
 */
int nft_decode(struct nft_decoder *decoder, const struct nlmsghdr *message);

/* What has been read so far; borrowed. Intervals appear only when all has been read. */
const struct ruleset *nft_decoder_ruleset(const struct nft_decoder *decoder);

/* Hands over all that has been read, for nft_tables_clear(); the generation is left to the caller. */
void nft_decoder_finish(struct nft_decoder *decoder, struct nft_tables *ret);
