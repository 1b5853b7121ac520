// SPDX-License-Identifier: GPL-2.0-or-later
#include "link/neighbour.h"

#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "util/mem.h"

static const struct {
    uint16_t state;
    const char *name;
} states[] = {
    {NUD_PERMANENT, "permanent"}, {NUD_NOARP, "noarp"},           {NUD_REACHABLE, "reachable"},
    {NUD_STALE, "stale"},         {NUD_DELAY, "delay"},           {NUD_PROBE, "probe"},
    {NUD_FAILED, "failed"},       {NUD_INCOMPLETE, "incomplete"},
};

const char *neighbour_state_name(uint16_t state)
{
    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        if (state & states[i].state)
            return states[i].name;
    return "none";
}

struct nlmsghdr *neighbour_request(void *buffer, bool fdb)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct ndmsg *body;

    message->nlmsg_type = RTM_GETNEIGH;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    body = mnl_nlmsg_put_extra_header(message, sizeof(*body));
    body->ndm_family = fdb ? AF_BRIDGE : AF_UNSPEC;
    return message;
}

static int get_address(const struct nlattr *attr, uint8_t family, struct ip *ret)
{
    enum ip_family own = family == AF_INET ? IP4 : IP6;

    if (mnl_attr_get_payload_len(attr) != ip_size(own))
        return -EBADMSG;
    *ret = ip_from_bytes(own, mnl_attr_get_payload(attr));
    return 0;
}

static int parse_attr(const struct nlattr *attr, uint8_t family, struct neighbour *neighbour,
                      bool *has_address)
{
    size_t len = mnl_attr_get_payload_len(attr);

    switch (mnl_attr_get_type(attr)) {
    case NDA_DST:
        if (neighbour->is_fdb) /* of a tunnel's */
            return 0;
        *has_address = true;
        return get_address(attr, family, &neighbour->ip);
    case NDA_LLADDR:
        neighbour->has_mac = len == sizeof(neighbour->mac.bytes);
        if (neighbour->has_mac)
            memcpy(neighbour->mac.bytes, mnl_attr_get_payload(attr), len);
        return 0;
    case NDA_MASTER:
        if (len != sizeof(uint32_t))
            return -EBADMSG;
        neighbour->master = mnl_attr_get_u32(attr);
        return 0;
    case NDA_VLAN:
        if (len != sizeof(uint16_t))
            return -EBADMSG;
        neighbour->vlan = mnl_attr_get_u16(attr);
        return 0;
    default: /* of the kernel's, not ours: more are added with each version */
        return 0;
    }
}

int neighbour_parse(const struct nlmsghdr *message, struct neighbour *ret)
{
    const struct ndmsg *body = mnl_nlmsg_get_payload(message);
    struct neighbour neighbour = {0};
    /* mnl_attr_for_each() goes on to the end with its padding, which need not be there. */
    const char *end = (const char *)message + message->nlmsg_len;
    const struct nlattr *attr;
    bool has_address = false;
    int r = 0;

    if (message->nlmsg_type != RTM_NEWNEIGH)
        return -ENOMSG;
    if (message->nlmsg_len < MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(*body)))
        return -EBADMSG;
    neighbour.is_fdb = body->ndm_family == AF_BRIDGE;
    if (!neighbour.is_fdb && body->ndm_family != AF_INET && body->ndm_family != AF_INET6)
        return -ENOMSG;
    neighbour.index = (unsigned)body->ndm_ifindex;
    neighbour.state = body->ndm_state;
    neighbour.flags = body->ndm_flags;
    for (attr = mnl_nlmsg_get_payload_offset(message, sizeof(*body));
         mnl_attr_ok(attr, (int)(end - (const char *)attr)); attr = mnl_attr_next(attr)) {
        r = parse_attr(attr, body->ndm_family, &neighbour, &has_address);
        if (r < 0)
            return r;
    }
    if (neighbour.is_fdb ? !neighbour.has_mac : !has_address)
        return -ENOMSG;
    *ret = neighbour;
    return 0;
}
