/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the rules of "inet cofferdam" have counted, and nothing else: a dump of them that costs less than nft_read(). */
#pragma once

#include <linux/netlink.h>

#include "nft/socket.h"
#include "ruleset/counters.h"

/* Reads one message of a dump of rules, in their order; others are passed over. 0, or -EBADMSG. Pure. */
int nft_counters_decode(struct table_counters *counters, const struct nlmsghdr *message);

/*
 * *ret is filled on success only, for table_counters_clear(); where there is no table it says so. 0; -EAGAIN: somebody
 * changes nftables rules (perhaps not ours) without a pause, try again later; another negative errno.
 */
int nft_counters_read(struct nft_socket *socket, struct table_counters *ret);
