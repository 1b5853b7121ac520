/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TALK_TIMEOUT 700 /* ms */

static int open_peer(int argc, char **argv)
{
    union address address;
    enum proto proto;
    int fd;

    if (argc < 3 || !proto_parse(argv[0], &proto) || proto > PROTO_UDP ||
        !address_parse(argv[1], (uint16_t)atoi(argv[2]), &address))
        die("usage: probe talk tcp|udp ADDRESS PORT");
    fd = socket(address.any.sa_family, (proto == PROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, &address.any, address_length(&address)) < 0)
        die("connect: %m");
    return fd;
}

static const char *exchange(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    char bytes[256];

    if (send(fd, "?\n", 2, MSG_NOSIGNAL) < 0)
        return errno == EPERM ? "timeout" : "closed";
    if (poll(&poller, 1, TALK_TIMEOUT) == 0)
        return "timeout";
    return read(fd, bytes, sizeof bytes) > 0 ? "answered" : "closed";
}

/* One connection that stays: each line of stdin sends a message over it and prints what became of it. */
int talk(int argc, char **argv)
{
    char line[16];
    int fd = open_peer(argc, argv);

    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("connected");
    while (fgets(line, sizeof line, stdin))
        puts(exchange(fd));
    return 0;
}

/* COUNT datagrams, one every GAP_US microseconds, from the first instruction on; then COMMAND, if there is
 * one. */
int shout(int argc, char **argv)
{
    union address address;
    int fd, count;

    if (argc < 4 || !address_parse(argv[0], (uint16_t)atoi(argv[1]), &address))
        die("usage: probe shout ADDRESS PORT COUNT GAP_US [COMMAND...]");
    fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket: %m");
    count = atoi(argv[2]);
    for (int i = 0; i < count; i++) {
        (void)sendto(fd, "!", 1, MSG_NOSIGNAL, &address.any, address_length(&address));
        usleep((useconds_t)atoi(argv[3]));
    }
    if (argc > 4) {
        execv(argv[4], argv + 4);
        die("%s: %m", argv[4]);
    }
    return 0;
}
