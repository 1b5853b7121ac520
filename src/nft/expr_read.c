// SPDX-License-Identifier: GPL-2.0-or-later
#include "expr_read.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "attrs.h"
#include "util/mem.h"

#define EXPRS_MAX 128 /* NFT_RULE_MAXEXPRS */
#define ATTR_MAX 15   /* no expression of ours has attributes of more types */

enum attr_kind {
    ATTR_IGNORED,
    ATTR_U32,
    ATTR_ZERO, /* whatever its size; else it is none of ours */
    ATTR_U8,
    ATTR_U16,
    ATTR_U64,
    ATTR_DIRECTION,
    ATTR_REGISTER,
    ATTR_DATA,
    ATTR_NAME,
    ATTR_VERDICT
};

struct attr_place {
    uint16_t type;
    enum attr_kind kind;
    size_t offset; /* in struct expr */
};

#define PLACE(type, kind, member)                                                                            \
    {                                                                                                        \
        type, kind, offsetof(struct expr, member)                                                            \
    }

static const struct attr_place payload_attrs[] = {
    PLACE(NFTA_PAYLOAD_DREG, ATTR_REGISTER, dreg),
    PLACE(NFTA_PAYLOAD_BASE, ATTR_U32, what),
    PLACE(NFTA_PAYLOAD_OFFSET, ATTR_U32, offset),
    PLACE(NFTA_PAYLOAD_LEN, ATTR_U32, len),
};
static const struct attr_place meta_attrs[] = {
    PLACE(NFTA_META_DREG, ATTR_REGISTER, dreg),
    PLACE(NFTA_META_SREG, ATTR_REGISTER, sreg),
    PLACE(NFTA_META_KEY, ATTR_U32, what),
};
static const struct attr_place ct_attrs[] = {
    PLACE(NFTA_CT_DREG, ATTR_REGISTER, dreg),
    PLACE(NFTA_CT_KEY, ATTR_U32, what),
    PLACE(NFTA_CT_DIRECTION, ATTR_DIRECTION, offset),
};
static const struct attr_place cmp_attrs[] = {
    PLACE(NFTA_CMP_SREG, ATTR_REGISTER, sreg),
    PLACE(NFTA_CMP_OP, ATTR_U32, what),
    PLACE(NFTA_CMP_DATA, ATTR_DATA, data),
};
static const struct attr_place bitwise_attrs[] = {
    PLACE(NFTA_BITWISE_SREG, ATTR_REGISTER, sreg), PLACE(NFTA_BITWISE_DREG, ATTR_REGISTER, dreg),
    PLACE(NFTA_BITWISE_LEN, ATTR_U32, len),        PLACE(NFTA_BITWISE_MASK, ATTR_DATA, data),
    PLACE(NFTA_BITWISE_XOR, ATTR_DATA, xor),       PLACE(NFTA_BITWISE_OP, ATTR_U32, what),
};
static const struct attr_place lookup_attrs[] = {
    PLACE(NFTA_LOOKUP_SET, ATTR_NAME, name),      PLACE(NFTA_LOOKUP_SREG, ATTR_REGISTER, sreg),
    PLACE(NFTA_LOOKUP_DREG, ATTR_REGISTER, dreg), PLACE(NFTA_LOOKUP_SET_ID, ATTR_IGNORED, kind),
    PLACE(NFTA_LOOKUP_FLAGS, ATTR_U32, flags),
};
static const struct attr_place counter_attrs[] = {
    PLACE(NFTA_COUNTER_BYTES, ATTR_IGNORED, kind),
    PLACE(NFTA_COUNTER_PACKETS, ATTR_IGNORED, kind),
    PLACE(NFTA_COUNTER_PAD, ATTR_IGNORED, kind),
};
static const struct attr_place verdict_attrs[] = {
    PLACE(NFTA_IMMEDIATE_DREG, ATTR_REGISTER, dreg),
    PLACE(NFTA_IMMEDIATE_DATA, ATTR_VERDICT, what),
};
static const struct attr_place reject_attrs[] = {
    PLACE(NFTA_REJECT_TYPE, ATTR_U32, what),
    PLACE(NFTA_REJECT_ICMP_CODE, ATTR_U8, flags),
};

static const struct attr_place limit_attrs[] = {
    PLACE(NFTA_LIMIT_RATE, ATTR_U64, what),   PLACE(NFTA_LIMIT_UNIT, ATTR_U64, offset),
    PLACE(NFTA_LIMIT_BURST, ATTR_U32, len),   PLACE(NFTA_LIMIT_TYPE, ATTR_ZERO, kind),
    PLACE(NFTA_LIMIT_FLAGS, ATTR_U32, flags), PLACE(NFTA_LIMIT_PAD, ATTR_IGNORED, kind),
};
static const struct attr_place dynset_attrs[] = {
    PLACE(NFTA_DYNSET_SET_NAME, ATTR_NAME, name),
    PLACE(NFTA_DYNSET_SET_ID, ATTR_IGNORED, kind),
    PLACE(NFTA_DYNSET_OP, ATTR_U32, what),
    PLACE(NFTA_DYNSET_SREG_KEY, ATTR_REGISTER, sreg),
    PLACE(NFTA_DYNSET_SREG_DATA, ATTR_REGISTER, dreg),
    PLACE(NFTA_DYNSET_TIMEOUT, ATTR_ZERO, kind),
    PLACE(NFTA_DYNSET_PAD, ATTR_IGNORED, kind),
    PLACE(NFTA_DYNSET_FLAGS, ATTR_ZERO, kind),
};
static const struct attr_place log_attrs[] = {
    PLACE(NFTA_LOG_GROUP, ATTR_U16, flags),
    PLACE(NFTA_LOG_PREFIX, ATTR_NAME, name),
    PLACE(NFTA_LOG_SNAPLEN, ATTR_ZERO, kind),
    PLACE(NFTA_LOG_QTHRESHOLD, ATTR_ZERO, kind),
};

static const struct {
    const char *name;
    const struct attr_place *attrs;
    size_t n;
} kinds[EXPR_KINDS] = {
    [EXPR_PAYLOAD] = {"payload", payload_attrs, ARRAY_SIZE(payload_attrs)},
    [EXPR_META] = {"meta", meta_attrs, ARRAY_SIZE(meta_attrs)},
    [EXPR_CT] = {"ct", ct_attrs, ARRAY_SIZE(ct_attrs)},
    [EXPR_CMP] = {"cmp", cmp_attrs, ARRAY_SIZE(cmp_attrs)},
    [EXPR_BITWISE] = {"bitwise", bitwise_attrs, ARRAY_SIZE(bitwise_attrs)},
    [EXPR_LOOKUP] = {"lookup", lookup_attrs, ARRAY_SIZE(lookup_attrs)},
    [EXPR_COUNTER] = {"counter", counter_attrs, ARRAY_SIZE(counter_attrs)},
    [EXPR_VERDICT] = {"immediate", verdict_attrs, ARRAY_SIZE(verdict_attrs)},
    [EXPR_REJECT] = {"reject", reject_attrs, ARRAY_SIZE(reject_attrs)},
    [EXPR_LIMIT] = {"limit", limit_attrs, ARRAY_SIZE(limit_attrs)},
    [EXPR_UPDATE] = {"dynset", dynset_attrs, ARRAY_SIZE(dynset_attrs)},
    [EXPR_LOG] = {"log", log_attrs, ARRAY_SIZE(log_attrs)},
};

/* The same register has two numbers where it begins at a multiple of 16 bytes. */
static uint32_t register_number(uint32_t number)
{
    uint32_t at = number - NFT_REG32_00, unit = NFT_REG_SIZE / NFT_REG32_SIZE;

    return number >= NFT_REG32_00 && number <= NFT_REG32_15 && at % unit == 0 ? NFT_REG_1 + at / unit
                                                                              : number;
}

static bool read_data(const struct nlattr *attr, struct expr_data *data)
{
    struct attrs attrs = ATTRS(NFTA_DATA_MAX);
    const struct nlattr *value;

    if (attrs_read_nest(attr, &attrs) < 0 || attrs_has_other(&attrs, ATTR_BIT(NFTA_DATA_VALUE)))
        return false;
    value = attrs.v[NFTA_DATA_VALUE];
    if (!value || mnl_attr_get_payload_len(value) > sizeof(data->bytes))
        return false;
    data->len = mnl_attr_get_payload_len(value);
    memcpy(data->bytes, mnl_attr_get_payload(value), data->len);
    return true;
}

static bool read_name(const struct nlattr *attr, char name[static NFT_NAME_MAXLEN])
{
    const char *text;

    if (!attr_text(attr, NFT_NAME_MAXLEN, &text))
        return false;
    memcpy(name, text, strlen(text) + 1);
    return true;
}

bool verdict_read(const struct nlattr *data, uint32_t *ret_code, char name[static NFT_NAME_MAXLEN])
{
    struct attrs attrs = ATTRS(NFTA_DATA_MAX), verdict = ATTRS(NFTA_VERDICT_MAX);

    if (attrs_read_nest(data, &attrs) < 0 || attrs_has_other(&attrs, ATTR_BIT(NFTA_DATA_VERDICT)) ||
        !attrs.v[NFTA_DATA_VERDICT] || attrs_read_nest(attrs.v[NFTA_DATA_VERDICT], &verdict) < 0 ||
        attrs_has_other(&verdict, ATTR_BIT(NFTA_VERDICT_CODE) | ATTR_BIT(NFTA_VERDICT_CHAIN)))
        return false;
    if (verdict.v[NFTA_VERDICT_CHAIN] && !read_name(verdict.v[NFTA_VERDICT_CHAIN], name))
        return false;
    return attr_be32(verdict.v[NFTA_VERDICT_CODE], ret_code);
}

static bool is_zero(const struct nlattr *attr)
{
    const uint8_t *bytes = mnl_attr_get_payload(attr);

    for (size_t i = 0; i < mnl_attr_get_payload_len(attr); i++)
        if (bytes[i])
            return false;
    return true;
}

/* What does not fit is none of ours. */
static bool read_u64(const struct nlattr *attr, uint32_t *to)
{
    uint64_t value;

    if (!attr_be64(attr, &value) || value > UINT32_MAX)
        return false;
    *to = (uint32_t)value;
    return true;
}

static bool read_attr(const struct nlattr *attr, const struct attr_place *place, struct expr *expr)
{
    void *to = (char *)expr + place->offset;
    uint8_t byte;
    uint16_t number;

    switch (place->kind) {
    case ATTR_IGNORED:
        return true;
    case ATTR_U32:
        return attr_be32(attr, to);
    case ATTR_ZERO:
        return is_zero(attr);
    case ATTR_U16:
        if (!attr_be16(attr, &number))
            return false;
        *(uint32_t *)to = number;
        return true;
    case ATTR_U64:
        return read_u64(attr, to);
    case ATTR_U8:
        if (!attr_u8(attr, &byte))
            return false;
        *(uint32_t *)to = byte;
        return true;
    case ATTR_DIRECTION:
        if (!attr_u8(attr, &byte))
            return false;
        *(uint32_t *)to = byte + 1u;
        return true;
    case ATTR_REGISTER:
        if (!attr_be32(attr, to))
            return false;
        *(uint32_t *)to = register_number(*(uint32_t *)to);
        return true;
    case ATTR_DATA:
        return read_data(attr, to);
    case ATTR_NAME:
        return read_name(attr, to);
    case ATTR_VERDICT:
        return verdict_read(attr, to, expr->name);
    }
    return false;
}

static bool read_attrs(const struct nlattr *nest, struct expr *expr)
{
    struct attrs attrs = ATTRS(ATTR_MAX);
    uint64_t known = 0;

    if (nest && attrs_read_nest(nest, &attrs) < 0)
        return false;
    for (size_t i = 0; i < kinds[expr->kind].n; i++) {
        const struct attr_place *place = &kinds[expr->kind].attrs[i];

        if (attrs.v[place->type] && !read_attr(attrs.v[place->type], place, expr))
            return false;
        known |= ATTR_BIT(place->type);
    }
    if (expr->kind == EXPR_REJECT && expr->what == NFT_REJECT_TCP_RST)
        expr->flags = 0; /* without meaning, and the kernel does not tell it */
    return !attrs_has_other(&attrs, known);
}

static struct expr foreign_expr(const char *name)
{
    struct expr expr = {.kind = EXPR_FOREIGN};

    for (size_t i = 0; i < EXPR_NAME_MAX && name[i]; i++)
        expr.name[i] = name[i] > ' ' && name[i] < 0x7f ? name[i] : '?';
    return expr;
}

static struct expr read_expr(const struct nlattr *element)
{
    struct attrs attrs = ATTRS(NFTA_EXPR_MAX);
    const char *name;

    if (attrs_read_nest(element, &attrs) < 0 || !attr_text(attrs.v[NFTA_EXPR_NAME], NFT_NAME_MAXLEN, &name))
        return foreign_expr("?");
    for (uint32_t kind = 0; kind < EXPR_KINDS && !attrs.odd; kind++) {
        struct expr expr = {.kind = kind, .sreg = EXPR_NO_REGISTER, .dreg = EXPR_NO_REGISTER};

        if (strcmp(name, kinds[kind].name) == 0 && read_attrs(attrs.v[NFTA_EXPR_DATA], &expr))
            return expr;
    }
    return foreign_expr(name);
}

static uint64_t counted(const struct nlattr *attr)
{
    uint64_t number;

    if (!attr || mnl_attr_get_payload_len(attr) != sizeof(number))
        return 0;
    memcpy(&number, mnl_attr_get_payload(attr), sizeof(number));
    return be64toh(number);
}

static void read_counter(const struct nlattr *element, struct exprs *exprs)
{
    struct attrs attrs = ATTRS(NFTA_EXPR_MAX), counter = ATTRS(NFTA_COUNTER_MAX);

    if (attrs_read_nest(element, &attrs) < 0 || !attrs.v[NFTA_EXPR_DATA] ||
        attrs_read_nest(attrs.v[NFTA_EXPR_DATA], &counter) < 0)
        return;
    exprs->packets = counted(counter.v[NFTA_COUNTER_PACKETS]);
    exprs->bytes = counted(counter.v[NFTA_COUNTER_BYTES]);
}

int exprs_read(const struct nlattr *list, struct exprs *ret)
{
    struct exprs exprs = {0};
    const struct nlattr *attr;

    if (!attrs_is_list_of(list, NFTA_LIST_ELEM))
        return -EBADMSG;
    mnl_attr_for_each_nested (attr, list) {
        if (exprs.n == EXPRS_MAX) {
            exprs_clear(&exprs);
            return -EBADMSG;
        }
        *ARRAY_ADD(exprs.v, exprs.n) = read_expr(attr);
        if (exprs.v[exprs.n - 1].kind == EXPR_COUNTER)
            read_counter(attr, &exprs);
    }
    *ret = exprs;
    return 0;
}

void exprs_clear(struct exprs *exprs)
{
    free(exprs->v);
    *exprs = (struct exprs){0};
}

bool exprs_equal(const struct exprs *a, const struct exprs *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (a->v[i].kind == EXPR_FOREIGN || memcmp(&a->v[i], &b->v[i], sizeof(*a->v)) != 0)
            return false;
    }
    return true;
}

void exprs_print(const struct exprs *exprs, FILE *out)
{
    for (size_t i = 0; i < exprs->n; i++) {
        const struct expr *expr = &exprs->v[i];

        fprintf(out, "%s%s", i ? " " : "", expr->kind < EXPR_KINDS ? kinds[expr->kind].name : expr->name);
    }
}
