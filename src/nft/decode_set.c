// SPDX-License-Identifier: GPL-2.0-or-later
#include "decode_set.h"

#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "decode_rule.h"
#include "elements.h"
#include "expr_read.h"
#include "util/mem.h"

#define TYPE_BITS 6 /* of one field in the number of a concatenated type */

/* Attributes of sets that only newer kernels' headers name: how it is stored, and the number of elements. */
enum { SET_TYPE = NFTA_SET_EXPRESSIONS + 1, SET_COUNT };

DEFINE_CLEANUP(struct nftnl_set *, nftnl_set_free);

/* ---- sets --------------------------------------------------------------------------------------------- */

static bool key_type_decode(uint32_t number, enum key_type *ret)
{
    for (enum key_type type = 0; type < KEY_TYPES; type++) {
        if (set_key_type_number(type) == number) {
            *ret = type;
            return true;
        }
    }
    return false;
}

/* The number of fields; 0 when one is of a type that we never use. */
static size_t read_key(uint32_t number, enum key_type key[static KEY_FIELDS_MAX])
{
    size_t n = 0;

    for (uint32_t rest = number; rest; rest >>= TYPE_BITS)
        n++;
    if (n > KEY_FIELDS_MAX)
        return 0;
    for (size_t i = n; i-- > 0; number >>= TYPE_BITS) {
        if (!key_type_decode(number & ((1u << TYPE_BITS) - 1), &key[i]))
            return 0;
    }
    return n;
}

/* The types of fields that nft has no type for have one number: the key's length tells them apart. */
static void settle_raw(const struct attrs *attrs, struct set *set)
{
    uint32_t len;

    if (!attr_be32(attrs->v[NFTA_SET_KEY_LEN], &len))
        return;
    for (size_t i = 0; i < set->n_key && set->key_len > len; i++) {
        size_t (*size)(enum key_type) = set->n_key > 1 ? key_type_padded : key_type_size;

        if (set->key[i] != KEY_ND_TARGET)
            continue;
        set->key[i] = KEY_ND_OPTION_MAC;
        set->key_len -= size(KEY_ND_TARGET) - size(KEY_ND_OPTION_MAC);
    }
}

/* Has the set the very user data that we would give it? */
static bool user_data_is_ours(const struct set *set, const struct nlattr *attr)
{
    _cleanup_(nftnl_set_freep) struct nftnl_set *nftnl = nftnl_set_alloc();
    uint32_t len;
    const void *data;

    if (!nftnl)
        abort(); /* out of memory */
    if (!attr || set_encode(set, 1, nftnl) < 0)
        return false;
    data = nftnl_set_get_data(nftnl, NFTNL_SET_USERDATA, &len);
    return data && len == mnl_attr_get_payload_len(attr) &&
           memcmp(data, mnl_attr_get_payload(attr), len) == 0;
}

/* A size, or the fields' lengths, which a concatenation of intervals has. */
static bool has_description(const struct nlattr *attr)
{
    struct attrs attrs = ATTRS(NFTA_SET_DESC_MAX);

    return attr && (attrs_read_nest(attr, &attrs) < 0 || attrs_has_other(&attrs, 0));
}

/* counter limit rate [over] RATE/PER burst BURST packets, and nothing else. */
static bool read_meter_exprs(const struct nlattr *list, struct meter *meter)
{
    struct exprs exprs = {0};
    bool ours;

    if (!list || exprs_read(list, &exprs) < 0)
        return false;
    ours = exprs.n == 2 && exprs.v[0].kind == EXPR_COUNTER && exprs.v[1].kind == EXPR_LIMIT &&
           !(exprs.v[1].flags & ~(uint32_t)NFT_LIMIT_F_INV);
    if (ours) {
        meter->rate = exprs.v[1].what;
        meter->per = exprs.v[1].offset;
        meter->burst = exprs.v[1].len;
        meter->over = exprs.v[1].flags & NFT_LIMIT_F_INV;
    }
    exprs_clear(&exprs);
    return ours;
}

/* A set that packets fill; what is not as ours are leaves *meter zero. */
static void read_meter(const struct attrs *attrs, uint32_t flags, struct meter *ret)
{
    struct attrs description = ATTRS(NFTA_SET_DESC_MAX);
    struct meter meter = {0};
    uint64_t timeout;

    if ((flags & SET_METER_FLAGS) != SET_METER_FLAGS || !attrs->v[NFTA_SET_DESC] ||
        attrs_read_nest(attrs->v[NFTA_SET_DESC], &description) < 0 ||
        attrs_has_other(&description, ATTR_BIT(NFTA_SET_DESC_SIZE)) ||
        !attr_be32(description.v[NFTA_SET_DESC_SIZE], &meter.size) ||
        !attr_be64(attrs->v[NFTA_SET_TIMEOUT], &timeout) || timeout % 1000 != 0 ||
        timeout / 1000 > UINT32_MAX || !read_meter_exprs(attrs->v[NFTA_SET_EXPRESSIONS], &meter))
        return;
    meter.timeout = (uint32_t)(timeout / 1000);
    *ret = meter;
}

static bool set_is_ours(const struct set *set, uint32_t flags, const struct attrs *attrs)
{
    static const uint64_t known =
        ATTR_BIT(NFTA_SET_TABLE) | ATTR_BIT(NFTA_SET_NAME) | ATTR_BIT(NFTA_SET_FLAGS) |
        ATTR_BIT(NFTA_SET_KEY_TYPE) | ATTR_BIT(NFTA_SET_KEY_LEN) | ATTR_BIT(NFTA_SET_DATA_TYPE) |
        ATTR_BIT(NFTA_SET_DATA_LEN) | ATTR_BIT(NFTA_SET_DESC) | ATTR_BIT(NFTA_SET_ID) |
        ATTR_BIT(NFTA_SET_USERDATA) | ATTR_BIT(NFTA_SET_PAD) | ATTR_BIT(NFTA_SET_HANDLE) |
        ATTR_BIT(SET_TYPE) | ATTR_BIT(SET_COUNT);
    static const uint64_t of_meters = ATTR_BIT(NFTA_SET_TIMEOUT) | ATTR_BIT(NFTA_SET_EXPRESSIONS);
    bool is_meter = set->meter.size;
    uint32_t key_len, data_type;

    if (attrs_has_other(attrs, known | (is_meter ? of_meters : 0)) ||
        (!is_meter && has_description(attrs->v[NFTA_SET_DESC])) ||
        flags & ~(is_meter ? SET_METER_FLAGS : (uint32_t)(NFT_SET_INTERVAL | NFT_SET_MAP)) ||
        set->n_key == 0 || !attr_be32(attrs->v[NFTA_SET_KEY_LEN], &key_len) || key_len != set->key_len)
        return false;
    if (set->map
            ? !attr_be32(attrs->v[NFTA_SET_DATA_TYPE], &data_type) || data_type != (uint32_t)NFT_DATA_VERDICT
            : attrs->v[NFTA_SET_DATA_TYPE] || attrs->v[NFTA_SET_DATA_LEN])
        return false;
    return user_data_is_ours(set, attrs->v[NFTA_SET_USERDATA]);
}

static char *describe(uint32_t flags, uint32_t type, const struct attrs *attrs)
{
    return xasprintf("type %#x, flags %#x%s%s%s", type, flags, attrs->v[NFTA_SET_TIMEOUT] ? ", timeout" : "",
                     has_description(attrs->v[NFTA_SET_DESC]) ? ", size" : "",
                     attrs->odd || attrs->v[NFTA_SET_EXPR] || attrs->v[NFTA_SET_EXPRESSIONS] ? ", more" : "");
}

struct set *set_decode(struct ruleset *ruleset, enum table_id table, const char *name,
                       const struct attrs *attrs)
{
    enum key_type key[KEY_FIELDS_MAX] = {0};
    uint32_t flags = 0, type = 0;
    struct set *set;

    if (attrs->v[NFTA_SET_FLAGS] && !attr_be32(attrs->v[NFTA_SET_FLAGS], &flags))
        flags = UINT32_MAX & ~(uint32_t)NFT_SET_ANONYMOUS;
    if (flags & NFT_SET_ANONYMOUS)
        return NULL;
    (void)attr_be32(attrs->v[NFTA_SET_KEY_TYPE], &type);
    set = ruleset_add_set(ruleset, table, name, read_key(type, key), key);
    settle_raw(attrs, set);
    set->map = flags & NFT_SET_MAP;
    set->interval = flags & NFT_SET_INTERVAL;
    read_meter(attrs, flags, &set->meter);
    if (!set_is_ours(set, flags, attrs))
        set->foreign = describe(flags, type, attrs);
    return set;
}

/* ---- elements ----------------------------------------------------------------------------------------- */

/* One end of an interval. */
struct bound {
    struct element element; /* only its key and whether it is foreign */
    bool end;               /* the first key after the interval */
    bool open;              /* said to have no end */
};

/* Says the user data that the interval has no end? That is all that ours ever say. */
static bool is_open(const struct nlattr *attr)
{
    uint32_t flags = NFTNL_SET_ELEM_F_INTERVAL_OPEN; /* host byte order */
    uint8_t data[] = {NFTNL_UDATA_SET_ELEM_FLAGS, sizeof(uint32_t), 0, 0, 0, 0};

    memcpy(data + 2, &flags, sizeof(flags));
    return mnl_attr_get_payload_len(attr) == sizeof(data) &&
           memcmp(mnl_attr_get_payload(attr), data, sizeof(data)) == 0;
}

static bool read_key_value(const struct set *set, const struct nlattr *attr, uint8_t *key)
{
    struct attrs attrs = ATTRS(NFTA_DATA_MAX);
    const struct nlattr *value;

    if (!attr || attrs_read_nest(attr, &attrs) < 0 || attrs_has_other(&attrs, ATTR_BIT(NFTA_DATA_VALUE)))
        return false;
    value = attrs.v[NFTA_DATA_VALUE];
    if (!value || mnl_attr_get_payload_len(value) != set->key_len)
        return false;
    memcpy(key, mnl_attr_get_payload(value), set->key_len);
    return true;
}

static bool read_verdict(struct ruleset *ruleset, const struct nlattr *attr, struct element *element)
{
    char name[NFT_NAME_MAXLEN] = "";
    uint32_t code;

    if (!attr || !verdict_read(attr, &code, name) || !verdict_decode(code, &element->verdict))
        return false;
    if (element->verdict == V_JUMP || element->verdict == V_GOTO)
        element->target = ruleset_intern(ruleset, name);
    return true;
}

/* The set becomes foreign: its elements are not those that we can tell apart by their key. */
static void spoil(struct set *set, const char *why)
{
    if (!set->foreign)
        set->foreign = xstrdup(why);
}

int element_decode(struct ruleset *ruleset, struct set *set, const struct nlattr *nest, struct bounds *bounds)
{
    static const uint64_t known = ATTR_BIT(NFTA_SET_ELEM_KEY) | ATTR_BIT(NFTA_SET_ELEM_DATA) |
                                  ATTR_BIT(NFTA_SET_ELEM_FLAGS) | ATTR_BIT(NFTA_SET_ELEM_USERDATA) |
                                  ATTR_BIT(NFTA_SET_ELEM_PAD);
    static const uint32_t known_flags = NFT_SET_ELEM_INTERVAL_END | NFT_SET_ELEM_CATCHALL;
    struct attrs attrs = ATTRS(NFTA_SET_ELEM_MAX);
    const struct nlattr *data;
    struct bound bound = {0};
    struct element *element = &bound.element;
    uint32_t flags = 0;

    if (attrs_read_nest(nest, &attrs) < 0)
        return -EBADMSG;
    data = attrs.v[NFTA_SET_ELEM_USERDATA];
    if (attrs.v[NFTA_SET_ELEM_FLAGS] && !attr_be32(attrs.v[NFTA_SET_ELEM_FLAGS], &flags))
        return -EBADMSG;
    element->catchall = flags & NFT_SET_ELEM_CATCHALL;
    bound.end = flags & NFT_SET_ELEM_INTERVAL_END;
    bound.open = data && is_open(data);
    element->foreign = attrs_has_other(&attrs, known) || flags & ~known_flags || (data && !bound.open) ||
                       (bound.open && (!set->interval || bound.end)) || (element->catchall && !set->map) ||
                       (bound.end && (!set->interval || element->catchall));
    if (set->map ? !read_verdict(ruleset, attrs.v[NFTA_SET_ELEM_DATA], element)
                 : attrs.v[NFTA_SET_ELEM_DATA] != NULL)
        element->foreign = true;
    if (!element->catchall && !read_key_value(set, attrs.v[NFTA_SET_ELEM_KEY], element->key))
        spoil(set, "an element has a key of another length");
    else if (set->interval && !element->catchall)
        *ARRAY_ADD(bounds->v, bounds->n) = bound;
    else if (!set_insert(set, element))
        spoil(set, "an element stands in it twice");
    return 0;
}

/* By key; where one interval ends and the next begins, the end comes first. */
static int compare_bounds(const void *a, const void *b)
{
    const struct bound *x = a, *y = b;
    int order = memcmp(x->element.key, y->element.key, sizeof(x->element.key));

    return order ? order : (int)y->end - (int)x->end;
}

/* One less, in network byte order. */
static void decrement(uint8_t *bytes, size_t len)
{
    while (len-- > 0) {
        if (bytes[len]-- != 0)
            break;
    }
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i])
            return false;
    }
    return true;
}

/* From a start to its end; end is NULL where there is none, up to the highest value. */
static void join(struct set *set, const struct bound *start, const struct bound *end)
{
    struct element element = start->element;

    if (end) {
        memcpy(element.key_end, end->element.key, set->key_len);
        decrement(element.key_end, set->key_len);
        element.foreign = element.foreign || end->element.foreign || start->open;
    } else {
        memset(element.key_end, 0xff, set->key_len);
        element.foreign = element.foreign || !start->open;
    }
    if (!set_insert(set, &element))
        spoil(set, "an interval stands in it twice");
}

void bounds_join(struct bounds *bounds)
{
    const struct bound *start = NULL;
    struct set *set = bounds->set;

    if (bounds->n)
        qsort(bounds->v, bounds->n, sizeof(*bounds->v), compare_bounds);
    for (size_t i = 0; i < bounds->n; i++) {
        const struct bound *bound = &bounds->v[i];

        if (start && !bound->end)
            spoil(set, "an interval has no end");
        else if (start)
            join(set, start, bound);
        else if (bound->end && !is_zero(bound->element.key, set->key_len)) /* at zero every set has one */
            spoil(set, "an interval has no start");
        start = bound->end ? NULL : bound;
    }
    if (start)
        join(set, start, NULL);
}
