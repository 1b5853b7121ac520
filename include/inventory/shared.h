/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What containers share besides a network: what one of them writes, another reads, whatever the rules say of packets.
 * As far as the Engine tells.
 */
#pragma once

#include "inventory/inventory.h"

#define SHARED_MAX 1000 /* of one container; more are left out */

struct shared_mount {
    const struct container *other;
    const char *volume;            /* NULL: no named volume, or not the same one */
    const char *path;              /* on the host, of the narrower mount; may be NULL where volume is not */
    bool read_only, own_read_only; /* for the other one; for the container itself */
};

/*
 * By volume, or by paths of which one contains the other. What both only read is left out, as nothing gets across. The
 * caller frees the array, whose texts are the inventory's.
 */
struct shared_mount *container_shared_mounts(const struct inventory *inventory,
                                             const struct container *container, size_t *ret_n);

/* Do they share a PID or an IPC namespace that one of them, or a third container, has made? */
bool container_shares_pid(const struct inventory *inventory, const struct container *a,
                          const struct container *b);
bool container_shares_ipc(const struct inventory *inventory, const struct container *a,
                          const struct container *b);

/*
 * The path by which it gets at a socket through which containers are started: Docker's or containerd's usual ones or
 * socket (may be NULL), or a folder in which one of them is. NULL: none. A mount that is read-only opens it all the same.
 */
const char *container_engine_socket(const struct container *container, const char *socket);
