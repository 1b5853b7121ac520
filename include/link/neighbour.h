/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who the kernel thinks is where: the host's ARP and neighbour discovery tables, and what its bridges have learnt (their
 * forwarding databases). linux/neighbour.h. Codec and reading; the codec is pure.
 */
#pragma once

#include <linux/netlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

#define NEIGHBOURS_MAX 65536 /* of one dump: more are an error, -E2BIG */

struct neighbour {
    bool is_fdb;    /* of a bridge: mac is behind the port; else of the host: mac has the address ip */
    unsigned index; /* of the interface; the port of an fdb entry */
    char interface[IFNAMSIZ]; /* its name; "" when it is gone */
    unsigned master;          /* fdb: the bridge; 0: none */
    struct ip ip;             /* unless is_fdb */
    bool has_mac;
    struct mac mac;
    uint16_t state; /* NUD_* */
    uint8_t flags;  /* NTF_* */
    uint16_t vlan;  /* fdb; 0: none */
};

/* "reachable", "stale", ...; the first that holds; "none". Static. */
const char *neighbour_state_name(uint16_t state);

/* fdb: the bridges' databases; else the host's tables, of both families. buffer: LINK_REQUEST_MAX bytes (link/parse.h). */
struct nlmsghdr *neighbour_request(void *buffer, bool fdb);

/* 0; -ENOMSG: of another kind, such as a multicast group; -EBADMSG: malformed. The interface's name is left "". */
int neighbour_parse(const struct nlmsghdr *message, struct neighbour *ret);

struct neighbours {
    struct neighbour *v;
    size_t n;
};

/*
 * All of both kinds, with the names of their interfaces. *ret is added to, and has what was read even where this fails;
 * the caller frees its v. 0 or a negative errno.
 */
int neighbours_read(struct neighbours *ret);
