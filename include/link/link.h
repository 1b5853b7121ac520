/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's links through rtnetlink: bridges, their ports, and who is behind a port. linux/if_link.h.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "util/addr.h"
#include "util/mem.h"

/* What a bridge is told about frames of its ports. */
struct bridge_switches {
    bool nf_call_iptables, nf_call_ip6tables; /* they pass the inet hooks */
    bool
        no_linklocal_learn; /* those to 01:80:c2:00:00:0x, which pass no hook of the bridge's, teach it nothing */
};

struct link {
    unsigned index;
    char name[IFNAMSIZ];
    unsigned master; /* ifindex of the bridge it is a port of; 0: none */
    bool is_bridge;
    bool is_veth;
    bool has_xdp;        /* a program of that kind sees its packets first */
    unsigned peer_index; /* veth: IFLA_LINK, in the peer's namespace; 0 when unknown */
    int peer_netns;      /* veth: IFLA_LINK_NETNSID; -1: the same namespace as ours */
    /* bridges only */
    struct bridge_switches switches;
    bool has_no_linklocal_learn; /* the kernel has that switch: Linux 5.0 */
};

/* As far as the kernel has them. */
static inline bool link_has_switches(const struct link *bridge, const struct bridge_switches *wanted)
{
    const struct bridge_switches *is = &bridge->switches;

    return is->nf_call_iptables == wanted->nf_call_iptables &&
           is->nf_call_ip6tables == wanted->nf_call_ip6tables &&
           (is->no_linklocal_learn == wanted->no_linklocal_learn || !bridge->has_no_linklocal_learn);
}

/* What the monitor reports. gone: the link no longer exists (index and name are filled in). */
typedef void (*link_handler)(const struct link *link, bool gone, void *userdata);
/* Notifications were lost (ENOBUFS): everything was listed again; reset is called before the links come. */
typedef void (*link_reset_handler)(void *userdata);

/* Both may ask the functions below from within; they must not close the monitor. */

struct link_monitor;

/*
 * Subscribes to RTNLGRP_LINK on the event loop (which may be NULL: then no events, only the functions below),
 * and lists all links once, through the handlers, before it returns. When the socket fails later on, or lost
 * news cannot be made up for, the event loop ends with the error.
 */
int link_monitor_open(sd_event *event, link_handler handler, link_reset_handler reset, void *userdata,
                      struct link_monitor **ret);
struct link_monitor *link_monitor_close(struct link_monitor *monitor); /* NULL-safe, returns NULL */
DEFINE_CLEANUP(struct link_monitor *, link_monitor_close);

/*
 * The MAC address of the interface at the other end of a veth, asked in the namespace it is in
 * (IFLA_TARGET_NETNSID, Linux 4.20). 0; -ENODEV when it is gone; another negative errno.
 */
int link_peer_mac(struct link_monitor *monitor, const struct link *link, struct mac *ret);

/*
 * Has bridged IPv4 and IPv6 frames of this one bridge pass the inet hooks, whatever the global sysctls say
 * (IFLA_BR_NF_CALL_IPTABLES, IFLA_BR_NF_CALL_IP6TABLES), and the bridge learn nothing from link-local frames
 * (BR_BOOLOPT_NO_LL_LEARN). Read back before it returns. 0; -EOPNOTSUPP: the kernel took no notice, other than by
 * having no such switch for the latter; another negative errno. Changes of the switches are reported to the handler
 * only while the bridge is up.
 */
int link_set_switches(struct link_monitor *monitor, unsigned bridge_index,
                      const struct bridge_switches *switches);

/*
 * Makes sure that br_netfilter is there: without it the per-bridge switch does nothing. When it has to be
 * loaded, the global sysctls that loading turns on are turned off again, so that no bridge but ours changes.
 * 0; -EOPNOTSUPP when the kernel has none.
 */
int link_require_br_netfilter(void);

/* All unicast addresses of this host's interfaces, loopback included; the caller frees *ret. */
int link_host_addresses(struct link_monitor *monitor, struct ip **ret, size_t *ret_n);
