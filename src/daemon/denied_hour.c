/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was denied within the last hour, for status. What an earlier daemon has written to the log is read back when it is
 * first asked for.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/utc.h"
#include "watch/hour.h"
#include "watch/record.h"

#define READ_BACK_MAX                                                                                        \
    (4 * 1024 * 1024) /* bytes of a file, from its end: some 3,000 records, in a twentieth of a second */

static uint64_t wall_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void denied_hour_open(struct daemon *daemon)
{
    daemon->hour.hour = denied_hour_new();
    daemon->hour.started = daemon->hour.since = wall_now();
}

void denied_hour_close(struct daemon *daemon)
{
    daemon->hour.hour = denied_hour_free(daemon->hour.hour);
}

void denied_hour_record(struct daemon *daemon, const json_t *record, bool final)
{
    if (final && daemon->hour.hour)
        (void)denied_hour_add(daemon->hour.hour, record, wall_now());
}

/* ---- reading back ------------------------------------------------------------------------------------- */

/* The file's last bytes. *ret_whole: they are all of it. Returns 0 or a negative errno. */
static int read_end(const char *path, char **ret, size_t *ret_len, bool *ret_whole)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    _cleanup_free_ char *bytes = NULL;
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    off_t from = st.st_size > READ_BACK_MAX ? st.st_size - READ_BACK_MAX : 0;
    bytes = xcalloc(READ_BACK_MAX, 1);
    n = pread(fd, bytes, READ_BACK_MAX, from);
    if (n < 0)
        return -errno;
    *ret = STEAL(bytes);
    *ret_len = (size_t)n;
    *ret_whole = from == 0;
    return 0;
}

/* Those of this daemon are counted already. Returns whether it ended too long ago. */
static bool add_line(struct denied_keep *keep, const char *line, size_t len, uint64_t now)
{
    json_t *record = json_loadb(line, len, 0, NULL);
    uint64_t began, ended;
    bool old = false;

    if (utc_parse_usec(record_text(record, "@timestamp"), &began) == 0 && began < keep->started &&
        utc_parse_usec(record_text(record, "event.end"), &ended) == 0) {
        old = ended + DENIED_HOUR <= now;
        if (!old)
            (void)denied_hour_add(keep->hour, record, now);
        if (ended < keep->since)
            keep->since = ended;
    }
    json_decref(record);
    return old;
}

/* Returns whether there is nothing to be looked for in older files. */
static bool read_back(struct denied_keep *keep, const char *path, uint64_t now)
{
    _cleanup_free_ char *bytes = NULL;
    bool whole = true, old = false;
    size_t len = 0;

    if (read_end(path, &bytes, &len, &whole) < 0)
        return true;
    const char *line = bytes, *end = bytes + len, *next;

    if (!whole) { /* the first one may be cut */
        next = memchr(line, '\n', len);
        line = next ? next + 1 : end;
    }
    for (; line < end; line = next + 1) {
        next = memchr(line, '\n', (size_t)(end - line)) ?: end;
        old = add_line(keep, line, (size_t)(next - line), now) || old;
    }
    return !whole || old;
}

static void read_log(struct daemon *daemon, uint64_t now)
{
    struct denied_keep *keep = &daemon->hour;
    const char *path = daemon->settings->log.file;

    if (keep->read_back || !path)
        return;
    keep->read_back = true;
    if (now >= keep->started + DENIED_HOUR || read_back(keep, path, now))
        return;
    _cleanup_free_ char *rotated = xasprintf("%s.1", path);

    (void)read_back(keep, rotated, now);
}

/* ---- telling ------------------------------------------------------------------------------------------ */

struct adding {
    struct denied_hour *hour;
    uint64_t now;
};

static void add_open(const json_t *record, void *userdata)
{
    const struct adding *adding = userdata;

    (void)denied_hour_add(adding->hour, record, adding->now);
}

json_t *denied_hour_status(struct daemon *daemon)
{
    _cleanup_(denied_hour_freep) struct denied_hour *all = NULL;
    uint64_t now = wall_now();

    if (!daemon->hour.hour || !daemon->denied.denials)
        return json_null();
    read_log(daemon, now);
    all = denied_hour_copy(daemon->hour.hour);
    records_each_open(daemon, add_open, &(struct adding){all, now});
    return denied_hour_to_json(all, now, daemon->hour.since);
}
