/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Listens to what the kernel tells of all nf_tables transactions, and reports those by which another program
 * has changed our tables. It decides nothing.
 */
#pragma once

#include <systemd/sd-event.h>

#include "nft/notice.h"
#include "nft/socket.h"

#define NFT_MONITOR_ROOM                                                                                     \
    (16 * 1024 * 1024) /* bytes: for what all elements of a large host make when loaded */

typedef void (*nft_change_handler)(const struct nft_change *change, void *userdata);

struct nft_monitor;

/*
 * own: the socket by which we change our tables, borrowed; its changes are never reported. room: bytes of the
 * queue. event may be NULL; then only nft_monitor_read() reads. 0 or a negative errno.
 */
int nft_monitor_open(sd_event *event, struct nft_socket *own, int room, nft_change_handler handler,
                     void *userdata, struct nft_monitor **ret);
struct nft_monitor *nft_monitor_close(struct nft_monitor *monitor); /* returns NULL */
DEFINE_CLEANUP(struct nft_monitor *, nft_monitor_close);

/* Reports what has been told until now, without waiting: the event loop does it by itself, but only later. 0
 * or a negative errno. */
int nft_monitor_read(struct nft_monitor *monitor);
