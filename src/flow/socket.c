// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One socket only deletes. A dump has a socket of its own each time, so that one that was given up leaves nothing
 * behind, and entries can be deleted while others are still being read.
 */
#include "flow/socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>

#include "flow/codec.h"
#include "util/mem.h"

#define BUFFER_SIZE (64 * 1024)       /* the kernel fills up to 32 KiB at once */
#define PORTION 256                   /* messages in one system call */
#define ACK_ROOM (PORTION * 4 * 1024) /* what their answers may take up, generously */
#define ATTEMPTS 8
#define TIMEOUT_SECONDS 10

struct flow_socket {
    struct mnl_socket *deletes;
    uint32_t seq;
    char requests[PORTION * FLOW_REQUEST_MAX] __attribute__((aligned(4)));
    char answers[BUFFER_SIZE] __attribute__((aligned(4)));
    char dump[BUFFER_SIZE] __attribute__((aligned(4)));
};

static void close_netlink(struct mnl_socket **netlink)
{
    if (*netlink)
        mnl_socket_close(*netlink);
}

static int open_netlink(struct mnl_socket **ret)
{
    _cleanup_(close_netlink) struct mnl_socket *netlink = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
    int on = 1;

    if (!netlink || mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) < 0 ||
        setsockopt(mnl_socket_get_fd(netlink), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
        return -errno;
    /* Answers without a copy of the request. */
    (void)mnl_socket_setsockopt(netlink, NETLINK_CAP_ACK, &on, sizeof(on));
    *ret = STEAL(netlink);
    return 0;
}

struct flow_socket *flow_socket_close(struct flow_socket *socket)
{
    if (!socket)
        return NULL;
    close_netlink(&socket->deletes);
    free(socket);
    return NULL;
}

int flow_socket_open(struct flow_socket **ret)
{
    _cleanup_(flow_socket_closep) struct flow_socket *socket = xnew(struct flow_socket);
    int room = ACK_ROOM, r = open_netlink(&socket->deletes);

    if (r < 0)
        return r;
    /* The forcing variant needs CAP_NET_ADMIN in the initial user namespace; the other is capped by a sysctl. */
    if (setsockopt(mnl_socket_get_fd(socket->deletes), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
        (void)setsockopt(mnl_socket_get_fd(socket->deletes), SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    *ret = STEAL(socket);
    return 0;
}

static int send_all(struct mnl_socket *netlink, const void *bytes, size_t len)
{
    ssize_t n;

    do
        n = mnl_socket_sendto(netlink, bytes, len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == len ? 0 : -EIO;
}

static int receive(struct mnl_socket *netlink, char *buffer, int flags)
{
    for (;;) {
        struct iovec iov = {buffer, BUFFER_SIZE};
        struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n = recvmsg(mnl_socket_get_fd(netlink), &header, flags);

        if (n >= 0)
            return header.msg_flags & MSG_TRUNC ? -ENOBUFS : (int)n; /* cut off is as good as lost */
        if (errno != EINTR)
            return -errno;
    }
}

static int error_of(const struct nlmsghdr *message)
{
    const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);

    return mnl_nlmsg_get_payload_len(message) >= sizeof(error->error) ? error->error : -EBADMSG;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

struct reader {
    flow_handler handler;
    void *userdata;
    bool unread;  /* some entry could not be understood */
    bool stopped; /* by the handler */
};

/* 1: go on; 0: the dump ended; -EINTR: it is to be repeated; another negative errno. */
static int read_part(const char *bytes, int len, uint32_t seq, struct reader *reader)
{
    const struct nlmsghdr *message = (const struct nlmsghdr *)bytes;

    for (; mnl_nlmsg_ok(message, len); message = mnl_nlmsg_next(message, &len)) {
        struct flow flow;
        int r;

        if (message->nlmsg_seq != seq)
            continue;
        if (message->nlmsg_flags & NLM_F_DUMP_INTR)
            return -EINTR;
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
            return error_of(message);
        r = flow_parse(message, &flow);
        if (r < 0) {
            reader->unread = reader->unread || r != -ENOMSG;
            continue;
        }
        r = reader->handler(&flow, reader->userdata);
        if (r < 0) {
            reader->stopped = true;
            return r;
        }
    }
    return 1;
}

static int dump_once(struct flow_socket *socket, struct reader *reader)
{
    _cleanup_(close_netlink) struct mnl_socket *netlink = NULL;
    char buffer[FLOW_REQUEST_MAX] __attribute__((aligned(4)));
    struct nlmsghdr *request = flow_request_dump(buffer);
    int r = open_netlink(&netlink);

    request->nlmsg_seq = ++socket->seq;
    if (r == 0)
        r = send_all(netlink, request, request->nlmsg_len);
    if (r < 0)
        return r;
    do {
        r = receive(netlink, socket->dump, 0);
        if (r >= 0)
            r = read_part(socket->dump, r, request->nlmsg_seq, reader);
    } while (r > 0);
    return r == -EAGAIN ? -ETIMEDOUT : r;
}

int flow_dump(struct flow_socket *socket, flow_handler handler, void *userdata)
{
    struct reader reader = {.handler = handler, .userdata = userdata};
    int r = -EINTR;

    for (int i = 0; i < ATTEMPTS && (r == -EINTR || r == -ENOBUFS) && !reader.stopped; i++) {
        reader.unread = false;
        r = dump_once(socket, &reader);
    }
    return r == 0 && reader.unread ? -EBADMSG : r;
}

/* ---- deleting ----------------------------------------------------------------------------------------- */

struct outcome {
    size_t n_answers, n_deleted;
    int error; /* the first one that is not ENOENT */
};

static void read_answers(const char *bytes, int len, uint32_t first, uint32_t n, struct outcome *outcome)
{
    const struct nlmsghdr *message = (const struct nlmsghdr *)bytes;

    for (; mnl_nlmsg_ok(message, len); message = mnl_nlmsg_next(message, &len)) {
        int r;

        if (message->nlmsg_type != NLMSG_ERROR || message->nlmsg_seq - first >= n)
            continue;
        r = error_of(message);
        outcome->n_answers++;
        outcome->n_deleted += r == 0;
        if (r != 0 && r != -ENOENT && outcome->error == 0)
            outcome->error = r;
    }
}

/* The kernel works on a request within the system call that sends it: all answers are there by now. */
static int collect(struct flow_socket *socket, uint32_t first, size_t n, struct outcome *outcome)
{
    for (;;) {
        int len = receive(socket->deletes, socket->answers, MSG_DONTWAIT);

        if (len == -EAGAIN)
            return outcome->n_answers == n ? 0 : -ENOBUFS;
        if (len < 0 && len != -ENOBUFS)
            return len;
        if (len > 0)
            read_answers(socket->answers, len, first, (uint32_t)n, outcome);
    }
}

/* -ENOBUFS: some answers were lost. Only the socket's own errors are returned; the kernel's are in *outcome. */
static int delete_portion(struct flow_socket *socket, const struct flow *flows, size_t n,
                          struct outcome *outcome)
{
    uint32_t first = socket->seq + 1;
    size_t len = 0;
    int r;

    *outcome = (struct outcome){0};
    for (size_t i = 0; i < n; i++) {
        struct nlmsghdr *message = flow_request_delete(socket->requests + len, &flows[i]);

        message->nlmsg_seq = ++socket->seq;
        len += MNL_ALIGN(message->nlmsg_len);
    }
    r = send_all(socket->deletes, socket->requests, len);
    return r < 0 ? r : collect(socket, first, n, outcome);
}

int flow_delete(struct flow_socket *socket, const struct flow *flows, size_t n, size_t *ret_deleted)
{
    size_t deleted = 0;
    int error = 0;

    for (size_t i = 0; i < n; i += PORTION) {
        struct outcome outcome = {0};
        int r = -ENOBUFS;

        /* Whatever an answer that was lost has said: what is gone is gone, and asking again does no harm. */
        for (int attempt = 0; attempt < ATTEMPTS && r == -ENOBUFS; attempt++) {
            r = delete_portion(socket, flows + i, n - i < PORTION ? n - i : PORTION, &outcome);
            deleted += outcome.n_deleted;
        }
        if (error == 0)
            error = r < 0 ? r : outcome.error;
    }
    if (error == 0 && ret_deleted)
        *ret_deleted = deleted;
    return error;
}
