/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asking the daemon, and saying what is wrong when it does not answer or refuses.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "control/client.h"
#include "util/text.h"

/* connect(2) refuses in the same way where nobody listens any more, and on files that are no sockets. */
static bool is_other_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISSOCK(st.st_mode);
}

bool cli_no_daemon(const char *path, int error)
{
    return error == -ENOENT || (error == -ECONNREFUSED && !is_other_file(path));
}

static void complain_absent(const char *path, int error)
{
    if (error == -ENOENT)
        cli_error("the daemon does not run: nothing answers at %s (%s)", path, strerror(-error));
    else
        cli_error("nobody listens at %s: the daemon that made it is gone", path);
    fputs("  start it with: systemctl start cofferdamd\n"
          "  if it listens elsewhere, say where with --control SOCKET or --config FILE\n",
          stderr);
}

void cli_complain(const char *path, int error)
{
    if (cli_no_daemon(path, error)) {
        complain_absent(path, error);
        return;
    }
    if (error == -ECONNREFUSED || error == -EPROTOTYPE) {
        cli_error("%s is %s\n"
                  "  say where the daemon listens with --control SOCKET or --config FILE",
                  path, error == -EPROTOTYPE ? "another program's socket" : "no socket");
        return;
    }
    if (error == -EACCES || error == -EPERM) {
        cli_error(
            "%s: permission denied\n"
            "  the daemon answers root, and the group that control_group names in its settings: try sudo",
            path);
        return;
    }
    if (error == -ETIMEDOUT) {
        cli_error("the daemon did not answer at %s within %d seconds\n"
                  "  see what it does with: journalctl -u cofferdamd",
                  path, CLI_TIMEOUT_MS / 1000);
        return;
    }
    if (error == -ECONNRESET) {
        cli_error("the daemon ended before it answered at %s\n"
                  "  see why with: journalctl -u cofferdamd",
                  path);
        return;
    }
    if (error == -E2BIG) {
        cli_error("that is more than the daemon takes at once: %d MiB", CONTROL_REQUEST_MAX >> 20);
        return;
    }
    cli_error("talking to the daemon at %s: %s", path,
              error == -EBADMSG ? "what came back is no answer; is it another version?" : strerror(-error));
}

static int print_failure(json_t *answer, bool json)
{
    const char *error = json_string_value(json_object_get(answer, "error"));
    const char *help = json_string_value(json_object_get(answer, "help"));
    const json_t *list = json_object_get(answer, "diagnostics");
    int status = (int)json_integer_value(json_object_get(answer, "exit"));
    _cleanup_diags_ struct diags diags = {};

    if (json) {
        cli_print_json(answer);
    } else {
        if (json_is_array(list) && diags_from_json(list, &diags) == 0)
            diags_print(&diags, stderr, cli_colour(stderr));
        cli_error("%s%s%s", error ?: "the daemon refused", help ? "\n  " : "", help ?: "");
    }
    /* A refusal is never a success, whatever the answer claims. */
    return status > 0 && status < 126 ? status : STATUS_ERROR;
}

static void print_text(const json_t *result)
{
    const char *text = json_string_value(json_object_get(result, "text"));
    _cleanup_free_ char *safe = text_escape(text ?: "done", true);

    puts(safe);
}

static void warn_of_record(const json_t *result)
{
    const char *problem = json_string_value(json_object_get(result, "not_on_record"));

    if (problem)
        cli_error("warning: it is done, but not on record: %s", problem);
}

int cli_print_answer(json_t *answer, const struct cli_options *options, cli_printer print)
{
    json_t *result = json_object_get(answer, "result");
    int status = (int)json_integer_value(json_object_get(answer, "exit"));

    if (!json_is_true(json_object_get(answer, "ok")))
        return print_failure(answer, options->json);
    warn_of_record(result);
    if (options->json)
        cli_print_json(result);
    else if (print)
        print(options, result, status);
    else
        print_text(result);
    return status;
}

static void judge(const struct cli_verb *verb, json_t *answer)
{
    if (verb->is_well && json_is_true(json_object_get(answer, "ok")) &&
        json_integer_value(json_object_get(answer, "exit")) == STATUS_OK &&
        !verb->is_well(json_object_get(answer, "result")))
        json_object_set_new(answer, "exit", json_integer(STATUS_ATTENTION));
}

int cli_conclude(const struct cli_verb *verb, const struct cli_options *options, json_t *answer,
                 cli_printer print)
{
    int status;

    judge(verb, answer);
    status = cli_print_answer(answer, options, print);
    json_decref(answer);
    return status;
}

int cli_ask_with(const struct cli_verb *verb, const struct cli_options *options, cli_filler fill,
                 cli_printer print)
{
    _cleanup_(settings_freep) struct settings *settings = NULL;
    json_t *answer = NULL;

    if (cli_settings(options, &settings) < 0)
        return STATUS_ERROR;
    json_t *request = control_request(verb->name);
    int status = fill ? fill(options, settings, request) : STATUS_OK;
    int r = status == STATUS_OK ? 0 : -ECANCELED;
    if (r == 0) {
        r = control_call(settings->control, request, CLI_TIMEOUT_MS, &answer);
        if (r < 0)
            cli_complain(settings->control, r);
    }
    json_decref(request);
    if (r < 0)
        return status == STATUS_OK ? STATUS_ERROR : status;
    return cli_conclude(verb, options, answer, print);
}

int cli_ask(const struct cli_verb *verb, int argc, char **argv, cli_filler fill, cli_printer print)
{
    struct cli_options options;
    int status;

    if (!cli_options_parse(verb, argc, argv, &options, &status))
        return status;
    return cli_ask_with(verb, &options, fill, print);
}
