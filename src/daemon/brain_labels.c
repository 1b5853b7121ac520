/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The brain's labels: they go into the inventory, and from there they are as good as Docker's. */
#include "brain_private.h"

#include <string.h>

#define HOLD_BY "cofferdamd"
#define HOLD_REASON                                                                                          \
    "the labels given with `cofferdam label` are lost, and nobody knows what they granted or denied"

void brain_overlay(struct brain *brain, struct container *container)
{
    labels_overlay(brain->labels, container);
}

void brain_set_labels(struct brain *brain, struct given_labels *labels, uint64_t now)
{
    struct given_labels *old = brain->labels;

    brain->labels = labels;
    for (struct container *c = brain->inventory->containers; c; c = c->hh.next)
        if (labels_overlay(labels, c)) {
            brain_mark(brain, c->id);
            brain_flows_due(brain, now);
        }
    given_labels_free(old);
}

const struct given_labels *brain_labels(const struct brain *brain)
{
    return brain->labels;
}

/* ---- labels that were lost ---------------------------------------------------------------------------- */

bool is_label_hold(const struct lock *lock)
{
    return lock->select.all && lock->n_except == 0 && lock->by && strcmp(lock->by, HOLD_BY) == 0 &&
           lock->reason && strcmp(lock->reason, HOLD_REASON) == 0;
}

static struct lock *label_hold(uint64_t since)
{
    struct lock *lock = lock_new();
    const char *why;

    (void)lock_select(lock, "all", &why);
    lock->reason = xstrdup(HOLD_REASON);
    lock->by = xstrdup(HOLD_BY);
    lock->since = since;
    return lock;
}

/* Where a label may have denied, no container may be as if it had none: all are locked down, whatever locks there are. A
 * list that was saved meanwhile may have it still when the labels are not lost any more. */
struct lock_list *brain_hold_for_labels(const struct brain *brain, struct lock_list *locks)
{
    size_t kept = 0;

    for (size_t i = 0; locks && i < locks->n; i++) {
        if (is_label_hold(locks->v[i]))
            lock_free(locks->v[i]);
        else
            locks->v[kept++] = locks->v[i];
    }
    if (locks)
        locks->n = kept;
    if (!brain->labels_lost)
        return locks;
    if (!locks)
        locks = lock_list_new();
    lock_list_add(locks, label_hold(brain->labels_lost));
    return locks;
}

bool brain_labels_lost(const struct brain *brain)
{
    return brain->labels_lost;
}

void brain_forget_lost_labels(struct brain *brain, uint64_t now)
{
    brain->labels_lost = 0;
    brain_set_locks(brain, lock_list_copy(brain->locks, NULL, NULL), now);
}

/* ---- for people --------------------------------------------------------------------------------------- */

json_t *brain_labels_of(const struct brain *brain, const struct container *container)
{
    json_t *list = json_array();
    size_t n;
    const struct given_label **labels = labels_of(brain->labels, container, &n);

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, given_label_to_json(labels[i]));
    free(labels);
    return list;
}

/* Of these it may be thought that the container has them. */
json_t *brain_labels_ended(const struct brain *brain, const struct container *container)
{
    json_t *list = json_array();

    for (size_t i = 0; brain->labels && i < brain->labels->n; i++) {
        const struct given_label *label = &brain->labels->v[i];

        if (label_was_of_former(label, container) && !labels_find(brain->labels, container, label->key))
            json_array_append_new(list, given_label_to_json(label));
    }
    return list;
}
