// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/monitor.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>

#include "util/mem.h"

#define BUFFER_SIZE (64 * 1024)
#define READS_PER_TURN 256 /* datagrams read before others get their turn on the event loop */

struct nft_monitor {
    struct mnl_socket *netlink;
    sd_event_source *source;
    struct nft_socket *own;
    struct notice_reader reader;
    bool lost; /* the queue ran over since it was last empty */
    /* As of the last time that the queue was empty and nothing had been lost: */
    uint32_t generation, n_own;
    nft_change_handler handler;
    void *userdata;
    char buffer[BUFFER_SIZE];
};

/* Bytes; 0: nothing more; -ENOBUFS: something was lost. */
static int receive(struct nft_monitor *monitor)
{
    for (;;) {
        struct iovec iov = {monitor->buffer, sizeof(monitor->buffer)};
        struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n = recvmsg(mnl_socket_get_fd(monitor->netlink), &header, MSG_DONTWAIT);

        if (n > 0)
            return header.msg_flags & MSG_TRUNC ? -ENOBUFS : (int)n;
        if (n == 0 || errno == EAGAIN)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

static void read_messages(struct nft_monitor *monitor, int len)
{
    const struct nlmsghdr *message = (const struct nlmsghdr *)monitor->buffer;

    for (; mnl_nlmsg_ok(message, len); message = mnl_nlmsg_next(message, &len)) {
        struct nft_change change;

        if (notice_read(&monitor->reader, message, &change))
            monitor->handler(&change, monitor->userdata);
    }
}

static void mark(struct nft_monitor *monitor)
{
    monitor->generation = monitor->reader.generation;
    monitor->n_own = monitor->reader.n_own;
}

/*
 * Something was lost. A large change of our own can have filled the queue alone: every transaction makes one
 * generation, so the generations tell whether there were any but ours.
 */
static int judge_lost(struct nft_monitor *monitor)
{
    uint32_t generation, n_own = nft_commits(monitor->own);
    int r = nft_generation(monitor->own, &generation);

    if (r < 0)
        return r;
    bool foreign = generation - monitor->generation != n_own - monitor->n_own;
    monitor->lost = false;
    monitor->reader.touched = false;
    monitor->reader.generation = generation;
    monitor->reader.n_own = n_own;
    mark(monitor);
    if (foreign)
        monitor->handler(&(struct nft_change){.lost = true}, monitor->userdata);
    return 0;
}

/* 1: there may be more. */
static int read_some(struct nft_monitor *monitor, unsigned limit)
{
    for (unsigned i = 0; i < limit; i++) {
        int n = receive(monitor);

        if (n == -ENOBUFS)
            monitor->lost = true;
        else if (n < 0)
            return n;
        else if (n > 0)
            read_messages(monitor, n);
        else if (monitor->lost)
            return judge_lost(monitor);
        else {
            mark(monitor);
            return 0;
        }
    }
    return 1;
}

int nft_monitor_read(struct nft_monitor *monitor)
{
    int r;

    do
        r = read_some(monitor, READS_PER_TURN);
    while (r > 0);
    return r;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source, (void)fd, (void)revents;
    return read_some(userdata, READS_PER_TURN);
}

static int open_socket(struct nft_monitor *monitor, int room)
{
    int fd;

    monitor->netlink = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (!monitor->netlink)
        return -errno;
    fd = mnl_socket_get_fd(monitor->netlink);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    if (mnl_socket_bind(monitor->netlink, 1u << (NFNLGRP_NFTABLES - 1), MNL_SOCKET_AUTOPID) < 0)
        return -errno;
    return 0;
}

int nft_monitor_open(sd_event *event, struct nft_socket *own, int room, nft_change_handler handler,
                     void *userdata, struct nft_monitor **ret)
{
    _cleanup_(nft_monitor_closep) struct nft_monitor *monitor = xnew(struct nft_monitor);
    int r = open_socket(monitor, room);

    monitor->own = own;
    monitor->handler = handler;
    monitor->userdata = userdata;
    monitor->reader.own_port = nft_socket_port(own);
    monitor->reader.n_own = nft_commits(own);
    if (r == 0) /* after the group was joined: nothing is missed between the two */
        r = nft_generation(own, &monitor->reader.generation);
    mark(monitor);
    if (r == 0 && event) {
        int fd = mnl_socket_get_fd(monitor->netlink);
        r = sd_event_add_io(event, &monitor->source, fd, EPOLLIN, on_readable, monitor);
        /* A loop that goes on without this news would take a stale picture for the truth. */
        if (r >= 0)
            r = sd_event_source_set_exit_on_failure(monitor->source, true);
    }
    if (r < 0)
        return r;
    *ret = STEAL(monitor);
    return 0;
}

struct nft_monitor *nft_monitor_close(struct nft_monitor *monitor)
{
    if (!monitor)
        return NULL;
    sd_event_source_disable_unref(monitor->source);
    if (monitor->netlink)
        mnl_socket_close(monitor->netlink);
    free(monitor);
    return NULL;
}
