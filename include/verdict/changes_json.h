/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changed connections as JSON: the list that packaging/schemas/plan.schema.json describes as the connections of a plan.
 */
#pragma once

#include <jansson.h>

#include "verdict/changes.h"

/* A new reference. */
json_t *changes_to_json(const struct changes *changes);
