/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ICMP or ICMPv6 message, by the family of the addresses (RFC 792, RFC 4443), with the mark in it.
 *   type=N code=N rest=N      the rest is the header's second word: identifier and number, MTU, gateway
 *   inner=tcp|udp|icmp        what the error reports is a packet inner_from= -> inner_to=, sport -> dport; the mark is
 *                             in its data. Without it the mark follows the header
 *   gateway=ADDRESS           the rest, as an address (redirects)
 *   inner_size=N              bytes of data of an inner UDP datagram at least
 */
#include "attack.h"

#include <string.h>

static void put_inner(struct frame *frame, const struct request *request, const char *kind)
{
    struct request inner = *request;

    option_address("inner_from", &inner.src);
    option_address("inner_to", &inner.dst);
    if (strcmp(kind, "tcp") == 0) {
        put_tcp(frame, &inner, "A");
    } else if (strcmp(kind, "udp") == 0) {
        put_udp(frame, &inner, option_number("inner_size", 0));
    } else { /* an echo request whose identifier is sport */
        put_ip(frame, &inner, inner.dst.is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 8 + strlen(request->mark));
        put16(frame, inner.dst.is_ipv6 ? 0x8000 : 0x0800);
        put16(frame, 0);
        put16(frame, inner.sport);
        put16(frame, 1);
        put_mark(frame, request);
    }
}

static void put_body(struct frame *frame, const struct request *request)
{
    const char *inner = option_text("inner", NULL);

    if (inner)
        put_inner(frame, request, inner);
    else
        put_mark(frame, request);
}

/* ICMPv6 has a pseudo header in its checksum, ICMP has none. */
static void set_checksum(struct frame *message, const struct request *request)
{
    uint16_t sum = request->dst.is_ipv6 ? transport_checksum(message, request, 0, IPPROTO_ICMPV6)
                                        : checksum(message->data, message->len, 0);

    set16(message, 2, sum);
}

void attack_icmp(const struct request *request)
{
    static struct frame frame, message;
    struct address gateway;

    put8(&message, (uint8_t)option_number("type", 8));
    put8(&message, (uint8_t)option_number("code", 0));
    put16(&message, 0);
    if (option_address("gateway", &gateway))
        put(&message, gateway.bytes, 4);
    else
        put32(&message, option_number("rest", 0x12340001));
    put_body(&message, request);
    set_checksum(&message, request);
    put_ethernet(&frame, request, ether_type(request));
    put_ip(&frame, request, request->dst.is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, message.len);
    put(&frame, message.data, message.len);
    send_frame(request, &frame);
}
