/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `cofferdam status --watch`: the status again and again, on a screen of its own, or a line of JSON each time. A daemon that
 * does not answer is waited for, with what it said last.
 */
#include "cli/status.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "control/client.h"
#include "util/text.h"
#include "util/utc.h"

#define EVERY 2
#define EVERY_MAX 3600
#define TIMEOUT_MS 5000

/* The terminal's other screen, without a cursor, and with lines that end at its edge. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

struct rounds {
    const struct cli_options *options;
    struct settings *settings;
    int seconds;
    char *text;          /* the last answer's; NULL: none came yet */
    int64_t answered_at; /* monotonic, milliseconds */
    char *problem;       /* why none came now; or NULL */
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static char *wall_clock(void)
{
    return utc_text((uint64_t)time(NULL));
}

/* ---- the terminal ------------------------------------------------------------------------------------- */

static volatile sig_atomic_t on_screen;

/* Nothing is left to do, whatever is being done. */
static void on_end(int number)
{
    (void)number;
    if (on_screen)
        (void)!write(STDOUT_FILENO, LEAVE, strlen(LEAVE));
    _exit(STATUS_OK);
}

static void on_stop(int number)
{
    int error = errno;

    (void)number;
    if (on_screen)
        (void)!write(STDOUT_FILENO, LEAVE, strlen(LEAVE));
    kill(getpid(), SIGSTOP);
    if (on_screen)
        (void)!write(STDOUT_FILENO, ENTER, strlen(ENTER));
    errno = error;
}

/* It ends the wait between two rounds, so that the screen is drawn anew. */
static void on_resize(int number)
{
    (void)number;
}

static void handle(int number, void (*handler)(int number))
{
    struct sigaction action = {.sa_handler = handler};

    sigaction(number, &action, NULL);
}

static void handle_signals(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};

    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        handle(ends[i], on_end);
    handle(SIGTSTP, on_stop);
    handle(SIGWINCH, on_resize);
}

/* One line, up to the edge: escape sequences have no width, and what they begin must end. */
static void put_line(FILE *out, const char *line, size_t len, size_t columns)
{
    size_t width = 0;

    for (size_t i = 0; i < len; i++) {
        if (line[i] == '\033') {
            size_t end = i + strcspn(line + i, "m\n");

            fwrite(line + i, 1, end - i + 1, out);
            i = end;
            continue;
        }
        width += (line[i] & 0xc0) != 0x80;
        if (width <= columns)
            fputc(line[i], out);
    }
    fputs("\033[K\n", out);
}

static size_t count_lines(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* As many as there is room for; the last says what there is not. */
static void put_lines(FILE *out, const char *text, size_t rows, size_t columns)
{
    size_t n = count_lines(text), shown = n <= rows ? n : rows - 1;

    for (size_t i = 0; i < shown; i++) {
        size_t len = strcspn(text, "\n");

        put_line(out, text, len, columns);
        text += len + 1;
    }
    if (shown < n) {
        _cleanup_free_ char *more = xasprintf("and %zu more lines, for which there is no room", n - shown);

        put_line(out, more, strlen(more), columns);
    }
}

static char *head_text(const struct rounds *rounds)
{
    _cleanup_free_ char *at = wall_clock();
    int64_t age = (now_ms() - rounds->answered_at) / 1000;

    if (!rounds->problem)
        return xasprintf("%s, every %d s", at, rounds->seconds);
    return rounds->text ? xasprintf("%s, %s: this is from %lld s ago", at, rounds->problem, (long long)age)
                        : xasprintf("%s, %s", at, rounds->problem);
}

/* Below the first line, and above the one that the cursor is on. */
static size_t room_for(const struct winsize *size)
{
    return size->ws_row > 3 ? size->ws_row - 2u : size->ws_row ? 1 : 22;
}

static void draw(const struct rounds *rounds)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    _cleanup_free_ char *head = head_text(rounds), *screen = NULL, *styled = NULL;
    bool colour = cli_colour(stdout);
    size_t len, styled_len;
    FILE *out = open_memstream(&screen, &len), *line = open_memstream(&styled, &styled_len);

    if (!out || !line)
        abort(); /* out of memory */
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    cli_print_styled(line, colour, rounds->problem ? STYLE_BAD : STYLE_DIM, head);
    fclose(line);
    fputs("\033[H", out);
    put_line(out, styled, styled_len, size.ws_col ?: 80);
    if (rounds->text)
        put_lines(out, rounds->text, room_for(&size), size.ws_col ?: 80);
    fputs("\033[J", out);
    if (fclose(out) != 0)
        abort();
    fwrite(screen, 1, len, stdout);
    fflush(stdout);
}

/* ---- rounds ------------------------------------------------------------------------------------------- */

/* The answer; an error where none came. A new reference. */
static json_t *ask(const struct rounds *rounds)
{
    json_t *request = control_request("status"), *answer = NULL;
    int r = status_fill(rounds->options, rounds->settings, request) == STATUS_OK
                ? control_call(rounds->settings->control, request, TIMEOUT_MS, &answer)
                : -EINVAL;

    json_decref(request);
    if (r == 0)
        return answer;
    _cleanup_free_ char *error = xasprintf("cofferdamd does not answer (%s)", strerror(-r));

    return control_error(STATUS_ERROR, error, NULL, NULL);
}

static bool is_good(const json_t *answer)
{
    return json_is_true(json_object_get(answer, "ok"));
}

static void print_json(json_t *answer)
{
    json_t *document = json_pack("{s:s}", "format_version", "1.0");

    json_object_update(document, is_good(answer) ? json_object_get(answer, "result") : answer);
    json_dumpf(document, stdout, JSON_COMPACT);
    fputc('\n', stdout);
    fflush(stdout);
    json_decref(document);
}

static void take_text(struct rounds *rounds, const json_t *answer)
{
    char *text = NULL;
    size_t len;

    free(STEAL(rounds->problem));
    if (!is_good(answer)) {
        rounds->problem = text_escape(json_string_value(json_object_get(answer, "error")) ?: "?", false);
        return;
    }
    FILE *out = open_memstream(&text, &len);
    if (!out)
        abort(); /* out of memory */
    status_show(rounds->options, json_object_get(answer, "result"),
                (int)json_integer_value(json_object_get(answer, "exit")), out);
    if (fclose(out) != 0)
        abort();
    free(rounds->text);
    rounds->text = text;
    rounds->answered_at = now_ms();
}

/* Until the next round. */
static void show(struct rounds *rounds, json_t *answer)
{
    int64_t until = now_ms() + rounds->seconds * 1000, left;

    if (rounds->options->json)
        print_json(answer);
    else
        take_text(rounds, answer);
    while ((left = until - now_ms()) > 0) {
        if (!rounds->options->json)
            draw(rounds);
        (void)poll(NULL, 0, (int)left);
    }
}

static bool read_seconds(const char *text, int *ret)
{
    char *end = NULL;
    long seconds = text ? strtol(text, &end, 10) : EVERY;

    *ret = (int)seconds;
    return seconds >= 1 && seconds <= EVERY_MAX && (!text || (*text >= '0' && *text <= '9' && !*end));
}

static const char *wrong_usage(const struct cli_options *options, int *ret_seconds)
{
    const char *term = getenv("TERM");

    if (!read_seconds(options->every, ret_seconds))
        return "--watch takes whole seconds, from 1 to 3600";
    if (!options->json && (!isatty(STDOUT_FILENO) || (term && strcmp(term, "dumb") == 0)))
        return "--watch draws on a terminal, and the output is none: with --json it is a line each time";
    return NULL;
}

int status_watch(const struct cli_options *options)
{
    struct rounds rounds = {.options = options};
    const char *wrong = wrong_usage(options, &rounds.seconds);

    if (wrong) {
        cli_error("status: %s\nsee cofferdam status --help", wrong);
        return STATUS_USAGE;
    }
    if (cli_settings(options, &rounds.settings) < 0)
        return STATUS_ERROR;
    handle_signals();
    if (!options->json) {
        on_screen = 1;
        (void)!write(STDOUT_FILENO, ENTER, strlen(ENTER));
    }
    while (!ferror(stdout)) {
        json_t *answer = ask(&rounds);

        show(&rounds, answer);
        json_decref(answer);
    }
    settings_free(rounds.settings);
    free(rounds.text);
    free(rounds.problem);
    return STATUS_ERROR;
}
