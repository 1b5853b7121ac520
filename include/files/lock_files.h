/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of the state directory that the daemon and the command share for lockdowns while no daemon answers. All are
 * believed only where they are our own (files_read_own()).
 */
#pragma once

#include "daemon/inventory_state.h"

/*
 * The containers and networks as the daemon knew them last. 0; -ENOENT: no daemon has written it; -EBADMSG: it is damaged;
 * -EPERM; or another negative errno.
 */
int inventory_state_load(const char *directory, struct inventory **ret, struct inventory_age *ret_age);
