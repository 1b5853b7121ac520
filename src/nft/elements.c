// SPDX-License-Identifier: GPL-2.0-or-later
#include "elements.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "rule.h"

/* nft's numbers of data types (enum datatypes) and byte orders (enum byteorder), which its listing needs. */
enum {
    TYPE_INTEGER = 4,
    TYPE_IPADDR = 7,
    TYPE_IP6ADDR = 8,
    TYPE_ETHERADDR = 9,
    TYPE_ETHERTYPE = 10,
    TYPE_INET_PROTOCOL = 12,
    TYPE_INET_SERVICE = 13,
    TYPE_ICMP_TYPE = 14,
    TYPE_ICMP6_TYPE = 29
};
enum { TYPE_IFNAME = 41, TYPE_BITS = 6 };
enum { BYTEORDER_NONE, BYTEORDER_HOST, BYTEORDER_BIG };
#define TYPE_VERDICT 0xffffff00u /* NFT_DATA_VERDICT */

/*
 * What else the listing needs of a set that is declared with typeof: the expressions of its key, as nft 1.0.6 writes
 * them into NFTNL_UDATA_SET_KEY_TYPEOF (src/meta.c, payload.c, expression.c: *_build_udata) and later versions read
 * them. Each expression is its number (NFTNL_UDATA_SET_TYPEOF_EXPR) and a nest (_DATA) of what it loads. A
 * concatenation's nest has one nest for each field, numbered from 0. What is raw is of the protocol 0.
 */
enum { EXPR_PAYLOAD = 7, EXPR_META = 9, EXPR_CONCAT = 13 }; /* enum expr_types */
enum { META_KEY };                                          /* NFTNL_UDATA_META_KEY */
enum {
    PAYLOAD_DESC,
    PAYLOAD_TYPE,
    PAYLOAD_BASE,
    PAYLOAD_OFFSET,
    PAYLOAD_LEN
}; /* NFTNL_UDATA_SET_KEY_PAYLOAD_* */
enum {
    PROTO_DESC_RAW = 0,
    PROTO_DESC_ETHER = 17,
    ETHER_SADDR = 2
};                               /* enum proto_desc_id, proto_eth's templates */
enum { PROTO_BASE_NETWORK = 2 }; /* enum proto_bases */

uint32_t set_key_type_number(enum key_type type)
{
    switch (type) {
    case KEY_IFNAME:
        return TYPE_IFNAME;
    case KEY_ETHER_ADDR:
        return TYPE_ETHERADDR;
    case KEY_IPV4_ADDR:
        return TYPE_IPADDR;
    case KEY_IPV6_ADDR:
        return TYPE_IP6ADDR;
    case KEY_ICMP_TYPE:
        return TYPE_ICMP_TYPE;
    case KEY_ICMPV6_TYPE:
        return TYPE_ICMP6_TYPE;
    case KEY_INET_PROTO:
        return TYPE_INET_PROTOCOL;
    case KEY_INET_SERVICE:
        return TYPE_INET_SERVICE;
    case KEY_ETHER_TYPE:
        return TYPE_ETHERTYPE;
    case KEY_ND_TARGET:
    case KEY_ND_OPTION_MAC:
        return TYPE_INTEGER;
    case KEY_TYPES:
        break;
    }
    return 0;
}

static uint32_t key_byteorder(const struct set *set)
{
    if (set->n_key > 1)
        return BYTEORDER_NONE;
    return set->key[0] == KEY_IFNAME ? BYTEORDER_HOST : BYTEORDER_BIG;
}

static bool put_payload(struct nftnl_udata_buf *data, uint32_t desc, uint32_t type)
{
    return nftnl_udata_put_u32(data, PAYLOAD_DESC, desc) && nftnl_udata_put_u32(data, PAYLOAD_TYPE, type);
}

/* In bits. */
static bool put_raw(struct nftnl_udata_buf *data, uint32_t offset, uint32_t len)
{
    return put_payload(data, PROTO_DESC_RAW, 0) &&
           nftnl_udata_put_u32(data, PAYLOAD_BASE, PROTO_BASE_NETWORK) &&
           nftnl_udata_put_u32(data, PAYLOAD_OFFSET, offset) && nftnl_udata_put_u32(data, PAYLOAD_LEN, len);
}

static bool put_loaded(struct nftnl_udata_buf *data, enum key_type type)
{
    switch (type) {
    case KEY_IFNAME:
        return nftnl_udata_put_u32(data, META_KEY, NFT_META_IIFNAME);
    case KEY_ETHER_ADDR:
        return put_payload(data, PROTO_DESC_ETHER, ETHER_SADDR);
    case KEY_ND_TARGET:
        return put_raw(data, 384, 128);
    case KEY_ND_OPTION_MAC:
        return put_raw(data, 528, 48);
    case KEY_IPV4_ADDR:
    case KEY_IPV6_ADDR:
    case KEY_ICMP_TYPE:
    case KEY_ICMPV6_TYPE:
    case KEY_INET_PROTO:
    case KEY_INET_SERVICE:
    case KEY_ETHER_TYPE:
    case KEY_TYPES:
        break;
    }
    return false; /* no set of ours has these beside a raw field: check_set() */
}

static bool put_typeof_field(struct nftnl_udata_buf *data, enum key_type type)
{
    struct nftnl_udata *nest;

    if (!nftnl_udata_put_u32(data, NFTNL_UDATA_SET_TYPEOF_EXPR,
                             type == KEY_IFNAME ? EXPR_META : EXPR_PAYLOAD))
        return false;
    nest = nftnl_udata_nest_start(data, NFTNL_UDATA_SET_TYPEOF_DATA);
    if (!nest || !put_loaded(data, type))
        return false;
    nftnl_udata_nest_end(data, nest);
    return true;
}

static bool put_typeof_fields(struct nftnl_udata_buf *data, const struct set *set)
{
    struct nftnl_udata *fields = nftnl_udata_nest_start(data, NFTNL_UDATA_SET_TYPEOF_DATA);

    if (!fields)
        return false;
    for (size_t i = 0; set_has_raw_key(set) && i < set->n_key; i++) {
        struct nftnl_udata *field = nftnl_udata_nest_start(data, (uint8_t)i);

        if (!field || !put_typeof_field(data, set->key[i]))
            return false;
        nftnl_udata_nest_end(data, field);
    }
    nftnl_udata_nest_end(data, fields);
    return true;
}

/* A concatenation of types that have names is said by its type; its nest is empty. */
static bool put_typeof(struct nftnl_udata_buf *data, const struct set *set)
{
    struct nftnl_udata *nest = nftnl_udata_nest_start(data, NFTNL_UDATA_SET_KEY_TYPEOF);

    if (!nest)
        return false;
    if (set->n_key == 1 ? !put_typeof_field(data, set->key[0])
                        : !nftnl_udata_put_u32(data, NFTNL_UDATA_SET_TYPEOF_EXPR, EXPR_CONCAT) ||
                              !put_typeof_fields(data, set))
        return false;
    nftnl_udata_nest_end(data, nest);
    return true;
}

static void put_user_data(const struct set *set, struct nftnl_set *nftnl)
{
    struct nftnl_udata_buf *data = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);
    bool ok = data && nftnl_udata_put_u32(data, NFTNL_UDATA_SET_KEYBYTEORDER, key_byteorder(set));

    if (ok && set->map)
        ok = nftnl_udata_put_u32(data, NFTNL_UDATA_SET_DATABYTEORDER, BYTEORDER_NONE);
    if (ok && (set->n_key > 1 || set_has_raw_key(set)))
        ok = put_typeof(data, set);
    if (ok && set->map)
        ok = nftnl_udata_put_u32(data, NFTNL_UDATA_SET_DATA_INTERVAL, 0);
    if (!ok || nftnl_set_set_data(nftnl, NFTNL_SET_USERDATA, nftnl_udata_buf_data(data),
                                  nftnl_udata_buf_len(data)) < 0)
        abort(); /* out of memory: the data is far smaller than the buffer */
    nftnl_udata_buf_free(data);
}

static bool typeof_says(enum key_type type)
{
    return type == KEY_IFNAME || type == KEY_ETHER_ADDR || type == KEY_ND_TARGET || type == KEY_ND_OPTION_MAC;
}

static int check_set(const struct set *set)
{
    if (strlen(set->name) > NFT_NAME_LEN_MAX || set->key_len > KEY_BYTES_MAX)
        return -E2BIG;
    if (set->n_key < 1 || set->n_key > KEY_FIELDS_MAX || (set->interval && (set->n_key != 1 || set->map)) ||
        (set->meter.size && (set->interval || set->map)))
        return -EINVAL;
    for (size_t i = 0; i < set->n_key; i++) {
        if (set->key[i] >= KEY_TYPES || (set_has_raw_key(set) && !typeof_says(set->key[i])))
            return -EINVAL;
    }
    return 0;
}

static struct nftnl_expr *meter_expr(struct nftnl_set *nftnl, const char *name)
{
    struct nftnl_expr *expr = nftnl_expr_alloc(name);

    if (!expr)
        abort(); /* out of memory */
    nftnl_set_add_expr(nftnl, expr);
    return expr;
}

/* counter limit rate [over] RATE/PER burst BURST packets */
static void put_meter(const struct meter *meter, struct nftnl_set *nftnl)
{
    struct nftnl_expr *limit;

    nftnl_set_set_u64(nftnl, NFTNL_SET_TIMEOUT, (uint64_t)meter->timeout * 1000);
    nftnl_set_set_u32(nftnl, NFTNL_SET_DESC_SIZE, meter->size);
    meter_expr(nftnl, "counter");
    limit = meter_expr(nftnl, "limit");
    nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_RATE, meter->rate);
    nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_UNIT, meter->per);
    nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, meter->burst);
    nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
    nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_FLAGS, meter->over ? NFT_LIMIT_F_INV : 0);
}

int set_encode(const struct set *set, uint32_t id, struct nftnl_set *nftnl)
{
    uint32_t flags = (set->interval ? NFT_SET_INTERVAL : 0u) | (set->map ? NFT_SET_MAP : 0u) |
                     (set->meter.size ? SET_METER_FLAGS : 0u);
    uint32_t type = 0;
    int r = check_set(set);

    if (r < 0)
        return r;
    for (size_t i = 0; i < set->n_key; i++)
        type = type << TYPE_BITS | set_key_type_number(set->key[i]);
    if (nftnl_set_set_str(nftnl, NFTNL_SET_NAME, set->name) < 0)
        abort();
    nftnl_set_set_u32(nftnl, NFTNL_SET_FLAGS, flags);
    nftnl_set_set_u32(nftnl, NFTNL_SET_KEY_TYPE, type);
    nftnl_set_set_u32(nftnl, NFTNL_SET_KEY_LEN, (uint32_t)set->key_len);
    nftnl_set_set_u32(nftnl, NFTNL_SET_ID, id);
    if (set->map) {
        nftnl_set_set_u32(nftnl, NFTNL_SET_DATA_TYPE, TYPE_VERDICT);
        nftnl_set_set_u32(nftnl, NFTNL_SET_DATA_LEN, 0);
    }
    if (set->meter.size)
        put_meter(&set->meter, nftnl);
    put_user_data(set, nftnl);
    return 0;
}

static void put_key(struct nlmsghdr *message, const uint8_t *key, size_t len)
{
    struct nlattr *nest = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);

    mnl_attr_put(message, NFTA_DATA_VALUE, len, key);
    mnl_attr_nest_end(message, nest);
}

static void put_verdict(struct nlmsghdr *message, int code, const char *chain)
{
    struct nlattr *data = mnl_attr_nest_start(message, NFTA_SET_ELEM_DATA);
    struct nlattr *verdict = mnl_attr_nest_start(message, NFTA_DATA_VERDICT);

    mnl_attr_put_u32(message, NFTA_VERDICT_CODE, htonl((uint32_t)code));
    if (chain)
        mnl_attr_put_strz(message, NFTA_VERDICT_CHAIN, chain);
    mnl_attr_nest_end(message, verdict);
    mnl_attr_nest_end(message, data);
}

static void put_interval_end(struct nlmsghdr *message, const uint8_t *key, size_t len)
{
    struct nlattr *nest = mnl_attr_nest_start(message, NFTA_LIST_ELEM);

    mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
    put_key(message, key, len);
    mnl_attr_nest_end(message, nest);
}

/* Tells nft that the interval goes to the highest value there is: such a one has no end element. */
static void put_open_end(struct nlmsghdr *message)
{
    uint8_t data[] = {NFTNL_UDATA_SET_ELEM_FLAGS, sizeof(uint32_t), 0, 0, 0, 0};
    uint32_t flags = NFTNL_SET_ELEM_F_INTERVAL_OPEN; /* host byte order */

    memcpy(data + 2, &flags, sizeof(flags));
    mnl_attr_put(message, NFTA_SET_ELEM_USERDATA, sizeof(data), data);
}

/* Adds one to a number in network byte order; false when it was the highest. */
static bool increment(uint8_t *bytes, size_t len)
{
    while (len-- > 0) {
        if (++bytes[len] != 0)
            return true;
    }
    return false;
}

/* What to write of an operation's element. */
struct element_parts {
    int verdict;
    const char *chain;
    uint8_t end[KEY_BYTES_MAX]; /* first key after the interval */
    bool has_end, is_open;
};

static int element_check(const struct op *op, struct element_parts *ret)
{
    const struct element *element = op->element;
    bool jumps = element->verdict == V_JUMP || element->verdict == V_GOTO;

    *ret = (struct element_parts){0};
    if (op->set->key_len > KEY_BYTES_MAX)
        return -E2BIG;
    /* A set's catch-all is none of ours, but if somebody added one, it must go. */
    if (element->catchall && !op->set->map && op->kind == OP_ADD_ELEMENT)
        return -EINVAL;
    if (op->set->interval && !element->catchall) {
        if (memcmp(element->key_end, element->key, op->set->key_len) < 0)
            return -EINVAL;
        memcpy(ret->end, element->key_end, op->set->key_len);
        ret->has_end = increment(ret->end, op->set->key_len);
        ret->is_open = !ret->has_end;
    }
    if (!op->set->map || op->kind == OP_DELETE_ELEMENT)
        return 0;
    if (jumps && !element->target)
        return -EINVAL;
    if (jumps && strlen(element->target) > NFT_NAME_LEN_MAX)
        return -E2BIG;
    ret->chain = jumps ? element->target : NULL;
    return verdict_code(element->verdict, &ret->verdict);
}

static void put_element(struct nlmsghdr *message, const struct op *op, const struct element_parts *parts)
{
    struct nlattr *nest = mnl_attr_nest_start(message, NFTA_LIST_ELEM);

    if (op->element->catchall)
        mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_CATCHALL));
    else
        put_key(message, op->element->key, op->set->key_len);
    if (op->kind == OP_ADD_ELEMENT && op->set->map)
        put_verdict(message, parts->verdict, parts->chain);
    if (op->kind == OP_ADD_ELEMENT && parts->is_open)
        put_open_end(message);
    mnl_attr_nest_end(message, nest);
    if (parts->has_end)
        put_interval_end(message, parts->end, op->set->key_len);
}

static bool same_target(const struct op *a, const struct op *b)
{
    return a->kind == b->kind && a->table == b->table && a->pair == b->pair && a->standby == b->standby &&
           a->set == b->set;
}

static struct nlattr *list_start(struct nlmsghdr *message, const struct op *op)
{
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, op_table_name(op));
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, op->set->name);
    return mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
}

int elements_encode(struct nlmsghdr *message, const struct op *first, size_t n, size_t *ret_n)
{
    struct nlattr *list;
    size_t i = 0;

    *ret_n = 0;
    if (strlen(first->set->name) > NFT_NAME_LEN_MAX)
        return -E2BIG;
    list = list_start(message, first);
    for (; i < n && i < ELEMENTS_PER_MESSAGE && same_target(first, &first[i]); i++) {
        struct element_parts parts;
        int r = element_check(&first[i], &parts);

        if (r < 0) {
            *ret_n = i;
            return r;
        }
        put_element(message, &first[i], &parts);
        if (message->nlmsg_len > ELEMENTS_BYTES_MAX) {
            i++;
            break;
        }
    }
    mnl_attr_nest_end(message, list);
    *ret_n = i;
    return 0;
}

void elements_encode_first_end(struct nlmsghdr *message, const struct op *op)
{
    static const uint8_t zero[KEY_BYTES_MAX];
    struct nlattr *list = list_start(message, op);

    put_interval_end(message, zero, op->set->key_len);
    mnl_attr_nest_end(message, list);
}

static bool is_interval_end(const struct nlattr *element)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested (attr, element) {
        if (mnl_attr_get_type(attr) == NFTA_SET_ELEM_FLAGS)
            return ntohl(mnl_attr_get_u32(attr)) & NFT_SET_ELEM_INTERVAL_END;
    }
    return false;
}

size_t elements_index_at(const struct nlmsghdr *message, uint32_t offset)
{
    const struct nlattr *attr, *element;
    size_t index = 0, n = 0;

    mnl_attr_for_each (attr, message, sizeof(struct nfgenmsg)) {
        if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_LIST_ELEMENTS)
            continue;
        mnl_attr_for_each_nested (element, attr) {
            if ((const char *)element - (const char *)message > (ptrdiff_t)offset)
                break;
            if (!is_interval_end(element))
                index = n++;
        }
    }
    return index;
}
