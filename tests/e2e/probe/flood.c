/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flood of packets that all are to be denied: datagrams and SYNs to each target in turn, from the first
 * instruction on and without end, from source ports by which drain.c knows them. The source port changes with
 * every round, so that no packet profits from what became of an earlier one.
 */
#include "number.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TARGETS_MAX 256

struct target {
    enum proto proto;
    union address address;
    int fd; /* of TCP; or -1 */
};

static struct target targets[TARGETS_MAX];
static size_t n_targets;
static int udp[2] = {-1, -1}; /* IPv4, IPv6 */
static volatile sig_atomic_t ended;

static void on_term(int signal_number)
{
    (void)signal_number;
    ended = 1;
}

/* PROTO,ADDRESS,PORT */
static void add_target(char *text)
{
    char *proto = strtok(text, ","), *address = strtok(NULL, ","), *port = strtok(NULL, ",");
    struct target target = {.fd = -1};

    if (!port || !proto_parse(proto, &target.proto) || target.proto > PROTO_UDP ||
        !address_parse(address, (uint16_t)atoi(port), &target.address) || n_targets == TARGETS_MAX)
        die("usage: probe flood GAP_US PROTO,ADDRESS,PORT...");
    targets[n_targets++] = target;
}

/* A socket with the given source port, or -1. */
static int open_from(const struct target *target, uint16_t port)
{
    union address source = {0};
    int type = target->proto == PROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, on = 1;
    int fd = socket(target->address.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    source.any.sa_family = target->address.any.sa_family;
    source.v6.sin6_port = htons(port); /* where IPv4 has it, too */
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, &source.any, address_length(&source)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void hang_up(int *fd)
{
    struct linger reset = {.l_onoff = 1};

    if (*fd < 0)
        return;
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(*fd);
    *fd = -1;
}

static bool shout_at(struct target *target, uint16_t port)
{
    static uint64_t number;
    struct message message = {.magic = MAGIC_DENIED, .number = number++};
    int *shared = &udp[target->address.any.sa_family == AF_INET6];

    if (target->proto == PROTO_UDP) {
        if (*shared < 0)
            *shared = open_from(target, port);
        return *shared >= 0 && sendto(*shared, &message, sizeof message, MSG_NOSIGNAL, &target->address.any,
                                      address_length(&target->address)) > 0;
    }
    hang_up(&target->fd);
    target->fd = open_from(target, port);
    return target->fd >= 0 &&
           (connect(target->fd, &target->address.any, address_length(&target->address)) == 0 ||
            errno == EINPROGRESS);
}

int flood(int argc, char **argv)
{
    struct sigaction term = {.sa_handler = on_term};
    unsigned long long sent = 0;
    int gap = argc > 0 ? atoi(argv[0]) : 0;

    for (int i = 1; i < argc; i++)
        add_target(argv[i]);
    if (n_targets == 0 || gap <= 0)
        die("usage: probe flood GAP_US PROTO,ADDRESS,PORT...");
    sigaction(SIGTERM, &term, NULL);
    for (unsigned round = 0; !ended; round++) {
        uint16_t port = (uint16_t)(DENIED_FIRST + round % (DENIED_LAST - DENIED_FIRST + 1));

        hang_up(&udp[0]);
        hang_up(&udp[1]);
        for (size_t i = 0; i < n_targets && !ended; i++) {
            sent += shout_at(&targets[i], port);
            usleep((useconds_t)gap);
        }
    }
    printf("%llu\n", sent);
    return 0;
}
