/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lock tables: what has no name, what nobody knows any more, and how one content leads to another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ruleset/compile.h"
#include "ruleset/delta.h"
#include "ruleset/lock_tables.h"

static void add_container(struct inventory *inventory, const char *name, uint8_t number)
{
    struct container *container = container_new();
    struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);

    container->id = xasprintf("id-%s", name);
    container->name = xstrdup(name);
    container->running = true;
    endpoint->network_id = xstrdup("n");
    endpoint->network_name = xstrdup("n");
    endpoint->id = xasprintf("endpoint-%s", name);
    endpoint->mac = (struct mac){{2, 0, 0, 0, 0, number}};
    endpoint->ip[IP4] = (struct ip){.num = 0x0a000000u + number, .family = IP4};
    endpoint->ip[IP6] = (struct ip){.num = ((ipnum)0xfd << 120) + number, .family = IP6};
    endpoint->has_mac = endpoint->has_ip[IP4] = endpoint->has_ip[IP6] = true;
    snprintf(endpoint->port, sizeof(endpoint->port), "veth-%s", name);
    inventory_put_container(inventory, container);
}

static struct inventory *make_inventory(void)
{
    struct inventory *inventory = inventory_new();
    struct network *network = network_new();

    network->id = xstrdup("n");
    network->name = xstrdup("n");
    network->driver = xstrdup("bridge");
    network->bridge = xstrdup("br");
    network->managed = true;
    inventory_put_network(inventory, network);
    add_container(inventory, "web", 2);
    add_container(inventory, "db", 3);
    return inventory;
}

static struct lock *add_lock(struct lock_list *list, const char *name)
{
    struct lock *lock = lock_new();

    lock->name = name ? xstrdup(name) : NULL;
    lock_list_add(list, lock);
    return lock;
}

static bool has(const struct ruleset *ruleset, enum table_id table, const char *name, const void *bytes,
                size_t len)
{
    const struct set *set = table_set(&ruleset->tables[table], name);
    uint8_t key[KEY_BYTES_MAX] = {0};

    assert_non_null(set);
    memcpy(key, bytes, len);
    return set_find(set, key);
}

static bool has_ip4(const struct ruleset *ruleset, enum table_id table, const char *name, uint8_t number)
{
    return has(ruleset, table, name, (uint8_t[]){10, 0, 0, number}, 4);
}

static bool has_port(const struct ruleset *ruleset, const char *port)
{
    bool in = has(ruleset, TABLE_BRIDGE, "sealed", port, strlen(port));

    assert_int_equal(in, has(ruleset, TABLE_INET, "sealed", port, strlen(port)));
    return in;
}

static void what_has_no_name_is_cut_for_itself(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();
    _cleanup_(lock_list_freep) struct lock_list *list = lock_list_new();
    const char *why;

    (void)state;
    assert_int_equal(lock_by_address(add_lock(list, NULL), "10.0.0.9", &why), 0);
    assert_int_equal(lock_by_interface(add_lock(list, NULL), "veth-x", &why), 0);
    _cleanup_(ruleset_freep) struct ruleset *ruleset = lock_tables_compile(list, inventory, NULL);
    assert_true(has_ip4(ruleset, TABLE_INET, "locked4", 9) && has_ip4(ruleset, TABLE_BRIDGE, "sealed4", 9));
    assert_true(has_port(ruleset, "veth-x"));
    assert_false(has_ip4(ruleset, TABLE_INET, "locked4", 2) || has_port(ruleset, "veth-web"));
}

/* Once somebody has it, all that it has is cut. */
static void an_address_of_a_container_is_the_container(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();
    _cleanup_(lock_list_freep) struct lock_list *list = lock_list_new();
    const char *why;

    (void)state;
    assert_int_equal(lock_by_address(add_lock(list, NULL), "10.0.0.2", &why), 0);
    _cleanup_(ruleset_freep) struct ruleset *ruleset = lock_tables_compile(list, inventory, NULL);
    assert_true(has_port(ruleset, "veth-web"));
    assert_true(has(ruleset, TABLE_BRIDGE, "sealed_macs", (uint8_t[]){2, 0, 0, 0, 0, 2}, 6));
    assert_false(has_port(ruleset, "veth-db"));
}

static void who_is_not_known_any_more_stays_cut(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();
    _cleanup_(lock_list_freep) struct lock_list *first = lock_list_new(), *second = lock_list_new();
    const char *why;

    (void)state;
    add_lock(first, "web");
    add_lock(first, "db");
    _cleanup_(ruleset_freep) struct ruleset *standing = lock_tables_compile(first, inventory, NULL);
    add_lock(second, "web");
    inventory_drop_container(inventory, "id-web");
    assert_int_equal(lock_allow(add_lock(second, "db"), "host", &why), 0);
    _cleanup_(ruleset_freep) struct ruleset *ruleset = lock_tables_compile(second, inventory, NULL);
    assert_false(has_port(ruleset, "veth-web"));
    lock_tables_keep(ruleset, standing, inventory);
    assert_true(has_port(ruleset, "veth-web") && has_ip4(ruleset, TABLE_INET, "locked4", 2) &&
                has_ip4(ruleset, TABLE_BRIDGE, "sealed4", 2));
    /* Of whom is known what is known counts: it is not sealed any more. */
    assert_false(has_port(ruleset, "veth-db") || has_ip4(ruleset, TABLE_BRIDGE, "sealed4", 3));
    assert_true(has_ip4(ruleset, TABLE_INET, "locked4", 3));
}

static void what_is_bound_together_goes_together(void **state)
{
    static const struct compile_options options = {.mark = MARK_DEFAULT};
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory(), *nobody = inventory_new();
    _cleanup_(policy_set_freep) struct policy_set *none = policy_set_new();
    _cleanup_(compiler_freep) struct compiler *compiler = compiler_new(none, &options);
    _cleanup_(lock_list_freep) struct lock_list *list = lock_list_new();
    const char *why;

    (void)state;
    compiler_load(compiler, inventory);
    assert_int_equal(lock_by_address(add_lock(list, NULL), "fd00::2", &why), 0);
    lock_list_add_bound(list, compiler_ruleset(compiler));
    assert_int_equal(list->n, 3); /* the port, and its other address */
    _cleanup_(ruleset_freep) struct ruleset *ruleset = lock_tables_compile(list, nobody, NULL);
    assert_true(has_port(ruleset, "veth-web") && has_ip4(ruleset, TABLE_INET, "locked4", 2));
    assert_false(has_port(ruleset, "veth-db") || has_ip4(ruleset, TABLE_INET, "locked4", 3));
}

/* Nobody who is cut before and after is taken out of what cuts him. */
static void another_lock_moves_no_element(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();
    _cleanup_(lock_list_freep) struct lock_list *list = lock_list_new();
    _cleanup_delta_ struct delta delta = {0};

    (void)state;
    add_lock(list, "web");
    _cleanup_(ruleset_freep) struct ruleset *before = lock_tables_compile(list, inventory, NULL);
    add_lock(list, "db")->cut = CUT_IN;
    _cleanup_(ruleset_freep) struct ruleset *after = lock_tables_compile(list, inventory, NULL);
    delta_between(before, after, &delta);
    assert_int_equal(delta.pair, PAIR_LOCK);
    assert_int_equal(delta_deletions(&delta), 0);
    for (size_t phase = 0; phase < PHASES; phase++)
        for (size_t i = 0; i < delta.phases[phase].n; i++) {
            const struct op *op = &delta.phases[phase].v[i];

            assert_string_equal(op_table_name(op), "cofferdam_lockdown");
            assert_true(op->kind != OP_FLUSH_CHAIN && op->kind != OP_REMOVE_TABLE);
        }
}

/* It drops, and says nothing else for good: an accept would be no harm, and no use. */
static void nothing_is_accepted(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();
    _cleanup_(lock_list_freep) struct lock_list *list = lock_list_new();
    const char *why;

    (void)state;
    assert_int_equal(lock_allow(add_lock(list, "web"), "db:80/tcp", &why), 0);
    add_lock(list, "db")->cut = CUT_OUT;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = lock_tables_compile(list, inventory, NULL);
    for (size_t i = 0; i < TABLES; i++)
        for (const struct chain *chain = ruleset->tables[i].chains; chain; chain = chain->hh.next)
            for (size_t j = 0; j < chain->n_rules; j++) {
                assert_int_not_equal(chain->rules[j].verdict, V_ACCEPT);
                assert_int_equal(chain->rules[j].mark_change, MARK_KEEP);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_no_name_is_cut_for_itself),
        cmocka_unit_test(an_address_of_a_container_is_the_container),
        cmocka_unit_test(who_is_not_known_any_more_stays_cut),
        cmocka_unit_test(what_is_bound_together_goes_together),
        cmocka_unit_test(another_lock_moves_no_element),
        cmocka_unit_test(nothing_is_accepted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
