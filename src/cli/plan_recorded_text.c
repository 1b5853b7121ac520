// SPDX-License-Identifier: GPL-2.0-or-later
/* What a plan says of recorded connections, as a person wants it. All names may be a stranger's. */
#include <string.h>

#include "cli/cli.h"
#include "util/text.h"

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key)) ?: "?";
}

/* The texts with something between them. The caller frees it. */
static char *joined(const json_t *list, const char *key, const char *between)
{
    char *text = NULL;
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        char *longer = xasprintf("%s%s%s", text ?: "", text ? between : "",
                                 json_string_value(key ? json_object_get(item, key) : item) ?: "?");

        free(text);
        text = longer;
    }
    return text ?: xstrdup("");
}

/* "203.0.113.7 and 41 more", where it is outside. */
static char *end_text(const json_t *line, const char *key)
{
    const char *name = text_of(line, key);
    long long n = cli_number_of(line, "n_addresses");
    const char *first = json_string_value(json_array_get(json_object_get(line, "addresses"), 0));

    if (strcmp(name, "outside") != 0 || !first)
        return xstrdup(name);
    return n > 1 ? xasprintf("%s and %lld more", first, n - 1) : xstrdup(first);
}

/* "1204 connections, last 2026-11-20T15:04:05Z" */
static char *times_text(const json_t *line, const char *what)
{
    long long n = cli_number_of(line, "count");

    return xasprintf("%lld %s%s, last %s", n, what, n == 1 ? "" : "s", text_of(line, "last"));
}

static void add_ends(struct cli_table *table, const json_t *line)
{
    _cleanup_free_ char *from = end_text(line, "from"), *to = end_text(line, "to");
    _cleanup_free_ char *ends = xasprintf("%s -> %s", from, to);

    cli_table_add(table, STYLE_NONE, ends);
    cli_table_add(table, STYLE_NONE, text_of(line, "port"));
}

static void add_lines(struct cli_table *table, const json_t *lines, bool denied)
{
    const json_t *line;
    size_t i;

    json_array_foreach (lines, i, line) {
        bool already = strcmp(text_of(line, "in_force"), denied ? "denied" : "allowed") == 0;
        _cleanup_free_ char *times = times_text(line, denied ? "connection" : "packet"),
                            *causes = joined(json_object_get(line, "causes"), "text", "; ");
        _cleanup_free_ char *why =
            xasprintf("%s%s", causes, already ? " (as with the policies in force)" : "");

        cli_table_add(table, denied ? STYLE_BAD : STYLE_GOOD, denied ? "-" : "+");
        add_ends(table, line);
        cli_table_add(table, STYLE_DIM, times);
        cli_table_add(table, STYLE_NONE, why);
    }
}

static void print_unsure(const json_t *lines, FILE *out, bool colour)
{
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(5);
    const json_t *line;
    size_t i;

    if (json_array_size(lines) == 0)
        return;
    json_array_foreach (lines, i, line) {
        bool passed = strcmp(text_of(line, "recorded"), "allowed") == 0;
        _cleanup_free_ char *times = times_text(line, passed ? "connection" : "packet"),
                            *why = xasprintf("%s is gone", text_of(line, "gone"));

        cli_table_add(table, STYLE_WARN, "?");
        add_ends(table, line);
        cli_table_add(table, STYLE_DIM, times);
        cli_table_add(table, STYLE_NONE, why);
    }
    cli_table_print(table, out, colour);
    cli_print_line(out, colour, STYLE_DIM,
                   xstrdup("  ?: of who is gone, the log does not have the labels that policies ask for"));
}

static void print_head(const json_t *recorded, FILE *out, bool colour)
{
    _cleanup_free_ char *sources = joined(json_object_get(recorded, "sources"), NULL, ", ");
    const char *first = json_string_value(json_object_get(recorded, "first"));

    fputc('\n', out);
    if (first)
        cli_print_line(
            out, colour, STYLE_HEAD,
            xasprintf("Recorded connections (%s to %s, %s)", first, text_of(recorded, "last"), sources));
    else
        cli_print_line(
            out, colour, STYLE_HEAD,
            xasprintf("Recorded connections: none since %s in %s", text_of(recorded, "since"), sources));
}

/* A number of what is not in the lists. */
static void add_count(char **text, long long n, const char *what)
{
    char *longer = n ? xasprintf("%s%s%lld %s", *text ?: "", *text ? ", " : "", n, what) : NULL;

    if (!longer)
        return;
    free(*text);
    *text = longer;
}

static void print_counts(const json_t *recorded, FILE *out, bool colour)
{
    const json_t *records = json_object_get(recorded, "records");
    _cleanup_free_ char *text = NULL;

    add_count(&text, cli_number_of(recorded, "unchanged"), "as they were");
    add_count(&text, cli_number_of(records, "other"), "denied whatever policies say");
    add_count(&text, cli_number_of(records, "left_out"), "left out, as there are too many different ones");
    add_count(&text, cli_number_of(records, "damaged"), "lines that are no records");
    if (text)
        cli_print_line(out, colour, STYLE_DIM, xasprintf("  %s", text));
}

/* What is not recorded cannot be judged, and nobody shall think that it was. */
static void print_blind_spot(const json_t *recorded, FILE *out, bool colour)
{
    if (cli_number_of(json_object_get(recorded, "records"), "allowed") > 0)
        return;
    cli_print_line(
        out, colour, STYLE_WARN,
        xstrdup("  No connection that passed is recorded: which of them would be denied is not known.\n"
                "  The log has them once the settings say log: {allowed: on}"));
}

void plan_print_recorded(const json_t *recorded, FILE *out, bool colour)
{
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(5);

    if (!json_is_object(recorded))
        return;
    print_head(recorded, out, colour);
    add_lines(table, json_object_get(recorded, "denied"), true);
    add_lines(table, json_object_get(recorded, "allowed"), false);
    cli_table_print(table, out, colour);
    print_unsure(json_object_get(recorded, "not_judged"), out, colour);
    print_counts(recorded, out, colour);
    print_blind_spot(recorded, out, colour);
}
