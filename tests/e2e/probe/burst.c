/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The burst: from its first instruction on it sends numbered datagrams, one every GAP_US microseconds, to each of its
 * targets in turn, and opens each TCP connection that it is told to with one connect(). A SPEC is one of
 *
 *   udp,ADDRESS,PORT[,SOURCE PORT]   from an ordinary socket
 *   frame,ADDRESS,PORT,MAC           the same as a frame to this MAC address, which waits for no neighbour discovery
 *   tcp,ADDRESS,PORT[,SOURCE PORT]   says its name when it is connected, and then again and again
 *
 * After FAST_MS it slows down. It ends when that time has passed and every connection stands, at the latest after
 * STAY_MS, but not before every target was sent to some times; or, if STAY_MS is 0, on SIGTERM alone. It then writes
 * what it did to FILE, as JSON. Meanwhile it counts what arrives on its own wire: datagrams and segments, and among
 * them those that bear the mark of a peer.
 */
#include "probe.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define TARGETS_MAX 32
#define ROUNDS_MIN 10 /* however little of a busy machine's time it gets */
#define SLOW_US 2000
#define INTERFACE "eth0"

enum kind { KIND_UDP, KIND_FRAME, KIND_TCP };

struct target {
    enum kind kind;
    union address address, source;
    uint16_t source_port; /* 0: any */
    uint8_t mac[ETH_ALEN];
    int fd;
    unsigned long sent, failed;
    int64_t connected; /* us; 0: not yet */
};

static struct {
    const char *id;
    int64_t fast, stay, gap; /* us */
    const char *file;
    struct target targets[TARGETS_MAX];
    size_t n_targets;
    uint8_t own_mac[ETH_ALEN];
    int interface;
    int wire;
    unsigned long heard, heard_own, heard_others;
} plan;

static volatile sig_atomic_t ended;

static void on_term(int signal_number)
{
    (void)signal_number;
    ended = 1;
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void parse_mac(const char *text, uint8_t *mac)
{
    if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) !=
        6)
        die("'%s' is no MAC address", text);
}

static void parse_target(const char *spec, struct target *target)
{
    char kind[8], address[64], rest[32] = "";
    unsigned port;
    int fields = sscanf(spec, "%7[^,],%63[^,],%u,%31s", kind, address, &port, rest);

    if (fields < 3 || port > 65535 || !address_parse(address, (uint16_t)port, &target->address))
        die("'%s' is no target", spec);
    target->fd = -1;
    if (strcmp(kind, "frame") == 0) {
        target->kind = KIND_FRAME;
        parse_mac(rest, target->mac);
        return;
    }
    if (strcmp(kind, "udp") != 0 && strcmp(kind, "tcp") != 0)
        die("'%s' is no target", spec);
    target->kind = strcmp(kind, "udp") == 0 ? KIND_UDP : KIND_TCP;
    target->source_port = (uint16_t)atoi(rest);
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static bool bind_port(const struct target *target)
{
    union address any = {.any = {.sa_family = target->address.any.sa_family}};
    int on = 1;

    if (target->source_port == 0)
        return true;
    setsockopt(target->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (any.any.sa_family == AF_INET)
        any.v4.sin_port = htons(target->source_port);
    else
        any.v6.sin6_port = htons(target->source_port);
    return bind(target->fd, &any.any, address_length(&any)) == 0;
}

/* A datagram socket is connected, too: that finds out the source address, and needs no packet. */
static void open_target(struct target *target)
{
    int type = target->kind == KIND_TCP ? SOCK_STREAM : SOCK_DGRAM;
    socklen_t size = sizeof target->source;

    target->fd = socket(target->address.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (target->fd < 0 || !bind_port(target))
        die("socket: %m");
    if (connect(target->fd, &target->address.any, address_length(&target->address)) < 0 &&
        errno != EINPROGRESS)
        die("connect: %m");
    if (getsockname(target->fd, &target->source.any, &size) < 0)
        die("getsockname: %m");
    if (target->kind == KIND_FRAME) {
        close(target->fd);
        target->fd = plan.wire;
    }
}

static void open_wire(void)
{
    struct ifreq request = {.ifr_name = INTERFACE};
    int on = 1;

    plan.wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
    if (plan.wire < 0)
        die("packet socket: %m");
    setsockopt(plan.wire, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    plan.interface = (int)if_nametoindex(INTERFACE);
    if (ioctl(plan.wire, SIOCGIFHWADDR, &request) == 0)
        memcpy(plan.own_mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

static uint32_t sum_up(uint32_t sum, const void *bytes, size_t len)
{
    const uint8_t *byte = bytes;

    for (size_t i = 0; i < len; i++)
        sum += i % 2 ? byte[i] : (uint32_t)byte[i] << 8;
    return sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum >> 16) + (sum & 0xffff);
    return htons((uint16_t)~sum);
}

static size_t put_ipv4(uint8_t *packet, const struct target *target, size_t len)
{
    struct iphdr header = {
        .version = 4,
        .ihl = 5,
        .ttl = 64,
        .protocol = IPPROTO_UDP,
        .tot_len = htons((uint16_t)(sizeof header + len)),
        .saddr = target->source.v4.sin_addr.s_addr,
        .daddr = target->address.v4.sin_addr.s_addr,
    };

    header.check = fold(sum_up(0, &header, sizeof header));
    memcpy(packet, &header, sizeof header);
    return sizeof header;
}

static size_t put_ipv6(uint8_t *packet, const struct target *target, size_t len)
{
    struct ip6_hdr header = {.ip6_src = target->source.v6.sin6_addr, .ip6_dst = target->address.v6.sin6_addr};

    header.ip6_flow = htonl(6u << 28);
    header.ip6_plen = htons((uint16_t)len);
    header.ip6_nxt = IPPROTO_UDP;
    header.ip6_hlim = 64;
    memcpy(packet, &header, sizeof header);
    return sizeof header;
}

/* The checksum of UDP is left out for IPv4, which may be; for IPv6 it may not. */
static size_t put_udp(uint8_t *packet, const struct target *target, const char *payload, size_t len)
{
    bool is_v4 = target->address.any.sa_family == AF_INET;
    struct udphdr header = {
        .source = is_v4 ? target->source.v4.sin_port : target->source.v6.sin6_port,
        .dest = is_v4 ? target->address.v4.sin_port : target->address.v6.sin6_port,
        .len = htons((uint16_t)(sizeof header + len)),
    };

    if (!is_v4) {
        uint32_t sum = IPPROTO_UDP + (uint32_t)(sizeof header + len);

        sum = sum_up(sum, &target->source.v6.sin6_addr, sizeof(struct in6_addr));
        sum = sum_up(sum, &target->address.v6.sin6_addr, sizeof(struct in6_addr));
        sum = sum_up(sum, &header, sizeof header);
        header.check = fold(sum_up(sum, payload, len));
    }
    memcpy(packet, &header, sizeof header);
    memcpy(packet + sizeof header, payload, len);
    return sizeof header + len;
}

static ssize_t send_frame(const struct target *target, const char *payload, size_t len)
{
    bool is_v4 = target->address.any.sa_family == AF_INET;
    uint16_t type = htons(is_v4 ? ETH_P_IP : ETH_P_IPV6);
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = plan.interface};
    uint8_t frame[512];
    size_t size = 2 * ETH_ALEN + sizeof type;

    memcpy(frame, target->mac, ETH_ALEN);
    memcpy(frame + ETH_ALEN, plan.own_mac, ETH_ALEN);
    memcpy(frame + 2 * ETH_ALEN, &type, sizeof type);
    len += sizeof(struct udphdr);
    size += is_v4 ? put_ipv4(frame + size, target, len) : put_ipv6(frame + size, target, len);
    size += put_udp(frame + size, target, payload, len - sizeof(struct udphdr));
    return sendto(plan.wire, frame, size, 0, (struct sockaddr *)&to, sizeof to);
}

static void send_to(struct target *target, size_t index)
{
    char text[128];
    size_t len = (size_t)snprintf(text, sizeof text, BURST_MARK "%s %zu %lu\n", plan.id, index, target->sent);
    ssize_t n;

    if (target->kind == KIND_TCP && !target->connected)
        return;
    n = target->kind == KIND_FRAME ? send_frame(target, text, len)
                                   : send(target->fd, text, len, MSG_NOSIGNAL);
    if (n < 0)
        target->failed++;
    else
        target->sent++;
}

/* ---- what happens meanwhile ------------------------------------------------------------------------------------- */

static void check_connection(struct target *target, int64_t began)
{
    struct pollfd poller = {.fd = target->fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;

    if (poll(&poller, 1, 0) <= 0)
        return;
    getsockopt(target->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0 && (poller.revents & POLLOUT))
        target->connected = now_us() - began;
}

static void check_connections(int64_t began)
{
    for (size_t i = 0; i < plan.n_targets; i++)
        if (plan.targets[i].kind == KIND_TCP && !plan.targets[i].connected)
            check_connection(&plan.targets[i], began);
}

static bool is_datagram_or_segment(const uint8_t *frame, size_t len)
{
    uint8_t protocol = 0;

    if (len > 34 && frame[12] == 0x08 && frame[13] == 0x00)
        protocol = frame[23];
    else if (len > 54 && frame[12] == 0x86 && frame[13] == 0xdd)
        protocol = frame[20];
    return protocol == IPPROTO_UDP || protocol == IPPROTO_TCP;
}

static void listen_to_wire(void)
{
    uint8_t frame[2048];
    struct sockaddr_ll from;
    socklen_t size = sizeof from;
    ssize_t n;

    while ((n = recvfrom(plan.wire, frame, sizeof frame, 0, (struct sockaddr *)&from, &size)) >= 0) {
        size_t id = strlen(plan.id), mark = strlen(PEER_MARK);
        const char *found = memmem(frame, (size_t)n, PEER_MARK, mark);

        if (from.sll_ifindex != plan.interface)
            continue;
        plan.heard += is_datagram_or_segment(frame, (size_t)n);
        if (found && (size_t)((const char *)frame + n - found) > mark + id &&
            strncmp(found + mark, plan.id, id) == 0 && found[mark + id] == ' ')
            plan.heard_own++;
        else if (found)
            plan.heard_others++;
    }
}

static bool all_connected(void)
{
    for (size_t i = 0; i < plan.n_targets; i++)
        if (plan.targets[i].kind == KIND_TCP && !plan.targets[i].connected)
            return false;
    return true;
}

static bool is_over(int64_t passed, unsigned long rounds)
{
    if (ended)
        return true;
    return plan.stay > 0 && rounds >= ROUNDS_MIN && passed >= plan.fast &&
           (passed >= plan.stay || all_connected());
}

static void wait_for(int64_t us)
{
    struct timespec gap = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

    (void)nanosleep(&gap, NULL);
}

static void write_target(FILE *file, const struct target *target, bool more)
{
    char source[INET6_ADDRSTRLEN];

    address_print_host(&target->source, source, sizeof source);
    fprintf(file, "%s{\"source\":\"%s\",\"sent\":%lu,\"failed\":%lu,\"connected_us\":%lld}", more ? "," : "",
            source, target->sent, target->failed, (long long)target->connected);
}

static void write_report(void)
{
    char part[256];
    FILE *file;

    snprintf(part, sizeof part, "%s.part", plan.file);
    file = fopen(part, "we");
    if (!file)
        die("%s: %m", part);
    fprintf(file, "{\"heard\":%lu,\"heard_own\":%lu,\"heard_others\":%lu,\"targets\":[", plan.heard,
            plan.heard_own, plan.heard_others);
    for (size_t i = 0; i < plan.n_targets; i++)
        write_target(file, &plan.targets[i], i > 0);
    fprintf(file, "]}\n");
    fclose(file);
    rename(part, plan.file); /* whoever sees it sees all of it */
}

int burst(int argc, char **argv)
{
    int64_t began = now_us(), passed;
    struct sigaction term = {.sa_handler = on_term};
    unsigned long rounds = 0;
    size_t next = 0;

    if (argc < 6 || argc > 5 + TARGETS_MAX)
        die("usage: probe burst ID FAST_MS STAY_MS GAP_US FILE SPEC...");
    sigaction(SIGTERM, &term, NULL);
    prctl(PR_SET_TIMERSLACK, 1);
    plan.id = argv[0];
    plan.fast = atoll(argv[1]) * 1000;
    plan.stay = atoll(argv[2]) * 1000;
    plan.gap = atoll(argv[3]);
    plan.file = argv[4];
    open_wire();
    for (int i = 5; i < argc; i++) {
        parse_target(argv[i], &plan.targets[plan.n_targets]);
        open_target(&plan.targets[plan.n_targets++]);
    }
    while (passed = now_us() - began, !is_over(passed, rounds)) {
        struct target *target = &plan.targets[next];

        check_connections(began);
        send_to(target, next);
        listen_to_wire();
        next = (next + 1) % plan.n_targets;
        rounds += next == 0;
        wait_for(passed < plan.fast ? plan.gap : SLOW_US);
    }
    write_report();
    return 0;
}
