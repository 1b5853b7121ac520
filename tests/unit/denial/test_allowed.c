// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections that were allowed: which there are records of, and what these say. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/if_ether.h>

#include "denial/allowed.h"
#include "denial/judge.h"
#include "policy/parse.h"
#include "policy/settings.h"
#include "util/mem.h"

static const char text[] = "policy: web\n"
                           "select: {name: web}\n"
                           "egress:\n"
                           "  - to: [{name: db}]\n"
                           "    ports: [5432/tcp, icmp]\n"
                           "ingress:\n"
                           "  - name: visitors\n"
                           "    from: [outside]\n"
                           "    ports: [80/tcp]\n"
                           "---\n"
                           "policy: db\n"
                           "select: {name: db}\n"
                           "ingress:\n"
                           "  - from: [{name: web}]\n";

struct bench {
    struct policy_set *policies;
    struct settings *settings;
    struct inventory *inventory;
    struct lock_list *locks;
};

static void add_network(struct inventory *inventory, const char *id, const char *block4, const char *block6,
                        bool managed)
{
    struct network *network = network_new();

    network->id = xstrdup(id);
    network->name = xasprintf("net-%s", id);
    network->managed = managed;
    assert_int_equal(cidr_parse(block4, ARRAY_ADD(network->subnets, network->n_subnets)), 0);
    assert_int_equal(cidr_parse(block6, ARRAY_ADD(network->subnets, network->n_subnets)), 0);
    inventory_put_network(inventory, network);
}

static void add_container(struct inventory *inventory, const char *name, const char *network, const char *ip4,
                          const char *ip6)
{
    struct container *container = container_new();
    struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);

    container->id = xasprintf("%s-id", name);
    container->name = xstrdup(name);
    container->running = container->labels_known = true;
    endpoint->network_id = xstrdup(network);
    endpoint->network_name = xasprintf("net-%s", network);
    endpoint->id = xasprintf("%s-endpoint", name);
    endpoint->has_ip[IP4] = ip_parse(ip4, &endpoint->ip[IP4]) == 0;
    endpoint->has_ip[IP6] = ip_parse(ip6, &endpoint->ip[IP6]) == 0;
    inventory_put_container(inventory, container);
}

static struct bench make(void)
{
    struct bench bench = {policy_set_new(), settings_new(), inventory_new(), lock_list_new()};
    _cleanup_diags_ struct diags diags = {0};

    assert_int_equal(policy_parse(bench.policies, "p.yaml", text, strlen(text), &diags), 0);
    assert_int_equal(policy_set_finish(bench.policies, &diags), 0);
    add_network(bench.inventory, "n1", "10.91.0.0/16", "fd91::/64", true);
    add_network(bench.inventory, "n2", "10.92.0.0/16", "fd92::/64", false);
    add_container(bench.inventory, "web", "n1", "10.91.0.2", "fd91::2");
    add_container(bench.inventory, "db", "n1", "10.91.0.3", "fd91::3");
    add_container(bench.inventory, "free", "n2", "10.92.0.2", "fd92::2");
    bench.inventory->host_addresses = xcalloc(2, sizeof(struct ip));
    assert_int_equal(ip_parse("10.91.0.1", &bench.inventory->host_addresses[0]), 0);
    assert_int_equal(ip_parse("203.0.113.1", &bench.inventory->host_addresses[1]), 0);
    bench.inventory->n_host_addresses = 2;
    return bench;
}

static void clear(struct bench *bench)
{
    policy_set_free(bench->policies);
    settings_free(bench->settings);
    inventory_free(bench->inventory);
    lock_list_free(bench->locks);
}

/* destination: as its source wrote it; reached: who got it. */
static struct flow flow_of(uint8_t proto, const char *source, const char *destination, const char *reached,
                           uint16_t port)
{
    struct flow flow = {.proto = proto, .has_ports = proto == IPPROTO_TCP || proto == IPPROTO_UDP};

    assert_int_equal(ip_parse(source, &flow.original.source), 0);
    assert_int_equal(ip_parse(destination, &flow.original.destination), 0);
    assert_int_equal(ip_parse(reached, &flow.reply.source), 0);
    flow.reply.destination = flow.original.source;
    flow.family = flow.original.source.family;
    if (flow.has_ports) {
        flow.original.source_port = flow.reply.destination_port = 40000;
        flow.original.destination_port = strcmp(destination, reached) == 0 ? port : 8080;
        flow.reply.source_port = port;
    }
    return flow;
}

static json_t *judge(const struct bench *bench, const struct flow *flow)
{
    struct denial_context context = {
        .with = {.policies = bench->policies, .inventory = bench->inventory, .settings = bench->settings},
        .locks = bench->locks,
        .generation = 7};
    struct denied_packet packet;

    assert_true(allowed_packet(bench->inventory, flow, &packet));
    (void)inventory_owner(bench->inventory, packet.source, &context.source.container,
                          &context.source.endpoint);
    (void)inventory_owner(bench->inventory, packet.destination, &context.destination.container,
                          &context.destination.endpoint);
    return denial_judge(&packet, &context);
}

static void assert_field(const json_t *record, const char *path, const char *expected)
{
    _cleanup_free_ char *copy = xstrdup(path), *found = NULL;
    char *rest = copy;

    for (const char *key; record && (key = strsep(&rest, "."));)
        record = json_object_get(record, key);
    found = record ? json_dumps(record, JSON_ENCODE_ANY | JSON_COMPACT) : xstrdup("none");
    assert_string_equal(found, expected);
}

static void both_sides_are_told(void **state)
{
    struct bench bench = make();
    struct flow flow = flow_of(IPPROTO_TCP, "10.91.0.2", "10.91.0.3", "10.91.0.3", 5432);
    json_t *record = judge(&bench, &flow);

    (void)state;
    assert_field(record, "message",
                 "\"web (10.91.0.2) -> db (10.91.0.3) 5432/tcp allowed: egress 1 of policy web, ingress 1 of "
                 "policy db\"");
    assert_field(record, "event.type", "[\"connection\",\"allowed\"]");
    assert_field(record, "event.action", "\"allowed\"");
    assert_field(
        record, "rule",
        "{\"category\":\"egress\",\"name\":\"egress 1\",\"ruleset\":\"web\",\"reference\":\"p.yaml:4\"}");
    assert_field(record, "cofferdam.verdict", "\"allow\"");
    assert_field(record, "cofferdam.point", "none");
    assert_field(record, "cofferdam.policies", "[\"web\",\"db\"]");
    assert_field(
        record, "cofferdam.ingress",
        "{\"policies\":[\"db\"],\"reason\":\"ingress 1 of policy db\",\"rule\":\"ingress 1\",\"policy\":"
        "\"db\",\"reference\":\"p.yaml:14\"}");
    json_decref(record);
    clear(&bench);
}

static void a_published_port_is_the_container_s(void **state)
{
    struct bench bench = make();
    struct flow flow = flow_of(IPPROTO_TCP, "198.51.100.9", "203.0.113.1", "10.91.0.2", 80);
    json_t *record = judge(&bench, &flow);

    (void)state;
    assert_field(record, "destination", "{\"address\":\"10.91.0.2\",\"ip\":\"10.91.0.2\",\"port\":80}");
    assert_field(record, "source", "{\"address\":\"198.51.100.9\",\"ip\":\"198.51.100.9\",\"port\":40000}");
    assert_field(record, "cofferdam.direction", "\"ingress\"");
    assert_field(record, "cofferdam.source", "{\"kind\":\"outside\"}");
    assert_field(record, "cofferdam.egress", "none");
    assert_field(record, "rule.name", "\"visitors\"");
    assert_field(record, "event.reason", "\"rule visitors of policy web\"");
    assert_field(record, "network.direction", "\"inbound\"");
    json_decref(record);
    clear(&bench);
}

static void icmp_has_a_type(void **state)
{
    struct bench bench = make();
    struct flow flow = flow_of(IPPROTO_ICMPV6, "fd91::2", "fd91::3", "fd91::3", 0);
    json_t *record;

    (void)state;
    flow.icmp_type = 128;
    record = judge(&bench, &flow);
    assert_field(record, "network.transport", "\"ipv6-icmp\"");
    assert_field(record, "network.type", "\"ipv6\"");
    assert_field(record, "cofferdam.icmp", "{\"type\":128,\"code\":0}");
    assert_field(record, "destination.port", "none");
    assert_field(record, "cofferdam.egress.rule", "\"egress 1\"");
    json_decref(record);
    clear(&bench);
}

static void the_host_has_no_say(void **state)
{
    struct bench bench = make();
    struct flow flow = flow_of(IPPROTO_UDP, "10.91.0.1", "10.91.0.3", "10.91.0.3", 53);
    json_t *record = judge(&bench, &flow);

    (void)state;
    assert_field(record, "cofferdam.source", "{\"kind\":\"host\"}");
    assert_field(record, "cofferdam.direction", "\"ingress\"");
    /* No rule allows it now: the policies may have changed since it was opened. */
    assert_field(record, "rule", "{\"category\":\"ingress\"}");
    assert_field(record, "cofferdam.ingress",
                 "{\"policies\":[\"db\"],\"reason\":\"what held then for its ingress\"}");
    json_decref(record);
    flow = flow_of(IPPROTO_UDP, "10.91.0.2", "224.0.0.251", "224.0.0.251", 5353);
    record = judge(&bench, &flow);
    assert_field(record, "cofferdam.destination", "{\"kind\":\"host\"}");
    json_decref(record);
    clear(&bench);
}

/* To the rules it is outside; people are told its name all the same. */
static void a_container_that_is_not_managed(void **state)
{
    struct bench bench = make();
    struct flow flow = flow_of(IPPROTO_TCP, "10.92.0.2", "10.91.0.2", "10.91.0.2", 80);
    json_t *record = judge(&bench, &flow);

    (void)state;
    assert_field(record, "cofferdam.source.container.name", "\"free\"");
    assert_field(record, "cofferdam.egress", "none");
    assert_field(record, "cofferdam.direction", "\"ingress\"");
    assert_field(record, "rule.name", "\"visitors\"");
    json_decref(record);
    clear(&bench);
}

static void default_mode_and_lockdowns(void **state)
{
    struct bench bench = make();
    struct flow flow = flow_of(IPPROTO_TCP, "10.91.0.3", "10.91.0.2", "10.91.0.2", 22);
    struct lock *lock = lock_new();
    json_t *record;
    const char *why;

    (void)state;
    bench.settings->default_mode = MODE_AUDIT;
    free(STEAL(bench.inventory->containers->name));
    bench.inventory->containers->name = xstrdup("nobody"); /* web, once */
    lock->name = xstrdup("db");
    lock->id = xstrdup("db-id");
    lock->cut = CUT_OUT;
    assert_int_equal(lock_allow(lock, "nobody:22/tcp", &why), 0);
    lock_list_add(bench.locks, lock);
    record = judge(&bench, &flow);
    assert_field(record, "cofferdam.egress",
                 "{\"policies\":[\"db\"],\"reason\":\"an exception of the lockdown of db\"}");
    assert_field(record, "cofferdam.ingress", "{\"policies\":[],\"reason\":\"default_mode: audit\"}");
    json_decref(record);
    clear(&bench);
}

static void what_is_nobody_s_business(void **state)
{
    struct bench bench = make();
    struct denied_packet packet;
    struct flow flow = flow_of(IPPROTO_TCP, "203.0.113.1", "198.51.100.9", "198.51.100.9", 443);

    (void)state;
    assert_false(allowed_packet(bench.inventory, &flow, &packet)); /* the host's own */
    flow = flow_of(IPPROTO_TCP, "10.92.0.2", "198.51.100.9", "198.51.100.9", 443);
    assert_false(allowed_packet(bench.inventory, &flow, &packet)); /* of a network that is not managed */
    flow = flow_of(IPPROTO_TCP, "198.51.100.9", "10.91.0.1", "10.91.0.1", 443);
    assert_false(allowed_packet(bench.inventory, &flow, &packet)); /* to the host, by a bridge's address */
    flow = flow_of(IPPROTO_TCP, "10.91.0.2", "10.91.0.3", "10.91.0.3", 5432);
    flow.zone = 3;
    assert_false(allowed_packet(bench.inventory, &flow, &packet));
    flow.zone = 0;
    assert_true(allowed_packet(bench.inventory, &flow, &packet));
    assert_false(packet.counts_for_destination);
    flow = flow_of(IPPROTO_TCP, "10.91.7.7", "198.51.100.9", "198.51.100.9", 443);
    assert_true(allowed_packet(bench.inventory, &flow, &packet)); /* somebody who is not known yet */
    flow = flow_of(IPPROTO_TCP, "198.51.100.9", "203.0.113.1", "10.91.0.2", 80);
    assert_true(allowed_packet(bench.inventory, &flow, &packet));
    assert_true(packet.counts_for_destination);
    clear(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_are_told),
        cmocka_unit_test(a_published_port_is_the_container_s),
        cmocka_unit_test(icmp_has_a_type),
        cmocka_unit_test(the_host_has_no_say),
        cmocka_unit_test(a_container_that_is_not_managed),
        cmocka_unit_test(default_mode_and_lockdowns),
        cmocka_unit_test(what_is_nobody_s_business),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
