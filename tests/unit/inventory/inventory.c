/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "inventory/inventory.h"
#include "policy/settings.h"

static struct ip ip(const char *text)
{
    struct ip ip;

    assert_int_equal(ip_parse(text, &ip), 0);
    return ip;
}

static struct container *add(struct inventory *inventory, const char *id, const char *name)
{
    struct container *container = container_new();

    container->id = xstrdup(id);
    container->name = xstrdup_null(name);
    container->running = true;
    inventory_put_container(inventory, container);
    return container;
}

static struct network *add_network(struct inventory *inventory, const char *id, const char *name,
                                   const char *driver)
{
    struct network *network = network_new();

    network->id = xstrdup(id);
    network->name = xstrdup(name);
    network->driver = xstrdup_null(driver);
    network->scope = xstrdup("local");
    if (driver && strcmp(driver, "bridge") == 0)
        network->bridge = xasprintf("br-%s", id);
    inventory_put_network(inventory, network);
    return network;
}

static void connect_to(struct container *container, const char *network_id, const char *network_name,
                       const char *endpoint_id, const char *address)
{
    struct endpoint endpoint = {
        .network_id = (char *)network_id, .network_name = (char *)network_name, .id = (char *)endpoint_id};

    if (address) {
        struct ip parsed = ip(address);

        endpoint.ip[parsed.family] = parsed;
        endpoint.has_ip[parsed.family] = true;
    }
    *ARRAY_ADD(container->endpoints, container->n_endpoints) = endpoint_copy(&endpoint);
}

static void test_put_and_drop(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();

    (void)state;
    add(inventory, "aa", "old");
    add(inventory, "aa", "new");
    assert_int_equal(HASH_COUNT(inventory->containers), 1);
    assert_string_equal(inventory_container(inventory, "aa")->name, "new");
    assert_null(inventory_container(inventory, "a"));
    inventory_drop_container(inventory, "none");
    inventory_drop_container(inventory, "aa");
    assert_null(inventory_container(inventory, "aa"));

    add_network(inventory, "n1", "front", "bridge");
    add_network(inventory, "n1", "front2", "bridge");
    assert_string_equal(inventory_network(inventory, "n1")->name, "front2");
    inventory_drop_network(inventory, "n1");
    inventory_drop_network(inventory, "n1");
    assert_null(inventory_network(inventory, "n1"));
}

static void assert_found(const struct inventory *inventory, const char *word, const char *id)
{
    const struct container *found = NULL;

    assert_int_equal(inventory_find(inventory, word, &found), 0);
    assert_string_equal(found->id, id);
}

static void test_find(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    const struct container *found = NULL;

    (void)state;
    add(inventory, "abc111", "web");
    add(inventory, "abc222", "db");
    add(inventory, "def333", "abc111x");
    add(inventory, "0123", "def");    /* its name is the beginning of another's ID */
    add(inventory, "4567", "abc222"); /* its name is another's ID */
    add(inventory, "89", NULL);
    assert_found(inventory, "web", "abc111");
    assert_found(inventory, "/web", "abc111");
    assert_found(inventory, "abc111", "abc111");
    assert_found(inventory, "abc2", "abc222");
    assert_found(inventory, "def", "0123");
    assert_found(inventory, "def3", "def333");
    assert_found(inventory, "abc222", "abc222");
    assert_found(inventory, "8", "89");
    assert_int_equal(inventory_find(inventory, "abc", &found), -ENOTUNIQ);
    assert_int_equal(inventory_find(inventory, "we", &found), -ENOENT);
    assert_int_equal(inventory_find(inventory, "", &found), -ENOENT);
    assert_int_equal(inventory_find(inventory, "/", &found), -ENOENT);
    assert_int_equal(inventory_find(inventory, "abc1111", &found), -ENOENT);
    assert_null(found);
}

/* After a rename that we have not heard of, the name of the old one is no longer proof. */
static void test_find_same_name_twice(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    const struct container *found = NULL;

    (void)state;
    add(inventory, "aa", "web");
    add(inventory, "bb", "web");
    assert_int_equal(inventory_find(inventory, "web", &found), -ENOTUNIQ);
    assert_null(found);
}

static void test_label(void **state)
{
    struct container *container = container_new();

    (void)state;
    *ARRAY_ADD(container->labels, container->n_labels) = (struct label){xstrdup("z"), xstrdup("26"), false};
    *ARRAY_ADD(container->labels, container->n_labels) = (struct label){xstrdup("a"), xstrdup("1"), false};
    *ARRAY_ADD(container->labels, container->n_labels) = (struct label){xstrdup("m"), xstrdup("13"), true};
    labels_sort(container->labels, container->n_labels);
    assert_null(container_label(container, "a"));
    container->labels_known = true;
    assert_string_equal(container_label(container, "a"), "1");
    assert_string_equal(container_label(container, "z"), "26");
    assert_null(container_label(container, "m"));
    assert_null(container_label(container, "b"));
    container_free(container);
}

static void test_owner(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct container *web = add(inventory, "aa", "web"), *stopped = add(inventory, "bb", "stopped");
    const struct container *container = NULL;
    const struct endpoint *endpoint = NULL;

    (void)state;
    connect_to(web, "n1", "front", "e1", "172.18.0.2");
    connect_to(web, "n2", "back", "e2", "fd00::2");
    connect_to(web, "n3", "early", NULL, "172.19.0.2");
    connect_to(stopped, "n1", "front", "e3", "172.18.0.3");
    stopped->running = false;
    assert_true(inventory_owner(inventory, ip("fd00::2"), &container, &endpoint));
    assert_ptr_equal(container, web);
    assert_string_equal(endpoint->network_name, "back");
    assert_true(inventory_owner(inventory, ip("172.18.0.2"), &container, &endpoint));
    assert_string_equal(endpoint->id, "e1");
    assert_false(inventory_owner(inventory, ip("172.18.0.3"), &container, &endpoint));
    assert_false(inventory_owner(inventory, ip("172.19.0.2"), &container, &endpoint));
    assert_false(inventory_owner(inventory, ip("::2"), &container, &endpoint));
    assert_false(inventory_owner(inventory, ip("0.0.0.0"), &container, &endpoint));
}

/* ---- what is enforced --------------------------------------------------------------------------------- */

static void assert_managed(struct network *network, const struct settings *settings, const char *reason)
{
    network_decide_managed(network, settings);
    assert_int_equal(network->managed, !reason);
    if (reason)
        assert_string_equal(network->unmanaged_reason, reason);
    else
        assert_null(network->unmanaged_reason);
}

static void test_decide_managed(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct network *front = add_network(inventory, "n1", "front", "bridge");
    struct network *lan = add_network(inventory, "n2", "lan", "macvlan");
    struct network *gateway = add_network(inventory, "n3", "docker_gwbridge", "bridge");
    struct network *odd = add_network(inventory, "n4", "odd", NULL);
    char *names[] = {(char *)"front"};
    struct settings all = {.managed_all = true};
    struct settings but_front = {.managed_all = true, .unmanaged = names, .n_unmanaged = 1};
    struct settings only_front = {.managed = names, .n_managed = 1};
    struct settings both = {.managed = names, .n_managed = 1, .unmanaged = names, .n_unmanaged = 1};
    struct settings none = {.managed_all = false};

    (void)state;
    assert_managed(front, &all, NULL);
    assert_managed(front, &but_front, "the settings list it under networks: unmanaged");
    assert_managed(front, &only_front, NULL);
    assert_managed(front, &both, "the settings list it under networks: unmanaged");
    assert_managed(front, &none, "the settings do not list it under networks: managed");
    assert_managed(lan, &all, "its driver is macvlan, not bridge");
    assert_managed(odd, &all, "its driver is unknown, not bridge");
    assert_managed(gateway, &all, "it is Swarm's own, and the Engine does not say whose its addresses are");
    free(front->scope);
    front->scope = xstrdup("swarm");
    assert_managed(front, &only_front, "its scope is swarm, not local");
    free(front->scope);
    front->scope = NULL;
    free(front->bridge);
    front->bridge = NULL;
    assert_managed(front, &all, "the Engine does not say which bridge is its");
}

static void assert_reason(const struct inventory *inventory, const struct container *container,
                          const char *reason)
{
    _cleanup_free_ char *text = container_unenforced_reason(inventory, container);

    if (!reason) {
        if (text)
            fail_msg("enforced, but the reason given is: %s", text);
        return;
    }
    assert_non_null(text);
    assert_string_equal(text, reason);
}

static void test_reason_by_network(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct container *web = add(inventory, "aa", "web");
    struct settings settings = {.managed_all = true};
    static const char *const drivers[][2] = {
        {"macvlan", "is on network x, which is not managed: its driver is macvlan, not bridge"},
        {"ipvlan", "is on network x, which is not managed: its driver is ipvlan, not bridge"},
        {"overlay", "is on network x, which is not managed: its driver is overlay, not bridge"},
        {"weave:latest", "is on network x, which is not managed: its driver is weave:latest, not bridge"},
    };

    (void)state;
    network_decide_managed(add_network(inventory, "n1", "front", "bridge"), &settings);
    assert_reason(inventory, web, NULL); /* on no network at all */
    connect_to(web, "n1", "front", "e1", "172.18.0.2");
    assert_reason(inventory, web, NULL);
    connect_to(web, "n2", "x", "e2", "192.0.2.7");
    assert_reason(inventory, web, "is on network x, which is not known");
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
        network_decide_managed(add_network(inventory, "n2", "x", drivers[i][0]), &settings);
        assert_reason(inventory, web, drivers[i][1]);
    }
    network_decide_managed(add_network(inventory, "n2", "x", "bridge"), &settings);
    assert_reason(inventory, web, NULL);
    add_network(inventory, "n2", "x", "bridge");
    assert_reason(inventory, web, "is on network x, which is not managed: not decided yet");
}

static void test_reason_never_started(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct container *web = add(inventory, "aa", "web");
    struct settings settings = {.managed_all = true};

    (void)state;
    network_decide_managed(add_network(inventory, "n1", "front", "bridge"), &settings);
    connect_to(web, "", "front", NULL, NULL);
    assert_reason(inventory, web, NULL);
    network_decide_managed(add_network(inventory, "n1", "front", "macvlan"), &settings);
    assert_reason(inventory, web,
                  "is on network front, which is not managed: its driver is macvlan, not bridge");
}

static void test_reason_by_mode(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct container *web = add(inventory, "aa", "web"), *side = add(inventory, "bb", "side");
    struct container *third = add(inventory, "cc", "third");

    (void)state;
    web->mode = NETMODE_NONE;
    assert_reason(inventory, web, NULL);
    web->mode = NETMODE_HOST;
    assert_reason(inventory, web, "uses the host's network");
    web->net_admin = true;
    assert_reason(inventory, web,
                  "uses the host's network, and may change it and these rules (CAP_NET_ADMIN)");
    web->net_admin = false;

    side->mode = NETMODE_CONTAINER;
    side->mode_target = xstrdup("aa");
    assert_reason(inventory, side, "shares the network of container web, which uses the host's network");
    third->mode = NETMODE_CONTAINER;
    third->mode_target = xstrdup("side");
    assert_reason(
        inventory, third,
        "shares the network of container side, which shares the network of container web, which uses the "
        "host's network");
    web->mode = NETMODE_BRIDGE;
    assert_reason(inventory, third, NULL);
    inventory_drop_container(inventory, "aa");
    assert_reason(inventory, side, "shares the network of container aa, which is not known");
}

static void test_reason_elsewhere(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct container *web = add(inventory, "aa", "web"), *none = add(inventory, "bb", "none");
    struct network *front = add_network(inventory, "n1", "front", "bridge");
    struct settings settings = {.managed_all = true};

    (void)state;
    network_decide_managed(front, &settings);
    connect_to(web, "n1", "front", "e1", "172.18.0.2");
    none->mode = NETMODE_NONE;
    front->elsewhere = true;
    assert_reason(inventory, web, "is on network front: its bridge br-n1 is not in this network namespace");
    front->elsewhere = false;
    assert_reason(inventory, web, NULL);
    inventory->rootless = true;
    assert_reason(inventory, web,
                  "the Docker Engine is rootless, and its bridges are where these rules are not");
    assert_reason(inventory, none, NULL);
    web->mode = NETMODE_HOST; /* of a namespace that is not the host's */
    assert_reason(inventory, web,
                  "the Docker Engine is rootless, and its bridges are where these rules are not");
}

static void test_sits_on(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct network *front = add_network(inventory, "n1", "front", "bridge"),
                   *lan = add_network(inventory, "n2", "lan", "macvlan");
    static const struct {
        const char *parent;
        bool sits;
    } cases[] = {{NULL, false},      {"eth0", false},   {"br-n1", true},
                 {"br-n1.10", true}, {"br-n11", false}, {"br-n", false}};

    (void)state;
    front->managed = true;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        lan->parent = xstrdup_null(cases[i].parent);
        assert_ptr_equal(network_sits_on(inventory, lan), cases[i].sits ? front : NULL);
        free(STEAL(lan->parent));
    }
    lan->parent = xstrdup("br-n1");
    front->managed = false;
    assert_null(network_sits_on(inventory, lan));
    assert_null(network_sits_on(inventory, front));
}

static void assert_caution(const struct inventory *inventory, const struct container *container,
                           const char *begin)
{
    _cleanup_free_ char *text = container_caution(inventory, container);

    if (begin)
        assert_true(text && strncmp(text, begin, strlen(begin)) == 0);
    else
        assert_null(text);
}

static void test_caution(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct container *web = add(inventory, "aa", "web"), *side = add(inventory, "bb", "side");

    (void)state;
    web->running = side->running = true;
    side->mode = NETMODE_CONTAINER;
    side->mode_target = xstrdup("aa");
    assert_caution(inventory, web, NULL);
    assert_caution(inventory, side, NULL);
    web->net_admin = side->net_admin =
        true; /* on a network of its own it is bound to its port all the same */
    assert_caution(inventory, web, NULL);
    assert_caution(inventory, side, "may change addresses, routes and filters of container web, whose");
    web->running = false;
    assert_caution(inventory, side, "has no network, as container web does not run, whose");
    side->running = false;
    assert_caution(inventory, side, NULL);
    web->running = web->privileged = true;
    assert_caution(inventory, web, "is privileged: root in it can take over the host");
    inventory_drop_container(inventory, "aa");
    side->running = true;
    assert_caution(inventory, side, NULL);
}

static void test_reason_ring(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct container *self = add(inventory, "aa", "self");
    _cleanup_free_ char *text = NULL;

    (void)state;
    self->mode = NETMODE_CONTAINER;
    self->mode_target = xstrdup("self");
    text = container_unenforced_reason(inventory, self);
    assert_non_null(text);
    assert_non_null(strstr(text, "in a ring of containers"));
    free(self->mode_target);
    self->mode_target = NULL;
    assert_reason(inventory, self, "shares the network of container , which is not known");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_and_drop),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_find_same_name_twice),
        cmocka_unit_test(test_label),
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_decide_managed),
        cmocka_unit_test(test_reason_by_network),
        cmocka_unit_test(test_reason_never_started),
        cmocka_unit_test(test_reason_by_mode),
        cmocka_unit_test(test_reason_ring),
        cmocka_unit_test(test_reason_elsewhere),
        cmocka_unit_test(test_caution),
        cmocka_unit_test(test_sits_on),
    };

    return cmocka_run_group_tests_name("inventory", tests, NULL, NULL);
}
