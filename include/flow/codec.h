/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The codec between flows and ctnetlink messages. Pure. linux/netfilter/nfnetlink_conntrack.h.
 */
#pragma once

#include <linux/netlink.h>

#include "flow/flow.h"

#define FLOW_REQUEST_MAX 256 /* bytes of any request below */

/* Every entry of both families. The message stands at the buffer's begin, which is aligned to 4 bytes. */
struct nlmsghdr *flow_request_dump(void *buffer);

/*
 * Deletes exactly this entry: named by original tuple and zone, and only while the entry with that tuple still has
 * this ID. Asks for an ACK; ENOENT says that it is gone already. The tuple is always there: without one the
 * kernel would take the message for "delete everything".
 */
struct nlmsghdr *flow_request_delete(void *buffer, const struct flow *flow);

/* 0; -ENOMSG: no entry of IPv4 or IPv6; -EBADMSG: malformed, or something that names the entry is missing. */
int flow_parse(const struct nlmsghdr *message, struct flow *ret);
