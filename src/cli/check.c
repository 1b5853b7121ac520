/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `cofferdam check`: parses and lints policies, and with an inventory tests their expectations. It needs no root, no
 * Docker and no daemon.
 */
#include <limits.h>
#include <string.h>

#include "cli/cli.h"
#include "policy/json_schema.h"
#include "verdict/expect.h"
#include "verdict/lint.h"

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_GITHUB, FORMAT_SARIF };
static const char *const format_words[] = {"text", "json", "github", "sarif", NULL}; /* in that order */

static const struct cli_verb verb = {
    .name = "check",
    .arguments = "[PATH...]",
    .takes = TAKES_POLICIES | TAKES_INVENTORY | TAKES_FORMAT | TAKES_SCHEMA,
    .formats = format_words,
    .max_args = INT_MAX,
    .about =
        "Checks policies: each PATH is a file, or a directory whose *.yaml and *.yml files are read. All of\n"
        "them count as one set. Without a PATH it is the directory of --policies, else the one that the settings\n"
        "name. Nothing is changed, and neither root nor Docker nor the daemon is needed.\n"
        "\n"
        "Every mistake is shown with its place and what would be right; cofferdam-policy(5) explains the codes.\n"
        "With --config, that settings file is checked as well.\n"
        "\n"
        "With --inventory, the policies are tested with the containers of a host, as `cofferdam status --json` on it\n"
        "prints them: whether what `expect` documents state holds, what selects or matches nothing, rules by which\n"
        "nothing passes, and ports on which nobody listens.\n"
        "\n"
        "With --schema, it checks nothing, but prints a JSON Schema of the policy language, for editors.\n",
    .examples =
        "Examples:\n"
        "  cofferdam check                       the policies of this host\n"
        "  cofferdam check policies/ extra.yaml  a directory and a file, as one set\n"
        "  cofferdam check --json policies/      for scripts and editors\n"
        "  cofferdam check --format github policies/\n"
        "                                        mistakes as annotations of a pull request\n"
        "  cofferdam status --json | cofferdam check --inventory -\n"
        "                                        with the containers of this host\n"
        "\n"
        "Exit status: 0 no errors (there may be warnings), 1 errors, a failed expectation among them,\n"
        "64 wrong usage.\n",
};

static int wrong_usage(const char *why)
{
    cli_error("check: %s\nsee cofferdam check --help", why);
    return STATUS_USAGE;
}

/* What testing with an inventory came to. */
struct tested {
    size_t n_containers;
    size_t n_lines, n_failed; /* of `expect` documents */
    bool done;
};

/* Policies with mistakes are not tested: what they come to would be said of another set than the one meant. */
static void test_with_inventory(const struct cli_options *options, const struct settings *settings,
                                const struct policy_set *set, struct diags *diags, struct tested *ret)
{
    _cleanup_(inventory_freep) struct inventory *inventory = NULL;
    bool good = diags->n_errors == 0;
    struct expect_result result;

    if (!options->inventory || cli_load_inventory(options->inventory, &inventory, NULL, NULL, diags) < 0 ||
        !good)
        return;
    const struct evaluation with = {set, inventory, settings, NULL};
    inventory_lint(&with, diags);
    expect_test(&with, &result);
    expect_report(&with, &result, diags);
    *ret = (struct tested){.n_containers = HASH_COUNT(inventory->containers),
                           .n_lines = result.n_tested,
                           .n_failed = result.n_failures,
                           .done = true};
    expect_result_clear(&result);
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* "3 files, 7 policies: no problems" */
static void print_summary(const struct policy_set *set, const struct tested *tested,
                          const struct diags *diags)
{
    size_t n_other = diags->n - diags->n_errors;

    printf("%zu file%s, %zu polic%s", set->n_files, plural(set->n_files), set->n_policies,
           set->n_policies == 1 ? "y" : "ies");
    if (set->n_expects)
        printf(", %zu expectation document%s", set->n_expects, plural(set->n_expects));
    if (tested->done)
        printf(", tested with %zu container%s", tested->n_containers, plural(tested->n_containers));
    if (!diags->n)
        fputs(": no problems", stdout);
    if (diags->n_errors)
        printf(": %zu error%s", diags->n_errors, plural(diags->n_errors));
    if (n_other)
        printf("%s%zu warning%s", diags->n_errors ? ", " : ": ", n_other, plural(n_other));
    putchar('\n');
}

static void print_json(const struct policy_set *set, const struct tested *tested, const struct diags *diags)
{
    json_t *numbers =
        json_pack("{s:I, s:I, s:I}", "containers", (json_int_t)tested->n_containers, "expectations",
                  (json_int_t)tested->n_lines, "failures", (json_int_t)tested->n_failed);
    json_t *json = json_pack("{s:b, s:I, s:I, s:O, s:o}", "ok", diags->n_errors == 0, "files",
                             (json_int_t)set->n_files, "policies", (json_int_t)set->n_policies, "tested",
                             tested->done ? numbers : json_null(), "diagnostics", diags_to_json(diags));

    json_decref(numbers);
    cli_print_json(json);
    json_decref(json);
}

/* ------------------------------------------------------------------------------------------------------- */

static void print_result(enum format format, const struct policy_set *set, const struct tested *tested,
                         const struct diags *diags)
{
    json_t *sarif;

    switch (format) {
    case FORMAT_TEXT:
        diags_print(diags, stderr, cli_colour(stderr));
        print_summary(set, tested, diags);
        break;
    case FORMAT_JSON:
        print_json(set, tested, diags);
        break;
    case FORMAT_GITHUB:
        cli_print_github(diags, stdout);
        print_summary(set, tested, diags);
        break;
    case FORMAT_SARIF:
        sarif = cli_sarif(diags);
        json_dumpf(sarif, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(sarif);
        break;
    }
}

static int print_schema(const struct cli_options *options)
{
    json_t *schema;

    if (options->n_args || options->policies || options->inventory || options->config || options->format ||
        options->json)
        return wrong_usage("with --schema nothing is checked");
    schema = policy_json_schema();
    json_dumpf(schema, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(schema);
    return STATUS_OK;
}

int cli_check(int argc, char **argv)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    _cleanup_diags_ struct diags diags = {0};
    struct tested tested = {};
    struct cli_options options;
    int status;

    if (!cli_options_parse(&verb, argc, argv, &options, &status))
        return status;
    if (options.schema)
        return print_schema(&options);
    if (!cli_policy_arguments(&verb, &options))
        return STATUS_USAGE;
    /* With settings that cannot be read, which policies are meant is not known. */
    if (cli_policy_settings(&options, settings, &diags) == 0 || options.n_args || options.policies)
        cli_load_policies(&options, settings, set, &diags);
    test_with_inventory(&options, settings, set, &diags, &tested);
    print_result((enum format)options.form, set, &tested, &diags);
    return diags.n_errors ? STATUS_ERROR : STATUS_OK;
}
