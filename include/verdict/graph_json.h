/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may talk to whom, as JSON:
 *
 * {"format_version": "1.0",
 *  "nodes": [{"id": "n0", "kind": "host"|"containers"|"outside", "name",
 *             "containers": [{"name", "id", "note": TEXT|null}], "outside": ["10.0.0.0/8", "192.0.2.1-192.0.2.77"]}],
 *  "edges": [{"from": "n0", "to": "n1", "pairs": NUMBER,
 *             "grants": [{"ports": ["5432/tcp", "9000-9010/udp", "icmp", "other protocols"], "every_port": bool,
 *                         "family": "ipv4"|"ipv6"|null, "docker_blocks": bool, "pairs": NUMBER}]}]}
 */
#pragma once

#include <jansson.h>

#include "verdict/graph.h"

/* A new reference. */
json_t *graph_to_json(const struct graph *graph);
