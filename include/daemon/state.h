/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state file, STATE_FILE in the state directory: what the next daemon, or `cofferdam teardown`, must know of the
 * one before. A codec: text in and out.
 *
 * {"format_version": "1.3",
 *  "bridges": [{"name": "docker0", "changed": true, "nf_call_iptables": false, "nf_call_ip6tables": false,
 *               "no_linklocal_learn": false}],
 *  "foreign": ["br-0123456789ab"],
 *  "networks": "a430d84680aabd0b"}
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "link/link.h"

#define STATE_FILE "bridges.json"
#define STATE_LOCK "lock" /* held by the daemon as long as it lives (flock(2)) */
#define STATE_NETWORKS_SIZE sizeof("0123456789abcdef")
#define STATE_MAX (4 * 1024 * 1024) /* bytes */

/* A bridge that was managed last. */
struct state_bridge {
    char name[IFNAMSIZ];
    bool changed; /* we turned the filtering of bridged packets on; the switches say what they were before */
    struct bridge_switches former;
};

struct state {
    struct state_bridge *bridges;
    size_t n_bridges;
    /* Named as the Engine names its bridges, but of no managed network ... */
    char (*foreign)[IFNAMSIZ];
    size_t n_foreign;
    char networks
        [STATE_NETWORKS_SIZE]; /* ... as long as the settings that say which are managed hash to this */
};

void state_clear(struct state *state);
/* The caller frees the text. */
char *state_format(const struct state *state);
/* 0, or -EBADMSG; then *ret holds what could be read all the same. */
int state_parse(const char *text, struct state *ret);
