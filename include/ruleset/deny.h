/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why a packet is dropped: what the rules write before the packets that they log, and what the reader of these finds
 * out from it.
 */
#pragma once

#include <stdbool.h>

enum deny_point {
    DENY_UNLOGGED,     /* nothing that anybody wants to read of */
    DENY_EGRESS,       /* no rule lets the source out to there */
    DENY_INGRESS,      /* no rule lets the destination be reached from there */
    DENY_HOST_EGRESS,  /* no rule lets the source reach the host */
    DENY_HOST_INGRESS, /* no rule lets the host reach the destination */
    DENY_UNKNOWN,      /* an address that no live container has */
    DENY_LOCKED,       /* an end is locked down */
    DENY_SPOOFED,      /* an address, or hardware address, that is not the sender's */
    DENY_INVALID,      /* no packet that may begin a connection, or belong to one */
    DENY_PROTOCOL,     /* what no container may send: a router's messages, routes, odd ARP */
    DENY_LOOPBACK,     /* what is for the host alone */
    DENY_STRAY,        /* past the bridge that it should have come by */
    DENY_UNSEEN,       /* not seen by the inet rules, as bridge netfilter is off */
    DENY_POINTS,
};

/* Before the word, where it came from no managed bridge: another meter counts it then. */
#define DENY_OUTSIDE "outside-"

/* "egress", "unknown", ...; of DENY_UNLOGGED: "unlogged". */
const char *deny_point_word(enum deny_point point);
/* The other way; false: that is none, or one that is not logged. */
bool deny_point_parse(const char *word, enum deny_point *ret);
