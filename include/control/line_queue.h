/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines that wait for a reader, who may be slow: never more than so many bytes. What finds no room is lost, and so is what
 * comes after it until half of the queue has been read; then the reader is told how much it was, by a line {"lost": N}.
 * Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct line_queue {
    char *bytes;
    size_t start, len, size; /* what waits is at bytes + start */
    size_t max;
    uint64_t lost; /* since the reader was told last */
};

#define LINE_QUEUE(max_) ((struct line_queue){.max = (max_)})

/* A line without its end. */
void line_queue_add(struct line_queue *queue, const char *line, size_t len);
/* So many bytes of what waits were read. */
void line_queue_take(struct line_queue *queue, size_t n);
void line_queue_clear(struct line_queue *queue);
