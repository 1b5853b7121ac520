/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom a request locks down, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "control/protocol.h"
#include "lockdown/request.h"
#include "util/mem.h"

static int set_up(void **state)
{
    struct inventory *inventory = inventory_new();
    struct container *web = container_new(), *twin = container_new();
    struct endpoint *endpoint = ARRAY_ADD(web->endpoints, web->n_endpoints);

    web->id = xstrdup("aaaa1111");
    web->name = xstrdup("web");
    web->running = true;
    endpoint->network_id = xstrdup("n");
    endpoint->network_name = xstrdup("n");
    endpoint->id = xstrdup("e");
    endpoint->has_ip[IP4] = ip_parse("10.0.0.2", &endpoint->ip[IP4]) == 0;
    snprintf(endpoint->port, sizeof(endpoint->port), "veth-web");
    inventory_put_container(inventory, web);
    twin->id = xstrdup("aaaa2222");
    twin->name = xstrdup("db");
    inventory_put_container(inventory, twin);
    assert_int_equal(ip_parse("192.0.2.1", ARRAY_ADD(inventory->host_addresses, inventory->n_host_addresses)),
                     0);
    *state = inventory;
    return 0;
}

static int tear_down(void **state)
{
    inventory_free(*state);
    return 0;
}

static struct lock_asked read_text(const struct inventory *inventory, bool nameless, const char *text)
{
    const struct lock_asker asker = {.inventory = inventory,
                                     .inventory_known = true,
                                     .nameless = nameless,
                                     .help = "look elsewhere",
                                     .by = "somebody",
                                     .wall = 1000,
                                     .boot = "this",
                                     .boot_now = 77};
    _cleanup_free_ char *quoted = xstrdup(text);
    struct lock_asked asked;

    for (char *c = quoted; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_t *request = json_loads(quoted, 0, NULL);
    assert_non_null(request);
    lock_request_read(request, &asker, &asked);
    json_decref(request);
    return asked;
}

/* "web db 10.0.0.9", or the error and its help. The caller frees it. */
static char *read_names(const struct inventory *inventory, bool nameless, const char *text)
{
    _cleanup_lock_asked_ struct lock_asked asked = read_text(inventory, nameless, text);
    char *names = xstrdup("");

    for (size_t i = 0; !asked.error && i < asked.locks->n; i++) {
        char *longer = xasprintf("%s%s%s", names, i ? " " : "", lock_text(asked.locks->v[i]));

        free(names);
        names = longer;
    }
    if (asked.error) {
        free(names);
        names = xasprintf("%s; %s", json_string_value(json_object_get(asked.error, "error")),
                          json_string_value(json_object_get(asked.error, "help")) ?: "-");
        json_decref(asked.error);
    }
    return names;
}

static void each_way_to_say_it(void **state)
{
    static const struct {
        const char *request, *daemon, *alone; /* alone: NULL: the same */
    } cases[] = {
        {"{'containers': ['web', 'db']}", "web db", NULL},
        {"{'containers': ['web', 'aaaa1', 'web'], 'addresses': ['10.0.0.2'], 'interfaces': ['veth-web']}",
         "web", NULL},
        {"{'addresses': ['10.0.0.2']}", "web", NULL},
        {"{'interfaces': ['veth-web']}", "web", NULL},
        {"{'interfaces': ['veth-web'], 'direction': 'in', 'allow': ['host']}", "web", NULL},
        {"{'select': ['name=d*', 'all'], 'except': ['web']}", "name=d* all", NULL},
        {"{'addresses': ['10.0.0.9']}",
         "lockdown: no container has 10.0.0.9; nothing was done; look elsewhere", "10.0.0.9"},
        {"{'interfaces': ['veth-x', 'veth-web']}",
         "lockdown: no container has veth-x; nothing was done; look elsewhere", "veth-x web"},
        {"{'containers': ['nobody']}",
         "lockdown: there is no container 'nobody'; nothing was done; look elsewhere", NULL},
        {"{'containers': ['aaaa']}",
         "lockdown: more than one container has an ID that begins with 'aaaa'; nothing was done; give more digits of the "
         "ID, or the name",
         NULL},
        {"{}", "lockdown: say which containers; -", NULL},
        {"{'containers': 'web'}", "lockdown: \"containers\" must be a list of at most 1000 texts; -", NULL},
        {"{'containers': ['']}", "lockdown: \"containers\" must be a list of at most 1000 texts; -", NULL},
        {"{'addresses': [7]}", "lockdown: \"addresses\" must be a list of at most 1000 texts; -", NULL},
        {"{'containers': ['web'], 'direction': 'up'}", "lockdown: 'up' is no direction; in, out or both",
         NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *daemon = read_names(*state, false, cases[i].request);
        _cleanup_free_ char *alone = read_names(*state, true, cases[i].request);

        assert_string_equal(daemon, cases[i].daemon);
        assert_string_equal(alone, cases[i].alone ? cases[i].alone : cases[i].daemon);
    }
}

static void what_cannot_be_an_address_of_a_container(void **state)
{
    static const char *const addresses[] = {"10.0.0",     "0.0.0.0",  "::",        "127.0.0.1",
                                            "::1",        "ff02::1",  "224.0.0.1", "255.255.255.255",
                                            "10.0.0.0/8", "192.0.2.1"};
    static const char *const interfaces[] = {"a/b", ".", "..", "sixteen-letters-", "a b"};

    for (size_t i = 0; i < ARRAY_SIZE(addresses) + ARRAY_SIZE(interfaces); i++) {
        bool address = i < ARRAY_SIZE(addresses);
        const char *word = address ? addresses[i] : interfaces[i - ARRAY_SIZE(addresses)];
        _cleanup_free_ char *request =
            xasprintf("{'%s': ['%s']}", address ? "addresses" : "interfaces", word);
        _cleanup_lock_asked_ struct lock_asked asked = read_text(*state, true, request);

        if (!asked.error)
            fail_msg("%s was taken", word);
        json_decref(asked.error);
    }
}

static void nobodys_address_has_no_exceptions(void **state)
{
    static const char *const terms[] = {"'direction': 'in'", "'allow': ['host']"};

    for (size_t i = 0; i < ARRAY_SIZE(terms); i++) {
        _cleanup_free_ char *request = xasprintf("{'addresses': ['10.0.0.9'], %s}", terms[i]);
        _cleanup_free_ char *said = read_names(*state, true, request);

        assert_non_null(strstr(said, "exceptions cannot be made for it"));
    }
}

static void terms_are_each_locks(void **state)
{
    _cleanup_lock_asked_ struct lock_asked asked = read_text(
        *state, true,
        "{'containers': ['web'], 'addresses': ['10.0.0.9'], 'reason': 'odd', 'for': 2500000, 'dry_run': true}");

    assert_null(asked.error);
    assert_true(asked.dry_run);
    assert_int_equal(asked.locks->n, 2);
    for (size_t i = 0; i < asked.locks->n; i++) {
        const struct lock *lock = asked.locks->v[i];

        assert_string_equal(lock->reason, "odd");
        assert_string_equal(lock->by, "somebody");
        assert_int_equal(lock->since, 1000);
        assert_int_equal(lock->until, 1003);
        assert_int_equal(lock->boot_until, 77 + 2500000);
        assert_int_equal(lock_is_nameless(lock), i == 1);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_way_to_say_it),
        TEST(what_cannot_be_an_address_of_a_container),
        TEST(nobodys_address_has_no_exceptions),
        TEST(terms_are_each_locks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
