/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers for byte strings: equal ones have the same, counted from 0 in the order in which they came. */
#pragma once

#include <stddef.h>

struct interned;

/* A list of them. */
struct numbers {
    size_t *v;
    size_t n;
};

/* What a number is asked for, put together piece by piece. */
struct bytes {
    char *v;
    size_t n, size; /* used, allocated */
};

/* The number of these bytes, which are copied when new; it is then what intern_count() was before. */
size_t intern(struct interned **table, const void *bytes, size_t len);
size_t intern_count(const struct interned *table);
void intern_clear(struct interned **table);

void bytes_add(struct bytes *bytes, const void *more, size_t len);
void bytes_clear(struct bytes *bytes);
