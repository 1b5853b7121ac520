/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files behind nft/socket.h share. */
#pragma once

#include "ack.h"
#include "nft/encode.h"
#include "nft/socket.h"

#define ATTEMPTS 8

/* Sends a batch and reads the answers. Negative only when the socket itself fails; what the kernel says of the
 * batch is in *answers. */
int socket_exchange(struct nft_socket *socket, const struct nft_batch *batch, struct answers *answers);
/* Takes the sequence numbers of a batch that socket_encode() does not make. */
uint32_t socket_take_seq(struct nft_socket *socket, uint32_t n);
/* The next batch is for these operations; diags says what cannot be encoded. 0 or a negative errno. */
int socket_encode(struct nft_socket *socket, const struct op_list *ops, bool dry_run, struct nft_batch *ret,
                  struct diags *diags);
/* One try: 0 committed; 1 it may be tried again; a negative errno. before is the generation as last read; only
 * the last try goes on when another one is there by now, and is never answered by 1. */
int socket_attempt(struct nft_socket *socket, const struct op_list *ops, struct nft_batch *batch,
                   uint32_t before, bool last, struct diags *diags);
bool socket_protects(const struct nft_socket *socket);
