/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses: IPv4 and IPv6 as numbers, networks in CIDR notation, and sets of address ranges with the
 * arithmetic that subtracting one grant from another needs. Both families are treated alike everywhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ip_family { IP4, IP6, IP_FAMILIES };

__extension__ typedef unsigned __int128 ipnum; /* an address as a number; IPv4 in the low 32 bits */

struct ip {
    ipnum num;
    enum ip_family family;
};

struct ip_key {
    uint8_t bytes[16];
    uint8_t family;
};

struct cidr {
    struct ip net; /* host bits are zero */
    unsigned len;
};

struct mac {
    uint8_t bytes[6];
};

/* Sorted, disjoint, not adjacent ranges of one family, both ends included. All zero is the empty set. */
struct ip_range {
    ipnum first, last;
};

struct ip_ranges {
    struct ip_range *v;
    size_t n;
};

#define IP_TEXT_MAX 46   /* INET6_ADDRSTRLEN */
#define CIDR_TEXT_MAX 50 /* the same with "/128" */
#define MAC_TEXT_MAX 18

static inline unsigned ip_bits(enum ip_family family)
{
    return family == IP4 ? 32 : 128;
}

static inline size_t ip_size(enum ip_family family)
{
    return family == IP4 ? 4 : 16;
}

static inline bool ip_equal(struct ip a, struct ip b)
{
    return a.family == b.family && a.num == b.num;
}

/* IPv4 first, then by number, as qsort(3) and bsearch(3) ask. */
int ip_compare(const void *a, const void *b);
void ip_sort(struct ip *ips, size_t n);

/* 127.0.0.0/8 (RFC 1122, 3.2.1.3) and ::1 (RFC 4291, 2.5.3): each host's, and each container's, own. */
static inline bool ip_is_loopback(struct ip ip)
{
    return ip.family == IP4 ? ip.num >> 24 == 127 : ip.num == 1;
}

/* 224.0.0.0/4 and 255.255.255.255, ff00::/8: what is for many. */
static inline bool ip_is_group(struct ip ip)
{
    return ip.family == IP6 ? ip.num >> 120 == 0xff : ip.num >> 28 == 0xe || ip.num == UINT32_MAX;
}

/* Highest number of the family. */
ipnum ip_max(enum ip_family family);

/* 0, or -EINVAL when the text is no address in the notation of inet_pton(3) (so "010.0.0.1" is none). */
int ip_parse(const char *text, struct ip *ret);
const char *ip_format(struct ip ip, char buffer[static IP_TEXT_MAX]);
/* Network byte order: ip_size(family) bytes. */
void ip_to_bytes(struct ip ip, uint8_t *bytes);
struct ip ip_from_bytes(enum ip_family family, const uint8_t *bytes);
/* Without padding, as the key of a hash. */
struct ip_key ip_key(struct ip ip);

/* 0; -EINVAL: no CIDR notation; -ERANGE: prefix length too long; -EDOM: host bits are set, *ret is the
 * network. */
int cidr_parse(const char *text, struct cidr *ret);
/* "10.0.0.0/8"; a single address is printed without its length. */
const char *cidr_format(const struct cidr *cidr, char buffer[static CIDR_TEXT_MAX]);
struct ip_range cidr_range(const struct cidr *cidr);
/* The block that is exactly this range, if there is one. */
bool cidr_from_range(enum ip_family family, struct ip_range range, struct cidr *ret);
/* That block, or "10.0.0.1-10.0.0.77". The caller frees it. */
char *ip_range_text(enum ip_family family, struct ip_range range);
bool cidr_contains(const struct cidr *cidr, struct ip ip);
bool cidr_within(const struct cidr *inner, const struct cidr *outer);

/* 0 or -EINVAL; colons only. */
int mac_parse(const char *text, struct mac *ret);
const char *mac_format(const struct mac *mac, char buffer[static MAC_TEXT_MAX]);
/* The IPv6 link-local address that the kernel derives from a MAC (RFC 4291, appendix A: modified EUI-64). */
struct ip mac_link_local(const struct mac *mac);

void ip_ranges_add(struct ip_ranges *set, struct ip_range range);
void ip_ranges_subtract(struct ip_ranges *set, const struct ip_ranges *other);
void ip_ranges_intersect(struct ip_ranges *set, const struct ip_ranges *other);
bool ip_ranges_contain(const struct ip_ranges *set, ipnum num);
struct ip_ranges ip_ranges_copy(const struct ip_ranges *set);
void ip_ranges_clear(struct ip_ranges *set);
/* Every address of the family. */
void ip_ranges_fill(struct ip_ranges *set, enum ip_family family);
/* IANA's globally reachable unicast space: what the peer "internet" means (RFC 6890 and its registries). */
void ip_ranges_add_internet(struct ip_ranges *set, enum ip_family family);
/* Is it one of these? */
bool ip_is_internet(struct ip ip);
