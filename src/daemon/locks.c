/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The brain's lockdowns: they go into the same delta as what else is to change, so that an endpoint of a container that
 * is locked down is never live otherwise.
 */
#include "brain_private.h"

#include <string.h>
#include <syslog.h>

#include "ruleset/lock_tables.h"
#include "verdict/lock_json.h"

static bool is_meant(const struct lock_list *list, const struct container *container)
{
    for (size_t i = 0; list && i < list->n; i++)
        if (lock_means(list->v[i], container))
            return true;
    return false;
}

/* Who is locked and joins another's network changes what holds for that one. */
static void mark_target(struct brain *brain, const struct container *container)
{
    const struct container *target;

    if (container->mode == NETMODE_CONTAINER && container->mode_target &&
        inventory_find(brain->inventory, container->mode_target, &target) == 0)
        brain_mark(brain, target->id);
}

static bool has_chains(const struct lock_list *list)
{
    for (size_t i = 0; list && i < list->n; i++)
        if (list->v[i]->cut != CUT_BOTH || list->v[i]->n_allow > 0)
            return true;
    return false;
}

void brain_set_locks(struct brain *brain, struct lock_list *locks, uint64_t now)
{
    struct lock_list *old = brain->locks;

    locks = brain_hold_for_labels(brain, locks);
    for (const struct container *c = brain->inventory->containers; c; c = c->hh.next)
        if (is_meant(old, c) || is_meant(locks, c)) {
            brain_mark(brain, c->id);
            mark_target(brain, c);
        }
    brain->locks = locks;
    compiler_set_locks(brain->compiler, locks);
    if (brain->next_compiler)
        compiler_set_locks(brain->next_compiler, locks);
    if (has_chains(old))
        brain->has_next = true; /* sweeps the chains that nobody needs any more */
    lock_list_free(old);
    brain_flows_due(brain, now);
}

const struct lock_list *brain_locks(const struct brain *brain)
{
    return brain->locks;
}

bool brain_locks_in_force(const struct brain *brain)
{
    return brain->loaded && !brain->torn_down && !brain->need_full && !brain->hold && !brain->applying;
}

void brain_mark_joined(struct brain *brain, const struct container *container)
{
    if (brain->locks && brain->locks->n)
        mark_target(brain, container);
}

/* ---- connections -------------------------------------------------------------------------------------- */

void brain_begin_lock_flows(struct brain *brain)
{
    free(STEAL(brain->locked));
    brain->n_locked = lock_addresses(brain->locks, brain->inventory, &brain->locked);
}

enum lock_fate brain_lock_fate(const struct brain *brain, const struct flow *flow)
{
    if (!brain->n_locked || !flow_touches(flow, brain->locked, brain->n_locked))
        return LOCK_SILENT;
    return lock_flow_fate(brain->locks, brain->inventory, flow);
}

/* ---- for people --------------------------------------------------------------------------------------- */

json_t *brain_locks_to_json(const struct brain *brain)
{
    return locks_to_json(brain->locks, brain->inventory);
}

/* ---- a list that was lost ----------------------------------------------------------------------------- */

/* What is known for itself, and not only stands in for a list that cannot be read. */
static bool is_known(const struct lock *lock, const void *userdata)
{
    (void)userdata;
    return !lock->stands_in && !is_label_hold(lock);
}

/* whole: a lock in part does not do. */
static bool is_as_locked(const struct lock_list *list, const struct inventory *inventory,
                         const struct container *container, bool whole)
{
    const struct lock_effect effect = lock_effect(list, inventory, container);

    if (!whole)
        return effect.cut != 0;
    return effect.cut == CUT_BOTH && !(effect.exceptions && effect.exceptions->n_allow > 0);
}

/* Those whom such tables lock down, and the list does not: in whole. */
static void add_locked_in(struct lock_list *list, const struct inventory *inventory,
                          const struct ruleset *kernel, bool whole, const char *reason, uint64_t since)
{
    for (const struct container *c = inventory->containers; c; c = c->hh.next) {
        struct lock *lock;

        if (!ruleset_locks(kernel, c) || is_as_locked(list, inventory, c, whole))
            continue;
        lock = lock_new();
        lock_name(lock, c);
        lock->reason = xstrdup(reason);
        lock->by = xstrdup("cofferdamd");
        lock->since = since;
        lock_list_add(list, lock);
    }
}

static bool has_stand_in(const struct lock_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i]->stands_in)
            return true;
    return false;
}

/*
 * The list cannot be read, but what an earlier daemon has put into the kernel can: the containers that are locked down
 * there stay so, in whole, besides those of the list's copy. Without either nobody knows which they were, and all stay
 * locked down. A list that was never written is not there either: then the kernel has none, and nothing is lost.
 */
void brain_recover_locks(struct brain *brain, const struct ruleset *kernel, uint64_t now)
{
    struct lock_list *list;
    size_t known;

    if (!brain->locks_lost || brain->loaded || !ruleset_stands(kernel) || !brain->locks)
        return;
    brain->locks_lost = false;
    list = lock_list_copy(brain->locks, is_known, NULL);
    known = list->n;
    /* Where the list is a copy, all that it means were meant; where it is lost, one in part may have been one in whole. */
    add_locked_in(list, brain->inventory, kernel, !brain->locks_behind,
                  "it was locked down when the list of lockdowns was lost",
                  brain->locks->n ? brain->locks->v[0]->since : 0);
    if (list->n == known && !has_stand_in(brain->locks)) {
        lock_list_free(list);
        return;
    }
    brain_log(
        brain, LOG_CRIT,
        "the list of lockdowns is lost; the %zu container%s that the kernel's rules lock down stay so, in "
        "whole, until they are released",
        list->n - known, list->n - known == 1 ? "" : "s");
    brain_set_locks(brain, list, now);
    brain->locks_recovered = true;
}

bool brain_adopt_locks(struct brain *brain, const struct ruleset *tables, const struct lock_list *ended,
                       uint64_t wall, uint64_t now)
{
    struct lock_list *list = lock_list_copy(brain->locks, NULL, NULL);
    size_t known = list->n;

    lock_list_add_standing(list, ended, tables, brain->inventory, wall);
    if (list->n == known) {
        lock_list_free(list);
        return false;
    }
    for (size_t i = known; i < list->n; i++)
        brain_log(brain, LOG_WARNING,
                  "%s was cut off by a command that could not write that down: it stays locked down, in "
                  "whole, until it is released",
                  lock_text(list->v[i]));
    brain_set_locks(brain, list, now);
    brain->locks_recovered = true;
    return true;
}

bool brain_locks_recovered(struct brain *brain)
{
    bool recovered = brain->locks_recovered;

    brain->locks_recovered = false;
    return recovered;
}
