/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"

static const struct cli_verb verb = {
    .name = "apply",
    .arguments = "",
    .takes = TAKES_CONTROL,
    .about =
        "Makes the daemon read its directory of policies again and put them in force. No container is\n"
        "touched. When any file has a mistake, nothing changes: the policies in force stay in force, and\n"
        "every mistake is shown with its place.\n",
    .examples = "Examples:\n"
                "  cofferdam check && cofferdam apply    check first, as any user\n"
                "  cofferdam apply --json                for scripts: how many policies, how many changes\n"
                "\n"
                "Exit status: 0 the policies are in force, 1 error and nothing changed, 64 wrong usage.\n",
};

int cli_apply(int argc, char **argv)
{
    return cli_ask(&verb, argc, argv, NULL, NULL);
}
