/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The netlink socket to nf_tables. Decides nothing: it sends batches, collects every answer, and maps each
 * error back to the operation, and so to the policy rule or object, that caused it.
 */
#pragma once

#include <stdint.h>

#include "ruleset/delta.h"
#include "util/diag.h"

struct nft_socket;

int nft_socket_open(struct nft_socket **ret);
struct nft_socket *nft_socket_close(struct nft_socket *socket); /* returns NULL */
DEFINE_CLEANUP(struct nft_socket *, nft_socket_close);

/* The netlink port ID, by which the kernel names this socket when it tells others of our transactions. */
uint32_t nft_socket_port(const struct nft_socket *socket);
/* Transactions of this socket that have changed something, wrapping: the generation moved by one with each. */
uint32_t nft_commits(const struct nft_socket *socket);

/* The kernel's generation number of all nf_tables content. 0 or a negative errno. */
int nft_generation(struct nft_socket *socket, uint32_t *ret);

/*
 * Applies the phases of a delta in order, one transaction each. Success means that no message of a
 * transaction drew an error and that the generation moved. ERESTART, EAGAIN and ENOBUFS are retried, at most
 * a few times, after reading the generation again. On error the transaction that failed has changed nothing;
 * those before it stand (they only add what nothing uses yet). diags then names what failed, why, and what to
 * do. Returns 0 or a negative errno.
 */
int nft_apply(struct nft_socket *socket, const struct delta *delta, struct diags *diags);

/* The kernel validates each phase by itself and commits nothing. Later phases that need an earlier one are
 * not sent on their own: all phases go as one transaction. What the kernel checks at the commit only, jumps
 * in a circle or too deep, it does not find in a table that the same transaction makes (seen on Linux 6.18;
 * nft -c has the same gap). */
int nft_validate(struct nft_socket *socket, const struct delta *delta, struct diags *diags);

/* Is our table there? 0 or a negative errno. */
int nft_table_exists(struct nft_socket *socket, enum table_id table, bool *ret);

/* Kernel and user time spent in the last transaction's send and receive, for the benchmark: nanoseconds from
 * the call of sendmsg() to the last answer read. */
uint64_t nft_last_kernel_ns(const struct nft_socket *socket);
