/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What enforcing what is staged would change, for people. */
#include <string.h>

#include "cli/cli.h"
#include "util/duration.h"

#define SHOWN 30 /* rows of each table; JSON has all */
#define SECOND 1000000ull

/* "2026-11-21T08:14:12Z", whatever is behind the seconds. */
static char *time_text(const char *text)
{
    return xasprintf("%.19sZ", text ?: "?");
}

/* "no egress rule of its policies would allow it (shop.yaml:3)" */
static char *why_text(const json_t *row)
{
    const char *reason = cli_text_of(row, "reason"), *reference = cli_text_of(row, "reference");

    return xasprintf("%s%s%s%s", reason ?: "", reference ? " (" : "", reference ?: "", reference ? ")" : "");
}

static void add_row(struct cli_table *table, const json_t *row)
{
    bool allow = strcmp(cli_text_of(row, "change") ?: "", "allow") == 0;
    _cleanup_free_ char *count = xasprintf("%lld", cli_number_of(row, "count")),
                        *first = time_text(cli_text_of(row, "first")),
                        *last = time_text(cli_text_of(row, "last")), *why = why_text(row);

    cli_table_add(table, allow ? STYLE_GOOD : STYLE_BAD, allow ? "would pass" : "would be denied");
    cli_table_add(table, STYLE_HEAD, cli_text_of(row, "from"));
    cli_table_add(table, STYLE_HEAD, cli_text_of(row, "to"));
    cli_table_add(table, STYLE_NONE, cli_text_of(row, "port"));
    cli_table_add(table, STYLE_NONE, count);
    cli_table_add(table, STYLE_DIM, first);
    cli_table_add(table, STYLE_DIM, last);
    cli_table_add(table, STYLE_NONE, why);
}

static void print_rows(const json_t *rows, FILE *out, bool colour)
{
    static const char *const heads[] = {"CHANGE", "FROM", "TO", "PORT", "COUNT", "FIRST", "LAST", ""};
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(ARRAY_SIZE(heads));
    size_t n = json_array_size(rows);

    for (size_t h = 0; h < ARRAY_SIZE(heads); h++)
        cli_table_add(table, STYLE_DIM, heads[h]);
    for (size_t i = 0; i < n && i < SHOWN; i++)
        add_row(table, json_array_get(rows, i));
    cli_table_print(table, out, colour);
    if (n > SHOWN)
        cli_print_line(
            out, false, STYLE_NONE,
            xasprintf("  ... and %zu more: `cofferdam status --staged --json` has all", n - SHOWN));
}

/* One item: a policy, default_mode, or all at once. */
static void print_item(const json_t *item, char *head /* freed */, const char *watched, FILE *out,
                       bool colour)
{
    const json_t *rows = json_object_get(item, "rows");
    long long left_out = cli_number_of(item, "left_out");

    fputc('\n', out);
    cli_print_line(out, colour, STYLE_HEAD, head);
    if (json_array_size(rows) == 0)
        cli_print_line(out, false, STYLE_NONE,
                       xasprintf("  nothing seen yet that it would change, in %s of watching", watched));
    else
        print_rows(rows, out, colour);
    if (left_out > 0)
        cli_print_line(
            out, colour, STYLE_WARN,
            xasprintf("  %lld more that there was no room for, from those who made most", left_out));
}

static char *policy_head(const json_t *policy)
{
    long long n = cli_number_of(policy, "containers");

    return xasprintf("%s, enforced alone (%s:%lld, %lld container%s)", cli_text_of(policy, "name") ?: "?",
                     cli_text_of(policy, "file") ?: "?", cli_number_of(policy, "line"), n, n == 1 ? "" : "s");
}

void staged_print(const json_t *result, FILE *out, bool colour)
{
    const json_t *staged = json_object_get(result, "staged"), *policy;
    const json_t *policies = json_object_get(staged, "policies"),
                 *mode = json_object_get(staged, "default_mode");
    const char *error = cli_text_of(json_object_get(result, "log"), "error");
    _cleanup_free_ char *watched = duration_text((uint64_t)cli_number_of(staged, "seconds") * SECOND);
    size_t i;

    if (!json_is_object(staged)) {
        fputs("This daemon does not tell: it is of another version\n", out);
        return;
    }
    if (json_array_size(policies) == 0 && !json_is_object(mode)) {
        fputs("Nothing is staged: no policy has `mode: audit`, and default_mode is enforce\n", out);
        return;
    }
    cli_print_line(
        out, false, STYLE_NONE,
        xasprintf("Watched since %s (%s), when these policies came into force or the daemon was started",
                  cli_text_of(staged, "since") ?: "?", watched));
    if (error)
        cli_print_line(out, colour, STYLE_BAD, xasprintf("Not all is seen: %s", error));
    if (!json_is_true(json_object_get(staged, "watched")))
        cli_print_line(out, colour, STYLE_WARN, xstrdup("What is staged selects no running container"));
    print_item(json_object_get(staged, "all"), xstrdup("All that is staged, enforced at once"), watched, out,
               colour);
    json_array_foreach (policies, i, policy)
        print_item(policy, policy_head(policy), watched, out, colour);
    if (json_is_object(mode))
        print_item(mode, xstrdup("default_mode: enforce, alone"), watched, out, colour);
}
