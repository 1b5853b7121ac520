/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changed connections as JSON: {"format_version", "changes": bool, "connections": [...]}. What is in the connections is in
 * packaging/schemas/plan.schema.json.
 */
#pragma once

#include <jansson.h>

#include "verdict/changes.h"

/* A new reference. */
json_t *changes_to_json(const struct changes *changes);
