// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>

#include "link/neighbour.h"
#include "link/parse.h"
#include "util/mem.h"

#define BUFFER_SIZE (64 * 1024)
#define ATTEMPTS 4
#define TIMEOUT_SECONDS 1

struct reading {
    struct neighbours *list;
    int error;
};

static int on_message(const struct nlmsghdr *message, void *userdata)
{
    struct reading *reading = userdata;
    struct neighbour neighbour;
    int r = neighbour_parse(message, &neighbour);

    if (r == -ENOMSG)
        return MNL_CB_OK;
    if (r == 0 && reading->list->n == NEIGHBOURS_MAX)
        r = -E2BIG;
    if (r < 0) {
        reading->error = r;
        return MNL_CB_STOP;
    }
    if (!if_indextoname(neighbour.index, neighbour.interface))
        neighbour.interface[0] = '\0';
    *ARRAY_ADD(reading->list->v, reading->list->n) = neighbour;
    return MNL_CB_OK;
}

static int receive_all(struct mnl_socket *socket, char *buffer, struct reading *reading)
{
    for (;;) {
        ssize_t len = mnl_socket_recvfrom(socket, buffer, BUFFER_SIZE);
        int r = len < 0 ? -1 : mnl_cb_run(buffer, (size_t)len, 0, 0, on_message, reading);

        if (reading->error)
            return reading->error;
        if (r < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (r == MNL_CB_STOP)
            return 0;
    }
}

static int dump(bool fdb, char *buffer, struct neighbours *list)
{
    const struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
    char request[LINK_REQUEST_MAX] __attribute__((aligned(4)));
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    struct reading reading = {.list = list};
    int r = socket ? 0 : -errno;

    if (r == 0 &&
        (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
         setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0))
        r = -errno;
    if (r == 0) {
        struct nlmsghdr *message = neighbour_request(request, fdb);

        if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0)
            r = -errno;
    }
    if (r == 0)
        r = receive_all(socket, buffer, &reading);
    if (socket)
        mnl_socket_close(socket);
    return r;
}

int neighbours_read(struct neighbours *ret)
{
    _cleanup_free_ char *buffer = xcalloc(1, BUFFER_SIZE);
    int r = 0;

    for (int fdb = 0; r == 0 && fdb < 2; fdb++) {
        size_t before = ret->n;

        r = -EINTR;
        for (int i = 0; i < ATTEMPTS && r == -EINTR; i++) { /* the table changed while it was read */
            ret->n = before;
            r = dump(fdb, buffer, ret);
        }
    }
    return r;
}
