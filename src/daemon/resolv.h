/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's name servers: resolv.conf(5), pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/addr.h"

#define RESOLV_CONF_MAX (64 * 1024) /* bytes read of the file */

struct name_servers {
    struct ip *v;
    size_t n;
    bool has_loopback; /* some were left out: containers cannot reach the host's loopback */
    bool is_stub;      /* 127.0.0.53 is the only one: systemd-resolved, which has a file with the real ones */
};

/* Reads "nameserver" lines; those with a zone ("fe80::1%eth0") and loopback addresses are left out, as the
 * Engine does.
 */
void name_servers_parse(const char *text, struct name_servers *ret);
void name_servers_clear(struct name_servers *servers);
