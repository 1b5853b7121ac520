/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The containers, for a command that no daemon tells of them: what the daemon has left behind, and what is so now. */
#pragma once

#include "docker/decode.h"
#include "inventory/inventory.h"
#include "policy/settings.h"

/* Nothing of it is live any more: addresses and ports are those of before the host started. */
void inventory_forget_live(struct inventory *inventory);
/*
 * Takes the Engine's lists, whose items are moved out, for all that there is. What they do not tell of a container or an
 * endpoint that was known stays: its powers, and its port until that is looked for.
 */
void inventory_freshen(struct inventory *inventory, struct container_list *containers,
                       struct network_list *networks, const struct settings *settings);

/* ---- I/O ---------------------------------------------------------------------------------------------- */

#define LOCK_ENGINE_MS 500 /* the Engine's time, in all */

/* 0; -ETIMEDOUT; -ENOENT, -ECONNREFUSED: no Engine is there; or another negative errno. */
int lock_ask_engine(const struct settings *settings, struct container_list *ret_containers,
                    struct network_list *ret_networks);
/* The host's own addresses; and the ports of all live endpoints that wanted() names, those that are known as long as they are
 * there, others by the MAC behind each. Those that are
 * not found have none then. 0 or a negative errno. */
int lock_ask_links(struct inventory *inventory,
                   bool (*wanted)(const struct container *container, void *userdata), void *userdata);
/* Has the bridges of these containers pass the inet hooks what goes between their ports, and reads that back. */
int lock_open_bridges(const struct inventory *inventory,
                      bool (*wanted)(const struct container *container, void *userdata), void *userdata);
