/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lockdowns as JSON, in two forms: the public one, which packaging/schemas/common.schema.json describes and an inventory
 * carries, has its times as texts; that of the state directory (daemon/lock_state.h) has numbers, and what the next
 * daemon asks about besides.
 */
#pragma once

#include <jansson.h>

#include "util/diag.h"
#include "verdict/lock.h"

/* A new reference. */
json_t *lock_to_json(const struct lock *lock, bool public);
/* NULL where that is no lockdown. */
struct lock *lock_from_json(const json_t *object, bool public);

/* The public form, with "text" and the names of the "containers" that each means in this inventory. list may be NULL. A
 * new reference. */
json_t *locks_to_json(const struct lock_list *list, const struct inventory *inventory);
/* Those of a document; json NULL, as in one of an older version, has none. 0, or -EBADMSG with the reason in diags. */
int locks_from_json(const json_t *json, struct lock_list **ret, struct diags *diags);
