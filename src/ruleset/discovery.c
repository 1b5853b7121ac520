// SPDX-License-Identifier: GPL-2.0-or-later
#include "discovery.h"

#include <linux/if_ether.h>
#include <linux/igmp.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

#include "build.h"
#include "util/mem.h"

/* Bytes behind the IPv6 header: solicitation and advertisement alone, and with one option of eight bytes. */
#define ND_BYTES 24u
#define ND_BYTES_OPTION 32u
#define ND_OPTION(type) ((uint32_t)(type) << 8 | 1) /* the length is in units of eight bytes: RFC 4861, 4.6 */
#define ND_OPT_NONCE 14                             /* RFC 7527 */
#define MLD2_LISTENER_REPORT 143                    /* RFC 3810 */

static const uint8_t router_messages[] = {
    MLD_LISTENER_QUERY,
    ND_ROUTER_SOLICIT,
    ND_ROUTER_ADVERT,
    ND_REDIRECT,
    151,
    152,
    153 /* RFC 4286: multicast routers */
};
static const uint8_t membership_reports[] = {IGMP_HOST_MEMBERSHIP_REPORT, IGMPV2_HOST_MEMBERSHIP_REPORT,
                                             IGMPV3_HOST_MEMBERSHIP_REPORT, IGMP_HOST_LEAVE_MESSAGE};
static const uint8_t listener_reports[] = {MLD_LISTENER_REPORT, MLD_LISTENER_REDUCTION, MLD2_LISTENER_REPORT};

void discovery_refuse_hidden(struct chain *chain)
{
    struct rule_stmt *rule = comment(chain_add_rule(chain), "neighbour discovery behind other headers");

    on_set(rule, FIELD_ICMPV6_TYPE, false, SET_NEIGHBOUR_DISCOVERY);
    on_value(rule, FIELD_IP6_NEXTHDR, true, IPPROTO_ICMPV6);
    denied(rule, DENY_PROTOCOL);
}

static void build_sets(struct ruleset *ruleset)
{
    static const enum key_type targets[] = {KEY_IFNAME, KEY_ETHER_ADDR, KEY_ND_TARGET};
    static const enum key_type macs[] = {KEY_IFNAME, KEY_ND_OPTION_MAC}, taken = KEY_ND_TARGET;

    ruleset_add_set(ruleset, TABLE_BRIDGE, SET_TARGETS6, ARRAY_SIZE(targets), targets);
    ruleset_add_set(ruleset, TABLE_BRIDGE, SET_OPTION_MACS6, ARRAY_SIZE(macs), macs);
    ruleset_add_set(ruleset, TABLE_BRIDGE, SET_TAKEN6, 1, &taken);
    add_neighbour_discovery(ruleset, TABLE_BRIDGE);
    add_byte_set(ruleset, TABLE_BRIDGE, SET_ROUTER_MESSAGES, KEY_ICMPV6_TYPE, ARRAY_SIZE(router_messages),
                 router_messages);
    add_byte_set(ruleset, TABLE_BRIDGE, SET_LISTENER_REPORTS, KEY_ICMPV6_TYPE, ARRAY_SIZE(listener_reports),
                 listener_reports);
}

static void on_own_target(struct rule_stmt *rule)
{
    on_set3(rule, FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_ND_TARGET, SET_TARGETS6);
}

/* One option, which says the port's own MAC. */
static void on_own_option(struct rule_stmt *rule, unsigned type)
{
    on_value(rule, FIELD_IP6_LENGTH, false, ND_BYTES_OPTION);
    on_value(rule, FIELD_ND_OPTION, false, ND_OPTION(type));
    on_set2(rule, FIELD_IIFNAME, FIELD_ND_OPTION_MAC, SET_OPTION_MACS6);
}

static void drop_rest(struct chain *chain, const char *why, enum deny_point point)
{
    denied(comment(chain_add_rule(chain), why), point);
}

/* "Has anybody this address already?" (RFC 4862, 5.4): whoever asks for a neighbour's makes it give it up. */
static void build_probe(struct ruleset *ruleset)
{
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "probe");
    struct rule_stmt *rule = chain_add_rule(chain);

    on_value(rule, FIELD_IP6_LENGTH, false, ND_BYTES);
    on_own_target(rule);
    verdict(rule, V_RETURN, NULL);
    rule = chain_add_rule(chain);
    on_value(rule, FIELD_IP6_LENGTH, false, ND_BYTES_OPTION);
    on_value(rule, FIELD_ND_OPTION, false, ND_OPTION(ND_OPT_NONCE));
    on_own_target(rule);
    verdict(rule, V_RETURN, NULL);
    drop_rest(chain, "a search for its own address that is not this port's", DENY_SPOOFED);
}

/* Whoever hears the question learns from it where the sender's address is. The address asked for may be anybody's. */
static void build_solicit(struct ruleset *ruleset)
{
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "solicit");
    struct rule_stmt *rule = chain_add_rule(chain);

    on_prefix(rule, FIELD_IP6_SADDR, (struct cidr){.net = {.num = 0, .family = IP6}, .len = 128});
    verdict(rule, V_GOTO, "probe");
    rule = chain_add_rule(chain);
    on_value(rule, FIELD_IP6_LENGTH, false, ND_BYTES);
    verdict(rule, V_RETURN, NULL);
    rule = chain_add_rule(chain);
    on_own_option(rule, ND_OPT_SOURCE_LINKADDR);
    verdict(rule, V_RETURN, NULL);
    drop_rest(chain, "neighbour solicitation with another's hardware address", DENY_SPOOFED);
}

static void build_advertise(struct ruleset *ruleset)
{
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "advertise");
    struct rule_stmt *rule = chain_add_rule(chain);

    on_value(rule, FIELD_IP6_LENGTH, false, ND_BYTES);
    on_own_target(rule);
    verdict(rule, V_RETURN, NULL);
    rule = chain_add_rule(chain);
    on_own_option(rule, ND_OPT_TARGET_LINKADDR);
    on_own_target(rule);
    verdict(rule, V_RETURN, NULL);
    drop_rest(chain, "neighbour advertisement of another's address", DENY_SPOOFED);
}

void discovery_refuse_claims(struct chain *chain)
{
    struct rule_stmt *rule = comment(chain_add_rule(chain), "a container's address at another port");

    on_value(rule, FIELD_ICMPV6_TYPE, false, ND_NEIGHBOR_ADVERT);
    on_set(rule, FIELD_ND_TARGET, false, SET_TAKEN6);
    denied(rule, DENY_SPOOFED);
}

/* With unknown_endpoints: internet, a port that no container has may speak of any address that no container has. */
static void build_free_port(struct ruleset *ruleset, struct chain *from)
{
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "free_port");
    struct rule_stmt *rule = chain_add_rule(from);

    on_set(rule, FIELD_IIFNAME, false, SET_FREE_PORTS);
    verdict(rule, V_GOTO, "free_port");
    discovery_refuse_claims(chain);
}

/* What returns from here is judged by its addresses as all else. */
static void build_discovery(struct ruleset *ruleset, const struct compile_options *options)
{
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "discovery");
    struct rule_stmt *rule = comment(chain_add_rule(chain), "no container is a router");

    on_set(rule, FIELD_ICMPV6_TYPE, false, SET_ROUTER_MESSAGES);
    denied(rule, DENY_PROTOCOL);
    discovery_refuse_hidden(chain);
    if (options->unknown_endpoints == UNKNOWN_INTERNET)
        build_free_port(ruleset, chain);
    rule = chain_add_rule(chain);
    on_value(rule, FIELD_ICMPV6_TYPE, false, ND_NEIGHBOR_SOLICIT);
    verdict(rule, V_GOTO, "solicit");
    rule = chain_add_rule(chain);
    on_value(rule, FIELD_ICMPV6_TYPE, false, ND_NEIGHBOR_ADVERT);
    verdict(rule, V_GOTO, "advertise");
}

/*
 * Options for every router on the way: of what a container says, only reports of multicast listeners carry them. Behind
 * them, and behind a fragment header, a forged query would be seen only when it is put together again, by the bridge.
 */
static void build_hop_by_hop(struct ruleset *ruleset)
{
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "hop_by_hop");
    struct rule_stmt *rule = chain_add_rule(chain);

    on_set(rule, FIELD_ICMPV6_TYPE, false, SET_LISTENER_REPORTS);
    verdict(rule, V_RETURN, NULL);
    drop_rest(chain, "hop-by-hop options, and no multicast listener's report", DENY_PROTOCOL);
}

/* A bridge takes who asks for members, or says that it is a multicast router (RFC 4286), for one that gets all groups. */
static void build_membership(struct ruleset *ruleset)
{
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "membership");

    for (size_t i = 0; i < ARRAY_SIZE(membership_reports); i++) {
        struct rule_stmt *rule = chain_add_rule(chain);

        on_value(rule, FIELD_ETHER_TYPE, false, ETH_P_IP);
        on_value(rule, FIELD_IGMP_TYPE, false, membership_reports[i]);
        verdict(rule, V_RETURN, NULL);
    }
    drop_rest(chain, "no container is a router", DENY_PROTOCOL);
}

/* What a neighbour would make of ARP in other formats is for it to know. RFC 826 */
static void build_arp(struct ruleset *ruleset)
{
    static const struct {
        enum field field;
        uint32_t value;
    } format[] = {{FIELD_ARP_HTYPE, ARPHRD_ETHER},
                  {FIELD_ARP_PTYPE, ETH_P_IP},
                  {FIELD_ARP_HLEN, ETH_ALEN},
                  {FIELD_ARP_PLEN, sizeof(struct in_addr)}};
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "arp_format");
    struct rule_stmt *rule;

    for (size_t i = 0; i < ARRAY_SIZE(format); i++) {
        rule = comment(chain_add_rule(chain), "ARP, but not of IPv4 over Ethernet");
        on_value(rule, format[i].field, true, format[i].value);
        denied(rule, DENY_PROTOCOL);
    }
    rule = comment(chain_add_rule(chain), "ARP, but neither request nor reply");
    on_value(rule, FIELD_ARP_OPERATION, true, ARPOP_REQUEST);
    on_value(rule, FIELD_ARP_OPERATION, true, ARPOP_REPLY);
    denied(rule, DENY_PROTOCOL);
}

void discovery_build(struct ruleset *ruleset, const struct compile_options *options)
{
    build_sets(ruleset);
    build_probe(ruleset);
    build_solicit(ruleset);
    build_advertise(ruleset);
    build_discovery(ruleset, options);
    build_hop_by_hop(ruleset);
    build_membership(ruleset);
    build_arp(ruleset);
}

void discovery_check_ip(struct chain *chain)
{
    struct rule_stmt *rule = chain_add_rule(chain);

    on_value(rule, FIELD_L4PROTO, false, IPPROTO_IGMP);
    on_set(rule, FIELD_IIFNAME, false, SET_PORTS);
    verdict(rule, V_JUMP, "membership");
    rule = comment(chain_add_rule(chain), "no container is a router");
    on_value(rule, FIELD_L4PROTO, false, IPPROTO_PIM);
    on_set(rule, FIELD_IIFNAME, false, SET_PORTS);
    denied(rule, DENY_PROTOCOL);
    rule = chain_add_rule(chain);
    on_value(rule, FIELD_L4PROTO, false, IPPROTO_ICMPV6);
    on_set(rule, FIELD_IIFNAME, false, SET_PORTS);
    verdict(rule, V_JUMP, "discovery");
    rule = comment(chain_add_rule(chain), "hop-by-hop options");
    on_value(rule, FIELD_IP6_NEXTHDR, false, IPPROTO_HOPOPTS);
    on_set(rule, FIELD_IIFNAME, false, SET_PORTS);
    verdict(rule, V_JUMP, "hop_by_hop");
}

void discovery_check_arp(struct chain *chain)
{
    struct rule_stmt *rule = chain_add_rule(chain);

    on_value(rule, FIELD_ETHER_TYPE, false, ETH_P_ARP);
    on_set(rule, FIELD_IIFNAME, false, SET_PORTS);
    verdict(rule, V_JUMP, "arp_format");
}
