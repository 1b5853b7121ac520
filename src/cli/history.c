/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `cofferdam history`: the policies that were in force, and what was said of them. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "cli/cli.h"
#include "inventory/json.h"
#include "util/duration.h"
#include "util/text.h"

static const struct cli_verb verb = {
    .name = "history",
    .arguments = "[N]",
    .takes = TAKES_CONTROL,
    .max_args = 1,
    .about =
        "Lists the policy sets that were in force, the newest first: when, by whom, why, and how many policies\n"
        "were added (+), changed (~) and removed (-). The one in force is marked (*). With N it prints all that is\n"
        "known of that number, and the text of its files.\n"
        "\n"
        "What each came by: apply; reload (SIGHUP); start (of the daemon); trial (apply --confirm-within), and then\n"
        "confirm, or expired (nobody confirmed it: the policies before it came back); rollback.\n",
    .examples = "Examples:\n"
                "  cofferdam history\n"
                "  cofferdam history 7                                    number 7, with its files\n"
                "  cofferdam history 7 --json | jq -r '.entry.files[0].text' > shop.yaml    put a file back\n"
                "\n"
                "Exit status: 0 printed, 1 error, such as no such number, 64 wrong usage.\n",
};

/* ---- arguments that verbs of the history share -------------------------------------------------------- */

static int wrong_usage(const struct cli_verb *asked, const char *value, const char *why)
{
    cli_error("%s: '%s' %s\nsee cofferdam %s --help", asked->name, value, why, asked->name);
    return STATUS_USAGE;
}

int cli_fill_number(const struct cli_verb *asked, const struct cli_options *options, json_t *request)
{
    const char *text = options->n_args ? options->args[0] : NULL;
    char *end = NULL;
    unsigned long long number;

    if (!text)
        return STATUS_OK;
    errno = 0;
    number = strtoull(text + (*text == '#'), &end, 10);
    if (errno || *end || !strchr("0123456789", text[*text == '#']) || number < 1 || number > UINT32_MAX)
        return wrong_usage(asked, text, "is no number of the history");
    json_object_set_new(request, "number", json_integer((json_int_t)number));
    return STATUS_OK;
}

static int fill_span(const struct cli_verb *asked, const char *key, const char *text, json_t *request)
{
    uint64_t span;

    if (!text)
        return STATUS_OK;
    if (duration_parse(text, &span) < 0)
        return wrong_usage(asked, text, "is no span of time; write it as 60s, 5m or 1h30m");
    json_object_set_new(request, key, json_text_or_null(text));
    return STATUS_OK;
}

int cli_fill_change(const struct cli_verb *asked, const struct cli_options *options, json_t *request)
{
    int status = fill_span(asked, "confirm_within", options->confirm_within, request);

    if (status == STATUS_OK)
        status = fill_span(asked, "extend", options->extend, request);
    if (status != STATUS_OK || !options->comment)
        return status;
    if (json_object_set_new(request, "comment", json_string(options->comment)) < 0)
        return wrong_usage(asked, options->comment, "is no UTF-8");
    return STATUS_OK;
}

/* ---- printing ----------------------------------------------------------------------------------------- */

/* "trial of #5"; the caller frees it. */
static char *kind_text(const json_t *entry)
{
    const char *kind = cli_text_of(entry, "kind") ?: "?";
    long long from = cli_number_of(entry, "from");

    return from ? xasprintf("%s to #%lld", kind, from) : xstrdup(kind);
}

/* "+1 ~2 -0"; "-" where it is not known. The caller frees it. */
static char *numbers_text(const json_t *entry)
{
    if (!json_is_integer(json_object_get(entry, "added")))
        return xstrdup("-");
    return xasprintf("+%lld ~%lld -%lld", cli_number_of(entry, "added"), cli_number_of(entry, "changed"),
                     cli_number_of(entry, "removed"));
}

static void add_entry(struct cli_table *table, const json_t *entry)
{
    bool in_force = json_is_true(json_object_get(entry, "in_force")),
         damaged = json_is_true(json_object_get(entry, "damaged"));
    _cleanup_free_ char *number = xasprintf("%lld", cli_number_of(entry, "number"));
    _cleanup_free_ char *kind = damaged ? xstrdup("damaged") : kind_text(entry),
                        *numbers = damaged ? NULL : numbers_text(entry);

    cli_table_add(table, STYLE_GOOD, in_force ? "*" : "");
    cli_table_add(table, STYLE_HEAD, number);
    cli_table_add(table, STYLE_NONE, cli_text_of(entry, "time"));
    cli_table_add(table, damaged ? STYLE_BAD : STYLE_NONE, kind);
    cli_table_add(table, STYLE_NONE, cli_text_of(entry, "by"));
    cli_table_add(table, STYLE_NONE, numbers);
    cli_table_add(table, STYLE_NONE, cli_text_of(entry, "comment"));
}

static void print_list(const json_t *entries, FILE *out, bool colour)
{
    static const char *const heads[] = {"", "NUMBER", "WHEN", "WHAT", "WHO", "POLICIES", "COMMENT"};
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(ARRAY_SIZE(heads));
    const json_t *entry;
    size_t i;

    if (json_array_size(entries) == 0) {
        fputs("the history is empty\n", out);
        return;
    }
    for (i = 0; i < ARRAY_SIZE(heads); i++)
        cli_table_add(table, STYLE_DIM, heads[i]);
    json_array_foreach (entries, i, entry)
        add_entry(table, entry);
    cli_table_print(table, out, colour);
}

static void print_line(FILE *out, const char *name, const char *text)
{
    _cleanup_free_ char *safe = text_escape(text ?: "-", false);

    fprintf(out, "%-10s %s\n", name, safe);
}

static void print_who(const json_t *entry, FILE *out)
{
    const json_t *who = json_object_get(entry, "who");
    _cleanup_free_ char *process = NULL;

    print_line(out, "who", cli_text_of(entry, "by"));
    if (!json_is_object(who))
        return;
    process = xasprintf("%lld: %s", cli_number_of(who, "pid"), cli_text_of(who, "command") ?: "?");
    print_line(out, "process", process);
}

static void print_entry(const json_t *entry, FILE *out, bool colour)
{
    const json_t *files = json_object_get(entry, "files"), *file;
    _cleanup_free_ char *number =
        xasprintf("%lld%s", cli_number_of(entry, "number"),
                  json_is_true(json_object_get(entry, "in_force")) ? ", in force" : "");
    _cleanup_free_ char *kind = kind_text(entry), *numbers = numbers_text(entry);
    _cleanup_free_ char *policies = xasprintf("%lld (%s)", cli_number_of(entry, "policies"), numbers);
    size_t i;

    print_line(out, "number", number);
    print_line(out, "when", cli_text_of(entry, "time"));
    print_line(out, "what", kind);
    print_who(entry, out);
    print_line(out, "comment", cli_text_of(entry, "comment"));
    if (cli_text_of(entry, "plan_id"))
        print_line(out, "plan", cli_text_of(entry, "plan_id"));
    if (cli_number_of(entry, "forced")) {
        _cleanup_free_ char *forced =
            xasprintf("%lld failed expectations were overridden", cli_number_of(entry, "forced"));
        print_line(out, "forced", forced);
    }
    print_line(out, "policies", policies);
    if (!json_is_array(files))
        fputs("\nNo files: none could be read, and everything was denied.\n", out);
    json_array_foreach (files, i, file) {
        _cleanup_free_ char *head = xasprintf("# %s", cli_text_of(file, "path") ?: "?"),
                            *text = text_escape(cli_text_of(file, "text") ?: "", true);
        fputc('\n', out);
        cli_print_styled(out, colour, STYLE_HEAD, head);
        fprintf(out, "\n%s%s", text, *text && text[strlen(text) - 1] != '\n' ? "\n" : "");
    }
}

void history_print(const json_t *result, FILE *out, bool colour)
{
    const json_t *entry = json_object_get(result, "entry");

    if (json_is_object(entry))
        print_entry(entry, out, colour);
    else
        print_list(json_object_get(result, "entries"), out, colour);
}

static void print(const struct cli_options *options, const json_t *result, int exit_status)
{
    (void)options, (void)exit_status;
    history_print(result, stdout, cli_colour(stdout));
}

static int fill(const struct cli_options *options, const struct settings *settings, json_t *request)
{
    (void)settings;
    return cli_fill_number(&verb, options, request);
}

int cli_history(int argc, char **argv)
{
    return cli_ask(&verb, argc, argv, fill, print);
}
