/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <sys/resource.h>

#include "cli/alone.h"
#include "cli/cli.h"
#include "cli/urgent.h"
#include "evidence/evidence.h"
#include "util/duration.h"

#define LOCKDOWN_NICE (-10) /* as the daemon's, in its unit */

/* What does not say that it was verified was not. */
static bool is_well(const json_t *result)
{
    return json_is_array(json_object_get(result, "lockdowns")) ||
           json_is_true(json_object_get(result, "dry_run")) ||
           (json_is_true(json_object_get(result, "verified")) &&
            json_is_true(json_object_get(result, "saved")));
}

static const struct cli_verb verb = {
    .name = "lockdown",
    .arguments = "CONTAINER...",
    .takes = TAKES_CONTROL | TAKES_STATE | TAKES_LOCKDOWN,
    .max_args = 1000,
    .about =
        "Cuts containers off, now: what is open ends, and nothing new begins, in or out, whatever the policies\n"
        "say. It holds through restarts of the container, the daemon, Docker and the host, and for who comes after\n"
        "it under its name or as its Compose service, until `cofferdam release`. The container itself goes on\n"
        "running, and nothing in it changes.\n",
    .examples =
        "Examples:\n"
        "  cofferdam lockdown web\n"
        "  cofferdam lockdown web --reason 'looks broken into' --allow 192.0.2.7:22/tcp\n"
        "  cofferdam lockdown --select compose=shop --except shop-db-1 --for 2h\n"
        "  cofferdam lockdown --address 172.17.0.3\n"
        "  cofferdam lockdown --list\n"
        "\n"
        "Exit status: 0 cut off, and verified; 1 something is not, or it will not survive a restart (the\n"
        "output says what); 64 wrong usage.\n",
    .is_well = is_well,
};

static json_t *texts(const struct cli_texts *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(array, json_string(list->v[i]));
    return array;
}

static json_t *words(const struct cli_options *options)
{
    json_t *array = json_array();

    for (int i = 0; i < options->n_args; i++)
        json_array_append_new(array, json_string(options->args[i]));
    return array;
}

static const char *wrong(const struct cli_options *options)
{
    bool selects = options->select.n || options->all;
    bool named = options->n_args || selects || options->addresses.n || options->interfaces.n;

    if (!cli_all_utf8(options))
        return "names and texts must be UTF-8";
    if (options->list)
        return named || options->dry_run || options->evidence ? "--list stands alone" : NULL;
    if (options->dry_run && options->evidence)
        return "--evidence is taken before a cut: with --dry-run there is none";
    if (!named)
        return "say which containers, by name or with --select, --address or --interface";
    return options->except.n && !selects ? "--except needs --select" : NULL;
}

static int fill(const struct cli_options *options, const struct settings *settings, json_t *request)
{
    const char *why = wrong(options);
    uint64_t usec = 0;

    (void)settings;
    if (!why && options->span && duration_parse(options->span, &usec) < 0)
        why = "--for takes a span of time such as 90s, 2h or 1d12h, of at most 365 days";
    if (why) {
        cli_error("lockdown: %s\nsee cofferdam lockdown --help", why);
        return STATUS_USAGE;
    }
    if (options->list) {
        json_object_set_new(request, "verb", json_string("lockdown-list"));
        return STATUS_OK;
    }
    json_object_set_new(request, "containers", words(options));
    json_t *select = texts(&options->select);
    if (options->all)
        json_array_append_new(select, json_string("all"));
    json_object_set_new(request, "select", select);
    json_object_set_new(request, "except", texts(&options->except));
    json_object_set_new(request, "addresses", texts(&options->addresses));
    json_object_set_new(request, "interfaces", texts(&options->interfaces));
    json_object_set_new(request, "allow", texts(&options->allow));
    if (options->reason)
        json_object_set_new(request, "reason", json_string(options->reason));
    if (options->direction)
        json_object_set_new(request, "direction", json_string(options->direction));
    if (usec)
        json_object_set_new(request, "for", json_integer((json_int_t)usec));
    json_object_set_new(request, "dry_run", json_boolean(options->dry_run));
    return STATUS_OK;
}

static void print_list(const json_t *result, bool colour)
{
    lockdowns_print_problems(result, stdout, colour);
    if (!lockdowns_print(json_object_get(result, "lockdowns"), stdout, colour) &&
        json_array_size(json_object_get(result, "problems")) == 0)
        puts("Nothing is locked down.");
    lock_tables_print(result, stdout, colour);
}

static void print(const struct cli_options *options, const json_t *result, int exit_status)
{
    bool colour = cli_colour(stdout);

    if (options->list)
        print_list(result, colour);
    else
        lockdown_print(result, exit_status, stdout, colour);
}

/* Why the command has to do it by itself; NULL: the daemon has, or will not. */
static const char *why_alone(const struct urgent *urgent)
{
    return absence_name(urgent->absence)
               ?: json_string_value(
                      json_object_get(json_object_get(urgent->answer, "result"), "not_in_force"));
}

static int lock_down(const struct cli_options *options)
{
    _cleanup_(settings_freep) struct settings *settings = NULL;
    struct evidence *evidence = NULL;
    struct urgent urgent = {0};
    const char *why;

    if (cli_settings(options, &settings) < 0)
        return STATUS_ERROR;
    json_t *request = control_request(verb.name);
    int status = fill(options, settings, request);
    if (status == STATUS_OK && options->evidence)
        evidence = evidence_collect(settings, options->evidence, request);
    if (status == STATUS_OK && cli_call_urgent(settings, request, &urgent) < 0)
        status = STATUS_ERROR;
    if (status == STATUS_OK) {
        why = why_alone(&urgent);
        json_t *answer =
            why ? lockdown_alone(settings, request, urgent.request, why) : json_incref(urgent.answer);
        lockdown_evidence_end(evidence, answer);
        status = cli_conclude(&verb, options, answer, print);
    } else {
        lockdown_evidence_end(evidence, NULL);
    }
    json_decref(urgent.answer);
    json_decref(request);
    return status;
}

/* Asks the daemon, and where it does not answer does it by itself. */
static int ask_or_do(const struct cli_verb *asked, const struct cli_options *options, cli_filler filler,
                     cli_printer printer, alone_fn *alone)
{
    _cleanup_(settings_freep) struct settings *settings = NULL;
    struct urgent urgent = {0};
    const char *why;

    if (cli_settings(options, &settings) < 0)
        return STATUS_ERROR;
    json_t *request = control_request(asked->name);
    int status = filler(options, settings, request);
    if (status == STATUS_OK && cli_call_urgent(settings, request, &urgent) < 0)
        status = STATUS_ERROR;
    if (status == STATUS_OK) {
        why = absence_name(urgent.absence);
        status = cli_conclude(asked, options,
                              why ? alone(settings, request, urgent.request, why) : urgent.answer, printer);
    }
    json_decref(request);
    return status;
}

/* What is to be cut off may be what keeps the host busy. Whoever may not has to wait for his turn. */
static void go_first(void)
{
    (void)setpriority(PRIO_PROCESS, 0, LOCKDOWN_NICE);
}

int cli_lockdown(int argc, char **argv)
{
    struct cli_options options;
    int status;

    go_first();
    if (!cli_options_parse(&verb, argc, argv, &options, &status))
        return status;
    return options.list ? ask_or_do(&verb, &options, fill, print, lockdown_list_alone) : lock_down(&options);
}

/* ---- release ------------------------------------------------------------------------------------------ */

static const struct cli_verb release_verb = {
    .name = "release",
    .arguments = "CONTAINER...",
    .takes = TAKES_CONTROL | TAKES_STATE | TAKES_RELEASE,
    .max_args = 1000,
    .about =
        "Ends lockdowns: for these containers, exactly what the policies say holds again. What was locked down\n"
        "with --select is released by the same words, in quotes if need be.\n",
    .examples =
        "Examples:\n"
        "  cofferdam release web\n"
        "  cofferdam release compose=shop\n"
        "  cofferdam release --all\n"
        "\n"
        "Exit status: 0 released, and verified; 1 error (such as: it is not locked down), 64 wrong usage.\n",
};

static int fill_release(const struct cli_options *options, const struct settings *settings, json_t *request)
{
    (void)settings;
    if (options->all == (options->n_args > 0) || !cli_all_utf8(options)) {
        cli_error("release: say which containers, or --all\nsee cofferdam release --help");
        return STATUS_USAGE;
    }
    json_object_set_new(request, "containers", words(options));
    json_object_set_new(request, "all", json_boolean(options->all));
    return STATUS_OK;
}

static void print_release(const struct cli_options *options, const json_t *result, int exit_status)
{
    (void)options;
    release_print(result, exit_status, stdout, cli_colour(stdout));
}

int cli_release(int argc, char **argv)
{
    struct cli_options options;
    int status;

    if (!cli_options_parse(&release_verb, argc, argv, &options, &status))
        return status;
    return ask_or_do(&release_verb, &options, fill_release, print_release, release_alone);
}
