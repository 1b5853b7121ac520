/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inventory as JSON: what `cofferdam status --json` prints under "inventory" and what `--inventory FILE` reads.
 * packaging/schemas/inventory.schema.json says what is in it. Sorted by name, so that two dumps can be compared.
 *
 * Keys that it may leave out may be null or absent for the reader too, and unknown keys are left alone.
 */
#pragma once

#include <jansson.h>

#include "inventory/inventory.h"
#include "util/diag.h"

/* A JSON string, or null for NULL. A JSON string must be UTF-8; what comes from strangers need not be: then `?` stands
 * for each byte that is not ASCII. */
json_t *json_text_or_null(const char *text);
/* A list of such, a new reference. */
json_t *texts_to_json(char *const *texts, size_t n);
json_t *inventory_to_json(const struct inventory *inventory); /* a new reference */
/* For those who cannot stop for as long as a thousand containers take: all but the containers, and one of them. */
json_t *inventory_frame_to_json(const struct inventory *inventory);
json_t *container_to_json(const struct container *container);
/* 0 or -EBADMSG with the reason in diags. */
int inventory_from_json(const json_t *json, struct inventory **ret, struct diags *diags);

/*
 * What containers listen on, as sockets_collect() tells it: {ID: {"listening": [...], "listening_on_loopback": [...]}}, or
 * NULL. It replaces all that was known of that; what makes no sense, or is of no running container whose sockets
 * are this kernel's, is left out.
 */
void inventory_set_listening(struct inventory *inventory, const json_t *listening);
/* Adds these two keys. */
void json_put_listening(json_t *object, const struct container_ports *listening,
                        const struct container_ports *on_loopback);

/*
 * What the container shares with others, inventory/shared.h: adds "engine_socket", "shares_namespaces_with" and
 * "shares_volumes_with". socket is the Engine's, or NULL.
 */
void json_put_shared(json_t *object, const struct inventory *inventory, const struct container *container,
                     const char *socket);
