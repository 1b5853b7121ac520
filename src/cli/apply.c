/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "inventory/json.h"

static const struct cli_verb verb = {
    .name = "apply",
    .arguments = "",
    .takes = TAKES_CONTROL | TAKES_APPLY | TAKES_COMMENT | TAKES_TRIAL,
    .about =
        "Makes the daemon read its directory of policies again and put them in force. No container is\n"
        "touched. When any file has a mistake, or an expectation of the policies fails, nothing changes: the\n"
        "policies in force stay in force, and everything that is wrong is shown with its place.\n"
        "\n"
        "With --only, nothing changes either unless it is exactly what the plan with this ID said: when policies,\n"
        "containers or the rules in the kernel have moved since, what has moved is shown.\n"
        "\n"
        "With --confirm-within they are on trial: the daemon goes back to the policies before them by itself,\n"
        "unless `cofferdam confirm` comes within that time; also when your own connection is what they cut.\n"
        "A crash or a restart of the daemon does not make a trial longer, and a boot of the host ends it.\n",
    .examples =
        "Examples:\n"
        "  cofferdam check && cofferdam apply    check first, as any user\n"
        "  cofferdam apply --confirm-within 60s  and when you can open a NEW connection: cofferdam confirm\n"
        "  cofferdam apply --only 5a1c...        what was reviewed, and nothing else (64 digits)\n"
        "  cofferdam apply --comment 'INC-4711'  say why, for `cofferdam history`\n"
        "  cofferdam apply --json                for scripts: how many policies, how many changes\n"
        "\n"
        "Exit status: 0 the policies are in force, 1 error and nothing changed, 64 wrong usage.\n",
};

static int fill(const struct cli_options *options, const struct settings *settings, json_t *request)
{
    (void)settings;
    if (options->only)
        json_object_set_new(request, "only", json_text_or_null(options->only));
    if (options->force)
        json_object_set_new(request, "force", json_true());
    return cli_fill_change(&verb, options, request);
}

int cli_apply(int argc, char **argv)
{
    return cli_ask(&verb, argc, argv, fill, NULL);
}
