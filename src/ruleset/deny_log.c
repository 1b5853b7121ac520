// SPDX-License-Identifier: GPL-2.0-or-later
#include "deny_log.h"

#include <linux/if_ether.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>

#include "build.h"
#include "ruleset/meters.h"

#define OUTSIDE_SOURCES 4     /* whose rates one interface has */
#define LISTENER_REPORT_2 143 /* MLDv2, RFC 3810 */

static const char *const words[DENY_POINTS] = {
    [DENY_UNLOGGED] = "unlogged",
    [DENY_EGRESS] = "egress",
    [DENY_INGRESS] = "ingress",
    [DENY_HOST_EGRESS] = "host-egress",
    [DENY_HOST_INGRESS] = "host-ingress",
    [DENY_UNKNOWN] = "unknown",
    [DENY_LOCKED] = "locked",
    [DENY_SPOOFED] = "spoofed",
    [DENY_INVALID] = "invalid",
    [DENY_PROTOCOL] = "protocol",
    [DENY_LOOPBACK] = "loopback",
    [DENY_STRAY] = "stray",
    [DENY_UNSEEN] = "unseen",
};

/* The chains' names; those that log return, those that deny do not. outside: NULL where nothing comes from there. */
static const struct {
    const char *log, *deny, *outside;
} chains[DENY_POINTS] = {
    [DENY_EGRESS] = {"log_egress", "deny_egress", NULL},
    [DENY_INGRESS] = {"log_ingress", "deny_ingress", "log_outside_ingress"},
    [DENY_HOST_EGRESS] = {"log_host_egress", "deny_host_egress", NULL},
    [DENY_HOST_INGRESS] = {"log_host_ingress", "deny_host_ingress", "log_outside_host_ingress"},
    [DENY_UNKNOWN] = {"log_unknown", "deny_unknown", "log_outside_unknown"},
    [DENY_LOCKED] = {"log_locked", "deny_locked", "log_outside_locked"},
    [DENY_SPOOFED] = {"log_spoofed", "deny_spoofed", "log_outside_spoofed"},
    [DENY_INVALID] = {"log_invalid", "deny_invalid", "log_outside_invalid"},
    [DENY_PROTOCOL] = {"log_protocol", "deny_protocol", NULL},
    [DENY_LOOPBACK] = {"log_loopback", "deny_loopback", "log_outside_loopback"},
    [DENY_STRAY] = {"log_stray", "deny_stray", "log_outside_stray"},
    [DENY_UNSEEN] = {"log_unseen", "deny_unseen", NULL},
};

/* What the drops of a table say, in the order of enum deny_point. */
static const enum deny_point points[TABLES][DENY_POINTS] = {
    [TABLE_INET] = {DENY_EGRESS, DENY_INGRESS, DENY_HOST_EGRESS, DENY_HOST_INGRESS, DENY_UNKNOWN, DENY_LOCKED,
                    DENY_SPOOFED, DENY_INVALID, DENY_PROTOCOL, DENY_LOOPBACK, DENY_STRAY},
    [TABLE_BRIDGE] = {DENY_UNKNOWN, DENY_LOCKED, DENY_SPOOFED, DENY_PROTOCOL, DENY_UNSEEN},
};

const char *deny_point_word(enum deny_point point)
{
    return point < DENY_POINTS ? words[point] : "?";
}

bool deny_point_parse(const char *word, enum deny_point *ret)
{
    for (size_t i = DENY_UNLOGGED + 1; i < DENY_POINTS; i++) {
        if (strcmp(words[i], word) == 0) {
            *ret = (enum deny_point)i;
            return true;
        }
    }
    return false;
}

/* ---- meters ------------------------------------------------------------------------------------------- */

static void add_meter(struct ruleset *ruleset, enum table_id table, const char *name, size_t n_key,
                      const enum key_type *key, struct meter meter)
{
    meter.size = METER_SIZE;
    meter.timeout = METER_TIMEOUT;
    ruleset_add_set(ruleset, table, name, n_key, key)->meter = meter;
}

/* Of one connection: a packet in ten seconds. */
static void add_connections(struct ruleset *ruleset, enum table_id table, const char *name, size_t n_key,
                            const enum key_type *key)
{
    add_meter(ruleset, table, name, n_key, key,
              (struct meter){.rate = 60 / METER_PAUSE, .per = 60, .burst = 1});
}

/* over: it is asked who has had too much, else who has not. */
static void add_sources(struct ruleset *ruleset, enum table_id table, const char *name, enum key_type key,
                        bool over, const struct compile_options *options)
{
    add_meter(
        ruleset, table, name, 1, &key,
        (struct meter){.rate = options->log_rate, .per = 1, .burst = 2 * options->log_rate, .over = over});
}

/* Of all who send from there, as some may say that they are many. */
static void add_interfaces(struct ruleset *ruleset, const struct compile_options *options)
{
    static const enum key_type interface = KEY_IFNAME;
    uint32_t rate = OUTSIDE_SOURCES * options->log_rate;

    add_meter(ruleset, TABLE_INET, METER_OUTSIDE, 1, &interface,
              (struct meter){.rate = rate, .per = 1, .burst = 2 * rate, .over = true});
}

/* Each kernel's own, as soon as it has an interface. */
static void add_unlogged(struct ruleset *ruleset, enum table_id table)
{
    static const uint8_t types[] = {MLD_LISTENER_REPORT, MLD_LISTENER_REDUCTION, ND_ROUTER_SOLICIT,
                                    LISTENER_REPORT_2};

    add_byte_set(ruleset, table, SET_UNLOGGED6, KEY_ICMPV6_TYPE, ARRAY_SIZE(types), types);
}

static void build_inet_sets(struct ruleset *ruleset, const struct compile_options *options)
{
    static const enum key_type connection4[] = {KEY_IPV4_ADDR, KEY_IPV4_ADDR, KEY_INET_PROTO,
                                                KEY_INET_SERVICE};
    static const enum key_type connection6[] = {KEY_IPV6_ADDR, KEY_IPV6_ADDR, KEY_INET_PROTO,
                                                KEY_INET_SERVICE};
    static const uint8_t ported[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_UDPLITE};

    add_byte_set(ruleset, TABLE_INET, SET_PORTED, KEY_INET_PROTO, ARRAY_SIZE(ported), ported);
    add_unlogged(ruleset, TABLE_INET);
    add_connections(ruleset, TABLE_INET, METER_DENIED4, ARRAY_SIZE(connection4), connection4);
    add_connections(ruleset, TABLE_INET, METER_DENIED6, ARRAY_SIZE(connection6), connection6);
    add_sources(ruleset, TABLE_INET, METER_DENIERS4, KEY_IPV4_ADDR, true, options);
    add_sources(ruleset, TABLE_INET, METER_DENIERS6, KEY_IPV6_ADDR, true, options);
    add_connections(ruleset, TABLE_INET, METER_OUTSIDE_DENIED4, ARRAY_SIZE(connection4), connection4);
    add_connections(ruleset, TABLE_INET, METER_OUTSIDE_DENIED6, ARRAY_SIZE(connection6), connection6);
    add_sources(ruleset, TABLE_INET, METER_OUTSIDE_DENIERS4, KEY_IPV4_ADDR, false, options);
    add_sources(ruleset, TABLE_INET, METER_OUTSIDE_DENIERS6, KEY_IPV6_ADDR, false, options);
    add_interfaces(ruleset, options);
}

static void build_bridge_sets(struct ruleset *ruleset, const struct compile_options *options)
{
    static const enum key_type frames4[] = {KEY_IFNAME, KEY_IPV4_ADDR, KEY_IPV4_ADDR};
    static const enum key_type frames6[] = {KEY_IFNAME, KEY_IPV6_ADDR, KEY_IPV6_ADDR};
    static const enum key_type frames[] = {KEY_IFNAME, KEY_ETHER_TYPE, KEY_ETHER_ADDR};

    add_unlogged(ruleset, TABLE_BRIDGE);
    add_connections(ruleset, TABLE_BRIDGE, METER_FRAMES4, ARRAY_SIZE(frames4), frames4);
    add_connections(ruleset, TABLE_BRIDGE, METER_FRAMES6, ARRAY_SIZE(frames6), frames6);
    add_connections(ruleset, TABLE_BRIDGE, METER_FRAMES, ARRAY_SIZE(frames), frames);
    add_sources(ruleset, TABLE_BRIDGE, METER_SENDERS, KEY_IFNAME, true, options);
}

/* ---- chains ------------------------------------------------------------------------------------------- */

static void update(struct rule_stmt *rule, const char *meter, size_t n, const enum field *fields)
{
    struct match *match = rule_add_match(rule);

    match->kind = MATCH_UPDATE;
    match->set = meter;
    match->n_fields = n;
    memcpy(match->fields, fields, n * sizeof(*fields));
}

struct logging {
    struct chain *chain;
    const char *prefix; /* interned */
    uint16_t group;
    bool outside;
};

static void log_packet(const struct logging *logging, struct rule_stmt *rule)
{
    rule->log_prefix = logging->prefix;
    rule->log_group = logging->group;
}

/* Whoever has had too much begins nothing new, so that one alone never fills the set of connections. */
static void return_new(struct rule_stmt *rule, size_t n, const enum field *fields, const char *connections,
                       const char *sources, enum field source)
{
    struct match *match = on_set(rule, fields[0], true, connections);

    match->n_fields = n;
    memcpy(match->fields, fields, n * sizeof(*fields));
    update(rule, sources, 1, &source);
    verdict(rule, V_RETURN, NULL);
}

static void log_connections(const struct logging *logging, enum ip_family family, bool ported)
{
    static const char *const meters[2][IP_FAMILIES][2] = {
        {{METER_DENIED4, METER_DENIERS4}, {METER_DENIED6, METER_DENIERS6}},
        {{METER_OUTSIDE_DENIED4, METER_OUTSIDE_DENIERS4}, {METER_OUTSIDE_DENIED6, METER_OUTSIDE_DENIERS6}},
    };
    const char *const *names = meters[logging->outside][family];
    const enum field source = family == IP4 ? FIELD_IP_SADDR : FIELD_IP6_SADDR;
    const enum field connection[] = {source, family == IP4 ? FIELD_IP_DADDR : FIELD_IP6_DADDR, FIELD_L4PROTO,
                                     ported ? FIELD_TH_DPORT : FIELD_TH_SPORT};
    struct rule_stmt *rule = chain_add_rule(logging->chain);

    if (logging->outside) /* what the host sends itself would be of an interface without a name */
        on_value(rule, FIELD_IIF, true, 0);
    on_set(rule, FIELD_L4PROTO, !ported, SET_PORTED);
    return_new(rule, ARRAY_SIZE(connection), connection, names[0],
               logging->outside ? METER_OUTSIDE : names[1], logging->outside ? FIELD_IIFNAME : source);
    rule = chain_add_rule(logging->chain);
    on_set(rule, FIELD_L4PROTO, !ported, SET_PORTED);
    update(rule, names[0], ARRAY_SIZE(connection), connection);
    if (logging->outside)
        update(rule, names[1], 1, &source);
    log_packet(logging, rule);
}

static void return_unlogged(struct chain *chain)
{
    struct rule_stmt *rule = chain_add_rule(chain);

    on_set(rule, FIELD_ICMPV6_TYPE, false, SET_UNLOGGED6);
    verdict(rule, V_RETURN, NULL);
}

/* Of members of groups, which each kernel sends by itself. */
static void return_reports(struct chain *chain)
{
    struct rule_stmt *rule = chain_add_rule(chain);

    on_value(rule, FIELD_L4PROTO, false, IPPROTO_IGMP);
    verdict(rule, V_RETURN, NULL);
}

static void build_inet_log(const struct logging *logging)
{
    log_connections(logging, IP4, true);
    log_connections(logging, IP6, true);
    return_unlogged(logging->chain);
    return_reports(logging->chain);
    log_connections(logging, IP4, false);
    log_connections(logging, IP6, false);
}

static void not_ip(struct rule_stmt *rule)
{
    on_value(rule, FIELD_ETHER_TYPE, true, ETH_P_IP);
    on_value(rule, FIELD_ETHER_TYPE, true, ETH_P_IPV6);
}

static void log_frames(const struct logging *logging, const char *meter, enum field a, enum field b)
{
    const enum field frames[] = {FIELD_IIFNAME, a, b};
    struct rule_stmt *rule = chain_add_rule(logging->chain);

    if (a == FIELD_ETHER_TYPE)
        not_ip(rule);
    return_new(rule, ARRAY_SIZE(frames), frames, meter, METER_SENDERS, FIELD_IIFNAME);
    rule = chain_add_rule(logging->chain);
    if (a == FIELD_ETHER_TYPE)
        not_ip(rule);
    update(rule, meter, ARRAY_SIZE(frames), frames);
    log_packet(logging, rule);
}

static void build_bridge_log(const struct logging *logging)
{
    return_unlogged(logging->chain);
    log_frames(logging, METER_FRAMES4, FIELD_IP_SADDR, FIELD_IP_DADDR);
    log_frames(logging, METER_FRAMES6, FIELD_IP6_SADDR, FIELD_IP6_DADDR);
    log_frames(logging, METER_FRAMES, FIELD_ETHER_TYPE, FIELD_ETHER_SADDR);
}

static void build_outside_log(struct ruleset *ruleset, enum deny_point point, uint16_t group)
{
    _cleanup_free_ char *prefix = xasprintf(DENY_OUTSIDE "%s", words[point]);
    const struct logging logging = {.chain = ruleset_add_chain(ruleset, TABLE_INET, chains[point].outside),
                                    .prefix = ruleset_intern(ruleset, prefix),
                                    .group = group,
                                    .outside = true};

    build_inet_log(&logging);
}

static void build_point(struct ruleset *ruleset, enum table_id table, enum deny_point point, uint16_t group)
{
    struct logging logging = {.prefix = words[point], .group = group};
    struct chain *log, *deny;
    struct rule_stmt *rule;

    if (table == TABLE_INET && chains[point].outside)
        build_outside_log(ruleset, point, group);
    logging.chain = log = ruleset_add_chain(ruleset, table, chains[point].log);
    deny = ruleset_add_chain(ruleset, table, chains[point].deny);
    if (table == TABLE_INET && chains[point].outside) {
        rule = chain_add_rule(log);
        on_set(rule, FIELD_IIFNAME, true, SET_BRIDGES);
        verdict(rule, V_GOTO, chains[point].outside);
    }
    if (table == TABLE_INET)
        build_inet_log(&logging);
    else
        build_bridge_log(&logging);
    verdict(chain_add_rule(deny), V_JUMP, log->name);
    verdict(chain_add_rule(deny), V_DROP, NULL);
}

void deny_log_build(struct ruleset *ruleset, const struct compile_options *options)
{
    if (!options->log_group)
        return;
    build_inet_sets(ruleset, options);
    build_bridge_sets(ruleset, options);
    for (size_t i = 0; i < DENY_POINTS; i++) {
        if (points[TABLE_INET][i])
            build_point(ruleset, TABLE_INET, points[TABLE_INET][i], options->log_group);
        if (points[TABLE_BRIDGE][i])
            build_point(ruleset, TABLE_BRIDGE, points[TABLE_BRIDGE][i], options->log_group);
    }
}

const char *deny_log_chain(enum deny_point point)
{
    return chains[point].deny;
}

/* ---- drops -------------------------------------------------------------------------------------------- */

static bool is_logged(const struct ruleset *ruleset, enum table_id table, enum deny_point point)
{
    return point != DENY_UNLOGGED && table_chain(&ruleset->tables[table], chains[point].deny);
}

static void divert(const struct ruleset *ruleset, enum table_id table, struct chain *chain)
{
    for (size_t i = 0; i < chain->n_rules; i++) {
        struct rule_stmt *rule = &chain->rules[i];

        if (rule->verdict == V_DROP && is_logged(ruleset, table, rule->deny))
            verdict(rule, V_GOTO, chains[rule->deny].deny);
    }
}

void deny_log_divert_all(struct ruleset *ruleset)
{
    for (size_t i = 0; i < TABLES; i++)
        for (struct chain *chain = ruleset->tables[i].chains; chain; chain = chain->hh.next)
            divert(ruleset, (enum table_id)i, chain);
}

void deny_log_divert(const struct ruleset *ruleset, struct chain *content)
{
    divert(ruleset, TABLE_INET, content);
}

void deny_log_jump(const struct ruleset *ruleset, struct chain *content, enum deny_point point)
{
    if (is_logged(ruleset, TABLE_INET, point))
        verdict(chain_add_rule(content), V_JUMP, chains[point].log);
}
