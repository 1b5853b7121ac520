// SPDX-License-Identifier: GPL-2.0-or-later
#include "decode_rule.h"

#include <netinet/in.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

#include "attrs.h"
#include "rule.h"
#include "util/mem.h"

#define RULE_BYTES_MAX (64 * 1024) /* of expressions: they are one netlink attribute */

DEFINE_CLEANUP(struct nftnl_rule *, nftnl_rule_free);

/*
 * A guess is made first: every protocol that is compared becomes a match of its own. What is wrong in the
 * guess, the encoder finds out.
 */
struct guess {
    struct ruleset *ruleset;
    const struct exprs *exprs;
    size_t i;
    struct rule_stmt *rule;
    uint16_t ether_type; /* what the rule has said so far; 0: nothing */
    uint8_t l4proto;
};

static const struct expr *peek(const struct guess *guess, size_t ahead)
{
    return guess->i + ahead < guess->exprs->n ? &guess->exprs->v[guess->i + ahead] : NULL;
}

static bool is(const struct expr *expr, enum expr_kind kind)
{
    return expr && expr->kind == kind;
}

static bool is_cmp(const struct expr *expr, uint32_t op)
{
    return is(expr, EXPR_CMP) && expr->what == op;
}

static enum load_source source_of(const struct expr *load)
{
    return load->kind == EXPR_META ? FROM_META : load->kind == EXPR_CT ? FROM_CT : FROM_PAYLOAD;
}

static bool is_load(const struct expr *expr)
{
    return is(expr, EXPR_META) || is(expr, EXPR_PAYLOAD) || is(expr, EXPR_CT);
}

static uint32_t number(const struct expr_data *data)
{
    uint32_t value = 0;

    for (uint32_t i = 0; i < data->len && i < sizeof(value); i++)
        value = value << 8 | data->bytes[i];
    return value;
}

static enum field loaded_field(const struct guess *guess, const struct expr *load)
{
    struct rule_load place = {source_of(load), load->what,        load->offset,
                              load->len,       guess->ether_type, guess->l4proto};

    return rule_field_loaded(&place);
}

static struct match *add_match(struct guess *guess, enum match_kind kind, enum field field)
{
    struct match *match = rule_add_match(guess->rule);

    match->kind = kind;
    match->fields[0] = field;
    match->n_fields =
        kind == MATCH_CT_STATE || kind == MATCH_NOT_SYN || kind == MATCH_OPTIONS || kind == MATCH_MARK ? 0
                                                                                                       : 1;
    return match;
}

static void learn(struct guess *guess, enum field field, uint32_t value)
{
    if (field == FIELD_L4PROTO)
        guess->l4proto = (uint8_t)value;
    else if (field == FIELD_ETHER_TYPE)
        guess->ether_type = (uint16_t)value;
    else if (field == FIELD_NFPROTO)
        guess->ether_type = value == NFPROTO_IPV4 ? ETH_P_IP : ETH_P_IPV6;
}

/* What stands in a rule only because a field needs it: true when it was one and is passed. After the counter
 * that is every comparison of a protocol. */
static bool pass_dependency(struct guess *guess)
{
    const struct expr *load = peek(guess, 0), *cmp = peek(guess, 1);
    enum field field;

    if ((!is(load, EXPR_META) && !is(load, EXPR_PAYLOAD)) || !is_cmp(cmp, NFT_CMP_EQ))
        return false;
    field = loaded_field(guess, load);
    if (load->kind == EXPR_META && load->what == NFT_META_PROTOCOL)
        learn(guess, FIELD_ETHER_TYPE, number(&cmp->data));
    else if (guess->rule->counter && field < FIELDS)
        learn(guess, field, number(&cmp->data));
    else if (load->kind != EXPR_META || load->what != NFT_META_IIFTYPE)
        return false;
    guess->i += 2;
    return true;
}

static bool is_address(enum field field)
{
    return field == FIELD_IP_SADDR || field == FIELD_IP_DADDR || field == FIELD_IP6_SADDR ||
           field == FIELD_IP6_DADDR || field == FIELD_ARP_SADDR_IP || field == FIELD_CT_ORIGINAL_IP_SADDR ||
           field == FIELD_CT_ORIGINAL_IP6_SADDR || field == FIELD_CT_ORIGINAL_IP_DADDR ||
           field == FIELD_CT_ORIGINAL_IP6_DADDR || field == FIELD_CT_REPLY_IP_SADDR ||
           field == FIELD_CT_REPLY_IP6_SADDR;
}

static void guess_prefix(struct guess *guess, enum field field, const struct expr *cmp, uint32_t len)
{
    struct match *match = add_match(guess, MATCH_PREFIX, field);
    enum ip_family family = rule_field_len(field) == 4 ? IP4 : IP6;

    match->negate = cmp->what == NFT_CMP_NEQ;
    match->prefix.net = ip_from_bytes(family, cmp->data.bytes);
    match->prefix.len = len;
}

/* load, cmp */
static bool guess_comparison(struct guess *guess, enum field field)
{
    const struct expr *cmp = peek(guess, 1), *last = peek(guess, 2);
    bool is_range = is_cmp(cmp, NFT_CMP_GTE);
    struct match *match;

    if (is_range ? !is_cmp(last, NFT_CMP_LTE) : cmp->what != NFT_CMP_EQ && cmp->what != NFT_CMP_NEQ)
        return false;
    guess->i += is_range ? 3 : 2;
    if (is_address(field) && !is_range) {
        guess_prefix(guess, field, cmp, 8 * cmp->data.len);
        return true;
    }
    match = add_match(guess, is_range ? MATCH_RANGE : MATCH_VALUE, field);
    match->first = number(&cmp->data);
    match->last = is_range ? number(&last->data) : 0;
    match->negate = cmp->what == NFT_CMP_NEQ;
    if (!is_range && !match->negate)
        learn(guess, field, match->first);
    return true;
}

static uint32_t ones(const struct expr_data *mask)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < mask->len && i < sizeof(mask->bytes); i++)
        n += (uint32_t)__builtin_popcount(mask->bytes[i]);
    return n;
}

/* In host byte order. */
static uint32_t mark_of(const struct expr_data *data)
{
    uint32_t mark;

    memcpy(&mark, data->bytes, sizeof(mark));
    return mark;
}

/* load, bitwise, cmp; or load, bitwise, and set again */
static bool guess_mark(struct guess *guess)
{
    const struct expr *bits = peek(guess, 1), *last = peek(guess, 2);
    struct rule_stmt *rule = guess->rule;

    guess->i += 3;
    if (is(last, EXPR_CMP)) {
        add_match(guess, MATCH_MARK, 0)->mark = mark_of(&bits->data);
        return true;
    }
    if (!is(last, EXPR_META) || rule->mark_change != MARK_KEEP)
        return false;
    rule->mark = ~mark_of(&bits->data);
    rule->mark_change = mark_of(&bits->xor) ? MARK_SET : MARK_CLEAR;
    return true;
}

/* load, bitwise, cmp */
static bool guess_masked(struct guess *guess, enum field field)
{
    const struct expr *load = peek(guess, 0), *mask = peek(guess, 1), *cmp = peek(guess, 2);

    if (load->kind == EXPR_META && load->what == NFT_META_MARK)
        return guess_mark(guess);
    if (!is(cmp, EXPR_CMP))
        return false;
    guess->i += 3;
    if (load->kind == EXPR_CT && load->what == NFT_CT_STATE) {
        uint32_t states;

        memcpy(&states, mask->data.bytes, sizeof(states)); /* host byte order */
        add_match(guess, MATCH_CT_STATE, 0)->ct_states = states;
        return true;
    }
    if (load->kind == EXPR_PAYLOAD && load->what == NFT_PAYLOAD_TRANSPORT_HEADER && load->offset == 13) {
        add_match(guess, MATCH_NOT_SYN, 0);
        return true;
    }
    if (load->kind == EXPR_PAYLOAD && load->what == NFT_PAYLOAD_NETWORK_HEADER && load->offset == 0 &&
        load->len == 1) {
        add_match(guess, MATCH_OPTIONS, 0);
        return true;
    }
    if (field >= FIELDS || !is_address(field))
        return false;
    guess_prefix(guess, field, cmp, ones(&mask->data));
    return true;
}

/* load, load, ..., lookup or update */
static bool guess_lookup(struct guess *guess)
{
    const struct expr *lookup;
    enum field fields[KEY_FIELDS_MAX] = {0};
    struct match *match;
    size_t n = 0;

    for (; n < KEY_FIELDS_MAX && is_load(peek(guess, n)); n++) {
        fields[n] = loaded_field(guess, peek(guess, n));
        if (fields[n] >= FIELDS)
            return false;
    }
    lookup = peek(guess, n);
    if (n == 0 || (!is(lookup, EXPR_LOOKUP) && !is(lookup, EXPR_UPDATE)))
        return false;
    guess->i += n + 1;
    if (lookup->kind == EXPR_LOOKUP && lookup->dreg != EXPR_NO_REGISTER) {
        guess->rule->vmap = ruleset_intern(guess->ruleset, lookup->name);
        guess->rule->vmap_field = fields[0];
        return n == 1;
    }
    match = add_match(guess, lookup->kind == EXPR_UPDATE ? MATCH_UPDATE : MATCH_SET, fields[0]);
    memcpy(match->fields, fields, sizeof(fields));
    match->n_fields = n;
    match->set = ruleset_intern(guess->ruleset, lookup->name);
    match->negate = lookup->kind == EXPR_LOOKUP && lookup->flags & NFT_LOOKUP_F_INV;
    return true;
}

static bool guess_match(struct guess *guess)
{
    const struct expr *load = peek(guess, 0), *next = peek(guess, 1);
    enum field field = loaded_field(guess, load);

    if (is(next, EXPR_BITWISE))
        return guess_masked(guess, field);
    if (is(next, EXPR_CMP))
        return field < FIELDS && guess_comparison(guess, field);
    return guess_lookup(guess);
}

bool verdict_decode(uint32_t code, enum table_verdict *ret)
{
    for (enum table_verdict verdict = V_ACCEPT; verdict <= V_GOTO; verdict++) {
        int known;

        if (verdict_code(verdict, &known) == 0 && (uint32_t)known == code) {
            *ret = verdict;
            return true;
        }
    }
    return false;
}

static bool guess_verdict(struct guess *guess)
{
    const struct expr *expr = peek(guess, 0);
    struct rule_stmt *rule = guess->rule;

    guess->i++;
    if (expr->kind == EXPR_REJECT) {
        rule->verdict = expr->what == NFT_REJECT_TCP_RST ? V_REJECT_TCP_RESET : V_REJECT_ADMIN;
        return true;
    }
    if (expr->kind != EXPR_VERDICT || !verdict_decode(expr->what, &rule->verdict))
        return false;
    if (rule->verdict == V_JUMP || rule->verdict == V_GOTO)
        rule->target = ruleset_intern(guess->ruleset, expr->name);
    return true;
}

static bool guess_rule(struct guess *guess)
{
    while (guess->i < guess->exprs->n) {
        const struct expr *expr = peek(guess, 0);

        if (guess->rule->vmap || guess->rule->verdict != V_NONE)
            return false; /* nothing comes after those */
        if (pass_dependency(guess))
            continue;
        if (expr->kind == EXPR_COUNTER && !guess->rule->counter) {
            guess->rule->counter = true;
            guess->rule->packets = guess->exprs->packets;
            guess->rule->bytes = guess->exprs->bytes;
            guess->i++;
        } else if (expr->kind == EXPR_LOG && !guess->rule->log_prefix) {
            guess->rule->log_prefix = ruleset_intern(guess->ruleset, expr->name);
            guess->rule->log_group = (uint16_t)expr->flags;
            guess->i++;
        } else if (!(is_load(expr) ? guess_match(guess) : guess_verdict(guess))) {
            return false;
        }
    }
    return true;
}

static bool read_comment(const uint8_t *data, size_t len, struct rule_stmt *rule)
{
    if (len == 0)
        return true;
    if (len < 3 || data[0] != NFTNL_UDATA_RULE_COMMENT || data[1] != len - 2 ||
        data[1] > RULE_COMMENT_MAX + 1 || memchr(data + 2, '\0', len - 2) != data + len - 1)
        return false;
    for (size_t i = 2; i < len - 1; i++) {
        if (data[i] < ' ' || data[i] > '~' || data[i] == '"' || data[i] == '\\')
            return false;
    }
    rule->comment = xstrdup((const char *)data + 2);
    return true;
}

/* What the encoder makes of a rule. */
static int encode(enum table_id table, const struct rule_stmt *rule, struct exprs *ret)
{
    _cleanup_(nftnl_rule_freep) struct nftnl_rule *nftnl = nftnl_rule_alloc();
    _cleanup_free_ char *buffer = xreallocarray(NULL, RULE_BYTES_MAX, 1); /* zeroing it would take longest */
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct attrs attrs = ATTRS(NFTA_RULE_MAX);
    int r;

    if (!nftnl)
        abort(); /* out of memory */
    r = rule_encode(table, rule, nftnl);
    if (r < 0)
        return r;
    mnl_nlmsg_put_extra_header(message, sizeof(struct nfgenmsg));
    nftnl_rule_nlmsg_build_payload(message, nftnl);
    r = attrs_read_message(message, &attrs);
    if (r == 0 && attrs.v[NFTA_RULE_EXPRESSIONS])
        return exprs_read(attrs.v[NFTA_RULE_EXPRESSIONS], ret);
    *ret = (struct exprs){0};
    return r;
}

static bool encodes_to(enum table_id table, const struct rule_stmt *rule, const struct exprs *exprs)
{
    struct exprs found;
    bool equal;

    if (encode(table, rule, &found) < 0)
        return false;
    equal = exprs_equal(&found, exprs);
    exprs_clear(&found);
    return equal;
}

static bool is_protocol(const struct match *match)
{
    return match->kind == MATCH_VALUE && !match->negate &&
           (match->fields[0] == FIELD_L4PROTO || match->fields[0] == FIELD_NFPROTO ||
            match->fields[0] == FIELD_ETHER_TYPE);
}

/*
 * Drops every comparison of a protocol that the encoder makes by itself for what follows. The last come
 * first: ICMP's number implies IPv4 only where it is implied itself. A reset's dependency on TCP is one that
 * nft lists.
 */
static void shorten(enum table_id table, struct rule_stmt *rule, const struct exprs *exprs)
{
    bool resets = rule->verdict == V_REJECT_TCP_RESET;
    struct exprs wanted = {.v = exprs->v, .n = exprs->n - (resets ? 1 : 0)};

    for (size_t i = rule->n_matches; i-- > 0;) {
        struct rule_stmt shorter = *rule;

        if (!is_protocol(&rule->matches[i]))
            continue;
        shorter.matches = xcalloc(rule->n_matches, sizeof(*rule->matches));
        shorter.n_matches--;
        shorter.verdict = resets ? V_NONE : rule->verdict;
        memcpy(shorter.matches, rule->matches, i * sizeof(*rule->matches));
        memcpy(shorter.matches + i, rule->matches + i + 1,
               (rule->n_matches - i - 1) * sizeof(*rule->matches));
        if (encodes_to(table, &shorter, &wanted)) {
            memmove(rule->matches + i, rule->matches + i + 1,
                    (rule->n_matches - i - 1) * sizeof(*rule->matches));
            rule->n_matches--;
        }
        free(shorter.matches);
    }
}

void rule_decode_foreign(const struct exprs *exprs, struct rule_stmt *ret)
{
    size_t len;
    FILE *out;

    free(ret->matches);
    *ret = (struct rule_stmt){.comment = ret->comment};
    out = open_memstream(&ret->foreign, &len);
    if (!out)
        abort(); /* out of memory */
    exprs_print(exprs, out);
    if (ret->comment)
        fprintf(out, " comment \"%s\"", ret->comment);
    if (fclose(out) != 0)
        abort();
}

void rule_decode(struct ruleset *ruleset, enum table_id table, const struct exprs *exprs,
                 const void *user_data, size_t user_data_len, struct rule_stmt *ret)
{
    struct guess guess = {.ruleset = ruleset, .exprs = exprs, .rule = ret};

    if (!read_comment(user_data, user_data_len, ret) || !guess_rule(&guess) ||
        !encodes_to(table, ret, exprs)) {
        rule_decode_foreign(exprs, ret);
        return;
    }
    shorten(table, ret, exprs);
}
