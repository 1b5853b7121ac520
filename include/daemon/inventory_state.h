/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon knew last of containers and networks, in the state directory (INVENTORY_STATE_FILE), so that a command
 * finds a container by its name while neither the daemon nor the Engine answers. A codec: text in and out.
 *
 * {"format_version": "1.0", "checksum": "a430d84680aabd0b", "time": 1700000000, "boot": "5d1c...", "inventory": {...}}
 *
 * The checksum is that of all bytes behind it, as what is lost of the file must not be taken for containers that are gone.
 * time is seconds since 1970; boot is the kernel's boot ID, or null.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inventory/inventory.h"

#define INVENTORY_STATE_FILE "inventory.json"
#define INVENTORY_STATE_MAX (64 * 1024 * 1024) /* bytes */

struct inventory_age {
    uint64_t time; /* when it was written, seconds since 1970 */
    /* By another kernel: names and identities count, addresses and ports of containers may be others' by now. */
    bool stale;
};

/*
 * A thousand containers take longer than the daemon may stop for, so it writes some at a time. What changes in between is
 * written as it then is, and who is new not at all: what has changed since the beginning asks for another round.
 */
struct inventory_writer;
/* boot may be NULL. */
struct inventory_writer *inventory_writer_new(const struct inventory *inventory, uint64_t time,
                                              const char *boot);
struct inventory_writer *inventory_writer_free(struct inventory_writer *writer);
DEFINE_CLEANUP(struct inventory_writer *, inventory_writer_free);
/* Writes at most n containers; false: that was all. */
bool inventory_writer_step(struct inventory_writer *writer, const struct inventory *inventory, size_t n);
/* The file's content, once all is written. The caller frees it. */
char *inventory_writer_finish(struct inventory_writer *writer);

/* boot: the running kernel's, or NULL. 0, or -EBADMSG: damaged, or a later version's. */
int inventory_state_parse(const char *text, size_t len, const char *boot, struct inventory **ret,
                          struct inventory_age *ret_age);
