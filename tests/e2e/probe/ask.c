/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The asking side. Every line of stdin is a target, "ID PROTO ADDRESS PORT [SOURCE]"; all are tried at once,
 * and one JSON object a line tells what became of each:
 *
 *   connected    an answer came; "peer" is the address under which the other end saw us, "local" the one it
 * was asked by refused      TCP reset, or ICMP port unreachable rejected     ICMP: prohibited by an
 * administrator unreachable  any other ICMP error, or no route silent       a TCP connection that opened and
 * then said nothing closed       a TCP connection that opened and was then closed without a word timeout
 * nothing came, or the kernel dropped what we sent on its way out (EPERM)
 *
 * "source" is the address that we asked from. The default time-out is well under the second after which the
 * kernel repeats a SYN: a connection that is allowed answers at once. Datagrams and ICMP messages are sent
 * three times.
 */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TARGETS_MAX 6000
#define DEFAULT_TIMEOUT 700 /* ms */
#define SEND_GAP 200        /* ms */

struct target {
    char id[64];
    enum proto proto;
    union address address;
    int fd;
    uint16_t sequence; /* of ICMP: tells our answers from those of the others' */
    bool opened;       /* TCP */
    const char *result;
    char peer[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN], source[INET6_ADDRSTRLEN];
    int64_t took; /* ms */
};

static struct target targets[TARGETS_MAX];
static size_t n_targets, n_open;
static int64_t started;

static bool is_v4(const struct target *target)
{
    return target->address.any.sa_family == AF_INET;
}

static bool is_stream(const struct target *target)
{
    return target->proto == PROTO_TCP || target->proto == PROTO_SCTP;
}

static bool is_icmp(const struct target *target)
{
    return target->proto == PROTO_ICMP || target->proto == PROTO_ICMP_TIMESTAMP;
}

static void settle(struct target *target, const char *result)
{
    if (target->result)
        return;
    target->result = result;
    target->took = now_ms() - started;
    n_open--;
    if (target->fd >= 0) {
        struct linger reset = {.l_onoff = 1};

        setsockopt(target->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset); /* leaves no TIME_WAIT behind */
        close(target->fd);
        target->fd = -1;
    }
}

static const char *result_of_errno(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "refused";
    case EPERM:
    case ETIMEDOUT:
        return "timeout";
    case EACCES:
        return "rejected";
    default:
        return "unreachable";
    }
}

static const char *result_of_icmp(const struct sock_extended_err *error)
{
    if (error->ee_origin == SO_EE_ORIGIN_ICMP && error->ee_type == ICMP_DEST_UNREACH) {
        if (error->ee_code == ICMP_PORT_UNREACH)
            return "refused";
        if (error->ee_code == ICMP_PKT_FILTERED || error->ee_code == ICMP_NET_ANO ||
            error->ee_code == ICMP_HOST_ANO)
            return "rejected";
    }
    if (error->ee_origin == SO_EE_ORIGIN_ICMP6 && error->ee_type == ICMP6_DST_UNREACH) {
        if (error->ee_code == ICMP6_DST_UNREACH_NOPORT)
            return "refused";
        if (error->ee_code == ICMP6_DST_UNREACH_ADMIN || error->ee_code == 5 || error->ee_code == 6)
            return "rejected"; /* 5, 6: policy, and reject route */
    }
    return "unreachable";
}

static size_t make_icmp(const struct target *target, uint8_t *bytes);

/* A raw socket hears of the errors that others' messages to its peer have met as well. */
static bool is_about_us(const struct target *target, const uint8_t *bytes, size_t len)
{
    uint8_t ours[20];

    make_icmp(target, ours);
    return len >= 8 && bytes[0] == ours[0] && memcmp(bytes + 4, ours + 4, 4) == 0;
}

static const char *result_of_control(struct msghdr *message)
{
    struct sock_extended_err error;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if ((header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_RECVERR) ||
            (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_RECVERR)) {
            memcpy(&error, CMSG_DATA(header), sizeof error);
            return error.ee_origin == SO_EE_ORIGIN_LOCAL ? result_of_errno((int)error.ee_errno)
                                                         : result_of_icmp(&error);
        }
    }
    return NULL;
}

/* What the error queue of a datagram or raw socket says, or NULL. */
static const char *read_error(const struct target *target)
{
    const char *error = NULL;
    int cleared;
    socklen_t size = sizeof cleared;

    while (!error) {
        uint8_t about[64];
        char control[512];
        struct iovec io = {about, sizeof about};
        struct msghdr message = {
            .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(target->fd, &message, MSG_ERRQUEUE);

        if (n < 0)
            break;
        if (!is_icmp(target) || is_about_us(target, about, (size_t)n))
            error = result_of_control(&message);
    }
    if (!error && is_icmp(target)) /* the next call would return that of somebody else */
        getsockopt(target->fd, SOL_SOCKET, SO_ERROR, &cleared, &size);
    return error;
}

static void read_target(char *line)
{
    struct target *target = &targets[n_targets];
    char id[64], proto[16], text[64], from[64];
    unsigned port;
    int fields = sscanf(line, "%63s %15s %63s %u %63s", id, proto, text, &port, from);

    if (fields < 0)
        return;
    if (n_targets == TARGETS_MAX)
        die("more than %d targets", TARGETS_MAX);
    if (fields < 4 || port > 65535 || !proto_parse(proto, &target->proto) ||
        !address_parse(text, is_icmp(target) ? 0 : (uint16_t)port, &target->address))
        die("not 'ID PROTO ADDRESS PORT [SOURCE]': %s", line);
    strcpy(target->id, id);
    target->sequence = (uint16_t)n_targets;
    target->fd = -1;
    if (fields == 5)
        strcpy(target->source, from);
    n_targets++;
}

static int open_target(const struct target *target)
{
    int family = target->address.any.sa_family;

    switch (target->proto) {
    case PROTO_TCP:
        return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    case PROTO_SCTP:
        return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_SCTP);
    case PROTO_UDP:
        return socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    case PROTO_ICMP:
    case PROTO_ICMP_TIMESTAMP:
        return socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
                      family == AF_INET ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6);
    }
    return -1;
}

static uint16_t checksum(const uint8_t *bytes, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < len; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    sum = (sum >> 16) + (sum & 0xffff);
    sum += sum >> 16;
    return (uint16_t)~sum;
}

/* An echo or timestamp request; both begin with type, code, checksum, identifier and sequence number. */
static size_t make_icmp(const struct target *target, uint8_t *bytes)
{
    size_t len = target->proto == PROTO_ICMP_TIMESTAMP ? 20 : 8;
    uint16_t id = (uint16_t)getpid(), sum;

    memset(bytes, 0, len);
    bytes[0] = target->proto == PROTO_ICMP_TIMESTAMP ? ICMP_TIMESTAMP
               : is_v4(target)                       ? ICMP_ECHO
                                                     : ICMP6_ECHO_REQUEST;
    bytes[4] = (uint8_t)(id >> 8);
    bytes[5] = (uint8_t)id;
    bytes[6] = (uint8_t)(target->sequence >> 8);
    bytes[7] = (uint8_t)target->sequence;
    if (is_v4(target)) { /* the kernel does it for IPv6 */
        sum = checksum(bytes, len);
        bytes[2] = (uint8_t)(sum >> 8);
        bytes[3] = (uint8_t)sum;
    }
    return len;
}

static void send_to(struct target *target)
{
    uint8_t bytes[20] = "?";
    size_t len = is_icmp(target) ? make_icmp(target, bytes) : 1;
    const char *error = is_icmp(target) ? read_error(target) : NULL;

    if (error)
        return settle(target, error);
    if (send(target->fd, bytes, len, MSG_NOSIGNAL) >= 0 || errno == EPERM || errno == EAGAIN ||
        errno == ENOBUFS)
        return; /* EPERM: dropped on the way out, like anywhere else on the way */
    error = result_of_errno(errno);
    settle(target, read_error(target) ?: error);
}

static bool bind_source(struct target *target)
{
    union address source;

    return target->source[0] == '\0' || (address_parse(target->source, 0, &source) &&
                                         bind(target->fd, &source.any, address_length(&source)) == 0);
}

static void start(int epoll, struct target *target)
{
    struct epoll_event event = {.events = EPOLLIN | (is_stream(target) ? EPOLLOUT : 0), .data.ptr = target};
    union address source;
    socklen_t size = sizeof source;
    int on = 1;

    n_open++;
    target->fd = open_target(target);
    if (target->fd < 0)
        return settle(target, errno == EPROTONOSUPPORT ? "unsupported" : "unreachable");
    if (!is_stream(target)) {
        setsockopt(target->fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
        setsockopt(target->fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
    }
    if (!bind_source(target))
        return settle(target, "unreachable");
    if (connect(target->fd, &target->address.any, address_length(&target->address)) < 0 &&
        errno != EINPROGRESS)
        return settle(target, result_of_errno(errno));
    if (getsockname(target->fd, &source.any, &size) == 0)
        address_print_host(&source, target->source, sizeof target->source);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, target->fd, &event) < 0)
        die("epoll_ctl: %m");
    if (!is_stream(target))
        send_to(target);
}

static void read_answer(struct target *target, const char *text)
{
    sscanf(text, "peer %45s %*u local %45s", target->peer, target->local);
    settle(target, "connected");
}

static void on_stream_open(int epoll, struct target *target)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = target};
    int error = 0;
    socklen_t size = sizeof error;

    getsockopt(target->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        return settle(target, result_of_errno(error));
    target->opened = true;
    epoll_ctl(epoll, EPOLL_CTL_MOD, target->fd, &event);
    if (send(target->fd, "?\n", 2, MSG_NOSIGNAL) < 0)
        settle(target, "closed");
}

static void on_stream(int epoll, struct target *target, uint32_t events)
{
    char text[256];
    ssize_t n;

    if (!target->opened && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        return on_stream_open(epoll, target);
    n = read(target->fd, text, sizeof text - 1);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        return settle(target, "closed");
    text[n] = '\0';
    read_answer(target, text);
}

/* A raw socket sees every ICMP message of its peer: ours has our identifier, sequence number and type. */
static bool is_our_reply(const struct target *target, const uint8_t *bytes, size_t len)
{
    uint8_t want = target->proto == PROTO_ICMP_TIMESTAMP ? ICMP_TIMESTAMPREPLY
                   : is_v4(target)                       ? ICMP_ECHOREPLY
                                                         : ICMP6_ECHO_REPLY;
    uint8_t ours[20];
    size_t skip = is_v4(target) && len > 0 ? (size_t)(bytes[0] & 15) * 4 : 0;

    if (len < skip + 8)
        return false;
    make_icmp(target, ours);
    return bytes[skip] == want && memcmp(bytes + skip + 4, ours + 4, 4) == 0;
}

static void on_datagram(struct target *target, uint32_t events)
{
    char bytes[1024];
    const char *error;
    ssize_t n;

    if ((events & EPOLLERR) && (error = read_error(target)))
        return settle(target, error);
    n = recv(target->fd, bytes, sizeof bytes - 1, 0);
    if (n < 0) {
        if (errno != EAGAIN)
            settle(target, result_of_errno(errno));
        return;
    }
    if (is_icmp(target)) {
        if (is_our_reply(target, (const uint8_t *)bytes, (size_t)n))
            settle(target, "connected");
        return;
    }
    bytes[n] = '\0';
    read_answer(target, bytes);
}

static void send_again(void)
{
    for (size_t i = 0; i < n_targets; i++)
        if (!targets[i].result && !is_stream(&targets[i]))
            send_to(&targets[i]);
}

static void run(int epoll, int64_t timeout)
{
    int64_t next = SEND_GAP;

    while (n_open > 0) {
        struct epoll_event events[256];
        int64_t passed = now_ms() - started;
        int n;

        if (passed >= timeout)
            break;
        if (passed >= next) {
            send_again();
            next = passed + SEND_GAP;
            continue;
        }
        n = epoll_wait(epoll, events, 256, (int)((next < timeout ? next : timeout) - passed));
        for (int i = 0; i < n; i++) {
            struct target *target = events[i].data.ptr;

            if (target->result)
                continue;
            if (is_stream(target))
                on_stream(epoll, target, events[i].events);
            else
                on_datagram(target, events[i].events);
        }
    }
}

static void report(const struct target *target)
{
    printf(
        "{\"id\":\"%s\",\"result\":\"%s\",\"source\":\"%s\",\"peer\":\"%s\",\"local\":\"%s\",\"ms\":%lld}\n",
        target->id, target->result, target->source, target->peer, target->local, (long long)target->took);
}

int ask(int argc, char **argv)
{
    int64_t timeout = argc > 0 ? atoi(argv[0]) : DEFAULT_TIMEOUT;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    char line[320];

    if (epoll < 0)
        die("epoll_create1: %m");
    while (fgets(line, sizeof line, stdin))
        read_target(line);
    started = now_ms();
    for (size_t i = 0; i < n_targets; i++)
        start(epoll, &targets[i]);
    run(epoll, timeout);
    for (size_t i = 0; i < n_targets; i++) {
        settle(&targets[i], targets[i].opened ? "silent" : "timeout");
        report(&targets[i]);
    }
    return 0;
}
