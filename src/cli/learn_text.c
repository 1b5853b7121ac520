/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `cofferdam learn` answers, for people. */
#include "cli/cli.h"
#include "util/duration.h"
#include "util/text.h"

static char *span_of(const json_t *object, const char *key)
{
    return duration_text((uint64_t)json_integer_value(json_object_get(object, key)) * 1000000);
}

static void add_learning(struct cli_table *table, const json_t *learning)
{
    _cleanup_free_ char *watched = span_of(learning, "watched_seconds");
    _cleanup_free_ char *quiet = span_of(learning, "nothing_new_seconds");
    _cleanup_free_ char *kinds =
        xasprintf("%lld", (long long)json_integer_value(json_object_get(learning, "kinds")));
    const char *ended = cli_text_of(learning, "ended"), *until = cli_text_of(learning, "until");
    _cleanup_free_ char *state = ended   ? xasprintf("ended %s", ended)
                                 : until ? xasprintf("until %s", until)
                                         : xstrdup("until it is stopped");
    enum cli_style style = ended ? STYLE_DIM : STYLE_NONE;

    cli_table_add(table, style, cli_text_of(learning, "title"));
    cli_table_add(table, style, watched);
    cli_table_add(table, style, kinds);
    cli_table_add(table, style, quiet);
    cli_table_add(table, style, state);
    cli_table_add(table, style, cli_text_of(learning, "by"));
}

static void print_list(const json_t *learnings, FILE *out, bool colour)
{
    static const char *const heads[] = {"WATCHED", "FOR", "KINDS", "NOTHING NEW FOR", "STATE", "BY"};
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(ARRAY_SIZE(heads));
    const json_t *item;
    size_t i;

    if (json_array_size(learnings) == 0) {
        fputs("Nobody is watched.\n", out);
        return;
    }
    for (i = 0; i < ARRAY_SIZE(heads); i++)
        cli_table_add(table, STYLE_HEAD, heads[i]);
    json_array_foreach (learnings, i, item)
        add_learning(table, item);
    cli_table_print(table, out, colour);
}

/* Whoever pipes it into patch(1) does no harm: that passes over what stands before a diff. */
static void print_update(const json_t *result, FILE *out)
{
    const json_t *update = json_object_get(result, "update"), *item;
    _cleanup_free_ char *watched = span_of(json_object_get(result, "learning"), "watched_seconds");
    _cleanup_free_ char *diff = text_escape(cli_text_of(update, "diff") ?: "", true);
    size_t i;

    fprintf(out, "# Watched for %s.\n", watched);
    json_array_foreach (json_object_get(update, "missing"), i, item) {
        _cleanup_free_ char *safe = text_escape(json_string_value(item) ?: "?", false);
        fprintf(out, "# Not allowed: %s\n", safe);
    }
    json_array_foreach (json_object_get(update, "unused"), i, item) {
        _cleanup_free_ char *safe = text_escape(json_string_value(item) ?: "?", false);
        fprintf(out, "# Not used since: %s\n", safe);
    }
    fputs(*diff ? diff : "# Nothing is to be changed.\n", out);
}

void learn_print(const json_t *result, const char *output, FILE *out, bool colour)
{
    const char *policy = cli_text_of(result, "policy");
    const json_t *learnings = json_object_get(result, "learnings");

    if (learnings) {
        print_list(learnings, out, colour);
    } else if (json_object_get(result, "update") && !output) {
        print_update(result, out);
    } else if (policy && output) {
        _cleanup_free_ char *coverage = text_escape(cli_text_of(result, "coverage") ?: "", false);
        _cleanup_free_ char *path = text_escape(output, false);

        fprintf(out, "%s is written: %s.\n", path, coverage);
    } else {
        _cleanup_free_ char *safe = text_escape(policy ?: cli_text_of(result, "text") ?: "done", true);

        fprintf(out, "%s%s", safe, policy ? "" : "\n");
    }
}

void learn_print_problems(const json_t *result, FILE *out, bool colour)
{
    const json_t *item, *problems = json_object_get(result, "problems");
    size_t i;

    json_array_foreach (problems, i, item) {
        _cleanup_free_ char *safe = text_escape(json_string_value(item) ?: "?", false);
        _cleanup_free_ char *line = xasprintf("warning: %s", safe);

        cli_print_styled(out, colour, STYLE_WARN, line);
        fputc('\n', out);
    }
}
