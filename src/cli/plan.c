// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `cofferdam plan`: what loading these policies would change. The files are read here, with the caller's rights; the
 * daemon gets their texts.
 */
#include <limits.h>

#include "cli/cli.h"
#include "control/policy_files.h"

static bool is_same(const json_t *result)
{
    return json_is_false(json_object_get(result, "changes"));
}

static const struct cli_verb verb = {
    .name = "plan",
    .arguments = "[PATH...]",
    .takes = TAKES_CONTROL | TAKES_POLICIES | TAKES_PLAN,
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
        "  Problems                            mistakes, failed expectations, and who is not enforced\n",
    .examples =
        "Examples:\n"
        "  cofferdam plan                        the policies of this host, before `cofferdam apply`\n"
        "  cofferdam plan --rules ~/policies     a directory of one's own, with the rules as nft has them\n"
        "  cofferdam plan --json | jq .changes   for scripts\n"
        "\n"
        "Exit status: 0 nothing would change, 2 something would, 1 error, such as mistakes in the policies, an\n"
        "expectation that fails, or a change that the kernel refuses; 64 wrong usage.\n",
    .is_well = is_same,
};

/* Policies with mistakes are not sent. */
static int fill(const struct cli_options *options, const struct settings *settings, json_t *request)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    if (!cli_policy_arguments(&verb, options))
        return STATUS_USAGE;
    cli_load_policies(options, settings, set, &diags);
    if (diags.n_errors) {
        json_t *refusal = control_error(STATUS_ERROR, "the policies have mistakes", NULL, &diags);
        int status = cli_print_answer(refusal, options, NULL);

        json_decref(refusal);
        return status;
    }
    json_object_set_new(request, "files", policy_files_to_json(set));
    json_object_set_new(request, "rules", json_boolean(options->rules || options->json));
    json_object_set_new(request, "full", json_boolean(options->full));
    return STATUS_OK;
}

static void print(const struct cli_options *options, const json_t *result, int exit_status)
{
    (void)exit_status;
    plan_print(result, options, stdout, cli_colour(stdout));
}

int cli_plan(int argc, char **argv)
{
    return cli_ask(&verb, argc, argv, fill, print);
}
