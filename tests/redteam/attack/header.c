/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A packet whose IP header is of one's own making.
 *   protocol=N         the data is no UDP but this protocol's; the mark follows eight bytes that look like ports and length
 *   inside=udp         with protocol= 4, 41 or 47: the data is a whole packet of the addresses' family (GRE: RFC 2784)
 *   ttl=N              TTL or hop limit
 *   type=N             the frame's type, whatever the packet is
 * IPv4 (RFC 791):
 *   version=N ihl=N    of the first byte; ihl in words
 *   total=N            total length, instead of the true one
 *   checksum=bad
 *   options=HEX        padded with end-of-list to words; HERE stands for the address via=
 * IPv6 (RFC 8200):
 *   chain=KIND[,...]   extension headers: hop (hop-by-hop), options, alert, jumbo, home (a home address: via=), rt0, rt2,
 *                      rt4, rt253 (routing, one segment: via=), srh (segment routing as it is meant, on to via=), atomic,
 *                      ah, esp, none, mobility, hip, shim6, unknown
 *   payload=N          payload length, instead of the true one
 */
#include "attack.h"

#include <stdio.h>
#include <string.h>

static struct address via;

static void put_data(struct frame *ret, const struct request *request, uint8_t protocol)
{
    struct frame packet = {0};
    size_t header = request->dst.is_ipv6 ? 40 : 20;

    put_udp(&packet, request, 0);
    if (strcmp(option_text("inside", ""), "udp") == 0) {
        if (protocol == IPPROTO_GRE) {
            put16(ret, 0);
            put16(ret, ether_type(request));
        }
        put(ret, packet.data, packet.len);
    } else if (protocol == IPPROTO_UDPLITE) { /* its length field is its coverage: of all */
        set16(&packet, header + 4, 0);
        set16(&packet, header + 6, 0);
        set16(&packet, header + 6, transport_checksum(&packet, request, header, IPPROTO_UDPLITE));
        put(ret, packet.data + header, packet.len - header);
    } else {
        put(ret, packet.data + header, packet.len - header);
    }
}

/* ---- IPv4 --------------------------------------------------------------------------------------------- */

static void put_hex(struct frame *frame, const char *hex)
{
    unsigned byte;

    while (*hex) {
        if (strncmp(hex, "HERE", 4) == 0) {
            put(frame, via.bytes, address_size(&via));
            hex += 4;
        } else if (sscanf(hex, "%2x", &byte) == 1) {
            put8(frame, (uint8_t)byte);
            hex += 2;
        } else {
            die("options=...%s: hexadecimal digits expected", hex);
        }
    }
}

static void put_header4(struct frame *frame, const struct request *request, uint8_t protocol, size_t payload)
{
    struct frame options = {0};
    size_t start = frame->len, header;
    uint32_t words;

    put_hex(&options, option_text("options", ""));
    while (options.len % 4)
        put8(&options, 0);
    header = 20 + options.len;
    words = option_number("ihl", (uint32_t)header / 4);

    put8(frame, (uint8_t)(option_number("version", 4) << 4 | words));
    put8(frame, 0);
    put16(frame, (uint16_t)option_number("total", (uint32_t)(header + payload)));
    put32(frame, 0);
    put8(frame, (uint8_t)option_number("ttl", 64));
    put8(frame, protocol);
    put16(frame, 0);
    put(frame, request->src.bytes, 4);
    put(frame, request->dst.bytes, 4);
    put(frame, options.data, options.len);
    if (strcmp(option_text("checksum", ""), "bad") == 0)
        set16(frame, start + 10, 0xdead);
    else
        set16(frame, start + 10, checksum(frame->data + start, words * 4 <= header ? words * 4 : header, 0));
}

/* ---- IPv6 --------------------------------------------------------------------------------------------- */

/* What follows the byte that names the next header, in hexadecimal; HERE is the address via=. */
static const struct kind {
    const char *name;
    uint8_t protocol;
    const char *body;
} kinds[] = {
    {"hop", 0, "00010400000000"},
    {"alert", 0, "00050200000100"}, /* RFC 2711: router alert, PadN */
    {"jumbo", 0, "00c20400010000"}, /* RFC 2675: 65,536 bytes */
    {"options", 60, "00010400000000"},
    {"home", 60, "0201020000c910HERE"}, /* RFC 6275 6.3: PadN, home address */
    {"rt0", 43, "02000100000000HERE"},  /* one segment left */
    {"rt2", 43, "02020100000000HERE"},
    {"rt4", 43, "02040100000000HERE"},
    {"srh", 43, "04040101000000HEREHERE"}, /* RFC 8754: two segments, the second reached */
    {"rt253", 43, "02fd0100000000HERE"},
    {"atomic", 44, "00000012345678"},
    {"mobility", 135, "00000000000000"},
    {"hip", 139, "00000000000000"},
    {"shim6", 140, "00000000000000"},
    {"unknown", 253, "00000000000000"},
    {"ah", 51, "0400000000010000000001000000000000000000000000"}, /* RFC 4302: a check value of 12 bytes */
    {"none", 59, NULL},
    {"esp", 50, NULL},
};

static const struct kind *kind_of(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i].name) == n && strncmp(kinds[i].name, name, n) == 0)
            return &kinds[i];
    die("chain=: '%.*s' is unknown", (int)n, name);
}

/* Returns the first header's protocol. Recursive: each names the one after it. */
static uint8_t put_chain(struct frame *frame, const char *chain, uint8_t last)
{
    size_t n = strcspn(chain, ",");
    const struct kind *kind;
    size_t at = frame->len;
    uint8_t next;

    if (!*chain)
        return last;
    kind = kind_of(chain, n);
    if (!kind->body)
        return kind->protocol;
    put8(frame, 0);
    put_hex(frame, kind->body);
    next = put_chain(frame, chain + n + (chain[n] == ','), last);
    frame->data[at] = next;
    return kind->protocol;
}

static void put_header6(struct frame *frame, const struct request *request, uint8_t protocol, size_t payload)
{
    struct frame extensions = {0};
    uint8_t first = put_chain(&extensions, option_text("chain", ""), protocol);

    put_ip(frame, request, first, extensions.len + payload);
    frame->data[frame->len - 33] = (uint8_t)option_number("ttl", 64);
    set16(frame, frame->len - 36, (uint16_t)option_number("payload", (uint32_t)(extensions.len + payload)));
    put(frame, extensions.data, extensions.len);
}

void attack_header(const struct request *request)
{
    static struct frame frame, data;
    uint8_t protocol = (uint8_t)option_number("protocol", IPPROTO_UDP);

    option_address("via", &via);
    put_ethernet(&frame, request, (uint16_t)option_number("type", ether_type(request)));
    put_data(&data, request, protocol);
    if (request->dst.is_ipv6)
        put_header6(&frame, request, protocol, data.len);
    else
        put_header4(&frame, request, protocol, data.len);
    put(&frame, data.data, data.len);
    send_frame(request, &frame);
}
