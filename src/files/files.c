/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "files/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/codes.h"
#include "util/fd.h"

static struct diag *report(struct diags *diags, enum diag_level level, enum policy_code code,
                           const char *path, const char *message)
{
    const struct source_pos pos = {.file = *path ? path : NULL, .width = 1};

    return diag_add(diags, level, policy_code_id(code), &pos, "%s", message);
}

static int fail(struct diags *diags, enum policy_code code, const char *path, const char *message,
                const char *help)
{
    struct diag *diag = report(diags, DIAG_ERROR, code, path, message);

    if (help)
        diag_help(diag, "%s", help);
    return -EBADMSG;
}

static int fail_read(struct diags *diags, const char *path, int error)
{
    _cleanup_free_ char *message =
        *path ? xasprintf("cannot be read: %s", strerror(error)) : xstrdup("the path is empty");

    return fail(diags, CODE_READ, path, message, NULL);
}

/* Whoever may write here decides what is enforced. */
static void check_permissions(const struct stat *st, const char *path, struct diags *diags)
{
    bool directory = S_ISDIR(st->st_mode);

    if (st->st_mode & S_IWOTH)
        diag_help(report(diags, DIAG_WARNING, CODE_WRITABLE, path,
                         directory ? "every user of this host may put policies into this directory"
                                   : "every user of this host may change this file"),
                  "chmod o-w");
    if (st->st_uid != 0 && st->st_uid != geteuid()) {
        _cleanup_free_ char *message =
            xasprintf("it belongs to user %u, neither root nor the caller", st->st_uid);

        diag_help(report(diags, DIAG_WARNING, CODE_OWNER, path, message), "chown root");
    }
}

/* Reads until the end, or max bytes; a NUL is put behind them. */
static int read_all(int fd, size_t max, char **ret, size_t *ret_len)
{
    _cleanup_free_ char *bytes = xcalloc(max + 1, 1);
    size_t len = 0;

    while (len < max) {
        ssize_t n = read(fd, bytes + len, max - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret = STEAL(bytes);
    *ret_len = len;
    return 0;
}

int files_read(const char *path, size_t max, char **ret, size_t *ret_len)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -errno : files_read_fd(fd, max, ret, ret_len);
}

int files_read_fd(int fd, size_t max, char **ret, size_t *ret_len)
{
    _cleanup_free_ char *bytes = NULL;
    size_t len = 0;
    int r = read_all(fd, max + 1, &bytes, &len);

    if (r < 0)
        return r;
    if (len > max)
        return -EFBIG;
    *ret = STEAL(bytes);
    if (ret_len)
        *ret_len = len;
    return 0;
}

static bool is_own(const struct stat *st)
{
    return S_ISREG(st->st_mode) && (st->st_uid == 0 || st->st_uid == geteuid()) &&
           !(st->st_mode & (S_IWGRP | S_IWOTH));
}

int files_read_own(const char *path, size_t max, char **ret, size_t *ret_len)
{
    /* O_NONBLOCK: to open a FIFO must not hang. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    _cleanup_free_ char *bytes = NULL;
    size_t len = 0;
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!is_own(&st))
        return -EPERM;
    r = read_all(fd, max + 1, &bytes, &len);
    if (r < 0)
        return r;
    if (len > max)
        return -EFBIG;
    *ret = STEAL(bytes);
    if (ret_len)
        *ret_len = len;
    return 0;
}

/* Takes an open file. The bytes are the caller's to free. */
static int read_regular(int fd, const char *path, char **ret, size_t *ret_len, struct diags *diags)
{
    struct stat st;
    int r;

    if (fstat(fd, &st) < 0)
        return fail_read(diags, path, errno);
    if (!S_ISREG(st.st_mode))
        return fail(diags, CODE_FILE_TYPE, path, "not a regular file",
                    "policies and settings are read from files only");
    check_permissions(&st, path, diags);
    /* one byte more than is allowed, so that the parser sees that a file is too large */
    r = read_all(fd, POLICY_FILE_MAX + 1, ret, ret_len);
    return r < 0 ? fail_read(diags, path, -r) : 0;
}

/* O_NONBLOCK: to open a FIFO or a device must not hang. */
static int open_path(int dir, const char *name, int *ret)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return -errno;
    *ret = fd;
    return 0;
}

static int load_policy_file(int fd, const char *path, struct policy_set *set, struct diags *diags)
{
    _cleanup_free_ char *bytes = NULL;
    size_t len = 0;
    int r = read_regular(fd, path, &bytes, &len, diags);

    return r < 0 ? r : policy_parse(set, path, bytes, len, diags);
}

/* ---- directories -------------------------------------------------------------------------------------- */

struct names {
    char **v;
    size_t n;
};

static void names_clear(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->v[i]);
    free(names->v);
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Takes fd over. More than the limit is -E2BIG. */
static int list_names(int fd, struct names *names)
{
    _cleanup_(close_dir) DIR *dir = fdopendir(fd);
    struct dirent *entry;

    if (!dir) {
        int r = -errno;

        close(fd);
        return r;
    }
    for (errno = 0; (entry = readdir(dir)); errno = 0) {
        const char *name = entry->d_name;

        if (name[0] == '.' || !(ends_with(name, ".yaml") || ends_with(name, ".yml")))
            continue;
        if (names->n == POLICY_FILES_MAX)
            return -E2BIG;
        *ARRAY_ADD(names->v, names->n) = xstrdup(name);
    }
    if (errno)
        return -errno;
    if (names->n)
        qsort(names->v, names->n, sizeof(*names->v), compare_names);
    return 0;
}

static int load_entry(int dir, const char *path, const char *name, struct policy_set *set,
                      struct diags *diags)
{
    _cleanup_free_ char *full = xasprintf("%s%s%s", path, ends_with(path, "/") ? "" : "/", name);
    _cleanup_close_ int fd = -1;
    int r = open_path(dir, name, &fd);

    return r < 0 ? fail_read(diags, full, -r) : load_policy_file(fd, full, set, diags);
}

static int fail_many(struct diags *diags, const char *path)
{
    _cleanup_free_ char *message = xasprintf("more than %d policy files in this directory", POLICY_FILES_MAX);

    return fail(diags, CODE_TOO_MANY_FILES, path, message, "a file may hold many policies");
}

static int load_directory(int fd, const char *path, struct policy_set *set, struct diags *diags)
{
    _cleanup_(names_clear) struct names names = {0};
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    int r, result = 0;

    r = copy < 0 ? -errno : list_names(copy, &names);
    if (r == -E2BIG)
        return fail_many(diags, path);
    if (r < 0)
        return fail_read(diags, path, -r);
    if (!names.n)
        diag_help(report(diags, DIAG_WARNING, CODE_NO_FILES, path,
                         "no policy files (*.yaml, *.yml) in this directory"),
                  "without policies every container is denied everything");
    for (size_t i = 0; i < names.n; i++)
        if (load_entry(fd, path, names.v[i], set, diags) < 0)
            result = -EBADMSG;
    return result;
}

int files_load_policies(const char *path, struct policy_set *set, struct diags *diags)
{
    _cleanup_close_ int fd = -1;
    struct stat st;
    int r = open_path(AT_FDCWD, path, &fd);

    if (r < 0)
        return fail_read(diags, path, -r);
    if (fstat(fd, &st) < 0)
        return fail_read(diags, path, errno);
    if (!S_ISDIR(st.st_mode))
        return load_policy_file(fd, path, set, diags);
    check_permissions(&st, path, diags);
    return load_directory(fd, path, set, diags);
}

int files_load_settings(const char *path, bool optional, struct settings *settings, struct diags *diags)
{
    _cleanup_free_ char *bytes = NULL;
    _cleanup_close_ int fd = -1;
    size_t len = 0;
    int r = open_path(AT_FDCWD, path, &fd);

    if (r == -ENOENT && optional)
        return 0;
    if (r < 0)
        return fail_read(diags, path, -r);
    r = read_regular(fd, path, &bytes, &len, diags);
    return r < 0 ? r : settings_parse(settings, path, bytes, len, diags);
}
