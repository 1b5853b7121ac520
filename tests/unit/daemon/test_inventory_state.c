/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inventory on disk: what is written is read again, and what was damaged is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/inventory_state.h"

static struct inventory *some_inventory(void)
{
    struct inventory *inventory = inventory_new();
    struct container *container = container_new();
    struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);

    container->id = xstrdup("c0ffee");
    container->name = xstrdup("web");
    container->running = true;
    endpoint->network_id = xstrdup("net-1");
    endpoint->network_name = xstrdup("front");
    endpoint->id = xstrdup("endpoint-1");
    endpoint->has_ip[IP4] = ip_parse("10.91.0.2", &endpoint->ip[IP4]) == 0;
    strcpy(endpoint->port, "veth0123456");
    inventory_put_container(inventory, container);
    return inventory;
}

static char *format(const struct inventory *inventory, uint64_t time, const char *boot)
{
    _cleanup_(inventory_writer_freep) struct inventory_writer *writer =
        inventory_writer_new(inventory, time, boot);

    while (inventory_writer_step(writer, inventory, 1))
        ;
    return inventory_writer_finish(writer);
}

static void what_is_written_is_read_again(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = some_inventory(), *read = NULL;
    _cleanup_free_ char *text = format(inventory, 1700000000, "boot \"1\"");
    const struct container *container;
    struct inventory_age age;

    (void)state;
    assert_int_equal(inventory_state_parse(text, strlen(text), "boot \"1\"", &read, &age), 0);
    assert_int_equal(age.time, 1700000000);
    assert_false(age.stale);
    assert_int_equal(inventory_find(read, "web", &container), 0);
    assert_int_equal(container->n_endpoints, 1);
    assert_string_equal(container->endpoints[0].port, "veth0123456");
    assert_true(container->endpoints[0].has_ip[IP4]);
}

static void another_kernel_makes_it_stale(void **state)
{
    static const struct {
        const char *written, *read;
        bool stale;
    } cases[] = {
        {"a", "a", false}, {"a", "b", true}, {NULL, "a", true}, {"a", NULL, true}, {NULL, NULL, true}};
    _cleanup_(inventory_freep) struct inventory *inventory = some_inventory();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_free_ char *text = format(inventory, 1, cases[i].written);
        _cleanup_(inventory_freep) struct inventory *read = NULL;
        struct inventory_age age;

        assert_int_equal(inventory_state_parse(text, strlen(text), cases[i].read, &read, &age), 0);
        assert_int_equal(age.stale, cases[i].stale);
    }
}

/* Cut off anywhere, or with any byte changed. */
static void what_is_damaged_is_refused(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = some_inventory();
    _cleanup_free_ char *text = format(inventory, 1700000000, "boot");
    struct inventory *read = NULL;
    size_t len = strlen(text);
    struct inventory_age age;

    (void)state;
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(inventory_state_parse(text, i, "boot", &read, &age), -EBADMSG);
        text[i] ^= 1;
        assert_int_equal(inventory_state_parse(text, len, "boot", &read, &age), -EBADMSG);
        text[i] ^= 1;
    }
    assert_null(read);
}

static void put_container(struct inventory *inventory, const char *id)
{
    struct container *container = container_new();

    container->id = xstrdup(id);
    inventory_put_container(inventory, container);
}

/* Who ends while it is written is not in it, and who is new then is in the next. */
static void it_may_change_meanwhile(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new(), *read = NULL;
    struct inventory_age age;

    (void)state;
    for (const char *id = "abcd"; *id; id++)
        put_container(inventory, (char[]){*id, '\0'});
    _cleanup_(inventory_writer_freep) struct inventory_writer *writer =
        inventory_writer_new(inventory, 1, NULL);
    assert_true(inventory_writer_step(writer, inventory, 1));
    inventory_drop_container(inventory, "a");
    inventory_drop_container(inventory, "b");
    inventory_drop_container(inventory, "d");
    put_container(inventory, "e");
    assert_false(inventory_writer_step(writer, inventory, 5));
    _cleanup_free_ char *text = inventory_writer_finish(writer);
    assert_int_equal(inventory_state_parse(text, strlen(text), NULL, &read, &age), 0);
    assert_non_null(inventory_container(read, "a"));
    assert_non_null(inventory_container(read, "c"));
    assert_int_equal(HASH_COUNT(read->containers), 2);
}

static void nothing_is_known(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new(), *read = NULL;
    _cleanup_free_ char *text = format(inventory, 1, "boot");
    struct inventory_age age;

    (void)state;
    assert_int_equal(inventory_state_parse(text, strlen(text), "boot", &read, &age), 0);
    assert_int_equal(HASH_COUNT(read->containers), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(another_kernel_makes_it_stale),
        cmocka_unit_test(what_is_damaged_is_refused),
        cmocka_unit_test(it_may_change_meanwhile),
        cmocka_unit_test(nothing_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
