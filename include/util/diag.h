/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Diagnostics: what a person must read. Functions collect them in a list handed in by the caller; only the
 * edge (a CLI verb, the daemon's log) prints them, once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "util/mem.h"

enum diag_level { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE };

/* A place in a file. line and column count from 1, columns in characters (not bytes); line 0 means "the
 * file". */
struct source_pos {
    const char *file; /* borrowed; NULL when there is no file */
    unsigned line, column;
    unsigned width; /* of the text meant, in characters; at least 1 */
};

struct diag {
    enum diag_level level;
    char *code; /* stable: "C012"; NULL where none is documented */
    char *file; /* NULL when the message is about no file */
    unsigned line, column, width;
    char *message;     /* what is wrong, one line, no full stop */
    char *help;        /* what would be right; may be NULL */
    char *source_line; /* the line of the file, without its end; may be NULL */
    char *other_file;  /* a second place that belongs to it ("first defined here"); may be NULL */
    unsigned other_line, other_column;
    char *other_message;
};

struct diags {
    struct diag *v;
    size_t n;
    size_t n_errors;
};

/*
 * Appends a diagnostic and returns it, valid until the next call, so that the caller can add help or a second
 * place with the functions below. The texts are copied. code and pos may be NULL.
 */
struct diag *diag_add(struct diags *diags, enum diag_level level, const char *code,
                      const struct source_pos *pos, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void diag_help(struct diag *diag, const char *format, ...) __attribute__((format(printf, 2, 3)));
void diag_other(struct diag *diag, const struct source_pos *pos, const char *message);
void diag_source_line(struct diag *diag, const char *line, size_t len);

/* Moves everything from one list to the end of another; from is left empty. */
void diags_move(struct diags *to, struct diags *from);
/* By file, line and column; those of one place stay as they came. */
void diags_sort(struct diags *diags);
/* Frees what the list holds, not the list itself; it can be used again. */
void diags_clear(struct diags *diags);

/*
 * Prints the list as a compiler would: "file:line:column: error[C012]: message", the source line, a caret,
 * help. With colour set, ANSI colours mark level and caret. Control characters in texts are printed escaped.
 */
void diags_print(const struct diags *diags, FILE *out, bool colour);

const char *diag_level_name(enum diag_level level);

#define _cleanup_diags_ _cleanup_(diags_clear)
