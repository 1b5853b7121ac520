/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inventory as JSON: what `cofferdam status --json` prints under "inventory" and what `--inventory FILE`
 * reads.
 *
 * {"format_version": "1.0",
 *  "networks": [{"id", "name", "driver", "scope", "bridge", "internal", "ipv6", "managed",
 * "unmanaged_reason", "parent", "elsewhere", "subnets": ["172.18.0.0/16"]}], "containers": [{"id", "name", "image", "image_id",
 * "running", "labels": {"key": "value"}, "image_labels": ["key", ...],   (those that repeat the image's)
 *                  "network_mode": "bridge"|"none"|"host"|"container", "network_target": ID,
 *                  "dns": ["10.0.0.53"], "privileged", "net_admin",
 *                  "published": [{"address": "0.0.0.0", "port": 8080, "container_port": 80, "protocol": "tcp"}],
 *                  "endpoints": [{"network": ID, "network_name", "id", "mac", "ipv4", "ipv6", "port"}]}],
 *  "name_servers": ["192.0.2.53"], "host_addresses": ["192.0.2.1"], "rootless", "lookups_by_engine"}
 *
 * Keys that are NULL or empty may be absent, and so may privileged, net_admin, elsewhere, rootless and lookups_by_engine be where
 * false; a
 * container or network without a name is called by its ID. A container of which labels_known or dns_known is false says
 * so by "labels_known": false and "dns_known": false. Unknown keys are left alone. Sorted by name, so that two dumps can
 * be compared.
 */
#pragma once

#include <jansson.h>

#include "inventory/inventory.h"
#include "util/diag.h"

/* A JSON string, or null for NULL. A JSON string must be UTF-8; what comes from strangers need not be: then `?` stands
 * for each byte that is not ASCII. */
json_t *json_text_or_null(const char *text);
json_t *inventory_to_json(const struct inventory *inventory); /* a new reference */
/* 0 or -EBADMSG with the reason in diags. */
int inventory_from_json(const json_t *json, struct inventory **ret, struct diags *diags);
