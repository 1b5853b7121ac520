/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ARP (RFC 826), and what is like it: from= and to= are the protocol addresses.
 *   op=1                       1 request, 2 reply, 3 and 4 RARP, 8 and 9 InARP
 *   sha=MAC tha=MAC            the frame's source, and none, unless given
 *   htype=1 ptype=0x0800 hlen=6 plen=4
 *   cut=N                      only so many bytes of it
 * The mark comes behind it, where Ethernet pads.
 */
#include "attack.h"

/* A field of another length than that of what is in it: cut, or filled with zeros. */
static void put_field(struct frame *frame, const uint8_t *data, size_t n, size_t length)
{
    for (size_t i = 0; i < length; i++)
        put8(frame, i < n ? data[i] : 0);
}

static void put_arp(struct frame *frame, const struct request *request, const uint8_t *sha,
                    const uint8_t *tha)
{
    uint8_t hlen = (uint8_t)option_number("hlen", MAC_LEN), plen = (uint8_t)option_number("plen", 4);

    put16(frame, (uint16_t)option_number("htype", 1));
    put16(frame, (uint16_t)option_number("ptype", 0x0800));
    put8(frame, hlen);
    put8(frame, plen);
    put16(frame, (uint16_t)option_number("op", 1));
    put_field(frame, sha, MAC_LEN, hlen);
    put_field(frame, request->src.bytes, 4, plen);
    put_field(frame, tha, MAC_LEN, hlen);
    put_field(frame, request->dst.bytes, 4, plen);
}

void attack_arp(const struct request *request)
{
    static struct frame frame;
    uint8_t sha[MAC_LEN], tha[MAC_LEN] = {0};
    size_t start;

    for (size_t i = 0; i < MAC_LEN; i++)
        sha[i] = request->smac[i];
    option_mac("sha", sha);
    option_mac("tha", tha);
    put_link(&frame, request, 0x0806);
    start = frame.len;
    put_arp(&frame, request, sha, tha);
    frame.len = start + option_number("cut", (uint32_t)(frame.len - start));
    put_mark(&frame, request);
    end_link(&frame);
    send_frame(request, &frame);
}
