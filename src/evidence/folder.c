/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "evidence/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "util/fd.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define SAME_SECOND_MAX 100

char *folder_name(const char *text)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    char *name = xstrndup(text, FOLDER_NAME_MAX);

    for (size_t i = 0; name[i]; i++)
        if (!strchr(good, name[i]) || (i == 0 && (name[i] == '.' || name[i] == '-')))
            name[i] = '_';
    if (*name)
        return name;
    free(name);
    return xstrdup("_");
}

/* ---- opening ------------------------------------------------------------------------------------------ */

static int is_empty(int folder, bool *ret)
{
    int copy = openat(folder, ".", FOLDER_FLAGS);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;

    if (!dir) {
        int error = errno;

        if (copy >= 0)
            close(copy);
        return -error;
    }
    *ret = true;
    while ((entry = readdir(dir)))
        *ret = *ret && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    closedir(dir);
    return 0;
}

/* Nobody else can put, take or read anything there. */
static bool is_own(int folder)
{
    struct stat st;

    return fstat(folder, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0;
}

static int make_in(int folder, const char *path, const char *what, long long seconds, int *ret_fd,
                   char **ret_path)
{
    char stamp[sizeof("20261121T042200Z")] = "";
    time_t time = (time_t)seconds;
    struct tm tm;

    if (!gmtime_r(&time, &tm) || strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm) == 0)
        return -ERANGE;
    for (int i = 1; i <= SAME_SECOND_MAX; i++) {
        _cleanup_free_ char *again = i > 1 ? xasprintf("-%d", i) : xstrdup("");
        _cleanup_free_ char *name = xasprintf("%s-%s%s", stamp, what, again);
        int fd;

        if (mkdirat(folder, name, 0700) < 0) {
            if (errno == EEXIST)
                continue;
            return -errno;
        }
        fd = openat(folder, name, FOLDER_FLAGS);
        if (fd < 0)
            return -errno;
        *ret_fd = fd;
        *ret_path = xasprintf("%s/%s", path, name);
        return 0;
    }
    return -EEXIST;
}

int folder_open(const char *path, const char *what, long long time, int *ret_fd, char **ret_path)
{
    bool made = mkdir(path, 0700) == 0, empty = false;
    _cleanup_close_ int fd = -1;
    int r;

    if (!made && errno != EEXIST)
        return -errno;
    fd = open(path, FOLDER_FLAGS);
    if (fd < 0) {
        int error = errno; /* a link is no directory either */

        return readlink(path, (char[1]){0}, 1) >= 0 ? -ELOOP : -error;
    }
    r = made ? 0 : is_empty(fd, &empty);
    if (r < 0)
        return r;
    if (!is_own(fd) || (!made && !empty))
        return make_in(fd, path, what, time, ret_fd, ret_path);
    *ret_path = xstrdup(path);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

int folder_write(int folder, const char *name, const void *bytes, size_t len,
                 char ret_digest[static SHA256_DIGEST_STRING_LENGTH], size_t *ret_len)
{
    _cleanup_close_ int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    size_t done = 0;
    int r = 0;

    if (fd < 0)
        return -errno;
    while (done < len && r == 0) {
        ssize_t n = write(fd, (const char *)bytes + done, len - done);

        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            r = -errno;
    }
    SHA256Data(bytes, done, ret_digest);
    *ret_len = done;
    return r;
}

int folder_make(int folder, const char *name)
{
    return mkdirat(folder, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int folder_sync(int folder, const char *name)
{
    _cleanup_close_ int fd = openat(folder, name ?: ".", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}
