/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may talk to whom, as JSON: packaging/schemas/graph.schema.json says what is in it.
 */
#pragma once

#include <jansson.h>

#include "verdict/graph.h"

/* A new reference. */
json_t *graph_to_json(const struct graph *graph);
