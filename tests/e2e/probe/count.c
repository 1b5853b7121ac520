/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The counting listener: what arrives, by name and number of the burst that sent it.
 *
 *   wire INTERFACE   every frame that comes in, whomever it is addressed to
 *   udp PORT...      what reaches a socket, for IPv4 and IPv6
 *
 * For each line of stdin it prints "ID PROTO SOURCE DESTINATION PORT COUNT FIRST LAST" for each different kind of
 * packet and then "end LOST", the number of packets that came too fast to be looked at. PROTO is udp, syn (the first
 * segment of a connection), tcp or other, FIRST and LAST are the numbers of the burst's datagrams, and ID is "-" for a
 * datagram or segment of anybody else.
 */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOURCES_MAX 16
#define ENTRIES_MAX 65536 /* a power of two */
#define BUFFER_SIZE (64 << 20)
#define DROPS 8 /* SK_MEMINFO_DROPS of linux/sock_diag.h */

struct entry {
    char *key;
    unsigned long count, first, last;
};

static struct entry entries[ENTRIES_MAX];
static size_t n_entries;

static struct entry *find_entry(const char *key)
{
    uint32_t hash = 2166136261u;

    for (const char *at = key; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    while (entries[hash % ENTRIES_MAX].key && strcmp(entries[hash % ENTRIES_MAX].key, key) != 0)
        hash++;
    return &entries[hash % ENTRIES_MAX];
}

static void count_packet(const char *key, unsigned long number)
{
    struct entry *entry = find_entry(key);

    if (!entry->key) {
        if (++n_entries >= ENTRIES_MAX)
            die("more than %d kinds of packets", ENTRIES_MAX);
        entry->key = strdup(key);
        entry->first = entry->last = number;
    }
    entry->count++;
    if (number < entry->first)
        entry->first = number;
    if (number > entry->last)
        entry->last = number;
}

/* "ID TARGET NUMBER" behind the mark; "-" for a packet without one. */
static void read_mark(const void *bytes, size_t len, char *id, unsigned long *ret_number)
{
    const char *found = memmem(bytes, len, BURST_MARK, strlen(BURST_MARK));
    char text[128];
    size_t n;

    strcpy(id, "-");
    *ret_number = 0;
    if (!found)
        return;
    found += strlen(BURST_MARK);
    n = len - (size_t)(found - (const char *)bytes);
    n = n < sizeof text ? n : sizeof text - 1;
    memcpy(text, found, n);
    text[n] = '\0';
    if (sscanf(text, "%63s %*u %lu", id, ret_number) < 1)
        strcpy(id, "?");
}

static const char *name_of(uint8_t protocol, uint8_t flags)
{
    if (protocol == IPPROTO_UDP)
        return "udp";
    if (protocol != IPPROTO_TCP)
        return "other";
    return (flags & (TH_SYN | TH_ACK)) == TH_SYN ? "syn" : "tcp";
}

static void count_frame(const uint8_t *frame, size_t len)
{
    char id[64], source[INET6_ADDRSTRLEN] = "-", destination[INET6_ADDRSTRLEN] = "-", key[256];
    uint8_t protocol = 0, flags = 0;
    unsigned long number;
    unsigned port = 0;

    read_mark(frame, len, id, &number);
    if (len >= 38 && frame[12] == 0x08 && frame[13] == 0x00) {
        protocol = frame[23];
        inet_ntop(AF_INET, frame + 26, source, sizeof source);
        inet_ntop(AF_INET, frame + 30, destination, sizeof destination);
        port = (unsigned)frame[36] << 8 | frame[37];
        flags = len > 47 ? frame[47] : 0;
    } else if (len >= 58 && frame[12] == 0x86 && frame[13] == 0xdd) {
        protocol = frame[20];
        inet_ntop(AF_INET6, frame + 22, source, sizeof source);
        inet_ntop(AF_INET6, frame + 38, destination, sizeof destination);
        port = (unsigned)frame[56] << 8 | frame[57];
        flags = len > 67 ? frame[67] : 0;
    }
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) {
        if (strcmp(id, "-") == 0)
            return; /* neighbour discovery and the like */
        port = 0;
    }
    snprintf(key, sizeof key, "%s %s %s %s %u", id, name_of(protocol, flags), source, destination, port);
    count_packet(key, number);
}

static void count_datagram(int fd, const union address *from, const void *bytes, size_t len)
{
    char id[64], source[INET6_ADDRSTRLEN], key[256];
    union address local;
    socklen_t size = sizeof local;
    unsigned long number;

    read_mark(bytes, len, id, &number);
    address_print_host(from, source, sizeof source);
    getsockname(fd, &local.any, &size);
    snprintf(key, sizeof key, "%s udp %s - %u", id, source, ntohs(local.v6.sin6_port));
    count_packet(key, number);
}

static void read_all(int fd, bool is_wire)
{
    union {
        struct sockaddr any;
        struct sockaddr_ll link;
        union address ip;
    } from;
    uint8_t bytes[4096];
    ssize_t n;

    for (;;) {
        socklen_t size = sizeof from;

        n = recvfrom(fd, bytes, sizeof bytes, MSG_DONTWAIT, &from.any, &size);
        if (n < 0)
            return;
        if (!is_wire)
            count_datagram(fd, &from.ip, bytes, (size_t)n);
        else if (from.link.sll_pkttype != PACKET_OUTGOING)
            count_frame(bytes, (size_t)n);
    }
}

static int open_wire(const char *interface)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

    address.sll_ifindex = (int)if_nametoindex(interface);
    if (fd < 0 || address.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("%s: %m", interface);
    return fd;
}

static int open_port(const char *text)
{
    union address address = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(text))}};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, &address.any, sizeof address.v6) < 0)
        die("port %s: %m", text);
    return fd;
}

static void report(const struct pollfd *sources, int n)
{
    uint32_t memory[DROPS + 1], lost = 0;

    for (size_t i = 0; i < ENTRIES_MAX; i++)
        if (entries[i].key)
            printf("%s %lu %lu %lu\n", entries[i].key, entries[i].count, entries[i].first, entries[i].last);
    for (int i = 1; i < n; i++) {
        socklen_t size = sizeof memory;

        if (getsockopt(sources[i].fd, SOL_SOCKET, SO_MEMINFO, memory, &size) == 0 && size >= sizeof memory)
            lost += memory[DROPS];
    }
    printf("end %u\n", lost);
    fflush(stdout);
}

int count(int argc, char **argv)
{
    struct pollfd sources[1 + SOURCES_MAX] = {{.fd = STDIN_FILENO, .events = POLLIN}};
    bool is_wire = argc == 2 && strcmp(argv[0], "wire") == 0;
    int size = BUFFER_SIZE, n = 1;
    char line[16];

    if (argc < 2 || argc > 1 + SOURCES_MAX || (!is_wire && strcmp(argv[0], "udp") != 0))
        die("usage: probe count wire INTERFACE | udp PORT...");
    for (; n < argc; n++) {
        sources[n].fd = is_wire ? open_wire(argv[n]) : open_port(argv[n]);
        sources[n].events = POLLIN;
        setsockopt(sources[n].fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    }
    puts("counting");
    fflush(stdout);
    for (;;) {
        if (poll(sources, (nfds_t)n, -1) < 0 && errno != EINTR)
            die("poll: %m");
        for (int i = 1; i < n; i++)
            read_all(sources[i].fd, is_wire);
        if (sources[0].revents) {
            if (read(STDIN_FILENO, line, sizeof line) <= 0)
                return 0;
            report(sources, n);
        }
    }
}
