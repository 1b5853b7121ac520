/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's connection tracking table through ctnetlink. Needs CAP_NET_ADMIN in the user namespace that owns the
 * network namespace, for reading as well as for deleting: else -EPERM.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "flow/flow.h"
#include "util/mem.h"

#define FLOW_SWEEP_ROUNDS 3

struct flow_socket;

/* For the network namespace of the caller, and to be used in that one. */
int flow_socket_open(struct flow_socket **ret);
struct flow_socket *flow_socket_close(struct flow_socket *socket); /* NULL-safe, returns NULL */
DEFINE_CLEANUP(struct flow_socket *, flow_socket_close);

/* A negative errno ends the dump, which then returns it. May call flow_delete(), but not flow_dump(). */
typedef int (*flow_handler)(const struct flow *flow, void *userdata);

/*
 * Hands over each entry of every zone and of both families. A dump that the kernel breaks off begins again, some
 * times, so the handler can be told of an entry more than once. An entry that cannot be understood is left out, and
 * makes the dump return -EBADMSG after all others were handed over. 0 or a negative errno.
 */
int flow_dump(struct flow_socket *socket, flow_handler handler, void *userdata);

/*
 * Deletes exactly these entries, many in one system call. That one is gone already, or was replaced by a newer
 * entry of the same tuple, is no error. All are tried; the first error, if any, is returned. *ret_deleted (may be
 * NULL): how many of them the kernel says it has deleted.
 */
int flow_delete(struct flow_socket *socket, const struct flow *flows, size_t n, size_t *ret_deleted);

/*
 * Deletes the entries of the default zone that must end, and looks again as long as that found any, at most
 * FLOW_SWEEP_ROUNDS times: a packet that had passed the old rules when the new ones came may put its entry into the
 * table only now. Memory does not grow with the table. An entry that cannot be deleted or understood does not keep
 * the others; the first error is returned in the end. *ret_ended (may be NULL): how many were deleted.
 */
int flow_sweep(struct flow_socket *socket, bool (*must_end)(const struct flow *flow, void *userdata),
               void *userdata, size_t *ret_ended);
