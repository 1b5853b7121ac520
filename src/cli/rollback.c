/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"

static const struct cli_verb verb = {
    .name = "rollback",
    .arguments = "[N]",
    .takes = TAKES_CONTROL | TAKES_COMMENT | TAKES_TRIAL,
    .max_args = 1,
    .about =
        "Puts policies that were in force before in force again. While others are on trial, it ends the trial.\n"
        "Else it goes back to the newest policies of the history that are not those in force, or, with N, to those\n"
        "of that number.\n"
        "\n"
        "The files in the directory of policies are not touched, and not loaded until `cofferdam apply`, also not\n"
        "when the daemon starts: `cofferdam history N` prints the files of a number, to put them back.\n",
    .examples = "Examples:\n"
                "  cofferdam rollback                            to the policies before\n"
                "  cofferdam history && cofferdam rollback 7     to those that one names\n"
                "  cofferdam rollback 7 --confirm-within 60s     on trial: see cofferdam apply --help\n"
                "\n"
                "Exit status: 0 they are in force, 1 error and nothing changed, 64 wrong usage.\n",
};

static int fill(const struct cli_options *options, const struct settings *settings, json_t *request)
{
    int status = cli_fill_number(&verb, options, request);

    (void)settings;
    return status == STATUS_OK ? cli_fill_change(&verb, options, request) : status;
}

int cli_rollback(int argc, char **argv)
{
    return cli_ask(&verb, argc, argv, fill, NULL);
}
