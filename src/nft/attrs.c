// SPDX-License-Identifier: GPL-2.0-or-later
#include "attrs.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>

/* Walks over whole attributes; false when the rest is none. *left is what remains. */
static const struct nlattr *next(const struct nlattr *attr, size_t *left)
{
    size_t step = MNL_ALIGN(attr->nla_len);

    *left -= step < *left ? step : *left;
    return (const struct nlattr *)((const char *)attr + step);
}

static bool is_whole(const struct nlattr *attr, size_t left)
{
    return left >= sizeof(*attr) && attr->nla_len >= sizeof(*attr) && attr->nla_len <= left;
}

static int read_all(const void *bytes, size_t left, struct attrs *attrs)
{
    const struct nlattr *attr = bytes;

    for (; left; attr = next(attr, &left)) {
        uint16_t type;

        if (!is_whole(attr, left))
            return -EBADMSG;
        type = mnl_attr_get_type(attr);
        if (type >= attrs->n || attrs->v[type])
            attrs->odd = true;
        else
            attrs->v[type] = attr;
    }
    return 0;
}

int attrs_read_nest(const struct nlattr *nest, struct attrs *attrs)
{
    return read_all(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), attrs);
}

int attrs_read_message(const struct nlmsghdr *message, struct attrs *attrs)
{
    size_t len = mnl_nlmsg_get_payload_len(message);

    if (message->nlmsg_len < sizeof(*message) || len < sizeof(struct nfgenmsg))
        return -EBADMSG;
    return read_all(mnl_nlmsg_get_payload_offset(message, sizeof(struct nfgenmsg)),
                    len - MNL_ALIGN(sizeof(struct nfgenmsg)), attrs);
}

bool attrs_is_list_of(const struct nlattr *nest, uint16_t type)
{
    const struct nlattr *attr = mnl_attr_get_payload(nest);

    for (size_t left = mnl_attr_get_payload_len(nest); left; attr = next(attr, &left)) {
        if (!is_whole(attr, left) || mnl_attr_get_type(attr) != type)
            return false;
    }
    return true;
}

bool attrs_has_other(const struct attrs *attrs, uint64_t types)
{
    for (size_t i = 0; i < attrs->n; i++) {
        if (attrs->v[i] && !(types & ATTR_BIT(i)))
            return true;
    }
    return attrs->odd;
}

bool attr_u8(const struct nlattr *attr, uint8_t *ret)
{
    if (!attr || mnl_attr_get_payload_len(attr) != sizeof(*ret))
        return false;
    *ret = mnl_attr_get_u8(attr);
    return true;
}

bool attr_be16(const struct nlattr *attr, uint16_t *ret)
{
    if (!attr || mnl_attr_get_payload_len(attr) != sizeof(*ret))
        return false;
    *ret = ntohs(mnl_attr_get_u16(attr));
    return true;
}

bool attr_be64(const struct nlattr *attr, uint64_t *ret)
{
    if (!attr || mnl_attr_get_payload_len(attr) != sizeof(*ret))
        return false;
    *ret = be64toh(mnl_attr_get_u64(attr));
    return true;
}

bool attr_be32(const struct nlattr *attr, uint32_t *ret)
{
    if (!attr || mnl_attr_get_payload_len(attr) != sizeof(*ret))
        return false;
    *ret = ntohl(mnl_attr_get_u32(attr));
    return true;
}

bool attr_text(const struct nlattr *attr, size_t size, const char **ret)
{
    const char *text;
    size_t len;

    if (!attr)
        return false;
    text = mnl_attr_get_payload(attr);
    len = mnl_attr_get_payload_len(attr);
    if (len == 0 || len > size || memchr(text, '\0', len) != text + len - 1)
        return false;
    *ret = text;
    return true;
}
