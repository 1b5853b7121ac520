/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of `cofferdam watch`: what is printed, and what the log's files hold. */
#pragma once

#include "cli/cli.h"
#include "util/diag.h"
#include "watch/filter.h"
#include "watch/record.h"

/* ---- watch_print.c -------------------------------------------------------------------------------------- */

struct watch_out {
    FILE *out;
    bool json;                                   /* the records as they are, a line each */
    bool aligned;                                /* on a terminal */
    bool colour, dated;                          /* dated: the day in front of the time */
    size_t from_width, to_width, protocol_width; /* of what was printed until now */
    uint64_t n[RECORD_VERDICTS], lost;
};

void watch_out_init(struct watch_out *out, bool json, bool dated, FILE *stream);
/* ended: with the time of its end. */
void watch_print(struct watch_out *out, const json_t *record, bool ended);
/* What was seen, on stderr. */
void watch_print_sum(const struct watch_out *out);

/* ---- watch_past.c --------------------------------------------------------------------------------------- */

#define WATCH_LAST_MAX 100000

struct watch_past {
    uint64_t since,
        until;   /* microseconds since 1970; what ended before or began after is left out; 0: no such limit */
    size_t last; /* only the last so many; 0: all */
    const struct watch_filter *filter;
};

/* The file at path and, before it, the one that was rotated last. 0, or a negative errno, and it was said what is wrong. */
int watch_past_log(const struct watch_past *past, const char *path, struct watch_out *out);
/* A file alone; - is the standard input. */
int watch_past_file(const struct watch_past *past, const char *path, struct watch_out *out);
