// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two sockets: one only listens, the other only asks. So an answer is never mixed up with news, and a handler
 * may ask about the link that it is told of.
 */
#include "link/link.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "link/parse.h"
#include "util/mem.h"

#define BUFFER_SIZE (64 * 1024)
#define EVENT_ROOM (4 * 1024 * 1024) /* some thousands of notifications */
#define EVENTS_PER_TURN 64           /* datagrams read before others get their turn on the event loop */
#define DUMP_ATTEMPTS 32
#define LINKS_MAX 65536
#define TIMEOUT_SECONDS 10

struct link_monitor {
    struct mnl_socket *events, *requests;
    sd_event_source *source;
    link_handler handler;
    link_reset_handler reset;
    void *userdata;
    uint32_t seq;
    char event_buffer[BUFFER_SIZE];
    char request_buffer[BUFFER_SIZE];
};

/* Called for each message of a dump; a negative errno ends it. */
typedef int (*message_handler)(const struct nlmsghdr *message, void *userdata);

static int receive(struct mnl_socket *socket, char *buffer, int flags)
{
    for (;;) {
        struct iovec iov = {buffer, BUFFER_SIZE};
        struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n = recvmsg(mnl_socket_get_fd(socket), &header, flags);

        if (n >= 0)
            return header.msg_flags & MSG_TRUNC ? -ENOBUFS : (int)n; /* cut off is as good as lost */
        if (errno != EINTR)
            return -errno;
    }
}

static int send_request(struct link_monitor *monitor, struct nlmsghdr *message)
{
    message->nlmsg_seq = ++monitor->seq;
    if (mnl_socket_sendto(monitor->requests, message, message->nlmsg_len) < 0)
        return -errno;
    return 0;
}

static int receive_answer(struct link_monitor *monitor)
{
    int n = receive(monitor->requests, monitor->request_buffer, 0);

    return n == -EAGAIN ? -ETIMEDOUT : n;
}

static int error_of(const struct nlmsghdr *message)
{
    const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);

    return mnl_nlmsg_get_payload_len(message) >= sizeof(error->error) ? error->error : -EBADMSG;
}

/* One request, one answer, which stays in the buffer for requests; *ret is NULL when it is an ACK. */
static int ask(struct link_monitor *monitor, struct nlmsghdr *request, const struct nlmsghdr **ret)
{
    const struct nlmsghdr *answer = (const struct nlmsghdr *)monitor->request_buffer;
    int r = send_request(monitor, request);

    while (r >= 0) {
        r = receive_answer(monitor);
        if (r < 0)
            break;
        if (!mnl_nlmsg_ok(answer, r))
            return -EBADMSG;
        if (answer->nlmsg_seq != monitor->seq)
            continue;
        *ret = answer->nlmsg_type == NLMSG_ERROR ? NULL : answer;
        return answer->nlmsg_type == NLMSG_ERROR ? error_of(answer) : 0;
    }
    return r;
}

/* 1: go on; 0: the dump ended; -EINTR: it is to be repeated; another negative errno. */
static int read_part(struct link_monitor *monitor, int len, message_handler handler, void *userdata)
{
    const struct nlmsghdr *message = (const struct nlmsghdr *)monitor->request_buffer;

    for (; mnl_nlmsg_ok(message, len); message = mnl_nlmsg_next(message, &len)) {
        int r;

        if (message->nlmsg_seq != monitor->seq)
            continue;
        if (message->nlmsg_flags & NLM_F_DUMP_INTR)
            return -EINTR; /* the table changed while it was read */
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
            return error_of(message);
        r = handler(message, userdata);
        if (r < 0)
            return r;
    }
    return 1;
}

static int dump(struct link_monitor *monitor, struct nlmsghdr *request, message_handler handler,
                void *userdata)
{
    int r = send_request(monitor, request);

    if (r < 0)
        return r;
    do {
        r = receive_answer(monitor);
        if (r >= 0)
            r = read_part(monitor, r, handler, userdata);
    } while (r > 0);
    return r;
}

/* What is left of a dump that was given up would hold back the next request with EBUSY; reading it away ends
 * it. */
static void drain_requests(struct link_monitor *monitor)
{
    int n;

    do
        n = receive(monitor->requests, monitor->request_buffer, MSG_DONTWAIT);
    while (n >= 0 || n == -ENOBUFS);
}

struct link_list {
    struct link *v;
    size_t n;
};

static int collect_link(const struct nlmsghdr *message, void *userdata)
{
    struct link_list *list = userdata;
    struct link link;
    bool gone;
    int r = link_parse(message, &link, &gone);

    if (r == -ENOMSG)
        return 0;
    if (r < 0)
        return r;
    if (list->n >= LINKS_MAX)
        return -E2BIG;
    *ARRAY_ADD(list->v, list->n) = link;
    return 0;
}

static int list_links(struct link_monitor *monitor, struct link_list *ret)
{
    int r = -EINTR;

    for (int i = 0; i < DUMP_ATTEMPTS && r == -EINTR; i++) {
        char buffer[LINK_REQUEST_MAX] __attribute__((aligned(4)));

        ret->n = 0;
        drain_requests(monitor);
        r = dump(monitor, link_request_list(buffer), collect_link, ret);
    }
    return r;
}

/* The handlers are called after the dump has ended, so that they can ask in their turn. */
static int report_all(struct link_monitor *monitor, bool is_reset)
{
    struct link_list list = {0};
    int r = list_links(monitor, &list);

    if (r == 0 && is_reset && monitor->reset)
        monitor->reset(monitor->userdata);
    for (size_t i = 0; r == 0 && monitor->handler && i < list.n; i++)
        monitor->handler(&list.v[i], false, monitor->userdata);
    free(list.v);
    return r;
}

/* News that was queued before the listing is contained in it. */
static int recover(struct link_monitor *monitor)
{
    int n;

    do
        n = receive(monitor->events, monitor->event_buffer, MSG_DONTWAIT);
    while (n >= 0 || n == -ENOBUFS);
    return n == -EAGAIN ? report_all(monitor, true) : n;
}

static void report_events(struct link_monitor *monitor, int len)
{
    const struct nlmsghdr *message = (const struct nlmsghdr *)monitor->event_buffer;

    for (; mnl_nlmsg_ok(message, len); message = mnl_nlmsg_next(message, &len)) {
        struct link link;
        bool gone;

        if (link_parse(message, &link, &gone) == 0 && monitor->handler)
            monitor->handler(&link, gone, monitor->userdata);
    }
}

static int on_event(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct link_monitor *monitor = userdata;

    (void)source, (void)fd, (void)revents;
    for (int i = 0; i < EVENTS_PER_TURN; i++) {
        int n = receive(monitor->events, monitor->event_buffer, MSG_DONTWAIT);

        if (n == -EAGAIN)
            return 0;
        if (n == -ENOBUFS)
            return recover(monitor);
        if (n < 0)
            return n;
        report_events(monitor, n);
    }
    return 0;
}

static int open_requests(struct link_monitor *monitor)
{
    struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
    int on = 1;

    monitor->requests = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!monitor->requests || mnl_socket_bind(monitor->requests, 0, MNL_SOCKET_AUTOPID) < 0 ||
        setsockopt(mnl_socket_get_fd(monitor->requests), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) <
            0)
        return -errno;
    /* Makes the kernel refuse what it does not understand, such as a namespace's ID before 4.20. */
    (void)mnl_socket_setsockopt(monitor->requests, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
    return 0;
}

static int open_events(struct link_monitor *monitor, sd_event *event)
{
    int room = EVENT_ROOM, fd, r;

    monitor->events = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (!monitor->events)
        return -errno;
    fd = mnl_socket_get_fd(monitor->events);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    if (mnl_socket_bind(monitor->events, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0)
        return -errno;
    r = sd_event_add_io(event, &monitor->source, fd, EPOLLIN, on_event, monitor);
    /* A loop that goes on without news of links would take a stale picture for the truth. */
    return r < 0 ? r : sd_event_source_set_exit_on_failure(monitor->source, true);
}

int link_monitor_open(sd_event *event, link_handler handler, link_reset_handler reset, void *userdata,
                      struct link_monitor **ret)
{
    _cleanup_(link_monitor_closep) struct link_monitor *monitor = xnew(struct link_monitor);
    int r;

    monitor->handler = handler;
    monitor->reset = reset;
    monitor->userdata = userdata;
    r = open_requests(monitor);
    if (r == 0 && event)
        r = open_events(monitor, event); /* before the listing, so that nothing is missed between the two */
    if (r >= 0 && handler)
        r = report_all(monitor, false);
    if (r < 0)
        return r;
    *ret = STEAL(monitor);
    return 0;
}

struct link_monitor *link_monitor_close(struct link_monitor *monitor)
{
    if (!monitor)
        return NULL;
    sd_event_source_disable_unref(monitor->source);
    if (monitor->events)
        mnl_socket_close(monitor->events);
    if (monitor->requests)
        mnl_socket_close(monitor->requests);
    free(monitor);
    return NULL;
}

static int get_link(struct link_monitor *monitor, unsigned index, int netns,
                    const struct nlmsghdr **ret_answer, struct link *ret)
{
    char buffer[LINK_REQUEST_MAX] __attribute__((aligned(4)));
    bool gone;
    int r;

    drain_requests(monitor);
    r = ask(monitor, link_request_get(buffer, index, netns), ret_answer);
    if (r < 0)
        return r;
    return *ret_answer ? link_parse(*ret_answer, ret, &gone) : -EBADMSG;
}

int link_peer_mac(struct link_monitor *monitor, const struct link *link, struct mac *ret)
{
    const struct nlmsghdr *answer;
    struct link peer;
    int r;

    if (!link->is_veth || link->peer_index == 0)
        return -ENODEV;
    r = get_link(monitor, link->peer_index, link->peer_netns, &answer, &peer);
    if (r == -EINVAL && link->peer_netns >= 0)
        return -ENODEV; /* no namespace has that number any more */
    if (r < 0)
        return r;
    /* The number may have passed to another interface since; the true peer points back. */
    if (!peer.is_veth || peer.peer_index != link->index)
        return -ENODEV;
    return link_parse_mac(answer, ret);
}

int link_set_switches(struct link_monitor *monitor, unsigned bridge_index,
                      const struct bridge_switches *switches)
{
    char buffer[LINK_REQUEST_MAX] __attribute__((aligned(4)));
    const struct nlmsghdr *answer;
    struct link bridge;
    int r;

    drain_requests(monitor);
    r = ask(monitor, link_request_switches(buffer, bridge_index, switches), &answer);
    if (r == 0)
        r = get_link(monitor, bridge_index, -1, &answer, &bridge);
    if (r < 0)
        return r;
    /* A kernel without br_netfilter takes the request and ignores it. */
    return link_has_switches(&bridge, switches) ? 0 : -EOPNOTSUPP;
}

struct ip_list {
    struct ip *v;
    size_t n;
};

static int collect_address(const struct nlmsghdr *message, void *userdata)
{
    struct ip_list *list = userdata;
    struct ip ip;
    int r = link_parse_address(message, &ip);

    if (r == -ENOMSG)
        return 0;
    if (r < 0)
        return r;
    if (list->n >= LINKS_MAX)
        return -E2BIG;
    *ARRAY_ADD(list->v, list->n) = ip;
    return 0;
}

int link_host_addresses(struct link_monitor *monitor, struct ip **ret, size_t *ret_n)
{
    struct ip_list list = {0};
    int r = -EINTR;

    for (int i = 0; i < DUMP_ATTEMPTS && r == -EINTR; i++) {
        char buffer[LINK_REQUEST_MAX] __attribute__((aligned(4)));

        list.n = 0;
        drain_requests(monitor);
        r = dump(monitor, link_request_addresses(buffer), collect_address, &list);
    }
    if (r < 0) {
        free(list.v);
        return r;
    }
    *ret = list.v ? list.v : xcalloc(1, sizeof(*list.v));
    *ret_n = list.n;
    return 0;
}
