/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sender of attacks: one frame or packet of a kind that no honest program sends, from a raw socket, as root in a
 * container with Docker's default capabilities can. It shares no code with what it attacks, and links nothing but libc.
 *
 * Its arguments are a command and KEY=VALUE pairs. Whatever it sends carries the mark, by which the receiver knows it.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 66000
#define MAC_LEN 6

struct address {
    bool is_ipv6;
    union {
        uint8_t bytes[16]; /* the first four, of an IPv4 address */
        struct in_addr v4;
        struct in6_addr v6;
    };
};

/* What most attacks need: between whom, by which interface, how often. */
struct request {
    unsigned ifindex;                     /* dev=NAME, eth0 unless given */
    uint8_t mac[MAC_LEN];                 /* the interface's own */
    uint8_t smac[MAC_LEN], dmac[MAC_LEN]; /* smac=, the own one unless given; dmac=, broadcast unless given */
    struct address src, dst;              /* from=, to= */
    uint16_t sport, dport;                /* sport= (40000), dport= (9999) */
    const char *mark;                     /* mark=TEXT */
    unsigned count;                       /* count= (3) frames, a millisecond apart */
    uint8_t hops;                         /* hops= (64): time to live, hop limit */
};

struct frame {
    size_t len;
    uint8_t data[FRAME_MAX];
};

/* Ends the program with a message on stderr. */
void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...);

/* The values of a command's own keys; a key that no command asks for is an error at the end. otherwise: when not given. */
const char *option_text(const char *key, const char *otherwise);
uint32_t option_number(const char *key, uint32_t otherwise); /* decimal, or hexadecimal with 0x */
bool option_mac(const char *key, uint8_t ret[MAC_LEN]);      /* false: not given, and nothing is written */
bool option_address(const char *key, struct address *ret);

void mac_parse(const char *text, uint8_t ret[MAC_LEN]);
void address_parse(const char *text, struct address *ret);
size_t address_size(const struct address *address);

/* Numbers go in network byte order. */
void put(struct frame *frame, const void *data, size_t n);
void put8(struct frame *frame, uint8_t value);
void put16(struct frame *frame, uint16_t value);
void put32(struct frame *frame, uint32_t value);
void put_mark(struct frame *frame, const struct request *request);
void set16(struct frame *frame, size_t offset, uint16_t value);

/* Destination, source and type or length (IEEE 802.3). */
void put_ethernet(struct frame *frame, const struct request *request, uint16_t type);
/* All in front of the packet, as tags=, type=, frame=, inner= and length= say; end_link() when the rest is there. */
void put_link(struct frame *frame, const struct request *request, uint16_t type);
void end_link(struct frame *frame);
/* 0x0800 or 0x86dd, by the addresses. */
uint16_t ether_type(const struct request *request);
/* RFC 791, RFC 8200: a header without options in front of payload bytes of this protocol. */
void put_ip(struct frame *frame, const struct request *request, uint8_t protocol, size_t payload);
/* RFC 1071 over data[offset..len), with the pseudo header of the request's addresses; the field itself must be zero. */
uint16_t transport_checksum(const struct frame *frame, const struct request *request, size_t offset,
                            uint8_t protocol);
uint16_t checksum(const void *data, size_t n, uint32_t sum);
/* A whole datagram with the mark in it, of size bytes of data at least. */
void put_udp(struct frame *frame, const struct request *request, size_t size);
/* The same of TCP: flags as letters of FSRPAUEC, and the keys seq= and ack=. */
void put_tcp(struct frame *frame, const struct request *request, const char *flags);

/* Sends the frame as it is, by the interface, as often as the request says. */
void send_frame(const struct request *request, const struct frame *frame);
/* The same once; a sequence of frames is sent by calling this for each. */
void send_once(const struct request *request, const struct frame *frame);

/* The commands: each reads its own keys, then sends. */
void attack_arp(const struct request *request);
void attack_discovery(const struct request *request);
void attack_igmp(const struct request *request);
void attack_udp(const struct request *request);
void attack_tcp(const struct request *request);
void attack_fragments(const struct request *request);
void attack_icmp(const struct request *request);
void attack_header(const struct request *request);
void attack_packet(const struct request *request);
void attack_tunnel(const struct request *request);
void attack_connect(const struct request *request);
