/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small words to write rules with: build_rule(chain, ...) reads like the nft text that stands beside it.
 */
#pragma once

#include <netinet/icmp6.h>

#include "ruleset/ruleset.h"
#include "util/mem.h"

/* Names of the fixed sets, maps and chains: what is not named after policies. */
#define SET_BRIDGES "bridges"
#define SET_SAME_BRIDGE "same_bridge"
#define SET_LOOPBACK "loopback"
#define SET_PORTS "ports"
#define SET_FREE_PORTS "free_ports"
#define SET_LIVE4 "live4"
#define SET_LIVE6 "live6"
#define SET_LOCKED4 "locked4"
#define SET_LOCKED6 "locked6"
#define SET_SEALED "sealed"
#define SET_RESTRICTED "restricted"
#define SET_RESTRICTED_PAIRS "restricted_pairs"
#define SET_SAME4 "same4"
#define SET_SAME6 "same6"
#define SET_BINDINGS4 "bindings4"
#define SET_BINDINGS6 "bindings6"
#define SET_TARGETS6 "targets6"
#define SET_OPTION_MACS6 "option_macs6"
#define SET_TAKEN6 "taken6"
#define SET_ROUTER_MESSAGES "router_messages"
#define SET_LISTENER_REPORTS "listener_reports"
#define SET_ICMP_ERRORS "icmp_errors"
#define SET_ICMPV6_ERRORS "icmpv6_errors"
#define SET_NEIGHBOUR_DISCOVERY "neighbour_discovery"
#define SET_INTERNET4 "internet/4"
#define SET_INTERNET6 "internet/6"
#define SET_PORTED "ported"
#define SET_UNLOGGED6 "unlogged6"
#define MAP_FROM "from"

static inline struct set *add_set(struct ruleset *ruleset, enum table_id table, const char *name,
                                  enum key_type key)
{
    return ruleset_add_set(ruleset, table, name, 1, &key);
}

/* A verdict map of table inet, and where a miss goes. */
static inline void add_map(struct ruleset *ruleset, const char *name, enum key_type key,
                           enum table_verdict otherwise, const char *target)
{
    struct set *map = add_set(ruleset, TABLE_INET, name, key);
    struct element element = {.catchall = true, .verdict = otherwise};

    map->map = true;
    element.target = ruleset_intern(ruleset, target);
    set_insert(map, &element);
}

static inline void add_byte_set(struct ruleset *ruleset, enum table_id table, const char *name,
                                enum key_type key, size_t n, const uint8_t *values)
{
    struct set *set = add_set(ruleset, table, name, key);

    for (size_t i = 0; i < n; i++) {
        struct element element = {0};

        element.key[0] = values[i];
        set_insert(set, &element);
    }
}

static inline void add_neighbour_discovery(struct ruleset *ruleset, enum table_id table)
{
    static const uint8_t types[] = {ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT};

    add_byte_set(ruleset, table, SET_NEIGHBOUR_DISCOVERY, KEY_ICMPV6_TYPE, ARRAY_SIZE(types), types);
}

static inline struct rule_stmt *comment(struct rule_stmt *rule, const char *text)
{
    rule->comment = xstrdup(text);
    return rule;
}

static inline struct match *on_value(struct rule_stmt *rule, enum field field, bool negate, uint32_t value)
{
    struct match *match = rule_add_match(rule);

    match->kind = MATCH_VALUE;
    match->negate = negate;
    match->fields[0] = field;
    match->n_fields = 1;
    match->first = value;
    return match;
}

static inline struct match *on_range(struct rule_stmt *rule, enum field field, uint32_t first, uint32_t last)
{
    struct match *match = on_value(rule, field, false, first);

    match->kind = MATCH_RANGE;
    match->last = last;
    return match;
}

static inline struct match *on_prefix(struct rule_stmt *rule, enum field field, struct cidr prefix)
{
    struct match *match = on_value(rule, field, false, 0);

    match->kind = MATCH_PREFIX;
    match->prefix = prefix;
    return match;
}

static inline struct match *on_set(struct rule_stmt *rule, enum field field, bool negate, const char *set)
{
    struct match *match = on_value(rule, field, negate, 0);

    match->kind = MATCH_SET;
    match->set = set;
    return match;
}

static inline struct match *on_set2(struct rule_stmt *rule, enum field a, enum field b, const char *set)
{
    struct match *match = on_set(rule, a, false, set);

    match->fields[1] = b;
    match->n_fields = 2;
    return match;
}

static inline struct match *on_set3(struct rule_stmt *rule, enum field a, enum field b, enum field c,
                                    const char *set)
{
    struct match *match = on_set2(rule, a, b, set);

    match->fields[2] = c;
    match->n_fields = 3;
    return match;
}

static inline void on_ct(struct rule_stmt *rule, unsigned states)
{
    struct match *match = rule_add_match(rule);

    match->kind = MATCH_CT_STATE;
    match->ct_states = states;
}

static inline void on_not_syn(struct rule_stmt *rule)
{
    rule_add_match(rule)->kind = MATCH_NOT_SYN;
}

static inline void on_options(struct rule_stmt *rule)
{
    rule_add_match(rule)->kind = MATCH_OPTIONS;
}

static inline void on_mark(struct rule_stmt *rule, uint32_t mark)
{
    struct match *match = rule_add_match(rule);

    match->kind = MATCH_MARK;
    match->mark = mark;
}

static inline void change_mark(struct rule_stmt *rule, enum mark_change change, uint32_t mark)
{
    rule->mark_change = change;
    rule->mark = mark;
}

static inline void verdict(struct rule_stmt *rule, enum table_verdict how, const char *target)
{
    rule->verdict = how;
    rule->target = target;
}

static inline void counted(struct rule_stmt *rule, enum table_verdict how, const char *target)
{
    rule->counter = true;
    verdict(rule, how, target);
}

static inline void denied(struct rule_stmt *rule, enum deny_point point)
{
    counted(rule, V_DROP, NULL);
    rule->deny = point;
}

static inline void vmap(struct rule_stmt *rule, enum field field, const char *map)
{
    rule->vmap = map;
    rule->vmap_field = field;
}
