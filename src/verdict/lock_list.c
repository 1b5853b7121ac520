/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verdict/lock_list.h"

#include <string.h>

#define ID_PREFIX_MIN 4

static bool same_text(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* ---- new ones ----------------------------------------------------------------------------------------- */

struct renewal {
    const struct lock_list *new;
    const struct inventory *inventory;
};

static bool renews(const struct lock *new, const struct lock *old, const struct inventory *inventory)
{
    bool meant = false;

    if (lock_is_nameless(new) || lock_is_nameless(old))
        return same_text(new->address, old->address) || same_text(new->interface, old->interface);
    if (new->select_text || old->select_text)
        return same_text(new->select_text, old->select_text);
    if (!new->id) /* nobody knows the containers yet */
        return !old->id && same_text(new->name, old->name);
    for (const struct container *c = inventory->containers; c; c = c->hh.next) {
        if (!lock_means(old, c))
            continue;
        if (strcmp(c->id, new->id) != 0)
            return false;
        meant = true;
    }
    return meant || same_text(new->id, old->id); /* one that nobody knows now means nobody else either */
}

static bool is_not_renewed(const struct lock *lock, const void *userdata)
{
    const struct renewal *renewal = userdata;

    for (size_t i = 0; i < renewal->new->n; i++)
        if (renews(renewal->new->v[i], lock, renewal->inventory))
            return false;
    return true;
}

struct lock_list *lock_list_with(const struct lock_list *list, const struct lock_list *new,
                                 const struct inventory *inventory)
{
    const struct renewal renewal = {new, inventory};
    struct lock_list *longer = lock_list_copy(list, is_not_renewed, &renewal);

    for (size_t i = 0; i < new->n; i++)
        lock_list_add(longer, lock_copy(new->v[i]));
    return longer;
}

/* ---- released ones ------------------------------------------------------------------------------------ */

bool lock_is_named(const struct lock *lock, const struct inventory *inventory, const char *word)
{
    const struct container *container;
    size_t len = strlen(word);

    if (lock->select_text)
        return strcmp(lock->select_text, word) == 0;
    if (same_text(lock->name, word) || same_text(lock->address, word) || same_text(lock->interface, word))
        return true;
    if (lock->id && len >= ID_PREFIX_MIN && strncmp(lock->id, word, len) == 0)
        return true;
    return inventory_find(inventory, word, &container) == 0 && lock_means(lock, container);
}

bool lock_outlives(const struct lock *lock, const void *userdata)
{
    const struct lock_release *release = userdata;

    for (size_t i = 0; !release->all && i < release->n_words; i++)
        if (lock_is_named(lock, release->inventory, release->words[i]))
            return false;
    return !release->all;
}

/* ---- who it is ---------------------------------------------------------------------------------------- */

bool lock_list_identify(struct lock_list *list, const struct inventory *inventory)
{
    bool changed = false;

    for (size_t i = 0; i < list->n; i++) {
        struct lock *lock = list->v[i];

        for (const struct container *c = inventory->containers; c && lock_is_nameless(lock); c = c->hh.next)
            if (lock_means(lock, c)) {
                lock_name(lock, c);
                free(STEAL(lock->address));
                free(STEAL(lock->interface));
                changed = true;
            }
    }
    return changed;
}

/* ---- requests ----------------------------------------------------------------------------------------- */

bool lock_list_knows(const struct lock_list *list, const char *request)
{
    for (size_t i = 0; list && i < list->n_requests; i++)
        if (strcmp(list->requests[i], request) == 0)
            return true;
    for (size_t i = 0; list && i < list->n; i++)
        if (same_text(list->v[i]->request, request))
            return true;
    return false;
}

void lock_list_remember(struct lock_list *list, const char *request)
{
    if (list->n_requests == LOCK_REQUESTS_MAX) {
        free(list->requests[0]);
        list->n_requests--;
        memmove(list->requests, list->requests + 1, list->n_requests * sizeof(*list->requests));
        list->requests[list->n_requests++] = xstrdup(request);
    } else {
        *ARRAY_ADD(list->requests, list->n_requests) = xstrdup(request);
    }
}
