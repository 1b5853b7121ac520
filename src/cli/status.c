/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/status.h"
#include "sockets/sockets.h"

static const struct cli_verb verb = {
    .name = "status",
    .arguments = "",
    .takes = TAKES_CONTROL | TAKES_ROUNDS | TAKES_STAGED | TAKES_COUNTS,
    .about =
        "Shows the daemon and the Docker Engine, each network and whether it is managed, each container with\n"
        "its policies and addresses and whether it is enforced or why not, what was denied within the last hour, to\n"
        "whom and what most of it was, and last the problems.\n"
        "\n"
        "With --rules instead each rule of the policies in force: how many packets that begin connections it has let\n"
        "pass, and when it did last. A reload keeps the counts of rules that it does not change.\n"
        "\n"
        "With --staged instead what enforcing what is only staged would change (policies with mode: audit, and\n"
        "default_mode: audit), as far as traffic was seen since the policies came into force or the daemon was\n"
        "started: what passes and would be denied, and what is denied and would pass.\n"
        "\n"
        "With --watch it is shown again and again, on a terminal, until ^C; a daemon that does not answer is waited for.\n"
        "With --json that is one line each time.\n",
    .examples =
        "Examples:\n"
        "  cofferdam status\n"
        "  cofferdam status --watch=5\n"
        "  cofferdam status --rules\n"
        "  cofferdam status --staged\n"
        "  cofferdam status --json | jq -r '.containers[] | select(.enforced | not) | .name'\n"
        "\n"
        "Exit status: 0 all running containers are enforced, 3 some are not or it is not known which run, 1 error,\n"
        "64 wrong usage. With --staged: 0 nothing was seen that would change, 3 something was. With --watch, ^C ends it\n"
        "with 0.\n",
};

/* Who reads the text is not told of it. */
int status_fill(const struct cli_options *options, const struct settings *settings, json_t *request)
{
    (void)settings;
    if (options->json)
        json_object_set_new(request, "listening", sockets_collect());
    if (options->rules)
        json_object_set_new(request, "rules", json_true());
    if (options->staged)
        json_object_set_new(request, "staged", json_true());
    return STATUS_OK;
}

void status_show(const struct cli_options *options, const json_t *result, int exit_status, FILE *out)
{
    if (options->staged)
        staged_print(result, out, cli_colour(stdout));
    else if (options->rules)
        rules_print(result, out, cli_colour(stdout));
    else
        status_print(result, exit_status, out, cli_colour(stdout));
}

static void print(const struct cli_options *options, const json_t *result, int exit_status)
{
    status_show(options, result, exit_status, stdout);
}

int cli_status(int argc, char **argv)
{
    struct cli_options options;
    int status;

    if (!cli_options_parse(&verb, argc, argv, &options, &status))
        return status;
    return options.watch ? status_watch(&options) : cli_ask_with(&verb, &options, status_fill, print);
}
