/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "evidence/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "util/fd.h"

#define TOLD_MAX (16 * 1024 * 1024) /* bytes */
#define READ_SIZE (64 * 1024)

struct told {
    char *bytes;
    size_t len, size;
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void child_tell(int pipe, json_t *object)
{
    _cleanup_free_ char *text = json_dumps(object, JSON_COMPACT);
    _cleanup_free_ char *line = text ? xasprintf("%s\n", text) : xstrdup("");

    json_decref(object);
    for (size_t done = 0, len = strlen(line); done < len;) {
        ssize_t n = write(pipe, line + done, len - done);

        if (n < 0 && errno != EINTR)
            return;
        done += n > 0 ? (size_t)n : 0;
    }
}

static pid_t start(child_work work, void *userdata, int *ret_fd)
{
    pid_t parent = getpid(), pid;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        /* What is left to itself must not write on when nobody waits any more. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
            _exit(1);
        work(ends[1], userdata);
        _exit(0);
    }
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    else
        *ret_fd = ends[0];
    return pid;
}

/* False: that was all, or too much. */
static bool read_more(int fd, struct told *told)
{
    ssize_t n;

    if (told->len + READ_SIZE > told->size) {
        told->size = told->size * 2 + READ_SIZE;
        told->bytes = xreallocarray(told->bytes, told->size, 1);
    }
    n = read(fd, told->bytes + told->len, READ_SIZE);
    if (n > 0)
        told->len += (size_t)n;
    return n > 0 ? told->len < TOLD_MAX : n < 0 && errno == EINTR;
}

static void read_until(int fd, int64_t end, struct told *told)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    for (;;) {
        int64_t left = end - now_ms();
        int r = left > 0 ? poll(&poll_fd, 1, (int)left) : 0;

        if (r == 0 || (r < 0 && errno != EINTR) || (r > 0 && !read_more(fd, told)))
            return;
    }
}

/* True: by itself, and well; what has not ended is ended, without waiting for that. */
static bool ended(pid_t pid, bool late)
{
    int status;
    pid_t r;

    /* Its end of the pipe is closed a little before it is gone; one that hangs in the kernel is not waited for. */
    for (int i = 0; (r = waitpid(pid, &status, WNOHANG)) == 0 && !late && i < 10; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    if (r == 0)
        kill(pid, SIGKILL);
    return r == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static json_t *parse(const struct told *told)
{
    json_t *list = json_array();
    size_t start = 0;

    for (size_t i = 0; i < told->len; i++) {
        json_t *object;

        if (told->bytes[i] != '\n')
            continue;
        object = json_loadb(told->bytes + start, i - start, 0, NULL);
        if (object)
            json_array_append_new(list, object);
        start = i + 1;
    }
    return list;
}

json_t *child_run(child_work work, void *userdata, int ms, bool *ret_whole)
{
    int64_t end = now_ms() + ms;
    struct told told = {0};
    _cleanup_close_ int fd = -1;
    pid_t pid = start(work, userdata, &fd);
    json_t *list;

    *ret_whole = false;
    if (pid < 0)
        return json_array();
    read_until(fd, end, &told);
    *ret_whole = ended(pid, now_ms() >= end);
    list = parse(&told);
    free(told.bytes);
    return list;
}
