// SPDX-License-Identifier: GPL-2.0-or-later
#include "flow/events.h"

#include <errno.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/sock_diag.h>

#define ROOM (8 * 1024 * 1024) /* bytes of messages that wait: half a second of 20,000 connections a second */
#define MESSAGE_MAX 4096
#define BATCH 64          /* messages in one system call */
#define READS_PER_TURN 16 /* others have their turn in between */

struct flow_events {
    struct mnl_socket *netlink;
    sd_event_source *source;
    flow_event_handler handler;
    void *userdata;
    uint32_t drops; /* the socket's count, when it was asked last */
    uint64_t lost;
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    char buffers[BATCH][MESSAGE_MAX] __attribute__((aligned(8)));
};

static void read_messages(struct flow_events *events, const char *bytes, int len)
{
    const struct nlmsghdr *message = (const struct nlmsghdr *)bytes;

    for (; mnl_nlmsg_ok(message, len); message = mnl_nlmsg_next(message, &len)) {
        struct flow flow;
        int r = flow_parse(message, &flow);

        if (r == 0)
            events->handler(&flow, events->userdata);
        else if (r != -ENOMSG)
            events->lost++;
    }
}

static int read_batch(struct flow_events *events, int fd)
{
    int n = recvmmsg(fd, events->headers, BATCH, MSG_DONTWAIT, NULL);

    for (int i = 0; i < n; i++)
        if (events->headers[i].msg_hdr.msg_flags & MSG_TRUNC)
            events->lost++;
        else
            read_messages(events, events->buffers[i], (int)events->headers[i].msg_len);
    return n;
}

/* What there was no room for the socket counts. */
static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct flow_events *events = userdata;

    (void)source, (void)revents;
    for (int i = 0; i < READS_PER_TURN; i++) {
        int n = read_batch(events, fd);

        if (n < 0 && errno != ENOBUFS && errno != EINTR)
            return errno == EAGAIN ? 0 : -errno;
        if (n >= 0 && n < BATCH)
            break;
    }
    return 0;
}

static int open_socket(struct flow_events *events)
{
    int room = ROOM, fd;

    events->netlink = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    if (!events->netlink)
        return -errno;
    fd = mnl_socket_get_fd(events->netlink);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    return mnl_socket_bind(events->netlink, 1u << (NFNLGRP_CONNTRACK_NEW - 1), MNL_SOCKET_AUTOPID) < 0
               ? -errno
               : 0;
}

int flow_events_open(sd_event *event, flow_event_handler handler, void *userdata, struct flow_events **ret)
{
    _cleanup_(flow_events_closep) struct flow_events *events = xnew(struct flow_events);
    int r;

    for (size_t i = 0; i < BATCH; i++) {
        events->parts[i] = (struct iovec){events->buffers[i], MESSAGE_MAX};
        events->headers[i].msg_hdr = (struct msghdr){.msg_iov = &events->parts[i], .msg_iovlen = 1};
    }
    events->handler = handler;
    events->userdata = userdata;
    r = open_socket(events);
    if (r == 0)
        r = sd_event_add_io(event, &events->source, mnl_socket_get_fd(events->netlink), EPOLLIN, on_readable,
                            events);
    if (r < 0)
        return r;
    *ret = STEAL(events);
    return 0;
}

struct flow_events *flow_events_close(struct flow_events *events)
{
    if (!events)
        return NULL;
    sd_event_source_disable_unref(events->source);
    if (events->netlink)
        mnl_socket_close(events->netlink);
    free(events);
    return NULL;
}

uint64_t flow_events_lost(struct flow_events *events)
{
    uint32_t numbers[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(numbers);

    if (events &&
        getsockopt(mnl_socket_get_fd(events->netlink), SOL_SOCKET, SO_MEMINFO, numbers, &len) == 0) {
        events->lost += numbers[SK_MEMINFO_DROPS] - events->drops;
        events->drops = numbers[SK_MEMINFO_DROPS];
    }
    return events ? events->lost : 0;
}
