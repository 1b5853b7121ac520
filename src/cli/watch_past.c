/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the log's files hold, without the daemon.
 */
#include <errno.h>
#include <string.h>

#include "cli/watch.h"
#include "util/utc.h"
#include "watch/order.h"

#define LINE_SIZE (256 * 1024) /* no record is nearly as long */

struct reader {
    const struct watch_past *past;
    struct watch_out *out;
    struct watch_order order;
    char **ring; /* the last ones */
    size_t n, n_broken;
    uint64_t oldest; /* the earliest of all that was read; UINT64_MAX: nothing was */
};

/* ---- records ------------------------------------------------------------------------------------------ */

static void print_text(const struct reader *reader, const char *text)
{
    json_t *record = json_loads(text, 0, NULL);

    watch_print(reader->out, record, false);
    json_decref(record);
}

/* In order. The text is taken. */
static void on_text(char *text, void *userdata)
{
    struct reader *reader = userdata;
    size_t last = reader->past->last;

    if (!last) {
        print_text(reader, text);
        free(text);
        return;
    }
    free(reader->ring[reader->n % last]);
    reader->ring[reader->n++ % last] = text;
}

static void print_ring(struct reader *reader)
{
    size_t last = reader->past->last, n = reader->n < last ? reader->n : last;

    for (size_t i = reader->n - n; i < reader->n; i++)
        print_text(reader, reader->ring[i % last]);
}

static uint64_t time_of(const json_t *record, const char *path, uint64_t otherwise)
{
    uint64_t usec;

    return utc_parse_usec(record_text(record, path), &usec) == 0 ? usec : otherwise;
}

static void take_line(struct reader *reader, const char *line, size_t len)
{
    const struct watch_past *past = reader->past;
    json_t *record = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(record_at(record, "cofferdam"))) {
        reader->n_broken++;
        json_decref(record);
        return;
    }
    const uint64_t began = time_of(record, "@timestamp", 0), ended = time_of(record, "event.end", began);
    reader->oldest = began < reader->oldest ? began : reader->oldest;
    if (ended >= past->since && (!past->until || began <= past->until) &&
        watch_filter_matches(past->filter, record))
        watch_order_add(&reader->order, began, ended, xstrndup(line, len));
    json_decref(record);
}

/* ---- files -------------------------------------------------------------------------------------------- */

/* The rest of a line that is too long. */
static void skip_line(FILE *file)
{
    for (int c = getc(file); c != EOF && c != '\n';)
        c = getc(file);
}

static int read_lines(struct reader *reader, FILE *file)
{
    _cleanup_free_ char *line = xcalloc(LINE_SIZE, 1);

    while (fgets(line, LINE_SIZE, file)) {
        size_t len = strlen(line);

        if (len + 1 == LINE_SIZE && line[len - 1] != '\n')
            skip_line(file);
        if (strspn(line, " \t\r\n") < len)
            take_line(reader, line, len);
    }
    return ferror(file) ? -errno : 0;
}

static int read_file(struct reader *reader, const char *path)
{
    FILE *file = fopen(path, "re");

    if (!file)
        return -errno;
    int r = read_lines(reader, file);
    fclose(file);
    return r;
}

static int complain(const char *path, int error)
{
    cli_error("the log %s cannot be read: %s%s", path, strerror(-error),
              error == -ENOENT ? "\n  nothing was logged yet; or the settings say log: {file: ...} elsewhere"
              : error == -EACCES ? "\n  it is root's: try sudo"
                                 : "");
    return error;
}

static void begin(struct reader *reader, const struct watch_past *past, struct watch_out *out)
{
    *reader = (struct reader){.past = past, .out = out, .oldest = UINT64_MAX};
    reader->order = (struct watch_order){.handle = on_text, .userdata = reader};
    reader->ring = past->last ? xcalloc(past->last, sizeof(*reader->ring)) : NULL;
}

static void say_broken(const struct reader *reader, const char *path)
{
    if (reader->n_broken)
        cli_error("warning: %zu line%s of %s %s no record%s", reader->n_broken,
                  reader->n_broken == 1 ? "" : "s", path, reader->n_broken == 1 ? "is" : "are",
                  reader->n_broken == 1 ? "" : "s");
}

static void end(struct reader *reader)
{
    watch_order_end(&reader->order);
    if (reader->ring)
        print_ring(reader);
    for (size_t i = 0; reader->ring && i < reader->past->last; i++)
        free(reader->ring[i]);
    free(reader->ring);
}

/* Whoever asks for more than there is must not take what there is for all. */
static void say_oldest(const struct reader *reader)
{
    const struct watch_past *past = reader->past;
    bool short_of = past->last && reader->n < past->last;

    if (reader->oldest == UINT64_MAX) {
        cli_error("the log is empty");
        return;
    }
    if ((!past->since || reader->oldest <= past->since) && (past->since || !short_of))
        return;
    _cleanup_free_ char *oldest = utc_text(reader->oldest / 1000000);
    cli_error("the log begins at %s", oldest);
}

int watch_past_log(const struct watch_past *past, const char *path, struct watch_out *out)
{
    _cleanup_free_ char *older = xasprintf("%s.1", path);
    struct reader reader;

    begin(&reader, past, out);
    int before = read_file(&reader, older), r = read_file(&reader, path);
    if (r == -ENOENT && before == 0)
        r = 0; /* it was just rotated */
    end(&reader);
    if (r < 0)
        return complain(path, r);
    if (before < 0 && before != -ENOENT)
        return complain(older, before);
    say_broken(&reader, path);
    say_oldest(&reader);
    return 0;
}

int watch_past_file(const struct watch_past *past, const char *path, struct watch_out *out)
{
    bool standard = strcmp(path, "-") == 0;
    struct reader reader;

    begin(&reader, past, out);
    int r = standard ? read_lines(&reader, stdin) : read_file(&reader, path);
    end(&reader);
    if (r < 0) {
        cli_error("%s cannot be read: %s", path, strerror(-r));
        return r;
    }
    say_broken(&reader, standard ? "the standard input" : path);
    return 0;
}
