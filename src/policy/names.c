/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "names.h"

const struct seen_name *seen_names_add(struct seen_name **table, const char *name,
                                       const struct source_pos *pos)
{
    struct seen_name *seen = NULL;

    HASH_FIND_STR(*table, name, seen);
    if (seen)
        return seen;
    seen = xnew(struct seen_name);
    seen->name = xstrdup(name);
    seen->pos = *pos;
    HASH_ADD_KEYPTR(hh, *table, seen->name, strlen(seen->name), seen);
    return NULL;
}

void seen_names_clear(struct seen_name **table)
{
    struct seen_name *seen, *next;

    HASH_ITER (hh, *table, seen, next) {
        HASH_DEL(*table, seen);
        free(seen->name);
        free(seen);
    }
}
