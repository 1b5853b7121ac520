/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "control/client.h"
#include "files/files.h"
#include "util/duration.h"
#include "util/text.h"

static const struct cli_verb verb = {
    .name = "learn",
    .arguments = "[CONTAINER...]",
    .takes = TAKES_CONTROL | TAKES_LEARN | TAKES_YES,
    .max_args = 256,
    .about =
        "Watches what containers do, and proposes policies that would allow it, in `mode: audit`: they change\n"
        "nothing until you take that out. The first time it begins to watch; with the same words again it prints\n"
        "the proposal as it is by then, and goes on. Others are called by Compose service, label or name. What no\n"
        "policy should grant only because it happened stands there as a comment, with the reason. The proposal is\n"
        "evaluated before it is printed: how much of what was seen it allows, and what else.\n",
    .examples = "Examples:\n"
                "  cofferdam learn web --for 24h           begin, and end by itself\n"
                "  cofferdam learn web                     print the proposal\n"
                "  cofferdam learn --select compose=shop -o shop.yaml\n"
                "  cofferdam learn web --update web.yaml   a diff: what is missing, and what nothing uses\n"
                "  cofferdam learn --list\n"
                "  cofferdam learn --stop web              what was seen is kept\n"
                "  cofferdam learn --forget web\n"
                "\n"
                "Exit status: 0 done, or printed; 1 error; 64 wrong usage.\n",
};

/* ---- what is asked for -------------------------------------------------------------------------------- */

static const char *wrong(const struct cli_options *options)
{
    int actions = options->list + options->stop + options->forget;
    bool named = options->n_args > 0 || options->select.n > 0;

    if (!cli_all_utf8(options))
        return "names and texts must be UTF-8";
    if (actions > 1)
        return "--list, --stop and --forget stand alone";
    if (actions && (options->span || options->output || options->update))
        return "--for, --output and --update do not go with --list, --stop and --forget";
    if (options->update && options->span)
        return "--update is about what was seen, --for about what is to be";
    if (options->list)
        return named ? "--list stands alone" : NULL;
    return named ? NULL : "say which containers, or --list";
}

static bool check(const struct cli_options *options, uint64_t *ret_span)
{
    const char *why = wrong(options);

    if (why) {
        cli_error("learn: %s\nsee cofferdam learn --help", why);
        return false;
    }
    if (!options->span || duration_parse(options->span, ret_span) == 0)
        return true;
    cli_error("learn: '%s' is no span of time between 1s and 365d: write 90s, 2h or 1d12h", options->span);
    return false;
}

static const char *verb_of(const struct cli_options *options)
{
    return options->list     ? "learn-list"
           : options->stop   ? "learn-stop"
           : options->forget ? "learn-forget"
           : options->span   ? "learn"
                             : "learn-show";
}

/* The file to be compared with. false: it has said why not. */
static bool read_update(const struct cli_options *options, json_t **ret)
{
    _cleanup_free_ char *text = NULL;
    int r = options->update ? files_read(options->update, POLICY_FILE_MAX, &text, NULL) : 0;
    json_t *string = text ? json_string(text) : NULL;

    if (r < 0)
        cli_error("learn: %s: %s", options->update, r == -EFBIG ? "it is no policy file" : strerror(-r));
    else if (options->update && !string)
        cli_error("learn: %s: it is no policy file, as it is not UTF-8", options->update);
    else
        *ret = string ? json_pack("{s:s, s:o}", "path", options->update, "text", string) : NULL;
    return r == 0 && (string || !options->update);
}

static json_t *request_of(const struct cli_options *options, const char *name, uint64_t span,
                          json_t *update /* or NULL */)
{
    json_t *request = control_request(name), *names = json_array(), *select = json_array();

    for (int i = 0; i < options->n_args; i++)
        json_array_append_new(names, json_string(options->args[i]));
    for (size_t i = 0; i < options->select.n; i++)
        json_array_append_new(select, json_string(options->select.v[i]));
    json_object_set_new(request, "containers", names);
    json_object_set_new(request, "select", select);
    if (span)
        json_object_set_new(request, "for", json_integer((json_int_t)span));
    if (update)
        json_object_set(request, "update", update);
    return request;
}

static json_t *ask(const struct settings *settings, const struct cli_options *options, const char *name,
                   uint64_t span, json_t *update)
{
    json_t *request = request_of(options, name, span, update), *answer = NULL;
    int r = control_call(settings->control, request, CLI_TIMEOUT_MS, &answer);

    json_decref(request);
    if (r == 0)
        return answer;
    cli_complain(settings->control, r);
    return NULL;
}

/* Who is not watched yet, is from now on. */
static bool is_not_watched(const json_t *answer)
{
    const char *code = json_string_value(json_object_get(answer, "code"));

    return code && strcmp(code, "not_watched") == 0;
}

/* ---- the file ----------------------------------------------------------------------------------------- */

static bool may_replace(const struct cli_options *options)
{
    char line[16] = "";

    if (options->yes)
        return true;
    if (!isatty(STDIN_FILENO)) {
        cli_error("learn: %s exists; say --yes to have it replaced", options->output);
        return false;
    }
    fprintf(stderr, "%s exists. Replace it? Type yes to go on: ", options->output);
    fflush(stderr);
    if (fgets(line, sizeof(line), stdin) && strcmp(line, "yes\n") == 0)
        return true;
    cli_error("learn: %s is left as it is", options->output);
    return false;
}

static int write_whole(int fd, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t n = write(fd, text, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        text += n;
        left -= (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* A file that is there is replaced as a whole, or not at all. */
static int replace_file(const char *path, const char *text)
{
    _cleanup_free_ char *made = xasprintf("%s.XXXXXX", path);
    int fd = mkostemp(made, O_CLOEXEC), r;

    if (fd < 0)
        return -errno;
    r = write_whole(fd, text);
    if (r == 0 && (fchmod(fd, 0644) < 0 || rename(made, path) < 0))
        r = -errno;
    close(fd);
    if (r < 0)
        (void)unlink(made);
    return r;
}

static int make_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), r;

    if (fd < 0)
        return -errno;
    r = write_whole(fd, text);
    close(fd);
    if (r < 0)
        (void)unlink(path);
    return r;
}

static int write_file(const struct cli_options *options, const char *text)
{
    int r = make_file(options->output, text);

    if (r == -EEXIST && !may_replace(options))
        return STATUS_ERROR;
    if (r == -EEXIST)
        r = replace_file(options->output, text);
    if (r < 0) {
        cli_error("learn: %s cannot be written: %s", options->output, strerror(-r));
        return STATUS_ERROR;
    }
    return STATUS_OK;
}

/* Returns the exit status. */
static int keep(const struct cli_options *options, const json_t *answer)
{
    const json_t *result = json_object_get(answer, "result"), *update = json_object_get(result, "update");
    const char *policy =
        json_string_value(update ? json_object_get(update, "diff") : json_object_get(result, "policy"));

    if (!options->output || !json_is_true(json_object_get(answer, "ok")))
        return STATUS_OK;
    if (policy)
        return write_file(options, policy);
    cli_error("learn: %s is not written, as nothing was seen yet", options->output);
    return STATUS_OK;
}

/* ------------------------------------------------------------------------------------------------------- */

static void print(const struct cli_options *options, const json_t *result, int exit_status)
{
    (void)exit_status;
    learn_print(result, options->output, stdout, cli_colour(stdout));
    learn_print_problems(result, stderr, cli_colour(stderr));
}

int cli_learn(int argc, char **argv)
{
    _cleanup_(settings_freep) struct settings *settings = NULL;
    struct cli_options options;
    json_t *update = NULL;
    uint64_t span = 0;
    int status, kept;

    if (!cli_options_parse(&verb, argc, argv, &options, &status))
        return status;
    if (!check(&options, &span))
        return STATUS_USAGE;
    if (cli_settings(&options, &settings) < 0)
        return STATUS_ERROR;
    if (!read_update(&options, &update))
        return STATUS_ERROR;
    json_t *answer = ask(settings, &options, verb_of(&options), span, update);
    json_decref(update);
    if (is_not_watched(answer) && !options.stop && !options.forget && !options.update) {
        json_decref(answer);
        answer = ask(settings, &options, "learn", 0, NULL);
    }
    if (!answer)
        return STATUS_ERROR;
    kept = keep(&options, answer);
    if (kept != STATUS_OK)
        options.output = NULL; /* what could not be written is not lost */
    status = cli_conclude(&verb, &options, answer, print);
    return kept != STATUS_OK ? kept : status;
}
