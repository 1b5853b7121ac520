/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads our tables back from the kernel. Decides nothing. */
#pragma once

#include "nft/decode.h"
#include "nft/socket.h"

/*
 * All that stands in "inet cofferdam" and "bridge cofferdam", as of one generation; tables that are not there
 * are marked absent. *ret is filled on success only, for nft_tables_clear().
 * 0; -EAGAIN: somebody changes nftables rules (perhaps not ours) without a pause, try again later; another
 * negative errno when the socket or an answer fails.
 */
int nft_read(struct nft_socket *socket, struct nft_tables *ret);
/* The same of either pair. */
int nft_read_pair(struct nft_socket *socket, enum table_pair pair, struct nft_tables *ret);
