/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An explanation as the result document of the control protocol's verb "explain" and of `explain --json`:
 *
 * {"format_version": "1.0", "verdict": "allowed"|"denied", "enforced": bool, "docker_blocks": bool,
 *  "from": {"kind": "container"|"host"|"outside", "text", "name", "id", "note"}, "to": {the same},
 *  "port": TEXT|null,
 *  "published": {"container", "address", "port", "container_port", "protocol", "followed": bool}|null,
 *  "allowed_ports": [TEXT, ...]|null,
 *  "paths": [{"from_network", "to_network", "family": "ipv4"|"ipv6", "verdict", "docker_blocks": bool,
 *             "egress": {"verdict", "reason", "policy", "direction", "rule", "file", "line",
 *                        "near": [{"why", "policy", "rule", "file", "line", "text"}, ...]}|null,
 *             "ingress": {the same}|null}],
 *  "text": TEXT, "hint": TEXT|null}
 *
 * "published" is the port of the host that was asked about, and where it leads. If it was "followed", "to" and "port" are
 * the container and its own port; otherwise they are as asked.
 *
 * "near" has the allow rules that almost match, the nearest first; none where that side allows it. "why" is what keeps
 * one from allowing it: "deny-rule", "staged" (its policy's mode is audit), "except" (of a cidr), "cidr" (which never
 * means a container or the host), "port" (it is for others), "peer" (the same).
 */
#pragma once

#include <jansson.h>

#include "verdict/explain.h"

/* A new reference. */
json_t *explanation_to_json(const struct explanation *explanation);
