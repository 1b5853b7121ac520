/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/line_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"

#define SIZE_FIRST ((size_t)4096) /* doubled as long as there is need */

static void make_room(struct line_queue *queue, size_t len)
{
    if (queue->start + queue->len + len <= queue->size)
        return;
    if (queue->start)
        memmove(queue->bytes, queue->bytes + queue->start, queue->len);
    queue->start = 0;
    while (queue->len + len > queue->size) {
        queue->size = queue->size ? 2 * queue->size : SIZE_FIRST;
        queue->bytes = xreallocarray(queue->bytes, queue->size, 1);
    }
}

static void put(struct line_queue *queue, const char *line, size_t len)
{
    make_room(queue, len + 1);
    char *end = mempcpy(queue->bytes + queue->start + queue->len, line, len);
    *end = '\n';
    queue->len += len + 1;
}

/* Not before there is room for what comes next, or a slow reader would read of nothing else. */
static void tell(struct line_queue *queue)
{
    char text[sizeof("{\"lost\":18446744073709551615}")];

    if (!queue->lost || queue->len > queue->max / 2)
        return;
    put(queue, text, (size_t)snprintf(text, sizeof(text), "{\"lost\":%" PRIu64 "}", queue->lost));
    queue->lost = 0;
}

void line_queue_add(struct line_queue *queue, const char *line, size_t len)
{
    if (!queue->lost && len < queue->max - queue->len) {
        put(queue, line, len);
        return;
    }
    queue->lost++;
    if (queue->len == 0) /* else it is told when something was read */
        tell(queue);
}

void line_queue_take(struct line_queue *queue, size_t n)
{
    queue->start += n;
    queue->len -= n;
    tell(queue);
    if (queue->len == 0)
        line_queue_clear(queue);
}

void line_queue_clear(struct line_queue *queue)
{
    free(queue->bytes);
    *queue = (struct line_queue){.max = queue->max, .lost = queue->lost};
}
