/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the verbs print with: escaping, colour, tables.
 */
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/text.h"

bool cli_colour(FILE *stream)
{
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

    return (!no_colour || !*no_colour) && (!term || strcmp(term, "dumb") != 0) && isatty(fileno(stream));
}

/* Columns on the terminal, near enough: one per character. */
static size_t width(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

void cli_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    _cleanup_free_ char *escaped = text_escape(message, true);
    fprintf(stderr, "cofferdam: %s\n", escaped);
}

void cli_print_json(json_t *json)
{
    json_t *document = json_pack("{s:s}", "format_version", "1.0");

    json_object_update(document, json);
    json_dumpf(document, stdout, JSON_INDENT(2));
    fputc('\n', stdout);
    json_decref(document);
}

/* ---- colour and tables -------------------------------------------------------------------------------- */

static const char *style_code(enum cli_style style)
{
    switch (style) {
    case STYLE_NONE:
        return "";
    case STYLE_HEAD:
        return "\033[1m";
    case STYLE_GOOD:
        return "\033[32m";
    case STYLE_BAD:
        return "\033[1;31m";
    case STYLE_WARN:
        return "\033[33m";
    case STYLE_DIM:
        return "\033[2m";
    }
    return "";
}

/* text is escaped already */
static void put_styled(FILE *out, bool colour, enum cli_style style, const char *text)
{
    bool coloured = colour && style != STYLE_NONE && *text;
    fprintf(out, "%s%s%s", coloured ? style_code(style) : "", text, coloured ? "\033[0m" : "");
}

void cli_print_styled(FILE *out, bool colour, enum cli_style style, const char *text)
{
    _cleanup_free_ char *escaped = text_escape(text, true);
    put_styled(out, colour, style, escaped);
}

void cli_print_line(FILE *out, bool colour, enum cli_style style, char *text)
{
    cli_print_styled(out, colour, style, text);
    fputc('\n', out);
    free(text);
}

const char *cli_text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

long long cli_number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

size_t cli_print_cell(FILE *out, bool colour, enum cli_style style, const char *text, size_t columns)
{
    _cleanup_free_ char *escaped = text_escape(text, false);
    size_t used = width(escaped);

    put_styled(out, colour, style, escaped);
    if (used < columns)
        fprintf(out, "%*s", (int)(columns - used), "");
    return used;
}

struct cell {
    char *text;
    enum cli_style style;
};

struct cli_table {
    size_t n_columns;
    struct cell *cells;
    size_t n_cells;
};

struct cli_table *cli_table_new(size_t n_columns)
{
    struct cli_table *table = xnew(struct cli_table);
    table->n_columns = n_columns;
    return table;
}

struct cli_table *cli_table_free(struct cli_table *table)
{
    if (!table)
        return NULL;
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(table);
    return NULL;
}

void cli_table_add(struct cli_table *table, enum cli_style style, const char *text)
{
    *ARRAY_ADD(table->cells, table->n_cells) = (struct cell){text_escape(text ?: "", false), style};
}

static size_t column_width(const struct cli_table *table, size_t column)
{
    size_t widest = 0;

    for (size_t i = column; i < table->n_cells; i += table->n_columns)
        if (width(table->cells[i].text) > widest)
            widest = width(table->cells[i].text);
    return widest;
}

/* Is there anything in this row after this cell? */
static bool more_in_row(const struct cli_table *table, size_t cell)
{
    for (size_t i = cell + 1; i < table->n_cells && i % table->n_columns != 0; i++)
        if (*table->cells[i].text)
            return true;
    return false;
}

void cli_table_print(const struct cli_table *table, FILE *out, bool colour)
{
    _cleanup_free_ size_t *widths = xcalloc(table->n_columns, sizeof(size_t));

    for (size_t i = 0; i < table->n_columns; i++)
        widths[i] = column_width(table, i);
    for (size_t i = 0; i < table->n_cells; i++) {
        const struct cell *cell = &table->cells[i];
        size_t column = i % table->n_columns;
        if (column == 0)
            fputs("  ", out);
        put_styled(out, colour, cell->style, cell->text);
        if (more_in_row(table, i))
            fprintf(out, "%*s", (int)(widths[column] - width(cell->text) + (widths[column] ? 2 : 0)), "");
        if (column + 1 == table->n_columns || i + 1 == table->n_cells)
            fputc('\n', out);
    }
}
