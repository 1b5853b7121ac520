/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the Docker Engine and its containers may do to the host: the options of dockerd, from its command line and its
 * daemon.json, and a container's powers over the host, from its inspection. Pure. For the Engine's JSON the same holds
 * as in docker/decode.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/addr.h"
#include "util/diag.h"

/* ---- dockerd ------------------------------------------------------------------------------------------ */

#define DOCKERD_CONFIG "/etc/docker/daemon.json"
#define DOCKERD_LIST_MAX 64 /* hosts or name servers: more are left out */

enum option_state { OPTION_UNSET, OPTION_OFF, OPTION_ON };

struct dockerd_options {
    char **hosts; /* "tcp://0.0.0.0:2375", "fd://" */
    size_t n_hosts;
    char **dns;
    size_t n_dns;
    enum option_state tls, tlsverify;
    enum option_state iptables, ip6tables, userland_proxy, icc, live_restore;
    char *firewall_backend; /* NULL: not said */
    char *userns_remap;
    char *config; /* --config-file; NULL: not said */
};

void dockerd_options_clear(struct dockerd_options *options);
/* The words of the command line, the program's name first; what is not known is passed over. Adds to *options. */
void dockerd_options_read_args(struct dockerd_options *options, char *const *args, size_t n);
/* daemon.json; adds to *options. dockerd refuses to start with an option in both. 0 or -EBADMSG with diags. */
int dockerd_options_read_config(struct dockerd_options *options, const char *bytes, size_t len,
                                struct diags *diags);

struct listener {
    struct ip ip;
    unsigned port;
    unsigned long inode;
};

/* A line of /proc/net/tcp or tcp6: false when it is none of a listening socket. */
bool listener_read(const char *line, enum ip_family family, struct listener *ret);

/* ---- containers --------------------------------------------------------------------------------------- */

#define MOUNTS_MAX 1024 /* of one container */

struct docker_powers {
    bool privileged;
    bool net_admin; /* added, or with all */
    bool sys_admin;
    bool host_network, host_pid;
    char **mounts; /* what of the host it has: absolute paths */
    size_t n_mounts;
};

void docker_powers_clear(struct docker_powers *powers);
/* GET /containers/ID/json. 0 or -EBADMSG. */
int docker_decode_powers(const char *bytes, size_t len, struct docker_powers *ret, struct diags *diags);
