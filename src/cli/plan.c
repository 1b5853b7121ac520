// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `cofferdam plan`: what loading these policies would change. The files are read here, with the caller's rights. The
 * daemon gets their texts; with an inventory, the plan is made here as well.
 */
#include <limits.h>
#include <string.h>

#include "cli/cli.h"
#include "control/policy_files.h"
#include "plan/plan.h"
#include "plan/recorded.h"
#include "sockets/sockets.h"
#include "verdict/lock.h"

static bool is_same(const json_t *result)
{
    return json_is_false(json_object_get(result, "changes"));
}

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_MARKDOWN };
static const char *const format_words[] = {"text", "json", "md", NULL}; /* in that order */

static const struct cli_verb verb = {
    .name = "plan",
    .arguments = "[PATH...]",
    .takes = TAKES_CONTROL | TAKES_POLICIES | TAKES_INVENTORY | TAKES_BASE | TAKES_FORMAT | TAKES_PLAN |
             TAKES_AGAINST,
    .formats = format_words,
    .max_args = INT_MAX,
    .about =
        "Says what `cofferdam apply` would change with these policies, and changes nothing. Each PATH is a file, or\n"
        "a directory whose *.yaml and *.yml files are read; all of them are the whole set that would be in force.\n"
        "Without a PATH it is the directory of --policies, else the one that the settings name.\n"
        "\n"
        "The daemon compares them with the policies in force, the containers of this moment, the connections that\n"
        "are open, and the rules that the kernel holds, which it reads back for that; and it has the kernel check\n"
        "the change without making it. A summary comes first and last. In between:\n"
        "  Policies                            added (+), changed (~) and removed (-)\n"
        "  Connections                         that would become allowed (+) or denied (-), and by which rule\n"
        "  Live connections that would be cut  those open now that the new policies do not allow\n"
        "  Rules                               what changes in the kernel's tables, with --rules line by line\n"
        "  Problems                            mistakes, failed expectations, and who is not enforced\n"
        "\n"
        "With --inventory, a file that `cofferdam status --json` has written on some host, neither root nor Docker nor\n"
        "the daemon is needed: the policies are compared with those in force there, which the file has, or with those\n"
        "of --base. Which connections are open is then not known, and no kernel checks the rules. The settings are\n"
        "read as by `cofferdam check --inventory`: with a PATH or --policies, only where --config names them.\n"
        "\n"
        "With --against-log, the connections that the log of verdicts has recorded are judged as well, by the policies\n"
        "in force and the new ones: those that passed and would be denied come first (-), then those that were denied\n"
        "and would pass (+). Without a FILE it is the log of this host's settings, with the file before it. What passes\n"
        "is in it only where the settings say log: {allowed: on}.\n"
        "\n"
        "The format md is Markdown, for a comment on a change: at most 60,000 bytes, and it says what it leaves out.\n",
    .examples =
        "Examples:\n"
        "  cofferdam plan                        the policies of this host, before `cofferdam apply`\n"
        "  cofferdam plan --rules ~/policies     a directory of one's own, with the rules as nft has them\n"
        "  cofferdam plan --against-log          and which connections of the last day they would have denied\n"
        "  cofferdam plan --json | jq .changes   for scripts\n"
        "  cofferdam plan --inventory inventory.json --base main/policies -o md policies/\n"
        "                                        what a change to the policies does, for its review\n"
        "\n"
        "Exit status: 0 nothing would change, 2 something would, 1 error, such as mistakes in the policies, an\n"
        "expectation that fails, or a change that the kernel refuses; 64 wrong usage.\n",
    .is_well = is_same,
};

static int refuse(const struct cli_options *options, const char *error, const struct diags *diags)
{
    json_t *refusal = control_error(STATUS_ERROR, error, NULL, diags);
    int status = cli_print_answer(refusal, options, NULL);

    if (options->form == FORMAT_MARKDOWN)
        plan_print_markdown_refusal(error, diags, stdout);
    json_decref(refusal);
    return status;
}

static const char mistakes[] = "the policies have mistakes";

static bool wants_rules(const struct cli_options *options)
{
    return options->rules || options->form != FORMAT_TEXT;
}

static void print(const struct cli_options *options, const json_t *result, int exit_status)
{
    (void)exit_status;
    if (options->form == FORMAT_MARKDOWN)
        plan_print_markdown(result, options, stdout);
    else
        plan_print(result, options, stdout, cli_colour(stdout));
}

static const char no_log[] = "the log cannot be used";

/* Policies with mistakes are not sent. */
static int fill(const struct cli_options *options, const struct settings *settings, json_t *request)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_(recorded_log_freep) struct recorded_log *recorded = NULL;
    _cleanup_diags_ struct diags diags = {0};

    cli_load_policies(options, settings, set, &diags);
    if (diags.n_errors)
        return refuse(options, mistakes, &diags);
    if (options->against_log && cli_load_recorded(options, settings, &recorded, &diags) < 0)
        return refuse(options, no_log, &diags);
    if (recorded)
        json_object_set_new(request, "recorded", recorded_log_to_json(recorded));
    json_object_set_new(request, "files", policy_files_to_json(set));
    json_object_set_new(request, "rules", json_boolean(wants_rules(options)));
    json_object_set_new(request, "full", json_boolean(options->full));
    json_object_set_new(request, "listening", sockets_collect());
    return STATUS_OK;
}

/* ---- with an inventory -------------------------------------------------------------------------------- */

struct input {
    struct settings *settings;
    struct policy_set *policies, *in_force, *base;
    struct inventory *inventory;
    struct lock_list *locks;
    struct recorded_log *recorded;
};

static void input_clear(struct input *input)
{
    settings_free(input->settings);
    policy_set_free(input->policies);
    policy_set_free(input->in_force);
    policy_set_free(input->base);
    inventory_free(input->inventory);
    lock_list_free(input->locks);
    recorded_log_free(input->recorded);
}

/* NULL, or why there is no plan: the reasons are in diags. */
static const char *load(const struct cli_options *options, struct input *input, struct diags *diags)
{
    if (cli_policy_settings(options, input->settings, diags) < 0)
        return "the settings cannot be used";
    cli_load_policies(options, input->settings, input->policies, diags);
    const char *error = diags->n_errors ? mistakes : NULL;
    int r = cli_load_inventory(options->inventory, &input->inventory, options->base ? NULL : &input->in_force,
                               &input->locks, diags);
    if (r == 0)
        r = cli_load_base(options, &input->in_force, &input->base, diags);
    if (r == 0 && options->against_log &&
        cli_load_recorded(options, input->settings, &input->recorded, diags) < 0)
        return error ?: no_log;
    return error ?: r < 0 ? "no plan can be made" : NULL;
}

static int plan_with_inventory(const struct cli_options *options)
{
    _cleanup_(input_clear) struct input input = {.settings = settings_new(), .policies = policy_set_new()};
    _cleanup_(plan_freep) struct plan *plan = NULL;
    _cleanup_diags_ struct diags diags = {};
    struct plan_facts facts = {.lines = wants_rules(options), .full = options->full, .warnings = &diags};
    const char *error = load(options, &input, &diags);
    int status;

    if (error)
        return refuse(options, error, &diags);
    plan = plan_offline(&(struct evaluation){input.base, input.inventory, input.settings, input.locks},
                        &(struct evaluation){input.policies, input.inventory, input.settings, input.locks});
    facts.recorded = input.recorded;
    json_t *result = plan_to_json(plan, &facts, &status), *answer = control_answer(status, result);
    status = cli_print_answer(answer, options, print);
    json_decref(answer);
    return status;
}

/* Whose log it is that the settings name is another question than whose containers a file has. */
static const char *wrong_log(const struct cli_options *options)
{
    uint64_t since;

    if (options->since && !options->against_log)
        return "--since is for --against-log";
    if (options->since && cli_moment(options->since, &since) < 0)
        return "--since takes a span of time such as 24h, or a moment such as 2026-11-20T15:04:05Z";
    if (options->inventory && options->against_log && !options->log)
        return "with --inventory, --against-log needs the FILE of that host";
    if (options->inventory && options->log && strcmp(options->inventory, "-") == 0 &&
        strcmp(options->log, "-") == 0)
        return "the standard input is either the inventory or the log";
    return NULL;
}

int cli_plan(int argc, char **argv)
{
    struct cli_options options;
    int status;

    if (!cli_options_parse(&verb, argc, argv, &options, &status))
        return status;
    if (!cli_policy_arguments(&verb, &options))
        return STATUS_USAGE;
    const char *wrong = wrong_log(&options);
    if (wrong) {
        cli_error("plan: %s\nsee cofferdam plan --help", wrong);
        return STATUS_USAGE;
    }
    if (options.inventory)
        return plan_with_inventory(&options);
    if (options.base) {
        cli_error("plan: --base is for --inventory: the daemon compares with the policies in force\n"
                  "see cofferdam plan --help");
        return STATUS_USAGE;
    }
    return cli_ask_with(&verb, &options, fill, print);
}
