/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conversations in which both ends speak all the time, over sockets that were handed down: each end in a network
 * namespace of its own. Every line of stdin prints a line for each conversation,
 *
 *   there PACKETS NS back PACKETS NS
 *
 * what has arrived at the far end and at the near one, and when the last of it did: in nanoseconds of the wall clock, by
 * the kernel's stamp where it gives one, so that it does not matter when the socket was read. Then "end".
 *
 * Of a TCP connection a packet is whatever one read gave. ICMP goes one way: the far end sees the near one's echo
 * requests, and its kernel answers.
 */
#include "probe.h"

#include <errno.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAIRS_MAX 200
#define CHUNK 16384 /* bytes of TCP at a time */
#define DATAGRAM 64
#define READS_MAX 64 /* of one socket in a row */
#define IDLE_MS 1
#define MARK "cofferdam-stream"

enum style { STYLE_TCP, STYLE_UDP, STYLE_ICMP4, STYLE_ICMP6 };

struct end {
    int fd;
    uint64_t packets;
    int64_t last;
};

struct pair {
    enum style style;
    struct end near, far;
    uint16_t number;
};

struct echo {
    uint8_t type, code;
    uint16_t checksum, id, sequence;
    char mark[sizeof MARK];
};

static struct pair pairs[PAIRS_MAX];
static size_t n_pairs;

static int64_t wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- speaking ----------------------------------------------------------------------------------------- */

static uint16_t checksum(const void *bytes, size_t n)
{
    const uint8_t *at = bytes;
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

static bool speak_icmp(struct pair *pair)
{
    struct echo echo = {
        .type = pair->style == STYLE_ICMP4 ? 8 : 128, .id = htons(pair->number), .mark = MARK};

    if (pair->style == STYLE_ICMP4)
        echo.checksum = checksum(&echo, sizeof echo);
    return send(pair->near.fd, &echo, sizeof echo, 0) > 0;
}

static bool speak(struct pair *pair)
{
    static const char bytes[CHUNK] = MARK;
    size_t size = pair->style == STYLE_TCP ? CHUNK : DATAGRAM;
    bool near, far;

    if (pair->style >= STYLE_ICMP4)
        return speak_icmp(pair);
    near = send(pair->near.fd, bytes, size, MSG_NOSIGNAL) > 0;
    far = send(pair->far.fd, bytes, size, MSG_NOSIGNAL) > 0;
    return near || far;
}

/* ---- hearing ------------------------------------------------------------------------------------------ */

/* Raw sockets hear more than the conversation. */
static bool is_meant(const struct pair *pair, const char *bytes, size_t n, bool at_far)
{
    size_t head = pair->style == STYLE_ICMP4 && n >= sizeof(struct iphdr) ? (size_t)(bytes[0] & 15) * 4 : 0;
    uint8_t wanted = pair->style == STYLE_ICMP4 ? (at_far ? 8 : 0) : (at_far ? 128 : 129);
    struct echo echo;

    if (pair->style < STYLE_ICMP4)
        return true;
    if (n < head + sizeof echo)
        return false;
    memcpy(&echo, bytes + head, sizeof echo);
    return echo.type == wanted && echo.id == htons(pair->number) && memcmp(echo.mark, MARK, sizeof MARK) == 0;
}

static int64_t stamp(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;

            memcpy(&at, CMSG_DATA(c), sizeof at);
            return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
        }
    return wall_ns();
}

static bool hear(const struct pair *pair, struct end *end)
{
    static char bytes[4 * CHUNK];
    bool heard = false;

    for (int i = 0; i < READS_MAX; i++) {
        union {
            struct cmsghdr align;
            char room[256];
        } control;
        struct iovec part = {.iov_base = bytes, .iov_len = sizeof bytes};
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(end->fd, &message, MSG_DONTWAIT);
        int64_t at;

        if (n <= 0)
            break;
        if (!is_meant(pair, bytes, (size_t)n, end == &pair->far))
            continue;
        heard = true;
        end->packets++;
        at = stamp(&message);
        if (at > end->last)
            end->last = at;
    }
    return heard;
}

/* ---- the loop ----------------------------------------------------------------------------------------- */

static void report(void)
{
    for (size_t i = 0; i < n_pairs; i++)
        printf("there %llu %lld back %llu %lld\n", (unsigned long long)pairs[i].far.packets,
               (long long)pairs[i].far.last, (unsigned long long)pairs[i].near.packets,
               (long long)pairs[i].near.last);
    puts("end");
    fflush(stdout);
}

/* False: nobody wants to know any more. */
static bool asked(int timeout)
{
    struct pollfd stdin_ready = {.fd = STDIN_FILENO, .events = POLLIN};
    char line[64];
    ssize_t n;

    if (poll(&stdin_ready, 1, timeout) <= 0)
        return true;
    n = read(STDIN_FILENO, line, sizeof line);
    for (ssize_t i = 0; i < n; i++)
        if (line[i] == '\n')
            report();
    return n > 0;
}

static enum style style_parse(const char *text)
{
    static const char *const names[] = {"tcp", "udp", "icmp4", "icmp6"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum style)i;
    die("'%s' is no style", text);
}

static void add(const char *text)
{
    struct pair *pair = &pairs[n_pairs];
    char style[10];
    int on = 1;

    if (n_pairs == PAIRS_MAX ||
        sscanf(text, "%9[^,],%d,%d,%hu", style, &pair->near.fd, &pair->far.fd, &pair->number) != 4)
        die("'%s' is no pair, or one too many", text);
    pair->style = style_parse(style);
    setsockopt(pair->near.fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(pair->far.fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    n_pairs++;
}

int stream(int argc, char **argv)
{
    useconds_t gap = 0;

    if (argc < 2)
        die("stream GAP_US STYLE,FD,FD,NUMBER...");
    gap = (useconds_t)atoi(argv[0]);
    for (int i = 1; i < argc; i++)
        add(argv[i]);
    puts("streaming");
    fflush(stdout);
    for (;;) {
        bool busy = false;

        for (size_t i = 0; i < n_pairs; i++) {
            bool spoke = speak(&pairs[i]), there = hear(&pairs[i], &pairs[i].far),
                 back = hear(&pairs[i], &pairs[i].near);

            busy = busy || spoke || there || back;
        }
        if (!asked(busy ? 0 : IDLE_MS))
            return 0;
        if (gap)
            usleep(gap);
    }
}
