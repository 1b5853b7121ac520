/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "files/state_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"

#define LOCK_PAUSE_NS 10000000 /* between two tries to have a lock */

static int write_all(int fd, const char *text)
{
    size_t len = strlen(text);

    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

static int sync_directory(const char *directory)
{
    _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* The new file becomes the other of that path. */
static int put_in_place(int fd, const char *temporary, const char *path, const char *text, bool sync)
{
    int r = write_all(fd, text);

    if (r == 0 && sync && fsync(fd) < 0)
        r = -errno;
    close(fd);
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0)
        unlink(temporary);
    return r;
}

static int replace(const char *directory, const char *name, const char *text, bool sync)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name), *temporary = xasprintf("%s.new", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    return fd < 0 ? -errno : put_in_place(fd, temporary, path, text, sync);
}

int state_save(const char *directory, const char *name, const char *text)
{
    int r = replace(directory, name, text, true);

    return r < 0 ? r : sync_directory(directory);
}

int state_save_soon(const char *directory, const char *name, const char *text)
{
    return replace(directory, name, text, false);
}

/* Nothing that stands there already is opened: it may be a pipe, or a name of another file. */
int state_publish(const char *directory, const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name), *temporary = xasprintf("%s.new", path);
    int fd, r = 0;

    (void)unlink(temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0644) < 0) /* whatever the umask */
        r = -errno;
    if (r == 0)
        return put_in_place(fd, temporary, path, text, false);
    close(fd);
    unlink(temporary);
    return r;
}

int state_remove(const char *directory, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);

    int r = unlink(path) < 0 ? -errno : 0;

    /* Where nothing can be written, that comes before the question whether it is there. */
    if (r < 0 && access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    return r < 0 ? r : sync_directory(directory);
}

int state_rename(const char *directory, const char *name, const char *new_name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name),
                        *new_path = xasprintf("%s/%s", directory, new_name);

    return renameat2(AT_FDCWD, path, AT_FDCWD, new_path, RENAME_NOREPLACE) < 0 ? -errno
                                                                               : sync_directory(directory);
}

int state_hold(const char *directory, const char *name, unsigned wait_ms, int *ret_fd)
{
    static const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), r = -EWOULDBLOCK;

    if (fd < 0)
        return -errno;
    for (unsigned waited = 0; r == -EWOULDBLOCK; waited += LOCK_PAUSE_NS / 1000000) {
        r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
        if (r == -EWOULDBLOCK && waited >= wait_ms)
            break;
        if (r == -EWOULDBLOCK)
            nanosleep(&pause, NULL);
    }
    if (r < 0)
        close(fd);
    else
        *ret_fd = fd;
    return r;
}
