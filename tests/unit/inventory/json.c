/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "inventory/json.h"

/* As inventory_to_json() writes it: sorted by name, nothing that is empty. */
static const char full[] =
    "{\"containers\":["
    "{\"dns\":[\"10.0.0.53\",\"fd00::53\"],\"endpoints\":["
    "{\"id\":\"e1\",\"ipv4\":\"172.18.0.2\",\"ipv6\":\"fd12::2\",\"mac\":\"02:42:ac:12:00:02\",\"network\":"
    "\"n1\","
    "\"network_name\":\"front\",\"port\":\"veth12345\"},{\"network_name\":\"later\"}],"
    "\"exposed\":[\"80/tcp\",\"5432/tcp\",\"53/udp\"],\"id\":\"bb\",\"image\":\"postgres:16\",\"image_id\":\"sha256:12\",\"image_labels\":[\"vendor\"],"
    "\"labels\":{\"a\":\"\",\"role\":\"db\",\"vendor\":\"acme "
    "\\u00e9\"},\"listening\":[\"5432/tcp\",\"53/udp\",\"9/sctp\"],\"listening_on_loopback\":[\"6379/tcp\"],\"name\":\"db\",\"network_mode\":\"bridge\","
    "\"published\":[{\"address\":\"127.0.0.1\",\"container_port\":5432,\"port\":15432,\"protocol\":\"tcp\"},"
    "{\"address\":\"::\",\"container_port\":53,\"port\":53,\"protocol\":\"udp\"}],"
    "\"running\":true},"
    "{\"id\":\"cc\",\"ipc_target\":\"bb\",\"labels\":{},\"listening\":[],\"mounts\":[{\"path\":\"/srv\",\"read_only\":true},"
    "{\"path\":\"/v/data\",\"volume\":\"data\"}],\"name\":\"host\",\"net_admin\":true,\"network_mode\":\"host\","
    "\"pid_target\":\"aa\",\"privileged\":true,\"running\":true},"
    "{\"dns_known\":false,\"id\":\"aa\",\"labels\":{\"x\":\"y\"},\"labels_known\":false,\"name\":\"side\","
    "\"network_mode\":\"container\",\"network_target\":\"bb\",\"overlay_labels\":{\"q\":\"yes\",\"x\":\"z\"},\"running\":false}],"
    "\"format_version\":\"1.0\",\"host_addresses\":[\"192.0.2.1\",\"2001:db8::1\"],\"lookups_by_engine\":true,\"name_servers\":[\"192.0."
    "2.53\"],"
    "\"networks\":["
    "{\"bridge\":\"br-n1\",\"driver\":\"bridge\",\"elsewhere\":true,\"id\":\"n1\",\"internal\":false,\"ipv6\":true,\"ipv6_open\":true,\"managed\":"
    "true,"
    "\"name\":\"front\",\"scope\":\"local\",\"subnets\":[\"172.18.0.0/16\",\"fd12::/64\"]},"
    "{\"driver\":\"macvlan\",\"id\":\"n0\",\"internal\":true,\"ipv6\":false,\"managed\":false,\"name\":"
    "\"lan\",\"parent\":\"eth0\","
    "\"scope\":\"local\",\"unmanaged_reason\":\"its driver is macvlan, not bridge\"}],\"rootless\":true}";

static struct inventory *read(const char *text)
{
    _cleanup_diags_ struct diags diags = {0};
    struct inventory *inventory = NULL;
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);

    if (!json)
        fail_msg("the test's own JSON: %s", error.text);
    if (inventory_from_json(json, &inventory, &diags) < 0)
        fail_msg("%s", diags.v[0].message);
    json_decref(json);
    return inventory;
}

static char *write_text(const struct inventory *inventory)
{
    json_t *json = inventory_to_json(inventory);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);

    json_decref(json);
    return text;
}

static void test_round_trip(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = read(full);
    _cleanup_free_ char *text = write_text(inventory);
    _cleanup_free_ char *expected = NULL;
    json_t *json = json_loads(full, 0, NULL);

    (void)state;
    expected = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
    json_decref(json);
    assert_string_equal(text, expected);
}

static void test_values(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = read(full);
    const struct container *db = inventory_container(inventory, "bb"),
                           *side = inventory_container(inventory, "aa");
    const struct network *front = inventory_network(inventory, "n1");
    struct ip ip;

    (void)state;
    assert_int_equal(HASH_COUNT(inventory->containers), 3);
    assert_true(db->running && db->labels_known && db->dns_known);
    assert_string_equal(container_label(db, "role"), "db");
    assert_string_equal(container_label(db, "a"), "");
    assert_null(container_label(db, "vendor"));
    assert_int_equal(db->n_dns, 2);
    assert_int_equal(db->n_endpoints, 2);
    assert_string_equal(db->endpoints[0].port, "veth12345");
    assert_true(db->endpoints[0].has_mac);
    assert_int_equal(ip_parse("fd12::2", &ip), 0);
    assert_true(db->endpoints[0].has_ip[IP6] && ip_equal(db->endpoints[0].ip[IP6], ip));
    assert_string_equal(db->endpoints[1].network_id, "");
    assert_int_equal(db->n_published, 2);
    assert_int_equal(db->published[0].outer, 15432);
    assert_int_equal(db->published[0].inner, 5432);
    assert_int_equal(db->published[1].kind, PORT_UDP);
    assert_int_equal(db->published[1].address.family, IP6);
    assert_true(db->listening_known && db->listening.n == 3 && db->on_loopback.n == 1 && db->exposed.n == 3);
    assert_true(inventory_container(inventory, "cc")->listening_known);
    assert_false(side->listening_known);
    assert_null(db->endpoints[1].id);
    assert_false(db->endpoints[1].has_mac || db->endpoints[1].has_ip[IP4]);
    assert_false(side->labels_known || side->dns_known || side->running);
    assert_int_equal(side->n_overlay, 2);
    assert_string_equal(container_label(side, "x"), "z");
    assert_int_equal(side->mode, NETMODE_CONTAINER);
    assert_string_equal(side->mode_target, "bb");
    assert_int_equal(inventory_container(inventory, "cc")->mode, NETMODE_HOST);
    assert_true(inventory_container(inventory, "cc")->privileged &&
                inventory_container(inventory, "cc")->net_admin);
    assert_false(db->privileged || db->net_admin);
    assert_true(front->managed && front->ipv6 && front->ipv6_open && front->elsewhere && !front->internal);
    assert_true(inventory->rootless && inventory->lookups_by_engine);
    assert_int_equal(front->subnets[0].len, 16);
    assert_int_equal(inventory->n_host_addresses, 2);
    assert_int_equal(inventory->n_name_servers, 1);
}

/* The least that can be written by hand; what later versions may add is left alone. */
static void test_least(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory =
        read("{\"format_version\":\"1.7\",\"new\":[1],\"containers\":[{\"id\":\"aa\",\"name\":null,"
             "\"labels\":null,"
             "\"more\":{}}]}");
    const struct container *container = inventory_container(inventory, "aa");

    (void)state;
    assert_string_equal(container->name, "aa"); /* what has no name is called by its ID */
    assert_false(container->running);
    assert_true(container->labels_known && container->dns_known);
    assert_int_equal(container->mode, NETMODE_BRIDGE);
    assert_null(inventory->networks);
}

static void test_errors(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[]", "inventory: this is no JSON object"},
        {"{}", "inventory: format_version is missing: is this an inventory?"},
        {"{\"format_version\":1}", "inventory: format_version must be a text"},
        {"{\"format_version\":\"2.0\"}",
         "inventory: format_version 2.0 is not known; this version reads 1.x"},
        {"{\"format_version\":\"1.0\",\"containers\":{}}",
         "inventory: container 1: containers must be a list"},
        {"{\"format_version\":\"1.0\",\"containers\":[7]}", "inventory: container 1: id is missing"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\"},{\"id\":\"\"}]}",
         "inventory: container 2: id is missing"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\",\"running\":\"yes\"}]}",
         "inventory: container 1: running must be true or false"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\",\"labels\":[]}]}",
         "inventory: container 1: labels must be a mapping"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\",\"labels\":{\"x\":1}}]}",
         "inventory: container 1: label x must be a text"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\",\"network_mode\":\"vlan\"}]}",
         "inventory: container 1: network_mode: vlan is none of bridge, none, host, container"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\",\"endpoints\":[{}]}]}",
         "inventory: container 1: an endpoint has no network"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\",\"endpoints\":[{\"network\":\"n\","
         "\"mac\":\"x\"}]}]}",
         "inventory: container 1: mac: x is no MAC address"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\",\"endpoints\":[{\"network\":\"n\","
         "\"ipv4\":\"::1\"}]}]}",
         "inventory: container 1: ipv4: ::1 is of the other family"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\",\"endpoints\":[{\"network\":\"n\","
         "\"ipv6\":\"x\"}]}]}",
         "inventory: container 1: ipv6: x is no IP address"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\",\"endpoints\":"
         "[{\"network\":\"n\",\"port\":\"0123456789abcdef\"}]}]}",
         "inventory: container 1: port: 0123456789abcdef is too long for an interface's name"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\",\"dns\":[1]}]}",
         "inventory: container 1: dns: this is no IP address"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\",\"published\":[{\"address\":\"::\","
         "\"port\":0,\"container_port\":1,\"protocol\":\"tcp\"}]}]}",
         "inventory: container 1: port must be a number from 1 to 65535"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\",\"published\":[{\"address\":\"::\","
         "\"port\":1,\"container_port\":1,\"protocol\":\"icmp\"}]}]}",
         "inventory: container 1: protocol: icmp is none of tcp, udp, sctp"},
        {"{\"format_version\":\"1.0\",\"containers\":[{\"id\":\"a\",\"published\":[{\"address\":\"all\","
         "\"port\":1,\"container_port\":1,\"protocol\":\"tcp\"}]}]}",
         "inventory: container 1: address: all is no IP address"},
        {"{\"format_version\":\"1.0\",\"networks\":[{\"id\":\"n\",\"subnets\":[\"10.0.0.1/8\"]}]}",
         "inventory: network 1: subnets: 10.0.0.1/8 is no network in CIDR notation"},
        {"{\"format_version\":\"1.0\",\"name_servers\":[\"x\"]}",
         "inventory: name_servers: x is no IP address"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_diags_ struct diags diags = {0};
        struct inventory *inventory = NULL;
        json_t *json = json_loads(cases[i].text, 0, NULL);

        assert_non_null(json);
        assert_int_equal(inventory_from_json(json, &inventory, &diags), -EBADMSG);
        assert_null(inventory);
        assert_int_equal(diags.n_errors, 1);
        assert_string_equal(diags.v[0].message, cases[i].message);
        json_decref(json);
    }
}

/* What comes from a look into the containers' namespaces. */
static void test_listening(void **state)
{
    struct inventory *inventory = read("{\"format_version\":\"1.0\",\"containers\":["
                                       "{\"id\":\"a\",\"running\":true,\"listening\":[\"1/tcp\"]},"
                                       "{\"id\":\"b\",\"running\":true},{\"id\":\"c\",\"running\":false},"
                                       "{\"id\":\"d\",\"running\":true},{\"id\":\"e\",\"running\":true}]}");
    json_t *listening =
        json_loads("{\"b\":{\"listening\":[\"80/tcp\",\"80/tcp\",\"53/udp\"],"
                   "\"listening_on_loopback\":[\"7/tcp\"]},\"c\":{\"listening\":[]},"
                   "\"d\":{\"listening\":[\"80/tcp\",\"x\"]},\"e\":{\"listening\":[]},\"f\":7}",
                   0, NULL);
    const struct container *b = inventory_container(inventory, "b");

    (void)state;
    inventory_container(inventory, "e")->own_kernel = true;
    inventory_set_listening(inventory, listening);
    assert_true(b->listening_known);
    assert_int_equal(b->listening.n, 2);
    assert_true(container_ports_have(&b->on_loopback, PORT_TCP, 7));
    assert_false(inventory_container(inventory, "a")->listening_known);
    assert_false(inventory_container(inventory, "c")->listening_known);
    assert_false(inventory_container(inventory, "d")->listening_known);
    assert_false(inventory_container(inventory, "e")->listening_known);
    inventory_set_listening(inventory, NULL);
    assert_false(b->listening_known || b->listening.n || b->on_loopback.n);
    json_decref(listening);
    inventory_free(inventory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_values),    cmocka_unit_test(test_least),
        cmocka_unit_test(test_errors),     cmocka_unit_test(test_listening),
    };

    return cmocka_run_group_tests_name("inventory-json", tests, NULL, NULL);
}
