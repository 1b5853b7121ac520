/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "attack.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GAP_US 1000

void put(struct frame *frame, const void *data, size_t n)
{
    if (n > FRAME_MAX - frame->len)
        die("a frame of over %d bytes", FRAME_MAX);
    memcpy(frame->data + frame->len, data, n);
    frame->len += n;
}

void put8(struct frame *frame, uint8_t value)
{
    put(frame, &value, sizeof value);
}

void put16(struct frame *frame, uint16_t value)
{
    put8(frame, (uint8_t)(value >> 8));
    put8(frame, (uint8_t)value);
}

void put32(struct frame *frame, uint32_t value)
{
    put16(frame, (uint16_t)(value >> 16));
    put16(frame, (uint16_t)value);
}

void put_mark(struct frame *frame, const struct request *request)
{
    put(frame, request->mark, strlen(request->mark));
}

void set16(struct frame *frame, size_t offset, uint16_t value)
{
    frame->data[offset] = (uint8_t)(value >> 8);
    frame->data[offset + 1] = (uint8_t)value;
}

uint16_t checksum(const void *data, size_t n, uint32_t sum)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < n; i++)
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

uint16_t ether_type(const struct request *request)
{
    return request->dst.is_ipv6 ? 0x86dd : 0x0800;
}

void put_ethernet(struct frame *frame, const struct request *request, uint16_t type)
{
    put(frame, request->dmac, MAC_LEN);
    put(frame, request->smac, MAC_LEN);
    put16(frame, type);
}

static void put_ipv4(struct frame *frame, const struct request *request, uint8_t protocol, size_t payload)
{
    size_t start = frame->len;

    put16(frame, 0x4500);
    put16(frame, (uint16_t)(20 + payload));
    put32(frame, 0);
    put8(frame, request->hops);
    put8(frame, protocol);
    put16(frame, 0);
    put(frame, request->src.bytes, 4);
    put(frame, request->dst.bytes, 4);
    set16(frame, start + 10, checksum(frame->data + start, 20, 0));
}

static void put_ipv6(struct frame *frame, const struct request *request, uint8_t protocol, size_t payload)
{
    put32(frame, 0x60000000);
    put16(frame, (uint16_t)payload);
    put8(frame, protocol);
    put8(frame, request->hops);
    put(frame, request->src.bytes, 16);
    put(frame, request->dst.bytes, 16);
}

void put_ip(struct frame *frame, const struct request *request, uint8_t protocol, size_t payload)
{
    if (request->dst.is_ipv6)
        put_ipv6(frame, request, protocol, payload);
    else
        put_ipv4(frame, request, protocol, payload);
}

static uint32_t sum_of(const uint8_t *bytes, size_t n)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    return sum;
}

uint16_t transport_checksum(const struct frame *frame, const struct request *request, size_t offset,
                            uint8_t protocol)
{
    size_t size = address_size(&request->dst), n = frame->len - offset;
    uint32_t pseudo = sum_of(request->src.bytes, size) + sum_of(request->dst.bytes, size) + protocol +
                      (uint32_t)(n >> 16) + (uint32_t)(n & 0xffff);

    return checksum(frame->data + offset, n, pseudo);
}

void put_udp(struct frame *frame, const struct request *request, size_t size)
{
    size_t mark = strlen(request->mark), start, n = mark > size ? mark : size;

    put_ip(frame, request, IPPROTO_UDP, 8 + n);
    start = frame->len;
    put16(frame, request->sport);
    put16(frame, request->dport);
    put16(frame, (uint16_t)(8 + n));
    put16(frame, 0);
    put_mark(frame, request);
    for (size_t i = mark; i < n; i++)
        put8(frame, 'x');
    set16(frame, start + 6, transport_checksum(frame, request, start, IPPROTO_UDP));
}

void send_once(const struct request *request, const struct frame *frame)
{
    static int fd = -1;
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET, .sll_ifindex = (int)request->ifindex, .sll_halen = MAC_LEN};

    if (fd < 0)
        fd = socket(AF_PACKET, SOCK_RAW, 0);
    memcpy(to.sll_addr, frame->data, MAC_LEN);
    if (fd < 0 || sendto(fd, frame->data, frame->len, 0, (struct sockaddr *)&to, sizeof to) < 0)
        die("a frame of %zu bytes: %s", frame->len, strerror(errno));
}

void send_frame(const struct request *request, const struct frame *frame)
{
    for (unsigned i = 0; i < request->count; i++) {
        if (i)
            usleep(GAP_US);
        send_once(request, frame);
    }
}
