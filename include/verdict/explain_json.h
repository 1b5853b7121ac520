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
 * What becomes of the connection with these lockdowns (may be NULL). Where one of them decides it, by cutting it or as an
 * exception lets pass what the policies deny, it says so in the explanation's JSON, in front of what the policies say.
 */
struct lock_list;
enum verdict lockdown_explain(const struct lock_list *locks, const struct inventory *inventory,
                              const struct explanation *explanation, json_t *result);
