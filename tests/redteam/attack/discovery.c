/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ICMPv6 of links: neighbour discovery (RFC 4861), and multicast listeners and routers (RFC 2710, RFC 4286).
 *   icmp=135 code=0 flags=0        the type, the code, and the 32 bits behind the checksum
 *   target=ADDRESS                 of 135 to 137; the group, of 130 to 132
 *   destination=ADDRESS            of 137
 *   slla=MAC tlla=MAC slla2=MAC tlla2=MAC prefix=ADDRESS route=ADDRESS rdnss=ADDRESS mtu=N nonce=1    options
 *   via=hop,alert,dst,routing,frag extension headers in front
 *   split=N                        with frag: two fragments, the first of N bytes; one without
 *   hops=255 badsum=1 cut=N        the hop limit; a wrong checksum; only N bytes of the message
 *   bare=1                         without the mark, which is an option that nobody knows otherwise
 */
#include "attack.h"

#include <string.h>
#include <unistd.h>

#define EXTENSIONS_MAX 8
#define FOREVER 0xffffffffu
#define OPTION_EXPERIMENT 253 /* RFC 4727 */

enum { HOP = 0, ROUTING = 43, FRAGMENT = 44, DESTINATION = 60 };

static void put_lladdr(struct frame *frame, const char *key, uint8_t type)
{
    uint8_t mac[MAC_LEN];

    if (!option_mac(key, mac))
        return;
    put8(frame, type);
    put8(frame, 1);
    put(frame, mac, MAC_LEN);
}

static void put_prefix(struct frame *frame)
{
    struct address prefix;

    if (!option_address("prefix", &prefix))
        return;
    put32(frame, 0x030440c0); /* 3, four times 8 bytes, /64, on-link and autonomous */
    put32(frame, FOREVER);
    put32(frame, FOREVER);
    put32(frame, 0);
    put(frame, prefix.bytes, 16);
}

static void put_route(struct frame *frame)
{
    struct address route;

    if (!option_address("route", &route))
        return;
    put32(frame, 0x18034008); /* 24, three times 8 bytes, /64, high preference: RFC 4191 */
    put32(frame, FOREVER);
    put(frame, route.bytes, 16);
}

static void put_rdnss(struct frame *frame)
{
    struct address server;

    if (!option_address("rdnss", &server))
        return;
    put32(frame, 0x19030000); /* 25: RFC 8106 */
    put32(frame, FOREVER);
    put(frame, server.bytes, 16);
}

static void put_mark_option(struct frame *frame, const struct request *request)
{
    size_t n = strlen(request->mark) + 2, units = (n + 7) / 8;

    put8(frame, OPTION_EXPERIMENT);
    put8(frame, (uint8_t)units);
    put_mark(frame, request);
    for (; n < 8 * units; n++)
        put8(frame, 0);
}

static void put_options(struct frame *frame, const struct request *request)
{
    uint32_t mtu = option_number("mtu", 0);

    put_lladdr(frame, "slla", 1);
    put_lladdr(frame, "tlla", 2);
    put_lladdr(frame, "slla2", 1);
    put_lladdr(frame, "tlla2", 2);
    put_prefix(frame);
    put_route(frame);
    put_rdnss(frame);
    if (mtu) {
        put32(frame, 0x05010000);
        put32(frame, mtu);
    }
    if (option_number("nonce", 0)) { /* RFC 7527 */
        put32(frame, 0x0e01c0ff);
        put32(frame, 0xfee00001);
    }
    if (!option_number("bare", 0))
        put_mark_option(frame, request);
}

static void put_message(struct frame *frame, const struct request *request)
{
    struct address target = {0}, destination = {0};
    uint8_t type = (uint8_t)option_number("icmp", 135);

    put8(frame, type);
    put8(frame, (uint8_t)option_number("code", 0));
    put16(frame, 0);
    put32(frame, option_number("flags", 0));
    if (type == 134)
        put(frame, "\0\0\0\0\0\0\0", 8); /* the reachable time and the retransmission timer: as they are */
    if (option_address("target", &target))
        put(frame, target.bytes, 16);
    if (option_address("destination", &destination))
        put(frame, destination.bytes, 16);
    put_options(frame, request);
    frame->len = option_number("cut", (uint32_t)frame->len);
    set16(frame, 2,
          transport_checksum(frame, request, 0, IPPROTO_ICMPV6) ^ (uint16_t)option_number("badsum", 0));
}

struct extension {
    uint8_t protocol, data[6];
};

static struct extension extension_of(const char *word, size_t n)
{
    static const struct {
        const char *word;
        struct extension extension;
    } known[] = {
        {"hop", {HOP, {1, 4}}},            /* padding */
        {"alert", {HOP, {5, 2, 0, 0, 1}}}, /* router alert: RFC 2711 */
        {"dst", {DESTINATION, {1, 4}}},    /* padding */
        {"routing", {ROUTING, {253, 0}}},  /* of an experiment; no segments left: to be skipped */
        {"frag", {FRAGMENT, {0}}},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].word) == n && strncmp(known[i].word, word, n) == 0)
            return known[i].extension;
    die("via=: hop, alert, dst, routing, frag expected, not '%s'", word);
}

static size_t read_extensions(struct extension ret[EXTENSIONS_MAX])
{
    size_t count = 0, n;

    for (const char *word = option_text("via", ""); *word; word += n + (word[n] == ',')) {
        if (count == EXTENSIONS_MAX)
            die("via=: over %d headers", EXTENSIONS_MAX);
        n = strcspn(word, ",");
        ret[count++] = extension_of(word, n);
    }
    return count;
}

static void put_extensions(struct frame *frame, const struct extension *extensions, size_t n, uint8_t last)
{
    for (size_t i = 0; i < n; i++) {
        put8(frame, i + 1 < n ? extensions[i + 1].protocol : last);
        put8(frame, 0);
        put(frame, extensions[i].data, sizeof extensions[i].data);
    }
}

/* Both parts of a packet: what each fragment has in front, and what is cut. */
struct packet {
    struct extension extensions[EXTENSIONS_MAX];
    size_t n, before; /* before: how many, with the fragment header */
    struct frame rest;
};

static void build_packet(struct packet *packet, const struct request *request)
{
    static struct frame message;

    packet->n = read_extensions(packet->extensions);
    for (size_t i = 0; i < packet->n; i++)
        if (packet->extensions[i].protocol == FRAGMENT)
            packet->before = i + 1;
    put_message(&message, request);
    put_extensions(&packet->rest, packet->extensions + packet->before, packet->n - packet->before,
                   IPPROTO_ICMPV6);
    put(&packet->rest, message.data, message.len);
}

/* rest[from..to) as a fragment, or all of it where there is no fragment header. */
static void build_part(struct frame *frame, const struct packet *packet, const struct request *request,
                       size_t from, size_t to, unsigned id)
{
    uint8_t last = packet->before < packet->n ? packet->extensions[packet->before].protocol : IPPROTO_ICMPV6;
    uint8_t first = packet->n ? packet->extensions[0].protocol : IPPROTO_ICMPV6;
    size_t header;

    frame->len = 0;
    put_link(frame, request, 0x86dd);
    put_ip(frame, request, first, 8 * packet->before + to - from);
    put_extensions(frame, packet->extensions, packet->before, last);
    if (packet->before) {
        header = frame->len - 8;
        set16(frame, header + 2, (uint16_t)(from | (to < packet->rest.len)));
        set16(frame, header + 6, (uint16_t)id);
    }
    put(frame, packet->rest.data + from, to - from);
    end_link(frame);
}

void attack_discovery(const struct request *request)
{
    static struct packet packet;
    static struct frame frame;
    size_t split = option_number("split", 0);
    struct request own = *request;

    own.hops = (uint8_t)option_number("hops", 255);
    build_packet(&packet, &own);
    for (unsigned i = 0; i < own.count; i++) {
        if (split) {
            build_part(&frame, &packet, &own, 0, split, i);
            send_once(&own, &frame);
        }
        build_part(&frame, &packet, &own, split, packet.rest.len, i);
        send_once(&own, &frame);
        usleep(1000);
    }
}
