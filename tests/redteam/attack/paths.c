/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet: a well-formed packet with the mark at its end, of one of these kinds:
 *   kind=udp | syn | synack | echo | echo-reply | timestamp | query | report
 *        query and report: IGMPv2 (RFC 2236), or MLDv1 (RFC 2710)
 *
 * tunnel: a UDP datagram with the mark inside a packet of a tunnel. from= and to= are the tunnel's ends.
 *   kind=ip | gre | vxlan
 *   inner-from=, inner-to=, inner-dport=; inner-dmac=, of vxlan's frame
 *
 * connect: what any program may do: connects to to= and dport=, sends the mark, and prints what comes back.
 *   proto=tcp | udp  wait=MS for the connection, and again for the answer
 */
#include "attack.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IGMP_QUERY 0x11
#define IGMP_REPORT 0x16
#define MLD_QUERY 130
#define MLD_REPORT 131
#define GRE_PROTOCOL 47
#define VXLAN_HEADER 8

/* ICMP's checksum has no pseudo header, ICMPv6's has. n: bytes of body between the checksum and the mark. */
static void put_icmp(struct frame *frame, const struct request *request, uint8_t type, const void *body,
                     size_t n)
{
    bool is_ipv6 = request->dst.is_ipv6;
    size_t start;

    put_ip(frame, request, is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 4 + n + strlen(request->mark));
    start = frame->len;
    put8(frame, type);
    put8(frame, 0);
    put16(frame, 0);
    put(frame, body, n);
    put_mark(frame, request);
    set16(frame, start + 2,
          is_ipv6 ? transport_checksum(frame, request, start, IPPROTO_ICMPV6)
                  : checksum(frame->data + start, frame->len - start, 0));
}

static void put_group_message(struct frame *frame, const struct request *request, bool query)
{
    static const uint8_t nothing[20];
    size_t start;

    if (request->dst.is_ipv6) {
        put_icmp(frame, request, query ? MLD_QUERY : MLD_REPORT, nothing, sizeof nothing);
        return;
    }
    put_ip(frame, request, IPPROTO_IGMP, 8 + strlen(request->mark));
    start = frame->len;
    put8(frame, query ? IGMP_QUERY : IGMP_REPORT);
    put8(frame, 0);
    put16(frame, 0);
    put(frame, nothing, 4);
    put_mark(frame, request);
    set16(frame, start + 2, checksum(frame->data + start, frame->len - start, 0));
}

static void put_kind(struct frame *frame, const struct request *request, const char *kind)
{
    static const uint8_t echo[4] = {0, 1, 0, 1}, timestamp[16] = {0, 1, 0, 1};
    bool is_ipv6 = request->dst.is_ipv6;

    if (strcmp(kind, "udp") == 0)
        put_udp(frame, request, 0);
    else if (strcmp(kind, "syn") == 0)
        put_tcp(frame, request, "S");
    else if (strcmp(kind, "synack") == 0)
        put_tcp(frame, request, "SA");
    else if (strcmp(kind, "echo") == 0)
        put_icmp(frame, request, is_ipv6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO, echo, sizeof echo);
    else if (strcmp(kind, "echo-reply") == 0)
        put_icmp(frame, request, is_ipv6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY, echo, sizeof echo);
    else if (strcmp(kind, "timestamp") == 0 && !is_ipv6)
        put_icmp(frame, request, ICMP_TIMESTAMP, timestamp, sizeof timestamp);
    else if (strcmp(kind, "query") == 0 || strcmp(kind, "report") == 0)
        put_group_message(frame, request, kind[0] == 'q');
    else
        die("kind=%s: no such packet", kind);
}

void attack_packet(const struct request *request)
{
    static struct frame frame;

    put_ethernet(&frame, request, ether_type(request));
    put_kind(&frame, request, option_text("kind", "udp"));
    send_frame(request, &frame);
}

/* RFC 7348: flags, and a network's number (7); then a whole frame. */
static void put_vxlan(struct frame *frame, const struct request *outer, const struct request *inner,
                      const struct frame *packet)
{
    static const uint8_t header[VXLAN_HEADER] = {0x08, 0, 0, 0, 0, 0, 7, 0};
    struct request ethernet = *inner;
    size_t n = 8 + sizeof header + 2 * MAC_LEN + 2 + packet->len;

    put_ip(frame, outer, IPPROTO_UDP, n);
    put16(frame, outer->sport);
    put16(frame, outer->dport);
    put16(frame, (uint16_t)n);
    put16(frame, 0); /* RFC 7348 and RFC 6935 do without a checksum */
    put(frame, header, sizeof header);
    option_mac("inner-dmac", ethernet.dmac);
    put_ethernet(frame, &ethernet, ether_type(inner));
    put(frame, packet->data, packet->len);
}

void attack_tunnel(const struct request *request)
{
    static struct frame frame, packet;
    struct request inner = *request;
    const char *kind = option_text("kind", "ip");

    option_address("inner-from", &inner.src);
    option_address("inner-to", &inner.dst);
    inner.dport = (uint16_t)option_number("inner-dport", 9999);
    put_udp(&packet, &inner, 0);
    put_ethernet(&frame, request, ether_type(request));
    if (strcmp(kind, "vxlan") == 0) {
        put_vxlan(&frame, request, &inner, &packet);
    } else if (strcmp(kind, "gre") == 0) { /* RFC 2784 */
        put_ip(&frame, request, GRE_PROTOCOL, 4 + packet.len);
        put16(&frame, 0);
        put16(&frame, ether_type(&inner));
        put(&frame, packet.data, packet.len);
    } else {
        put_ip(&frame, request, inner.dst.is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP, packet.len);
        put(&frame, packet.data, packet.len);
    }
    send_frame(request, &frame);
}

static socklen_t socket_address(const struct request *request, struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

    memset(ret, 0, sizeof *ret);
    if (!request->dst.is_ipv6) {
        *v4 = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons(request->dport), .sin_addr = request->dst.v4};
        return sizeof *v4;
    }
    *v6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = htons(request->dport), .sin6_addr = request->dst.v6};
    if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
        v6->sin6_scope_id = request->ifindex;
    return sizeof *v6;
}

/* Whatever fails is what the attack came to, and no error of the attack program. */
void attack_connect(const struct request *request)
{
    bool tcp = strcmp(option_text("proto", "tcp"), "tcp") == 0;
    int wait = (int)option_number("wait", 400);
    struct sockaddr_storage to;
    socklen_t size = socket_address(request, &to);
    struct pollfd poller = {.events = POLLOUT};
    char answer[4096];
    ssize_t n;

    poller.fd = socket(to.ss_family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0);
    if (poller.fd < 0)
        die("socket: %s", strerror(errno));
    if (connect(poller.fd, (struct sockaddr *)&to, size) < 0 && errno != EINPROGRESS)
        return;
    if (poll(&poller, 1, wait) == 1 &&
        send(poller.fd, request->mark, strlen(request->mark), MSG_NOSIGNAL) > 0) {
        poller.events = POLLIN;
        n = poll(&poller, 1, wait) == 1 ? read(poller.fd, answer, sizeof answer) : 0;
        if (n > 0)
            fwrite(answer, 1, (size_t)n, stdout);
    }
    close(poller.fd);
}
