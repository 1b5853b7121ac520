/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the records of connections go: to the file, to the journal, and to whoever else wants them. */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include "denial/judge.h"

#define MESSAGE_DENIED "8d3f2c61a7b94e5c9f0e64b1d27a3c58"

/* ---- the file ----------------------------------------------------------------------------------------- */

/* Whoever rotates the log moves it away; then the path is another file, or none. */
static bool is_moved(const char *path, int fd)
{
    struct stat is, open;

    return stat(path, &is) < 0 || fstat(fd, &open) < 0 || is.st_dev != open.st_dev ||
           is.st_ino != open.st_ino;
}

static int open_file(struct records *records, const char *path)
{
    if (records->file >= 0 && !is_moved(path, records->file))
        return 0;
    if (records->file >= 0)
        close(records->file);
    records->file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
    return records->file < 0 ? -errno : 0;
}

/* A line whole, or marked as broken by a line end. */
static int append_line(int fd, const char *text)
{
    _cleanup_free_ char *line = xasprintf("%s\n", text);
    size_t len = strlen(line), done = 0;

    while (done < len) {
        ssize_t n = write(fd, line + done, len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int r = n < 0 ? -errno : -EIO;

            if (done > 0)
                (void)!write(fd, "\n", 1);
            return r;
        }
        done += (size_t)n;
    }
    return 0;
}

static void write_file(struct daemon *daemon, const json_t *record)
{
    struct records *records = &daemon->records;
    const char *path = daemon->settings->log.file;
    int r;

    if (!path)
        return;
    _cleanup_free_ char *text = json_dumps(record, JSON_COMPACT);
    r = open_file(records, path);
    if (r == 0)
        r = text ? append_line(records->file, text) : -ENOMEM;
    if (r < 0)
        records->unwritten++;
    if (r < 0 && r != records->file_error)
        log_text(LOG_ERR, "denied connections cannot be written to %s: %s", path, strerror(-r));
    records->file_error = r;
}

/* ---- the journal -------------------------------------------------------------------------------------- */

static const char *text_at(const json_t *record, const char *a, const char *b, const char *c)
{
    const json_t *json = json_object_get(json_object_get(record, a), b);
    const char *text = json_string_value(c ? json_object_get(json, c) : json);

    return text ? text : "";
}

static const char *container_at(const json_t *record, const char *end, const char *key)
{
    const json_t *container =
        json_object_get(json_object_get(json_object_get(record, "cofferdam"), end), "container");
    const char *text = json_string_value(json_object_get(container, key));

    return text ? text : "";
}

static void write_journal(const struct daemon *daemon, const json_t *record)
{
    json_int_t count = json_integer_value(json_object_get(json_object_get(record, "cofferdam"), "count"));

    if (daemon->settings->log.journal == LOG_JOURNAL_OFF || !log_is_journal())
        return;
    sd_journal_send("MESSAGE=%s; %lld packet%s", denial_message(record), (long long)count,
                    count == 1 ? "" : "s", "MESSAGE_ID=" MESSAGE_DENIED, "PRIORITY=%i", LOG_NOTICE,
                    "COFFERDAM_VERDICT=deny", "COFFERDAM_POINT=%s",
                    text_at(record, "cofferdam", "point", NULL), "COFFERDAM_DIRECTION=%s",
                    text_at(record, "cofferdam", "direction", NULL), "COFFERDAM_SOURCE=%s",
                    text_at(record, "source", "ip", NULL), "COFFERDAM_DESTINATION=%s",
                    text_at(record, "destination", "ip", NULL), "COFFERDAM_SOURCE_CONTAINER=%s",
                    container_at(record, "source", "name"), "COFFERDAM_SOURCE_CONTAINER_ID=%s",
                    container_at(record, "source", "id"), "COFFERDAM_DESTINATION_CONTAINER=%s",
                    container_at(record, "destination", "name"), "COFFERDAM_DESTINATION_CONTAINER_ID=%s",
                    container_at(record, "destination", "id"), "COFFERDAM_POLICY=%s",
                    text_at(record, "rule", "ruleset", NULL), "COFFERDAM_RULE=%s",
                    text_at(record, "rule", "name", NULL), "COFFERDAM_COUNT=%lld", (long long)count, NULL);
}

/* ---- all who want them ---------------------------------------------------------------------------------- */

static void write_record(struct daemon *daemon, const json_t *record)
{
    write_file(daemon, record);
    write_journal(daemon, record);
    daemon->records.n_written++;
}

void records_publish(struct daemon *daemon, const json_t *record, bool final)
{
    if (final)
        write_record(daemon, record);
    watch_record(daemon, record, final);
}

void records_close(struct records *records)
{
    if (records->file >= 0)
        close(records->file);
    *records = (struct records){.file = -1};
}
