// SPDX-License-Identifier: GPL-2.0-or-later
#include "denial/community_id.h"

#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sha1.h>
#include <stdint.h>
#include <string.h>

/* What stands for the ports of ICMP: the type, and the type of the answer; where there is none, the code. */
struct answer {
    uint8_t type, answer;
};

static const struct answer answers4[] = {
    {ICMP_ECHO, ICMP_ECHOREPLY},
    {ICMP_ECHOREPLY, ICMP_ECHO},
    {ICMP_TIMESTAMP, ICMP_TIMESTAMPREPLY},
    {ICMP_TIMESTAMPREPLY, ICMP_TIMESTAMP},
    {ICMP_INFO_REQUEST, ICMP_INFO_REPLY},
    {ICMP_INFO_REPLY, ICMP_INFO_REQUEST},
    {ICMP_ADDRESS, ICMP_ADDRESSREPLY},
    {ICMP_ADDRESSREPLY, ICMP_ADDRESS},
    {10, 9},
    {9, 10}, /* RFC 1256: router solicitation and advertisement */
};
static const struct answer answers6[] = {
    {ICMP6_ECHO_REQUEST, ICMP6_ECHO_REPLY},
    {ICMP6_ECHO_REPLY, ICMP6_ECHO_REQUEST},
    {ND_ROUTER_SOLICIT, ND_ROUTER_ADVERT},
    {ND_ROUTER_ADVERT, ND_ROUTER_SOLICIT},
    {ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT},
    {ND_NEIGHBOR_ADVERT, ND_NEIGHBOR_SOLICIT},
    {MLD_LISTENER_QUERY, MLD_LISTENER_REPORT},
    {MLD_LISTENER_REPORT, MLD_LISTENER_QUERY},
    {139, 140},
    {140, 139}, /* RFC 4620: node information */
    {144, 145},
    {145, 144}, /* RFC 6275: home agent address discovery */
};

struct ends {
    uint16_t source, destination;
    bool has, one_way;
};

static struct ends icmp_ends(const struct denied_packet *packet, const struct answer *answers, size_t n)
{
    struct ends ends = {packet->head[0], packet->head[1], packet->has_head, true};

    for (size_t i = 0; i < n; i++) {
        if (answers[i].type != packet->head[0])
            continue;
        ends.destination = answers[i].answer;
        ends.one_way = false;
    }
    return ends;
}

static struct ends ends_of(const struct denied_packet *packet)
{
    if (packet->proto == IPPROTO_ICMP)
        return icmp_ends(packet, answers4, sizeof(answers4) / sizeof(*answers4));
    if (packet->proto == IPPROTO_ICMPV6)
        return icmp_ends(packet, answers6, sizeof(answers6) / sizeof(*answers6));
    return (struct ends){
        packet->source_port, packet->destination_port,
        packet->has_ports && packet->proto != IPPROTO_DCCP && packet->proto != IPPROTO_UDPLITE, false};
}

static void encode_base64(const uint8_t *bytes, size_t len, char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)bytes[i] << 16 | (uint32_t)(i + 1 < len ? bytes[i + 1] : 0) << 8 |
                        (i + 2 < len ? bytes[i + 2] : 0);

        *text++ = letters[bits >> 18];
        *text++ = letters[bits >> 12 & 63];
        *text++ = i + 1 < len ? letters[bits >> 6 & 63] : '=';
        *text++ = i + 2 < len ? letters[bits & 63] : '=';
    }
    *text = '\0';
}

static void hash_port(SHA1_CTX *context, uint16_t port)
{
    const uint8_t bytes[] = {(uint8_t)(port >> 8), (uint8_t)port};

    SHA1Update(context, bytes, sizeof(bytes));
}

bool community_id(const struct denied_packet *packet, char ret[static COMMUNITY_ID_MAX])
{
    static const uint8_t seed[2];
    uint8_t digest[SHA1_DIGEST_LENGTH], addresses[2][16];
    struct ends ends = ends_of(packet);
    size_t len = ip_size(packet->source.family);
    bool swap;
    SHA1_CTX context;

    if (!packet->has_ip || !packet->has_proto)
        return false;
    ip_to_bytes(packet->source, addresses[0]);
    ip_to_bytes(packet->destination, addresses[1]);
    int order = memcmp(addresses[0], addresses[1], len);
    swap = !ends.one_way && (order > 0 || (order == 0 && ends.has && ends.source > ends.destination));
    SHA1Init(&context);
    SHA1Update(&context, seed, sizeof(seed));
    SHA1Update(&context, addresses[swap], len);
    SHA1Update(&context, addresses[!swap], len);
    SHA1Update(&context, (const uint8_t[]){packet->proto, 0}, 2);
    if (ends.has) {
        hash_port(&context, swap ? ends.destination : ends.source);
        hash_port(&context, swap ? ends.source : ends.destination);
    }
    SHA1Final(digest, &context);
    memcpy(ret, "1:", 2);
    encode_base64(digest, sizeof(digest), ret + 2);
    return true;
}
