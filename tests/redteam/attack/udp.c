/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A UDP datagram in every kind of frame.
 *   tags=8100.0,88a8.5   VLAN tags in front of the type, outermost first: protocol and VLAN ID
 *   type=0x88b5          another type than that of the addresses' family
 *   frame=ether | snap   Ethernet II; IEEE 802.3 with LLC and SNAP (RFC 1042)
 *   length=N             with snap: another length than the true one
 *   size=N               bytes of data, at least
 *   sweep=1              each from the next source port, without a pause
 */
#include "attack.h"

#include <stdio.h>
#include <string.h>

static void put_tags(struct frame *frame, const char *tags)
{
    unsigned protocol, id;
    int n;

    for (; *tags; tags += n + (tags[n] == ',')) {
        n = 0;
        if (sscanf(tags, "%4x.%u%n", &protocol, &id, &n) < 2 || !n || (tags[n] && tags[n] != ','))
            die("tags=%s: PROTOCOL.VLAN[,...] expected", tags);
        put16(frame, (uint16_t)protocol);
        put16(frame, (uint16_t)id);
    }
}

static void put_snap(struct frame *frame, uint16_t type)
{
    static const uint8_t snap[] = {0xaa, 0xaa, 0x03, 0, 0, 0};

    put16(frame, 0); /* the length, put in when it is known */
    put(frame, snap, sizeof snap);
    put16(frame, type);
}

static void build(struct frame *ret, const struct request *request)
{
    uint16_t type = (uint16_t)option_number("type", ether_type(request));
    bool snap = strcmp(option_text("frame", "ether"), "snap") == 0;
    size_t length_at;

    ret->len = 0;
    put(ret, request->dmac, MAC_LEN);
    put(ret, request->smac, MAC_LEN);
    put_tags(ret, option_text("tags", ""));
    length_at = ret->len;
    if (snap)
        put_snap(ret, type);
    else
        put16(ret, type);
    put_udp(ret, request, option_number("size", 0));
    if (snap)
        set16(ret, length_at, (uint16_t)option_number("length", (uint32_t)(ret->len - length_at - 2)));
}

static void sweep(struct request request)
{
    static struct frame frame;

    for (unsigned i = 0; i < request.count; i++) {
        build(&frame, &request);
        send_once(&request, &frame);
        request.sport++;
    }
}

void attack_udp(const struct request *request)
{
    static struct frame frame;

    if (option_number("sweep", 0)) {
        sweep(*request);
    } else {
        build(&frame, request);
        send_frame(request, &frame);
    }
}
