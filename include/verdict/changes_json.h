/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changed connections as JSON:
 *
 * {"format_version": "1.0", "changes": bool,
 *  "connections": [{
 *    "from": {"names": ["web", "compose shop/x (3)", "internet", ...],
 *             "containers": [{"name", "id", "network"}], "host": bool, "host_addresses": ["192.0.2.1"],
 *             "outside": ["10.0.0.0/8", "192.0.2.1-192.0.2.77"]},
 *    "to": {the same},
 *    "ports": ["5432/tcp", "9000-9010/udp", "icmp", "icmp except echo-request", "other protocols"],
 *    "every_port": bool, "family": "ipv4"|"ipv6"|null, "old": "allowed"|"denied", "new": "allowed"|"denied",
 *    "docker_blocks": bool, "pairs": NUMBER,
 *    "causes": [{"direction": "egress"|"ingress", "set": "old"|"new"|null,
 *                "reason": "rule"|"rule-gone"|"selected"|"unselected"|"default-mode",
 *                "policy", "rule", "file", "line", "text"}]}]}
 *
 * Each of `from` to each of `to`, a container to itself excepted, on each of the ports and, unless `family` names one, in
 * each family that both have. `host`: the host, but for its `host_addresses`;
 * where that is false, these of its addresses alone.
 */
#pragma once

#include <jansson.h>

#include "verdict/changes.h"

/* A new reference. */
json_t *changes_to_json(const struct changes *changes);
