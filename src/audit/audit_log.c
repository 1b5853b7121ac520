/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/fd.h"

struct audit_log *audit_log_new(const char *path)
{
    struct audit_log *log = xnew(struct audit_log);

    log->fd = -1;
    log->path = path[0] == '/' ? xstrdup(path) : NULL;
    return log;
}

struct audit_log *audit_log_free(struct audit_log *log)
{
    if (!log)
        return NULL;
    for (size_t i = 0; i < log->n_waiting; i++)
        free(log->waiting[i]);
    free(log->waiting);
    close_fdp(&log->fd);
    free(log->path);
    free(log);
    return NULL;
}

/* ---- the file ----------------------------------------------------------------------------------------- */

static void close_file(struct audit_log *log)
{
    close_fdp(&log->fd);
    log->fd = -1;
}

/* Its name is on the disk, too. */
static int sync_directory(const char *directory)
{
    _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Where others may write, they could write lines of their own. */
static bool is_own(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid()) &&
           !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static int open_file(struct audit_log *log)
{
    const char *slash = strrchr(log->path, '/');
    _cleanup_free_ char *directory =
        slash == log->path ? xstrdup("/") : xstrndup(log->path, (size_t)(slash - log->path));

    if (mkdir(directory, 0750) < 0 && errno != EEXIST)
        return -errno;
    /* It is read only for how it ends. O_NONBLOCK: to open a FIFO must not hang. */
    _cleanup_close_ int fd =
        open(log->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
    if (fd < 0)
        return -errno;
    if (!is_own(fd))
        return -EPERM;
    int r = sync_directory(directory);
    if (r < 0)
        return r;
    log->fd = fd;
    fd = -1;
    return 0;
}

static bool is_moved(const struct audit_log *log)
{
    struct stat ours, named;

    return fstat(log->fd, &ours) < 0 || stat(log->path, &named) < 0 || ours.st_dev != named.st_dev ||
           ours.st_ino != named.st_ino;
}

/* By a crash, or by a disk that was full. */
static bool ends_in_a_line(int fd)
{
    struct stat st;
    char last = '\n';

    return fstat(fd, &st) < 0 || st.st_size == 0 || pread(fd, &last, 1, st.st_size - 1) != 1 || last == '\n';
}

/* In one write, or else in as few as there must be; not on the disk yet. */
static int append(int fd, const char *text)
{
    for (size_t len = strlen(text); len > 0;) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_line(struct audit_log *log, const char *line)
{
    int r = 0;

    if (log->fd >= 0 && (is_moved(log) || !is_own(log->fd))) {
        fsync(log->fd);
        close_file(log);
    }
    if (log->fd < 0)
        r = open_file(log);
    if (r < 0)
        return r;
    _cleanup_free_ char *ended = ends_in_a_line(log->fd) ? NULL : xasprintf("\n%s", line);
    return append(log->fd, ended ? ended : line);
}

/* ---- lines that wait ---------------------------------------------------------------------------------- */

/* Some have waited long: they are written together, and may be there twice where it is not certain that they are. */
int audit_log_retry(struct audit_log *log)
{
    size_t n = 0;
    int r = 0;

    while (n < log->n_waiting && (r = write_line(log, log->waiting[n])) == 0)
        n++;
    if (log->fd >= 0 && n > 0 && fsync(log->fd) < 0) {
        r = -errno;
        n = 0;
    }
    if (r < 0)
        close_file(log); /* it may be another disk by the next time */
    for (size_t i = 0; i < n; i++)
        free(log->waiting[i]);
    if (n > 0)
        memmove(log->waiting, log->waiting + n, (log->n_waiting - n) * sizeof(*log->waiting));
    log->n_waiting -= n;
    log->error = r;
    return r;
}

int audit_log_write(struct audit_log *log, const char *line)
{
    if (!log->path)
        return 0;
    if (log->n_waiting >= AUDIT_WAITING_MAX && audit_log_retry(log) < 0) {
        log->n_lost++;
        return log->error;
    }
    *ARRAY_ADD(log->waiting, log->n_waiting) = xstrdup(line);
    return audit_log_retry(log);
}

const char *audit_log_why(int error)
{
    return error == -EPERM ? "it is no file that root alone may write" : strerror(-error);
}

/* ---- a whole entry ------------------------------------------------------------------------------------ */

#define ID_SIZE sizeof("0123456789abcdef")

static uint64_t wall_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The kernel has enough of it as soon as it runs services. */
static void make_id(char ret[static ID_SIZE])
{
    uint64_t id = 0;

    if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id))
        id = wall_now();
    snprintf(ret, ID_SIZE, "%016" PRIx64, id);
}

int audit_log_record(struct audit_log *log, struct audit_facts *facts, void (*tell)(const json_t *entry))
{
    char id[ID_SIZE];

    make_id(id);
    facts->id = id;
    facts->time = wall_now();
    json_t *entry = audit_entry(facts);
    _cleanup_free_ char *line = audit_line(entry);
    tell(entry);
    json_decref(entry);
    return audit_log_write(log, line);
}
