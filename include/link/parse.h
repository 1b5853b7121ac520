/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rtnetlink messages to structs and back. Pure: no socket, nothing of the system is read. linux/rtnetlink.h.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>

#include "link/link.h"
#include "util/addr.h"

#define LINK_REQUEST_MAX 256 /* bytes; no request below is longer */

/*
 * Reads an RTM_NEWLINK or RTM_DELLINK message. 0; -ENOMSG: a message of another kind, or about a port in its
 * bridge's view (AF_BRIDGE), which must not be taken for news of the link; -EBADMSG: malformed.
 */
int link_parse(const struct nlmsghdr *message, struct link *ret, bool *ret_gone);

/* The link's own MAC address. 0; -ENOMSG when there is none of six bytes; -EBADMSG. */
int link_parse_mac(const struct nlmsghdr *message, struct mac *ret);

/* The address in an RTM_NEWADDR message. 0; -ENOMSG: another kind of message, or not a unicast address;
 * -EBADMSG. */
int link_parse_address(const struct nlmsghdr *message, struct ip *ret);

/* Requests, built into a buffer of LINK_REQUEST_MAX bytes, aligned as a struct nlmsghdr. All return the
 * buffer. */
struct nlmsghdr *link_request_list(void *buffer);
struct nlmsghdr *link_request_addresses(void *buffer);
/* netns: the namespace's ID as seen from ours (IFLA_TARGET_NETNSID); -1: our own. */
struct nlmsghdr *link_request_get(void *buffer, unsigned index, int netns);
struct nlmsghdr *link_request_switches(void *buffer, unsigned bridge_index,
                                       const struct bridge_switches *switches);
