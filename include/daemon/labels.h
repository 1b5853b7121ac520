/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Labels that Cofferdam was told to give to containers, as Docker's cannot be changed: the overlay. Pure.
 *
 * A label is given to one container, by its ID, and lives as long as that does. One that *follows* is also given to
 * whoever comes after it, under its name or as its Compose service's container of the same number: as with a lockdown,
 * but only where these labels are the container's own, for what a label grants an image must not take.
 *
 * A label whose container is gone has *ended*. It is kept for a while, so that people can be told, and should the
 * container come back (its Engine's disk was not mounted), so does the label.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/change.h"
#include "inventory/inventory.h"
#include "policy/model.h"
#include "verdict/lock.h"

#define LABELS_MAX 10000      /* in all */
#define LABELS_EACH_MAX 64    /* of one container */
#define LABELS_ENDED_MAX 100  /* that are kept; the oldest go first */
#define LABEL_REASON_MAX 1000 /* bytes */

struct given_label {
    struct lock *whom; /* by what its container is known: lock_name() made it, and it never has a selector */
    bool follow;
    char *key, *value;
    char *reason; /* NULL: none was given */
    struct who who;
    uint64_t since; /* seconds since 1970 */
    uint64_t ended; /* the same; 0: it has not */
};

struct given_labels {
    struct given_label *v;
    size_t n;
};

struct given_labels *given_labels_new(void);
struct given_labels *given_labels_free(struct given_labels *list);
DEFINE_CLEANUP(struct given_labels *, given_labels_free);
/* A copy of those for which keep (NULL: all) says so. list may be NULL. */
struct given_labels *given_labels_copy(const struct given_labels *list,
                                       bool (*keep)(const struct given_label *label, const void *userdata),
                                       const void *userdata);
/* By what the container will be known: as lock_name() has it, but without labels of Compose's that an image has brought. */
struct lock *label_whom(const struct container *container);
void given_label_clear(struct given_label *label);

/*
 * May such a label be given? 0; or -EINVAL and what is wrong in *ret_why (static). The limits are those of the policy
 * language; Compose's own labels are not to be given, as they say what the container is.
 */
int label_key_check(const char *key, const char **ret_why);
int label_value_check(const char *value, const char **ret_why);

/* Is it given to this container? */
bool label_is_of(const struct given_label *label, const struct container *container);
/* The container has taken the place of the one that had it, and does not have it. */
bool label_was_of_former(const struct given_label *label, const struct container *container);
/* The one that counts for this container and key, or NULL: one of its own comes before one that follows, a later one before
 * an earlier. */
const struct given_label *labels_find(const struct given_labels *list, const struct container *container,
                                      const char *key);
/* All that count for it, in no order. The caller frees the list, not what it points to. */
const struct given_label **labels_of(const struct given_labels *list, const struct container *container,
                                     size_t *ret_n);
/* Sets the container's overlay. Returns whether it is another than before. list may be NULL. */
bool labels_overlay(const struct given_labels *list, struct container *container);

/*
 * Those given to containers that are gone end now (seconds since 1970), unless they follow; those whose container is there
 * again go on. Too old ones are removed. changed is called for each that ends or goes on.
 */
void labels_settle(struct given_labels *list, const struct inventory *inventory, uint64_t now,
                   void (*changed)(const struct given_label *label, void *userdata), void *userdata);
/* Would that change nothing? */
bool labels_are_settled(const struct given_labels *list, const struct inventory *inventory);

/* Does any policy ask about this label, of subjects or peers? */
bool policies_ask_label(const struct policy_set *set, const char *key);
