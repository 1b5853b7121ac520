/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verdict/lock_json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "util/mem.h"

static struct lock_list *sample(void)
{
    struct lock_list *list = lock_list_new();
    struct lock *one = lock_new(), *many = lock_new();
    const char *why;

    one->id = xstrdup("abcdef");
    one->name = xstrdup("web");
    one->cut = CUT_OUT;
    one->reason = xstrdup("odd");
    one->by = xstrdup("root");
    one->since = 1700000000;
    one->until = 1700003600;
    one->boot = xstrdup("boot");
    one->boot_until = 77;
    assert_int_equal(lock_allow(one, "db:5432/tcp", &why), 0);
    assert_int_equal(lock_allow(one, "[2001:db8::7]:22/tcp", &why), 0);
    assert_int_equal(lock_select(many, "name=w*", &why), 0);
    *ARRAY_ADD(many->except, many->n_except) = xstrdup("w2");
    lock_list_add(list, one);
    lock_list_add(list, many);
    return list;
}

static struct inventory *containers(void)
{
    static const char *const names[] = {"web", "w2", "w3"};
    struct inventory *inventory = inventory_new();

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct container *container = container_new();

        container->id = xstrdup(names[i]);
        container->name = xstrdup(names[i]);
        inventory_put_container(inventory, container);
    }
    return inventory;
}

static void test_there_and_back(void **state)
{
    _cleanup_(lock_list_freep) struct lock_list *list = sample(), *read = NULL;
    _cleanup_(inventory_freep) struct inventory *inventory = containers();
    _cleanup_diags_ struct diags diags = {0};
    json_t *json = locks_to_json(list, inventory), *again;
    const json_t *one = json_array_get(json, 0), *many = json_array_get(json, 1);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(one, "since")), "2023-11-14T22:13:20Z");
    assert_string_equal(json_string_value(json_object_get(one, "until")), "2023-11-14T23:13:20Z");
    assert_null(json_object_get(one, "boot"));
    assert_string_equal(json_string_value(json_object_get(one, "text")), "web");
    assert_true(json_is_null(json_object_get(many, "since")));
    assert_true(json_is_null(json_object_get(many, "until")));
    assert_int_equal(json_array_size(json_object_get(many, "containers")), 2);
    assert_int_equal(locks_from_json(json, &read, &diags), 0);
    assert_int_equal(read->n, 2);
    assert_int_equal(read->v[0]->until, 1700003600);
    assert_int_equal(read->v[0]->cut, CUT_OUT);
    assert_int_equal(read->v[0]->exceptions->policies[0].n_rules[EGRESS], 2);
    again = locks_to_json(read, inventory);
    assert_true(json_equal(json, again));
    json_decref(json);
    json_decref(again);
}

static void test_none(void **state)
{
    _cleanup_(lock_list_freep) struct lock_list *absent = NULL, *null = NULL;
    _cleanup_(inventory_freep) struct inventory *inventory = containers();
    json_t *json = json_null(), *empty = locks_to_json(NULL, inventory);

    (void)state;
    assert_int_equal(locks_from_json(NULL, &absent, NULL), 0);
    assert_int_equal(locks_from_json(json, &null, NULL), 0);
    assert_int_equal(absent->n + null->n, 0);
    assert_int_equal(json_array_size(empty), 0);
    json_decref(empty);
}

/* A lockdown that is not understood must not be taken for none. */
static void test_wrong(void **state)
{
    static const char *const texts[] = {
        "{}",
        "7",
        "[7]",
        "[{}]",
        "[{\"direction\": \"both\"}]",
        "[{\"name\": \"web\"}]",
        "[{\"name\": \"web\", \"direction\": \"up\"}]",
        "[{\"name\": \"web\", \"direction\": \"in\", \"since\": 1700000000}]",
        "[{\"name\": \"web\", \"direction\": \"in\", \"until\": \"soon\"}]",
        "[{\"name\": \"web\", \"direction\": \"in\", \"allow\": [\"$x\"]}]",
        "[{\"name\": \"web\", \"direction\": \"in\", \"allow\": [7]}]",
        "[{\"select\": \"x\", \"direction\": \"in\"}]",
        "[{\"select\": \"name=x\", \"direction\": \"in\", \"except\": [7]}]",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_diags_ struct diags diags = {0};
        struct lock_list *list = NULL;
        json_t *json = json_loads(texts[i], JSON_DECODE_ANY, NULL);

        assert_non_null(json);
        assert_int_equal(locks_from_json(json, &list, &diags), -EBADMSG);
        assert_null(list);
        assert_int_equal(diags.n_errors, 1);
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_none),
                                       cmocka_unit_test(test_wrong)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
