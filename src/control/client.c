/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control/protocol.h"
#include "util/fd.h"
#include "util/mem.h"

#define READ_SIZE ((size_t)64 * 1024)

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

struct input {
    char *bytes;
    size_t len, size;
};

static void input_clear(struct input *input)
{
    free(input->bytes);
}

/* Reads what is there: how many bytes, 0 at the end, or a negative errno (-EAGAIN: nothing is there). */
static ssize_t receive(int fd, struct input *input)
{
    if (input->size - input->len < READ_SIZE) {
        input->size = input->size ? input->size * 2 : READ_SIZE * 2;
        input->bytes = xreallocarray(input->bytes, input->size, 1);
    }
    ssize_t n = recv(fd, input->bytes + input->len, input->size - input->len, 0);
    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    input->len += (size_t)n;
    return input->len > CONTROL_MESSAGE_MAX ? -EMSGSIZE : n;
}

/* Reads until the daemon closes, or one line is there. */
static int receive_answer(int fd, int64_t deadline, bool line, struct input *input)
{
    for (;;) {
        int r = wait_for(fd, POLLIN, deadline);
        if (r < 0)
            return r;
        ssize_t n = receive(fd, input);
        if (n == 0)
            return input->len ? 0 : -ECONNRESET;
        if (n < 0 && n != -EAGAIN)
            return (int)n;
        if (line && input->len && memchr(input->bytes, '\n', input->len))
            return 0;
    }
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

static int send_request(const char *path, const json_t *request, int64_t deadline, int *ret_fd)
{
    _cleanup_free_ char *text = json_dumps(request, JSON_COMPACT);
    _cleanup_close_ int fd = -1;

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
    if (r < 0 && r != -EPIPE)
        return r;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int control_call(const char *path, const json_t *request, int timeout_ms, json_t **ret_answer)
{
    int64_t deadline = now_ms() + timeout_ms;
    _cleanup_(input_clear) struct input input = {};
    _cleanup_close_ int fd = -1;
    int r = send_request(path, request, deadline, &fd);

    if (r == 0)
        r = receive_answer(fd, deadline, false, &input);
    return r < 0 ? r : parse_answer(input.bytes, input.len, ret_answer);
}

/* ---- an answer that goes on ----------------------------------------------------------------------------- */

struct control_follow {
    int fd;
    struct input input;
};

struct control_follow *control_follow_close(struct control_follow *follow)
{
    if (!follow)
        return NULL;
    if (follow->fd >= 0)
        close(follow->fd);
    input_clear(&follow->input);
    free(follow);
    return NULL;
}

static void input_take(struct input *input, size_t n)
{
    input->len -= n;
    memmove(input->bytes, input->bytes + n, input->len);
}

int control_follow_open(const char *path, const json_t *request, int timeout_ms, json_t **ret_answer,
                        struct control_follow **ret)
{
    _cleanup_(control_follow_closep) struct control_follow *follow = xnew(struct control_follow);
    int64_t deadline = now_ms() + timeout_ms;

    follow->fd = -1;
    int r = send_request(path, request, deadline, &follow->fd);
    if (r == 0)
        r = receive_answer(follow->fd, deadline, true, &follow->input);
    if (r < 0)
        return r;
    const char *bytes = follow->input.bytes, *end = memchr(bytes, '\n', follow->input.len);
    size_t len = end ? (size_t)(end - bytes) + 1 : follow->input.len;

    r = parse_answer(bytes, len, ret_answer);
    if (r < 0)
        return r;
    input_take(&follow->input, len);
    *ret = STEAL(follow);
    return 0;
}

int control_follow_fd(const struct control_follow *follow)
{
    return follow->fd;
}

/* Hands out the lines that are complete. */
static int hand_out(struct input *input, control_line handle, void *userdata)
{
    size_t done = 0;

    for (const char *end; (end = memchr(input->bytes + done, '\n', input->len - done));) {
        size_t len = (size_t)(end - input->bytes) - done;
        json_t *line = json_loadb(input->bytes + done, len, JSON_REJECT_DUPLICATES, NULL);

        if (!json_is_object(line)) {
            json_decref(line);
            return -EBADMSG;
        }
        handle(line, userdata);
        json_decref(line);
        done += len + 1;
    }
    input_take(input, done);
    return 0;
}

int control_follow_read(struct control_follow *follow, control_line handle, void *userdata)
{
    /* What came with the answer is there already. */
    int r = follow->input.len ? hand_out(&follow->input, handle, userdata) : 0;
    ssize_t n = r < 0 ? r : receive(follow->fd, &follow->input);

    if (n <= 0)
        return n == -EAGAIN ? 0 : n == 0 ? -ECONNRESET : (int)n;
    return hand_out(&follow->input, handle, userdata);
}
