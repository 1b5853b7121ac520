/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel tells everybody of each nf_tables transaction: has another program changed our tables? */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/netlink.h>

struct nft_change {
    bool lost;        /* notifications were lost: somebody else has changed something, perhaps our tables */
    char process[32]; /* name of the process, plain ASCII; "" when not known */
    uint32_t pid;     /* 0: not known */
};

/* A transaction is told as one message per change, then one with the generation that it made. */
struct notice_reader {
    uint32_t own_port;   /* netlink port ID of the socket whose changes do not count */
    uint32_t generation; /* the last that was told of */
    uint32_t n_own;      /* transactions of ours that were told of, wrapping */
    bool touched;        /* the one that is being told of has changed our tables */
};

/* Reads one message. True when it ends a transaction of another program's that has changed our tables:
 * *ret_change is filled. What is not understood is passed over. */
bool notice_read(struct notice_reader *reader, const struct nlmsghdr *message, struct nft_change *ret_change);
