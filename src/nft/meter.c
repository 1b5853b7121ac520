// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/meter.h"

#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "attrs.h"

void meter_key_add(struct meter_key *key, const void *bytes, size_t len)
{
    size_t padded = (len + 3) & ~(size_t)3;

    if (key->len + padded > sizeof(key->bytes))
        return;
    memcpy(key->bytes + key->len, bytes, len);
    key->len += padded;
}

struct nlmsghdr *meter_request(void *buffer, const struct meter_key *key)
{
    struct nlmsghdr *message;
    struct nfgenmsg *header;
    struct nlattr *list, *element, *value;

    memset(buffer, 0, METER_REQUEST_MAX);
    message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM;
    message->nlmsg_flags = NLM_F_REQUEST;
    header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
    header->nfgen_family = key->table == TABLE_INET ? NFPROTO_INET : NFPROTO_BRIDGE;
    header->version = NFNETLINK_V0;
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, table_pair_name(key->pair, false));
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, key->meter);
    list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
    element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    value = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
    mnl_attr_put(message, NFTA_DATA_VALUE, key->len, key->bytes);
    mnl_attr_nest_end(message, value);
    mnl_attr_nest_end(message, element);
    mnl_attr_nest_end(message, list);
    return message;
}

/* The first of the element's expressions is its counter. */
static int read_counter(const struct nlattr *list, uint64_t *ret)
{
    struct attrs expr = ATTRS(NFTA_EXPR_MAX), counter = ATTRS(NFTA_COUNTER_MAX);
    const struct nlattr *first = list ? mnl_attr_get_payload(list) : NULL;
    const char *name;

    if (!list || !attrs_is_list_of(list, NFTA_LIST_ELEM) || mnl_attr_get_payload_len(list) == 0 ||
        attrs_read_nest(first, &expr) < 0 || !attr_text(expr.v[NFTA_EXPR_NAME], NFT_NAME_MAXLEN, &name) ||
        strcmp(name, "counter") != 0 || !expr.v[NFTA_EXPR_DATA] ||
        attrs_read_nest(expr.v[NFTA_EXPR_DATA], &counter) < 0)
        return -EBADMSG;
    return attr_be64(counter.v[NFTA_COUNTER_PACKETS], ret) ? 0 : -EBADMSG;
}

static int read_element(const struct nlattr *list, struct meter_reading *ret)
{
    struct attrs element = ATTRS(NFTA_SET_ELEM_MAX);

    if (!list || !attrs_is_list_of(list, NFTA_LIST_ELEM) || mnl_attr_get_payload_len(list) == 0 ||
        attrs_read_nest(mnl_attr_get_payload(list), &element) < 0 ||
        !attr_be64(element.v[NFTA_SET_ELEM_EXPIRATION], &ret->left_ms))
        return -EBADMSG;
    return read_counter(element.v[NFTA_SET_ELEM_EXPRESSIONS], &ret->packets);
}

int meter_parse(const struct nlmsghdr *message, struct meter_reading *ret)
{
    struct attrs attrs = ATTRS(NFTA_SET_ELEM_LIST_MAX);
    struct meter_reading reading = {0};
    int r;

    if (message->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);

        return mnl_nlmsg_get_payload_len(message) >= sizeof(error->error) && error->error < 0 ? error->error
                                                                                              : -EBADMSG;
    }
    if (message->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM) ||
        attrs_read_message(message, &attrs) < 0)
        return -EBADMSG;
    r = read_element(attrs.v[NFTA_SET_ELEM_LIST_ELEMENTS], &reading);
    if (r == 0)
        *ret = reading;
    return r;
}
