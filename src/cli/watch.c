/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follows the daemon's records, and reads those of its log.
 */
#include "cli/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

#include "control/client.h"

#define RETRY_MS 250 /* whether the daemon is back */

static const struct cli_verb verb = {
    .name = "watch",
    .arguments = "",
    .takes = TAKES_CONTROL | TAKES_WATCH,
    .about =
        "Shows who is denied what, a line each as it happens, until ^C: from whom to whom, the verdict, and the rule and\n"
        "policy that it comes from. A connection has its line at its first packet; where more than ten packets came, a\n"
        "second one tells how many, within a minute. What is denied again and again at that time is shown at once.\n"
        "\n"
        "With --last, --since or --until, the log is read instead, for which no daemon is needed: what it holds of ended\n"
        "connections is shown, and with -f also what comes then. With --json, each line is a record of the log.\n"
        "\n"
        "Of one filter given several times, one must match; of different ones, all must. --not before a filter leaves out\n"
        "what that one means, and nothing else is changed by it.\n",
    .examples =
        "Examples:\n"
        "  cofferdam watch --container web             all that web is denied, or others to it\n"
        "  cofferdam watch --from shop/web --not --to 'cache-*'\n"
        "  cofferdam watch --allowed --port 5432       who uses the database?\n"
        "  cofferdam watch --since 10m -f              the last ten minutes, and what comes\n"
        "  cofferdam watch --json | jq -r .message\n"
        "\n"
        "Exit status: 0 ended by ^C, or the log was read; 1 the daemon has ended (without -f), or another error;\n"
        "64 wrong usage.\n",
};

struct session {
    const struct cli_options *options;
    struct settings *settings;
    json_t *request;
    struct watch_filter *filter;
    struct watch_past past;
    struct watch_out out;
    struct control_follow *follow;
};

static void session_clear(struct session *session)
{
    settings_free(session->settings);
    json_decref(session->request);
    watch_filter_free(session->filter);
    control_follow_close(session->follow);
}

/* ---- what is asked for -------------------------------------------------------------------------------- */

static void add_filter(json_t *list, const char *field, const char *value, bool negated)
{
    json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "field", field, "value", value, "not", negated));
}

static json_t *make_request(const struct cli_options *options)
{
    json_t *request = control_request(verb.name), *list = json_array();

    for (size_t i = 0; i < options->filters.n; i++)
        add_filter(list, options->filters.v[i].field, options->filters.v[i].value,
                   options->filters.v[i].negated);
    if (options->denied)
        add_filter(list, "verdict", record_verdict_name(RECORD_DENIED), false);
    if (options->denied && options->allowed)
        add_filter(list, "verdict", record_verdict_name(RECORD_ALLOWED), false);
    json_object_set_new(request, "filters", list);
    json_object_set_new(request, "allowed", json_boolean(options->allowed));
    return request;
}

static bool read_filter(struct session *session)
{
    _cleanup_diags_ struct diags diags = {};

    if (!cli_all_utf8(session->options)) {
        cli_error("watch: the names must be UTF-8");
        return false;
    }
    if (session->options->filters.negate) {
        cli_error("watch: behind '--not' a filter is missing: it leaves out what the next one means");
        return false;
    }
    session->request = make_request(session->options);
    if (watch_filter_from_json(session->request, &session->filter, &diags) == 0)
        return true;
    cli_error("watch: %s%s%s", diags.v[0].message, diags.v[0].help ? "\n  " : "", diags.v[0].help ?: "");
    return false;
}

static bool read_time(const char *option, const char *text, uint64_t *ret)
{
    if (!text || cli_moment(text, ret) == 0)
        return true;
    cli_error(
        "watch: --%s '%s' is no time\n  write how long ago (90s, 10m, 1d12h), or when: 2026-11-20T15:04:05Z, "
        "2026-11-20T16:04:05+01:00",
        option, text);
    return false;
}

static bool read_past(struct session *session)
{
    const struct cli_options *options = session->options;
    char *rest;
    unsigned long last = options->last ? strtoul(options->last, &rest, 10) : 0;

    if (options->last &&
        (options->last[strspn(options->last, "0123456789")] || !last || last > WATCH_LAST_MAX)) {
        cli_error("watch: --last '%s' is no number from 1 to %d", options->last, WATCH_LAST_MAX);
        return false;
    }
    session->past.last = last;
    session->past.filter = session->filter;
    if (!read_time("since", options->since, &session->past.since) ||
        !read_time("until", options->until, &session->past.until))
        return false;
    if (session->past.until && session->past.until < session->past.since) {
        cli_error("watch: --until is before --since");
        return false;
    }
    if (options->follow && (options->until || options->input_file)) {
        cli_error("watch: with %s there is nothing to follow", options->until ? "--until" : "--input-file");
        return false;
    }
    return true;
}

static bool wants_past(const struct cli_options *options)
{
    return options->last || options->since || options->until;
}

/* ---- until ^C ----------------------------------------------------------------------------------------- */

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* The second ^C ends it at once: whoever reads what is printed may have stopped to. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/*
 * Waits for the daemon (fd -1: not for it), at most so long (-1: without end). 0 or -EINTR: it is to stop; -EPIPE: nobody
 * reads what is printed any more.
 */
static int wait_for(int fd, int timeout_ms)
{
    const struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
    struct pollfd fds[] = {{.fd = STDOUT_FILENO}, {.fd = fd, .events = POLLIN}};
    sigset_t signals, before;
    int r = 0;

    /* Only while it waits: a write to a pipe that is full must end by them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, &before);
    if (!stopped)
        r = ppoll(fds, ARRAY_SIZE(fds), timeout_ms < 0 ? NULL : &timeout, &before) < 0 ? -errno : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (stopped)
        return -EINTR;
    if (r < 0)
        return r == -EINTR ? 0 : r;
    return fds[0].revents & (POLLERR | POLLHUP | POLLNVAL) ? -EPIPE : 0;
}

/* ---- following ---------------------------------------------------------------------------------------- */

static void on_line(const json_t *line, void *userdata)
{
    const json_t *record = json_object_get(line, "record"), *lost = json_object_get(line, "lost");
    struct session *session = userdata;

    if (stopped)
        return;
    if (json_is_object(record))
        watch_print(&session->out, record, json_is_true(json_object_get(line, "final")));
    if (!json_is_integer(lost))
        return;
    session->out.lost += (uint64_t)json_integer_value(lost);
    fflush(session->out.out);
    cli_error("lost: %lld; they came faster than they were read here", (long long)json_integer_value(lost));
}

/* 0; an error of control_follow_open(); or -ECANCELED: the daemon refuses, which was said, and *ret_exit is for it. */
static int open_stream(struct session *session, int *ret_exit)
{
    json_t *answer = NULL;
    int r = control_follow_open(session->settings->control, session->request, CLI_TIMEOUT_MS, &answer,
                                &session->follow);

    if (r < 0)
        return r;
    const char *problem = json_string_value(json_object_get(json_object_get(answer, "result"), "problem"));
    if (!json_is_true(json_object_get(answer, "ok"))) {
        *ret_exit = cli_print_answer(answer, session->options, NULL);
        session->follow = control_follow_close(session->follow);
        r = -ECANCELED;
    } else if (problem) {
        cli_error("warning: %s", problem);
    }
    json_decref(answer);
    return r;
}

/* 0 once it is back; else as wait_for() and open_stream(). */
static int open_again(struct session *session, int *ret_exit)
{
    int r;

    session->follow = control_follow_close(session->follow);
    cli_error("the daemon has ended; waiting for it to come back");
    do {
        r = wait_for(-1, RETRY_MS);
        if (r < 0)
            return r;
        r = open_stream(session, ret_exit);
    } while (r == -ECONNRESET || r == -ETIMEDOUT || r == -EAGAIN ||
             cli_no_daemon(session->settings->control, r));
    if (r == 0)
        cli_error("the daemon is back; what was denied meanwhile is only in its log, if anywhere");
    return r;
}

/* Until it is to end: why. */
static int follow(struct session *session, int *ret_exit)
{
    for (int r = 0;;) {
        r = control_follow_read(session->follow, on_line, session);
        if (fflush(session->out.out) != 0)
            return errno == EINTR ? -EINTR : -EPIPE;
        if (r == -ECONNRESET && session->options->follow)
            r = open_again(session, ret_exit);
        else if (r == 0)
            r = wait_for(control_follow_fd(session->follow), -1);
        if (r < 0)
            return r;
    }
}

static int conclude(const struct session *session, int error, int refused)
{
    if (error == -EINTR || error == -EPIPE)
        __fpurge(session->out.out); /* what could not be written will not be either */
    if (error == -EINTR)
        clearerr(session->out.out);
    if (error == -ECANCELED)
        return refused;
    if (error == -ECONNRESET)
        cli_error("the daemon has ended, and what happens is not shown any more\n"
                  "  with -f, this waits for it to come back");
    else if (error != -EINTR && error != -EPIPE)
        cli_complain(session->settings->control, error);
    if (error != -EPIPE)
        watch_print_sum(&session->out);
    return error == -EINTR || error == -EPIPE ? STATUS_OK : STATUS_ERROR;
}

/* ------------------------------------------------------------------------------------------------------- */

/* 0 or a negative errno, and it was said what is wrong. */
static int read_log(struct session *session)
{
    const char *path = session->settings->log.file;

    if (!path) {
        cli_error("there is no log to be read: the settings have log: {file: off}");
        return -ENOENT;
    }
    int r = watch_past_log(&session->past, path, &session->out);
    return r == 0 && fflush(session->out.out) != 0 ? -EIO : r;
}

/* What comes while the log is read is not missed: it waits. */
static int run(struct session *session)
{
    const struct cli_options *options = session->options;
    int refused = STATUS_ERROR, r = 0;

    if (cli_settings(options, &session->settings) < 0)
        return STATUS_ERROR;
    if (wants_past(options) && !options->follow)
        return read_log(session) < 0 ? STATUS_ERROR : STATUS_OK;
    r = open_stream(session, &refused);
    if (r == -ECANCELED)
        return refused;
    if (r < 0) {
        cli_complain(session->settings->control, r);
        return STATUS_ERROR;
    }
    catch_signals();
    if (wants_past(options))
        r = read_log(session);
    if (r < 0 && r != -ENOENT) /* what was not logged yet may come */
        return STATUS_ERROR;
    return conclude(session, follow(session, &refused), refused);
}

int cli_watch(int argc, char **argv)
{
    _cleanup_(session_clear) struct session session = {};
    struct cli_options options;
    int status;

    if (!cli_options_parse(&verb, argc, argv, &options, &status))
        return status;
    session.options = &options;
    if (!read_filter(&session) || !read_past(&session)) {
        fputs("see cofferdam watch --help\n", stderr);
        return STATUS_USAGE;
    }
    watch_out_init(&session.out, options.json, wants_past(&options) || options.input_file, stdout);
    if (options.input_file)
        return watch_past_file(&session.past, options.input_file, &session.out) < 0 ? STATUS_ERROR
                                                                                    : STATUS_OK;
    return run(&session);
}
