/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/order.h"

#include <string.h>

#include "util/mem.h"

static void let_go(struct watch_order *order)
{
    order->handle(order->v[order->first++].text, order->userdata);
}

/* What was let go takes no room for long. */
static void pack(struct watch_order *order)
{
    if (order->first == 0 || order->first < order->n / 2)
        return;
    order->n -= order->first;
    memmove(order->v, order->v + order->first, order->n * sizeof(*order->v));
    order->first = 0;
}

static void insert(struct watch_order *order, const struct watch_order_item *item)
{
    pack(order);
    size_t at = order->n;
    (void)ARRAY_ADD(order->v, order->n);
    for (; at > order->first && order->v[at - 1].began > item->began; at--)
        order->v[at] = order->v[at - 1];
    order->v[at] = *item;
}

void watch_order_add(struct watch_order *order, uint64_t began, uint64_t ended, char *text)
{
    const struct watch_order_item item = {began, text};

    insert(order, &item);
    if (ended > order->newest)
        order->newest = ended;
    while (order->first < order->n && (order->n - order->first > WATCH_ORDER_MAX ||
                                       order->v[order->first].began + WATCH_ORDER_SPAN < order->newest))
        let_go(order);
}

void watch_order_end(struct watch_order *order)
{
    while (order->first < order->n)
        let_go(order);
    free(order->v);
    *order = (struct watch_order){.handle = order->handle, .userdata = order->userdata};
}
