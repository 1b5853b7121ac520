/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control/protocol.h"
#include "util/fd.h"

#define READ_SIZE (64 * 1024)

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_for(int fd, short events, int64_t deadline)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};

    for (;;) {
        int64_t left = deadline - now_ms();
        if (left <= 0)
            return -ETIMEDOUT;
        int r = poll(&poll_fd, 1, (int)left);
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return -errno;
    }
}

static int connect_to(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -1;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* A unix socket connects at once, or says EAGAIN when the daemon's queue is full. */
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int send_all(int fd, const char *bytes, size_t len, int64_t deadline)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n >= 0) {
            bytes += n;
            len -= (size_t)n;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        int r = wait_for(fd, POLLOUT, deadline);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Reads until the daemon closes. */
static int receive_all(int fd, int64_t deadline, char **ret, size_t *ret_len)
{
    _cleanup_free_ char *bytes = NULL;
    size_t len = 0, size = 0;

    for (;;) {
        int r = wait_for(fd, POLLIN, deadline);
        if (r < 0)
            return r;
        if (size - len < READ_SIZE) {
            size = size ? size * 2 : READ_SIZE * 2;
            bytes = xreallocarray(bytes, size, 1);
        }
        ssize_t n = recv(fd, bytes + len, size - len, 0);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        if (n > 0)
            len += (size_t)n;
        if (len > CONTROL_MESSAGE_MAX)
            return -EMSGSIZE;
    }
    *ret = STEAL(bytes);
    *ret_len = len;
    return 0;
}

static int parse_answer(const char *bytes, size_t len, json_t **ret)
{
    json_t *answer = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(answer) || !json_is_boolean(json_object_get(answer, "ok")) ||
        !json_is_integer(json_object_get(answer, "exit"))) {
        json_decref(answer);
        return -EBADMSG;
    }
    *ret = answer;
    return 0;
}

int control_call(const char *path, const json_t *request, int timeout_ms, json_t **ret_answer)
{
    int64_t deadline = now_ms() + timeout_ms;
    _cleanup_free_ char *text = json_dumps(request, JSON_COMPACT);
    _cleanup_free_ char *bytes = NULL;
    _cleanup_close_ int fd = -1;
    size_t len = 0;

    if (!text)
        return -EINVAL;
    _cleanup_free_ char *line = xasprintf("%s\n", text);
    if (strlen(line) > CONTROL_REQUEST_MAX)
        return -E2BIG;
    int r = connect_to(path, &fd);
    if (r == 0)
        r = send_all(fd, line, strlen(line), deadline);
    /* A daemon that refuses the caller answers and closes without reading: the answer counts, not the EPIPE.
     */
    if (r == 0 || r == -EPIPE)
        r = receive_all(fd, deadline, &bytes, &len);
    if (r == 0 && len == 0)
        r = -ECONNRESET;
    if (r == 0)
        r = parse_answer(bytes, len, ret_answer);
    return r;
}
