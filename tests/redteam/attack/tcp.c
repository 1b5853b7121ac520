/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TCP segment with any flags and the mark as its data, which belongs to no connection unless seq= and ack= are those of
 * one.
 *   flags=SA        of F S R P A U E C (RFC 9293); none by default
 *   seq=N ack=N     sequence and acknowledgement number
 */
#include "attack.h"

#include <string.h>

static uint8_t flags_of(const char *letters)
{
    static const char names[] = "FSRPAUEC"; /* from the lowest bit */
    uint8_t flags = 0;

    for (; *letters; letters++) {
        const char *at = strchr(names, *letters);

        if (!at)
            die("flags=: '%c' is none of %s", *letters, names);
        flags |= (uint8_t)(1u << (at - names));
    }
    return flags;
}

void put_tcp(struct frame *frame, const struct request *request, const char *flags)
{
    size_t start;

    put_ip(frame, request, IPPROTO_TCP, 20 + strlen(request->mark));
    start = frame->len;
    put16(frame, request->sport);
    put16(frame, request->dport);
    put32(frame, option_number("seq", 1000));
    put32(frame, option_number("ack", 2000));
    put16(frame, (uint16_t)(0x5000 | flags_of(flags)));
    put16(frame, 8192);
    put32(frame, 0);
    put_mark(frame, request);
    set16(frame, start + 16, transport_checksum(frame, request, start, IPPROTO_TCP));
}

void attack_tcp(const struct request *request)
{
    static struct frame frame;

    put_ethernet(&frame, request, ether_type(request));
    put_tcp(&frame, request, option_text("flags", ""));
    send_frame(request, &frame);
}
