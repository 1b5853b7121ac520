/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IGMP, versions 1 and 2 (RFC 2236), and multicast router discovery (RFC 4286).
 *   igmp=0x11 code=100 group=ADDRESS   the type; the time to answer in, in tenths of a second; none unless given
 *   protocol=103                       another protocol than 2, as PIM
 *   bare=1                             without the mark, which stands behind it otherwise
 */
#include "attack.h"

void attack_igmp(const struct request *request)
{
    static struct frame frame, message;
    struct address group = {0};
    struct request own = *request;

    own.hops = (uint8_t)option_number("hops", 1);
    option_address("group", &group);
    put8(&message, (uint8_t)option_number("igmp", 0x11));
    put8(&message, (uint8_t)option_number("code", 100));
    put16(&message, 0);
    put(&message, group.bytes, 4);
    set16(&message, 2, checksum(message.data, message.len, 0));
    put_link(&frame, request, 0x0800);
    put_ip(&frame, &own, (uint8_t)option_number("protocol", IPPROTO_IGMP), message.len);
    put(&frame, message.data, message.len);
    if (!option_number("bare", 0))
        put_mark(&frame, request); /* behind the packet's end, as padding */
    end_link(&frame);
    send_frame(request, &frame);
}
