/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "sockets/sockets.h"

#define ID_DIGITS (CONTAINER_ID_MAX - 1)

struct sockets_request sockets_request(enum ip_family family, enum port_kind kind)
{
    /* A UDP socket without a peer is "closed"; one that has a peer is somebody's client. */
    return (struct sockets_request){
        .header = {.nlmsg_len = sizeof(struct sockets_request),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .question = {.sdiag_family = family == IP4 ? AF_INET : AF_INET6,
                     .sdiag_protocol = kind == PORT_TCP ? IPPROTO_TCP : IPPROTO_UDP,
                     .idiag_states = 1u << (kind == PORT_TCP ? TCP_LISTEN : TCP_CLOSE)},
    };
}

/* IPv4 addresses of IPv6 sockets too. */
static bool is_loopback(const struct inet_diag_msg *socket)
{
    static const uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const uint8_t *bytes = (const uint8_t *)socket->id.idiag_src;

    if (socket->idiag_family == AF_INET)
        return bytes[0] == 127;
    return memcmp(bytes, &in6addr_loopback, sizeof(in6addr_loopback)) == 0 ||
           (memcmp(bytes, mapped, sizeof(mapped)) == 0 && bytes[sizeof(mapped)] == 127);
}

static void add(const struct inet_diag_msg *socket, enum port_kind kind, struct sockets *sockets)
{
    uint16_t port = ntohs(socket->id.idiag_sport);

    if (port && !socket->id.idiag_dport)
        container_ports_add(is_loopback(socket) ? &sockets->loopback : &sockets->anywhere, kind, port);
}

static int read_error(const struct nlmsghdr *header)
{
    const struct nlmsgerr *error = NLMSG_DATA(header);

    if (header->nlmsg_len < NLMSG_LENGTH(sizeof(error->error)) || error->error > 0)
        return -EBADMSG;
    return error->error;
}

/* The kind is told by the state: a dump is asked for one transport at a time, and TCP listens. */
static int read_message(const struct nlmsghdr *header, struct sockets *sockets)
{
    const struct inet_diag_msg *socket = NLMSG_DATA(header);

    if (header->nlmsg_type == NLMSG_DONE)
        return 1;
    if (header->nlmsg_type == NLMSG_ERROR)
        return read_error(header);
    if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return 0;
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*socket)) ||
        (socket->idiag_family != AF_INET && socket->idiag_family != AF_INET6))
        return -EBADMSG;
    add(socket, socket->idiag_state == TCP_LISTEN ? PORT_TCP : PORT_UDP, sockets);
    return 0;
}

int sockets_read(const void *bytes, size_t len, struct sockets *sockets)
{
    size_t at = 0;

    while (at < len) {
        const struct nlmsghdr *header = (const void *)((const char *)bytes + at);
        int r;

        if (len - at < sizeof(*header) || header->nlmsg_len < sizeof(*header) || header->nlmsg_len > len - at)
            return -EBADMSG;
        r = read_message(header, sockets);
        if (r != 0)
            return r;
        at += NLMSG_ALIGN(header->nlmsg_len);
    }
    return 0;
}

void sockets_finish(struct sockets *sockets)
{
    struct container_ports *loopback = &sockets->loopback;
    size_t kept = 0;

    for (size_t i = 0; i < loopback->n; i++)
        if (!container_ports_have(&sockets->anywhere, loopback->v[i].kind, loopback->v[i].number))
            loopback->v[kept++] = loopback->v[i];
    loopback->n = kept;
}

void sockets_clear(struct sockets *sockets)
{
    container_ports_clear(&sockets->anywhere);
    container_ports_clear(&sockets->loopback);
}

bool cgroup_container(const char *text, char ret[static CONTAINER_ID_MAX])
{
    bool found = false;

    while (*text) {
        size_t digits = strspn(text, "0123456789abcdef"), word = digits;

        while (isalnum((unsigned char)text[word]))
            word++;
        if (digits == ID_DIGITS && word == digits) {
            memcpy(ret, text, ID_DIGITS);
            ret[ID_DIGITS] = '\0';
            found = true;
        }
        text += word;
        if (*text)
            text++;
    }
    return found;
}
