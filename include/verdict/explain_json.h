/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An explanation as the result document of the control protocol's verb "explain" and of `explain --json`:
 * packaging/schemas/explain.schema.json says what is in it.
 */
#pragma once

#include <jansson.h>

#include "verdict/explain.h"

/* A new reference. */
json_t *explanation_to_json(const struct explanation *explanation);
