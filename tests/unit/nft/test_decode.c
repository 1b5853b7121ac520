// SPDX-License-Identifier: GPL-2.0-or-later
/* What the encoder writes, the decoder reads; what it cannot have written is foreign. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nft/decode.h"
#include "nft/encode.h"
#include "ruleset/compare.h"
#include "sample.h"
#include "util/mem.h"

/* ---- a kernel that tells just what it was told -------------------------------------------------------- */

static struct nft_batch encode(const struct ruleset *ruleset)
{
    _cleanup_delta_ struct delta delta = {0};
    struct nft_batch batch = {0};
    size_t failed;

    delta_load(ruleset, &delta);
    assert_int_equal(nft_encode(&delta.phases[PHASE_SWITCH], 0, 0, 1, false, &batch, &failed), 0);
    return batch;
}

static struct nlmsghdr *first_message(const struct nft_batch *batch)
{
    return (struct nlmsghdr *)batch->bytes;
}

static int decode_batch(const struct nft_batch *batch, struct nft_tables *ret)
{
    _cleanup_(nft_decoder_freep) struct nft_decoder *decoder = nft_decoder_new(PAIR_RULES);
    int left = (int)batch->len;

    for (const struct nlmsghdr *message = first_message(batch); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
        int r = nft_decode(decoder, message);

        if (r < 0)
            return r;
    }
    nft_decoder_finish(decoder, ret);
    return 0;
}

/* Nothing differs, by both ways of asking; says what does, when it should not. */
static bool same(const struct ruleset *is, const struct ruleset *should, bool loud)
{
    _cleanup_differences_ struct differences differences = {0};
    _cleanup_delta_ struct delta delta = {0};

    ruleset_compare(is, should, 10, &differences);
    delta_between(is, should, &delta);
    for (size_t i = 0; loud && i < differences.n; i++)
        print_message("%s %s %s: %s\n", difference_what_name(differences.v[i].what),
                      difference_kind_name(differences.v[i].kind), differences.v[i].name,
                      differences.v[i].text);
    assert_int_equal(differences.n == 0, delta_count(&delta) == 0);
    return differences.n == 0;
}

static void assert_round_trip(const struct ruleset *ruleset)
{
    _cleanup_nft_batch_ struct nft_batch batch = encode(ruleset);
    _cleanup_nft_tables_ struct nft_tables tables = {0};

    assert_int_equal(decode_batch(&batch, &tables), 0);
    assert_true(same(tables.ruleset, ruleset, true));
    assert_true(same(ruleset, tables.ruleset, true));
    for (size_t i = 0; i < TABLES; i++)
        assert_true(tables.exists[i] && tables.whole[i] && tables.flags[i] == 0);
}

static void what_is_written_is_read(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *everything = sample_everything();
    _cleanup_(ruleset_freep) struct ruleset *small = sample_small();
    _cleanup_(ruleset_freep) struct ruleset *nothing = ruleset_new();

    (void)state;
    assert_round_trip(everything);
    assert_round_trip(small);
    assert_round_trip(nothing);
}

/* ---- damage ------------------------------------------------------------------------------------------- */

/* Bytes that say nothing: padding, the flags of an attribute's type, a set's number in its transaction and
 * the size of a verdict. */
static void mark_silent(const struct nlmsghdr *message, const struct nlattr *attr, size_t end,
                        uint8_t *silent)
{
    size_t at = (size_t)((const char *)attr - (const char *)message);
    bool is_set = (message->nlmsg_type & 0xff) == NFT_MSG_NEWSET;

    for (; at + sizeof(*attr) <= end; at += MNL_ALIGN(attr->nla_len)) {
        uint16_t type;

        attr = (const struct nlattr *)((const char *)message + at);
        type = mnl_attr_get_type(attr);
        silent[at + 3] = 0xc0;
        memset(silent + at + attr->nla_len, 0xff, MNL_ALIGN(attr->nla_len) - attr->nla_len);
        if (attr->nla_type & NLA_F_NESTED)
            mark_silent(message, mnl_attr_get_payload(attr), at + attr->nla_len, silent);
        else if (is_set && (type == NFTA_SET_ID || type == NFTA_SET_DATA_LEN))
            memset(silent + at, 0xff, attr->nla_len);
        else if (is_set && type == NFTA_SET_FLAGS && mnl_attr_get_u32(attr) == 0)
            silent[at + 2] = 0xff; /* no flags: as if it were not there */
    }
}

static bool equal_after(const struct nft_batch *batch, const struct ruleset *ruleset)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};

    return decode_batch(batch, &tables) == 0 && same(tables.ruleset, ruleset, false);
}

/* Every bit that says something makes a difference, wherever it is. */
static void every_bit_counts(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    _cleanup_nft_batch_ struct nft_batch batch = encode(ruleset);
    int left = (int)batch.len;
    size_t n = 0;

    (void)state;
    for (struct nlmsghdr *message = first_message(&batch); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
        uint8_t silent[4096] = {0}, *bytes = (uint8_t *)message;
        uint8_t type = message->nlmsg_type & 0xff;

        assert_true(message->nlmsg_len < sizeof(silent));
        if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || type == NFT_MSG_DELTABLE ||
            type == NFT_MSG_NEWTABLE) /* which stands there twice */
            continue;
        mark_silent(message, mnl_nlmsg_get_payload_offset(message, sizeof(struct nfgenmsg)),
                    message->nlmsg_len, silent);
        for (size_t bit = 20 * 8; bit < message->nlmsg_len * 8; bit++) {
            if (silent[bit / 8] & 1u << bit % 8)
                continue;
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (equal_after(&batch, ruleset))
                fail_msg("message %u of type %u: bit %zu of byte %zu does not count", message->nlmsg_seq,
                         type, bit % 8, bit / 8);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            n++;
        }
    }
    assert_true(n > 5000);
    assert_true(equal_after(&batch, ruleset));
}

static unsigned random_below(unsigned *seed, size_t below)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 8) % (unsigned)below;
}

/* Whatever comes, it ends; and a message that was cut or garbled never reads as the whole. Each stands in
 * memory of its own, for the sanitizer. */
static void garbage_is_survived(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_everything();
    _cleanup_nft_batch_ struct nft_batch batch = encode(ruleset);
    _cleanup_(nft_decoder_freep) struct nft_decoder *decoder = nft_decoder_new(PAIR_RULES);
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    unsigned seed = 1;

    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        int left = (int)batch.len;

        for (const struct nlmsghdr *message = first_message(&batch); mnl_nlmsg_ok(message, left);
             message = mnl_nlmsg_next(message, &left)) {
            size_t len = round % 2 ? message->nlmsg_len : 16 + random_below(&seed, message->nlmsg_len - 15);
            struct nlmsghdr *copy = xcalloc(1, len);

            memcpy(copy, message, len);
            copy->nlmsg_len = (uint32_t)len;
            for (unsigned i = random_below(&seed, 8); i > 0 && len > 20; i--)
                ((uint8_t *)copy)[20 + random_below(&seed, len - 20)] = (uint8_t)random_below(&seed, 256);
            (void)nft_decode(decoder, copy);
            free(copy);
        }
        if (round % 16 == 15) {
            nft_tables_clear(&tables);
            nft_decoder_finish(decoder, &tables);
            assert_false(same(tables.ruleset, ruleset, false));
        }
    }
}

static void what_is_cut_short_is_an_error(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    _cleanup_nft_batch_ struct nft_batch batch = encode(ruleset);
    int left = (int)batch.len;
    size_t n = 0;

    (void)state;
    for (const struct nlmsghdr *message = first_message(&batch); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
        uint8_t silent[4096] = {0};
        struct nlmsghdr *copy;

        if ((message->nlmsg_type & 0xff) != NFT_MSG_NEWRULE || message->nlmsg_type < 256)
            continue;
        copy = xcalloc(1, message->nlmsg_len);
        memcpy(copy, message, message->nlmsg_len);
        mark_silent(message, mnl_nlmsg_get_payload_offset(message, sizeof(struct nfgenmsg)),
                    message->nlmsg_len, silent);
        for (uint32_t len = sizeof(*copy); len < message->nlmsg_len; len++) {
            _cleanup_(nft_decoder_freep) struct nft_decoder *decoder = nft_decoder_new(PAIR_RULES);

            copy->nlmsg_len = len;
            /* Where one attribute ends, the cut cannot be seen; but then the rest is missing. */
            assert_true(nft_decode(decoder, copy) == -EBADMSG || len % 4 == 0 || silent[len] == 0xff);
            n++;
        }
        free(copy);
    }
    assert_true(n > 500);
}

/* ---- what we never write ------------------------------------------------------------------------------ */

struct world {
    struct nft_decoder *decoder;
    struct nft_tables tables;
    char buffer[4096];
    struct nlmsghdr *message;
};

static void begin(struct world *world, uint16_t type, enum table_id table)
{
    struct nfgenmsg *header;

    memset(world->buffer, 0, sizeof(world->buffer));
    world->message = mnl_nlmsg_put_header(world->buffer);
    world->message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
    header = mnl_nlmsg_put_extra_header(world->message, sizeof(*header));
    header->nfgen_family = table == TABLE_INET ? NFPROTO_INET : NFPROTO_BRIDGE;
    mnl_attr_put_strz(world->message, 1, TABLE_NAME);
}

static void put_be32(struct world *world, uint16_t type, uint32_t value)
{
    mnl_attr_put_u32(world->message, type, htonl(value));
}

static void end(struct world *world)
{
    assert_int_equal(nft_decode(world->decoder, world->message), 0);
}

static int set_up(void **state)
{
    struct world *world = xnew(struct world);

    world->decoder = nft_decoder_new(PAIR_RULES);
    begin(world, NFT_MSG_NEWTABLE, TABLE_INET);
    end(world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    nft_decoder_free(world->decoder);
    nft_tables_clear(&world->tables);
    free(world);
    return 0;
}

static const struct table *finish(struct world *world)
{
    nft_decoder_finish(world->decoder, &world->tables);
    return &world->tables.ruleset->tables[TABLE_INET];
}

static void tables(void **state)
{
    struct world *world = *state;

    begin(world, NFT_MSG_NEWTABLE, TABLE_BRIDGE);
    put_be32(world, NFTA_TABLE_FLAGS, 6); /* owner, persist */
    put_be32(world, NFTA_TABLE_OWNER, 4711);
    end(world);
    finish(world);
    assert_true(world->tables.whole[TABLE_INET] && world->tables.whole[TABLE_BRIDGE]);
    assert_int_equal(world->tables.flags[TABLE_BRIDGE], 6);
    assert_int_equal(world->tables.owner[TABLE_BRIDGE], 4711);
    assert_false(world->tables.ruleset->tables[TABLE_BRIDGE].absent);
}

static void absent_table(void **state)
{
    struct world *world = *state;

    finish(world);
    assert_true(world->tables.exists[TABLE_INET]);
    assert_false(world->tables.exists[TABLE_BRIDGE]);
    assert_true(world->tables.ruleset->tables[TABLE_BRIDGE].absent);
}

static void assert_odd(struct world *world, const char *text)
{
    const struct table *table = finish(world);

    assert_false(world->tables.whole[TABLE_INET]);
    assert_int_equal(table->n_odd, 1);
    assert_string_equal(table->odd[0], text);
}

static void dormant_table(void **state)
{
    begin(*state, NFT_MSG_NEWTABLE, TABLE_INET);
    put_be32(*state, NFTA_TABLE_FLAGS, NFT_TABLE_F_DORMANT);
    end(*state);
    assert_odd(*state, "flags dormant");
}

static void table_with_unknown_flag(void **state)
{
    begin(*state, NFT_MSG_NEWTABLE, TABLE_INET);
    put_be32(*state, NFTA_TABLE_FLAGS, 8);
    end(*state);
    assert_odd(*state, "flags 0x8");
}

static void table_with_comment(void **state)
{
    struct world *world = *state;

    begin(world, NFT_MSG_NEWTABLE, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_TABLE_USERDATA, "x");
    end(world);
    assert_odd(world, "a comment, or what is not known of tables");
}

static void object(void **state)
{
    struct world *world = *state;

    begin(world, NFT_MSG_NEWOBJ, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_OBJ_NAME, "c");
    end(world);
    assert_odd(world, "object c");
}

static void flow_table(void **state)
{
    struct world *world = *state;

    begin(world, NFT_MSG_NEWFLOWTABLE, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_FLOWTABLE_NAME, "f");
    end(world);
    assert_odd(world, "flowtable f");
}

static void other_tables_are_passed_over(void **state)
{
    struct world *world = *state;

    begin(world, NFT_MSG_NEWCHAIN, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_CHAIN_NAME, "c");
    memcpy(strstr((char *)mnl_nlmsg_get_payload_offset(world->message, 8), TABLE_NAME), "kofferdam", 9);
    end(world);
    begin(world, NFT_MSG_NEWCHAIN, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_CHAIN_NAME, "c");
    ((struct nfgenmsg *)mnl_nlmsg_get_payload(world->message))->nfgen_family = NFPROTO_IPV4;
    end(world);
    assert_null(finish(world)->chains);
}

/* It is told that it is there, and nothing of what is in it is taken for a table's of ours. */
static void standby_is_told(void **state)
{
    struct world *world = *state;
    const struct table *bridge;

    begin(world, NFT_MSG_NEWCHAIN, TABLE_BRIDGE);
    world->message->nlmsg_len = MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg);
    mnl_attr_put_strz(world->message, NFTA_CHAIN_TABLE, STANDBY_NAME);
    mnl_attr_put_strz(world->message, NFTA_CHAIN_NAME, "c");
    end(world);
    assert_null(finish(world)->chains);
    bridge = &world->tables.ruleset->tables[TABLE_BRIDGE];
    assert_null(bridge->chains);
    assert_true(bridge->standby);
    assert_true(bridge->absent);
    assert_false(world->tables.ruleset->tables[TABLE_INET].standby);
}

struct base {
    uint32_t hook, policy;
    const char *type;
    bool device;
};

static void put_base_chain(struct world *world, const char *name, const struct base *base)
{
    struct nlattr *nest;

    begin(world, NFT_MSG_NEWCHAIN, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_CHAIN_NAME, name);
    nest = mnl_attr_nest_start(world->message, NFTA_CHAIN_HOOK);
    put_be32(world, NFTA_HOOK_HOOKNUM, base->hook);
    put_be32(world, NFTA_HOOK_PRIORITY, (uint32_t)-10);
    if (base->device)
        mnl_attr_put_strz(world->message, NFTA_HOOK_DEV, "eth0");
    mnl_attr_nest_end(world->message, nest);
    put_be32(world, NFTA_CHAIN_POLICY, base->policy);
    mnl_attr_put_strz(world->message, NFTA_CHAIN_TYPE, base->type);
    put_be32(world, NFTA_CHAIN_FLAGS, 1);
    put_be32(world, NFTA_CHAIN_USE, 3);
    end(world);
}

static void chains(void **state)
{
    static const struct {
        struct base base;
        const char *foreign; /* NULL: ours */
    } cases[] = {
        {{NF_INET_FORWARD, NF_ACCEPT, "filter", false}, NULL},
        {{NF_INET_FORWARD, NF_DROP, "filter", false}, "another policy than accept"},
        {{NF_INET_FORWARD, NF_ACCEPT, "route", false}, "another type than filter"},
        {{NF_INET_POST_ROUTING, NF_ACCEPT, "filter", false}, "another hook"},
        {{NF_INET_PRE_ROUTING, NF_ACCEPT, "filter", true}, "bound to devices"},
    };
    const struct table *table;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        put_base_chain(*state, (char[]){(char)('a' + i), 0}, &cases[i].base);
    table = finish(*state);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct chain *chain = table_chain(table, (char[]){(char)('a' + i), 0});

        assert_non_null(chain);
        if (cases[i].foreign)
            assert_string_equal(chain->foreign, cases[i].foreign);
        else
            assert_null(chain->foreign);
        assert_int_equal(chain_equal(chain, chain), cases[i].foreign == NULL);
    }
    assert_int_equal(table_chain(table, "a")->hook, HOOK_FORWARD);
    assert_int_equal(table_chain(table, "a")->priority, -10);
}

static void chain_with_comment_or_of_a_rule(void **state)
{
    struct world *world = *state;
    const struct table *table;

    begin(world, NFT_MSG_NEWCHAIN, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_CHAIN_NAME, "c");
    mnl_attr_put_strz(world->message, NFTA_CHAIN_USERDATA, "x");
    end(world);
    begin(world, NFT_MSG_NEWCHAIN, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_CHAIN_NAME, "__chain1");
    put_be32(world, NFTA_CHAIN_FLAGS, 4);
    end(world);
    begin(world, NFT_MSG_NEWRULE, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_RULE_CHAIN, "__chain1");
    end(world);
    table = finish(world);
    assert_non_null(table_chain(table, "c")->foreign);
    assert_null(table_chain(table, "__chain1"));
}

/* An expression that has no attributes. */
static void put_rule(struct world *world, const char *const *names, size_t n)
{
    struct nlattr *list;

    begin(world, NFT_MSG_NEWRULE, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_RULE_CHAIN, "c");
    list = mnl_attr_nest_start(world->message, NFTA_RULE_EXPRESSIONS);
    for (size_t i = 0; i < n; i++) {
        struct nlattr *nest = mnl_attr_nest_start(world->message, NFTA_LIST_ELEM);

        mnl_attr_put_strz(world->message, NFTA_EXPR_NAME, names[i]);
        mnl_attr_nest_end(world->message, nest);
    }
    mnl_attr_nest_end(world->message, list);
}

static void rules(void **state)
{
    static const char *const names[] = {"counter", "limit", "bad\x1b\nname", "counter"};
    struct world *world = *state;
    const struct chain *chain;

    begin(world, NFT_MSG_NEWCHAIN, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_CHAIN_NAME, "c");
    end(world);
    put_rule(world, names, 1);
    end(world);
    put_rule(world, names, 3);
    end(world);
    put_rule(world, (const char *const[]){"counter", "counter"}, 2);
    end(world);
    put_rule(world, names, 1);
    mnl_attr_put_strz(world->message, NFTA_RULE_USERDATA, "something");
    end(world);
    put_rule(world, names, 1);
    mnl_attr_put_strz(world->message, NFTA_RULE_COMPAT, "");
    end(world);
    chain = table_chain(finish(world), "c");
    assert_int_equal(chain->n_rules, 5);
    assert_true(chain->rules[0].counter && !chain->rules[0].foreign);
    assert_string_equal(chain->rules[1].foreign, "counter limit bad??name");
    for (size_t i = 1; i < chain->n_rules; i++) {
        assert_non_null(chain->rules[i].foreign);
        assert_false(rule_equal(&chain->rules[i], &chain->rules[i]));
    }
}

static void put_set(struct world *world, const char *name, uint32_t flags)
{
    static const uint8_t byteorder[] = {0, 4, 2, 0, 0, 0}; /* NFTNL_UDATA_SET_KEYBYTEORDER: big endian */

    begin(world, NFT_MSG_NEWSET, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_SET_NAME, name);
    put_be32(world, NFTA_SET_FLAGS, flags);
    put_be32(world, NFTA_SET_KEY_TYPE, 7);
    put_be32(world, NFTA_SET_KEY_LEN, 4);
    mnl_attr_put(world->message, NFTA_SET_USERDATA, sizeof(byteorder), byteorder);
}

static void sets(void **state)
{
    struct world *world = *state;
    const struct table *table;
    struct nlattr *nest;

    put_set(world, "ours", 0);
    put_be32(world, 19, 1); /* what newer kernels add */
    put_be32(world, 20, 7);
    end(world);
    put_set(world, "timeout", NFT_SET_TIMEOUT);
    end(world);
    put_set(world, "dynamic", NFT_SET_EVAL);
    end(world);
    put_set(world, "constant", NFT_SET_CONSTANT);
    end(world);
    put_set(world, "sized", 0);
    nest = mnl_attr_nest_start(world->message, NFTA_SET_DESC);
    put_be32(world, NFTA_SET_DESC_SIZE, 100);
    mnl_attr_nest_end(world->message, nest);
    end(world);
    put_set(world, "__set1", NFT_SET_ANONYMOUS | NFT_SET_CONSTANT);
    end(world);
    table = finish(world);
    assert_null(table_set(table, "ours")->foreign);
    assert_non_null(table_set(table, "timeout")->foreign);
    assert_non_null(table_set(table, "dynamic")->foreign);
    assert_non_null(table_set(table, "constant")->foreign);
    assert_non_null(table_set(table, "sized")->foreign);
    assert_null(table_set(table, "__set1"));
}

struct end {
    uint8_t last; /* of 10.0.0.x; 0: 0.0.0.0 */
    uint32_t flags, timeout;
};

static void put_elements(struct world *world, const struct end *ends, size_t n)
{
    struct nlattr *list;

    begin(world, NFT_MSG_NEWSETELEM, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_SET_ELEM_LIST_SET, "s");
    list = mnl_attr_nest_start(world->message, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (size_t i = 0; i < n; i++) {
        uint8_t key[] = {ends[i].last ? 10 : 0, 0, 0, ends[i].last};
        struct nlattr *nest = mnl_attr_nest_start(world->message, NFTA_LIST_ELEM), *data;

        if (!(ends[i].flags & NFT_SET_ELEM_CATCHALL)) {
            data = mnl_attr_nest_start(world->message, NFTA_SET_ELEM_KEY);
            mnl_attr_put(world->message, NFTA_DATA_VALUE, sizeof(key), key);
            mnl_attr_nest_end(world->message, data);
        }
        if (ends[i].flags)
            put_be32(world, NFTA_SET_ELEM_FLAGS, ends[i].flags);
        if (ends[i].timeout)
            put_be32(world, NFTA_SET_ELEM_TIMEOUT, ends[i].timeout);
        mnl_attr_nest_end(world->message, nest);
    }
    mnl_attr_nest_end(world->message, list);
    end(world);
}

static void elements(void **state)
{
    static const struct end ends[] = {{1, 0, 0}, {2, 0, 1000}, {3, 8, 0}, {0, NFT_SET_ELEM_CATCHALL, 0}};
    const struct set *set;

    put_set(*state, "s", 0);
    end(*state);
    put_elements(*state, ends, ARRAY_SIZE(ends));
    set = table_set(finish(*state), "s");
    assert_int_equal(set_count(set), 4);
    assert_false(set_find(set, (uint8_t[KEY_BYTES_MAX]){10, 0, 0, 1})->foreign);
    assert_true(set_find(set, (uint8_t[KEY_BYTES_MAX]){10, 0, 0, 2})->foreign);
    assert_true(set_find(set, (uint8_t[KEY_BYTES_MAX]){10, 0, 0, 3})->foreign);
    assert_true(set->catchall->foreign);
}

#define END NFT_SET_ELEM_INTERVAL_END

static const struct set *interval_set(struct world *world, const struct end *ends, size_t n)
{
    put_set(world, "s", NFT_SET_INTERVAL);
    end(world);
    put_elements(world, ends, n);
    return table_set(finish(world), "s");
}

static void intervals_in_any_order(void **state)
{
    static const struct end ends[] = {{9, END, 0}, {5, 0, 0}, {5, END, 0},
                                      {0, END, 0}, {2, 0, 0}, {20, 0, 0}};
    const struct set *set = interval_set(*state, ends, ARRAY_SIZE(ends));
    const struct element *element;

    assert_null(set->foreign);
    assert_int_equal(set_count(set), 3);
    element = set_find(set, (uint8_t[KEY_BYTES_MAX]){10, 0, 0, 2});
    assert_int_equal(element->key_end[3], 4);
    element = set_find(set, (uint8_t[KEY_BYTES_MAX]){10, 0, 0, 5});
    assert_int_equal(element->key_end[3], 8);
    assert_false(element->foreign);
    element = set_find(set, (uint8_t[KEY_BYTES_MAX]){10, 0, 0, 20});
    assert_int_equal(element->key_end[0], 255);
    assert_true(element->foreign); /* open, and does not say so */
}

static void interval_without_start(void **state)
{
    static const struct end ends[] = {{0, END, 0}, {2, 0, 0}, {4, END, 0}, {9, END, 0}};

    assert_non_null(interval_set(*state, ends, ARRAY_SIZE(ends))->foreign);
}

static void interval_without_end(void **state)
{
    static const struct end ends[] = {{0, END, 0}, {2, 0, 0}, {4, 0, 0}, {9, END, 0}};

    assert_non_null(interval_set(*state, ends, ARRAY_SIZE(ends))->foreign);
}

static void interval_with_timeout(void **state)
{
    static const struct end ends[] = {{2, 0, 1}, {4, END, 0}, {5, 0, 0}, {9, END, 0}};
    const struct set *set = interval_set(*state, ends, ARRAY_SIZE(ends));

    assert_null(set->foreign);
    assert_true(set_find(set, (uint8_t[KEY_BYTES_MAX]){10, 0, 0, 2})->foreign);
    assert_false(set_find(set, (uint8_t[KEY_BYTES_MAX]){10, 0, 0, 5})->foreign);
}

static void elements_of_a_set_that_has_not_come(void **state)
{
    struct world *world = *state;

    begin(world, NFT_MSG_NEWSETELEM, TABLE_INET);
    mnl_attr_put_strz(world->message, NFTA_SET_ELEM_LIST_SET, "s");
    assert_int_equal(nft_decode(world->decoder, world->message), -EBADMSG);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(garbage_is_survived),
        cmocka_unit_test(what_is_cut_short_is_an_error),
        TEST(tables),
        TEST(absent_table),
        TEST(dormant_table),
        TEST(table_with_unknown_flag),
        TEST(table_with_comment),
        TEST(object),
        TEST(flow_table),
        TEST(other_tables_are_passed_over),
        TEST(standby_is_told),
        TEST(chains),
        TEST(chain_with_comment_or_of_a_rule),
        TEST(rules),
        TEST(sets),
        TEST(elements),
        TEST(intervals_in_any_order),
        TEST(interval_without_start),
        TEST(interval_without_end),
        TEST(interval_with_timeout),
        TEST(elements_of_a_set_that_has_not_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
