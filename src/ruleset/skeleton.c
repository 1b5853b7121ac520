// SPDX-License-Identifier: GPL-2.0-or-later
#include "skeleton.h"

#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

#include <string.h>

#include "build.h"
#include "deny_log.h"
#include "discovery.h"
#include "lockdown.h"
#include "util/mem.h"

#define ETHER_IP 0x0800u
#define ETHER_ARP 0x0806u
#define ETHER_IP6 0x86ddu
#define ND_HOP_LIMIT 255u /* RFC 4861, 7.1: a packet that was routed never has it */

enum field source_field(enum ip_family family)
{
    return family == IP4 ? FIELD_IP_SADDR : FIELD_IP6_SADDR;
}

enum field destination_field(enum ip_family family)
{
    return family == IP4 ? FIELD_IP_DADDR : FIELD_IP6_DADDR;
}

static const char *const map_names[DISPATCHES][IP_FAMILIES] = {
    {"egress4", "egress6"},
    {"ingress4", "ingress6"},
    {"host_egress4", "host_egress6"},
    {"host_ingress4", "host_ingress6"},
};

const char *dispatch_map_name(enum dispatch dispatch, enum ip_family family)
{
    return map_names[dispatch][family];
}

enum deny_point dispatch_deny_point(enum dispatch dispatch)
{
    static const enum deny_point points[DISPATCHES] = {DENY_EGRESS, DENY_INGRESS, DENY_HOST_EGRESS,
                                                       DENY_HOST_INGRESS};

    return points[dispatch];
}

const char *dispatch_word(enum dispatch dispatch)
{
    static const char *const words[DISPATCHES] = {"egress", "ingress", "host-egress", "host-ingress"};

    return words[dispatch];
}

/* Whom a map does not hold is allowed nothing: a chain that drops, because a map's own drop could not be counted. */
static const struct {
    const char *chain, *comment;
} missed[DISPATCHES] = {
    {"no_egress", "no policy lets it out"},
    {"no_ingress", "no policy lets anybody in"},
    {"no_host_egress", "no policy lets it reach the host"},
    {"no_host_ingress", "no policy lets the host in"},
};

/* ---- sets and maps ------------------------------------------------------------------------------------ */

static void add_internet(struct ruleset *ruleset, const char *name, enum ip_family family)
{
    struct ip_ranges internet = {0};

    ip_ranges_add_internet(&internet, family);
    ruleset_add_ranges(ruleset, name, family, &internet);
    ip_ranges_clear(&internet);
}

static void build_inet_sets(struct ruleset *ruleset, const struct compile_options *options)
{
    static const enum key_type pair[] = {KEY_IFNAME, KEY_IFNAME};
    static const enum key_type pair4[] = {KEY_IPV4_ADDR, KEY_IPV4_ADDR},
                               pair6[] = {KEY_IPV6_ADDR, KEY_IPV6_ADDR};
    static const uint8_t icmp_errors[] = {ICMP_DEST_UNREACH, ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB};
    static const uint8_t icmpv6_errors[] = {ICMP6_DST_UNREACH, ICMP6_PACKET_TOO_BIG, ICMP6_TIME_EXCEEDED,
                                            ICMP6_PARAM_PROB};
    const struct element loopback = {.key = "lo"};

    add_set(ruleset, TABLE_INET, SET_BRIDGES, KEY_IFNAME);
    ruleset_add_set(ruleset, TABLE_INET, SET_SAME_BRIDGE, ARRAY_SIZE(pair), pair);
    add_set(ruleset, TABLE_INET, SET_PORTS, KEY_IFNAME);
    set_insert(add_set(ruleset, TABLE_INET, SET_LOOPBACK, KEY_IFNAME), &loopback);
    add_set(ruleset, TABLE_INET, SET_LIVE4, KEY_IPV4_ADDR);
    add_set(ruleset, TABLE_INET, SET_LIVE6, KEY_IPV6_ADDR);
    ruleset_add_set(ruleset, TABLE_INET, SET_SAME4, ARRAY_SIZE(pair4), pair4);
    ruleset_add_set(ruleset, TABLE_INET, SET_SAME6, ARRAY_SIZE(pair6), pair6);
    add_byte_set(ruleset, TABLE_INET, SET_ICMP_ERRORS, KEY_ICMP_TYPE, ARRAY_SIZE(icmp_errors), icmp_errors);
    add_byte_set(ruleset, TABLE_INET, SET_ICMPV6_ERRORS, KEY_ICMPV6_TYPE, ARRAY_SIZE(icmpv6_errors),
                 icmpv6_errors);
    add_neighbour_discovery(ruleset, TABLE_INET);
    if (options->unknown_endpoints == UNKNOWN_INTERNET) {
        add_internet(ruleset, SET_INTERNET4, IP4);
        add_internet(ruleset, SET_INTERNET6, IP6);
    }
    for (size_t i = 0; i < DISPATCHES; i++) {
        add_map(ruleset, map_names[i][IP4], KEY_IPV4_ADDR, V_GOTO, missed[i].chain);
        add_map(ruleset, map_names[i][IP6], KEY_IPV6_ADDR, V_GOTO, missed[i].chain);
    }
    add_map(ruleset, MAP_FROM, KEY_IFNAME, V_JUMP, "from_outside");
    lockdown_build_inet_sets(ruleset, options);
}

/* ---- table inet --------------------------------------------------------------------------------------- */

static void accept_neighbour_discovery(struct chain *chain)
{
    struct rule_stmt *rule;

    /* The bridge's prerouting has not seen what is put together from fragments. */
    discovery_refuse_hidden(chain);
    rule = chain_add_rule(chain);
    on_set(rule, FIELD_ICMPV6_TYPE, false, SET_NEIGHBOUR_DISCOVERY);
    on_value(rule, FIELD_IP6_HOPLIMIT, false, ND_HOP_LIMIT);
    verdict(rule, V_ACCEPT, NULL);
}

/* Where an address that no live container has ends. Only neighbour discovery works for it: it is how an
 * endpoint makes itself known, it uses link-local and multicast addresses, and the bridge table has checked
 * whose they are. */
static void build_not_live(struct ruleset *ruleset)
{
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_INET, "not_live");

    accept_neighbour_discovery(chain);
    lockdown_refuse(chain, V_DROP, NULL);
    denied(comment(chain_add_rule(chain), "no live container has this address"), DENY_UNKNOWN);
}

static struct rule_stmt *accept_error(struct chain *chain, enum ip_family family)
{
    struct rule_stmt *rule = chain_add_rule(chain);

    on_ct(rule, CT_RELATED);
    on_set(rule, family == IP4 ? FIELD_ICMP_TYPE : FIELD_ICMPV6_TYPE, false,
           family == IP4 ? SET_ICMP_ERRORS : SET_ICMPV6_ERRORS);
    verdict(rule, V_ACCEPT, NULL);
    return rule;
}

/* About connections of what no container owns; routers on the way need not have addresses of the internet. */
static void accept_router_errors(struct chain *chain, enum field field, bool negate)
{
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        on_set(accept_error(chain, family), field, negate, SET_BRIDGES);
}

/* With unknown_endpoints: internet, what no container owns (a build step) may open connections to the
 * internet. */
static void build_unknown(struct ruleset *ruleset)
{
    struct chain *from = ruleset_add_chain(ruleset, TABLE_INET, "unknown_source");
    struct chain *to = ruleset_add_chain(ruleset, TABLE_INET, "unknown_destination");

    lockdown_refuse(from, V_GOTO, "not_live");
    lockdown_refuse(to, V_GOTO, "not_live");
    for (size_t i = 0; i < IP_FAMILIES; i++) {
        struct rule_stmt *rule = chain_add_rule(from);

        on_set(rule, FIELD_OIFNAME, true, SET_BRIDGES);
        on_set(rule, i == IP4 ? FIELD_IP_DADDR : FIELD_IP6_DADDR, false,
               i == IP4 ? SET_INTERNET4 : SET_INTERNET6);
        counted(comment(rule, "unknown_endpoints: internet"), V_ACCEPT, NULL);

        rule = chain_add_rule(to);
        on_ct(rule, CT_ESTABLISHED);
        on_set(rule, FIELD_IIFNAME, true, SET_BRIDGES);
        on_set(rule, i == IP4 ? FIELD_IP_SADDR : FIELD_IP6_SADDR, false,
               i == IP4 ? SET_INTERNET4 : SET_INTERNET6);
        counted(comment(rule, "unknown_endpoints: internet"), V_ACCEPT, NULL);
    }
    accept_router_errors(to, FIELD_IIFNAME, true);
    verdict(chain_add_rule(from), V_GOTO, "not_live");
    verdict(chain_add_rule(to), V_GOTO, "not_live");
}

/* A container's port without its bridge, which somebody has deleted: what it sends is routed as if from outside. */
static void refuse_stray_ports(struct chain *chain)
{
    struct rule_stmt *rule = comment(chain_add_rule(chain), "a container's port that has left its bridge");

    on_set(rule, FIELD_IIFNAME, false, SET_PORTS);
    denied(rule, DENY_STRAY);
}

/*
 * Connection tracking takes an error for related to a flow by what it quotes, whoever sent it. From outside, routers on
 * the way send them. From a container it is about a flow with an end in that container, or forged: to slow a neighbour's
 * flow down, or to end it. nft compares no two fields of a packet; the sets hold each address beside itself.
 */
static void accept_errors(struct chain *chain)
{
    static const struct {
        enum field source, ends[2];
        const char *same;
    } families[IP_FAMILIES] = {
        {FIELD_IP_SADDR, {FIELD_CT_ORIGINAL_IP_SADDR, FIELD_CT_REPLY_IP_SADDR}, SET_SAME4},
        {FIELD_IP6_SADDR, {FIELD_CT_ORIGINAL_IP6_SADDR, FIELD_CT_REPLY_IP6_SADDR}, SET_SAME6},
    };

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        on_set(accept_error(chain, family), FIELD_IIFNAME, true, SET_BRIDGES);
        for (size_t i = 0; i < ARRAY_SIZE(families[family].ends); i++)
            on_set2(accept_error(chain, family), families[family].source, families[family].ends[i],
                    families[family].same);
    }
}

static void build_unusual(struct ruleset *ruleset)
{
    struct chain *any = ruleset_add_chain(ruleset, TABLE_INET, "unusual");
    struct chain *managed = ruleset_add_chain(ruleset, TABLE_INET, "unusual_managed");
    struct chain *not_syn = ruleset_add_chain(ruleset, TABLE_INET, "not_syn");
    struct rule_stmt *rule;

    refuse_stray_ports(any);
    /* What is forwarded between other people's interfaces is theirs to judge. */
    rule = comment(chain_add_rule(any), "not ours");
    on_set(rule, FIELD_IIFNAME, true, SET_BRIDGES);
    on_set(rule, FIELD_OIFNAME, true, SET_BRIDGES);
    verdict(rule, V_ACCEPT, NULL);
    verdict(chain_add_rule(any), V_GOTO, "unusual_managed");

    accept_errors(managed);
    accept_neighbour_discovery(managed);
    denied(comment(chain_add_rule(managed),
                   "invalid, untracked, or related and no error from an end of the flow"),
           DENY_INVALID);

    rule = comment(chain_add_rule(not_syn), "new TCP connection without SYN");
    on_set(rule, FIELD_IIFNAME, false, SET_BRIDGES);
    denied(rule, DENY_INVALID);
    rule = comment(chain_add_rule(not_syn), "new TCP connection without SYN");
    on_set(rule, FIELD_OIFNAME, false, SET_BRIDGES);
    denied(rule, DENY_INVALID);
}

static void build_missed(struct ruleset *ruleset)
{
    for (size_t i = 0; i < DISPATCHES; i++) {
        struct chain *chain = ruleset_add_chain(ruleset, TABLE_INET, missed[i].chain);

        denied(comment(chain_add_rule(chain), missed[i].comment), dispatch_deny_point((enum dispatch)i));
    }
}

static void dispatch_both(struct chain *chain, enum dispatch dispatch, bool source)
{
    vmap(chain_add_rule(chain), source ? FIELD_IP_SADDR : FIELD_IP_DADDR, map_names[dispatch][IP4]);
    vmap(chain_add_rule(chain), source ? FIELD_IP6_SADDR : FIELD_IP6_DADDR, map_names[dispatch][IP6]);
}

/*
 * No container is a DHCP server, whatever the policies grant: who hands out addresses and routes to its neighbours needs
 * no other way to their traffic. (Router advertisements end in not_live or unusual_managed.)
 */
static void refuse_dhcp_servers(struct chain *chain)
{
    static const uint32_t ports[] = {67, 547}; /* bootps, dhcpv6-server: RFC 2131, RFC 8415 */

    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        struct rule_stmt *rule = comment(chain_add_rule(chain), "no container is a DHCP server");

        on_value(rule, FIELD_UDP_SPORT, false, ports[i]);
        denied(rule, DENY_PROTOCOL);
    }
}

/*
 * What listens on the loopback address, or is published there, is for this host alone: its own packets do not come this
 * way. A neighbour's do, where Docker has opened loopback to routing and does not check who comes by it (CVE-2025-54388).
 */
static void refuse_loopback(struct chain *chain, const char *text)
{
    static const struct {
        enum field field;
        const char *block;
    } loopback[] = {{FIELD_CT_ORIGINAL_IP_DADDR, "127.0.0.0/8"}, {FIELD_CT_ORIGINAL_IP6_DADDR, "::1/128"}};

    for (size_t i = 0; i < ARRAY_SIZE(loopback); i++) {
        struct rule_stmt *rule = comment(chain_add_rule(chain), text);
        struct cidr block = {0};

        cidr_parse(loopback[i].block, &block);
        on_prefix(rule, loopback[i].field, block);
        denied(rule, DENY_LOOPBACK);
    }
}

/* The addresses of containers, locked down or not. */
static const struct {
    enum ip_family family;
    const char *set;
} owned[] = {{IP4, SET_LIVE4}, {IP6, SET_LIVE6}, {IP4, SET_LOCKED4}, {IP6, SET_LOCKED6}};

static void build_dispatch(struct ruleset *ruleset)
{
    struct chain *outside = ruleset_add_chain(ruleset, TABLE_INET, "from_outside"), *from, *to;
    struct rule_stmt *rule;

    refuse_stray_ports(outside);
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++) {
        rule = comment(chain_add_rule(outside), "a container's address from outside");
        on_set(rule, source_field(owned[i].family), false, owned[i].set);
        on_set(rule, FIELD_OIFNAME, false, SET_BRIDGES);
        denied(rule, DENY_SPOOFED);
    }
    from = ruleset_add_chain(ruleset, TABLE_INET, "from_managed");
    refuse_dhcp_servers(from);
    dispatch_both(from, DISPATCH_EGRESS, true);
    to = ruleset_add_chain(ruleset, TABLE_INET, "to_managed");
    refuse_loopback(to, "a port published for this host alone");
    dispatch_both(to, DISPATCH_INGRESS, false);
}

/*
 * The address first and the interface second: a live address ends the rule after one lookup. What is not live comes back
 * only where it is locked down, and its lock lets this packet pass.
 */
static void check_live(struct chain *chain, bool source)
{
    for (size_t i = 0; i < IP_FAMILIES; i++) {
        struct rule_stmt *rule = chain_add_rule(chain);

        if (source)
            on_set(rule, i == IP4 ? FIELD_IP_SADDR : FIELD_IP6_SADDR, true, i == IP4 ? SET_LIVE4 : SET_LIVE6);
        else
            on_set(rule, i == IP4 ? FIELD_IP_DADDR : FIELD_IP6_DADDR, true, i == IP4 ? SET_LIVE4 : SET_LIVE6);
        on_set(rule, source ? FIELD_IIFNAME : FIELD_OIFNAME, false, SET_BRIDGES);
        verdict(rule, V_JUMP, lock_chain_name(source ? DISPATCH_EGRESS : DISPATCH_INGRESS));
    }
}

static void judge_state(struct chain *chain, const char *unusual)
{
    struct rule_stmt *rule = chain_add_rule(chain);

    on_ct(rule, CT_ESTABLISHED);
    verdict(rule, V_ACCEPT, NULL);
    rule = chain_add_rule(chain);
    on_ct(rule, CT_INVALID | CT_RELATED | CT_UNTRACKED);
    verdict(rule, V_GOTO, unusual);
}

static struct chain *add_base_chain(struct ruleset *ruleset, enum table_id table, const char *name,
                                    enum chain_hook hook, int priority)
{
    struct chain *chain = ruleset_add_chain(ruleset, table, name);

    chain->hook = hook;
    chain->priority = priority;
    return chain;
}

/*
 * What comes from a bridge and goes to the same is a frame between two of its ports, or, seldom, a packet that the host
 * routes back. A drop is final, so it may be marked as judged before it is.
 */
static void mark_same_bridge(struct chain *chain, uint32_t mark)
{
    struct rule_stmt *rule = comment(chain_add_rule(chain), "for the bridge's chain seen");

    on_set2(rule, FIELD_IIFNAME, FIELD_OIFNAME, SET_SAME_BRIDGE);
    change_mark(rule, MARK_SET, mark);
}

/*
 * A packet that says by itself where it is to go on to is, to the rules, one for the host, which sends it to anybody where
 * its settings let it: IPv4 options (accept_source_route) are followed before the forward hook, which sees the host's
 * address still, and a segment routing header (seg6_enabled) behind the input hook. What is for a container is found dead
 * or another's by its address; this is what is not.
 */
static void refuse_routes4(struct chain *chain)
{
    struct rule_stmt *rule = comment(chain_add_rule(chain), "IPv4 options, which can hold a route");

    on_options(rule);
    on_set(rule, FIELD_IIFNAME, false, SET_BRIDGES);
    on_set(rule, FIELD_OIFNAME, true, SET_BRIDGES);
    denied(rule, DENY_PROTOCOL);
}

/* In front of a routing header there may be options; fragments have been put together. */
static void refuse_routes6(struct chain *chain)
{
    static const uint32_t headers[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS};

    for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
        struct rule_stmt *rule = comment(chain_add_rule(chain), "extension headers, which can hold a route");

        on_value(rule, FIELD_IP6_NEXTHDR, false, headers[i]);
        denied(rule, DENY_PROTOCOL);
    }
}

static void build_forward(struct ruleset *ruleset, const struct compile_options *options)
{
    struct chain *chain = add_base_chain(ruleset, TABLE_INET, "forward", HOOK_FORWARD, PRIORITY_INET);
    struct rule_stmt *rule;

    mark_same_bridge(chain, options->mark);
    refuse_routes4(chain);
    check_live(chain, true);
    check_live(chain, false);
    judge_state(chain, "unusual");
    rule = chain_add_rule(chain);
    on_not_syn(rule);
    verdict(rule, V_JUMP, "not_syn");
    vmap(chain_add_rule(chain), FIELD_IIFNAME, MAP_FROM);
    rule = chain_add_rule(chain);
    on_set(rule, FIELD_OIFNAME, false, SET_BRIDGES);
    verdict(rule, V_JUMP, "to_managed");
}

static void refuse_not_syn(struct chain *chain)
{
    struct rule_stmt *rule = comment(chain_add_rule(chain), "new TCP connection without SYN");

    on_not_syn(rule);
    denied(rule, DENY_INVALID);
}

static void build_input(struct ruleset *ruleset)
{
    struct chain *chain = add_base_chain(ruleset, TABLE_INET, "input", HOOK_INPUT, PRIORITY_INET);
    struct rule_stmt *rule;

    /* Frames to 01:80:c2:00:00:0x skip the bridge and reach the host with the port as their interface. */
    rule = comment(chain_add_rule(chain), "past the bridge");
    on_set(rule, FIELD_IIFNAME, false, SET_PORTS);
    denied(rule, DENY_STRAY);
    /*
     * The host's own services may know a container by its address. By the loopback interface come the resets with which
     * the kernel refuses the host a connection to a container in the container's name (reject).
     */
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++) {
        rule = comment(chain_add_rule(chain), "a container's address from outside");
        on_set(rule, source_field(owned[i].family), false, owned[i].set);
        on_set(rule, FIELD_IIFNAME, true, SET_BRIDGES);
        on_set(rule, FIELD_IIFNAME, true, SET_LOOPBACK);
        denied(rule, DENY_SPOOFED);
    }
    rule = comment(chain_add_rule(chain), "not ours");
    on_set(rule, FIELD_IIFNAME, true, SET_BRIDGES);
    verdict(rule, V_ACCEPT, NULL);
    for (size_t i = 0; i < IP_FAMILIES; i++) {
        rule = chain_add_rule(chain);
        on_set(rule, i == IP4 ? FIELD_IP_SADDR : FIELD_IP6_SADDR, true, i == IP4 ? SET_LIVE4 : SET_LIVE6);
        verdict(rule, V_JUMP, lock_chain_name(DISPATCH_HOST_EGRESS));
    }
    refuse_routes6(chain);
    judge_state(chain, "unusual_managed");
    refuse_not_syn(chain);
    refuse_dhcp_servers(chain);
    refuse_loopback(chain, "a loopback address, for this host alone");
    dispatch_both(chain, DISPATCH_HOST_EGRESS, true);
}

/* By address, not by interface: after destination NAT the output interface is still the one of before. */
static void build_output(struct ruleset *ruleset, const struct compile_options *options)
{
    struct chain *to_container = ruleset_add_chain(ruleset, TABLE_INET, "host_to_managed");
    struct chain *to_locked = ruleset_add_chain(ruleset, TABLE_INET, "host_to_not_live");
    struct chain *chain = add_base_chain(ruleset, TABLE_INET, "output", HOOK_OUTPUT, PRIORITY_INET);
    struct rule_stmt *rule;

    judge_state(to_container, "unusual_managed");
    refuse_not_syn(to_container);
    dispatch_both(to_container, DISPATCH_HOST_INGRESS, false);
    verdict(chain_add_rule(to_locked), V_JUMP, lock_chain_name(DISPATCH_HOST_INGRESS));
    verdict(chain_add_rule(to_locked), V_GOTO, "host_to_managed");
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++) {
        rule = chain_add_rule(chain);
        on_set(rule, destination_field(owned[i].family), false, owned[i].set);
        verdict(rule, V_GOTO, i < IP_FAMILIES ? "host_to_managed" : "host_to_not_live");
    }
    if (options->unknown_endpoints == UNKNOWN_INTERNET)
        accept_router_errors(chain, FIELD_OIFNAME, false); /* the host is the first on the way */
    rule = chain_add_rule(chain);
    on_set(rule, FIELD_OIFNAME, false, SET_BRIDGES);
    verdict(rule, V_GOTO, "not_live");
}

/* ---- table bridge ------------------------------------------------------------------------------------- */

static void build_bridge_sets(struct ruleset *ruleset, const struct compile_options *options)
{
    static const enum key_type binding4[] = {KEY_IFNAME, KEY_ETHER_ADDR, KEY_IPV4_ADDR};
    static const enum key_type binding6[] = {KEY_IFNAME, KEY_ETHER_ADDR, KEY_IPV6_ADDR};

    add_set(ruleset, TABLE_BRIDGE, SET_PORTS, KEY_IFNAME);
    ruleset_add_set(ruleset, TABLE_BRIDGE, SET_BINDINGS4, ARRAY_SIZE(binding4), binding4);
    ruleset_add_set(ruleset, TABLE_BRIDGE, SET_BINDINGS6, ARRAY_SIZE(binding6), binding6);
    add_set(ruleset, TABLE_BRIDGE, SET_LIVE4, KEY_IPV4_ADDR);
    add_set(ruleset, TABLE_BRIDGE, SET_LIVE6, KEY_IPV6_ADDR);
    if (options->unknown_endpoints == UNKNOWN_INTERNET)
        add_set(ruleset, TABLE_BRIDGE, SET_FREE_PORTS, KEY_IFNAME);
    lockdown_build_bridge_sets(ruleset);
}

/* Where a frame says whose it is, and the live addresses that it could claim. */
static const struct {
    enum field field;
    const char *live;
} claims[] = {{FIELD_IP_SADDR, SET_LIVE4}, {FIELD_IP6_SADDR, SET_LIVE6}, {FIELD_ARP_SADDR_IP, SET_LIVE4}};

/* With unknown_endpoints: internet, a port that no container has may use any address that no container has. */
static void accept_unowned(struct chain *chain)
{
    for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
        struct rule_stmt *rule = comment(chain_add_rule(chain), "unknown_endpoints: internet");

        on_set(rule, FIELD_IIFNAME, false, SET_FREE_PORTS);
        on_set(rule, claims[i].field, true, claims[i].live);
        verdict(rule, V_ACCEPT, NULL);
    }
}

/*
 * A port that we have not heard of is another program's, or appeared while no daemon ran. The frames of the former
 * are not ours to judge, but a container's address is never theirs: whoever starts at the address of a container that
 * stopped unseen must not have its permissions.
 */
static void refuse_claims(struct chain *chain)
{
    for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
        struct rule_stmt *rule = comment(chain_add_rule(chain), "a container's address at another port");

        on_set(rule, claims[i].field, false, claims[i].live);
        denied(rule, DENY_SPOOFED);
    }
    discovery_refuse_claims(chain); /* the host would believe them, and send there what is the container's */
}

static void refuse_delivery(struct chain *chain)
{
    for (size_t i = 0; i < IP_FAMILIES; i++) {
        struct rule_stmt *rule = comment(chain_add_rule(chain), "a container's address at another port");

        on_set(rule, i == IP4 ? FIELD_IP_DADDR : FIELD_IP6_DADDR, false, i == IP4 ? SET_LIVE4 : SET_LIVE6);
        counted(rule, V_DROP, NULL);
    }
}

static void build_bridge_in(struct ruleset *ruleset, const struct compile_options *options)
{
    struct chain *chain =
        add_base_chain(ruleset, TABLE_BRIDGE, "prerouting", HOOK_PREROUTING, PRIORITY_BRIDGE_IN);
    struct rule_stmt *rule;

    rule = comment(chain_add_rule(chain), "neither IPv4 nor IPv6 nor ARP, or tagged");
    on_value(rule, FIELD_ETHER_TYPE, true, ETHER_IP);
    on_value(rule, FIELD_ETHER_TYPE, true, ETHER_IP6);
    on_value(rule, FIELD_ETHER_TYPE, true, ETHER_ARP);
    on_set(rule, FIELD_IIFNAME, false, SET_PORTS);
    denied(rule, DENY_PROTOCOL);

    discovery_check_ip(chain);
    rule = chain_add_rule(chain);
    on_set3(rule, FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_IP_SADDR, SET_BINDINGS4);
    verdict(rule, V_ACCEPT, NULL);
    rule = chain_add_rule(chain);
    on_set3(rule, FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_IP6_SADDR, SET_BINDINGS6);
    verdict(rule, V_ACCEPT, NULL);
    discovery_check_arp(chain);
    /* The frame's own sender and the one named inside must both be ours. */
    rule = chain_add_rule(chain);
    on_set3(rule, FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_ARP_SADDR_IP, SET_BINDINGS4);
    on_set3(rule, FIELD_IIFNAME, FIELD_ARP_SADDR_ETHER, FIELD_ARP_SADDR_IP, SET_BINDINGS4);
    verdict(rule, V_ACCEPT, NULL);
    if (options->unknown_endpoints == UNKNOWN_INTERNET)
        accept_unowned(chain);
    lockdown_refuse_sealed(chain, FIELD_IIFNAME);
    rule = comment(chain_add_rule(chain), "not this port's address");
    on_set(rule, FIELD_IIFNAME, false, SET_PORTS);
    denied(rule, DENY_SPOOFED);
    refuse_claims(chain);
}

/* What may leave by a port: frames to the port's own MAC and address, and what asks for them. */
static void build_deliver(struct ruleset *ruleset, const struct compile_options *options)
{
    static const struct {
        uint32_t type;
        const char *to;
    } multicast[] = {{ND_NEIGHBOR_SOLICIT, "ff02::1:ff00:0/104"}, {ND_NEIGHBOR_ADVERT, "ff02::1/128"}};
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "deliver");
    struct rule_stmt *rule;

    rule = chain_add_rule(chain);
    on_set3(rule, FIELD_OIFNAME, FIELD_ETHER_DADDR, FIELD_IP_DADDR, SET_BINDINGS4);
    verdict(rule, V_ACCEPT, NULL);
    rule = chain_add_rule(chain);
    on_set3(rule, FIELD_OIFNAME, FIELD_ETHER_DADDR, FIELD_IP6_DADDR, SET_BINDINGS6);
    verdict(rule, V_ACCEPT, NULL);
    lockdown_refuse_sealed(chain, FIELD_OIFNAME);
    rule = chain_add_rule(chain);
    on_value(rule, FIELD_ETHER_TYPE, false, ETHER_ARP);
    verdict(rule, V_ACCEPT, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(multicast); i++) {
        struct cidr to = {0};

        cidr_parse(multicast[i].to, &to);
        rule = chain_add_rule(chain);
        on_value(rule, FIELD_ICMPV6_TYPE, false, multicast[i].type);
        on_prefix(rule, FIELD_IP6_DADDR, to);
        verdict(rule, V_ACCEPT, NULL);
    }
    if (options->unknown_endpoints == UNKNOWN_INTERNET) {
        rule = comment(chain_add_rule(chain), "unknown_endpoints: internet");
        on_set(rule, FIELD_OIFNAME, false, SET_FREE_PORTS);
        verdict(rule, V_ACCEPT, NULL);
    }
    rule = comment(chain_add_rule(chain), "not this port's address");
    on_set(rule, FIELD_OIFNAME, false, SET_PORTS);
    counted(rule, V_DROP, NULL); /* a bridge that does not know the port yet sends to all of them */
    refuse_delivery(chain);
}

static void clear_mark(struct chain *chain, enum field port, uint32_t mark, enum table_verdict how)
{
    struct rule_stmt *rule = chain_add_rule(chain);

    on_mark(rule, mark);
    on_set(rule, port, false, SET_PORTS);
    change_mark(rule, MARK_CLEAR, mark);
    verdict(rule, how, NULL);
}

/*
 * Neighbours have nothing to hear from a port that no container has: what it may say to others goes by way of the host.
 * The inet rules refuse the rest of its frames, whose sources are not live; they see no ARP, and not whose neighbour
 * discovery is.
 */
static void build_neighbours(struct ruleset *ruleset, const struct compile_options *options)
{
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "neighbours");
    struct rule_stmt *rule = comment(chain_add_rule(chain), "from a port that is no container's");

    on_set(rule, FIELD_IIFNAME, true, SET_PORTS);
    on_set(rule, FIELD_OIFNAME, false, SET_PORTS);
    denied(rule, DENY_UNKNOWN);
    if (options->unknown_endpoints == UNKNOWN_INTERNET) {
        rule = comment(chain_add_rule(chain), "from a port that is no container's");
        on_set(rule, FIELD_IIFNAME, false, SET_FREE_PORTS);
        on_set(rule, FIELD_OIFNAME, false, SET_PORTS);
        denied(rule, DENY_UNKNOWN);
    }
    lockdown_refuse_neighbours(chain);
}

static void ask_neighbours(struct chain *chain, enum field field, uint32_t value)
{
    struct rule_stmt *rule = chain_add_rule(chain);

    on_value(rule, field, false, value);
    verdict(rule, V_JUMP, "neighbours");
}

static void build_bridge_out(struct ruleset *ruleset, const struct compile_options *options)
{
    struct chain *forward =
        add_base_chain(ruleset, TABLE_BRIDGE, "forward", HOOK_FORWARD, PRIORITY_BRIDGE_OUT);
    struct chain *output = add_base_chain(ruleset, TABLE_BRIDGE, "output", HOOK_OUTPUT, PRIORITY_BRIDGE_OUT);

    ask_neighbours(forward, FIELD_ETHER_TYPE, ETHER_ARP);
    ask_neighbours(forward, FIELD_L4PROTO, IPPROTO_ICMPV6);
    /* Whoever else set it: from here to chain seen, only the inet rules can. */
    clear_mark(forward, FIELD_IIFNAME, options->mark, V_NONE);
    clear_mark(forward, FIELD_OIFNAME, options->mark, V_NONE);
    verdict(chain_add_rule(forward), V_JUMP, "deliver");
    clear_mark(output, FIELD_OIFNAME, options->mark, V_NONE); /* routed back into its bridge */
    verdict(chain_add_rule(output), V_JUMP, "deliver");
}

/*
 * The inet rules see frames between ports only while their bridge's nf_call_iptables and nf_call_ip6tables are on, and
 * that is for anybody to change, or for a bridge made anew to lack. So nothing passes without their mark; the mark goes
 * no further.
 */
static void build_bridge_seen(struct ruleset *ruleset, const struct compile_options *options)
{
    static const enum field ports[] = {FIELD_IIFNAME, FIELD_OIFNAME};
    struct chain *chain = add_base_chain(ruleset, TABLE_BRIDGE, "seen", HOOK_FORWARD, PRIORITY_BRIDGE_SEEN);

    for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
        clear_mark(chain, ports[i], options->mark, V_ACCEPT);
    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        struct rule_stmt *rule =
            comment(chain_add_rule(chain), "not seen by the inet rules: bridge netfilter is off");

        on_value(rule, FIELD_ETHER_TYPE, true, ETHER_ARP);
        on_set(rule, ports[i], false, SET_PORTS);
        denied(rule, DENY_UNSEEN);
    }
}

void skeleton_build(struct ruleset *ruleset, const struct compile_options *options)
{
    deny_log_build(ruleset, options);
    build_bridge_sets(ruleset, options);
    discovery_build(ruleset, options);
    build_bridge_in(ruleset, options);
    build_deliver(ruleset, options);
    build_neighbours(ruleset, options);
    build_bridge_out(ruleset, options);
    build_bridge_seen(ruleset, options);

    build_inet_sets(ruleset, options);
    build_not_live(ruleset);
    if (options->unknown_endpoints == UNKNOWN_INTERNET)
        build_unknown(ruleset);
    lockdown_build(ruleset);
    build_unusual(ruleset);
    build_missed(ruleset);
    build_dispatch(ruleset);
    build_forward(ruleset, options);
    build_input(ruleset);
    build_output(ruleset, options);
    deny_log_divert_all(ruleset);
}
