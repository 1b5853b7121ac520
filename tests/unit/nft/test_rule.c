// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules against the expressions that nft 1.0.6 makes of their text ("nft --debug=netlink", copied from
 * there). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

#include "nft/rule.h"
#include "sample.h"
#include "util/mem.h"

struct writer {
    char *text;
    size_t len;
    FILE *out;
};

static int write_expression(struct nftnl_expr *expr, void *data)
{
    struct writer *writer = data;
    char text[512];

    nftnl_expr_snprintf(text, sizeof(text), expr, NFTNL_OUTPUT_DEFAULT, 0);
    fprintf(writer->out, "%s %s\n", nftnl_expr_get_str(expr, NFTNL_EXPR_NAME), text);
    return 0;
}

static char *expressions(enum table_id table, const struct rule_stmt *rule)
{
    struct nftnl_rule *nftnl = nftnl_rule_alloc();
    struct writer writer = {0};

    assert_non_null(nftnl);
    writer.out = open_memstream(&writer.text, &writer.len);
    assert_int_equal(rule_encode(table, rule, nftnl), 0);
    nftnl_expr_foreach(nftnl, write_expression, &writer);
    fclose(writer.out);
    nftnl_rule_free(nftnl);
    return writer.text;
}

/* A chain of its own for the rule under test. */
struct bench {
    struct ruleset *ruleset;
    struct rule_stmt *rule;
    enum table_id table;
};

static struct bench bench(enum table_id table, enum table_verdict verdict)
{
    struct bench b = {.ruleset = ruleset_new(), .table = table};

    b.rule = sample_rule(ruleset_add_chain(b.ruleset, table, "c"), verdict, NULL);
    return b;
}

static void assert_rule(struct bench *b, const char *expected)
{
    char *found = expressions(b->table, b->rule);

    assert_string_equal(found, expected);
    free(found);
    ruleset_free(b->ruleset);
}

static void assert_rule_fails(struct bench *b, int error)
{
    struct nftnl_rule *nftnl = nftnl_rule_alloc();

    assert_int_equal(rule_encode(b->table, b->rule, nftnl), error);
    nftnl_rule_free(nftnl);
    ruleset_free(b->ruleset);
}

/* iifname . ether saddr . ip6 saddr @bindings6 counter accept */
static void concatenation_in_bridge(void **state)
{
    static const enum field fields[] = {FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_IP6_SADDR};
    struct bench b = bench(TABLE_BRIDGE, V_ACCEPT);

    (void)state;
    sample_lookup(b.ruleset, b.rule, "bindings6", 3, fields);
    b.rule->counter = true;
    assert_rule(&b, "meta load protocol => reg 1 \n"
                    "cmp eq reg 1 0x0000dd86 \n"
                    "meta load iifname => reg 1 \n"
                    "payload load 6b @ link header + 6 => reg 2 \n"
                    "payload load 16b @ network header + 8 => reg 14 \n"
                    "lookup reg 1 set bindings6 \n"
                    "counter pkts 0 bytes 0 \n"
                    "immediate reg 0 accept \n");
}

/* iifname . arp saddr ether . arp saddr ip != @bindings4 drop */
static void arp_concatenation(void **state)
{
    static const enum field fields[] = {FIELD_IIFNAME, FIELD_ARP_SADDR_ETHER, FIELD_ARP_SADDR_IP};
    struct bench b = bench(TABLE_BRIDGE, V_DROP);

    (void)state;
    sample_lookup(b.ruleset, b.rule, "bindings4", 3, fields)->negate = true;
    assert_rule(&b, "payload load 2b @ link header + 12 => reg 1 \n"
                    "cmp eq reg 1 0x00000608 \n"
                    "meta load iifname => reg 1 \n"
                    "payload load 6b @ network header + 8 => reg 2 \n"
                    "payload load 4b @ network header + 14 => reg 14 \n"
                    "lookup reg 1 set bindings4 0x1 \n"
                    "immediate reg 0 drop \n");
}

/* ip6 length 32 @nh,512,16 0x201 iifname . @nh,528,48 @macs iifname . ether saddr . @nh,384,128 @targets return */
static void raw_concatenations(void **state)
{
    static const enum field macs[] = {FIELD_IIFNAME, FIELD_ND_OPTION_MAC};
    static const enum field targets[] = {FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_ND_TARGET};
    struct bench b = bench(TABLE_BRIDGE, V_RETURN);

    (void)state;
    sample_value(b.rule, FIELD_IP6_LENGTH, 32);
    sample_value(b.rule, FIELD_ND_OPTION, 0x201);
    sample_lookup(b.ruleset, b.rule, "macs", 2, macs);
    sample_lookup(b.ruleset, b.rule, "targets", 3, targets);
    assert_rule(&b, "meta load protocol => reg 1 \n"
                    "cmp eq reg 1 0x0000dd86 \n"
                    "payload load 2b @ network header + 4 => reg 1 \n"
                    "cmp eq reg 1 0x00002000 \n"
                    "payload load 2b @ network header + 64 => reg 1 \n"
                    "cmp eq reg 1 0x00000102 \n"
                    "meta load iifname => reg 1 \n"
                    "payload load 6b @ network header + 66 => reg 2 \n"
                    "lookup reg 1 set macs \n"
                    "meta load iifname => reg 1 \n"
                    "payload load 6b @ link header + 6 => reg 2 \n"
                    "payload load 16b @ network header + 48 => reg 14 \n"
                    "lookup reg 1 set targets \n"
                    "immediate reg 0 return \n");
}

/* ip saddr . ct reply ip saddr @same4 ct original ip daddr 127.0.0.0/8 drop */
static void addresses_of_the_connection(void **state)
{
    static const enum field ends[] = {FIELD_IP_SADDR, FIELD_CT_REPLY_IP_SADDR};
    struct bench b = bench(TABLE_INET, V_DROP);

    (void)state;
    sample_lookup(b.ruleset, b.rule, "same4", 2, ends);
    sample_prefix(b.rule, FIELD_CT_ORIGINAL_IP_DADDR, "127.0.0.0/8");
    assert_rule(&b, "meta load nfproto => reg 1 \n"
                    "cmp eq reg 1 0x00000002 \n"
                    "payload load 4b @ network header + 12 => reg 1 \n"
                    "ct load src_ip => reg 9 , dir reply \n"
                    "lookup reg 1 set same4 \n"
                    "ct load dst_ip => reg 1 , dir original \n"
                    "cmp eq reg 1 0x0000007f \n"
                    "immediate reg 0 drop \n");
}

/* ip saddr . ip daddr @p4 drop */
static void inet_concatenation(void **state)
{
    static const enum field fields[] = {FIELD_IP_SADDR, FIELD_IP_DADDR};
    struct bench b = bench(TABLE_INET, V_DROP);

    (void)state;
    sample_lookup(b.ruleset, b.rule, "p4", 2, fields);
    assert_rule(&b, "meta load nfproto => reg 1 \n"
                    "cmp eq reg 1 0x00000002 \n"
                    "payload load 4b @ network header + 12 => reg 1 \n"
                    "payload load 4b @ network header + 16 => reg 9 \n"
                    "lookup reg 1 set p4 \n"
                    "immediate reg 0 drop \n");
}

/* tcp dport 8000 ip saddr 10.0.0.1 counter accept */
static void dependencies_in_the_order_of_fields(void **state)
{
    struct bench b = bench(TABLE_INET, V_ACCEPT);

    (void)state;
    sample_value(b.rule, FIELD_TCP_DPORT, 8000);
    sample_prefix(b.rule, FIELD_IP_SADDR, "10.0.0.1/32");
    b.rule->counter = true;
    assert_rule(&b, "meta load l4proto => reg 1 \n"
                    "cmp eq reg 1 0x00000006 \n"
                    "payload load 2b @ transport header + 2 => reg 1 \n"
                    "cmp eq reg 1 0x0000401f \n"
                    "meta load nfproto => reg 1 \n"
                    "cmp eq reg 1 0x00000002 \n"
                    "payload load 4b @ network header + 12 => reg 1 \n"
                    "cmp eq reg 1 0x0100000a \n"
                    "counter pkts 0 bytes 0 \n"
                    "immediate reg 0 accept \n");
}

/* ip hdrlength != 5 drop: in the table of both families it says that it is about IPv4 */
static void header_length(void **state)
{
    struct bench b = bench(TABLE_INET, V_DROP);

    (void)state;
    rule_add_match(b.rule)->kind = MATCH_OPTIONS;
    assert_rule(&b, "meta load nfproto => reg 1 \n"
                    "cmp eq reg 1 0x00000002 \n"
                    "payload load 1b @ network header + 0 => reg 1 \n"
                    "bitwise reg 1 = ( reg 1 & 0x0000000f ) ^ 0x00000000 \n"
                    "cmp neq reg 1 0x00000005 \n"
                    "immediate reg 0 drop \n");
}

/* tcp dport 22 tcp flags != syn / fin,syn,rst,ack drop: one dependency for both */
static void dependency_once(void **state)
{
    struct bench b = bench(TABLE_INET, V_DROP);

    (void)state;
    sample_value(b.rule, FIELD_TCP_DPORT, 22);
    rule_add_match(b.rule)->kind = MATCH_NOT_SYN;
    assert_rule(&b, "meta load l4proto => reg 1 \n"
                    "cmp eq reg 1 0x00000006 \n"
                    "payload load 2b @ transport header + 2 => reg 1 \n"
                    "cmp eq reg 1 0x00001600 \n"
                    "payload load 1b @ transport header + 13 => reg 1 \n"
                    "bitwise reg 1 = ( reg 1 & 0x00000017 ) ^ 0x00000000 \n"
                    "cmp neq reg 1 0x00000002 \n"
                    "immediate reg 0 drop \n");
}

/* icmpv6 type 136 drop, in both families */
static void icmpv6_by_family(void **state)
{
    struct bench inet = bench(TABLE_INET, V_DROP), bridge = bench(TABLE_BRIDGE, V_DROP);

    (void)state;
    sample_value(inet.rule, FIELD_ICMPV6_TYPE, 136);
    assert_rule(&inet, "meta load nfproto => reg 1 \n"
                       "cmp eq reg 1 0x0000000a \n"
                       "meta load l4proto => reg 1 \n"
                       "cmp eq reg 1 0x0000003a \n"
                       "payload load 1b @ transport header + 0 => reg 1 \n"
                       "cmp eq reg 1 0x00000088 \n"
                       "immediate reg 0 drop \n");
    sample_value(bridge.rule, FIELD_ICMPV6_TYPE, 136);
    assert_rule(&bridge, "payload load 2b @ link header + 12 => reg 1 \n"
                         "cmp eq reg 1 0x0000dd86 \n"
                         "meta load l4proto => reg 1 \n"
                         "cmp eq reg 1 0x0000003a \n"
                         "payload load 1b @ transport header + 0 => reg 1 \n"
                         "cmp eq reg 1 0x00000088 \n"
                         "immediate reg 0 drop \n");
}

/* ip saddr 10.0.0.0/12 udp dport 80-90 drop */
static void mask_and_range(void **state)
{
    struct bench b = bench(TABLE_BRIDGE, V_DROP);

    (void)state;
    sample_prefix(b.rule, FIELD_IP_SADDR, "10.0.0.0/12");
    sample_range(b.rule, FIELD_UDP_DPORT, 80, 90);
    assert_rule(&b, "meta load protocol => reg 1 \n"
                    "cmp eq reg 1 0x00000008 \n"
                    "payload load 4b @ network header + 12 => reg 1 \n"
                    "bitwise reg 1 = ( reg 1 & 0x0000f0ff ) ^ 0x00000000 \n"
                    "cmp eq reg 1 0x0000000a \n"
                    "meta load l4proto => reg 1 \n"
                    "cmp eq reg 1 0x00000011 \n"
                    "payload load 2b @ transport header + 2 => reg 1 \n"
                    "cmp gte reg 1 0x00005000 \n"
                    "cmp lte reg 1 0x00005a00 \n"
                    "immediate reg 0 drop \n");
}

/* ip6 daddr fd00::/104 drop: whole bytes need no mask */
static void prefix_of_whole_bytes(void **state)
{
    struct bench b = bench(TABLE_INET, V_DROP);

    (void)state;
    sample_prefix(b.rule, FIELD_IP6_DADDR, "fd00::/104");
    assert_rule(&b, "meta load nfproto => reg 1 \n"
                    "cmp eq reg 1 0x0000000a \n"
                    "payload load 13b @ network header + 24 => reg 1 \n"
                    "cmp eq reg 1 0x000000fd 0x00000000 0x00000000 0x00000000 \n"
                    "immediate reg 0 drop \n");
}

/* ct state invalid,related,untracked goto unusual */
static void connection_state(void **state)
{
    struct bench b = bench(TABLE_INET, V_GOTO);

    (void)state;
    *rule_add_match(b.rule) =
        (struct match){.kind = MATCH_CT_STATE, .ct_states = CT_INVALID | CT_RELATED | CT_UNTRACKED};
    b.rule->target = "unusual";
    assert_rule(&b, "ct load state => reg 1 \n"
                    "bitwise reg 1 = ( reg 1 & 0x00000045 ) ^ 0x00000000 \n"
                    "cmp neq reg 1 0x00000000 \n"
                    "immediate reg 0 goto -> unusual \n");
}

/* meta mark & 0x00002000 != 0x00000000 meta mark set meta mark & 0xffffdfff accept */
static void mark_cleared(void **state)
{
    struct bench b = bench(TABLE_BRIDGE, V_ACCEPT);

    (void)state;
    *rule_add_match(b.rule) = (struct match){.kind = MATCH_MARK, .mark = 0x2000};
    b.rule->mark_change = MARK_CLEAR;
    b.rule->mark = 0x2000;
    assert_rule(&b, "meta load mark => reg 1 \n"
                    "bitwise reg 1 = ( reg 1 & 0x00002000 ) ^ 0x00000000 \n"
                    "cmp neq reg 1 0x00000000 \n"
                    "meta load mark => reg 1 \n"
                    "bitwise reg 1 = ( reg 1 & 0xffffdfff ) ^ 0x00000000 \n"
                    "meta set mark with reg 1 \n"
                    "immediate reg 0 accept \n");
}

/* meta mark & 0x40000000 != 0x00000000 counter meta mark set meta mark | 0x80000000 */
static void mark_set(void **state)
{
    struct bench b = bench(TABLE_INET, V_NONE);

    (void)state;
    *rule_add_match(b.rule) = (struct match){.kind = MATCH_MARK, .mark = 0x40000000};
    b.rule->mark_change = MARK_SET;
    b.rule->mark = 0x80000000;
    b.rule->counter = true;
    assert_rule(&b, "meta load mark => reg 1 \n"
                    "bitwise reg 1 = ( reg 1 & 0x40000000 ) ^ 0x00000000 \n"
                    "cmp neq reg 1 0x00000000 \n"
                    "counter pkts 0 bytes 0 \n"
                    "meta load mark => reg 1 \n"
                    "bitwise reg 1 = ( reg 1 & 0x7fffffff ) ^ 0x80000000 \n"
                    "meta set mark with reg 1 \n");
}

/* counter reject with tcp reset: nft puts the protocol first */
static void reset_needs_tcp(void **state)
{
    struct bench b = bench(TABLE_INET, V_REJECT_TCP_RESET);

    (void)state;
    b.rule->counter = true;
    assert_rule(&b, "meta load l4proto => reg 1 \n"
                    "cmp eq reg 1 0x00000006 \n"
                    "counter pkts 0 bytes 0 \n"
                    "reject type 1 code 0 \n");
}

/* counter ip saddr vmap @m */
static void verdict_map(void **state)
{
    struct bench b = bench(TABLE_INET, V_NONE);

    (void)state;
    b.rule->counter = true;
    b.rule->vmap = "m";
    b.rule->vmap_field = FIELD_IP_SADDR;
    assert_rule(&b, "counter pkts 0 bytes 0 \n"
                    "meta load nfproto => reg 1 \n"
                    "cmp eq reg 1 0x00000002 \n"
                    "payload load 4b @ network header + 12 => reg 1 \n"
                    "lookup reg 1 set m dreg 0 \n");
}

/* ether type arp arp saddr ip 10.0.0.0 drop; meta l4proto icmp icmp type 8 drop */
static void explicit_protocol_is_taken(void **state)
{
    struct bench arp = bench(TABLE_BRIDGE, V_DROP), icmp = bench(TABLE_INET, V_DROP);

    (void)state;
    sample_value(arp.rule, FIELD_ETHER_TYPE, 0x0806);
    sample_prefix(arp.rule, FIELD_ARP_SADDR_IP, "10.0.0.0/32");
    assert_rule(&arp, "payload load 2b @ link header + 12 => reg 1 \n"
                      "cmp eq reg 1 0x00000608 \n"
                      "payload load 4b @ network header + 14 => reg 1 \n"
                      "cmp eq reg 1 0x0000000a \n"
                      "immediate reg 0 drop \n");
    sample_value(icmp.rule, FIELD_L4PROTO, 1);
    sample_value(icmp.rule, FIELD_ICMP_TYPE, 8);
    assert_rule(&icmp, "meta load l4proto => reg 1 \n"
                       "cmp eq reg 1 0x00000001 \n"
                       "payload load 1b @ transport header + 0 => reg 1 \n"
                       "cmp eq reg 1 0x00000008 \n"
                       "immediate reg 0 drop \n");
}

/* ether saddr 02:.. in an inet table asks for the kind of interface */
static void ethernet_in_inet(void **state)
{
    static const enum field field = FIELD_ETHER_SADDR;
    struct bench b = bench(TABLE_INET, V_DROP);

    (void)state;
    sample_lookup(b.ruleset, b.rule, "macs", 1, &field);
    assert_rule(&b, "meta load iiftype => reg 1 \n"
                    "cmp eq reg 1 0x00000001 \n"
                    "payload load 6b @ link header + 6 => reg 1 \n"
                    "lookup reg 1 set macs \n"
                    "immediate reg 0 drop \n");
}

static void contradictions_are_refused(void **state)
{
    struct bench two_networks = bench(TABLE_INET, V_DROP), two_transports = bench(TABLE_INET, V_DROP);
    struct bench arp = bench(TABLE_INET, V_DROP), reset = bench(TABLE_INET, V_REJECT_TCP_RESET);

    (void)state;
    sample_prefix(two_networks.rule, FIELD_IP_SADDR, "10.0.0.0/8");
    sample_prefix(two_networks.rule, FIELD_IP6_SADDR, "fd00::/8");
    assert_rule_fails(&two_networks, -EINVAL);
    sample_value(two_transports.rule, FIELD_TCP_DPORT, 1);
    sample_value(two_transports.rule, FIELD_UDP_DPORT, 1);
    assert_rule_fails(&two_transports, -EINVAL);
    sample_prefix(arp.rule, FIELD_ARP_SADDR_IP, "10.0.0.0/8");
    assert_rule_fails(&arp, -EINVAL);
    sample_value(reset.rule, FIELD_UDP_DPORT, 1);
    assert_rule_fails(&reset, -EINVAL);
}

static void values_must_fit_their_field(void **state)
{
    struct bench port = bench(TABLE_INET, V_DROP), name = bench(TABLE_INET, V_DROP);
    struct bench reversed = bench(TABLE_INET, V_DROP), family = bench(TABLE_INET, V_DROP);

    (void)state;
    sample_value(port.rule, FIELD_TCP_DPORT, 65536);
    assert_rule_fails(&port, -EINVAL);
    sample_value(name.rule, FIELD_IIFNAME, 1);
    assert_rule_fails(&name, -EINVAL);
    sample_range(reversed.rule, FIELD_TCP_DPORT, 2, 1);
    assert_rule_fails(&reversed, -EINVAL);
    sample_prefix(family.rule, FIELD_IP_SADDR, "fd00::/8");
    assert_rule_fails(&family, -EINVAL);
}

static void limits_are_kept(void **state)
{
    struct bench many = bench(TABLE_INET, V_DROP), comment = bench(TABLE_INET, V_DROP);
    struct bench key = bench(TABLE_BRIDGE, V_DROP), longest = bench(TABLE_INET, V_DROP);
    static const enum field too_long[] = {FIELD_IIFNAME, FIELD_IP6_SADDR, FIELD_IP6_DADDR, FIELD_OIFNAME};
    char text[RULE_COMMENT_MAX + 2];
    struct nftnl_rule *nftnl = nftnl_rule_alloc();
    uint32_t len;
    const uint8_t *data;

    (void)state;
    for (int i = 0; i <= RULE_MATCHES_MAX; i++)
        sample_value(many.rule, FIELD_TCP_DPORT, 1);
    assert_rule_fails(&many, -E2BIG);
    memset(text, 'c', sizeof(text));
    text[RULE_COMMENT_MAX + 1] = '\0';
    comment.rule->comment = xstrdup(text);
    assert_rule_fails(&comment, -E2BIG);
    sample_lookup(key.ruleset, key.rule, "s", 4, too_long); /* 64 bytes: just fits */
    free(expressions(TABLE_BRIDGE, key.rule));
    ruleset_free(key.ruleset);

    text[RULE_COMMENT_MAX] = '\0';
    longest.rule->comment = xstrdup(text);
    assert_int_equal(rule_encode(TABLE_INET, longest.rule, nftnl), 0);
    data = nftnl_rule_get_data(nftnl, NFTNL_RULE_USERDATA, &len);
    assert_int_equal(len, 2 + RULE_COMMENT_MAX + 1);
    assert_int_equal(data[0], NFTNL_UDATA_RULE_COMMENT);
    assert_int_equal(data[1], RULE_COMMENT_MAX + 1);
    assert_string_equal((const char *)data + 2, text);
    nftnl_rule_free(nftnl);
    ruleset_free(longest.ruleset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(concatenation_in_bridge),
        cmocka_unit_test(arp_concatenation),
        cmocka_unit_test(inet_concatenation),
        cmocka_unit_test(raw_concatenations),
        cmocka_unit_test(addresses_of_the_connection),
        cmocka_unit_test(dependencies_in_the_order_of_fields),
        cmocka_unit_test(header_length),
        cmocka_unit_test(header_length),
        cmocka_unit_test(dependency_once),
        cmocka_unit_test(icmpv6_by_family),
        cmocka_unit_test(mask_and_range),
        cmocka_unit_test(prefix_of_whole_bytes),
        cmocka_unit_test(connection_state),
        cmocka_unit_test(mark_cleared),
        cmocka_unit_test(mark_set),
        cmocka_unit_test(reset_needs_tcp),
        cmocka_unit_test(verdict_map),
        cmocka_unit_test(explicit_protocol_is_taken),
        cmocka_unit_test(ethernet_in_inet),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(values_must_fit_their_field),
        cmocka_unit_test(limits_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
