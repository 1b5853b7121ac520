/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A record in the columns of one line, as `cofferdam watch` shows it. Pure. Nothing is escaped yet.
 */
#pragma once

#include <jansson.h>

#include "watch/record.h"

struct watch_line {
    char *from;            /* a container's name, "host", or an address: IPv6 in brackets */
    char *to;              /* the same, ":PORT" behind it */
    char *protocol;        /* "tcp", "icmp/echo-request" */
    const char *verdict;   /* "DENIED" */
    const char *direction; /* "egress", "ingress"; "both": allowed by both sides; "-": not known */
    char *
        reason; /* the rule and its policy, or why else; and how many packets there were, where more than one */
};

void watch_line_of(const json_t *record, struct watch_line *ret);
void watch_line_clear(struct watch_line *line);
