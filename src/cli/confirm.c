/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"

static const struct cli_verb verb = {
    .name = "confirm",
    .arguments = "",
    .takes = TAKES_CONTROL | TAKES_COMMENT | TAKES_EXTEND,
    .about =
        "Keeps the policies that `cofferdam apply --confirm-within` has put on trial. Without it the daemon goes\n"
        "back to those before them when the time is over. Before you confirm, see that you can open a NEW\n"
        "connection to this host: that the one you have still works proves nothing.\n",
    .examples =
        "Examples:\n"
        "  cofferdam confirm\n"
        "  cofferdam confirm --extend 5m    not yet: five more minutes\n"
        "\n"
        "Exit status: 0 confirmed, or prolonged; 1 nothing is on trial, or another error; 64 wrong usage.\n",
};

static int fill(const struct cli_options *options, const struct settings *settings, json_t *request)
{
    (void)settings;
    return cli_fill_change(&verb, options, request);
}

int cli_confirm(int argc, char **argv)
{
    return cli_ask(&verb, argc, argv, fill, NULL);
}
