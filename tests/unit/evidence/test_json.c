/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel knows, as evidence has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/neighbour.h>
#include <string.h>

#include "evidence/json.h"

static struct ip ip(const char *text)
{
    struct ip ip;

    assert_int_equal(ip_parse(text, &ip), 0);
    return ip;
}

static void assert_json(json_t *json /* stolen */, const char *wanted)
{
    _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    assert_string_equal(text, wanted);
}

static void test_flows(void **state)
{
    struct flow flow = {.family = IP4,
                        .proto = 6,
                        .has_ports = true,
                        .original = {ip("10.0.0.2"), ip("192.0.2.1"), 40000, 443},
                        .reply = {ip("192.0.2.1"), ip("203.0.113.1"), 443, 50000},
                        .id = 7,
                        .mark = 3,
                        .tcp_state = 3,
                        .confirmed = true,
                        .assured = true,
                        .snat = true,
                        .timeout = 100,
                        .has_counters = true,
                        .original_counters = {5, 500},
                        .reply_counters = {4, 400},
                        .start_ns = 1700000000000000000};

    (void)state;
    assert_json(evidence_flow_to_json(&flow),
                "{\"protocol\":\"tcp\","
                "\"original\":{\"source\":\"10.0.0.2\",\"destination\":\"192.0.2.1\",\"source_port\":40000,"
                "\"destination_port\":443,\"packets\":5,\"bytes\":500},"
                "\"reply\":{\"source\":\"192.0.2.1\",\"destination\":\"203.0.113.1\",\"source_port\":443,"
                "\"destination_port\":50000,\"packets\":4,\"bytes\":400},"
                "\"status\":[\"confirmed\",\"assured\",\"snat\"],\"timeout\":100,\"mark\":3,\"id\":7,"
                "\"tcp_state\":\"ESTABLISHED\",\"start\":\"2023-11-14T22:13:20Z\"}");
    flow = (struct flow){.family = IP6,
                         .proto = 58,
                         .icmp_type = 128,
                         .icmp_id = 9,
                         .zone = 4,
                         .original = {.source = ip("fd00::2"), .destination = ip("fd00::3")},
                         .reply = {.source = ip("fd00::3"), .destination = ip("fd00::2")}};
    assert_json(
        evidence_flow_to_json(&flow),
        "{\"protocol\":\"icmpv6\",\"original\":{\"source\":\"fd00::2\",\"destination\":\"fd00::3\"},"
        "\"reply\":{\"source\":\"fd00::3\",\"destination\":\"fd00::2\"},\"status\":[],\"timeout\":0,\"mark\":0,"
        "\"id\":0,\"icmp\":{\"type\":128,\"code\":0,\"id\":9},"
        "\"zone\":{\"both\":4,\"original\":0,\"reply\":0}}");
    flow.proto = 200;
    flow.zone = 0;
    flow.zone_reply = 1;
    json_t *json = evidence_flow_to_json(&flow);
    assert_int_equal(json_integer_value(json_object_get(json, "protocol")), 200);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "zone"), "reply")), 1);
    json_decref(json);
    flow.proto = 6;
    flow.tcp_state = 200;
    json = evidence_flow_to_json(&flow);
    assert_string_equal(json_string_value(json_object_get(json, "tcp_state")), "?");
    json_decref(json);
}

static struct container *web(struct inventory *inventory)
{
    struct container *container = container_new();
    struct endpoint endpoint = {.network_id = (char *)"n",
                                .network_name = (char *)"front",
                                .id = (char *)"e",
                                .mac = {{2, 0, 0, 0, 0, 7}},
                                .has_mac = true,
                                .ip = {ip("10.0.0.2"), ip("fd00::2")},
                                .has_ip = {true, true},
                                .port = "veth7"};

    container->id = xstrdup("aa");
    *ARRAY_ADD(container->endpoints, container->n_endpoints) = endpoint_copy(&endpoint);
    inventory_put_container(inventory, container);
    return container;
}

static void test_neighbours(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    const struct container *container = web(inventory);
    struct neighbour by_ip = {.interface = "br0", .ip = ip("fd00::2"), .state = NUD_STALE};
    struct neighbour by_mac = {
        .is_fdb = true, .interface = "other", .has_mac = true, .mac = {{2, 0, 0, 0, 0, 7}}, .vlan = 1};
    struct neighbour by_port = {
        .is_fdb = true, .interface = "veth7", .has_mac = true, .mac = {{2, 0, 0, 0, 0, 9}}};
    struct neighbour none = {
        .interface = "br0", .ip = ip("10.0.0.3"), .has_mac = true, .mac = {{2, 0, 0, 0, 0, 8}}};

    (void)state;
    assert_true(evidence_is_neighbour_of(container, &by_ip) && evidence_is_neighbour_of(container, &by_mac) &&
                evidence_is_neighbour_of(container, &by_port));
    assert_false(evidence_is_neighbour_of(container, &none));
    assert_json(evidence_neighbour_to_json(&by_ip, NULL),
                "{\"table\":\"host\",\"interface\":\"br0\",\"state\":\"stale\",\"address\":\"fd00::2\"}");
    assert_json(evidence_neighbour_to_json(&by_mac, "br0"),
                "{\"table\":\"bridge\",\"interface\":\"other\",\"state\":\"none\",\"bridge\":\"br0\","
                "\"mac\":\"02:00:00:00:00:07\",\"vlan\":1}");
}

static void add_element(struct set *set, const char *address, const char *target)
{
    struct element element = {.verdict = target ? V_JUMP : V_NONE, .target = target};

    ip_to_bytes(ip(address), element.key);
    assert_true(set_insert(set, &element));
}

static void add_rule(struct chain *chain, const char *target, uint64_t packets)
{
    struct rule_stmt *rule = chain_add_rule(chain);

    rule->counter = packets > 0;
    rule->packets = packets;
    rule->bytes = packets * 100;
    rule->verdict = target ? V_JUMP : V_ACCEPT;
    rule->target = target;
}

/* By its address, through a map, to a chain and those that this one jumps to; nobody else's. */
static void test_rules(void **state)
{
    static const enum key_type key[] = {KEY_IPV4_ADDR};
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct set *map = ruleset_add_set(ruleset, TABLE_INET, "egress4", 1, key);
    struct set *live = ruleset_add_set(ruleset, TABLE_INET, "live4", 1, key);
    const char *first = ruleset_intern(ruleset, "class-1"), *second = ruleset_intern(ruleset, "shared");
    json_t *elements = json_array(), *rules = json_array();

    (void)state;
    map->map = true;
    add_rule(ruleset_add_chain(ruleset, TABLE_INET, "class-1"), second, 2);
    add_rule(ruleset_add_chain(ruleset, TABLE_INET, "shared"), first, 0); /* a ring ends */
    add_rule(ruleset_add_chain(ruleset, TABLE_INET, "class-2"), NULL, 9);
    add_element(map, "10.0.0.2", first);
    add_element(map, "10.0.0.3", ruleset_intern(ruleset, "class-2"));
    add_element(live, "10.0.0.2", NULL);
    evidence_put_rules(ruleset, web(inventory), elements, rules);
    assert_json(elements,
                "[{\"table\":\"inet cofferdam\",\"set\":\"egress4\",\"element\":\"10.0.0.2 : jump class-1\"},"
                "{\"table\":\"inet cofferdam\",\"set\":\"live4\",\"element\":\"10.0.0.2\"}]");
    assert_json(rules,
                "[{\"table\":\"inet cofferdam\",\"chain\":\"class-1\",\"rule\":\"counter jump shared\","
                "\"packets\":2,\"bytes\":200},"
                "{\"table\":\"inet cofferdam\",\"chain\":\"shared\",\"rule\":\"jump class-1\"}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flows),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_rules),
    };

    return cmocka_run_group_tests_name("evidence-json", tests, NULL, NULL);
}
