/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `cofferdam metrics`: what the daemon measures, for other programs. */
#include "cli/cli.h"

/* In that order; with json the text is that of the first. */
static const char *const format_words[] = {"openmetrics", "prometheus", "json", NULL};

static const struct cli_verb verb = {
    .name = "metrics",
    .arguments = "",
    .takes = TAKES_CONTROL | TAKES_FORMAT,
    .formats = format_words,
    .about =
        "Prints what the daemon measures: containers by whether they are isolated, policies, how long changes of\n"
        "the rules took, what was denied and by which rule, what was lost. Its labels are the names of policies\n"
        "and rules, and never those of containers.\n"
        "\n"
        "The formats: openmetrics, which Prometheus and most others read; prometheus, its older text format, which\n"
        "node_exporter's textfiles are in; json has the text of the former as \"text\". Where no daemon answers,\n"
        "nothing is printed, and the exit status is 1: figures that are missing are how others notice.\n"
        "\n"
        "The setting metrics has the daemon write the same to a file for node_exporter.\n",
    .examples = "Examples:\n"
                "  sudo cofferdam metrics\n"
                "  sudo cofferdam metrics --format prometheus | promtool check metrics\n"
                "\n"
                "Exit status: 0 printed, 1 error, 64 wrong usage.\n",
};

static int fill(const struct cli_options *options, const struct settings *settings, json_t *request)
{
    (void)settings;
    json_object_set_new(request, "format", json_string(format_words[options->json ? 0 : options->form]));
    return STATUS_OK;
}

/* As it is: what comes from elsewhere is escaped in it already. */
static void print(const struct cli_options *options, const json_t *result, int exit_status)
{
    const char *text = json_string_value(json_object_get(result, "text"));

    (void)options, (void)exit_status;
    fputs(text ? text : "", stdout);
}

int cli_metrics(int argc, char **argv)
{
    return cli_ask(&verb, argc, argv, fill, print);
}
