// SPDX-License-Identifier: GPL-2.0-or-later
/* Who the ends are and what denied them, field by field. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/if_ether.h>

#include "denial/judge.h"
#include "policy/parse.h"
#include "policy/settings.h"
#include "util/mem.h"

static const char text[] = "policy: web\n"
                           "select: {name: web}\n"
                           "egress:\n"
                           "  - to: [{name: db}]\n"
                           "    ports: [5432/tcp]\n"
                           "  - name: no-metadata\n"
                           "    deny: true\n"
                           "    to: [{cidr: 169.254.169.254/32}]\n"
                           "---\n"
                           "policy: db\n"
                           "reject: true\n"
                           "select: {name: db}\n";

struct bench {
    struct policy_set *policies;
    struct settings *settings;
    struct inventory *inventory;
    struct lock_list *locks;
};

static struct container *add_container(struct inventory *inventory, const char *name, const char *address)
{
    struct container *container = container_new();
    struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);

    container->id = xasprintf("%s-id", name);
    container->name = xstrdup(name);
    container->image = xstrdup("busybox:1");
    container->running = container->labels_known = true;
    endpoint->network_id = xstrdup("n1");
    endpoint->network_name = xstrdup("front");
    endpoint->id = xasprintf("%s-endpoint", name);
    endpoint->has_ip[IP4] = ip_parse(address, &endpoint->ip[IP4]) == 0;
    inventory_put_container(inventory, container);
    return container;
}

static struct bench make(void)
{
    struct bench bench = {policy_set_new(), settings_new(), inventory_new(), lock_list_new()};
    struct network *network = network_new();
    _cleanup_diags_ struct diags diags = {0};

    assert_int_equal(policy_parse(bench.policies, "p.yaml", text, strlen(text), &diags), 0);
    assert_int_equal(policy_set_finish(bench.policies, &diags), 0);
    network->id = xstrdup("n1");
    network->name = xstrdup("front");
    network->managed = true;
    assert_int_equal(cidr_parse("10.91.0.0/16", ARRAY_ADD(network->subnets, network->n_subnets)), 0);
    inventory_put_network(bench.inventory, network);
    add_container(bench.inventory, "web", "10.91.0.2");
    add_container(bench.inventory, "db", "10.91.0.3");
    bench.inventory->host_addresses = xcalloc(1, sizeof(struct ip));
    assert_int_equal(ip_parse("10.91.0.1", &bench.inventory->host_addresses[0]), 0);
    bench.inventory->n_host_addresses = 1;
    return bench;
}

static void clear(struct bench *bench)
{
    policy_set_free(bench->policies);
    settings_free(bench->settings);
    inventory_free(bench->inventory);
    lock_list_free(bench->locks);
}

static struct denial_end end_at(const struct bench *bench, struct ip ip)
{
    struct denial_end end = {0};

    (void)inventory_owner(bench->inventory, ip, &end.container, &end.endpoint);
    return end;
}

static json_t *judge(const struct bench *bench, enum deny_point point, const char *source,
                     const char *destination, uint16_t port)
{
    struct denied_packet packet = {.point = point,
                                   .ether_type = ETH_P_IP,
                                   .in = 3,
                                   .has_ip = true,
                                   .has_proto = true,
                                   .proto = IPPROTO_TCP,
                                   .has_head = true,
                                   .has_ports = true,
                                   .source_port = 40000,
                                   .destination_port = port};
    struct denial_context context = {.with = {bench->policies, bench->inventory, bench->settings, NULL},
                                     .locks = bench->locks,
                                     .generation = 7,
                                     .hostname = "host",
                                     .in = "br0"};

    assert_int_equal(ip_parse(source, &packet.source), 0);
    assert_int_equal(ip_parse(destination, &packet.destination), 0);
    context.source = end_at(bench, packet.source);
    context.destination = end_at(bench, packet.destination);
    return denial_judge(&packet, &context);
}

/* A field as "cofferdam.source.kind", as text. */
static void assert_field(const json_t *record, const char *path, const char *expected)
{
    _cleanup_free_ char *copy = xstrdup(path), *found = NULL;
    char *rest = copy;

    for (const char *key; record && (key = strsep(&rest, "."));)
        record = json_object_get(record, key);
    found = record ? json_dumps(record, JSON_ENCODE_ANY | JSON_COMPACT) : xstrdup("none");
    assert_string_equal(found, expected);
}

static void what_no_rule_allows(void **state)
{
    struct bench bench = make();
    json_t *record = judge(&bench, DENY_EGRESS, "10.91.0.2", "10.91.0.3", 80);

    (void)state;
    assert_field(
        record, "message",
        "\"web (10.91.0.2) -> db (10.91.0.3) 80/tcp denied: no egress rule of its policies allows it\"");
    assert_field(record, "event.action", "\"dropped\"");
    assert_field(record, "rule", "{\"category\":\"egress\",\"name\":\"no-rule\"}");
    assert_field(record, "source", "{\"address\":\"10.91.0.2\",\"ip\":\"10.91.0.2\",\"port\":40000}");
    assert_field(record, "cofferdam.policies", "[\"web\"]");
    assert_field(record, "cofferdam.direction", "\"egress\"");
    assert_field(record, "cofferdam.generation", "7");
    assert_field(
        record, "cofferdam.source",
        "{\"kind\":\"container\",\"container\":{\"id\":\"web-id\",\"name\":\"web\",\"image\":{\"name\":"
        "\"busybox:1\"}},\"network\":\"front\"}");
    assert_field(record, "observer.ingress.interface.name", "\"br0\"");
    assert_field(record, "network.direction", "\"internal\"");
    assert_false(denial_is_unsure(record));
    json_decref(record);
    clear(&bench);
}

static void what_a_rule_denies(void **state)
{
    struct bench bench = make();
    json_t *record = judge(&bench, DENY_EGRESS, "10.91.0.2", "169.254.169.254", 80);

    (void)state;
    assert_field(
        record, "rule",
        "{\"category\":\"egress\",\"name\":\"no-metadata\",\"ruleset\":\"web\",\"reference\":\"p.yaml:6\"}");
    assert_field(record, "cofferdam.destination", "{\"kind\":\"outside\"}");
    assert_field(record, "network.direction", "\"outbound\"");
    json_decref(record);
    clear(&bench);
}

static void the_denied_side_is_the_destination(void **state)
{
    struct bench bench = make();
    json_t *record = judge(&bench, DENY_INGRESS, "10.91.0.2", "10.91.0.3", 5432);

    (void)state;
    assert_field(record, "cofferdam.policies", "[\"db\"]");
    assert_field(record, "cofferdam.direction", "\"ingress\"");
    assert_field(record, "event.action", "\"rejected\"");
    json_decref(record);
    record = judge(&bench, DENY_HOST_INGRESS, "10.91.0.1", "10.91.0.3", 5432);
    assert_field(record, "cofferdam.source", "{\"kind\":\"host\"}");
    json_decref(record);
    clear(&bench);
}

static void nobodys_addresses(void **state)
{
    struct bench bench = make();
    json_t *record = judge(&bench, DENY_UNKNOWN, "10.91.0.77", "192.0.2.1", 80);

    (void)state;
    assert_field(record, "cofferdam.source", "{\"kind\":\"unknown\"}");
    assert_field(record, "cofferdam.policies", "[]");
    assert_true(denial_is_unsure(record));
    json_decref(record);
    record = judge(&bench, DENY_SPOOFED, "10.91.0.2", "10.91.0.3", 80); /* it did not come by web's port */
    assert_field(record, "cofferdam.source", "{\"kind\":\"outside\"}");
    assert_field(record, "cofferdam.destination.container.name", "\"db\"");
    json_decref(record);
    clear(&bench);
}

/* A command may have cut it off before anybody here heard of it: what is not known is asked for again. */
static void who_is_locked_down(void **state)
{
    struct bench bench = make();
    json_t *record = judge(&bench, DENY_LOCKED, "10.91.0.2", "10.91.0.3", 80);
    struct lock *lock;
    const char *why;

    (void)state;
    assert_field(record, "cofferdam.lockdown", "none");
    assert_true(denial_is_unsure(record));
    json_decref(record);
    lock = lock_new();
    lock->name = xstrdup("web");
    lock_list_add(bench.locks, lock);
    record = judge(&bench, DENY_LOCKED, "10.91.0.2", "10.91.0.3", 80);
    assert_field(record, "cofferdam.lockdown", "\"web\"");
    assert_field(record, "cofferdam.direction", "\"egress\"");
    assert_field(record, "cofferdam.policies", "[\"web\"]");
    assert_field(record, "rule", "{\"category\":\"locked\"}");
    assert_false(denial_is_unsure(record));
    json_decref(record);
    lock = lock_new();
    assert_int_equal(lock_by_address(lock, "192.0.2.9", &why), 0);
    lock_list_add(bench.locks, lock);
    record = judge(&bench, DENY_LOCKED, "10.91.0.3", "192.0.2.9", 80);
    assert_field(record, "cofferdam.lockdown", "\"192.0.2.9\"");
    assert_field(record, "cofferdam.direction", "\"ingress\"");
    json_decref(record);
    clear(&bench);
}

/* A frame to many, at the port of one who is locked down: only what is about him is his. */
static void who_only_stands_by(void **state)
{
    struct endpoint owner = {.has_ip = {true, true}};
    struct denied_packet packet = {.point = DENY_LOCKED,
                                   .bridged = true,
                                   .out = 7,
                                   .has_ip = true,
                                   .has_destination_mac = true,
                                   .destination_mac = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}};

    (void)state;
    assert_int_equal(ip_parse("10.91.0.2", &owner.ip[IP4]), 0);
    assert_int_equal(ip_parse("fd91::12:3456", &owner.ip[IP6]), 0);
    assert_int_equal(ip_parse("10.91.0.3", &packet.destination), 0);
    assert_true(denial_is_bystander(&packet, &owner));
    assert_true(denial_is_bystander(&packet, NULL));
    packet.destination = owner.ip[IP4];
    assert_false(denial_is_bystander(&packet, &owner));
    assert_int_equal(ip_parse("ff02::1:ff12:3456", &packet.destination), 0);
    assert_false(denial_is_bystander(&packet, &owner));
    assert_int_equal(ip_parse("ff02::1:ff12:3457", &packet.destination), 0);
    assert_true(denial_is_bystander(&packet, &owner));
    packet.destination_mac.bytes[0] = 2; /* to one alone */
    assert_false(denial_is_bystander(&packet, &owner));
    packet.destination_mac.bytes[0] = 0x33;
    packet.out = 0; /* his own */
    assert_false(denial_is_bystander(&packet, &owner));
}

static void names_play_no_tricks(void **state)
{
    struct bench bench = make();
    struct container *web = inventory_container(bench.inventory, "web-id");
    json_t *record;

    (void)state;
    free(web->image);
    web->image = xstrdup("a\x1b[2J\xe2\x80\xae\xff\nb");
    record = judge(&bench, DENY_EGRESS, "10.91.0.2", "10.91.0.3", 80);
    assert_field(record, "cofferdam.source.container.image.name",
                 "\"a\\\\x1b[2J\\\\xe2\\\\x80\\\\xae\\\\xff\\\\x0ab\"");
    json_decref(record);
    clear(&bench);
}

static void its_end(void **state)
{
    struct bench bench = make();
    json_t *record = judge(&bench, DENY_EGRESS, "10.91.0.2", "10.91.0.3", 80);
    struct denial denial = {.count = 3};

    (void)state;
    denial_finish(record, &denial, 1795233600000001, 1795233602500000);
    assert_field(record, "@timestamp", "\"2026-11-21T04:00:00.000001Z\"");
    assert_field(record, "event.start", "\"2026-11-21T04:00:00.000001Z\"");
    assert_field(record, "event.end", "\"2026-11-21T04:00:02.500000Z\"");
    assert_field(record, "event.duration", "2499999000");
    assert_field(record, "cofferdam.count", "3");
    json_decref(record);
    clear(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_rule_allows),
        cmocka_unit_test(what_a_rule_denies),
        cmocka_unit_test(the_denied_side_is_the_destination),
        cmocka_unit_test(nobodys_addresses),
        cmocka_unit_test(who_is_locked_down),
        cmocka_unit_test(who_only_stands_by),
        cmocka_unit_test(names_play_no_tricks),
        cmocka_unit_test(its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
