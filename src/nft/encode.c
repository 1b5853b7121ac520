// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/encode.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "elements.h"
#include "rule.h"
#include "util/mem.h"

#define MESSAGE_MAX                                                                                          \
    (64 * 1024) /* no message of ours is larger: rules and element lists are capped below it */

DEFINE_CLEANUP(struct nftnl_table *, nftnl_table_free);
DEFINE_CLEANUP(struct nftnl_chain *, nftnl_chain_free);
DEFINE_CLEANUP(struct nftnl_rule *, nftnl_rule_free);
DEFINE_CLEANUP(struct nftnl_set *, nftnl_set_free);

/* Removes a table, and it is no error when there is none: Linux 6.3; old headers lack it. */
#define MESSAGE_DESTROY_TABLE 26 /* NFT_MSG_DESTROYTABLE */
#define PROBE_TABLE TABLE_NAME "-probe"

struct encoder {
    struct nft_batch batch;
    uint32_t table_flags;
    size_t capacity, n_messages;
    uint32_t set_id;
};

static void *or_abort(void *object)
{
    if (!object)
        abort(); /* libnftnl returns NULL only for want of memory */
    return object;
}

/* Room for one more message at the end of the batch, zeroed: libmnl leaves the padding of attributes as it
 * finds it. */
static char *reserve(struct encoder *encoder)
{
    size_t needed = encoder->batch.len + MESSAGE_MAX;

    if (needed > encoder->capacity) {
        encoder->batch.bytes = xreallocarray(encoder->batch.bytes, needed, 2);
        memset(encoder->batch.bytes + encoder->capacity, 0, needed * 2 - encoder->capacity);
        encoder->capacity = needed * 2;
    }
    return (char *)encoder->batch.bytes + encoder->batch.len;
}

static uint32_t next_seq(const struct encoder *encoder)
{
    return encoder->batch.seq_first + (uint32_t)encoder->n_messages;
}

static void append(struct encoder *encoder, const struct nlmsghdr *message, size_t op)
{
    encoder->batch.len += NLMSG_ALIGN(message->nlmsg_len);
    encoder->batch.seq_last = message->nlmsg_seq;
    *ARRAY_ADD(encoder->batch.op_of_seq, encoder->n_messages) = op;
}

static struct nlmsghdr *start(struct encoder *encoder, const struct op *op, uint16_t type, uint16_t flags)
{
    uint16_t family = op->table == TABLE_INET ? NFPROTO_INET : NFPROTO_BRIDGE;

    return nftnl_nlmsg_build_hdr(reserve(encoder), type, family, flags, next_seq(encoder));
}

static void append_begin(struct encoder *encoder, uint32_t generation)
{
    struct nlmsghdr *message = nftnl_batch_begin(reserve(encoder), next_seq(encoder));

    mnl_attr_put_u32(message, NFNL_BATCH_GENID, htonl(generation));
    append(encoder, message, SIZE_MAX);
}

static void append_end(struct encoder *encoder)
{
    struct nlmsghdr *message = nftnl_batch_end(reserve(encoder), next_seq(encoder));

    message->nlmsg_flags |= NLM_F_ACK;
    append(encoder, message, SIZE_MAX);
}

/* flags NULL: whatever flags the table may have. */
static void append_table(struct encoder *encoder, uint16_t type, const char *name, const uint32_t *flags,
                         const struct op *op, size_t index)
{
    _cleanup_(nftnl_table_freep) struct nftnl_table *table = or_abort(nftnl_table_alloc());
    struct nlmsghdr *message = start(encoder, op, type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0);

    nftnl_table_set_str(table, NFTNL_TABLE_NAME, name);
    if (flags)
        nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, *flags);
    nftnl_table_nlmsg_build_payload(message, table);
    append(encoder, message, index);
}

/*
 * Deleting a table that is not there is an error, except by a message that kernels with protected tables all
 * have. Adding one that is there is none, as long as the flags are not told: others than it has would be.
 */
static int encode_table(struct encoder *encoder, const struct op *op, size_t index)
{
    if (op->kind == OP_ADD_TABLE) {
        append_table(encoder, NFT_MSG_NEWTABLE, op_table_name(op), &encoder->table_flags, op, index);
    } else if (encoder->table_flags) {
        append_table(encoder, MESSAGE_DESTROY_TABLE, op_table_name(op), NULL, op, index);
    } else {
        append_table(encoder, NFT_MSG_NEWTABLE, op_table_name(op), NULL, op, index);
        append_table(encoder, NFT_MSG_DELTABLE, op_table_name(op), NULL, op, index);
    }
    return 0;
}

static uint32_t hook_number(enum chain_hook hook)
{
    switch (hook) {
    case HOOK_NONE:
    case HOOK_PREROUTING:
        return NF_INET_PRE_ROUTING;
    case HOOK_INPUT:
        return NF_INET_LOCAL_IN;
    case HOOK_FORWARD:
        return NF_INET_FORWARD;
    case HOOK_OUTPUT:
        return NF_INET_LOCAL_OUT;
    }
    return NF_INET_PRE_ROUTING;
}

/*
 * A standby's base chains come just before those that they stand for. So the bridge's chain seen finds the mark that the
 * inet rules have set; it has to leave it to the chain behind it, which clears it (see encode_rule()).
 *
 * NLM_F_EXCL: a chain or set of that name in the kernel is not the one that we know, so nothing may build on
 * it.
 */
static int encode_add_chain(struct encoder *encoder, const struct op *op, size_t index)
{
    _cleanup_(nftnl_chain_freep) struct nftnl_chain *chain = or_abort(nftnl_chain_alloc());
    struct nlmsghdr *message;

    if (strlen(op->chain->name) > NFT_NAME_LEN_MAX)
        return -E2BIG;
    nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, op_table_name(op));
    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, op->chain->name);
    if (op->chain->hook != HOOK_NONE) {
        nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
        nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook_number(op->chain->hook));
        nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, op->chain->priority - op->standby);
        nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
    }
    message = start(encoder, op, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
    nftnl_chain_nlmsg_build_payload(message, chain);
    append(encoder, message, index);
    return 0;
}

static int encode_rule(struct encoder *encoder, const struct op *op, const struct rule_stmt *rule,
                       size_t index)
{
    _cleanup_(nftnl_rule_freep) struct nftnl_rule *nftnl = or_abort(nftnl_rule_alloc());
    struct rule_stmt stmt = *rule; /* borrows what it points to */
    struct nlmsghdr *message;
    int r;

    if (op->standby && rule->verdict == V_ACCEPT)
        stmt.mark_change = MARK_KEEP;
    nftnl_rule_set_str(nftnl, NFTNL_RULE_TABLE, op_table_name(op));
    nftnl_rule_set_str(nftnl, NFTNL_RULE_CHAIN, op->chain->name);
    r = rule_encode(op->table, &stmt, nftnl);
    if (r < 0)
        return r;
    message = start(encoder, op, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    nftnl_rule_nlmsg_build_payload(message, nftnl);
    append(encoder, message, index);
    return 0;
}

static int encode_rules(struct encoder *encoder, const struct op *op, size_t index)
{
    int r = strlen(op->chain->name) <= NFT_NAME_LEN_MAX ? 0 : -E2BIG;

    for (size_t i = 0; r == 0 && i < op->chain->n_rules; i++)
        r = encode_rule(encoder, op, &op->chain->rules[i], index);
    return r;
}

/* A chain that goes is known by its name alone. */
static int encode_flush(struct encoder *encoder, const struct op *op, size_t index)
{
    const char *chain = op->chain ? op->chain->name : op->name;
    struct nlmsghdr *message;

    if (strlen(chain) > NFT_NAME_LEN_MAX)
        return -E2BIG;
    message = start(encoder, op, NFT_MSG_DELRULE, 0);
    mnl_attr_put_strz(message, NFTA_RULE_TABLE, op_table_name(op));
    mnl_attr_put_strz(message, NFTA_RULE_CHAIN, chain);
    append(encoder, message, index);
    return 0;
}

static int encode_delete(struct encoder *encoder, const struct op *op, size_t index)
{
    bool is_chain = op->kind == OP_DELETE_CHAIN;
    struct nlmsghdr *message;

    if (strlen(op->name) > NFT_NAME_LEN_MAX)
        return -E2BIG;
    message = start(encoder, op, is_chain ? NFT_MSG_DELCHAIN : NFT_MSG_DELSET, 0);
    mnl_attr_put_strz(message, is_chain ? NFTA_CHAIN_TABLE : NFTA_SET_TABLE, op_table_name(op));
    mnl_attr_put_strz(message, is_chain ? NFTA_CHAIN_NAME : NFTA_SET_NAME, op->name);
    append(encoder, message, index);
    return 0;
}

static int encode_add_set(struct encoder *encoder, const struct op *op, size_t index)
{
    _cleanup_(nftnl_set_freep) struct nftnl_set *nftnl = or_abort(nftnl_set_alloc());
    struct nlmsghdr *message;
    int r;

    nftnl_set_set_str(nftnl, NFTNL_SET_TABLE, op_table_name(op));
    r = set_encode(op->set, ++encoder->set_id, nftnl);
    if (r < 0)
        return r;
    message = start(encoder, op, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);
    nftnl_set_nlmsg_build_payload(message, nftnl);
    append(encoder, message, index);
    if (op->set->interval) {
        message = start(encoder, op, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
        elements_encode_first_end(message, op);
        append(encoder, message, index);
    }
    return 0;
}

/* Operations from *index on that fit into one message; *index becomes the last of them, or the one that
 * failed. */
static int encode_elements(struct encoder *encoder, const struct op_list *ops, size_t *index)
{
    const struct op *op = &ops->v[*index];
    bool add = op->kind == OP_ADD_ELEMENT;
    struct nlmsghdr *message =
        start(encoder, op, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0);
    size_t n;
    int r = elements_encode(message, op, ops->n - *index, &n);

    if (r < 0) {
        *index += n;
        return r;
    }
    append(encoder, message, *index);
    *index += n - 1;
    return 0;
}

static int encode_op(struct encoder *encoder, const struct op_list *ops, size_t *index)
{
    const struct op *op = &ops->v[*index];

    switch (op->kind) {
    case OP_ADD_TABLE:
    case OP_REMOVE_TABLE:
        return encode_table(encoder, op, *index);
    case OP_ADD_SET:
        return encode_add_set(encoder, op, *index);
    case OP_ADD_CHAIN:
        return encode_add_chain(encoder, op, *index);
    case OP_ADD_RULES:
        return encode_rules(encoder, op, *index);
    case OP_FLUSH_CHAIN:
        return encode_flush(encoder, op, *index);
    case OP_ADD_ELEMENT:
    case OP_DELETE_ELEMENT:
        return encode_elements(encoder, ops, index);
    case OP_DELETE_CHAIN:
    case OP_DELETE_SET:
        return encode_delete(encoder, op, *index);
    }
    return -EINVAL;
}

int nft_encode(const struct op_list *ops, uint32_t table_flags, uint32_t generation, uint32_t seq,
               bool dry_run, struct nft_batch *ret, size_t *ret_op)
{
    struct encoder encoder = {.batch = {.seq_first = seq}, .table_flags = table_flags};

    append_begin(&encoder, generation);
    for (size_t i = 0; i < ops->n; i++) {
        int r = encode_op(&encoder, ops, &i);

        if (r < 0) {
            nft_batch_clear(&encoder.batch);
            *ret_op = i;
            return r;
        }
    }
    if (!dry_run)
        append_end(&encoder);
    *ret = encoder.batch;
    return 0;
}

void nft_encode_probe(uint32_t seq, struct nft_batch *ret)
{
    static const struct op op = {.table = TABLE_INET};
    static const uint32_t flags = NFT_TABLE_PROTECTED;
    struct encoder encoder = {.batch = {.seq_first = seq}};

    append_begin(&encoder, 0);
    append_table(&encoder, NFT_MSG_NEWTABLE, PROBE_TABLE, &flags, &op, SIZE_MAX);
    append_table(&encoder, MESSAGE_DESTROY_TABLE, PROBE_TABLE, NULL, &op, SIZE_MAX);
    *ret = encoder.batch;
}

void nft_batch_clear(struct nft_batch *batch)
{
    free(batch->bytes);
    free(batch->op_of_seq);
    *batch = (struct nft_batch){0};
}

void nft_batch_set_generation(struct nft_batch *batch, uint32_t generation)
{
    struct nlmsghdr *begin = (struct nlmsghdr *)batch->bytes;
    struct nlattr *attr;

    mnl_attr_for_each (attr, begin, sizeof(struct nfgenmsg)) {
        uint32_t wire = htonl(generation);

        if (mnl_attr_get_type(attr) == NFNL_BATCH_GENID)
            memcpy(mnl_attr_get_payload(attr), &wire, sizeof(wire));
    }
}

static const struct nlmsghdr *find_message(const struct nft_batch *batch, uint32_t seq)
{
    const struct nlmsghdr *message = (const struct nlmsghdr *)batch->bytes;
    int left = (int)batch->len;

    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        if (message->nlmsg_seq == seq)
            return message;
    }
    return NULL;
}

static bool is_element_message(const struct nlmsghdr *message)
{
    uint16_t type = message->nlmsg_type & 0xff;

    return type == NFT_MSG_NEWSETELEM || type == NFT_MSG_DELSETELEM;
}

size_t nft_batch_find_op(const struct nft_batch *batch, uint32_t seq, uint32_t offset, size_t *ret_rule,
                         bool *ret_exact)
{
    uint32_t i = seq - batch->seq_first;
    const struct nlmsghdr *message;
    size_t op;

    *ret_rule = 0;
    *ret_exact = true;
    if (i > batch->seq_last - batch->seq_first || batch->op_of_seq[i] == SIZE_MAX)
        return SIZE_MAX;
    op = batch->op_of_seq[i];
    message = find_message(batch, seq);
    if (message && is_element_message(message)) {
        *ret_exact = offset != 0 || elements_index_at(message, UINT32_MAX) == 0;
        return op + (offset ? elements_index_at(message, offset) : 0);
    }
    while (i > 0 && batch->op_of_seq[i - 1] == op) {
        (*ret_rule)++;
        i--;
    }
    return op;
}
