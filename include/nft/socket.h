/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The netlink socket to nf_tables. Decides nothing: it sends batches, collects every answer, and maps each
 * error back to the operation, and so to the policy rule or object, that caused it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ruleset/delta.h"
#include "util/diag.h"

struct nft_socket;

int nft_socket_open(struct nft_socket **ret);
/*
 * Goes on with the socket of another process that has ended, and so with the tables that it owns. fd: becomes
 * the socket's on success. -ENOTSOCK, -EPROTOTYPE, -EINVAL: it is none, of another kind, or one that listens
 * or was never bound; -EXDEV: of another network namespace; or another negative errno.
 */
int nft_socket_take(int fd, struct nft_socket **ret);
/* The descriptor, for handing out duplicates of it; it stays the socket's. */
int nft_socket_fd(const struct nft_socket *socket);
struct nft_socket *nft_socket_close(struct nft_socket *socket); /* returns NULL */
DEFINE_CLEANUP(struct nft_socket *, nft_socket_close);

/* The netlink port ID, by which the kernel names this socket when it tells others of our transactions. */
uint32_t nft_socket_port(const struct nft_socket *socket);
/* What no other network namespace has since the host's start; 0: the kernel does not say (before Linux 5.14). */
uint64_t nft_socket_namespace(const struct nft_socket *socket);
/* Transactions of this socket that have changed something, wrapping: the generation moved by one with each. */
uint32_t nft_commits(const struct nft_socket *socket);

/* The kernel's generation number of all nf_tables content. 0 or a negative errno. */
int nft_generation(struct nft_socket *socket, uint32_t *ret);

/*
 * Applies the phases of a delta in order, one transaction each. Success means that no message of a
 * transaction drew an error and that the generation moved. ERESTART, EAGAIN and ENOBUFS are retried, at most
 * a few times, after reading the generation again. On error the transaction that failed has changed nothing;
 * those before it stand (they only add what nothing uses yet, or the standby). diags then names what failed, why, and what to
 * do. Returns 0 or a negative errno.
 */
int nft_apply(struct nft_socket *socket, const struct delta *delta, struct diags *diags);
/*
 * Has this called before each transaction of nft_apply() that removes rules from "inet cofferdam", once what follows them
 * stands: the last moment to read what they have counted. It may read by this socket. NULL: nothing is called.
 */
void nft_before_removal(struct nft_socket *socket, void (*call)(void *userdata), void *userdata);

/* The kernel validates each phase by itself and commits nothing. Later phases that need an earlier one are
 * not sent on their own: all phases go as one transaction. What the kernel checks at the commit only, jumps
 * in a circle or too deep, it does not find in a table that the same transaction makes (seen on Linux 6.18;
 * nft -c has the same gap). */
int nft_validate(struct nft_socket *socket, const struct delta *delta, struct diags *diags);

struct nft_table_state {
    bool exists;
    uint32_t flags;  /* NFT_TABLE_* and others */
    uint32_t owner;  /* netlink port ID of the socket that owns it; 0: nobody does */
    uint64_t handle; /* never used twice in a network namespace; 0: the kernel does not say */
};

/* How does our table stand, and how its standby? 0 or a negative errno. */
int nft_table_state(struct nft_socket *socket, enum table_id table, struct nft_table_state *ret);
int nft_standby_state(struct nft_socket *socket, enum table_id table, struct nft_table_state *ret);
/* The same of either pair. */
int nft_pair_state(struct nft_socket *socket, enum table_pair pair, enum table_id table, bool standby,
                   struct nft_table_state *ret);

/* Does the kernel know tables that have an owner and outlive it? It is tried, without changing anything. 0 or
 * a negative errno. */
int nft_can_protect(struct nft_socket *socket, bool *ret);
/* Whether the tables that the socket makes from now on are its own alone. They are not at first. */
void nft_protect(struct nft_socket *socket, bool on);
/*
 * Before the first change, where tables of an earlier process may stand, its standby too. Those without an owner that have
 * outlived theirs become this socket's, if it protects tables. A table that another socket owns is an error,
 * -EPERM: diags then says whose it is and what to do. Returns 0 or a negative errno.
 */
int nft_claim(struct nft_socket *socket, struct diags *diags);

/* Kernel and user time spent in the last transaction's send and receive, for the benchmark: nanoseconds from
 * the call of sendmsg() to the last answer read. */
uint64_t nft_last_kernel_ns(const struct nft_socket *socket);
