// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/diag.h"

#include <ctype.h>
#include <string.h>

#define RED "\033[1;31m"
#define YELLOW "\033[1;33m"
#define CYAN "\033[1;36m"
#define BOLD "\033[1m"
#define RESET "\033[0m"

const char *diag_level_name(enum diag_level level)
{
    switch (level) {
    case DIAG_ERROR:
        return "error";
    case DIAG_WARNING:
        return "warning";
    case DIAG_NOTE:
        return "note";
    }
    return "?";
}

struct diag *diag_add(struct diags *diags, enum diag_level level, const char *code,
                      const struct source_pos *pos, const char *format, ...)
{
    struct diag *diag = ARRAY_ADD(diags->v, diags->n);
    va_list args;

    diag->level = level;
    diag->code = xstrdup_null(code);
    if (pos) {
        diag->file = xstrdup_null(pos->file);
        diag->line = pos->line;
        diag->column = pos->column;
        diag->width = pos->width ? pos->width : 1;
    }
    va_start(args, format);
    diag->message = xvasprintf(format, args);
    va_end(args);
    if (level == DIAG_ERROR)
        diags->n_errors++;
    return diag;
}

void diag_help(struct diag *diag, const char *format, ...)
{
    va_list args;

    free(diag->help);
    va_start(args, format);
    diag->help = xvasprintf(format, args);
    va_end(args);
}

void diag_other(struct diag *diag, const struct source_pos *pos, const char *message)
{
    free(diag->other_file);
    free(diag->other_message);
    diag->other_file = xstrdup_null(pos->file);
    diag->other_line = pos->line;
    diag->other_column = pos->column;
    diag->other_message = xstrdup(message);
}

void diag_source_line(struct diag *diag, const char *line, size_t len)
{
    free(diag->source_line);
    diag->source_line = xstrndup(line, len);
}

static void diag_clear(struct diag *diag)
{
    free(diag->code);
    free(diag->file);
    free(diag->message);
    free(diag->help);
    free(diag->source_line);
    free(diag->other_file);
    free(diag->other_message);
}

void diags_clear(struct diags *diags)
{
    for (size_t i = 0; i < diags->n; i++)
        diag_clear(&diags->v[i]);
    free(diags->v);
    *diags = (struct diags){0};
}

void diags_move(struct diags *to, struct diags *from)
{
    for (size_t i = 0; i < from->n; i++)
        *ARRAY_ADD(to->v, to->n) = from->v[i];
    to->n_errors += from->n_errors;
    free(from->v);
    *from = (struct diags){0};
}

static bool comes_before(const struct diag *a, const struct diag *b)
{
    int files = strcmp(a->file ? a->file : "", b->file ? b->file : "");

    if (files)
        return files < 0;
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

/* By insertion: they are few, and mostly in order already. */
void diags_sort(struct diags *diags)
{
    for (size_t i = 1; i < diags->n; i++) {
        struct diag moved = diags->v[i];
        size_t at = i;

        for (; at > 0 && comes_before(&moved, &diags->v[at - 1]); at--)
            diags->v[at] = diags->v[at - 1];
        diags->v[at] = moved;
    }
}

/* Texts may quote what a stranger wrote (a container's name, a line of a file): nothing of it may steer a
 * terminal. */
static void print_escaped(const char *text, FILE *out)
{
    for (const char *c = text; *c; c++) {
        if (iscntrl((unsigned char)*c) && *c != '\n')
            fprintf(out, "\\x%02x", (unsigned char)*c);
        else
            fputc(*c, out);
    }
}

static void print_place(const char *file, unsigned line, unsigned column, FILE *out)
{
    if (!file)
        return;
    print_escaped(file, out);
    if (line)
        fprintf(out, ":%u:%u", line, column);
    fputs(": ", out);
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* The source line and a caret under the text meant. Tabs are printed as one blank, so that the columns agree.
 */
static void print_source(const struct diag *diag, FILE *out, bool colour)
{
    unsigned column = 1;

    fputs("    ", out);
    for (const char *c = diag->source_line; *c; c++)
        fputc(iscntrl((unsigned char)*c) ? ' ' : *c, out);
    fputs("\n    ", out);
    for (const char *c = diag->source_line; *c && column < diag->column; c++) {
        if (!is_continuation(*c))
            column++;
        if (!is_continuation(*c))
            fputc(' ', out);
    }
    fputs(colour ? CYAN : "", out);
    for (unsigned i = 0; i < diag->width; i++)
        fputc('^', out);
    fputs(colour ? RESET : "", out);
    fputc('\n', out);
}

static const char *level_colour(enum diag_level level)
{
    switch (level) {
    case DIAG_ERROR:
        return RED;
    case DIAG_WARNING:
        return YELLOW;
    case DIAG_NOTE:
        return CYAN;
    }
    return "";
}

static void diag_print(const struct diag *diag, FILE *out, bool colour)
{
    fputs(colour ? BOLD : "", out);
    print_place(diag->file, diag->line, diag->column, out);
    fputs(colour ? level_colour(diag->level) : "", out);
    fputs(diag_level_name(diag->level), out);
    if (diag->code)
        fprintf(out, "[%s]", diag->code);
    fputs(colour ? RESET : "", out);
    fputs(": ", out);
    print_escaped(diag->message, out);
    fputc('\n', out);
    if (diag->source_line && diag->line)
        print_source(diag, out, colour);
    if (diag->other_message) {
        fputs("  ", out);
        print_place(diag->other_file, diag->other_line, diag->other_column, out);
        fputs("note: ", out);
        print_escaped(diag->other_message, out);
        fputc('\n', out);
    }
    if (diag->help) {
        fputs("  help: ", out);
        print_escaped(diag->help, out);
        fputc('\n', out);
    }
}

void diags_print(const struct diags *diags, FILE *out, bool colour)
{
    for (size_t i = 0; i < diags->n; i++)
        diag_print(&diags->v[i], out, colour);
}
