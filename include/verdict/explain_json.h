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

/*
 * Where a lockdown cuts what is asked about, it says so in the explanation's JSON, in front of what the policies say:
 * true. locks may be NULL.
 */
struct lock_list;
bool lockdown_explain(const struct lock_list *locks, const struct inventory *inventory,
                      const struct explanation *explanation, json_t *result);
