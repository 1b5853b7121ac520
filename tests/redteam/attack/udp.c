/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A UDP datagram.
 *   size=N      bytes of data, at least
 *   sweep=1     each from the next source port, without a pause
 *   spread=1    each from another MAC, 02:ca:fe:xx:xx:xx, without a pause
 */
#include "attack.h"

#include <string.h>

static void build(struct frame *ret, const struct request *request)
{
    ret->len = 0;
    put_link(ret, request, ether_type(request));
    put_udp(ret, request, option_number("size", 0));
    end_link(ret);
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

static void spread(struct request request)
{
    static struct frame frame;

    for (uint32_t i = 0; i < request.count; i++) {
        const uint8_t mac[MAC_LEN] = {0x02, 0xca, 0xfe, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

        memcpy(request.smac, mac, MAC_LEN);
        build(&frame, &request);
        send_once(&request, &frame);
    }
}

void attack_udp(const struct request *request)
{
    static struct frame frame;

    if (option_number("sweep", 0)) {
        sweep(*request);
    } else if (option_number("spread", 0)) {
        spread(*request);
    } else {
        build(&frame, request);
        send_frame(request, &frame);
    }
}
