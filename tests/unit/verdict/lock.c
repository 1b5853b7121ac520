/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom a lockdown means, and what it does to connections that are open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "inventory/json.h"
#include "util/mem.h"
#include "verdict/lock.h"

static const char inventory_json[] =
    "{'format_version': '1.0', 'networks': ["
    "  {'id': 'n1', 'name': 'front', 'driver': 'bridge', 'bridge': 'br-1', 'managed': true,"
    "   'subnets': ['172.18.0.0/16', 'fd00::/64']}],"
    " 'containers': ["
    "  {'id': 'aa11', 'name': 'shop-web-1', 'running': true, 'network_mode': 'bridge',"
    "   'labels': {'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'web',"
    "              'com.docker.compose.container-number': '1'},"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e1', 'ipv4': '172.18.0.2',"
    "                  'ipv6': 'fd00::2'}]},"
    "  {'id': 'aa22', 'name': 'shop-web-2', 'running': true, 'network_mode': 'bridge',"
    "   'labels': {'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'web',"
    "              'com.docker.compose.container-number': '2'},"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e2', 'ipv4': '172.18.0.3'}]},"
    "  {'id': 'aa33', 'name': 'db', 'running': true, 'network_mode': 'bridge', 'labels': {'tier': 'back'},"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e3', 'ipv4': '172.18.0.4'}]},"
    "  {'id': 'aa44', 'name': 'sidecar', 'running': true, 'network_mode': 'container', 'network_target': 'aa33'}],"
    " 'host_addresses': ['192.0.2.1', '172.18.0.1']}";

static int set_up(void **state)
{
    _cleanup_free_ char *text = xstrdup(inventory_json);
    _cleanup_diags_ struct diags diags = {0};
    struct inventory *inventory = NULL;

    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_t *json = json_loads(text, 0, NULL);
    int r = inventory_from_json(json, &inventory, &diags);
    json_decref(json);
    *state = inventory;
    return r;
}

static int tear_down(void **state)
{
    inventory_free(*state);
    return 0;
}

static const struct container *named(const struct inventory *inventory, const char *name)
{
    const struct container *container = NULL;

    assert_int_equal(inventory_find(inventory, name, &container), 0);
    return container;
}

static struct lock *lock_of(const struct inventory *inventory, const char *name)
{
    struct lock *lock = lock_new();

    lock_name(lock, named(inventory, name));
    return lock;
}

static struct lock *selecting(const char *text)
{
    struct lock *lock = lock_new();
    const char *why;

    assert_int_equal(lock_select(lock, text, &why), 0);
    return lock;
}

static void who_comes_after_is_meant(void **state)
{
    _cleanup_(lock_freep) struct lock *lock = lock_of(*state, "shop-web-1");
    struct container *container = inventory_container(*state, "aa11");

    assert_true(lock_means(lock, container));
    assert_false(lock_means(lock, named(*state, "shop-web-2")));
    assert_false(lock_means(lock, named(*state, "db")));
    /* another ID: the same name, or the same service and number under a passing name */
    strcpy(container->id, "bb11");
    assert_true(lock_means(lock, container));
    container->name[0] = '_';
    assert_true(lock_means(lock, container));
    for (size_t i = 0; i < container->n_labels; i++)
        container->labels[i].from_image = true; /* whatever it lies */
    container->labels_known = false;
    assert_true(lock_means(lock, container));
    strcpy(container->labels[0].value, "9");
    assert_false(lock_means(lock, container));
    strcpy(container->id, "aa11");
    assert_true(lock_means(lock, container));
}

static void selectors_mean_many(void **state)
{
    static const struct {
        const char *text;
        bool web1, db;
    } cases[] = {{"compose=shop/web", true, false},
                 {"compose=shop", true, false},
                 {"compose=sho", false, false},
                 {"name=*b*", true, true},
                 {"label=tier=b*", false, true},
                 {"label=tier=x", false, false},
                 {"all", true, true}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(lock_freep) struct lock *lock = selecting(cases[i].text);

        assert_int_equal(lock_means(lock, named(*state, "shop-web-1")), cases[i].web1);
        assert_int_equal(lock_means(lock, named(*state, "db")), cases[i].db);
        *ARRAY_ADD(lock->except, lock->n_except) = xstrdup("db");
        assert_false(lock_means(lock, named(*state, "db")));
    }
}

static void bad_words_are_refused(void **state)
{
    static const char *const selectors[] = {"",        "web",     "compose=", "compose=/web",
                                            "image=x", "label=k", "label==v", "name="};
    static const char *const peers[] = {
        "",    ":22/tcp", "web:",         "web:22",          "10.0.0.1/8",  "fd00::1:22/tcp",
        "a b", "web*",    "[fd00::1]:22", "any thing:1/tcp", "10.0.0.0/33", "::1::2"};
    static const char *const good[] = {
        "web",       "host",    "host:22/tcp",      "10.0.0.0/8", "10.0.0.0/8:1-9/udp", "192.0.2.7:22/tcp",
        "fd00::/64", "fd00::1", "[fd00::1]:22/tcp", "[fd00::1]",  "web_1.x:icmp"};
    const char *why;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(selectors); i++) {
        _cleanup_(lock_freep) struct lock *lock = lock_new();
        assert_int_equal(lock_select(lock, selectors[i], &why), -EINVAL);
    }
    for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
        _cleanup_(lock_freep) struct lock *lock = lock_new();
        if (lock_allow(lock, peers[i], &why) != -EINVAL)
            fail_msg("'%s' was taken", peers[i]);
        assert_int_equal(lock->n_allow, 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_(lock_freep) struct lock *lock = lock_new();
        if (lock_allow(lock, good[i], &why) != 0)
            fail_msg("'%s' was refused: %s", good[i], why);
    }
}

static void locks_add_up(void **state)
{
    _cleanup_(lock_list_freep) struct lock_list *list = lock_list_new();
    struct lock *in = lock_of(*state, "db"), *out = selecting("label=tier=back");
    const char *why;
    struct lock_effect effect;

    in->cut = CUT_IN;
    assert_int_equal(lock_allow(in, "host", &why), 0);
    lock_list_add(list, in);
    effect = lock_effect(list, *state, named(*state, "db"));
    assert_int_equal(effect.cut, CUT_IN);
    assert_ptr_equal(effect.exceptions, in);
    out->cut = CUT_OUT;
    lock_list_add(list, out);
    effect = lock_effect(list, *state, named(*state, "db"));
    assert_int_equal(effect.cut, CUT_BOTH);
    assert_null(effect.exceptions);
    assert_int_equal(lock_effect(list, *state, named(*state, "shop-web-1")).cut, 0);
    assert_int_equal(lock_effect(NULL, *state, named(*state, "db")).cut, 0);
}

/* Who shares a network shares its fate. */
static void a_joined_container_takes_its_network_along(void **state)
{
    _cleanup_(lock_list_freep) struct lock_list *list = lock_list_new();
    _cleanup_free_ struct ip *addresses = NULL;
    char text[IP_TEXT_MAX];

    lock_list_add(list, lock_of(*state, "sidecar"));
    assert_int_equal(lock_effect(list, *state, named(*state, "db")).cut, CUT_BOTH);
    assert_int_equal(lock_addresses(list, *state, &addresses), 1);
    assert_string_equal(ip_format(addresses[0], text), "172.18.0.4");
}

static struct ip address(const char *text)
{
    struct ip ip;

    assert_int_equal(ip_parse(text, &ip), 0);
    return ip;
}

static struct flow tcp(const char *from, const char *to, uint16_t port)
{
    struct flow flow = {.family = address(from).family, .proto = IPPROTO_TCP, .has_ports = true};

    flow.original = (struct flow_tuple){address(from), address(to), 40000, port};
    flow.reply = (struct flow_tuple){address(to), address(from), port, 40000};
    return flow;
}

static void fates(const struct inventory *inventory, unsigned cut, const char *allow, const char *expected)
{
    static const struct {
        const char *from, *to;
        uint16_t port;
    } flows[] = {{"172.18.0.3", "172.18.0.2", 22}, {"172.18.0.3", "172.18.0.2", 80},
                 {"192.0.2.1", "172.18.0.2", 22},  {"198.51.100.7", "172.18.0.2", 22},
                 {"172.18.0.2", "172.18.0.3", 22}, {"172.18.0.2", "198.51.100.7", 22},
                 {"172.18.0.3", "172.18.0.4", 22}};
    _cleanup_(lock_list_freep) struct lock_list *list = lock_list_new();
    struct lock *lock = lock_of(inventory, "shop-web-1");
    char is[ARRAY_SIZE(flows) + 1] = "";
    const char *why;

    lock->cut = cut;
    if (allow)
        assert_int_equal(lock_allow(lock, allow, &why), 0);
    lock_list_add(list, lock);
    for (size_t i = 0; i < ARRAY_SIZE(flows); i++) {
        const struct flow flow = tcp(flows[i].from, flows[i].to, flows[i].port);
        is[i] = "-ex"[lock_flow_fate(list, inventory, &flow)];
    }
    assert_string_equal(is, expected);
}

static void open_connections_are_cut_or_not(void **state)
{
    fates(*state, CUT_BOTH, NULL, "xxxxxx-");
    fates(*state, CUT_IN, NULL, "xxxx---");
    fates(*state, CUT_OUT, NULL, "----xx-");
    fates(*state, CUT_BOTH, "shop-web-2:22/tcp", "exxxxx-");
    fates(*state, CUT_BOTH, "shop-web-2", "eexxxx-");
    fates(*state, CUT_BOTH, "host", "xxexxx-");
    fates(*state, CUT_IN, "198.51.100.0/24:20-30/tcp", "xxxe---");
    fates(*state, CUT_OUT, "198.51.100.7", "----xe-");
}

/* A published port: the client has asked the host, and the container has the port of its own. */
static void translation_is_looked_through(void **state)
{
    _cleanup_(lock_list_freep) struct lock_list *list = lock_list_new();
    struct flow flow = tcp("198.51.100.7", "192.0.2.1", 8080);
    struct lock *lock = lock_of(*state, "shop-web-1");
    const char *why;

    flow.reply.source = address("172.18.0.2");
    flow.reply.source_port = 80;
    lock_list_add(list, lock);
    assert_int_equal(lock_flow_fate(list, *state, &flow), LOCK_CUTS);
    assert_int_equal(lock_allow(lock, "198.51.100.7:80/tcp", &why), 0);
    assert_int_equal(lock_flow_fate(list, *state, &flow), LOCK_EXEMPT);
}

/* The wall's clock counts only where the kernel is another than the one that knew the lock first. */
static void ends_come_in_time(void **state)
{
    static const struct {
        const char *boot;
        uint64_t boot_now, wall_now, left;
    } cases[] = {
        {"a", 500000000, 1000, 3600000000},
        {"a", 500000000, 9999999, 3600000000},
        {"a", 500000000, 1, 3600000000},
        {"a", 4100000000, 1000, 0},
        {"a", 4099999999, 1000, 1},
        {"b", 5, 1600, 3000000000},
        {"b", 5, 4600, 0},
        {"b", 5, 9999999, 0},
        {"b", 5, 3, 3600000000},
        {NULL, 500000000, 1600, 3000000000},
    };
    _cleanup_(lock_freep) struct lock *lock = lock_new();

    (void)state;
    lock->since = 1000;
    assert_true(lock_left(lock, "a", 1, 1) == LOCK_FOREVER);
    lock_limit(lock, 3600000000, "a", 500000000);
    assert_int_equal(lock->until, 4600);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(lock_left(lock, cases[i].boot, cases[i].boot_now, cases[i].wall_now), cases[i].left);
    lock_limit(lock, 1500000, NULL, 0); /* never shorter than asked for */
    assert_int_equal(lock->until, 1002);
}

/* An address is somebody's, or stands for itself. */
static void what_has_no_name(void **state)
{
    const struct inventory *inventory = *state;
    _cleanup_(lock_list_freep) struct lock_list *list = lock_list_new();
    _cleanup_free_ struct ip *addresses = NULL;
    struct flow flow = tcp("198.51.100.9", "192.0.2.77", 80);
    struct lock *lock = lock_new(), *copy;
    const char *why;
    struct ip ip;

    assert_int_equal(lock_by_address(lock, "fd00:0:0::2", &why), 0);
    assert_string_equal(lock_text(lock), "fd00::2");
    assert_true(lock_is_nameless(lock) && lock_has_address(lock, &ip) && ip_equal(ip, address("fd00::2")));
    assert_true(lock_means(lock, named(inventory, "shop-web-1")));
    assert_false(lock_means(lock, named(inventory, "shop-web-2")));
    lock_list_add(list, lock);
    assert_int_equal(lock_flow_fate(list, inventory, &flow), LOCK_SILENT);

    lock = lock_new();
    assert_int_equal(lock_by_address(lock, "198.51.100.9", &why), 0);
    copy = lock_copy(lock);
    lock_free(lock);
    lock_list_add(list, copy);
    assert_string_equal(lock_text(copy), "198.51.100.9");
    assert_int_equal(lock_flow_fate(list, inventory, &flow), LOCK_CUTS);
    flow = tcp("172.18.0.4", "198.51.100.9", 80);
    assert_int_equal(lock_flow_fate(list, inventory, &flow), LOCK_CUTS);
    flow = tcp("172.18.0.2", "172.18.0.4", 80);
    assert_int_equal(lock_flow_fate(list, inventory, &flow), LOCK_CUTS); /* the container of fd00::2 */
    assert_int_equal(lock_addresses(list, inventory, &addresses), 4);

    lock = lock_new();
    assert_int_equal(lock_by_interface(lock, "veth-x", &why), 0);
    assert_true(lock_is_nameless(lock) && !lock_has_address(lock, &ip));
    assert_string_equal(lock_text(lock), "veth-x");
    assert_false(lock_means(lock, named(inventory, "shop-web-1")));
    lock_free(lock);
}

static void a_copy_says_the_same(void **state)
{
    _cleanup_(lock_freep) struct lock *lock = selecting("label=tier=back"), *copy = NULL;
    const char *why;

    lock->cut = CUT_OUT;
    assert_int_equal(lock_allow(lock, "host:53/udp", &why), 0);
    lock->reason = xstrdup("why not");
    copy = lock_copy(lock);
    assert_true(lock_means(copy, named(*state, "db")));
    assert_int_equal(copy->exceptions->policies[0].n_rules[EGRESS], 1);
    assert_int_equal(copy->n_allow, 1);
    assert_string_equal(copy->reason, "why not");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_comes_after_is_meant),
        TEST(selectors_mean_many),
        TEST(bad_words_are_refused),
        TEST(locks_add_up),
        TEST(a_joined_container_takes_its_network_along),
        TEST(open_connections_are_cut_or_not),
        TEST(translation_is_looked_through),
        TEST(ends_come_in_time),
        TEST(what_has_no_name),
        TEST(a_copy_says_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
