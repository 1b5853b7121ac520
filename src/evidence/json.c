/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "evidence/json.h"

#include <string.h>

#include "inventory/json.h"
#include "ruleset/print.h"
#include "util/utc.h"

/* ---- connections -------------------------------------------------------------------------------------- */

static json_t *ip_json(struct ip ip)
{
    char text[IP_TEXT_MAX];

    return json_string(ip_format(ip, text));
}

static json_t *tuple_json(const struct flow *flow, const struct flow_tuple *tuple,
                          const struct flow_counters *counters)
{
    json_t *object =
        json_pack("{s:o, s:o}", "source", ip_json(tuple->source), "destination", ip_json(tuple->destination));

    if (flow->has_ports) {
        json_object_set_new(object, "source_port", json_integer(tuple->source_port));
        json_object_set_new(object, "destination_port", json_integer(tuple->destination_port));
    }
    if (flow->has_counters) {
        json_object_set_new(object, "packets", json_integer((json_int_t)counters->packets));
        json_object_set_new(object, "bytes", json_integer((json_int_t)counters->bytes));
    }
    return object;
}

static json_t *protocol_json(uint8_t proto)
{
    static const struct {
        uint8_t number;
        const char *name;
    } names[] = {{1, "icmp"}, {6, "tcp"},     {17, "udp"},   {33, "dccp"},
                 {47, "gre"}, {58, "icmpv6"}, {132, "sctp"}, {136, "udplite"}};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].number == proto)
            return json_string(names[i].name);
    return json_integer(proto);
}

/* nf_conntrack_tcp.h, as conntrack(8) has them. */
static const char *tcp_state(uint8_t state)
{
    static const char *const names[] = {"NONE",       "SYN_SENT", "SYN_RECV",  "ESTABLISHED", "FIN_WAIT",
                                        "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",       "SYN_SENT2"};

    return state < ARRAY_SIZE(names) ? names[state] : "?";
}

static json_t *status_json(const struct flow *flow)
{
    const struct {
        bool is;
        const char *name;
    } words[] = {{flow->confirmed, "confirmed"},
                 {flow->assured, "assured"},
                 {flow->snat, "snat"},
                 {flow->dnat, "dnat"},
                 {flow->expected, "expected"}};
    json_t *list = json_array();

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (words[i].is)
            json_array_append_new(list, json_string(words[i].name));
    return list;
}

static json_t *zones_json(const struct flow *flow)
{
    return json_pack("{s:i, s:i, s:i}", "both", flow->zone, "original", flow->zone_original, "reply",
                     flow->zone_reply);
}

json_t *evidence_flow_to_json(const struct flow *flow)
{
    json_t *object = json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "protocol", protocol_json(flow->proto),
                               "original", tuple_json(flow, &flow->original, &flow->original_counters),
                               "reply", tuple_json(flow, &flow->reply, &flow->reply_counters), "status",
                               status_json(flow), "timeout", (json_int_t)flow->timeout, "mark",
                               (json_int_t)flow->mark, "id", (json_int_t)flow->id);

    if (flow->proto == 6)
        json_object_set_new(object, "tcp_state", json_string(tcp_state(flow->tcp_state)));
    if (flow->proto == 1 || flow->proto == 58)
        json_object_set_new(object, "icmp",
                            json_pack("{s:i, s:i, s:i}", "type", flow->icmp_type, "code", flow->icmp_code,
                                      "id", flow->icmp_id));
    if (!flow_in_default_zone(flow))
        json_object_set_new(object, "zone", zones_json(flow));
    if (flow->start_ns) {
        _cleanup_free_ char *start = utc_text(flow->start_ns / 1000000000);

        json_object_set_new(object, "start", json_string(start));
    }
    return object;
}

/* ---- neighbours --------------------------------------------------------------------------------------- */

json_t *evidence_neighbour_to_json(const struct neighbour *neighbour, const char *bridge)
{
    json_t *object =
        json_pack("{s:s, s:o, s:s}", "table", neighbour->is_fdb ? "bridge" : "host", "interface",
                  json_text_or_null(neighbour->interface), "state", neighbour_state_name(neighbour->state));
    char text[MAC_TEXT_MAX];

    if (bridge)
        json_object_set_new(object, "bridge", json_text_or_null(bridge));
    if (!neighbour->is_fdb)
        json_object_set_new(object, "address", ip_json(neighbour->ip));
    if (neighbour->has_mac)
        json_object_set_new(object, "mac", json_string(mac_format(&neighbour->mac, text)));
    if (neighbour->vlan)
        json_object_set_new(object, "vlan", json_integer(neighbour->vlan));
    return object;
}

bool evidence_is_neighbour_of(const struct container *container, const struct neighbour *neighbour)
{
    for (size_t i = 0; i < container->n_endpoints; i++) {
        const struct endpoint *endpoint = &container->endpoints[i];

        if (!neighbour->is_fdb && endpoint->has_ip[neighbour->ip.family] &&
            ip_equal(endpoint->ip[neighbour->ip.family], neighbour->ip))
            return true;
        if (endpoint->has_mac && neighbour->has_mac &&
            memcmp(endpoint->mac.bytes, neighbour->mac.bytes, sizeof(endpoint->mac.bytes)) == 0)
            return true;
        if (endpoint->port[0] && strcmp(endpoint->port, neighbour->interface) == 0)
            return true;
    }
    return false;
}

/* ---- rules -------------------------------------------------------------------------------------------- */

static bool field_is_of(enum key_type type, const uint8_t *bytes, const struct endpoint *endpoint)
{
    enum ip_family family = type == KEY_IPV4_ADDR ? IP4 : IP6;

    switch (type) {
    case KEY_IFNAME:
        return endpoint->port[0] && strncmp((const char *)bytes, endpoint->port, IFNAMSIZ) == 0;
    case KEY_ETHER_ADDR:
    case KEY_ND_OPTION_MAC:
        return endpoint->has_mac && memcmp(bytes, endpoint->mac.bytes, sizeof(endpoint->mac.bytes)) == 0;
    case KEY_IPV4_ADDR:
    case KEY_IPV6_ADDR:
        return endpoint->has_ip[family] && ip_equal(ip_from_bytes(family, bytes), endpoint->ip[family]);
    case KEY_ND_TARGET:
        return endpoint->has_ip[IP6] && ip_equal(ip_from_bytes(IP6, bytes), endpoint->ip[IP6]);
    case KEY_ICMP_TYPE:
    case KEY_ICMPV6_TYPE:
    case KEY_INET_PROTO:
    case KEY_INET_SERVICE:
    case KEY_ETHER_TYPE:
    case KEY_TYPES:
        return false;
    }
    return false;
}

static bool element_is_of(const struct set *set, const struct element *element,
                          const struct container *container)
{
    for (size_t i = 0; i < container->n_endpoints; i++) {
        const uint8_t *bytes = element->key;

        for (size_t j = 0; j < set->n_key; j++) {
            if (field_is_of(set->key[j], bytes, &container->endpoints[i]))
                return true;
            bytes += key_type_padded(set->key[j]);
        }
    }
    return false;
}

struct place {
    enum table_id id;
    const struct table *table;
    const char *table_name;
};

static json_t *place_json(const struct place *place)
{
    _cleanup_free_ char *text = xasprintf("%s %s", table_family_name(place->id), place->table_name);

    return json_string(text);
}

static json_t *element_json(const struct place *place, const struct set *set, const struct element *element)
{
    _cleanup_free_ char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        abort(); /* out of memory */
    element_print(set, element, out);
    if (fclose(out) != 0)
        abort();
    return json_pack("{s:o, s:s, s:o}", "table", place_json(place), "set", set->name, "element",
                     json_text_or_null(text));
}

static json_t *rule_json(const struct place *place, const struct chain *chain, const struct rule_stmt *rule)
{
    _cleanup_free_ char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    json_t *object;

    if (!out)
        abort(); /* out of memory */
    rule_print(rule, out);
    if (fclose(out) != 0)
        abort();
    object = json_pack("{s:o, s:s, s:o}", "table", place_json(place), "chain", chain->name, "rule",
                       json_text_or_null(text));
    if (rule->counter) {
        json_object_set_new(object, "packets", json_integer((json_int_t)rule->packets));
        json_object_set_new(object, "bytes", json_integer((json_int_t)rule->bytes));
    }
    return object;
}

struct chains {
    const char **v; /* interned: one name, one pointer */
    size_t n;
};

static void want_chain(struct chains *chains, const char *name)
{
    if (!name)
        return;
    for (size_t i = 0; i < chains->n; i++)
        if (strcmp(chains->v[i], name) == 0)
            return;
    *ARRAY_ADD(chains->v, chains->n) = name;
}

static void put_elements(const struct place *place, const struct container *container, struct chains *chains,
                         json_t *elements)
{
    for (const struct set *set = place->table->sets; set; set = set->hh.next)
        for (const struct element *e = set->elements; e && !set->interval; e = e->hh.next)
            if (element_is_of(set, e, container)) {
                json_array_append_new(elements, element_json(place, set, e));
                want_chain(chains, e->target);
            }
}

/* And of those that they jump to: the list grows while it is walked. */
static void put_chains(const struct place *place, struct chains *chains, json_t *rules)
{
    for (size_t i = 0; i < chains->n; i++) {
        const struct chain *chain = table_chain(place->table, chains->v[i]);

        for (size_t j = 0; chain && j < chain->n_rules; j++) {
            json_array_append_new(rules, rule_json(place, chain, &chain->rules[j]));
            want_chain(chains, chain->rules[j].target);
        }
    }
}

void evidence_put_rules(const struct ruleset *ruleset, const struct container *container, json_t *elements,
                        json_t *rules)
{
    for (size_t i = 0; i < TABLES; i++) {
        struct place place = {i ? TABLE_BRIDGE : TABLE_INET, NULL, table_pair_name(ruleset->pair, false)};
        struct chains chains = {0};

        place.table = &ruleset->tables[place.id];
        put_elements(&place, container, &chains, elements);
        put_chains(&place, &chains, rules);
        free(chains.v);
    }
}
