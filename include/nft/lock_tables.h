/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lock tables (ruleset/lock_tables.h) in the kernel. They belong to no socket, so that the command can make them and
 * the daemon take them away. They all return 0 or a negative errno, with the reason in diags.
 */
#pragma once

#include "nft/socket.h"
#include "ruleset/ruleset.h"

/*
 * Makes them as in the ruleset, or changes those that stand: whatever both drop is dropped at every instant. One at a
 * time: what another process changes meanwhile need not be noticed.
 */
int lock_tables_apply(struct nft_socket *socket, const struct ruleset *ruleset, struct diags *diags);
/* Reads them back: are they exactly these? Where not, -EBADMSG. */
int lock_tables_verify(struct nft_socket *socket, const struct ruleset *ruleset, struct diags *diags);
/* Both of them, and their standby: none need be there. */
int lock_tables_remove(struct nft_socket *socket, struct diags *diags);
/* Is any of them there, their standby too? */
int lock_tables_exist(struct nft_socket *socket, bool *ret);
