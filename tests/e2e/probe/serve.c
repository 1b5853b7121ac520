/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The echo: whatever arrives is answered with "peer ADDRESS PORT local ADDRESS PORT", so that the one who
 * asked knows what the network made of its address. Every port is one wildcard socket for IPv4 and IPv6. It
 * runs as process 1 of a container: it ends on SIGTERM, and children that it inherits leave no zombies.
 */
#include "probe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BACKLOG 4096

enum kind { KIND_LISTENER, KIND_STREAM, KIND_DATAGRAM };

struct source {
    enum kind kind;
    int fd;
};

static bool verbose; /* print each datagram's sender */

static void on_term(int signal_number)
{
    (void)signal_number;
    _exit(0);
}

static void watch(int epoll, int fd, enum kind kind)
{
    struct source *source = malloc(sizeof *source);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};

    if (!source)
        die("out of memory");
    *source = (struct source){kind, fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl: %m");
}

static void forget(struct source *source)
{
    close(source->fd);
    free(source);
}

static int open_socket(enum proto proto, uint16_t port)
{
    union address address = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
    int type = proto == PROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
    int fd, off = 0, on = 1;

    fd = socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, proto == PROTO_SCTP ? IPPROTO_SCTP : 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    if (bind(fd, &address.any, sizeof address.v6) < 0 || (type == SOCK_STREAM && listen(fd, BACKLOG) < 0)) {
        int error = -errno;

        close(fd);
        return error;
    }
    return fd;
}

static void open_port(int epoll, const char *spec)
{
    unsigned port;
    char name[16];
    enum proto proto;
    int fd;

    if (sscanf(spec, "%u/%15s", &port, name) != 2 || port == 0 || port > 65535 ||
        !proto_parse(name, &proto) || proto > PROTO_SCTP)
        die("'%s' is not PORT/PROTO", spec);
    fd = open_socket(proto, (uint16_t)port);
    if (fd == -EPROTONOSUPPORT && proto == PROTO_SCTP)
        return; /* the kernel has no SCTP: those who ask will see it, too */
    if (fd < 0)
        die("%s: %s", spec, strerror(-fd));
    watch(epoll, fd, proto == PROTO_UDP ? KIND_DATAGRAM : KIND_LISTENER);
}

static int answer(char *text, size_t size, const union address *peer, const union address *local)
{
    char from[80], to[80];

    address_print(peer, from, sizeof from);
    address_print(local, to, sizeof to);
    return snprintf(text, size, "peer %s local %s\n", from, to);
}

static void accept_all(int epoll, int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        watch(epoll, fd, KIND_STREAM);
}

static void echo_stream(struct source *source)
{
    union address peer, local;
    socklen_t peer_size = sizeof peer, local_size = sizeof local;
    char bytes[256], text[256];
    ssize_t n = read(source->fd, bytes, sizeof bytes);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || getpeername(source->fd, &peer.any, &peer_size) < 0 ||
        getsockname(source->fd, &local.any, &local_size) < 0 ||
        send(source->fd, text, (size_t)answer(text, sizeof text, &peer, &local), MSG_NOSIGNAL) < 0)
        forget(source);
}

/* The answer leaves from the address that was asked, which of several it may be. */
static void echo_datagram(int fd)
{
    union address peer = {0}, local = {.v6 = {.sin6_family = AF_INET6}};
    char bytes[256], text[256], control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    struct iovec vector = {bytes, sizeof bytes};
    struct msghdr message = {
        .msg_name = &peer,
        .msg_namelen = sizeof peer,
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    struct cmsghdr *header;
    struct in6_pktinfo info;

    if (recvmsg(fd, &message, 0) < 0)
        return;
    header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_level != IPPROTO_IPV6 || header->cmsg_type != IPV6_PKTINFO)
        return;
    memcpy(&info, CMSG_DATA(header), sizeof info);
    local.v6.sin6_addr = info.ipi6_addr;
    info.ipi6_ifindex = 0; /* let routing choose the interface */
    memcpy(CMSG_DATA(header), &info, sizeof info);
    if (verbose) {
        char from[80];

        address_print(&peer, from, sizeof from);
        printf("%s\n", from);
    }
    vector = (struct iovec){text, (size_t)answer(text, sizeof text, &peer, &local)};
    (void)sendmsg(fd, &message, MSG_NOSIGNAL);
}

static void handle(int epoll, struct source *source)
{
    switch (source->kind) {
    case KIND_LISTENER:
        accept_all(epoll, source->fd);
        break;
    case KIND_STREAM:
        echo_stream(source);
        break;
    case KIND_DATAGRAM:
        echo_datagram(source->fd);
        break;
    }
}

int serve(int argc, char **argv)
{
    struct sigaction term = {.sa_handler = on_term}, reap = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll < 0)
        die("epoll_create1: %m");
    sigaction(SIGTERM, &term, NULL);
    sigaction(SIGINT, &term, NULL);
    sigaction(SIGCHLD, &reap, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else
            open_port(epoll, argv[i]);
    }
    puts("serving");
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, -1);

        for (int i = 0; i < n; i++)
            handle(epoll, events[i].data.ptr);
    }
}
