// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "nft/meter.h"

#define ANSWER_MAX 8192

struct meter_socket {
    struct mnl_socket *netlink;
    uint32_t seq;
};

int meter_socket_open(struct meter_socket **ret)
{
    _cleanup_(meter_socket_closep) struct meter_socket *socket = xnew(struct meter_socket);

    socket->netlink = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (!socket->netlink || mnl_socket_bind(socket->netlink, 0, MNL_SOCKET_AUTOPID) < 0)
        return -errno;
    *ret = STEAL(socket);
    return 0;
}

struct meter_socket *meter_socket_close(struct meter_socket *socket)
{
    if (socket && socket->netlink)
        mnl_socket_close(socket->netlink);
    free(socket);
    return NULL;
}

/* The kernel answers within the system call that asks. What is late is of an earlier question. */
int meter_read(struct meter_socket *socket, const struct meter_key *key, struct meter_reading *ret)
{
    char request[METER_REQUEST_MAX] __attribute__((aligned(8))),
        answer[ANSWER_MAX] __attribute__((aligned(8)));
    struct nlmsghdr *message = meter_request(request, key);

    message->nlmsg_seq = ++socket->seq;
    if (mnl_socket_sendto(socket->netlink, message, message->nlmsg_len) < 0)
        return -errno;
    for (;;) {
        ssize_t n = mnl_socket_recvfrom(socket->netlink, answer, sizeof(answer));
        int len = (int)n;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        message = (struct nlmsghdr *)answer;
        if (mnl_nlmsg_ok(message, len) && message->nlmsg_seq == socket->seq)
            return meter_parse(message, ret);
    }
}
