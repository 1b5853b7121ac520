/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a daemon has written down, made fresh by the Engine's lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "lockdown/inventory.h"
#include "util/mem.h"

static struct container *make_container(const char *id, const char *name, const char *endpoint_id)
{
    struct container *container = container_new();
    struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);

    container->id = xstrdup(id);
    container->name = xstrdup(name);
    container->running = true;
    endpoint->network_id = xstrdup("n");
    endpoint->network_name = xstrdup("n");
    endpoint->id = xstrdup(endpoint_id);
    endpoint->has_ip[IP4] = ip_parse("10.0.0.2", &endpoint->ip[IP4]) == 0;
    return container;
}

static struct network *make_network(const char *id)
{
    struct network *network = network_new();

    network->id = xstrdup(id);
    network->name = xstrdup(id);
    network->driver = xstrdup("bridge");
    network->scope = xstrdup("local");
    network->bridge = xasprintf("br-%s", id);
    return network;
}

static struct inventory *make_inventory(void)
{
    struct inventory *inventory = inventory_new();
    struct container *web = make_container("1", "web", "e1");

    snprintf(web->endpoints[0].port, IFNAMSIZ, "veth1");
    web->privileged = true;
    inventory_put_container(inventory, web);
    inventory_put_container(inventory, make_container("2", "gone", "e2"));
    inventory_put_network(inventory, make_network("n"));
    inventory_put_network(inventory, make_network("old"));
    return inventory;
}

static void freshen(struct inventory *inventory, struct container *container)
{
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    struct container_list containers = {0};
    struct network_list networks = {0};

    *ARRAY_ADD(containers.v, containers.n) = container;
    *ARRAY_ADD(networks.v, networks.n) = make_network("n");
    inventory_freshen(inventory, &containers, &networks, settings);
    container_list_clear(&containers);
    network_list_clear(&networks);
}

static void who_is_not_listed_is_gone(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();

    (void)state;
    freshen(inventory, make_container("1", "renamed", "e1"));
    assert_null(inventory_container(inventory, "2"));
    assert_null(inventory_network(inventory, "old"));
    assert_true(inventory_network(inventory, "n")->managed);
    assert_string_equal(inventory_container(inventory, "1")->name, "renamed");
}

static void a_port_stays_with_its_endpoint(void **state)
{
    _cleanup_(inventory_freep) struct inventory *same = make_inventory(), *other = make_inventory();

    (void)state;
    freshen(same, make_container("1", "web", "e1"));
    assert_string_equal(inventory_container(same, "1")->endpoints[0].port, "veth1");
    assert_true(inventory_container(same, "1")->privileged);
    freshen(other, make_container("1", "web", "e9")); /* it was started again */
    assert_string_equal(inventory_container(other, "1")->endpoints[0].port, "");
    assert_true(inventory_container(other, "1")->privileged);
}

static void before_the_host_started_nothing_was_live(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();
    const struct container *container;
    const struct endpoint *endpoint;
    struct ip ip;

    (void)state;
    assert_int_equal(ip_parse("10.0.0.2", &ip), 0);
    inventory_forget_live(inventory);
    assert_int_equal(inventory_find(inventory, "web", &container), 0);
    assert_false(container->running);
    assert_false(inventory_owner(inventory, ip, &container, &endpoint));
    freshen(inventory, make_container("1", "web", "e1"));
    assert_true(inventory_owner(inventory, ip, &container, &endpoint));
    assert_string_equal(endpoint->port, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_not_listed_is_gone),
        cmocka_unit_test(a_port_stays_with_its_endpoint),
        cmocka_unit_test(before_the_host_started_nothing_was_live),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
