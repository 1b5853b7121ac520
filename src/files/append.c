/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "files/append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"

void append_close(struct append_file *file)
{
    close_fdp(&file->fd);
    file->fd = -1;
}

/* Its name is on the disk, too. */
static int sync_directory(const char *directory)
{
    _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static bool is_own(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid()) &&
           !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return xstrdup(".");
    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

static int open_file(struct append_file *file, const char *path, mode_t mode)
{
    _cleanup_free_ char *directory = directory_of(path);

    if (mkdir(directory, 0750) < 0 && errno != EEXIST)
        return -errno;
    /* It is read only for how it ends. O_NONBLOCK: to open a FIFO must not hang. */
    _cleanup_close_ int fd =
        open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, mode);
    if (fd < 0)
        return -errno;
    if (!is_own(fd))
        return -EPERM;
    int r = sync_directory(directory);
    if (r < 0)
        return r;
    file->fd = fd;
    fd = -1;
    return 0;
}

static bool is_moved(const struct append_file *file, const char *path)
{
    struct stat ours, named;

    return fstat(file->fd, &ours) < 0 || stat(path, &named) < 0 || ours.st_dev != named.st_dev ||
           ours.st_ino != named.st_ino;
}

/* By a crash, or by a disk that was full. */
static bool ends_in_a_line(int fd)
{
    struct stat st;
    char last = '\n';

    return fstat(fd, &st) < 0 || st.st_size == 0 || pread(fd, &last, 1, st.st_size - 1) != 1 || last == '\n';
}

/* In one write, or else in as few as there must be. */
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

int append_line(struct append_file *file, const char *path, mode_t mode, const char *line)
{
    int r = 0;

    if (file->fd >= 0 && (is_moved(file, path) || !is_own(file->fd))) {
        fsync(file->fd);
        append_close(file);
    }
    if (file->fd < 0)
        r = open_file(file, path, mode);
    if (r < 0)
        return r;
    _cleanup_free_ char *ended = ends_in_a_line(file->fd) ? NULL : xasprintf("\n%s", line);
    return append(file->fd, ended ? ended : line);
}

int append_sync(const struct append_file *file)
{
    return file->fd >= 0 && fsync(file->fd) < 0 ? -errno : 0;
}

const char *append_why(int error)
{
    return error == -EPERM ? "it is no file that root alone may write" : strerror(-error);
}
