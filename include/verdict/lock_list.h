/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of lockdowns: new ones go in, released ones go out. Pure. */
#pragma once

#include "verdict/lock.h"

/*
 * Those that hold already, and the new ones, which take the place of older ones for the same target, unless such a one
 * means other containers as well: they would be free. A new list.
 */
struct lock_list *lock_list_with(const struct lock_list *list, const struct lock_list *new,
                                 const struct inventory *inventory);

/* Is it what such a word of `cofferdam release` says: a container's name, ID or the beginning of one, or a selector? */
bool lock_is_named(const struct lock *lock, const struct inventory *inventory, const char *word);
struct lock_release {
    const struct inventory *inventory;
    char *const *words;
    size_t n_words;
    bool all;
};
/* Does it go on? For lock_list_copy(), which is given a struct lock_release. */
bool lock_outlives(const struct lock *lock, const void *release);

/*
 * Locks for an address or a port become those of the container that has it, as that may have another soon. True: there was
 * such a one.
 */
bool lock_list_identify(struct lock_list *list, const struct inventory *inventory);

/* Requests are remembered, so that none is carried out twice; the oldest are forgotten. */
bool lock_list_knows(const struct lock_list *list, const char *request);
void lock_list_remember(struct lock_list *list, const char *request);
