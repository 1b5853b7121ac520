// SPDX-License-Identifier: GPL-2.0-or-later
/* What is not to be granted only because it was seen. */
#include <netinet/in.h>
#include <string.h>

#include "learn/propose.h"

/* Where clouds tell whoever asks of the machine, its users and its keys. */
static const char *const metadata[] = {
    "169.254.0.0/16",     /* AWS, Azure, Google and others: 169.254.169.254; AWS ECS: 169.254.170.2 */
    "fd00:ec2::254/128",  /* AWS */
    "fd20:ce::254/128",   /* Google */
    "100.100.100.200/32", /* Alibaba */
    "168.63.129.16/32",   /* Azure's host */
};

static const char *const multicast[] = {"224.0.0.0/4", "255.255.255.255/32", "ff00::/8"};

static bool is_in(struct ip ip, const char *const *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct cidr block;

        if (cidr_parse(blocks[i], &block) == 0 && cidr_contains(&block, ip))
            return true;
    }
    return false;
}

static bool is_tcp(const struct observation *o, uint16_t first, uint16_t last)
{
    return o->proto == IPPROTO_TCP && o->last_port >= first && o->first_port <= last;
}

static bool is_across(const struct learn_who *a, const struct learn_who *b)
{
    return a->kind == LEARN_COMPOSE && b->kind == LEARN_COMPOSE && strcmp(a->first, b->first) != 0;
}

const char *observation_danger(const struct observation *o)
{
    _cleanup_free_ char *port = observation_port(o), *peer = learn_who_yaml(&o->peer);
    bool addressed = o->has_ip && (o->peer.kind == LEARN_ADDRESS || o->peer.kind == LEARN_BLOCK ||
                                   o->peer.kind == LEARN_OUTSIDE);

    if (o->forbidden)
        return "a deny rule of the policies in force denies it";
    if (!peer)
        return "no container is known to have that address";
    if (o->direction == EGRESS && addressed && is_in(o->ip, metadata, ARRAY_SIZE(metadata)))
        return "the cloud's metadata: whoever reads it may have the credentials of this machine";
    if (o->direction == EGRESS && addressed && is_in(o->ip, multicast, ARRAY_SIZE(multicast)))
        return "it goes to all that listen, not to one";
    if (is_tcp(o, 2375, 2377))
        return "a Docker Engine's ports: whoever reaches one may be root on its host";
    if (o->direction == EGRESS && o->peer.kind == LEARN_HOST && is_tcp(o, 22, 22))
        return "SSH to this host";
    if (o->first_port != o->last_port)
        return "so many ports of one peer look like a scan";
    if (o->direction == INGRESS && !o->allowed &&
        (o->peer.kind == LEARN_BLOCK || o->peer.kind == LEARN_INTERNET || o->peer.kind == LEARN_OUTSIDE))
        return "so many that tried, and none that got in, look like a scan";
    if (!port)
        return "the policy language has no word for it but a rule without ports, which would allow all";
    if (is_across(&o->subject, &o->peer))
        return "it crosses from one Compose project into another";
    return NULL;
}
