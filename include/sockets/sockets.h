/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What containers listen on. The kernel's NETLINK_SOCK_DIAG tells it for one network namespace at a time, and of TCP walks
 * the few listening sockets alone; /proc/PID/net/tcp costs a walk through every connection of the host, for each container.
 * Building and reading messages is pure; sockets_collect() looks.
 */
#pragma once

#include <jansson.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>

#include "inventory/inventory.h"

#define CONTAINER_ID_MAX 65 /* bytes of an ID, with a NUL */

/* ---- pure --------------------------------------------------------------------------------------------- */

struct sockets_request {
    struct nlmsghdr header;
    struct inet_diag_req_v2 question;
};

/* Asks for the sockets of one family and transport (TCP or UDP) that wait for whoever comes. */
struct sockets_request sockets_request(enum ip_family family, enum port_kind kind);

/* What one or several sockets wait on. */
struct sockets {
    struct container_ports anywhere, loopback; /* a port may be in both */
};

/*
 * Adds what an answer says. Returns 0: there is more to come; 1: that was the last; -EBADMSG; or the kernel's error.
 */
int sockets_read(const void *bytes, size_t len, struct sockets *sockets);
/* Takes out of loopback what is in anywhere as well. */
void sockets_finish(struct sockets *sockets);
void sockets_clear(struct sockets *sockets);

/* The container whose process has this in /proc/PID/cgroup, the innermost where there are several: 64 hexadecimal digits.
 * False: none's. */
bool cgroup_container(const char *text, char ret[static CONTAINER_ID_MAX]);

/* ---- looking ------------------------------------------------------------------------------------------ */

/*
 * Of every container that has processes here and a network of its own, as inventory_set_listening() takes it; a new
 * reference. It needs CAP_SYS_ADMIN, to enter their network namespaces; of whom it cannot look at, nothing is told. Only
 * for a process of a single thread.
 */
json_t *sockets_collect(void);
