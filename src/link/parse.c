// SPDX-License-Identifier: GPL-2.0-or-later
#include "link/parse.h"

#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#define NO_LL_LEARN (1u << BR_BOOLOPT_NO_LL_LEARN)
#define NETNS_UNKNOWN (-2) /* in another namespace, which has no number */

/* A 32-bit attribute; -EBADMSG when it is shorter. */
static int get_u32(const struct nlattr *attr, uint32_t *ret)
{
    if (mnl_attr_get_payload_len(attr) < sizeof(uint32_t))
        return -EBADMSG;
    *ret = mnl_attr_get_u32(attr);
    return 0;
}

static int get_flag(const struct nlattr *attr, bool *ret)
{
    if (mnl_attr_get_payload_len(attr) < 1)
        return -EBADMSG;
    *ret = mnl_attr_get_u8(attr) != 0;
    return 0;
}

static int get_name(const struct nlattr *attr, char name[static IFNAMSIZ])
{
    size_t len = strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));

    if (len == 0 || len >= IFNAMSIZ)
        return -EBADMSG;
    memcpy(name, mnl_attr_get_payload(attr), len);
    name[len] = '\0';
    return 0;
}

/* The mask says which options the kernel has. */
static int get_options(const struct nlattr *attr, struct link *link)
{
    struct br_boolopt_multi options;

    if (mnl_attr_get_payload_len(attr) < sizeof(options))
        return -EBADMSG;
    memcpy(&options, mnl_attr_get_payload(attr), sizeof(options));
    link->has_no_linklocal_learn = options.optmask & NO_LL_LEARN;
    link->switches.no_linklocal_learn = options.optval & options.optmask & NO_LL_LEARN;
    return 0;
}

static int parse_bridge(const struct nlattr *data, struct link *link)
{
    const struct nlattr *attr;
    int r = 0;

    mnl_attr_for_each_nested (attr, data) {
        if (mnl_attr_get_type(attr) == IFLA_BR_NF_CALL_IPTABLES)
            r = get_flag(attr, &link->switches.nf_call_iptables);
        else if (mnl_attr_get_type(attr) == IFLA_BR_NF_CALL_IP6TABLES)
            r = get_flag(attr, &link->switches.nf_call_ip6tables);
        else if (mnl_attr_get_type(attr) == IFLA_BR_MULTI_BOOLOPT)
            r = get_options(attr, link);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool attr_is_text(const struct nlattr *attr, const char *text)
{
    size_t len = strlen(text);

    return strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr)) == len &&
           memcmp(mnl_attr_get_payload(attr), text, len) == 0;
}

static int parse_link_info(const struct nlattr *info, struct link *link)
{
    const struct nlattr *attr, *data = NULL;

    mnl_attr_for_each_nested (attr, info) {
        if (mnl_attr_get_type(attr) == IFLA_INFO_KIND) {
            link->is_bridge = attr_is_text(attr, "bridge");
            link->is_veth = attr_is_text(attr, "veth");
        } else if (mnl_attr_get_type(attr) == IFLA_INFO_DATA) {
            data = attr;
        }
    }
    return link->is_bridge && data ? parse_bridge(data, link) : 0;
}

static int parse_xdp(const struct nlattr *xdp, struct link *link)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested (attr, xdp)
        if (mnl_attr_get_type(attr) == IFLA_XDP_ATTACHED)
            return get_flag(attr, &link->has_xdp);
    return 0;
}

static int parse_attribute(const struct nlattr *attr, struct link *link)
{
    uint32_t value = 0;
    int r;

    switch (mnl_attr_get_type(attr)) {
    case IFLA_IFNAME:
        return get_name(attr, link->name);
    case IFLA_MASTER:
        return get_u32(attr, &link->master);
    case IFLA_LINK:
        return get_u32(attr, &link->peer_index);
    case IFLA_LINK_NETNSID:
        r = get_u32(attr, &value);
        link->peer_netns = (int)value >= 0 ? (int)value : NETNS_UNKNOWN;
        return r;
    case IFLA_LINKINFO:
        return parse_link_info(attr, link);
    case IFLA_XDP:
        return parse_xdp(attr, link);
    default: /* the kernel's, and there are many */
        return 0;
    }
}

static bool is_link_message(const struct nlmsghdr *message)
{
    return message->nlmsg_type == RTM_NEWLINK || message->nlmsg_type == RTM_DELLINK;
}

int link_parse(const struct nlmsghdr *message, struct link *ret, bool *ret_gone)
{
    struct link link = {.peer_netns = -1};
    const struct ifinfomsg *info;
    const struct nlattr *attr;

    if (!is_link_message(message))
        return -ENOMSG;
    if (mnl_nlmsg_get_payload_len(message) < sizeof(*info))
        return -EBADMSG;
    info = mnl_nlmsg_get_payload(message);
    if (info->ifi_family != AF_UNSPEC)
        return -ENOMSG;
    if (info->ifi_index <= 0)
        return -EBADMSG;
    link.index = (unsigned)info->ifi_index;
    mnl_attr_for_each (attr, message, sizeof(*info)) {
        int r = parse_attribute(attr, &link);

        if (r < 0)
            return r;
    }
    if (!link.name[0])
        return -EBADMSG;
    if (!link.is_veth ||
        link.peer_netns == NETNS_UNKNOWN) { /* IFLA_LINK means something else for other kinds */
        link.peer_index = 0;
        link.peer_netns = -1;
    }
    *ret = link;
    *ret_gone = message->nlmsg_type == RTM_DELLINK;
    return 0;
}

int link_parse_mac(const struct nlmsghdr *message, struct mac *ret)
{
    const struct nlattr *attr;

    if (!is_link_message(message))
        return -ENOMSG;
    if (mnl_nlmsg_get_payload_len(message) < sizeof(struct ifinfomsg))
        return -EBADMSG;
    mnl_attr_for_each (attr, message, sizeof(struct ifinfomsg)) {
        if (mnl_attr_get_type(attr) == IFLA_ADDRESS && mnl_attr_get_payload_len(attr) == sizeof(ret->bytes)) {
            memcpy(ret->bytes, mnl_attr_get_payload(attr), sizeof(ret->bytes));
            return 0;
        }
    }
    return -ENOMSG;
}

/* On point-to-point links IFA_ADDRESS is the other end's, and IFA_LOCAL ours; IPv6 mostly has IFA_ADDRESS
 * alone. */
int link_parse_address(const struct nlmsghdr *message, struct ip *ret)
{
    const struct nlattr *attr, *address = NULL, *local = NULL;
    const struct ifaddrmsg *info;
    enum ip_family family;

    if (message->nlmsg_type != RTM_NEWADDR)
        return -ENOMSG;
    if (mnl_nlmsg_get_payload_len(message) < sizeof(*info))
        return -EBADMSG;
    info = mnl_nlmsg_get_payload(message);
    if (info->ifa_family != AF_INET && info->ifa_family != AF_INET6)
        return -ENOMSG;
    family = info->ifa_family == AF_INET ? IP4 : IP6;
    mnl_attr_for_each (attr, message, sizeof(*info)) {
        if (mnl_attr_get_type(attr) == IFA_ADDRESS)
            address = attr;
        else if (mnl_attr_get_type(attr) == IFA_LOCAL)
            local = attr;
    }
    address = local ? local : address;
    if (!address || mnl_attr_get_payload_len(address) != ip_size(family))
        return address ? -EBADMSG : -ENOMSG;
    *ret = ip_from_bytes(family, mnl_attr_get_payload(address));
    return 0;
}

static struct nlmsghdr *start(void *buffer, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

    message->nlmsg_type = type;
    message->nlmsg_flags = NLM_F_REQUEST | flags;
    return message;
}

struct nlmsghdr *link_request_list(void *buffer)
{
    struct nlmsghdr *message = start(buffer, RTM_GETLINK, NLM_F_DUMP);

    mnl_nlmsg_put_extra_header(message, sizeof(struct ifinfomsg));
    return message;
}

struct nlmsghdr *link_request_addresses(void *buffer)
{
    struct nlmsghdr *message = start(buffer, RTM_GETADDR, NLM_F_DUMP);

    mnl_nlmsg_put_extra_header(message, sizeof(struct ifaddrmsg));
    return message;
}

struct nlmsghdr *link_request_get(void *buffer, unsigned index, int netns)
{
    struct nlmsghdr *message = start(buffer, RTM_GETLINK, 0);
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));

    info->ifi_index = (int)index;
    if (netns >= 0)
        mnl_attr_put_u32(message, IFLA_TARGET_NETNSID, (uint32_t)netns);
    return message;
}

struct nlmsghdr *link_request_switches(void *buffer, unsigned bridge_index,
                                       const struct bridge_switches *switches)
{
    struct nlmsghdr *message = start(buffer, RTM_NEWLINK, NLM_F_ACK);
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));
    struct nlattr *link_info, *data;
    struct br_boolopt_multi options = {.optval = switches->no_linklocal_learn ? NO_LL_LEARN : 0,
                                       .optmask = NO_LL_LEARN};

    info->ifi_index = (int)bridge_index;
    link_info = mnl_attr_nest_start(message, IFLA_LINKINFO);
    mnl_attr_put_strz(message, IFLA_INFO_KIND, "bridge");
    data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    mnl_attr_put_u8(message, IFLA_BR_NF_CALL_IPTABLES, switches->nf_call_iptables);
    mnl_attr_put_u8(message, IFLA_BR_NF_CALL_IP6TABLES, switches->nf_call_ip6tables);
    mnl_attr_put(message, IFLA_BR_MULTI_BOOLOPT, sizeof(options), &options); /* older kernels pass over it */
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, link_info);
    return message;
}
