/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking the kernel for all objects of a kind, by the socket of nft/socket.h. */
#pragma once

#include <linux/netlink.h>

#include "nft/socket.h"

/* 0 or a negative errno, which ends the dump. */
typedef int (*nft_message_reader)(const struct nlmsghdr *message, void *userdata);

/*
 * Sends a request (its flags and sequence number are set here) and hands each message of the answer to the
 * reader. 0; -EAGAIN when the rules changed meanwhile, so that what was told is no whole; another negative
 * errno, the reader's included.
 */
int nft_dump(struct nft_socket *socket, struct nlmsghdr *request, nft_message_reader reader, void *userdata);
