/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cli/cli.h"

/* What does not say that it was verified was not. */
static bool is_well(const json_t *result)
{
    return json_is_array(json_object_get(result, "given")) ||
           json_is_array(json_object_get(result, "labels")) ||
           json_is_true(json_object_get(result, "dry_run")) ||
           json_is_true(json_object_get(result, "verified"));
}

static const struct cli_verb verb = {
    .name = "label",
    .arguments = "[CONTAINER] [KEY=VALUE|KEY-]...",
    .takes = TAKES_CONTROL | TAKES_LABEL,
    .max_args = 1000,
    .about =
        "Gives a container labels that Cofferdam alone sees, or removes them again (KEY-): Docker's own cannot be\n"
        "changed. They count in every policy as if they had been given to the container itself, and before one of\n"
        "Docker's with the same key. So a policy that is prepared for it can be put on a container that runs. It\n"
        "holds as long as the container is there, through restarts of anything. Without a label, shows those\n"
        "that the container has.\n",
    .examples =
        "Examples:\n"
        "  cofferdam label web quarantine=yes --reason 'looks broken into'\n"
        "  cofferdam label web quarantine-\n"
        "  cofferdam label --select compose=shop --follow tier=front\n"
        "  cofferdam label web\n"
        "  cofferdam label --list\n"
        "\n"
        "Exit status: 0 done, and verified; 1 error (where it cannot be saved, nothing is changed); 64 wrong usage.\n",
    .is_well = is_well,
};

static bool add_change(const char *word, json_t *set, json_t *remove)
{
    const char *equals = strchr(word, '=');
    size_t len = strlen(word);

    if (equals && equals > word) {
        _cleanup_free_ char *key = xstrndup(word, (size_t)(equals - word));

        return json_object_set_new(set, key, json_string(equals + 1)) == 0;
    }
    if (equals || len < 2 || word[len - 1] != '-')
        return false;
    return json_array_append_new(remove, json_stringn(word, len - 1)) == 0;
}

/* The name of the container, where one is named, comes first. */
static int fill_changes(const struct cli_options *options, json_t *request)
{
    json_t *set = json_object(), *remove = json_array(), *select = json_array(), *names = json_array();
    int first = options->select.n == 0;

    json_object_set_new(request, "set", set);
    json_object_set_new(request, "remove", remove);
    json_object_set_new(request, "select", select);
    json_object_set_new(request, "containers", names);
    for (size_t i = 0; i < options->select.n; i++)
        json_array_append_new(select, json_string(options->select.v[i]));
    if (first)
        json_array_append_new(names, json_string(options->args[0]));
    if (options->reason)
        json_object_set_new(request, "reason", json_string(options->reason));
    json_object_set_new(request, "follow", json_boolean(options->follow));
    json_object_set_new(request, "dry_run", json_boolean(options->dry_run));
    for (int i = first; i < options->n_args; i++)
        if (!add_change(options->args[i], set, remove)) {
            cli_error("label: '%s' is neither KEY=VALUE nor KEY-\nsee cofferdam label --help",
                      options->args[i]);
            return STATUS_USAGE;
        }
    return STATUS_OK;
}

static const char *wrong(const struct cli_options *options)
{
    bool changes = options->select.n || options->n_args > 1;

    if (!cli_all_utf8(options))
        return "names and texts must be UTF-8";
    if (options->list || options->reset)
        return options->n_args || options->select.n || options->follow || options->dry_run ||
                       (options->list && options->reset)
                   ? "--list and --reset stand alone"
                   : NULL;
    if (options->select.n && options->n_args == 0)
        return "say which labels: KEY=VALUE, or KEY- to remove one";
    if (options->n_args == 0)
        return "say which container, or --list";
    return !changes && (options->follow || options->dry_run) ? "say which labels: KEY=VALUE, or KEY-" : NULL;
}

static int fill(const struct cli_options *options, const struct settings *settings, json_t *request)
{
    const char *why = wrong(options);

    (void)settings;
    if (why) {
        cli_error("label: %s\nsee cofferdam label --help", why);
        return STATUS_USAGE;
    }
    if (options->reset) {
        json_object_set_new(request, "verb", json_string("label-reset"));
        return STATUS_OK;
    }
    if (options->select.n || options->n_args > 1)
        return fill_changes(options, request);
    json_object_set_new(request, "verb", json_string("label-list"));
    if (options->n_args)
        json_object_set_new(request, "container", json_string(options->args[0]));
    return STATUS_OK;
}

static void print(const struct cli_options *options, const json_t *result, int exit_status)
{
    (void)options;
    label_print(result, exit_status, stdout, cli_colour(stdout));
}

int cli_label(int argc, char **argv)
{
    return cli_ask(&verb, argc, argv, fill, print);
}
