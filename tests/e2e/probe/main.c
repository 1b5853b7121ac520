/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("probe: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool proto_parse(const char *text, enum proto *ret_proto)
{
    static const char *const names[] = {
        [PROTO_TCP] = "tcp",
        [PROTO_UDP] = "udp",
        [PROTO_SCTP] = "sctp",
        [PROTO_ICMP] = "icmp",
        [PROTO_ICMP_TIMESTAMP] = "icmp-timestamp",
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_proto = (enum proto)i;
            return true;
        }
    }
    return false;
}

bool address_parse(const char *text, uint16_t port, union address *ret_address)
{
    union address address = {0};

    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
    } else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
    } else {
        return false;
    }
    *ret_address = address;
    return true;
}

socklen_t address_length(const union address *address)
{
    return address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}

void address_print_host(const union address *address, char *text, size_t size)
{
    const struct in6_addr *v6 = &address->v6.sin6_addr;

    if (address->any.sa_family == AF_INET)
        inet_ntop(AF_INET, &address->v4.sin_addr, text, (socklen_t)size);
    else if (IN6_IS_ADDR_V4MAPPED(v6))
        inet_ntop(AF_INET, &v6->s6_addr[12], text, (socklen_t)size);
    else
        inet_ntop(AF_INET6, v6, text, (socklen_t)size);
}

void address_print(const union address *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "";
    uint16_t port = address->any.sa_family == AF_INET ? address->v4.sin_port : address->v6.sin6_port;

    address_print_host(address, host, sizeof host);
    snprintf(text, size, "%s %u", host, ntohs(port));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } verbs[] = {{"serve", serve}, {"ask", ask},   {"talk", talk},   {"shout", shout}, {"burst", burst},
                 {"count", count}, {"pour", pour}, {"drain", drain}, {"flood", flood}, {"stream", stream}};
    struct rlimit files = {.rlim_cur = 8192, .rlim_max = 8192};

    (void)setrlimit(RLIMIT_NOFILE, &files);
    for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 2, argv + 2);
    die("usage: probe serve PORT/PROTO... | ask [TIMEOUT_MS] | talk PROTO ADDRESS PORT | "
        "shout ADDRESS PORT COUNT GAP_US [COMMAND...] | burst ID FAST_MS STAY_MS GAP_US FILE SPEC... | "
        "count wire INTERFACE | count udp PORT... | pour STYLE ADDRESS PORT GAP_US FLOW | "
        "drain [--sockets] PORT/PROTO... | flood GAP_US PROTO,ADDRESS,PORT... | "
        "stream GAP_US STYLE,FD,FD,NUMBER...");
}
