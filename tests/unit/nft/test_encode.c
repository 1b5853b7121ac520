// SPDX-License-Identifier: GPL-2.0-or-later
/* Batches, read back with libmnl and libnftnl. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nft/elements.h"
#include "nft/encode.h"
#include "nft/rule.h"
#include "sample.h"
#include "util/mem.h"

static struct nft_batch encode(const struct op_list *ops, bool dry_run)
{
    struct nft_batch batch = {0};
    size_t failed;

    assert_int_equal(nft_encode(ops, 0, 7, 100, dry_run, &batch, &failed), 0);
    return batch;
}

/* The messages in order; the last item is NULL. Checks what holds for every batch. */
static const struct nlmsghdr **messages(const struct nft_batch *batch, size_t *ret_n)
{
    const struct nlmsghdr *message = (const struct nlmsghdr *)batch->bytes, **v = NULL;
    int left = (int)batch->len;
    size_t n = 0;

    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        assert_int_equal(message->nlmsg_seq, batch->seq_first + n);
        assert_true(message->nlmsg_flags & NLM_F_REQUEST);
        *ARRAY_ADD(v, n) = message;
    }
    assert_int_equal(left, 0);
    assert_int_equal(batch->seq_last, batch->seq_first + n - 1);
    *ret_n = n;
    return v;
}

static int type_of(const struct nlmsghdr *message)
{
    return message->nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES ? message->nlmsg_type & 0xff
                                                            : -message->nlmsg_type;
}

static uint32_t generation_of(const struct nlmsghdr *begin)
{
    const struct nlattr *attr;

    mnl_attr_for_each (attr, begin, sizeof(struct nfgenmsg))
        if (mnl_attr_get_type(attr) == NFNL_BATCH_GENID)
            return ntohl(mnl_attr_get_u32(attr));
    return 0;
}

static void frame_of_a_batch(void **state)
{
    struct op ops[] = {{.kind = OP_ADD_TABLE, .table = TABLE_INET},
                       {.kind = OP_REMOVE_TABLE, .table = TABLE_BRIDGE}};
    struct op_list list = {ops, 2};
    struct nft_batch batch = encode(&list, false);
    size_t n;
    const struct nlmsghdr **v = messages(&batch, &n);
    const struct nfgenmsg *header = mnl_nlmsg_get_payload(v[0]);

    (void)state;
    assert_int_equal(n, 5);
    assert_int_equal(batch.seq_first, 100);
    assert_int_equal(v[0]->nlmsg_type, NFNL_MSG_BATCH_BEGIN);
    assert_int_equal(ntohs(header->res_id), NFNL_SUBSYS_NFTABLES);
    assert_int_equal(generation_of(v[0]), 7);
    nft_batch_set_generation(&batch, 123456);
    assert_int_equal(generation_of(v[0]), 123456);
    assert_int_equal(type_of(v[1]), NFT_MSG_NEWTABLE);
    assert_int_equal(((const struct nfgenmsg *)mnl_nlmsg_get_payload(v[1]))->nfgen_family, NFPROTO_INET);
    assert_int_equal(type_of(v[2]), NFT_MSG_NEWTABLE);
    assert_int_equal(type_of(v[3]), NFT_MSG_DELTABLE);
    for (size_t i = 2; i < 4; i++)
        assert_int_equal(((const struct nfgenmsg *)mnl_nlmsg_get_payload(v[i]))->nfgen_family,
                         NFPROTO_BRIDGE);
    assert_int_equal(v[4]->nlmsg_type, NFNL_MSG_BATCH_END);
    assert_true(v[4]->nlmsg_flags & NLM_F_ACK);
    for (size_t i = 0; i < 4; i++)
        assert_false(v[i]->nlmsg_flags & NLM_F_ACK);
    assert_true(batch.op_of_seq[0] == SIZE_MAX && batch.op_of_seq[4] == SIZE_MAX);
    assert_true(batch.op_of_seq[1] == 0 && batch.op_of_seq[2] == 1 && batch.op_of_seq[3] == 1);
    free(v);
    nft_batch_clear(&batch);
    assert_null(batch.bytes);
}

static void dry_run_has_no_end(void **state)
{
    struct op op = {.kind = OP_ADD_TABLE, .table = TABLE_INET};
    struct op_list list = {&op, 1};
    struct nft_batch batch = encode(&list, true);
    size_t n;
    const struct nlmsghdr **v = messages(&batch, &n);

    (void)state;
    assert_int_equal(n, 2);
    assert_int_equal(v[0]->nlmsg_type, NFNL_MSG_BATCH_BEGIN);
    assert_int_equal(type_of(v[1]), NFT_MSG_NEWTABLE);
    free(v);
    nft_batch_clear(&batch);
}

/* UINT32_MAX: none are told. */
static uint32_t table_flags(const struct nlmsghdr *message)
{
    const struct nlattr *attr;

    mnl_attr_for_each (attr, message, sizeof(struct nfgenmsg))
        if (mnl_attr_get_type(attr) == NFTA_TABLE_FLAGS)
            return ntohl(mnl_attr_get_u32(attr));
    return UINT32_MAX;
}

static void tables_are_replaced_whatever_flags_they_have(void **state)
{
    struct op ops[] = {{.kind = OP_REMOVE_TABLE, .table = TABLE_INET},
                       {.kind = OP_ADD_TABLE, .table = TABLE_INET}};
    struct op_list list = {ops, 2};
    struct nft_batch batch = encode(&list, true);
    size_t n, failed;
    const struct nlmsghdr **v = messages(&batch, &n);

    (void)state;
    assert_int_equal(n, 4);
    assert_int_equal(table_flags(v[1]), UINT32_MAX); /* others than it has would be refused */
    assert_int_equal(type_of(v[2]), NFT_MSG_DELTABLE);
    assert_int_equal(table_flags(v[3]), 0);
    free(v);
    nft_batch_clear(&batch);

    assert_int_equal(nft_encode(&list, NFT_TABLE_PROTECTED, 7, 100, true, &batch, &failed), 0);
    v = messages(&batch, &n);
    assert_int_equal(n, 3);
    assert_int_equal(type_of(v[1]), 26); /* NFT_MSG_DESTROYTABLE, which old headers do not name */
    assert_int_equal(v[1]->nlmsg_flags, NLM_F_REQUEST);
    assert_int_equal(table_flags(v[1]), UINT32_MAX);
    assert_int_equal(type_of(v[2]), NFT_MSG_NEWTABLE);
    assert_int_equal(table_flags(v[2]), 6);
    free(v);
    nft_batch_clear(&batch);
}

/* The first attribute says the table in all messages. */
static const char *table_of(const struct nlmsghdr *message)
{
    return mnl_attr_get_str(mnl_nlmsg_get_payload_offset(message, sizeof(struct nfgenmsg)));
}

static int32_t priority_of(const struct nlmsghdr *message)
{
    struct nftnl_chain *chain = nftnl_chain_alloc();

    assert_int_equal(nftnl_chain_nlmsg_parse(message, chain), 0);
    int32_t priority = nftnl_chain_get_s32(chain, NFTNL_CHAIN_PRIO);
    nftnl_chain_free(chain);
    return priority;
}

/* Everything in it bears its name, and its base chains come just before those that they stand for. */
static void standby_has_its_own_name_and_priority(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_everything();
    _cleanup_delta_ struct delta delta = {0};

    (void)state;
    delta_replace(ruleset, &delta);
    for (size_t phase = PHASE_PREPARE; phase < PHASES; phase++) {
        struct nft_batch batch = encode(&delta.phases[phase], false);
        size_t n, n_chains = 0;
        const struct nlmsghdr **v = messages(&batch, &n);

        for (size_t i = 1; i + 1 < n; i++) {
            const struct op *op = &delta.phases[phase].v[batch.op_of_seq[i]];

            assert_string_equal(table_of(v[i]), phase == PHASE_SWITCH ? "cofferdam" : "cofferdam-standby");
            if (type_of(v[i]) != NFT_MSG_NEWCHAIN || op->chain->hook == HOOK_NONE)
                continue;
            assert_int_equal(priority_of(v[i]), op->chain->priority - (phase == PHASE_PREPARE));
            n_chains++;
        }
        assert_int_equal(n_chains > 0, phase != PHASE_SWEEP);
        free(v);
        nft_batch_clear(&batch);
    }
}

static bool changes_mark(const struct rule_stmt *rule, bool standby)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "c");
    struct op op = {.kind = OP_ADD_RULES, .table = TABLE_BRIDGE, .standby = standby, .chain = chain};
    struct op_list list = {&op, 1};

    *chain_add_rule(chain) = *rule;
    struct nft_batch batch = encode(&list, true);
    bool changes = memmem(batch.bytes, batch.len, "bitwise", 7) != NULL;
    nft_batch_clear(&batch);
    return changes;
}

/* What a standby accepts is still to be accepted by the chain that clears the mark; what only clears it does. */
static void standby_leaves_the_mark_to_the_table(void **state)
{
    static const struct rule_stmt accepts = {.verdict = V_ACCEPT, .mark_change = MARK_CLEAR, .mark = 0x2000};
    static const struct rule_stmt clears = {.mark_change = MARK_CLEAR, .mark = 0x2000};
    static const struct rule_stmt sets = {.mark_change = MARK_SET, .mark = 0x2000};

    (void)state;
    assert_true(changes_mark(&accepts, false));
    assert_false(changes_mark(&accepts, true));
    assert_true(changes_mark(&clears, true));
    assert_true(changes_mark(&sets, true));
}

/* Nothing of it may ever be committed, or touch a table of ours. */
static void probe_has_no_end(void **state)
{
    struct nft_batch batch = {0};
    size_t n;

    nft_encode_probe(5, &batch);
    const struct nlmsghdr **v = messages(&batch, &n);

    (void)state;
    assert_int_equal(n, 3);
    assert_int_equal(v[0]->nlmsg_type, NFNL_MSG_BATCH_BEGIN);
    assert_int_equal(type_of(v[1]), NFT_MSG_NEWTABLE);
    assert_int_equal(table_flags(v[1]), 6);
    assert_int_equal(type_of(v[2]), 26);
    for (size_t i = 1; i < n; i++) {
        const struct nlattr *name = mnl_nlmsg_get_payload_offset(v[i], sizeof(struct nfgenmsg));

        assert_int_equal(mnl_attr_get_type(name), NFTA_TABLE_NAME);
        assert_string_equal(mnl_attr_get_str(name), "cofferdam-probe");
    }
    free(v);
    nft_batch_clear(&batch);
}

static struct nftnl_set *parse_set(const struct nlmsghdr *message)
{
    struct nftnl_set *set = nftnl_set_alloc();

    assert_int_equal(nftnl_set_nlmsg_parse(message, set), 0);
    return set;
}

/* As strace shows nft 1.0.6 to send it. */
static void set_with_concatenated_key(void **state)
{
    static const uint8_t expected[] = {0, 4, 0, 0, 0, 0, 3, 8, 0, 4, 13, 0, 0, 0, 1, 0};
    static const enum key_type key[] = {KEY_IFNAME, KEY_ETHER_ADDR, KEY_IPV4_ADDR};
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct op op = {.kind = OP_ADD_SET,
                    .table = TABLE_BRIDGE,
                    .set = ruleset_add_set(ruleset, TABLE_BRIDGE, "bindings4", 3, key)};
    struct op_list list = {&op, 1};
    struct nft_batch batch = encode(&list, false);
    const void *data;
    uint32_t len;
    size_t n;
    const struct nlmsghdr **v = messages(&batch, &n);
    struct nftnl_set *set = parse_set(v[1]);

    (void)state;
    assert_int_equal(n, 3);
    assert_int_equal(type_of(v[1]), NFT_MSG_NEWSET);
    assert_true(v[1]->nlmsg_flags & NLM_F_EXCL);
    assert_string_equal(nftnl_set_get_str(set, NFTNL_SET_TABLE), "cofferdam");
    assert_string_equal(nftnl_set_get_str(set, NFTNL_SET_NAME), "bindings4");
    assert_int_equal(nftnl_set_get_u32(set, NFTNL_SET_KEY_TYPE), 0x29247);
    assert_int_equal(nftnl_set_get_u32(set, NFTNL_SET_KEY_LEN), 28);
    assert_int_equal(nftnl_set_get_u32(set, NFTNL_SET_FLAGS), 0);
    assert_false(nftnl_set_is_set(set, NFTNL_SET_DESC_SIZE)); /* it grows as it needs to */
    data = nftnl_set_get_data(set, NFTNL_SET_USERDATA, &len);
    assert_int_equal(len, sizeof(expected));
    assert_memory_equal(data, expected, sizeof(expected));
    nftnl_set_free(set);
    free(v);
    nft_batch_clear(&batch);
}

/* As nft 1.0.6 sends "typeof iifname . ether saddr . @nh,384,128" and "typeof @nh,384,128": nft --debug=mnl. */
static void sets_of_raw_bytes(void **state)
{
    static const uint8_t concatenated[] = {
        0, 4, 0, 0, 0, 0, 3, 86, 0, 4,  13, 0, 0,    0, 1, 78, 0, 14, 0,    4, 9,  0, 0, 0,
        1, 6, 0, 4, 6, 0, 0, 0,  1, 20, 0,  4, 7,    0, 0, 0,  1, 12, 0,    4, 17, 0, 0, 0,
        1, 4, 2, 0, 0, 0, 2, 38, 0, 4,  7,  0, 0,    0, 1, 30, 0, 4,  0,    0, 0,  0, 1, 4,
        0, 0, 0, 0, 2, 4, 2, 0,  0, 0,  3,  4, 0x80, 1, 0, 0,  4, 4,  0x80, 0, 0,  0};
    static const uint8_t single[] = {0, 4, 2, 0, 0,    0, 3, 38, 0, 4, 7,    0, 0, 0, 1, 30,
                                     0, 4, 0, 0, 0,    0, 1, 4,  0, 0, 0,    0, 2, 4, 2, 0,
                                     0, 0, 3, 4, 0x80, 1, 0, 0,  4, 4, 0x80, 0, 0, 0};
    static const enum key_type key[] = {KEY_IFNAME, KEY_ETHER_ADDR, KEY_ND_TARGET};
    static const enum key_type wrong[] = {KEY_IPV6_ADDR, KEY_ND_TARGET};
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct op ops[] = {{.kind = OP_ADD_SET,
                        .table = TABLE_BRIDGE,
                        .set = ruleset_add_set(ruleset, TABLE_BRIDGE, "t", 3, key)},
                       {.kind = OP_ADD_SET,
                        .table = TABLE_BRIDGE,
                        .set = sample_set(ruleset, TABLE_BRIDGE, "u", KEY_ND_TARGET)}};
    struct op no_words = {.kind = OP_ADD_SET,
                          .table = TABLE_BRIDGE,
                          .set = ruleset_add_set(ruleset, TABLE_BRIDGE, "w", 2, wrong)};
    struct op_list list = {ops, 2}, bad = {&no_words, 1};
    struct nft_batch batch = encode(&list, false), none = {0};
    const void *data;
    uint32_t len;
    size_t n, failed;
    const struct nlmsghdr **v = messages(&batch, &n);
    struct nftnl_set *both[] = {parse_set(v[1]), parse_set(v[2])};

    (void)state;
    assert_int_equal(nftnl_set_get_u32(both[0], NFTNL_SET_KEY_TYPE), 0x29244);
    assert_int_equal(nftnl_set_get_u32(both[0], NFTNL_SET_KEY_LEN), 40);
    data = nftnl_set_get_data(both[0], NFTNL_SET_USERDATA, &len);
    assert_int_equal(len, sizeof(concatenated));
    assert_memory_equal(data, concatenated, sizeof(concatenated));
    assert_int_equal(nftnl_set_get_u32(both[1], NFTNL_SET_KEY_TYPE), 4);
    data = nftnl_set_get_data(both[1], NFTNL_SET_USERDATA, &len);
    assert_int_equal(len, sizeof(single));
    assert_memory_equal(data, single, sizeof(single));
    assert_int_equal(nft_encode(&bad, 0, 0, 1, false, &none, &failed), -EINVAL);
    nftnl_set_free(both[0]);
    nftnl_set_free(both[1]);
    free(v);
    nft_batch_clear(&batch);
}

static void verdict_map_and_ifname_set(void **state)
{
    static const uint8_t map_data[] = {0, 4, 2, 0, 0, 0, 1, 4, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0};
    static const uint8_t name_data[] = {0, 4, 1, 0, 0, 0};
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct op ops[] = {
        {.kind = OP_ADD_SET, .set = sample_map(ruleset, TABLE_INET, "ingress4", KEY_IPV4_ADDR)},
        {.kind = OP_ADD_SET, .set = sample_set(ruleset, TABLE_INET, "bridges", KEY_IFNAME)}};
    struct op_list list = {ops, 2};
    struct nft_batch batch = encode(&list, false);
    const void *data;
    uint32_t len;
    size_t n;
    const struct nlmsghdr **v = messages(&batch, &n);
    struct nftnl_set *map = parse_set(v[1]), *set = parse_set(v[2]);

    (void)state;
    assert_int_equal(nftnl_set_get_u32(map, NFTNL_SET_FLAGS), NFT_SET_MAP);
    assert_int_equal(nftnl_set_get_u32(map, NFTNL_SET_KEY_TYPE), 7);
    assert_int_equal(nftnl_set_get_u32(map, NFTNL_SET_DATA_TYPE), 0xffffff00u);
    data = nftnl_set_get_data(map, NFTNL_SET_USERDATA, &len);
    assert_int_equal(len, sizeof(map_data));
    assert_memory_equal(data, map_data, sizeof(map_data));
    assert_int_equal(nftnl_set_get_u32(set, NFTNL_SET_KEY_TYPE), 41);
    assert_int_equal(nftnl_set_get_u32(set, NFTNL_SET_KEY_LEN), 16);
    data = nftnl_set_get_data(set, NFTNL_SET_USERDATA, &len);
    assert_int_equal(len, sizeof(name_data));
    assert_memory_equal(data, name_data, sizeof(name_data));
    assert_int_not_equal(nftnl_set_get_u32(map, NFTNL_SET_ID), nftnl_set_get_u32(set, NFTNL_SET_ID));
    nftnl_set_free(map);
    nftnl_set_free(set);
    free(v);
    nft_batch_clear(&batch);
}

struct seen {
    char text[1024];
};

static int note_element(struct nftnl_set_elem *element, void *data)
{
    struct seen *seen = data;
    size_t used = strlen(seen->text);
    uint32_t len;
    const uint8_t *key = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &len);

    used += (size_t)snprintf(seen->text + used, sizeof(seen->text) - used, "%u.%u.%u.%u", key[0], key[1],
                             key[2], key[3]);
    if (nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_FLAGS))
        used += (size_t)snprintf(seen->text + used, sizeof(seen->text) - used, " flags %u",
                                 nftnl_set_elem_get_u32(element, NFTNL_SET_ELEM_FLAGS));
    if (nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_USERDATA)) {
        const uint8_t *user = nftnl_set_elem_get(element, NFTNL_SET_ELEM_USERDATA, &len);

        assert_int_equal(len, 6);
        used += (size_t)snprintf(seen->text + used, sizeof(seen->text) - used, " open %u/%u/%u", user[0],
                                 user[1], user[2]);
    }
    snprintf(seen->text + used, sizeof(seen->text) - used, "\n");
    return 0;
}

static struct seen elements_of(const struct nlmsghdr *message)
{
    struct nftnl_set *set = nftnl_set_alloc();
    struct seen seen = {{0}};

    assert_int_equal(nftnl_set_elems_nlmsg_parse(message, set), 0);
    nftnl_set_elem_foreach(set, note_element, &seen);
    nftnl_set_free(set);
    return seen;
}

static void intervals_as_nft_writes_them(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct set *set = sample_set(ruleset, TABLE_INET, "blocks", KEY_IPV4_ADDR);
    struct element block = sample_interval("10.0.0.0", "10.255.255.255");
    struct element high = sample_interval("224.0.0.0", "255.255.255.255");
    struct op ops[] = {{.kind = OP_ADD_SET, .set = set},
                       {.kind = OP_ADD_ELEMENT, .set = set, .element = &block},
                       {.kind = OP_ADD_ELEMENT, .set = set, .element = &high},
                       {.kind = OP_DELETE_ELEMENT, .set = set, .element = &block},
                       {.kind = OP_DELETE_ELEMENT, .set = set, .element = &high}};
    struct op_list list = {ops, ARRAY_SIZE(ops)};
    struct nft_batch batch;
    const struct nlmsghdr **v;
    size_t n;

    (void)state;
    set->interval = true;
    batch = encode(&list, false);
    v = messages(&batch, &n);
    assert_int_equal(n, 6);
    assert_string_equal(elements_of(v[2]).text, "0.0.0.0 flags 1\n");
    assert_string_equal(elements_of(v[3]).text, "10.0.0.0\n11.0.0.0 flags 1\n224.0.0.0 open 1/4/1\n");
    assert_int_equal(type_of(v[4]), NFT_MSG_DELSETELEM);
    assert_string_equal(elements_of(v[4]).text, "10.0.0.0\n11.0.0.0 flags 1\n224.0.0.0\n");
    assert_true(batch.op_of_seq[1] == 0 && batch.op_of_seq[2] == 0 && batch.op_of_seq[3] == 1 &&
                batch.op_of_seq[4] == 3);
    free(v);
    nft_batch_clear(&batch);
}

/* Finds the offset of the n-th element in a message, as the kernel would report it. */
static uint32_t offset_of_element(const struct nlmsghdr *message, size_t index)
{
    const struct nlattr *attr, *element;

    mnl_attr_for_each (attr, message, sizeof(struct nfgenmsg)) {
        if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_LIST_ELEMENTS)
            continue;
        mnl_attr_for_each_nested (element, attr)
            if (index-- == 0)
                return (uint32_t)((const char *)element - (const char *)message);
    }
    return 0;
}

static void many_elements_are_split_and_found_again(void **state)
{
    enum { N = 1000 };
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct set *set = sample_set(ruleset, TABLE_INET, "blocks", KEY_IPV4_ADDR);
    struct op *ops = xcalloc(N, sizeof(*ops));
    struct element *elements = xcalloc(N, sizeof(*elements));
    struct op_list list = {ops, N};
    const struct nlmsghdr **v;
    struct nft_batch batch;
    size_t n, rule, next = 0;
    bool exact;

    (void)state;
    set->interval = true;
    for (unsigned i = 0; i < N; i++) {
        elements[i].key[2] = elements[i].key_end[2] = (uint8_t)(i >> 8);
        elements[i].key[3] = elements[i].key_end[3] = (uint8_t)i;
        ops[i] = (struct op){.kind = OP_ADD_ELEMENT, .set = set, .element = &elements[i]};
    }
    batch = encode(&list, false);
    v = messages(&batch, &n);
    assert_int_equal(n, 2 + (N + ELEMENTS_PER_MESSAGE - 1) / ELEMENTS_PER_MESSAGE);
    for (size_t i = 1; i + 1 < n; i++) {
        assert_int_equal(batch.op_of_seq[i], next);
        assert_true(v[i]->nlmsg_len < 64 * 1024);
        next += ELEMENTS_PER_MESSAGE;
    }
    /* the third message's 42nd operation: its start, and its end */
    assert_int_equal(nft_batch_find_op(&batch, 103, offset_of_element(v[3], 84), &rule, &exact), 842);
    assert_true(exact);
    assert_int_equal(nft_batch_find_op(&batch, 103, offset_of_element(v[3], 85) + 4, &rule, &exact), 842);
    assert_int_equal(nft_batch_find_op(&batch, 103, 0, &rule, &exact), 800);
    assert_false(exact);
    assert_true(nft_batch_find_op(&batch, 100, 0, &rule, &exact) == SIZE_MAX);
    assert_true(nft_batch_find_op(&batch, 99, 0, &rule, &exact) == SIZE_MAX);
    assert_true(nft_batch_find_op(&batch, 1000, 0, &rule, &exact) == SIZE_MAX);
    free(v);
    nft_batch_clear(&batch);
    free(elements);
    free(ops);
}

/* Longest keys and chain names: a message ends by its bytes, not by its count. */
static void large_elements_do_not_pass_the_attribute_limit(void **state)
{
    enum { N = 500 };
    static const enum key_type key[] = {KEY_IFNAME, KEY_IPV6_ADDR, KEY_IPV6_ADDR, KEY_IFNAME};
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct set *map = ruleset_add_set(ruleset, TABLE_INET, "map", 4, key);
    struct op *ops = xcalloc(N, sizeof(*ops));
    struct element *elements = xcalloc(N, sizeof(*elements));
    struct op_list list = {ops, N};
    char target[NFT_NAME_LEN_MAX + 1];
    struct nft_batch batch;
    const struct nlmsghdr **v;
    size_t n, failed;

    (void)state;
    map->map = true;
    memset(target, 't', sizeof(target) - 1);
    target[sizeof(target) - 1] = '\0';
    for (unsigned i = 0; i < N; i++) {
        memcpy(elements[i].key, &i, sizeof(i));
        elements[i].verdict = V_JUMP;
        elements[i].target = target;
        ops[i] = (struct op){.kind = OP_ADD_ELEMENT, .set = map, .element = &elements[i]};
    }
    batch = encode(&list, false);
    v = messages(&batch, &n);
    assert_true(n > 2 + 4);
    for (size_t i = 1; i + 1 < n; i++)
        assert_true(v[i]->nlmsg_len <= ELEMENTS_BYTES_MAX + 1024);
    free(v);
    nft_batch_clear(&batch);

    elements[321].target = NULL;
    assert_int_equal(nft_encode(&list, 0, 0, 1, false, &batch, &failed), -EINVAL);
    assert_int_equal(failed, 321);
    free(elements);
    free(ops);
}

static void rules_know_their_number(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    const struct chain *class = table_chain(&ruleset->tables[TABLE_INET], "class");
    struct op ops[] = {{.kind = OP_ADD_CHAIN, .chain = class},
                       {.kind = OP_ADD_RULES, .chain = class},
                       {.kind = OP_FLUSH_CHAIN, .chain = class},
                       {.kind = OP_DELETE_CHAIN, .name = (char *)"class"},
                       {.kind = OP_DELETE_SET, .name = (char *)"live4"}};
    struct op_list list = {ops, ARRAY_SIZE(ops)};
    struct nft_batch batch = encode(&list, false);
    static const int types[] = {NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE,  NFT_MSG_NEWRULE,
                                NFT_MSG_DELRULE,  NFT_MSG_DELCHAIN, NFT_MSG_DELSET};
    size_t n, rule;
    const struct nlmsghdr **v = messages(&batch, &n);
    bool exact;

    (void)state;
    assert_int_equal(n, 8);
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        assert_int_equal(type_of(v[i + 1]), types[i]);
    assert_true(v[2]->nlmsg_flags & NLM_F_APPEND);
    assert_int_equal(nft_batch_find_op(&batch, 102, 0, &rule, &exact), 1);
    assert_int_equal(rule, 0);
    assert_int_equal(nft_batch_find_op(&batch, 103, 0, &rule, &exact), 1);
    assert_int_equal(rule, 1);
    assert_true(exact);
    assert_int_equal(nft_batch_find_op(&batch, 106, 20, &rule, &exact), 4);
    assert_int_equal(rule, 0);
    free(v);
    nft_batch_clear(&batch);
}

static void base_chain(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "prerouting");
    struct op op = {.kind = OP_ADD_CHAIN, .table = TABLE_BRIDGE, .chain = chain};
    struct op_list list = {&op, 1};
    struct nftnl_chain *parsed = nftnl_chain_alloc();
    struct nft_batch batch;
    const struct nlmsghdr **v;
    size_t n;

    (void)state;
    chain->hook = HOOK_PREROUTING;
    chain->priority = -300;
    batch = encode(&list, false);
    v = messages(&batch, &n);
    assert_int_equal(nftnl_chain_nlmsg_parse(v[1], parsed), 0);
    assert_string_equal(nftnl_chain_get_str(parsed, NFTNL_CHAIN_TYPE), "filter");
    assert_int_equal(nftnl_chain_get_u32(parsed, NFTNL_CHAIN_HOOKNUM), NF_INET_PRE_ROUTING);
    assert_int_equal(nftnl_chain_get_s32(parsed, NFTNL_CHAIN_PRIO), -300);
    assert_int_equal(nftnl_chain_get_u32(parsed, NFTNL_CHAIN_POLICY), NF_ACCEPT);
    nftnl_chain_free(parsed);
    free(v);
    nft_batch_clear(&batch);
}

/* Every byte that goes to the kernel is defined: the same operations give the same bytes. */
static void encoding_is_deterministic(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_everything();
    _cleanup_delta_ struct delta delta = {0};
    struct nft_batch first, second;

    (void)state;
    delta_load(ruleset, &delta);
    first = encode(&delta.phases[PHASE_SWITCH], false);
    second = encode(&delta.phases[PHASE_SWITCH], false);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.bytes, second.bytes, first.len);
    nft_batch_clear(&first);
    nft_batch_clear(&second);
}

static void what_cannot_be_said_is_refused(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct set *set = sample_set(ruleset, TABLE_INET, "s", KEY_IPV4_ADDR);
    struct set *map = sample_map(ruleset, TABLE_INET, "m", KEY_IPV4_ADDR);
    struct set *blocks = sample_set(ruleset, TABLE_INET, "i", KEY_IPV4_ADDR);
    struct element catchall = {.catchall = true}, none = {0},
                   reversed = sample_interval("10.0.0.2", "10.0.0.1");
    struct op bad[] = {{.kind = OP_ADD_ELEMENT, .set = set, .element = &catchall},
                       {.kind = OP_ADD_ELEMENT, .set = map, .element = &none},
                       {.kind = OP_ADD_ELEMENT, .set = blocks, .element = &reversed}};

    (void)state;
    blocks->interval = true;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct op_list list = {&bad[i], 1};
        struct nft_batch batch = {0};
        size_t failed = 99;

        assert_int_equal(nft_encode(&list, 0, 0, 1, false, &batch, &failed), -EINVAL);
        assert_int_equal(failed, 0);
        assert_null(batch.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_of_a_batch),
        cmocka_unit_test(dry_run_has_no_end),
        cmocka_unit_test(tables_are_replaced_whatever_flags_they_have),
        cmocka_unit_test(standby_has_its_own_name_and_priority),
        cmocka_unit_test(standby_leaves_the_mark_to_the_table),
        cmocka_unit_test(probe_has_no_end),
        cmocka_unit_test(set_with_concatenated_key),
        cmocka_unit_test(sets_of_raw_bytes),
        cmocka_unit_test(verdict_map_and_ifname_set),
        cmocka_unit_test(intervals_as_nft_writes_them),
        cmocka_unit_test(many_elements_are_split_and_found_again),
        cmocka_unit_test(large_elements_do_not_pass_the_attribute_limit),
        cmocka_unit_test(rules_know_their_number),
        cmocka_unit_test(base_chain),
        cmocka_unit_test(encoding_is_deterministic),
        cmocka_unit_test(what_cannot_be_said_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
