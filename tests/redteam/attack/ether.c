/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in front of a packet. Keys of every command:
 *   tags=8100.0,88a8.5     VLAN tags in front of the type, outermost first: protocol and the tag's 16 bits
 *   type=0x88b5            another type than that of the packet
 *   frame=ether|snap|llc   Ethernet II; IEEE 802.3 with LLC and SNAP (RFC 1042); or with LLC only, as for BPDUs
 *   inner=8100.0           tags behind SNAP's type
 *   length=N               with snap and llc: another length than the true one
 */
#include "attack.h"

#include <stdio.h>
#include <string.h>

#define NO_LENGTH SIZE_MAX

static size_t length_at = NO_LENGTH;

static void put_tags(struct frame *frame, const char *tags)
{
    unsigned protocol, id;
    int n;

    for (; *tags; tags += n + (tags[n] == ',')) {
        n = 0;
        if (sscanf(tags, "%4x.%u%n", &protocol, &id, &n) < 2 || !n || (tags[n] && tags[n] != ','))
            die("tags '%s': PROTOCOL.TAG[,...] expected", tags);
        put16(frame, (uint16_t)protocol);
        put16(frame, (uint16_t)id);
    }
}

static void put_length(struct frame *frame)
{
    length_at = frame->len;
    put16(frame, 0); /* put in when it is known */
}

static void put_snap(struct frame *frame)
{
    static const uint8_t snap[] = {0xaa, 0xaa, 0x03, 0, 0, 0};

    put_length(frame);
    put(frame, snap, sizeof snap);
    put_tags(frame, option_text("inner", ""));
}

void put_link(struct frame *frame, const struct request *request, uint16_t type)
{
    static const uint8_t llc[] = {0x42, 0x42, 0x03};
    const char *kind = option_text("frame", "ether");

    put(frame, request->dmac, MAC_LEN);
    put(frame, request->smac, MAC_LEN);
    put_tags(frame, option_text("tags", ""));
    if (strcmp(kind, "llc") == 0) {
        put_length(frame);
        put(frame, llc, sizeof llc);
        return;
    }
    if (strcmp(kind, "snap") == 0)
        put_snap(frame);
    put16(frame, (uint16_t)option_number("type", type));
}

void end_link(struct frame *frame)
{
    if (length_at != NO_LENGTH)
        set16(frame, length_at, (uint16_t)option_number("length", (uint32_t)(frame->len - length_at - 2)));
}
