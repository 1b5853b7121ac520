/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `cofferdam verify`: what the kernel holds against what it should hold. All texts of the answer may be an attacker's,
 * as they are read from the kernel's tables.
 */
#include <string.h>

#include "cli/cli.h"

struct mark {
    const char *what, *sign;
    enum cli_style style;
};

static const struct mark *mark_of(const json_t *difference)
{
    static const struct mark marks[] = {{"foreign", "+", STYLE_BAD},
                                        {"missing", "-", STYLE_BAD},
                                        {"different", "~", STYLE_WARN},
                                        {NULL, "?", STYLE_BAD}};
    const char *what = cli_text_of(difference, "what");
    size_t i = 0;

    while (marks[i].what && !(what && strcmp(marks[i].what, what) == 0))
        i++;
    return &marks[i];
}

static void print_differences(const json_t *differences, FILE *out, bool colour)
{
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(5);
    const json_t *difference;
    size_t i;

    json_array_foreach (differences, i, difference) {
        const struct mark *mark = mark_of(difference);
        cli_table_add(table, mark->style, mark->sign);
        cli_table_add(table, STYLE_NONE, cli_text_of(difference, "table"));
        cli_table_add(table, STYLE_NONE, cli_text_of(difference, "kind"));
        cli_table_add(table, STYLE_HEAD, cli_text_of(difference, "name"));
        cli_table_add(table, STYLE_NONE, cli_text_of(difference, "text"));
    }
    cli_table_print(table, out, colour);
}

/* The caller frees it. n 0: the answer does not say what differs. */
static char *drift_text(long long n, bool repairing)
{
    const char *plural = n == 1 ? "" : "s", *them = n == 1 ? "it" : "them";

    if (n <= 0)
        return xstrdup("DRIFT: the kernel does not hold what it should");
    if (repairing)
        return xasprintf("DRIFT: %lld difference%s; the daemon is repairing %s", n, plural, them);
    return xasprintf("DRIFT: %lld difference%s; the daemon is not repairing %s: see `cofferdam status`", n,
                     plural, them);
}

static void print_drift(const json_t *result, FILE *out, bool colour)
{
    const json_t *differences = json_object_get(result, "differences");
    long long more = cli_number_of(result, "more"), n = (long long)json_array_size(differences) + more;

    cli_print_line(out, colour, STYLE_BAD, drift_text(n, json_is_true(json_object_get(result, "repairing"))));
    print_differences(differences, out, colour);
    if (more > 0)
        cli_print_line(out, colour, STYLE_DIM, xasprintf("  and %lld more", more));
}

/* Every key must say so: what is not understood counts as a difference. */
static bool is_well(const json_t *result)
{
    const json_t *differences = json_object_get(result, "differences");

    return json_is_true(json_object_get(result, "same")) && json_is_array(differences) &&
           json_array_size(differences) == 0 && cli_number_of(result, "more") == 0;
}

void verify_print(const json_t *result, int exit_status, FILE *out, bool colour)
{
    if (exit_status == STATUS_OK && is_well(result))
        cli_print_line(out, colour, STYLE_GOOD,
                       xasprintf("the kernel holds what it should: 2 tables, %lld objects",
                                 cli_number_of(result, "objects")));
    else
        print_drift(result, out, colour);
}

static const struct cli_verb verb = {
    .name = "verify",
    .arguments = "",
    .takes = TAKES_CONTROL,
    .about =
        "Reads both of Cofferdam's tables back from the kernel and compares them, object by object, with what the\n"
        "policies and containers of this moment make: tables, chains, rules, sets and their elements. What is\n"
        "not understood counts as a difference. Nothing is changed by asking; the daemon repairs by itself.\n"
        "\n"
        "Each difference is a line:  + is there and should not be,  - is missing,  ~ is not as it should be.\n",
    .examples = "Examples:\n"
                "  cofferdam verify\n"
                "  cofferdam verify --json | jq -r '.differences[] | .what + \" \" + .kind + \" \" + .name'\n"
                "\n"
                "Exit status: 0 the kernel holds what it should, 3 it does not, 1 error, 64 wrong usage.\n",
    .is_well = is_well,
};

static void print(const struct cli_options *options, const json_t *result, int exit_status)
{
    (void)options;
    verify_print(result, exit_status, stdout, cli_colour(stdout));
}

int cli_verify(int argc, char **argv)
{
    return cli_ask(&verb, argc, argv, NULL, print);
}
