/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of a policy set, exactly as they were read, in a JSON document: [{"path", "text"}]. So the set can be parsed
 * again where the files are not.
 */
#pragma once

#include <jansson.h>

#include "policy/model.h"

/* A new reference. */
json_t *policy_files_to_json(const struct policy_set *set);
/* The set of these files, finished, with their mistakes in diags; NULL: that is no such list. */
struct policy_set *policy_files_from_json(const json_t *files, struct diags *diags);
