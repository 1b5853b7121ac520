/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a plan was made from: the policies in force, the new ones, the containers and networks, and our tables in the
 * kernel. Pure. Its ID says whether all of these are still the same. A basis that is remembered says by name what is not;
 * the ID alone still says which of the four.
 *
 * Files count by their bytes: the same ones under other names, or in another order, are the same policies.
 */
#pragma once

#include <stdbool.h>

#include "inventory/inventory.h"
#include "policy/model.h"
#include "ruleset/ruleset.h"

#define PLAN_ID_LEN 64   /* lower-case hexadecimal digits */
#define PLANS_MAX 8      /* remembered */
#define PLAN_MOVED_MAX 8 /* told of by name */

struct plan_basis;

/* Keeps digests and names alone; nothing is borrowed. */
struct plan_basis *plan_basis_new(const struct policy_set *in_force, const struct policy_set *policies,
                                  const struct inventory *inventory, const struct ruleset *kernel);
struct plan_basis *plan_basis_free(struct plan_basis *basis);
DEFINE_CLEANUP(struct plan_basis *, plan_basis_free);
const char *plan_basis_id(const struct plan_basis *basis);
/* The whole of an ID: what is shorter leaves out some of what must not have moved. */
bool plan_id_is_valid(const char *text);

/* The last plans, the newest first. */
struct plan_memory {
    struct plan_basis *v[PLANS_MAX];
};

/* The basis becomes the memory's; another one with its ID goes, or else the oldest where there is no room. */
void plan_remember(struct plan_memory *memory, struct plan_basis *basis);
void plan_memory_clear(struct plan_memory *memory);

/*
 * What has moved since the plan with this (valid) ID, on one line: "container web was recreated; policy file shop.yaml
 * has changed". NULL: nothing has. The rules that follow from other policies or containers are not told of besides. The
 * caller frees it.
 */
char *plan_moved(const struct plan_memory *memory, const char *id, const struct plan_basis *now);
