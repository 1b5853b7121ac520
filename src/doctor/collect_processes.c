// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dockerd and docker-proxy, by /proc: the Engine does not tell its own options. Any user may call a program so, and a
 * container's files may be traps: files are read within the process' own root, and only regular ones.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "doctor/collect.h"
#include "files/files.h"
#include "util/fd.h"

#define PROCESSES_MAX (1024 * 1024)
#define DESCRIPTORS_MAX 65536
#define DOCKERDS_MAX 64
#define COMMAND_MAX (64 * 1024)
#define CONFIG_MAX (1024 * 1024)
#define NET_TCP_MAX (16 * 1024 * 1024)
#define ARGS_MAX 1024
#define COMM_MAX 64 /* of a process' name in /proc: 16 are the kernel's limit */

static char *proc_path(pid_t pid, const char *name)
{
    return xasprintf("/proc/%ld/%s", (long)pid, name);
}

/* False when it has gone meanwhile. */
static bool read_name(pid_t pid, char name[static COMM_MAX])
{
    _cleanup_free_ char *path = proc_path(pid, "comm"), *text = NULL;

    if (files_read(path, COMM_MAX - 1, &text, NULL) < 0)
        return false;
    text[strcspn(text, "\n")] = '\0';
    memcpy(name, text, strlen(text) + 1);
    return true;
}

/* Root's, and in our network namespace? Where that may not be asked, yes. */
static bool is_here(pid_t pid)
{
    _cleanup_free_ char *path = proc_path(pid, "ns/net"), *folder = proc_path(pid, "");
    struct stat its, ours, process;

    if (stat(folder, &process) == 0 && process.st_uid != 0)
        return false;
    if (stat(path, &its) < 0 || stat("/proc/self/ns/net", &ours) < 0)
        return true;
    return its.st_dev == ours.st_dev && its.st_ino == ours.st_ino;
}

/* ---- options ------------------------------------------------------------------------------------------ */

static int read_command(struct fact_dockerd *dockerd)
{
    _cleanup_free_ char *path = proc_path(dockerd->pid, "cmdline"), *text = NULL;
    _cleanup_free_ char **args = xcalloc(ARGS_MAX, sizeof(*args));
    size_t len, n = 0;
    int r = files_read(path, COMMAND_MAX, &text, &len);

    if (r < 0)
        return r;
    for (char *p = text; p < text + len && n < ARGS_MAX; p += strlen(p) + 1)
        args[n++] = p;
    dockerd_options_read_args(&dockerd->options, args, n);
    return 0;
}

/* As the process sees it: within its root, whatever links say. -ENOENT, also for what is no regular file. */
static int read_within(pid_t pid, const char *name, char **ret, size_t *ret_len)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_IN_ROOT};
    _cleanup_free_ char *path = proc_path(pid, "root"), *opened = NULL;
    _cleanup_close_ int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = -1;
    struct stat st;

    if (root < 0)
        return -errno;
    fd = (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -ENOENT;
    opened = xasprintf("/proc/self/fd/%d", fd);
    return files_read(opened, CONFIG_MAX, ret, ret_len);
}

static void read_config(struct fact_dockerd *dockerd)
{
    const char *path = dockerd->options.config ? dockerd->options.config : DOCKERD_CONFIG;
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_free_ char *text = NULL;
    size_t len;
    int r = read_within(dockerd->pid, path, &text, &len);

    if (r == -ENOENT)
        return;
    dockerd->config = xstrdup(path);
    if (r == 0)
        r = dockerd_options_read_config(&dockerd->options, text, len, &diags);
    if (r < 0)
        dockerd->config_error = xstrdup(diags.n ? diags.v[0].message : strerror(-r));
}

/* ---- sockets ------------------------------------------------------------------------------------------ */

struct inodes {
    unsigned long *v;
    size_t n;
};

static int read_sockets(pid_t pid, struct inodes *ret)
{
    _cleanup_free_ char *path = proc_path(pid, "fd");
    DIR *dir = opendir(path);
    const struct dirent *entry;

    if (!dir)
        return -errno;
    while (ret->n < DESCRIPTORS_MAX && (entry = readdir(dir))) {
        char target[64];
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
        unsigned long inode;

        target[len > 0 ? len : 0] = '\0';
        if (sscanf(target, "socket:[%lu]", &inode) == 1)
            *ARRAY_ADD(ret->v, ret->n) = inode;
    }
    closedir(dir);
    return 0;
}

static bool has_inode(const struct inodes *inodes, unsigned long inode)
{
    for (size_t i = 0; i < inodes->n; i++)
        if (inodes->v[i] == inode)
            return true;
    return false;
}

static int match_listeners(const char *path, enum ip_family family, const struct inodes *inodes,
                           struct fact_dockerd *dockerd)
{
    _cleanup_free_ char *text = NULL;
    char *save = NULL;
    int r = files_read(path, NET_TCP_MAX, &text, NULL);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    for (const char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        struct listener listener;

        if (listener_read(line, family, &listener) && has_inode(inodes, listener.inode))
            *ARRAY_ADD(dockerd->listeners, dockerd->n_listeners) = listener;
    }
    return 0;
}

static int read_listeners(struct fact_dockerd *dockerd)
{
    _cleanup_free_ char *tcp = proc_path(dockerd->pid, "net/tcp"),
                        *tcp6 = proc_path(dockerd->pid, "net/tcp6");
    struct inodes inodes = {0};
    int r = read_sockets(dockerd->pid, &inodes);

    if (r == 0)
        r = match_listeners(tcp, IP4, &inodes, dockerd);
    if (r == 0)
        r = match_listeners(tcp6, IP6, &inodes, dockerd);
    free(inodes.v);
    return r;
}

/* ---- all processes ------------------------------------------------------------------------------------ */

static void look_at(pid_t pid, struct fact_engine *engine)
{
    struct fact_dockerd *dockerd;
    char name[COMM_MAX];

    if (!read_name(pid, name))
        return;
    if (strcmp(name, "docker-proxy") == 0)
        engine->n_proxies += is_here(pid);
    if (strcmp(name, "dockerd") != 0 || engine->n_dockerds >= DOCKERDS_MAX)
        return;
    dockerd = ARRAY_ADD(engine->dockerds, engine->n_dockerds);
    dockerd->pid = pid;
    dockerd->here = is_here(pid);
    if (!dockerd->here)
        return;
    dockerd->error = read_command(dockerd);
    if (dockerd->error == 0)
        read_config(dockerd);
    dockerd->listeners_error = read_listeners(dockerd);
}

void collect_processes(struct fact_engine *engine)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry;

    if (!dir) {
        engine->processes_error = -errno;
        return;
    }
    for (size_t i = 0; i < PROCESSES_MAX && (entry = readdir(dir)); i++)
        if (isdigit((unsigned char)entry->d_name[0]))
            look_at((pid_t)strtol(entry->d_name, NULL, 10), engine);
    closedir(dir);
}
