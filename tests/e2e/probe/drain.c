/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The draining side of numbered flows (number.c), and the witness of denied ones. Every line of stdin prints a
 * line of JSON: for each flow how many messages came in all, and how many packets of the flood (flood.c) came
 * in, which all should have been denied, and which the last of them was.
 *
 * Unless --sockets is given, it looks at all that reaches the network namespace's interfaces, whether
 * somebody listens or not. On the host that would be before any rule has seen it: there only what gets as far
 * as a socket counts.
 */
#include "number.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define FLOWS_MAX 4096
#define BACKLOG 4096

enum kind { KIND_STDIN, KIND_WIRE, KIND_LISTENER, KIND_STREAM, KIND_DATAGRAM };

struct source {
    enum kind kind;
    int fd;
    unsigned char bytes[sizeof(struct message)];
    size_t n_bytes;
};

static uint64_t counts[FLOWS_MAX];
static uint64_t denied, missed;
static int64_t first_denied, last_denied;
static char what_denied[200];
static bool sockets_only;
static int wire = -1;

static struct source *watch(int epoll, int fd, enum kind kind)
{
    struct source *source = calloc(1, sizeof *source);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};

    if (!source)
        die("out of memory");
    source->kind = kind;
    source->fd = fd;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl: %m");
    return source;
}

static void forget(struct source *source)
{
    close(source->fd);
    free(source);
}

static void count_denied(const char *what)
{
    denied++;
    last_denied = now_ms();
    if (!first_denied)
        first_denied = last_denied;
    snprintf(what_denied, sizeof what_denied, "%s", what);
}

/* ---- the wire ----------------------------------------------------------------------------------------- */

static bool is_denied_port(unsigned port)
{
    return port >= DENIED_FIRST && port <= DENIED_LAST;
}

static bool has_magic(const unsigned char *payload, size_t n)
{
    uint32_t magic;

    if (n < sizeof magic)
        return false;
    memcpy(&magic, payload, sizeof magic);
    return magic == MAGIC_DENIED;
}

static void look_at_transport(int proto, const unsigned char *segment, size_t n, const union address *from,
                              const union address *to)
{
    char what[sizeof what_denied], source[INET6_ADDRSTRLEN], target[INET6_ADDRSTRLEN];

    if (n < 8 || (proto != IPPROTO_TCP && proto != IPPROTO_UDP))
        return;
    unsigned port = (unsigned)segment[0] << 8 | segment[1];
    if (!is_denied_port(port) && !(proto == IPPROTO_UDP && has_magic(segment + 8, n - 8)))
        return;
    address_print_host(from, source, sizeof source);
    address_print_host(to, target, sizeof target);
    snprintf(what, sizeof what, "%s %s %u -> %s %u", proto == IPPROTO_TCP ? "tcp" : "udp", source, port,
             target, (unsigned)segment[2] << 8 | segment[3]);
    count_denied(what);
}

static void look_at_packet(const unsigned char *packet, size_t n)
{
    union address from = {0}, to = {0};

    if (n >= 20 && packet[0] >> 4 == 4) {
        size_t head = (size_t)(packet[0] & 15) * 4;

        from.v4.sin_family = to.v4.sin_family = AF_INET;
        memcpy(&from.v4.sin_addr, packet + 12, 4);
        memcpy(&to.v4.sin_addr, packet + 16, 4);
        if (n > head)
            look_at_transport(packet[9], packet + head, n - head, &from, &to);
    } else if (n >= 40 && packet[0] >> 4 == 6) {
        from.v6.sin6_family = to.v6.sin6_family = AF_INET6;
        memcpy(&from.v6.sin6_addr, packet + 8, 16);
        memcpy(&to.v6.sin6_addr, packet + 24, 16);
        look_at_transport(packet[6], packet + 40, n - 40, &from, &to);
    }
}

static void look(int fd)
{
    struct sockaddr_ll from;
    socklen_t size = sizeof from;
    unsigned char packet[256];
    ssize_t n = recvfrom(fd, packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&from, &size);

    if (n > 0 && from.sll_pkttype != PACKET_OUTGOING && from.sll_hatype != 772 /* loopback */)
        look_at_packet(packet, (size_t)n);
}

static void open_wire(int epoll)
{
    wire = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
    if (wire < 0)
        die("packet socket: %m");
    make_room(wire);
    watch(epoll, wire, KIND_WIRE);
}

/* ---- sockets ------------------------------------------------------------------------------------------ */

static void open_port(int epoll, const char *spec)
{
    union address address = {.v6 = {.sin6_family = AF_INET6}};
    int off = 0, on = 1;
    unsigned port;
    char name[16];
    enum proto proto;

    if (sscanf(spec, "%u/%15s", &port, name) != 2 || !proto_parse(name, &proto) || proto > PROTO_UDP)
        die("'%s' is not PORT/tcp or PORT/udp", spec);
    int type = proto == PROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
    int fd = socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address.v6.sin6_port = htons((uint16_t)port);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    make_room(fd);
    if (bind(fd, &address.any, sizeof address.v6) < 0 || (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
        die("%s: %m", spec);
    watch(epoll, fd, proto == PROTO_UDP ? KIND_DATAGRAM : KIND_LISTENER);
}

/* True: it is the flood's, and gets no answer. */
static bool is_flood(const union address *peer, const char *proto)
{
    char what[sizeof what_denied], from[80];

    if (!is_denied_port(ntohs(peer->v6.sin6_port)))
        return false;
    address_print(peer, from, sizeof from);
    snprintf(what, sizeof what, "%s %s, by a socket", proto, from);
    if (sockets_only)
        count_denied(what);
    return true;
}

static void count_message(const struct message *message)
{
    if (message->flow < FLOWS_MAX)
        counts[message->flow]++;
}

/* The address that was asked, out of several, is the one that answers: what came with the datagram says which. */
static void send_back(int fd, struct msghdr *header)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    struct in6_pktinfo info;

    if (!control || control->cmsg_level != IPPROTO_IPV6 || control->cmsg_type != IPV6_PKTINFO)
        return;
    memcpy(&info, CMSG_DATA(control), sizeof info);
    info.ipi6_ifindex = 0; /* let routing choose the interface */
    memcpy(CMSG_DATA(control), &info, sizeof info);
    (void)sendmsg(fd, header, MSG_NOSIGNAL);
}

static void take_datagram(int fd)
{
    union address peer = {0};
    struct message message;
    char control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    struct iovec vector = {&message, sizeof message};
    struct msghdr header = {
        .msg_name = &peer,
        .msg_namelen = sizeof peer,
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    ssize_t n = recvmsg(fd, &header, MSG_DONTWAIT);

    if (n <= 0 || is_flood(&peer, "udp") || n != (ssize_t)sizeof message)
        return;
    count_message(&message);
    if (message.magic == MAGIC_ANSWER)
        send_back(fd, &header);
}

static void take_connections(int epoll, int listener)
{
    union address peer = {0};
    socklen_t size = sizeof peer;
    int fd;

    while ((fd = accept4(listener, &peer.any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        if (is_flood(&peer, "tcp"))
            close(fd);
        else
            watch(epoll, fd, KIND_STREAM);
        size = sizeof peer;
    }
}

static void take_stream(struct source *source)
{
    ssize_t n = recv(source->fd, source->bytes + source->n_bytes, sizeof source->bytes - source->n_bytes, 0);
    struct message message;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        forget(source);
        return;
    }
    source->n_bytes += (size_t)n;
    if (source->n_bytes < sizeof message)
        return;
    memcpy(&message, source->bytes, sizeof message);
    count_message(&message);
    source->n_bytes = 0;
    if (send(source->fd, &message, sizeof message, MSG_NOSIGNAL) != (ssize_t)sizeof message)
        forget(source);
}

/* ---- the report --------------------------------------------------------------------------------------- */

static void report(void)
{
    struct tpacket_stats stats = {0};
    socklen_t size = sizeof stats;
    const char *comma = "";

    if (wire >= 0 && getsockopt(wire, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0)
        missed += stats.tp_drops;
    printf(
        "{\"denied\": %llu, \"missed\": %llu, \"first_denied\": %lld, \"last_denied\": %lld, \"what\": \"%s\", "
        "\"flows\": {",
        (unsigned long long)denied, (unsigned long long)missed, (long long)first_denied,
        (long long)last_denied, what_denied);
    for (int i = 0; i < FLOWS_MAX; i++) {
        if (counts[i] == 0)
            continue;
        printf("%s\"%d\": %llu", comma, i, (unsigned long long)counts[i]);
        comma = ", ";
    }
    puts("}}");
    first_denied = 0;
}

static void handle(int epoll, struct source *source)
{
    char line[64];

    switch (source->kind) {
    case KIND_STDIN:
        if (!fgets(line, sizeof line, stdin))
            exit(0);
        report();
        break;
    case KIND_WIRE:
        look(source->fd);
        break;
    case KIND_LISTENER:
        take_connections(epoll, source->fd);
        break;
    case KIND_STREAM:
        take_stream(source);
        break;
    case KIND_DATAGRAM:
        take_datagram(source->fd);
        break;
    }
}

int drain(int argc, char **argv)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll < 0)
        die("epoll_create1: %m");
    setvbuf(stdin, NULL, _IONBF, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--sockets") == 0)
            sockets_only = true;
        else
            open_port(epoll, argv[i]);
    }
    if (!sockets_only)
        open_wire(epoll);
    watch(epoll, STDIN_FILENO, KIND_STDIN);
    puts("draining");
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, -1);

        for (int i = 0; i < n; i++)
            handle(epoll, events[i].data.ptr);
    }
}
