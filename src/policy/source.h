/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One file's bytes on their way through the parser, and the list of what is wrong with them.
 *
 * Everything that is reported about a file goes through report_error() and report_warning(), which add the
 * source line, keep to the limit of errors in a run, and sort by place in the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/codes.h"
#include "util/diag.h"
#include "util/text.h"

#define ERRORS_MAX 100   /* in one run */
#define WARNINGS_MAX 100 /* of one file */

struct source {
    const char *file;  /* borrowed: the name shown */
    const char *bytes; /* borrowed, without a byte order mark */
    size_t len;
    size_t *lines; /* where each line begins */
    size_t n_lines;
    struct diags found;    /* of this file */
    struct diags overflow; /* takes what is over the limit; never shown */
    size_t errors_left;
    bool too_many;
};

/* What is reported from now on counts against what diags has left of ERRORS_MAX. */
void source_init(struct source *source, const char *file, const char *bytes, size_t len,
                 const struct diags *diags);
void source_clear(struct source *source);

/*
 * Is every byte something that may stand in a policy file? Reports size, encoding, control and invisible
 * characters. 0 or -EBADMSG: then the bytes are not to be parsed.
 */
int source_check(struct source *source);

/* Moves what was found to the end of diags, sorted by place. 0, or -EBADMSG when errors were among it. */
int source_finish(struct source *source, struct diags *diags);

/* The next line after `line` (counted from 1) that begins a document ("---"); 0: there is none. */
size_t source_next_document(const struct source *source, size_t line);

/* Characters in the line, counted from 1; 0 when there is no such line. */
unsigned source_line_width(const struct source *source, unsigned line);

/* The diagnostic is valid until the next report. pos->file is not looked at. */
struct diag *report_error(struct source *source, enum policy_code code, const struct source_pos *pos,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));
struct diag *report_warning(struct source *source, enum policy_code code, const struct source_pos *pos,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

enum char_class {
    CHAR_PRINTABLE, /* line breaks and tabs included */
    CHAR_CONTROL,
    CHAR_INVISIBLE, /* changes the direction of text, or is not seen at all */
};

enum char_class char_classify(uint32_t character);
