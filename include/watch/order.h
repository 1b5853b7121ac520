/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records stand in the log in the order in which they were written, which is when they ended. This puts them into the
 * order in which they began, without holding more of them than could still be overtaken. Pure. Times are microseconds
 * since 1970.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define WATCH_ORDER_SPAN 180000000ull /* no record is open for longer, by far */
#define WATCH_ORDER_MAX 100000        /* records that are held; then the earliest is let go */

/* Is handed the texts in order; they are its own to free. */
typedef void (*watch_order_handler)(char *text, void *userdata);

struct watch_order_item {
    uint64_t began;
    char *text;
};

struct watch_order {
    struct watch_order_item *v;
    size_t first, n; /* of v, those from first on are held */
    uint64_t newest; /* end of a record */
    watch_order_handler handle;
    void *userdata;
};

/* The text is taken. */
void watch_order_add(struct watch_order *order, uint64_t began, uint64_t ended, char *text);
/* No more come. */
void watch_order_end(struct watch_order *order);
