// SPDX-License-Identifier: GPL-2.0-or-later
#include "denial/reader.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <libnetfilter_log/libnetfilter_log.h>
#include <linux/netfilter/nfnetlink.h>

#define ROOM (8 * 1024 * 1024) /* bytes of messages that wait */
#define BUFFER_SIZE 65536
#define REQUEST_MAX 256
#define READS_PER_TURN 64 /* others have their turn in between */

struct denial_reader {
    struct mnl_socket *netlink;
    sd_event_source *source;
    denial_handler handler;
    void *userdata;
    bool has_seq;
    uint32_t next_seq;
    uint64_t lost;
    char buffer[BUFFER_SIZE] __attribute__((aligned(8)));
};

static void read_message(struct denial_reader *reader, const struct nlmsghdr *message)
{
    struct denied_packet packet;
    uint32_t seq;
    int r = denied_packet_parse(message, &packet, &seq);

    if (message->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) || r == -EBADMSG)
        return;
    if (reader->has_seq)
        reader->lost += seq - reader->next_seq;
    reader->has_seq = true;
    reader->next_seq = seq + 1;
    if (r == 0)
        reader->handler(&packet, reader->userdata);
}

/* What was lost shows in the numbers of what comes next. */
static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct denial_reader *reader = userdata;

    (void)source, (void)revents;
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = recv(fd, reader->buffer, sizeof(reader->buffer), MSG_DONTWAIT);
        const struct nlmsghdr *message = (const struct nlmsghdr *)reader->buffer;
        int len = (int)n;

        if (n < 0 && (errno == ENOBUFS || errno == EINTR))
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        for (; mnl_nlmsg_ok(message, len); message = mnl_nlmsg_next(message, &len))
            read_message(reader, message);
    }
    return 0;
}

/* ---- configuration ------------------------------------------------------------------------------------ */

static struct nlmsghdr *begin_request(char *buffer, uint16_t group, uint32_t seq)
{
    struct nlmsghdr *message;

    memset(buffer, 0, REQUEST_MAX);
    message = nflog_nlmsg_put_header(buffer, NFULNL_MSG_CONFIG, AF_UNSPEC, group);
    message->nlmsg_flags |= NLM_F_ACK;
    message->nlmsg_seq = seq;
    return message;
}

/* A packet may come in between. */
static int await_answer(struct denial_reader *reader, uint32_t seq)
{
    for (;;) {
        ssize_t n = mnl_socket_recvfrom(reader->netlink, reader->buffer, sizeof(reader->buffer));
        const struct nlmsghdr *message = (const struct nlmsghdr *)reader->buffer;
        int len = (int)n;

        if (n < 0 && (errno == EINTR || errno == ENOBUFS))
            continue;
        if (n < 0)
            return -errno;
        for (; mnl_nlmsg_ok(message, len); message = mnl_nlmsg_next(message, &len)) {
            const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);

            if (message->nlmsg_type == NLMSG_ERROR && message->nlmsg_seq == seq)
                return mnl_nlmsg_get_payload_len(message) >= sizeof(error->error) ? error->error : -EBADMSG;
        }
    }
}

static int ask(struct denial_reader *reader, struct nlmsghdr *message)
{
    if (mnl_socket_sendto(reader->netlink, message, message->nlmsg_len) < 0)
        return -errno;
    return await_answer(reader, message->nlmsg_seq);
}

static int bind_group(struct denial_reader *reader, uint16_t group)
{
    char buffer[REQUEST_MAX] __attribute__((aligned(8)));
    struct nlmsghdr *message = begin_request(buffer, group, 1);

    nflog_attr_put_cfg_cmd(message, NFULNL_CFG_CMD_BIND);
    return ask(reader, message);
}

/* Each packet at once, numbered, and of it what denied_packet_read() looks at. */
static int configure(struct denial_reader *reader, uint16_t group)
{
    char buffer[REQUEST_MAX] __attribute__((aligned(8)));
    struct nlmsghdr *message = begin_request(buffer, group, 2);

    nflog_attr_put_cfg_mode(message, NFULNL_COPY_PACKET, DENIED_PACKET_BYTES);
    mnl_attr_put_u32(message, NFULA_CFG_QTHRESH, htonl(1));
    mnl_attr_put_u16(message, NFULA_CFG_FLAGS, htons(NFULNL_CFG_F_SEQ));
    return ask(reader, message);
}

static int open_socket(struct denial_reader *reader)
{
    int room = ROOM, fd;

    reader->netlink = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    if (!reader->netlink)
        return -errno;
    fd = mnl_socket_get_fd(reader->netlink);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    return mnl_socket_bind(reader->netlink, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
}

int denial_reader_open(sd_event *event, uint16_t group, denial_handler handler, void *userdata,
                       struct denial_reader **ret)
{
    _cleanup_(denial_reader_closep) struct denial_reader *reader = xnew(struct denial_reader);
    int r = open_socket(reader);

    reader->handler = handler;
    reader->userdata = userdata;
    if (r == 0)
        r = bind_group(reader, group);
    if (r == -EINVAL || r == -ENOSYS || r == -EPROTONOSUPPORT) /* no such subsystem of netlink */
        r = -EOPNOTSUPP;
    if (r == 0)
        r = configure(reader, group);
    if (r == 0)
        r = sd_event_add_io(event, &reader->source, mnl_socket_get_fd(reader->netlink), EPOLLIN, on_readable,
                            reader);
    if (r < 0)
        return r;
    *ret = STEAL(reader);
    return 0;
}

struct denial_reader *denial_reader_close(struct denial_reader *reader)
{
    if (!reader)
        return NULL;
    sd_event_source_disable_unref(reader->source);
    if (reader->netlink)
        mnl_socket_close(reader->netlink);
    free(reader);
    return NULL;
}

uint64_t denial_reader_lost(const struct denial_reader *reader)
{
    return reader ? reader->lost : 0;
}
