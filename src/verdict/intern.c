/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "intern.h"

#include <string.h>

#include <uthash.h>

#include "util/mem.h"

struct interned {
    size_t number;
    UT_hash_handle hh; /* by the bytes behind it */
    char bytes[];
};

size_t intern_count(const struct interned *table)
{
    return HASH_COUNT(table);
}

size_t intern(struct interned **table, const void *bytes, size_t len)
{
    struct interned *found;

    bytes = bytes ?: ""; /* memcmp(3) takes no NULL, whatever the length */
    HASH_FIND(hh, *table, bytes, len, found);
    if (found)
        return found->number;
    found = xcalloc(1, sizeof(*found) + len);
    found->number = HASH_COUNT(*table);
    memcpy(found->bytes, bytes, len);
    HASH_ADD_KEYPTR(hh, *table, found->bytes, len, found);
    return found->number;
}

void intern_clear(struct interned **table)
{
    struct interned *entry, *next;

    HASH_ITER (hh, *table, entry, next) {
        HASH_DEL(*table, entry);
        free(entry);
    }
}

void bytes_add(struct bytes *bytes, const void *more, size_t len)
{
    if (bytes->n + len > bytes->size) {
        bytes->size = 2 * (bytes->n + len) + 32;
        bytes->v = xreallocarray(bytes->v, bytes->size, 1);
    }
    if (len)
        memcpy(bytes->v + bytes->n, more, len);
    bytes->n += len;
}

void bytes_clear(struct bytes *bytes)
{
    free(bytes->v);
    *bytes = (struct bytes){};
}
