/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows whose every packet is numbered, so that each one that is lost is noticed. The pouring side sends one
 * message every GAP_US microseconds and is told by lines of stdin when: "go" starts, "stop" ends, waits for
 * what is still under way and prints a line of JSON about what was sent since "go". What comes back is
 * counted by it, what arrives by the draining side (drain.c).
 *
 *   udp      a conversation: each datagram is sent back; one flow from start to end
 *   udp-new  datagrams that nobody answers: connection tracking takes every one for the first of its flow
 *   tcp      one stream; each message is sent back; a lost packet is one that TCP had to repeat
 *   tcp-new  a connection for each message; a lost packet is one that TCP had to repeat
 */
#include "number.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 700 /* ms, for what is under way at "stop" */
#define ROOM (8 << 20)

enum style { STYLE_UDP, STYLE_UDP_NEW, STYLE_TCP, STYLE_TCP_NEW, STYLES };

static const char *const style_names[STYLES] = {"udp", "udp-new", "tcp", "tcp-new"};

struct pour {
    enum style style;
    union address address;
    uint32_t flow;
    int64_t gap; /* us */
    int fd;      /* or -1 */
    bool going, connected, closed;
    uint64_t next; /* number of the next message */
    uint64_t first_of_round;
    uint64_t sent, back, errors, repeated, repeated_before;
    int64_t last_back, began; /* ms */
    unsigned char bytes[4096];
    size_t n_bytes; /* of an answer that is not whole yet */
};

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool is_tcp(const struct pour *pour)
{
    return pour->style == STYLE_TCP || pour->style == STYLE_TCP_NEW;
}

void make_room(int fd)
{
    int size = ROOM;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

/* Segments that were sent again for good reason: not those of which the other end says it had them. */
static uint64_t repeated(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return 0;
    return info.tcpi_total_retrans > info.tcpi_dsack_dups ? info.tcpi_total_retrans - info.tcpi_dsack_dups
                                                          : 0;
}

static void hang_up(struct pour *pour)
{
    struct linger reset = {.l_onoff = 1};

    if (pour->fd < 0)
        return;
    if (is_tcp(pour))
        pour->repeated += repeated(pour->fd);
    if (pour->style == STYLE_TCP_NEW)
        setsockopt(pour->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(pour->fd);
    pour->fd = -1;
    pour->connected = false;
    pour->n_bytes = 0;
}

static void dial(struct pour *pour)
{
    int type = is_tcp(pour) ? SOCK_STREAM : SOCK_DGRAM, on = 1;

    pour->fd = socket(pour->address.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (pour->fd < 0)
        die("socket: %m");
    make_room(pour->fd);
    if (is_tcp(pour))
        setsockopt(pour->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    pour->connected = connect(pour->fd, &pour->address.any, address_length(&pour->address)) == 0;
    if (!pour->connected && errno != EINPROGRESS) {
        pour->errors++;
        hang_up(pour);
    }
}

static void send_one(struct pour *pour)
{
    struct message message = {.magic = pour->style == STYLE_UDP_NEW ? MAGIC_QUIET : MAGIC_ANSWER,
                              .flow = pour->flow,
                              .number = pour->next};

    pour->next++;
    pour->sent++;
    if (send(pour->fd, &message, sizeof message, MSG_NOSIGNAL) == (ssize_t)sizeof message)
        return;
    pour->errors++;
    if (is_tcp(pour) && errno != EAGAIN) {
        pour->closed = true;
        hang_up(pour);
    }
}

/* A connection that is still under way when its successor is due goes on: what it lacks is seen at "stop". */
static void pour_one(struct pour *pour)
{
    if (pour->style == STYLE_TCP_NEW) {
        if (pour->fd >= 0)
            return;
        dial(pour);
        if (pour->fd < 0)
            pour->sent++;
        return;
    }
    if (pour->fd < 0 && !pour->closed)
        dial(pour);
    if (pour->fd >= 0 && pour->connected)
        send_one(pour);
}

static void take_answer(struct pour *pour, const struct message *message)
{
    if (message->flow != pour->flow || message->number < pour->first_of_round)
        return;
    pour->back++;
    pour->last_back = now_ms();
}

static void take_bytes(struct pour *pour)
{
    size_t at = 0;

    for (; pour->n_bytes - at >= sizeof(struct message); at += sizeof(struct message)) {
        struct message message;

        memcpy(&message, pour->bytes + at, sizeof message);
        take_answer(pour, &message);
    }
    pour->n_bytes -= at;
    memmove(pour->bytes, pour->bytes + at, pour->n_bytes);
}

static void hear(struct pour *pour)
{
    ssize_t n = recv(pour->fd, pour->bytes + pour->n_bytes, sizeof pour->bytes - pour->n_bytes, 0);

    if (n > 0) {
        pour->n_bytes += (size_t)n;
        take_bytes(pour);
        if (!is_tcp(pour))
            pour->n_bytes = 0;
    } else if (is_tcp(pour) && (n == 0 || errno != EAGAIN)) {
        pour->errors++;
        pour->closed = pour->style == STYLE_TCP;
        hang_up(pour);
    }
}

static void on_socket(struct pour *pour, short events)
{
    if (!pour->connected && events & (POLLOUT | POLLERR | POLLHUP)) {
        pour->connected = true;
        if (pour->style == STYLE_TCP_NEW)
            send_one(pour);
    }
    if (pour->fd >= 0 && events & (POLLIN | POLLERR | POLLHUP)) {
        uint64_t before = pour->back;

        hear(pour);
        if (pour->style == STYLE_TCP_NEW && pour->back > before)
            hang_up(pour);
    }
}

/* True: something came. */
static bool wait_for(struct pour *pour, int64_t until, bool commands)
{
    struct pollfd poller[2] = {{.fd = commands ? STDIN_FILENO : -1, .events = POLLIN},
                               {.fd = pour->fd, .events = (short)(POLLIN | (pour->connected ? 0 : POLLOUT))}};
    int64_t left = until - now_us();
    struct timespec time = {.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};

    if (left < 0)
        time = (struct timespec){0};
    if (ppoll(poller, 2, &time, NULL) <= 0)
        return false;
    if (poller[1].revents)
        on_socket(pour, poller[1].revents);
    return poller[0].revents;
}

static bool complete(const struct pour *pour)
{
    switch (pour->style) {
    case STYLE_UDP:
    case STYLE_TCP:
        return pour->back + pour->errors >= pour->sent;
    case STYLE_TCP_NEW:
        return pour->fd < 0;
    case STYLE_UDP_NEW:
    case STYLES:
        break;
    }
    return true;
}

static void go(struct pour *pour)
{
    pour->going = true;
    pour->closed = false;
    pour->first_of_round = pour->next;
    pour->sent = pour->back = pour->errors = pour->repeated = 0;
    pour->repeated_before = pour->fd >= 0 && is_tcp(pour) ? repeated(pour->fd) : 0;
    pour->began = now_ms();
    pour->last_back = 0;
}

static void stop(struct pour *pour)
{
    int64_t end = now_us() + PATIENCE * 1000;

    while (!complete(pour) && now_us() < end)
        (void)wait_for(pour, end, false);
    uint64_t again = pour->repeated + (is_tcp(pour) && pour->fd >= 0 ? repeated(pour->fd) : 0);
    again -= again < pour->repeated_before ? again : pour->repeated_before;
    bool open = pour->style == STYLE_TCP ? pour->fd >= 0 && pour->connected : complete(pour);
    if (pour->style == STYLE_TCP_NEW)
        hang_up(pour);
    pour->going = false;
    printf("{\"sent\": %llu, \"back\": %llu, \"errors\": %llu, \"repeated\": %llu, \"open\": %s, "
           "\"last_back\": %lld, \"ms\": %lld}\n",
           (unsigned long long)pour->sent, (unsigned long long)pour->back, (unsigned long long)pour->errors,
           (unsigned long long)again, open ? "true" : "false", (long long)pour->last_back,
           (long long)(now_ms() - pour->began));
}

/* False: the end. */
static bool obey(struct pour *pour)
{
    char line[16];

    if (!fgets(line, sizeof line, stdin))
        return false;
    if (strcmp(line, "go\n") == 0)
        go(pour);
    else
        stop(pour);
    return true;
}

static void parse(int argc, char **argv, struct pour *ret)
{
    struct pour pour = {.style = STYLES, .fd = -1};

    for (int i = 0; argc == 5 && i < STYLES; i++)
        if (strcmp(argv[0], style_names[i]) == 0)
            pour.style = (enum style)i;
    if (pour.style == STYLES || !address_parse(argv[1], (uint16_t)atoi(argv[2]), &pour.address))
        die("usage: probe pour udp|udp-new|tcp|tcp-new ADDRESS PORT GAP_US FLOW");
    pour.gap = atoi(argv[3]);
    pour.flow = (uint32_t)atoi(argv[4]);
    *ret = pour;
}

int pour(int argc, char **argv)
{
    struct pour pour;
    int64_t next = 0;

    parse(argc, argv, &pour);
    setvbuf(stdin, NULL, _IONBF, 0); /* poll() must see what is there to be read */
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (;;) {
        int64_t now = now_us();

        if (pour.going && now >= next) {
            pour_one(&pour);
            next = next + pour.gap > now ? next + pour.gap : now + pour.gap;
        }
        if (wait_for(&pour, pour.going ? next : now + 1000000, true) && !obey(&pour))
            return 0;
    }
}
