// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"

static int af_of(enum ip_family family)
{
    return family == IP4 ? AF_INET : AF_INET6;
}

int ip_compare(const void *a, const void *b)
{
    const struct ip *x = a, *y = b;

    if (x->family != y->family)
        return x->family < y->family ? -1 : 1;
    return (x->num > y->num) - (x->num < y->num);
}

void ip_sort(struct ip *ips, size_t n)
{
    if (n > 1)
        qsort(ips, n, sizeof(*ips), ip_compare);
}

ipnum ip_max(enum ip_family family)
{
    return family == IP4 ? UINT32_MAX : ~(ipnum)0;
}

void ip_to_bytes(struct ip ip, uint8_t *bytes)
{
    size_t size = ip_size(ip.family);

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(ip.num >> (8 * (size - 1 - i)));
}

struct ip ip_from_bytes(enum ip_family family, const uint8_t *bytes)
{
    struct ip ip = {.family = family};

    for (size_t i = 0; i < ip_size(family); i++)
        ip.num = ip.num << 8 | bytes[i];
    return ip;
}

struct ip_key ip_key(struct ip ip)
{
    struct ip_key key = {.family = (uint8_t)ip.family};

    ip_to_bytes(ip, key.bytes);
    return key;
}

int ip_parse(const char *text, struct ip *ret)
{
    enum ip_family family = strchr(text, ':') ? IP6 : IP4;
    uint8_t bytes[16];

    if (inet_pton(af_of(family), text, bytes) != 1)
        return -EINVAL;
    *ret = ip_from_bytes(family, bytes);
    return 0;
}

const char *ip_format(struct ip ip, char buffer[static IP_TEXT_MAX])
{
    uint8_t bytes[16];

    ip_to_bytes(ip, bytes);
    return inet_ntop(af_of(ip.family), bytes, buffer, IP_TEXT_MAX);
}

/* A mask with the host bits of a prefix length set. */
static ipnum host_mask(enum ip_family family, unsigned len)
{
    unsigned host_bits = ip_bits(family) - len;

    return host_bits == 128 ? ~(ipnum)0 : ((ipnum)1 << host_bits) - 1;
}

static int parse_prefix_len(const char *text, unsigned max, unsigned *ret)
{
    unsigned value = 0;

    if (!*text || strlen(text) > 3 || (text[0] == '0' && text[1]))
        return -EINVAL;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9')
            return -EINVAL;
        value = value * 10 + (unsigned)(*c - '0');
    }
    if (value > max)
        return -ERANGE;
    *ret = value;
    return 0;
}

int cidr_parse(const char *text, struct cidr *ret)
{
    const char *slash = strchr(text, '/');
    char address[IP_TEXT_MAX] = "";
    struct cidr cidr;
    int r;

    if (slash && (size_t)(slash - text) >= sizeof(address))
        return -EINVAL;
    if (!slash && strlen(text) >= sizeof(address))
        return -EINVAL;
    memcpy(address, text, slash ? (size_t)(slash - text) : strlen(text));
    if (ip_parse(address, &cidr.net) < 0)
        return -EINVAL;
    cidr.len = ip_bits(cidr.net.family);
    if (slash) {
        r = parse_prefix_len(slash + 1, cidr.len, &cidr.len);
        if (r < 0)
            return r;
    }
    ipnum host = cidr.net.num & host_mask(cidr.net.family, cidr.len);

    cidr.net.num -= host;
    *ret = cidr;
    return host ? -EDOM : 0;
}

const char *cidr_format(const struct cidr *cidr, char buffer[static CIDR_TEXT_MAX])
{
    char address[IP_TEXT_MAX];

    ip_format(cidr->net, address);
    if (cidr->len == ip_bits(cidr->net.family))
        snprintf(buffer, CIDR_TEXT_MAX, "%s", address);
    else
        snprintf(buffer, CIDR_TEXT_MAX, "%s/%u", address, cidr->len);
    return buffer;
}

struct ip_range cidr_range(const struct cidr *cidr)
{
    return (struct ip_range){cidr->net.num, cidr->net.num | host_mask(cidr->net.family, cidr->len)};
}

bool cidr_from_range(enum ip_family family, struct ip_range range, struct cidr *ret)
{
    for (unsigned len = 0; len <= ip_bits(family); len++) {
        ipnum host = host_mask(family, len);

        if ((range.first & host) == 0 && (range.first | host) == range.last) {
            *ret = (struct cidr){{.num = range.first, .family = family}, len};
            return true;
        }
    }
    return false;
}

char *ip_range_text(enum ip_family family, struct ip_range range)
{
    char first[IP_TEXT_MAX], last[IP_TEXT_MAX], block[CIDR_TEXT_MAX];
    struct cidr cidr;

    if (cidr_from_range(family, range, &cidr))
        return xstrdup(cidr_format(&cidr, block));
    return xasprintf("%s-%s", ip_format((struct ip){range.first, family}, first),
                     ip_format((struct ip){range.last, family}, last));
}

bool cidr_contains(const struct cidr *cidr, struct ip ip)
{
    struct ip_range range = cidr_range(cidr);

    return ip.family == cidr->net.family && ip.num >= range.first && ip.num <= range.last;
}

bool cidr_within(const struct cidr *inner, const struct cidr *outer)
{
    return inner->len >= outer->len && cidr_contains(outer, inner->net);
}

int mac_parse(const char *text, struct mac *ret)
{
    struct mac mac;
    char end;

    if (strlen(text) != MAC_TEXT_MAX - 1)
        return -EINVAL;
    if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &mac.bytes[0], &mac.bytes[1], &mac.bytes[2],
               &mac.bytes[3], &mac.bytes[4], &mac.bytes[5], &end) != 6)
        return -EINVAL;
    *ret = mac;
    return 0;
}

const char *mac_format(const struct mac *mac, char buffer[static MAC_TEXT_MAX])
{
    const uint8_t *b = mac->bytes;

    snprintf(buffer, MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
    return buffer;
}

struct ip mac_link_local(const struct mac *mac)
{
    const uint8_t *b = mac->bytes;
    uint8_t bytes[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, b[0] ^ 2, b[1], b[2], 0xff, 0xfe, b[3], b[4], b[5]};

    return ip_from_bytes(IP6, bytes);
}

void ip_ranges_clear(struct ip_ranges *set)
{
    free(set->v);
    *set = (struct ip_ranges){0};
}

struct ip_ranges ip_ranges_copy(const struct ip_ranges *set)
{
    struct ip_ranges copy = {0};

    for (size_t i = 0; i < set->n; i++)
        *ARRAY_ADD(copy.v, copy.n) = set->v[i];
    return copy;
}

/* Does a reach into b or end right before it? (a starts first.) The addition could overflow at the top. */
static bool touches(const struct ip_range *a, const struct ip_range *b)
{
    return a->last >= b->first || a->last + 1 == b->first;
}

void ip_ranges_add(struct ip_ranges *set, struct ip_range range)
{
    struct ip_ranges result = {0};
    size_t i = 0;

    while (i < set->n && set->v[i].first <= range.first)
        *ARRAY_ADD(result.v, result.n) = set->v[i++];
    if (result.n && touches(&result.v[result.n - 1], &range)) {
        if (range.last > result.v[result.n - 1].last)
            result.v[result.n - 1].last = range.last;
    } else {
        *ARRAY_ADD(result.v, result.n) = range;
    }
    for (; i < set->n; i++) {
        struct ip_range *end = &result.v[result.n - 1];

        if (!touches(end, &set->v[i]))
            *ARRAY_ADD(result.v, result.n) = set->v[i];
        else if (set->v[i].last > end->last)
            end->last = set->v[i].last;
    }
    free(set->v);
    *set = result;
}

static void subtract_one(struct ip_ranges *set, const struct ip_range *hole)
{
    struct ip_ranges result = {0};

    for (size_t i = 0; i < set->n; i++) {
        struct ip_range range = set->v[i];

        if (hole->last < range.first || hole->first > range.last) {
            *ARRAY_ADD(result.v, result.n) = range;
            continue;
        }
        if (hole->first > range.first)
            *ARRAY_ADD(result.v, result.n) = (struct ip_range){range.first, hole->first - 1};
        if (hole->last < range.last)
            *ARRAY_ADD(result.v, result.n) = (struct ip_range){hole->last + 1, range.last};
    }
    free(set->v);
    *set = result;
}

void ip_ranges_subtract(struct ip_ranges *set, const struct ip_ranges *other)
{
    for (size_t i = 0; i < other->n; i++)
        subtract_one(set, &other->v[i]);
}

void ip_ranges_intersect(struct ip_ranges *set, const struct ip_ranges *other)
{
    struct ip_ranges result = {0};

    for (size_t i = 0; i < set->n; i++) {
        for (size_t j = 0; j < other->n; j++) {
            const struct ip_range *a = &set->v[i], *b = &other->v[j];
            struct ip_range both = {a->first > b->first ? a->first : b->first,
                                    a->last < b->last ? a->last : b->last};

            if (both.first <= both.last)
                *ARRAY_ADD(result.v, result.n) = both;
        }
    }
    free(set->v);
    *set = result;
}

bool ip_ranges_contain(const struct ip_ranges *set, ipnum num)
{
    size_t low = 0, high = set->n;

    while (low < high) { /* the first range that does not end before it */
        size_t middle = low + (high - low) / 2;

        if (set->v[middle].last < num)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->n && set->v[low].first <= num;
}

void ip_ranges_fill(struct ip_ranges *set, enum ip_family family)
{
    ip_ranges_add(set, (struct ip_range){0, ip_max(family)});
}

/*
 * What is not "Globally Reachable" in IANA's IPv4 and IPv6 Special-Purpose Address Registries, and what is no
 * unicast. IPv6: only 2000::/3 is allocated for global unicast (RFC 4291), so the rest needs no mention;
 * 64:ff9b::/96 (NAT64, RFC 6052) is reachable and stands outside it.
 */
#define NET4(a, b, c, d, length)                                                                             \
    {                                                                                                        \
        .net = {.num = (ipnum)(a) << 24 | (b) << 16 | (c) << 8 | (d), .family = IP4}, .len = (length)        \
    }
#define NET6(high, low, length)                                                                              \
    {                                                                                                        \
        .net = {.num = (ipnum)(high) << 64 | (low), .family = IP6}, .len = (length)                          \
    }

static const struct cidr not_internet4[] = {
    NET4(0, 0, 0, 0, 8),      NET4(10, 0, 0, 0, 8),     NET4(100, 64, 0, 0, 10), NET4(127, 0, 0, 0, 8),
    NET4(169, 254, 0, 0, 16), NET4(172, 16, 0, 0, 12),  NET4(192, 0, 0, 0, 24),  NET4(192, 0, 2, 0, 24),
    NET4(192, 88, 99, 0, 24), NET4(192, 168, 0, 0, 16), NET4(198, 18, 0, 0, 15), NET4(198, 51, 100, 0, 24),
    NET4(203, 0, 113, 0, 24), NET4(224, 0, 0, 0, 4),    NET4(240, 0, 0, 0, 4),
};
/* PCP and TURN anycast. */
static const struct cidr internet4_again[] = {
    NET4(192, 0, 0, 9, 32),
    NET4(192, 0, 0, 10, 32),
};
static const struct cidr internet6[] = {
    NET6(0x2000000000000000, 0, 3),  /* 2000::/3 */
    NET6(0x0064ff9b00000000, 0, 96), /* 64:ff9b::/96 */
};
static const struct cidr not_internet6[] = {
    NET6(0x2001000000000000, 0, 23), /* 2001::/23 */
    NET6(0x20010db800000000, 0, 32), /* 2001:db8::/32 */
    NET6(0x2002000000000000, 0, 16), /* 2002::/16 */
    NET6(0x3fff000000000000, 0, 20), /* 3fff::/20 */
};
/* Blocks within 2001::/23 that the registry marks reachable: anycasts, AMT, AS112, ORCHIDv2, DETs. */
static const struct cidr internet6_again[] = {
    NET6(0x2001000100000000, 1, 128), /* 2001:1::1/128 */
    NET6(0x2001000100000000, 2, 128), /* 2001:1::2/128 */
    NET6(0x2001000100000000, 3, 128), /* 2001:1::3/128 */
    NET6(0x2001000300000000, 0, 32),  /* 2001:3::/32 */
    NET6(0x2001000401120000, 0, 48),  /* 2001:4:112::/48 */
    NET6(0x2001002000000000, 0, 28),  /* 2001:20::/28 */
    NET6(0x2001003000000000, 0, 28),  /* 2001:30::/28 */
};

static void add_blocks(struct ip_ranges *set, const struct cidr *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ip_ranges_add(set, cidr_range(&blocks[i]));
}

static void subtract_blocks(struct ip_ranges *set, const struct cidr *blocks, size_t n)
{
    struct ip_ranges holes = {0};

    add_blocks(&holes, blocks, n);
    ip_ranges_subtract(set, &holes);
    ip_ranges_clear(&holes);
}

void ip_ranges_add_internet(struct ip_ranges *set, enum ip_family family)
{
    struct ip_ranges net = {0};

    if (family == IP4) {
        ip_ranges_fill(&net, IP4);
        subtract_blocks(&net, not_internet4, ARRAY_SIZE(not_internet4));
        add_blocks(&net, internet4_again, ARRAY_SIZE(internet4_again));
    } else {
        add_blocks(&net, internet6, ARRAY_SIZE(internet6));
        subtract_blocks(&net, not_internet6, ARRAY_SIZE(not_internet6));
        add_blocks(&net, internet6_again, ARRAY_SIZE(internet6_again));
    }
    for (size_t i = 0; i < net.n; i++)
        ip_ranges_add(set, net.v[i]);
    ip_ranges_clear(&net);
}

static bool is_in(const struct cidr *blocks, size_t n, struct ip ip)
{
    for (size_t i = 0; i < n; i++)
        if (cidr_contains(&blocks[i], ip))
            return true;
    return false;
}

bool ip_is_internet(struct ip ip)
{
    if (ip.family == IP4)
        return !is_in(not_internet4, ARRAY_SIZE(not_internet4), ip) ||
               is_in(internet4_again, ARRAY_SIZE(internet4_again), ip);
    return (is_in(internet6, ARRAY_SIZE(internet6), ip) &&
            !is_in(not_internet6, ARRAY_SIZE(not_internet6), ip)) ||
           is_in(internet6_again, ARRAY_SIZE(internet6_again), ip);
}
