// SPDX-License-Identifier: GPL-2.0-or-later
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

/* ---- running a packet through the ruleset ------------------------------------------------------------- */

/* What a field of the packet says, as a set key; false when the packet has no such field. */
static bool load_field(const struct packet *packet, enum field field, uint8_t *key)
{
    switch (field) {
    case FIELD_IIFNAME:
        strncpy((char *)key, packet->iif, 15);
        return true;
    case FIELD_OIFNAME:
        strncpy((char *)key, packet->oif, 15);
        return true;
    case FIELD_IP_SADDR:
    case FIELD_CT_ORIGINAL_IP_SADDR: /* the first packet, and nothing is translated here */
        ip_to_bytes(packet->source, key);
        return packet->source.family == IP4;
    case FIELD_IP6_SADDR:
    case FIELD_CT_ORIGINAL_IP6_SADDR:
        ip_to_bytes(packet->source, key);
        return packet->source.family == IP6;
    case FIELD_IP_DADDR:
    case FIELD_CT_ORIGINAL_IP_DADDR:
    case FIELD_CT_REPLY_IP_SADDR:
        ip_to_bytes(packet->destination, key);
        return packet->destination.family == IP4;
    case FIELD_IP6_DADDR:
    case FIELD_CT_ORIGINAL_IP6_DADDR:
    case FIELD_CT_REPLY_IP6_SADDR:
        ip_to_bytes(packet->destination, key);
        return packet->destination.family == IP6;
    case FIELD_ICMP_TYPE:
        key[0] = (uint8_t)packet->port;
        return packet->proto == IPPROTO_ICMP && packet->source.family == IP4;
    case FIELD_ICMPV6_TYPE:
        key[0] = (uint8_t)packet->port;
        return packet->proto == IPPROTO_ICMPV6 && packet->source.family == IP6;
    case FIELD_L4PROTO:
        key[0] = packet->proto;
        return true;
    case FIELD_TH_SPORT: /* for meters alone, which hold nothing here */
    case FIELD_TH_DPORT:
        return true;
    case FIELD_IIF:
    case FIELD_IP6_HOPLIMIT:
    case FIELD_NFPROTO:
    case FIELD_TCP_DPORT:
    case FIELD_UDP_SPORT:
    case FIELD_UDP_DPORT:
    case FIELD_SCTP_DPORT:
    case FIELD_ETHER_SADDR:
    case FIELD_ETHER_DADDR:
    case FIELD_ETHER_TYPE:
    case FIELD_ARP_HTYPE:
    case FIELD_ARP_PTYPE:
    case FIELD_ARP_HLEN:
    case FIELD_ARP_PLEN:
    case FIELD_ARP_OPERATION:
    case FIELD_ARP_SADDR_ETHER:
    case FIELD_ARP_SADDR_IP:
    case FIELD_IP6_LENGTH:
    case FIELD_IP6_NEXTHDR:
    case FIELD_IGMP_TYPE:
    case FIELD_ND_TARGET:
    case FIELD_ND_OPTION:
    case FIELD_ND_OPTION_MAC:
    case FIELDS:
        break;
    }
    fail_msg("field %d in a set lookup of table inet", (int)field);
    return false;
}

static bool load_number(const struct packet *packet, enum field field, uint32_t *ret)
{
    static const struct {
        enum field field;
        uint8_t proto;
    } ports[] = {{FIELD_TCP_DPORT, IPPROTO_TCP},
                 {FIELD_UDP_DPORT, IPPROTO_UDP},
                 {FIELD_SCTP_DPORT, IPPROTO_SCTP},
                 {FIELD_ICMP_TYPE, IPPROTO_ICMP},
                 {FIELD_ICMPV6_TYPE, IPPROTO_ICMPV6}};

    *ret = packet->port;
    if (field == FIELD_UDP_SPORT) {
        *ret = packet->source_port ? packet->source_port : 50000;
        return packet->proto == IPPROTO_UDP;
    }
    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        if (ports[i].field == field)
            return packet->proto == ports[i].proto;
    }
    if (field == FIELD_L4PROTO)
        *ret = packet->proto;
    else if (field == FIELD_IIF)
        *ret = packet->hook != HOOK_OUTPUT;
    else if (field == FIELD_NFPROTO)
        *ret = packet->source.family == IP4 ? AF_INET : AF_INET6;
    else if (field == FIELD_IP6_NEXTHDR)
        *ret = packet->proto;
    else if (field == FIELD_IP6_HOPLIMIT)
        *ret = 64;
    else
        fail_msg("field %d compared with a number", (int)field);
    return true;
}

static bool load_key(const struct packet *packet, const struct match *match, const struct set *set,
                     uint8_t *key)
{
    assert_int_equal(match->n_fields, set->n_key);
    for (size_t i = 0; i < match->n_fields; i++) {
        if (!load_field(packet, match->fields[i], key))
            return false;
        key += key_type_padded(set->key[i]);
    }
    return true;
}

static bool in_interval(const struct set *set, const uint8_t *key)
{
    for (const struct element *element = set->elements; element; element = element->hh.next) {
        if (memcmp(key, element->key, set->key_len) >= 0 && memcmp(key, element->key_end, set->key_len) <= 0)
            return true;
    }
    return false;
}

static bool matches(const struct ruleset *ruleset, const struct packet *packet, const struct match *match)
{
    uint8_t key[KEY_BYTES_MAX] = {0};
    const struct set *set;
    struct ip address;
    uint32_t number;

    switch (match->kind) {
    case MATCH_VALUE:
        return load_number(packet, match->fields[0], &number) && (number == match->first) != match->negate;
    case MATCH_RANGE:
        return load_number(packet, match->fields[0], &number) && number >= match->first &&
               number <= match->last;
    case MATCH_PREFIX:
        if (!load_field(packet, match->fields[0], key))
            return false;
        address = ip_from_bytes(match->prefix.net.family, key);
        return cidr_contains(&match->prefix, address);
    case MATCH_SET:
        set = table_set(&ruleset->tables[TABLE_INET], match->set);
        assert_non_null(set);
        if (!load_key(packet, match, set, key))
            return false;
        return (set->interval ? in_interval(set, key) : set_find(set, key) != NULL) != match->negate;
    case MATCH_CT_STATE:
        return match->ct_states & CT_NEW;
    case MATCH_NOT_SYN:
    case MATCH_OPTIONS:
        return false;
    case MATCH_MARK:
        return (packet->mark & match->mark) != 0;
    case MATCH_UPDATE: /* whatever it is, what follows only logs */
        return true;
    }
    return false;
}

static enum table_verdict run_chain(const struct ruleset *ruleset, struct packet *packet, const char *name);

static enum table_verdict follow(const struct ruleset *ruleset, struct packet *packet,
                                 enum table_verdict verdict, const char *target)
{
    if (verdict == V_JUMP || verdict == V_GOTO) {
        enum table_verdict result = run_chain(ruleset, packet, target);

        return result == V_RETURN ? (verdict == V_GOTO ? V_RETURN : V_NONE) : result;
    }
    return verdict;
}

static enum table_verdict run_rule(const struct ruleset *ruleset, struct packet *packet,
                                   const struct rule_stmt *rule)
{
    const struct element *element;
    uint8_t key[KEY_BYTES_MAX] = {0};
    const struct set *map;

    for (size_t i = 0; i < rule->n_matches; i++) {
        if (!matches(ruleset, packet, &rule->matches[i]))
            return V_NONE;
    }
    if (rule->mark_change == MARK_SET)
        packet->mark |= rule->mark;
    else if (rule->mark_change == MARK_CLEAR)
        packet->mark &= ~rule->mark;
    if (!rule->vmap)
        return follow(ruleset, packet, rule->verdict, rule->target);
    map = table_set(&ruleset->tables[TABLE_INET], rule->vmap);
    assert_non_null(map);
    if (!load_field(packet, rule->vmap_field, key))
        return V_NONE;
    element = set_find(map, key);
    if (!element)
        element = map->catchall;
    return element ? follow(ruleset, packet, element->verdict, element->target) : V_NONE;
}

static enum table_verdict run_chain(const struct ruleset *ruleset, struct packet *packet, const char *name)
{
    const struct chain *chain = table_chain(&ruleset->tables[TABLE_INET], name);

    assert_non_null(chain);
    for (size_t i = 0; i < chain->n_rules; i++) {
        enum table_verdict verdict = run_rule(ruleset, packet, &chain->rules[i]);

        if (verdict != V_NONE)
            return verdict;
    }
    return V_RETURN;
}

bool kernel_passes(const struct ruleset *ruleset, const struct packet *packet, uint32_t *ret_mark)
{
    struct packet judged = *packet;
    enum table_verdict verdict = run_chain(ruleset, &judged, hook_name(packet->hook));

    if (ret_mark)
        *ret_mark = judged.mark;
    return verdict == V_ACCEPT || verdict == V_RETURN; /* the chains' own policy is accept */
}

/* ---- comparing ---------------------------------------------------------------------------------------- */

static void assert_same_elements(const struct set *a, const struct set *b)
{
    assert_true(set_same_type(a, b));
    if (set_count(a) != set_count(b))
        fail_msg("set %s has %zu and %zu elements", a->name, set_count(a), set_count(b));
    for (const struct element *element = a->elements; element; element = element->hh.next) {
        const struct element *other = set_find(b, element->key);

        if (!other || !element_equal(a, element, other))
            fail_msg("an element of set %s is not the same", a->name);
    }
}

void assert_contains(const struct ruleset *whole, const struct ruleset *part)
{
    for (size_t i = 0; i < TABLES; i++) {
        for (const struct chain *chain = part->tables[i].chains; chain; chain = chain->hh.next) {
            const struct chain *other = table_chain(&whole->tables[i], chain->name);

            if (!other || !chain_equal(chain, other))
                fail_msg("chain %s is %s", chain->name, other ? "different" : "missing");
        }
        for (const struct set *set = part->tables[i].sets; set; set = set->hh.next) {
            const struct set *other = table_set(&whole->tables[i], set->name);

            if (!other)
                fail_msg("set %s is missing", set->name);
            assert_same_elements(set, other);
        }
    }
}
