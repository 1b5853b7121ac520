// SPDX-License-Identifier: GPL-2.0-or-later
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "sample: %s\n", what);
        abort();
    }
}

struct rule_stmt *sample_rule(struct chain *chain, enum table_verdict verdict, const char *target)
{
    struct rule_stmt *rule = chain_add_rule(chain);

    rule->verdict = verdict;
    rule->target = target;
    return rule;
}

static struct match *add_match(struct rule_stmt *rule, enum match_kind kind, enum field field)
{
    struct match *match = rule_add_match(rule);

    match->kind = kind;
    match->fields[0] = field;
    match->n_fields = 1;
    return match;
}

struct match *sample_value(struct rule_stmt *rule, enum field field, uint32_t value)
{
    struct match *match = add_match(rule, MATCH_VALUE, field);

    match->first = value;
    return match;
}

struct match *sample_range(struct rule_stmt *rule, enum field field, uint32_t first, uint32_t last)
{
    struct match *match = add_match(rule, MATCH_RANGE, field);

    match->first = first;
    match->last = last;
    return match;
}

struct match *sample_prefix(struct rule_stmt *rule, enum field field, const char *cidr)
{
    struct match *match = add_match(rule, MATCH_PREFIX, field);

    require(cidr_parse(cidr, &match->prefix) == 0, cidr);
    return match;
}

struct match *sample_lookup(struct ruleset *ruleset, struct rule_stmt *rule, const char *set, size_t n_fields,
                            const enum field *fields)
{
    struct match *match = rule_add_match(rule);

    match->kind = MATCH_SET;
    match->set = ruleset_intern(ruleset, set);
    match->n_fields = n_fields;
    memcpy(match->fields, fields, n_fields * sizeof(*fields));
    return match;
}

struct set *sample_set(struct ruleset *ruleset, enum table_id table, const char *name, enum key_type type)
{
    return ruleset_add_set(ruleset, table, name, 1, &type);
}

struct set *sample_map(struct ruleset *ruleset, enum table_id table, const char *name, enum key_type type)
{
    struct set *map = ruleset_add_set(ruleset, table, name, 1, &type);

    map->map = true;
    return map;
}

static void put_address(uint8_t *bytes, const char *text)
{
    struct ip ip;

    require(ip_parse(text, &ip) == 0, text);
    ip_to_bytes(ip, bytes);
}

struct element sample_address(const char *address)
{
    struct element element = {0};

    put_address(element.key, address);
    return element;
}

struct element sample_ifname(const char *name)
{
    struct element element = {0};

    memcpy(element.key, name, strlen(name));
    return element;
}

struct element sample_interval(const char *first, const char *last)
{
    struct element element = sample_address(first);

    put_address(element.key_end, last);
    return element;
}

static void insert(struct set *set, struct element element)
{
    require(set_insert(set, &element), "element is there twice");
}

static void insert_verdict(struct set *map, struct element element, enum table_verdict verdict,
                           const char *target)
{
    element.verdict = verdict;
    element.target = target;
    insert(map, element);
}

/* interface . MAC . address */
static struct element binding(const char *port, const char *mac, const char *address)
{
    struct element element = sample_ifname(port);
    struct mac parsed;

    require(mac_parse(mac, &parsed) == 0, mac);
    memcpy(element.key + 16, parsed.bytes, sizeof(parsed.bytes));
    put_address(element.key + 24, address);
    return element;
}

static const struct element any = {.catchall = true};

static void single_field(struct ruleset *ruleset, struct rule_stmt *rule, const char *set, enum field field)
{
    sample_lookup(ruleset, rule, set, 1, &field);
}

static void bridge_sets(struct ruleset *ruleset)
{
    static const enum key_type key4[] = {KEY_IFNAME, KEY_ETHER_ADDR, KEY_IPV4_ADDR};
    static const enum key_type key6[] = {KEY_IFNAME, KEY_ETHER_ADDR, KEY_IPV6_ADDR};
    struct set *set = ruleset_add_set(ruleset, TABLE_BRIDGE, "bindings4", 3, key4);

    insert(set, binding("veth0123456789a", "02:42:0a:c8:00:02", "10.200.0.2"));
    insert(set, binding("v1", "02:42:0a:c8:00:03", "10.200.0.3"));
    set = ruleset_add_set(ruleset, TABLE_BRIDGE, "bindings6", 3, key6);
    insert(set, binding("v1", "02:42:0a:c8:00:03", "fd00:c8::3"));
    set = sample_set(ruleset, TABLE_BRIDGE, "macs", KEY_ETHER_ADDR);
    insert(set, (struct element){.key = {2, 0x42, 0x0a, 0xc8, 0, 2}});
    sample_set(ruleset, TABLE_BRIDGE, "ports", KEY_IFNAME);
}

/* Sets of bytes that nft has no type for. */
static void bridge_raw_sets(struct ruleset *ruleset)
{
    static const enum key_type targets[] = {KEY_IFNAME, KEY_ETHER_ADDR, KEY_ND_TARGET};
    static const enum key_type macs[] = {KEY_IFNAME, KEY_ND_OPTION_MAC};
    struct set *set = ruleset_add_set(ruleset, TABLE_BRIDGE, "targets", 3, targets);

    insert(set, binding("v1", "02:42:0a:c8:00:03", "fd00:c8::3"));
    insert(set, binding("v1", "02:42:0a:c8:00:03", "::c8"));
    set = ruleset_add_set(ruleset, TABLE_BRIDGE, "option_macs", 2, macs);
    insert(set, (struct element){.key = {'v', '1', [16] = 0, 0x42, 0x0a, 0xc8, 0, 3}});
    set = sample_set(ruleset, TABLE_BRIDGE, "taken", KEY_ND_TARGET);
    insert(set, (struct element){.key = {0xfd, [15] = 1}});
    set = sample_set(ruleset, TABLE_BRIDGE, "option_mac", KEY_ND_OPTION_MAC);
    insert(set, (struct element){.key = {[5] = 1}});
    sample_set(ruleset, TABLE_BRIDGE, "untaken", KEY_ND_TARGET);
}

static void bridge_bindings(struct ruleset *ruleset, struct chain *chain)
{
    static const enum field source4[] = {FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_IP_SADDR};
    static const enum field source6[] = {FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_IP6_SADDR};
    static const enum field target4[] = {FIELD_OIFNAME, FIELD_ETHER_DADDR, FIELD_IP_DADDR};
    static const enum field target6[] = {FIELD_OIFNAME, FIELD_ETHER_DADDR, FIELD_IP6_DADDR};
    static const enum field arp[] = {FIELD_IIFNAME, FIELD_ARP_SADDR_ETHER, FIELD_ARP_SADDR_IP};

    sample_lookup(ruleset, sample_rule(chain, V_ACCEPT, NULL), "bindings4", 3, source4);
    sample_lookup(ruleset, sample_rule(chain, V_ACCEPT, NULL), "bindings6", 3, source6);
    sample_lookup(ruleset, sample_rule(chain, V_ACCEPT, NULL), "bindings4", 3, arp);
    sample_lookup(ruleset, sample_rule(chain, V_DROP, NULL), "bindings4", 3, target4)->negate = true;
    sample_lookup(ruleset, sample_rule(chain, V_DROP, NULL), "bindings6", 3, target6)->negate = true;
}

static void bridge_discovery(struct ruleset *ruleset, struct chain *chain)
{
    static const enum field target[] = {FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_ND_TARGET};
    static const enum field mac[] = {FIELD_IIFNAME, FIELD_ND_OPTION_MAC};
    struct rule_stmt *rule = sample_rule(chain, V_RETURN, NULL);

    sample_value(rule, FIELD_IP6_LENGTH, 32);
    sample_value(rule, FIELD_ND_OPTION, 0x201);
    sample_lookup(ruleset, rule, "option_macs", 2, mac);
    sample_lookup(ruleset, rule, "targets", 3, target);
    rule = sample_rule(chain, V_DROP, NULL);
    sample_value(rule, FIELD_ICMPV6_TYPE, 136);
    sample_value(rule, FIELD_IP6_NEXTHDR, 58)->negate = true;
    rule = sample_rule(chain, V_DROP, NULL);
    sample_value(rule, FIELD_ETHER_TYPE, 0x0800);
    sample_value(rule, FIELD_IGMP_TYPE, 0x11);
    single_field(ruleset, sample_rule(chain, V_DROP, NULL), "taken", FIELD_ND_TARGET);
    single_field(ruleset, sample_rule(chain, V_DROP, NULL), "option_mac", FIELD_ND_OPTION_MAC);
    sample_value(sample_rule(chain, V_DROP, NULL), FIELD_IP6_NEXTHDR, 0);
    sample_value(sample_rule(chain, V_DROP, NULL), FIELD_IP6_LENGTH, 24)->negate = true;
    sample_value(sample_rule(chain, V_DROP, NULL), FIELD_L4PROTO, 58);
    sample_value(sample_rule(chain, V_DROP, NULL), FIELD_ARP_HTYPE, 1)->negate = true;
    sample_value(sample_rule(chain, V_DROP, NULL), FIELD_ARP_PTYPE, 0x0800);
    sample_value(sample_rule(chain, V_DROP, NULL), FIELD_ARP_HLEN, 6)->negate = true;
    sample_value(sample_rule(chain, V_DROP, NULL), FIELD_ARP_PLEN, 4);
    sample_value(sample_rule(chain, V_DROP, NULL), FIELD_ARP_OPERATION, 2)->negate = true;
}

static void marks(struct chain *chain)
{
    struct rule_stmt *rule = sample_rule(chain, V_ACCEPT, NULL);

    *rule_add_match(rule) = (struct match){.kind = MATCH_MARK, .mark = 0x2000};
    rule->mark_change = MARK_CLEAR;
    rule->mark = 0x2000;
    rule = sample_rule(chain, V_DROP, NULL);
    *rule_add_match(rule) = (struct match){.kind = MATCH_MARK, .mark = 0x80000000};
    rule->counter = true;
    rule = sample_rule(chain, V_DROP, NULL);
    *rule_add_match(rule) = (struct match){.kind = MATCH_MARK, .mark = 0x80000000};
    *rule_add_match(rule) = (struct match){.kind = MATCH_MARK, .mark = 0x40000000};
    rule = sample_rule(chain, V_NONE, NULL);
    rule->mark_change = MARK_SET;
    rule->mark = 1;
    rule->counter = true;
}

static void log_rule(struct chain *chain, const char *meter, size_t n_fields, const enum field *fields)
{
    struct rule_stmt *rule = sample_rule(chain, V_NONE, NULL);
    struct match *match = rule_add_match(rule);

    match->kind = MATCH_UPDATE;
    match->set = meter;
    match->n_fields = n_fields;
    memcpy(match->fields, fields, n_fields * sizeof(*fields));
    rule->log_prefix = "sample";
    rule->log_group = 64;
}

/* Sets that packets fill, and packets that are logged. */
static void meters(struct ruleset *ruleset, enum table_id table, struct chain *chain)
{
    static const enum key_type connection[] = {KEY_IPV6_ADDR, KEY_INET_PROTO, KEY_INET_SERVICE};
    static const enum field fields[] = {FIELD_IP6_SADDR, FIELD_L4PROTO, FIELD_TH_DPORT};
    static const enum field others[] = {FIELD_IP6_SADDR, FIELD_L4PROTO, FIELD_TH_SPORT};
    static const enum key_type kind = KEY_ETHER_TYPE;
    static const enum field type[] = {FIELD_ETHER_TYPE};
    struct set *set = ruleset_add_set(ruleset, table, "tried", ARRAY_SIZE(connection), connection);

    set->meter = (struct meter){.size = 65536, .timeout = 60, .rate = 6, .per = 60, .burst = 1};
    log_rule(chain, "tried", ARRAY_SIZE(fields), fields);
    log_rule(chain, "tried", ARRAY_SIZE(others), others);
    set = ruleset_add_set(ruleset, table, "kinds", 1, &kind);
    set->meter = (struct meter){.size = 100, .timeout = 7, .rate = 100, .per = 1, .burst = 200, .over = true};
    log_rule(chain, "kinds", 1, type);
}

static void bridge_chain(struct ruleset *ruleset)
{
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "prerouting");
    struct rule_stmt *rule;

    chain->hook = HOOK_PREROUTING;
    chain->priority = -300;
    bridge_bindings(ruleset, chain);
    single_field(ruleset, sample_rule(chain, V_DROP, NULL), "ports", FIELD_IIFNAME);
    single_field(ruleset, sample_rule(chain, V_DROP, NULL), "macs", FIELD_ETHER_SADDR);
    single_field(ruleset, sample_rule(chain, V_DROP, NULL), "macs", FIELD_ETHER_DADDR);
    single_field(ruleset, sample_rule(chain, V_DROP, NULL), "macs", FIELD_ARP_SADDR_ETHER);
    sample_value(sample_rule(chain, V_DROP, NULL), FIELD_ETHER_TYPE, 0x0806);
    sample_value(sample_rule(chain, V_DROP, NULL), FIELD_ETHER_TYPE, 0x86dd)->negate = true;
    sample_prefix(sample_rule(chain, V_DROP, NULL), FIELD_ARP_SADDR_IP, "10.0.0.0/8");
    rule = sample_rule(chain, V_DROP, NULL);
    sample_prefix(rule, FIELD_IP6_SADDR, "fe80::/10");
    sample_value(rule, FIELD_IP6_HOPLIMIT, 255);
    sample_range(sample_rule(chain, V_DROP, NULL), FIELD_UDP_DPORT, 67, 68);
    sample_value(sample_rule(chain, V_DROP, NULL), FIELD_ICMPV6_TYPE, 134);
    sample_value(sample_rule(chain, V_DROP, NULL), FIELD_ICMP_TYPE, 8);
    rule = sample_rule(chain, V_DROP, NULL);
    sample_prefix(rule, FIELD_IP_SADDR, "10.0.0.1/32");
    sample_value(rule, FIELD_TCP_DPORT, 22);
    rule = sample_rule(chain, V_DROP, NULL);
    sample_prefix(rule, FIELD_IP6_SADDR, "fe80::1/128");
    sample_value(rule, FIELD_ICMPV6_TYPE, 135);
    sample_rule(chain, V_DROP, NULL)->counter = true;
    bridge_raw_sets(ruleset);
    bridge_discovery(ruleset, chain);
    marks(chain);
    meters(ruleset, TABLE_BRIDGE, chain);
}

static void inet_sets(struct ruleset *ruleset)
{
    static const enum key_type mixed[] = {KEY_IPV4_ADDR, KEY_IFNAME, KEY_IPV6_ADDR, KEY_ICMP_TYPE};
    static const enum key_type pair[] = {KEY_IPV4_ADDR, KEY_IPV4_ADDR};
    struct set *set = sample_set(ruleset, TABLE_INET, "bridges", KEY_IFNAME);

    insert(set, sample_ifname("br0"));
    insert(set, sample_ifname("docker0"));
    set = sample_set(ruleset, TABLE_INET, "live4", KEY_IPV4_ADDR);
    insert(set, sample_address("10.200.0.2"));
    set = sample_set(ruleset, TABLE_INET, "live6", KEY_IPV6_ADDR);
    insert(set, sample_address("fd00:c8::2"));
    set = sample_set(ruleset, TABLE_INET, "types4", KEY_ICMP_TYPE);
    insert(set, (struct element){.key = {8}});
    insert(set, (struct element){.key = {77}});
    set = sample_set(ruleset, TABLE_INET, "types6", KEY_ICMPV6_TYPE);
    insert(set, (struct element){.key = {135}});
    ruleset_add_set(ruleset, TABLE_INET, "mixed", 4, mixed);
    set = ruleset_add_set(ruleset, TABLE_INET, "pairs", 2, pair);
    insert(set, (struct element){.key = {10, 0, 0, 1, 10, 0, 0, 2}});
}

static void interval_sets(struct ruleset *ruleset)
{
    struct set *set = sample_set(ruleset, TABLE_INET, "blocks4", KEY_IPV4_ADDR);

    set->interval = true;
    insert(set, sample_interval("10.0.0.0", "10.255.255.255"));
    insert(set, sample_interval("192.168.0.1", "192.168.0.9"));
    insert(set, sample_interval("192.168.0.11", "192.168.0.11"));
    insert(set, sample_interval("224.0.0.0", "255.255.255.255"));
    set = sample_set(ruleset, TABLE_INET, "blocks6", KEY_IPV6_ADDR);
    set->interval = true;
    insert(set, sample_interval("2000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    insert(set, sample_interval("fe80::1", "fe80::ff"));
    set = sample_set(ruleset, TABLE_INET, "low4", KEY_IPV4_ADDR);
    set->interval = true;
    insert(set, sample_interval("0.0.0.0", "9.255.255.255"));
    set = sample_set(ruleset, TABLE_INET, "all4", KEY_IPV4_ADDR);
    set->interval = true;
    insert(set, sample_interval("0.0.0.0", "255.255.255.255"));
    set = sample_set(ruleset, TABLE_INET, "all6", KEY_IPV6_ADDR);
    set->interval = true;
    insert(set, sample_interval("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
}

static void inet_maps(struct ruleset *ruleset, const char *chain)
{
    struct set *map = sample_map(ruleset, TABLE_INET, "ingress4", KEY_IPV4_ADDR);

    insert_verdict(map, sample_address("10.0.0.1"), V_JUMP, chain);
    insert_verdict(map, sample_address("10.0.0.2"), V_GOTO, chain);
    insert_verdict(map, sample_address("10.0.0.3"), V_ACCEPT, NULL);
    insert_verdict(map, sample_address("10.0.0.4"), V_DROP, NULL);
    insert_verdict(map, sample_address("10.0.0.5"), V_RETURN, NULL);
    insert_verdict(map, any, V_DROP, NULL);
    map = sample_map(ruleset, TABLE_INET, "ingress6", KEY_IPV6_ADDR);
    insert_verdict(map, any, V_JUMP, chain);
    map = sample_map(ruleset, TABLE_INET, "from", KEY_IFNAME);
    insert_verdict(map, sample_ifname("br0"), V_JUMP, chain);
    sample_map(ruleset, TABLE_INET, "types", KEY_ICMPV6_TYPE);
}

static void inet_connections(struct ruleset *ruleset, struct chain *chain)
{
    static const enum field ends4[][2] = {{FIELD_IP_SADDR, FIELD_CT_ORIGINAL_IP_SADDR},
                                          {FIELD_IP_SADDR, FIELD_CT_REPLY_IP_SADDR}};
    static const enum field ends6[][2] = {{FIELD_IP6_SADDR, FIELD_CT_ORIGINAL_IP6_SADDR},
                                          {FIELD_CT_REPLY_IP6_SADDR, FIELD_IP6_SADDR}};
    static const enum key_type pair[] = {KEY_IPV6_ADDR, KEY_IPV6_ADDR};

    ruleset_add_set(ruleset, TABLE_INET, "pairs6", 2, pair);
    for (size_t i = 0; i < 2; i++) {
        struct rule_stmt *rule = sample_rule(chain, V_ACCEPT, NULL);

        *rule_add_match(rule) = (struct match){.kind = MATCH_CT_STATE, .ct_states = CT_RELATED};
        sample_value(rule, FIELD_ICMP_TYPE, 3);
        sample_lookup(ruleset, rule, "pairs", 2, ends4[i]);
        rule = sample_rule(chain, V_DROP, NULL);
        sample_lookup(ruleset, rule, "pairs6", 2, ends6[i]);
    }
    sample_prefix(sample_rule(chain, V_DROP, NULL), FIELD_CT_ORIGINAL_IP_DADDR, "127.0.0.0/8");
    sample_prefix(sample_rule(chain, V_DROP, NULL), FIELD_CT_REPLY_IP_SADDR, "10.0.0.0/12");
    sample_prefix(sample_rule(chain, V_DROP, NULL), FIELD_CT_ORIGINAL_IP6_DADDR, "::1/128");
    single_field(ruleset, sample_rule(chain, V_DROP, NULL), "live4", FIELD_CT_ORIGINAL_IP_SADDR);
}

static void inet_verdicts(struct ruleset *ruleset, struct chain *chain, const char *target)
{
    struct rule_stmt *rule;

    sample_rule(chain, V_NONE, NULL)->counter = true;
    sample_value(sample_rule(chain, V_JUMP, target), FIELD_L4PROTO, 6);
    sample_value(sample_rule(chain, V_GOTO, target), FIELD_L4PROTO, 17)->negate = true;
    sample_value(sample_rule(chain, V_ACCEPT, NULL), FIELD_TCP_DPORT, 80);
    rule = sample_rule(chain, V_RETURN, NULL);
    sample_range(rule, FIELD_SCTP_DPORT, 1, 65535);
    rule->counter = true;
    rule->comment =
        xstrdup("shop-db ingress 1: 127 characters are the most that nft lists; so this comment has "
                "just as many, not one less, and no more.....");
    rule = sample_rule(chain, V_REJECT_TCP_RESET, NULL);
    sample_value(rule, FIELD_TCP_DPORT, 8000);
    rule->counter = true;
    sample_value(sample_rule(chain, V_REJECT_TCP_RESET, NULL), FIELD_L4PROTO, 6);
    rule = sample_rule(chain, V_REJECT_ADMIN, NULL);
    rule->counter = true;
    rule->comment = xstrdup("reject");
    rule = sample_rule(chain, V_NONE, NULL);
    rule->vmap = ruleset_intern(ruleset, "ingress4");
    rule->vmap_field = FIELD_IP_DADDR;
    rule = sample_rule(chain, V_NONE, NULL);
    rule->vmap = ruleset_intern(ruleset, "ingress6");
    rule->vmap_field = FIELD_IP6_SADDR;
    rule->counter = true;
    rule = sample_rule(chain, V_NONE, NULL);
    rule->vmap = ruleset_intern(ruleset, "from");
    rule->vmap_field = FIELD_IIFNAME;
    rule = sample_rule(chain, V_NONE, NULL);
    rule->vmap = ruleset_intern(ruleset, "types");
    rule->vmap_field = FIELD_ICMPV6_TYPE;
}

static void inet_lookups(struct ruleset *ruleset, struct chain *chain)
{
    static const enum field pair[] = {FIELD_IP_SADDR, FIELD_IP_DADDR};
    static const char *const plain4[] = {"live4", "blocks4", "low4", "all4"};
    static const char *const plain6[] = {"live6", "blocks6", "all6"};
    struct rule_stmt *rule;

    for (size_t i = 0; i < ARRAY_SIZE(plain4); i++) {
        rule = sample_rule(chain, V_DROP, NULL);
        single_field(ruleset, rule, plain4[i], i % 2 ? FIELD_IP_DADDR : FIELD_IP_SADDR);
        single_field(ruleset, rule, "bridges", i % 2 ? FIELD_OIFNAME : FIELD_IIFNAME);
    }
    for (size_t i = 0; i < ARRAY_SIZE(plain6); i++) {
        enum field field = i % 2 ? FIELD_IP6_DADDR : FIELD_IP6_SADDR;

        rule = sample_rule(chain, V_DROP, NULL);
        sample_value(rule, FIELD_UDP_DPORT, 53);
        sample_lookup(ruleset, rule, plain6[i], 1, &field)->negate = true;
    }
    single_field(ruleset, sample_rule(chain, V_DROP, NULL), "types4", FIELD_ICMP_TYPE);
    single_field(ruleset, sample_rule(chain, V_DROP, NULL), "types6", FIELD_ICMPV6_TYPE);
    sample_lookup(ruleset, sample_rule(chain, V_DROP, NULL), "pairs", 2, pair);
}

static void inet_states(struct chain *chain)
{
    struct rule_stmt *rule = sample_rule(chain, V_ACCEPT, NULL);

    *rule_add_match(rule) = (struct match){.kind = MATCH_CT_STATE, .ct_states = CT_ESTABLISHED};
    rule = sample_rule(chain, V_DROP, NULL);
    *rule_add_match(rule) =
        (struct match){.kind = MATCH_CT_STATE, .ct_states = CT_INVALID | CT_RELATED | CT_NEW | CT_UNTRACKED};
    rule = sample_rule(chain, V_DROP, NULL);
    *rule_add_match(rule) = (struct match){.kind = MATCH_NOT_SYN};
    rule->counter = true;
    *rule_add_match(sample_rule(chain, V_DROP, NULL)) = (struct match){.kind = MATCH_OPTIONS};
    rule = sample_rule(chain, V_DROP, NULL);
    sample_value(rule, FIELD_TCP_DPORT, 443);
    *rule_add_match(rule) = (struct match){.kind = MATCH_NOT_SYN};
}

static void inet_values(struct chain *chain)
{
    static const char *const prefixes4[] = {"0.0.0.0/0", "10.0.0.0/7", "10.0.0.0/16", "10.0.0.0/24",
                                            "10.0.0.2/31"};
    static const char *const prefixes6[] = {"::/0", "fd00::/63", "fd00::/64", "fd00::/104", "fd00::2/127"};
    struct rule_stmt *rule;

    for (size_t i = 0; i < ARRAY_SIZE(prefixes4); i++) {
        rule = sample_rule(chain, V_ACCEPT, NULL);
        sample_prefix(rule, FIELD_IP_SADDR, prefixes4[i]);
        sample_prefix(rule, FIELD_IP_DADDR, prefixes4[ARRAY_SIZE(prefixes4) - 1 - i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(prefixes6); i++) {
        rule = sample_rule(chain, V_ACCEPT, NULL);
        sample_prefix(rule, FIELD_IP6_SADDR, prefixes6[i]);
        sample_prefix(rule, FIELD_IP6_DADDR, prefixes6[ARRAY_SIZE(prefixes6) - 1 - i]);
    }
    sample_value(sample_rule(chain, V_ACCEPT, NULL), FIELD_ICMP_TYPE, 3)->negate = true;
    sample_range(sample_rule(chain, V_ACCEPT, NULL), FIELD_ICMP_TYPE, 3, 5);
    sample_value(sample_rule(chain, V_ACCEPT, NULL), FIELD_L4PROTO, 58);
    sample_value(sample_rule(chain, V_ACCEPT, NULL), FIELD_L4PROTO, 200);
    sample_range(sample_rule(chain, V_ACCEPT, NULL), FIELD_L4PROTO, 1, 6);
    sample_range(sample_rule(chain, V_ACCEPT, NULL), FIELD_IP6_HOPLIMIT, 1, 5);
    sample_range(sample_rule(chain, V_ACCEPT, NULL), FIELD_TCP_DPORT, 0, 65535);
    rule = sample_rule(chain, V_ACCEPT, NULL);
    sample_value(rule, FIELD_ICMPV6_TYPE, 136);
    sample_prefix(rule, FIELD_IP6_SADDR, "fe80::1/128");
    rule = sample_rule(chain, V_ACCEPT, NULL);
    sample_prefix(rule, FIELD_IP_SADDR, "10.0.0.1/32");
    sample_value(rule, FIELD_ICMP_TYPE, 134);
}

struct ruleset *sample_everything(void)
{
    static const enum chain_hook hooks[] = {HOOK_INPUT, HOOK_OUTPUT, HOOK_FORWARD};
    struct ruleset *ruleset = ruleset_new();
    struct chain *leaf, *chain = NULL;

    bridge_sets(ruleset);
    bridge_chain(ruleset);
    inet_sets(ruleset);
    interval_sets(ruleset);
    leaf = ruleset_add_chain(ruleset, TABLE_INET, "class-0123abcd");
    sample_rule(leaf, V_DROP, NULL)->counter = true;
    inet_maps(ruleset, leaf->name);
    for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
        chain = ruleset_add_chain(ruleset, TABLE_INET, hook_name(hooks[i]));
        chain->hook = hooks[i];
        chain->priority = -10;
    }
    marks(chain);
    inet_states(chain);
    inet_values(chain);
    inet_lookups(ruleset, chain);
    inet_connections(ruleset, chain);
    inet_verdicts(ruleset, chain, leaf->name);
    return ruleset;
}

struct ruleset *sample_small(void)
{
    static const enum field saddr = FIELD_IP_SADDR;
    struct ruleset *ruleset = ruleset_new();
    struct set *set = sample_set(ruleset, TABLE_INET, "live4", KEY_IPV4_ADDR);
    struct chain *leaf = ruleset_add_chain(ruleset, TABLE_INET, "class");
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_INET, "forward");
    struct rule_stmt *rule;

    set->origin = xstrdup("the live endpoints");
    insert(set, sample_address("10.0.0.1"));
    set = sample_map(ruleset, TABLE_INET, "ingress4", KEY_IPV4_ADDR);
    insert_verdict(set, sample_address("10.0.0.1"), V_JUMP, leaf->name);
    insert_verdict(set, any, V_DROP, NULL);
    rule = sample_rule(leaf, V_ACCEPT, NULL);
    sample_value(rule, FIELD_TCP_DPORT, 5432);
    sample_lookup(ruleset, rule, "live4", 1, &saddr);
    rule->origin = xstrdup("policies/shop.yaml:12 (policy shop-db, ingress 1)");
    rule->comment = xstrdup("shop-db ingress 1");
    sample_rule(leaf, V_DROP, NULL);
    chain->hook = HOOK_FORWARD;
    chain->priority = -10;
    rule = sample_rule(chain, V_NONE, NULL);
    rule->vmap = ruleset_intern(ruleset, "ingress4");
    rule->vmap_field = FIELD_IP_DADDR;
    return ruleset;
}
