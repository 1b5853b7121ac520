/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which records are meant. Of the values that are given for one field, one must match; of the fields, all; of what is
 * negated, nothing. Pure.
 *
 *   from, to, container  an end (container: either): a container's name or glob of it, its ID or the beginning of that,
 *                        "PROJECT/SERVICE" of Compose or a glob of that; "host", "outside", "unknown"; an address or block
 *   verdict              denied, allowed, audited
 *   port                 the destination's: 5432, 5432/tcp, 9000-9010/udp, icmp/echo-request
 *   protocol             tcp, udp, sctp, icmp (of both families), arp, or a number
 *   direction            egress, ingress: the side that was denied; of what was allowed, each side that had to allow it
 */
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "util/diag.h"
#include "util/mem.h"

#define WATCH_FILTERS_MAX 64 /* values in one filter */
#define WATCH_ID_MIN 4       /* hexadecimal digits that count as the beginning of an ID */

struct watch_filter;

/*
 * From a request: {"filters": [{"field": "from", "value": "web", "not": BOOL}], "allowed": BOOL}, all optional. Without
 * "allowed", or the verdict among the filters, what was allowed does not match. 0; or -EINVAL, and diags says which value
 * is wrong and what would be right. What it holds is copied.
 */
int watch_filter_from_json(const json_t *request, struct watch_filter **ret, struct diags *diags);
struct watch_filter *watch_filter_free(struct watch_filter *filter);
DEFINE_CLEANUP(struct watch_filter *, watch_filter_free);

bool watch_filter_matches(const struct watch_filter *filter, const json_t *record);
/* May a record of what was allowed match at all? */
bool watch_filter_wants_allowed(const struct watch_filter *filter);
