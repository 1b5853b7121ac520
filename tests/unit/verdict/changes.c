/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one edit of a policy set changes, as people read it: line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "inventory/json.h"
#include "policy/parse.h"
#include "verdict/changes_json.h"
#include "verdict/lock.h"

/*
 * The shop is on front, which has both families, but for its db, and for its worker, which is on back (internal) as well;
 * lone is by itself. The host's address 192.0.2.1 is where lookups go.
 */
static const char inventory_json[] =
    "{'format_version': '1.0', 'networks': ["
    "  {'id': 'n1', 'name': 'front', 'driver': 'bridge', 'bridge': 'br-1', 'ipv6': true, 'managed': true,"
    "   'subnets': ['172.18.0.0/16', 'fd00::/64']},"
    "  {'id': 'n2', 'name': 'back', 'driver': 'bridge', 'bridge': 'br-2', 'internal': true, 'managed': true,"
    "   'subnets': ['172.19.0.0/16']},"
    "  {'id': 'n3', 'name': 'lan', 'driver': 'macvlan', 'managed': false,"
    "   'unmanaged_reason': 'its driver is macvlan, not bridge'}],"
    " 'containers': ["
    "  {'id': 'a1', 'name': 'web1', 'running': true, 'dns_known': true,"
    "   'labels': {'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'web'}, 'endpoints': ["
    "     {'network': 'n1', 'network_name': 'front', 'id': 'e1', 'ipv4': '172.18.0.2', 'ipv6': 'fd00::2'}]},"
    "  {'id': 'a2', 'name': 'web2', 'running': true, 'dns_known': true,"
    "   'labels': {'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'web'}, 'endpoints': ["
    "     {'network': 'n1', 'network_name': 'front', 'id': 'e2', 'ipv4': '172.18.0.3', 'ipv6': 'fd00::3'}]},"
    "  {'id': 'a3', 'name': 'db', 'running': true, 'dns_known': true,"
    "   'labels': {'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'db'}, 'endpoints': ["
    "     {'network': 'n1', 'network_name': 'front', 'id': 'e3', 'ipv4': '172.18.0.4'}]},"
    "  {'id': 'a4', 'name': 'worker', 'running': true, 'dns_known': true, 'endpoints': ["
    "     {'network': 'n1', 'network_name': 'front', 'id': 'e4', 'ipv4': '172.18.0.5'},"
    "     {'network': 'n2', 'network_name': 'back', 'id': 'e5', 'ipv4': '172.19.0.5'}]},"
    "  {'id': 'a5', 'name': 'lone', 'running': true, 'dns_known': true, 'endpoints': ["
    "     {'network': 'n2', 'network_name': 'back', 'id': 'e6', 'ipv4': '172.19.0.6'}]},"
    "  {'id': 'a6', 'name': 'old', 'running': false, 'endpoints': [{'network': 'n1', 'network_name': 'front'}]},"
    "  {'id': 'b1', 'name': 'exporter', 'running': true, 'network_mode': 'host'},"
    "  {'id': 'b4', 'name': 'lan1', 'running': true, 'endpoints': ["
    "     {'network': 'n3', 'network_name': 'lan', 'id': 'e9', 'ipv4': '192.168.1.50'}]}],"
    " 'name_servers': ['192.0.2.1', '198.51.100.53'],"
    " 'host_addresses': ['192.0.2.1', '172.18.0.1']}";

static struct inventory *read_inventory(const char *text)
{
    _cleanup_free_ char *json = xstrdup(text);
    _cleanup_diags_ struct diags diags = {};
    struct inventory *inventory = NULL;
    json_t *document;

    for (char *c = json; *c; c++)
        if (*c == '\'')
            *c = '"';
    document = json_loads(json, 0, NULL);
    assert_non_null(document);
    assert_int_equal(inventory_from_json(document, &inventory, &diags), 0);
    json_decref(document);
    return inventory;
}

static struct policy_set *read_policies(const char *file, const char *text)
{
    struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {};
    int r = *text ? policy_parse(set, file, text, strlen(text), &diags) : 0;

    r = policy_set_finish(set, &diags) ?: r;
    if (r < 0)
        diags_print(&diags, stderr, false);
    assert_int_equal(r, 0);
    return set;
}

/* An old and a new set over one inventory. */
struct world {
    struct inventory *inventory;
    struct policy_set *policies[2];
    struct settings *settings[2];
    struct lock_list *locks;
    struct changes *changes;
};

static void find(struct world *world)
{
    struct evaluation with[2];

    for (int i = 0; i < 2; i++)
        with[i] = (struct evaluation){world->policies[i], world->inventory, world->settings[i], world->locks};
    changes_free(world->changes);
    world->changes = changes_find(&with[0], &with[1]);
}

static struct world world_on(const char *inventory, const char *before, const char *after)
{
    struct world world = {.inventory = read_inventory(inventory),
                          .policies = {read_policies("old.yaml", before), read_policies("new.yaml", after)},
                          .settings = {settings_new(), settings_new()}};

    find(&world);
    return world;
}

static struct world world_of(const char *before, const char *after)
{
    return world_on(inventory_json, before, after);
}

static void world_clear(struct world *world)
{
    changes_free(world->changes);
    for (int i = 0; i < 2; i++) {
        policy_set_free(world->policies[i]);
        settings_free(world->settings[i]);
    }
    lock_list_free(world->locks);
    inventory_free(world->inventory);
}
#define _cleanup_world_ _cleanup_(world_clear)

static void assert_text(const struct world *world, bool full, const char *expected)
{
    _cleanup_free_ char *text = changes_text(world->changes, full);

    assert_string_equal(text, expected);
}

static void assert_change(const char *before, const char *after, const char *expected)
{
    _cleanup_world_ struct world world = world_of(before, after);

    assert_text(&world, false, expected);
}

#define WEB "policy: web\nselect: {compose: shop/web}\n"
#define WEB_TO_DB WEB "egress: [{to: [{compose: shop/db}], ports: [5432/tcp]}]\n---\n"
#define DB "policy: db\nselect: {name: db}\n"
#define DB_FROM_WEB DB "ingress: [{from: [{compose: shop/web}], ports: [5432/tcp]}]\n"

static void a_rule_that_allows(void **state)
{
    (void)state;
    assert_change(WEB_TO_DB DB, WEB_TO_DB DB_FROM_WEB,
                  "+ compose shop/web (2) -> db  5432/tcp  denied -> allowed  new.yaml:7 (db ingress 1)\n");
    assert_change("", WEB_TO_DB DB_FROM_WEB,
                  "+ compose shop/web (2) -> db  5432/tcp  denied -> allowed  new.yaml:3 (web egress 1); "
                  "new.yaml:7 (db ingress 1)\n");
}

static void a_rule_that_is_gone(void **state)
{
    (void)state;
    assert_change(
        WEB_TO_DB DB_FROM_WEB, WEB "---\n" DB_FROM_WEB,
        "- compose shop/web (2) -> db  5432/tcp  allowed -> denied  no longer old.yaml:3 (web egress 1)\n");
    /* that the destination would let more in than before brought nothing about */
    assert_change(
        WEB_TO_DB DB_FROM_WEB, WEB "---\n" DB "ingress: [{}]\n",
        "- compose shop/web (2) -> db  5432/tcp    allowed -> denied  no longer old.yaml:3 (web egress 1)\n"
        "+ host, outside        -> db  every port  denied -> allowed  new.yaml:6 (db ingress 1)\n");
}

#define STOP "---\npolicy: stop\nselect: {name: web1}\negress: [{deny: true, name: halt, ports: [tcp]}]\n"

static void deny_rules(void **state)
{
    (void)state;
    assert_change(WEB_TO_DB DB_FROM_WEB, WEB_TO_DB DB_FROM_WEB STOP,
                  "- web1 -> db  5432/tcp  allowed -> denied  new.yaml:11 (stop egress halt)\n");
    assert_change(WEB_TO_DB DB_FROM_WEB STOP, WEB_TO_DB DB_FROM_WEB,
                  "+ web1 -> db  5432/tcp  denied -> allowed  no longer old.yaml:11 (stop egress halt)\n");
}

static void nothing(void **state)
{
    (void)state;
    assert_change("", "", "");
    assert_change(WEB_TO_DB DB_FROM_WEB, WEB_TO_DB DB_FROM_WEB, "");
    assert_change(DB_FROM_WEB "---\n" WEB, WEB "---\n" DB_FROM_WEB, "");
    /* what is granted is granted, by however many */
    assert_change(DB "egress: [{to: [host], ports: [tcp]}]\n",
                  DB "egress: [{to: [host], ports: [1-99/tcp]}, {to: [host], ports: [tcp, 100-65535/tcp]}]\n",
                  "");
    /* staged policies neither open nor close anything */
    assert_change("", "policy: staged\nmode: audit\nselect: {all: true}\negress: [{}]\ningress: [{}]\n", "");
}

#define OPEN "policy: open\nselect: {all: true}\n"

#define OPEN "policy: open\nselect: {all: true}\n"
#define BLOCKED "  and 1 more between those whom Docker itself keeps apart\n"

/* Locks the container that is called so, and looks again. */
static void lock_down(struct world *world, const char *name, unsigned cut)
{
    struct lock *lock = lock_new();

    lock->name = xstrdup(name);
    lock->cut = cut;
    world->locks = world->locks ?: lock_list_new();
    lock_list_add(world->locks, lock);
    find(world);
}

#define HELD "  held back by lockdowns: what changes for "

static void what_a_lockdown_cuts_does_not_change(void **state)
{
    _cleanup_world_ struct world in = world_of("", WEB_TO_DB DB_FROM_WEB),
                                 out = world_of("", WEB_TO_DB DB_FROM_WEB), same = world_of(WEB, WEB);

    (void)state;
    lock_down(&in, "db", CUT_OUT); /* what it opens: nobody's affair here */
    assert_text(&in, false,
                "+ compose shop/web (2) -> db  5432/tcp  denied -> allowed  new.yaml:3 (web egress 1); "
                "new.yaml:7 (db ingress 1)\n");
    lock_down(&in, "db", CUT_IN);
    assert_text(&in, false, HELD "db, once released\n");
    assert_int_equal(in.changes->n, 0);
    lock_down(&out, "web1", CUT_IN);
    lock_down(&out, "web1", CUT_OUT);
    assert_text(
        &out, false,
        "+ web2 -> db  5432/tcp  denied -> allowed  new.yaml:3 (web egress 1); new.yaml:7 (db ingress 1)\n" HELD
        "web1, once released\n");
    lock_down(&out, "web2", CUT_BOTH);
    assert_text(&out, false, HELD "web1, web2, once released\n");
    lock_down(&same, "web1", CUT_BOTH); /* nothing would change for it */
    assert_text(&same, false, "");
}

static void outside_and_host(void **state)
{
    (void)state;
    assert_change(
        "", OPEN "egress: [{to: [internet], ports: [443/tcp]}]\n",
        "+ network front (4) -> internet  443/tcp  denied -> allowed  new.yaml:3 (open egress 1)\n" BLOCKED);
    assert_change(
        "", OPEN "egress: [{to: [outside], ports: [443/tcp]}]\n",
        "+ network front (4) -> outside  443/tcp  denied -> allowed  new.yaml:3 (open egress 1)\n" BLOCKED);
    assert_change(
        "", OPEN "egress: [{to: [internet, {cidr: 10.0.0.0/8}, host], ports: [443/tcp]}]\n",
        "+ network back (2)  -> host                        443/tcp  denied -> allowed  new.yaml:3 (open egress 1)\n"
        "+ network front (4) -> host, internet, 10.0.0.0/8  443/tcp  denied -> allowed  new.yaml:3 (open egress 1)\n" BLOCKED);
    assert_change("",
                  OPEN "egress: [{to: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}, {cidr: 2001:db8::/32}]}]\n",
                  "+ network front (4) -> 10.0.0.0/16, 10.2.0.0-10.255.255.255, 2001:db8::/32  every port  "
                  "denied -> allowed  new.yaml:3 (open egress 1)\n" BLOCKED);
}

static void name_servers(void **state)
{
    (void)state;
    assert_change(
        "", OPEN "egress: [{to: [dns]}]\n",
        "+ network back (2)  -> host at 192.0.2.1                 53/tcp, 53/udp  denied -> allowed  "
        "new.yaml:3 (open egress 1)\n"
        "+ network front (4) -> host at 192.0.2.1, 198.51.100.53  53/tcp, 53/udp  denied -> allowed  "
        "new.yaml:3 (open egress 1)\n" BLOCKED);
    assert_change(DB "egress: [{to: [dns]}]\n", DB "egress: [{to: [dns]}, {to: [host], ports: [udp]}]\n",
                  "+ db -> host at 192.0.2.1         1-52/udp, 54-65535/udp  denied -> allowed  "
                  "new.yaml:3 (db egress 2)\n"
                  "+ db -> host except at 192.0.2.1  udp                     denied -> allowed  "
                  "new.yaml:3 (db egress 2)\n");
}

static void ask(struct world *world, const char *client, const char *server)
{
    struct container *container = inventory_container(world->inventory, client);

    assert_int_equal(ip_parse(server, ARRAY_ADD(container->dns, container->n_dns)), 0);
}

/* The two are alike but for who asks them. */
static void containers_that_are_name_servers(void **state)
{
    _cleanup_world_ struct world world =
        world_of("", "policy: asks\nselect: {name: '[dw]*[bkr]'}\negress: [{to: [dns]}]\n---\n" WEB
                     "ingress: [{from: [containers], ports: [udp]}]\n");

    (void)state;
    ask(&world, "a3", "172.18.0.2");
    ask(&world, "a4", "172.18.0.3");
    find(&world);
    assert_text(&world, false,
                "+ db              -> web1  53/udp  denied -> allowed  new.yaml:3 (asks egress 1); "
                "new.yaml:7 (web ingress 1)\n"
                "+ worker on front -> web2  53/udp  denied -> allowed  new.yaml:3 (asks egress 1); "
                "new.yaml:7 (web ingress 1)\n" BLOCKED);
}

/* web1 asks web2 at both of its addresses, and web2 asks web1 at one. */
static void name_servers_in_one_family(void **state)
{
    _cleanup_world_ struct world world =
        world_of("", WEB "egress: [{to: [dns]}]\ningress: [{from: [containers], ports: [udp]}]\n");

    (void)state;
    ask(&world, "a1", "172.18.0.3");
    ask(&world, "a1", "fd00::3");
    ask(&world, "a2", "172.18.0.2");
    find(&world);
    assert_text(
        &world, false,
        "+ web1 -> web2  53/udp         denied -> allowed  new.yaml:3 (web egress 1); new.yaml:4 (web "
        "ingress 1)\n"
        "+ web2 -> web1  53/udp (IPv4)  denied -> allowed  new.yaml:3 (web egress 1); new.yaml:4 (web "
        "ingress 1)\n");
}

static void ports(void **state)
{
    (void)state;
    assert_change(
        "", DB "ingress: [{from: [host], ports: [icmp/echo-request, 1-99/tcp, 100-200/tcp, 53/udp]}]\n",
        "+ host -> db  1-200/tcp, 53/udp, icmp/echo-request  denied -> allowed  new.yaml:3 (db ingress 1)\n");
    assert_change("", DB "ingress: [{from: [host], ports: [icmp]}]\n",
                  "+ host -> db  icmp  denied -> allowed  new.yaml:3 (db ingress 1)\n");
    assert_change(
        "", DB "ingress: [{from: [host]}, {deny: true, ports: [icmp/echo-request, tcp, udp]}]\n",
        "+ host -> db  sctp, icmp except echo-request, other protocols  denied -> allowed  new.yaml:3 (db ingress 1)\n");
    assert_change(
        "", DB "ingress: [{from: [host]}, {deny: true, ports: [1-9/udp]}]\n",
        "+ host -> db  tcp, 10-65535/udp, sctp, icmp, other protocols  denied -> allowed  new.yaml:3 (db ingress 1)\n");
}

static void families(void **state)
{
    (void)state;
    /* ICMPv6 has no such type by that name */
    assert_change("", OPEN "ingress: [{from: [outside], ports: [icmp/redirect, 1/tcp]}]\n",
                  "+ outside (IPv4) -> network front (4)     1/tcp, icmp/redirect  denied -> allowed  "
                  "new.yaml:3 (open ingress 1)\n"
                  "+ outside (IPv6) -> compose shop/web (2)  1/tcp                 denied -> allowed  "
                  "new.yaml:3 (open ingress 1)\n" BLOCKED);
    /* that the db has no IPv6 is not worth a word */
    assert_change(DB "ingress: [{from: [outside]}]\n", DB,
                  "- outside -> db  every port  allowed -> denied  no longer old.yaml:3 (db ingress 1)\n");
}

static void networks(void **state)
{
    (void)state;
    assert_change(
        "",
        OPEN "egress: [{}]\ningress: [{from: [containers]}]\n---\npolicy: back\nselect: {network: back}\n"
             "egress: [{deny: true, to: [{name: lone}, host]}]\n",
        "+ lone              -> worker on back     every port  denied -> allowed  new.yaml:3 (open egress 1); new.yaml:4 (open ingress 1)\n"
        "+ network front (4) -> host, outside      every port  denied -> allowed  new.yaml:3 (open egress 1)\n"
        "+ network front (4) -> network front (4)  every port  denied -> allowed  new.yaml:3 (open egress 1); new.yaml:4 (open ingress 1)\n"
        "  and 3 more between those whom Docker itself keeps apart\n");
    _cleanup_world_ struct world world =
        world_of("", "policy: x\nselect: {network: back}\negress: [{to: [{name: db}]}]\n"
                     "---\n" DB "ingress: [{}]\n");

    assert_text(
        &world, true,
        "+ host, outside    -> db  every port  denied -> allowed  new.yaml:7 (db ingress 1)\n"
        "+ network back (2) -> db  every port  denied -> allowed  new.yaml:3 (x egress 1); new.yaml:7 (db ingress 1); "
        "Docker blocks it anyway\n");
}

/* Nobody is told of connections to himself, but nor does that tear lines apart. */
#define CAUSES "new.yaml:4 (x egress 1); new.yaml:3 (x ingress 1)\n"

/* An old Engine keeps networks apart over IPv4 only. */
static void networks_that_are_open_over_ipv6(void **state)
{
    static const char open[] =
        "{'format_version': '1.0', 'networks': ["
        "  {'id': 'n1', 'name': 'front', 'driver': 'bridge', 'bridge': 'br-1', 'ipv6': true, 'managed': true,"
        "   'ipv6_open': true, 'subnets': ['172.18.0.0/16', 'fd00:18::/64']},"
        "  {'id': 'n2', 'name': 'back', 'driver': 'bridge', 'bridge': 'br-2', 'ipv6': true, 'managed': true,"
        "   'ipv6_open': true, 'subnets': ['172.19.0.0/16', 'fd00:19::/64']}],"
        " 'containers': ["
        "  {'id': 'a1', 'name': 'web', 'running': true, 'dns_known': true, 'endpoints': ["
        "     {'network': 'n1', 'network_name': 'front', 'id': 'e1', 'ipv4': '172.18.0.2', 'ipv6': 'fd00:18::2'}]},"
        "  {'id': 'a2', 'name': 'db', 'running': true, 'dns_known': true, 'endpoints': ["
        "     {'network': 'n2', 'network_name': 'back', 'id': 'e2', 'ipv4': '172.19.0.2', 'ipv6': 'fd00:19::2'}]},"
        "  {'id': 'a3', 'name': 'old', 'running': true, 'dns_known': true, 'endpoints': ["
        "     {'network': 'n2', 'network_name': 'back', 'id': 'e3', 'ipv4': '172.19.0.3'}]}]}";
    static const char rules[] = "policy: x\nselect: {all: true}\n"
                                "ingress: [{from: [containers], ports: [5432/tcp, icmp/timestamp-request]}]\n"
                                "egress: [{to: [containers]}]\n";
    _cleanup_world_ struct world world = world_on(open, "", rules);

    (void)state;
    assert_text(
        &world, false,
        "+ db               -> web               5432/tcp (IPv6)                   denied -> allowed  " CAUSES
        "+ network back (2) -> network back (2)  5432/tcp, icmp/timestamp-request  denied -> allowed  " CAUSES
        "+ web              -> db                5432/tcp (IPv6)                   denied -> allowed  " CAUSES
        "  and 4 more between those whom Docker itself keeps apart\n");
}

static void a_container_and_itself(void **state)
{
    static const size_t pairs[] = {6, 2, 12, 7, 7};
    _cleanup_world_ struct world world = world_of(
        "", OPEN "ingress: [{from: [containers, host], ports: [1/tcp]}]\negress: [{to: [containers]}]\n");

    (void)state;
    assert_text(
        &world, false,
        "+ host              -> containers (5)     1/tcp  denied -> allowed  new.yaml:3 (open ingress 1)\n"
        "+ network back (2)  -> network back (2)   1/tcp  denied -> allowed  new.yaml:4 (open egress 1); "
        "new.yaml:3 (open ingress 1)\n"
        "+ network front (4) -> network front (4)  1/tcp  denied -> allowed  new.yaml:4 (open egress 1); "
        "new.yaml:3 (open ingress 1)\n"
        "  and 2 more between those whom Docker itself keeps apart\n");
    assert_int_equal(world.changes->n, ARRAY_SIZE(pairs));
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
        assert_int_equal(world.changes->v[i].n_pairs, pairs[i]);
    assert_change("",
                  DB "egress: [{to: [{compose: shop}]}]\ningress: [{from: [{compose: shop/db}]}]\n---\n" WEB
                     "ingress: [{from: [{compose: shop}], ports: [1/tcp]}]\n",
                  "+ db -> compose shop/web (2)  1/tcp  denied -> allowed  new.yaml:3 (db egress 1); "
                  "new.yaml:8 (web ingress 1)\n");
}

static void selected_by_a_policy(void **state)
{
    (void)state;
    assert_change("",
                  "policy: some\nselect: {name: '[dw]*[1bk]'}\ningress: [{from: [host], ports: [22/tcp]}]\n",
                  "+ host -> selected by some (2)  22/tcp  denied -> allowed  new.yaml:3 (some ingress 1)\n");
}

/* A container that no policy selects is let pass, in the new set or in the old one. */
static void add_project_member(struct inventory *inventory, unsigned project, unsigned number)
{
    struct container *container = container_new();
    struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);

    container->id = xasprintf("p%02u-%u", project, number);
    container->name = xstrdup(container->id);
    container->running = container->labels_known = true;
    *ARRAY_ADD(container->labels, container->n_labels) =
        (struct label){xstrdup("com.docker.compose.project"), xasprintf("p%02u", project), false};
    endpoint->network_id = xstrdup("n1");
    endpoint->network_name = xstrdup("front");
    endpoint->id = xasprintf("ep%u-%u", project, number);
    endpoint->has_ip[IP4] = true;
    endpoint->ip[IP4] = (struct ip){.num = 0xac120100u + 2 * project + number, .family = IP4};
    inventory_put_container(inventory, container);
}

static size_t count_lines(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

#define ISOLATION                                                                                            \
    "policy: compose\nselect: {labels: {com.docker.compose.project: 'p*'}}\n"                                \
    "ingress: [{from: [{same: com.docker.compose.project}]}]\negress: [{to: [{same: com.docker.compose.project}]}]\n"

#define ISOLATED(project)                                                                                    \
    "+ compose " project "/* (2) -> compose " project                                                        \
    "/* (2)  every port  denied -> allowed  new.yaml:4 (compose egress 1); new.yaml:3 (compose ingress 1)\n"

/* Each project to itself, which is a line for each. */
static void many_lines(void **state)
{
    _cleanup_world_ struct world world = world_of("", ISOLATION);
    _cleanup_free_ char *full = NULL;

    (void)state;
    for (unsigned project = 0; project < 20; project++)
        for (unsigned number = 0; number < 2; number++)
            add_project_member(world.inventory, project, number);
    find(&world);
    assert_text(&world, false,
                ISOLATED("p00") ISOLATED("p01") ISOLATED(
                    "p02") "  and 17 more like the line above, on the same ports and by the same causes\n");
    full = changes_text(world.changes, true);
    assert_int_equal(count_lines(full), 20);
}

static void assert_modes(enum policy_mode before, enum policy_mode after, const char *old, const char *new,
                         const char *expected)
{
    _cleanup_world_ struct world world = world_of(old, new);

    world.settings[0]->default_mode = before;
    world.settings[1]->default_mode = after;
    find(&world);
    assert_text(&world, false, expected);
}

/* Where default_mode is audit, a container that no policy selects is let pass. */
static void default_mode(void **state)
{
    static const char host[] = "policy: host\nselect: {all: true}\negress: [{to: [host]}]\n";

    (void)state;
    assert_modes(MODE_AUDIT, MODE_AUDIT, "", DB "ingress: [{from: [containers, outside]}]\negress: [{}]\n",
                 "- host -> db  every port  allowed -> denied  new.yaml:1 (db selects it)\n");
    assert_modes(MODE_AUDIT, MODE_AUDIT, DB "ingress: [{from: [containers, outside]}]\negress: [{}]\n", "",
                 "+ host -> db  every port  denied -> allowed  no longer old.yaml:1 (db selected it)\n");
    /* two that are alike, but for who selects them */
    assert_modes(
        MODE_AUDIT, MODE_AUDIT, "",
        DB
        "ingress: [{from: [containers, outside]}]\negress: [{}]\n"
        "---\npolicy: lone\nselect: {name: lone}\ningress: [{from: [containers, outside]}]\negress: [{}]\n",
        "- host -> db    every port  allowed -> denied  new.yaml:1 (db selects it)\n"
        "- host -> lone  every port  allowed -> denied  new.yaml:6 (lone selects it)\n");
    assert_modes(MODE_AUDIT, MODE_ENFORCE, host, host, "");
    assert_modes(MODE_ENFORCE, MODE_AUDIT, "policy: x\nselect: {name: '[!l]*'}\n",
                 "policy: x\nselect: {name: '[!l]*'}\n",
                 "+ host -> lone  every port  denied -> allowed  default_mode in the settings\n"
                 "+ lone -> host  every port  denied -> allowed  default_mode in the settings\n"
                 "  and 2 more between those whom Docker itself keeps apart\n");
}

/* The names of containers and labels are strangers' choice. */
static void names_are_escaped(void **state)
{
    _cleanup_world_ struct world world = world_of("", DB "ingress: [{from: [host], ports: [1/tcp]}]\n");
    struct container *container = inventory_container(world.inventory, "a3");

    (void)state;
    free(container->name);
    container->name = xstrdup("d\x1b[2Jb");
    free(world.policies[1]->policies[0].select.name);
    world.policies[1]->policies[0].select.name = xstrdup("d*");
    find(&world);
    assert_text(&world, false, "+ host -> d\\x1b[2Jb  1/tcp  denied -> allowed  new.yaml:3 (db ingress 1)\n");
}

static void as_json(void **state)
{
    _cleanup_world_ struct world world = world_of(WEB_TO_DB DB, WEB_TO_DB DB_FROM_WEB);
    json_t *json = changes_to_json(world.changes);
    _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);
    static const char expected[] =
        "[{"
        "'from':{'names':['compose shop/web (2)'],"
        "'containers':[{'name':'web1','id':'a1','network':'front'},{'name':'web2','id':'a2','network':'front'}],"
        "'host':false,'host_addresses':[],'outside':[]},"
        "'to':{'names':['db'],'containers':[{'name':'db','id':'a3','network':'front'}],"
        "'host':false,'host_addresses':[],'outside':[]},"
        "'ports':['5432/tcp'],'every_port':false,'family':null,'old':'denied','new':'allowed',"
        "'docker_blocks':false,'pairs':2,"
        "'causes':[{'direction':'ingress','set':'new','reason':'rule','policy':'db','rule':'db ingress 1',"
        "'file':'new.yaml','line':7,'text':'new.yaml:7 (db ingress 1)'}]}]";

    (void)state;
    for (char *c = text; *c; c++)
        *c = *c == '"' ? '\'' : *c;
    assert_string_equal(text, expected);
    json_decref(json);
}

static void outside_as_json(void **state)
{
    _cleanup_world_ struct world world =
        world_of(DB, DB "egress: [{to: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}, {to: [host]}]\n");
    json_t *json = changes_to_json(world.changes);
    json_t *to = json_object_get(json_array_get(json, 0), "to");

    (void)state;
    assert_int_equal(json_array_size(json), 2);
    if (json_is_true(json_object_get(to, "host")))
        to = json_object_get(json_array_get(json, 1), "to");
    to = json_object_get(to, "outside");
    assert_int_equal(json_array_size(to), 2);
    assert_string_equal(json_string_value(json_array_get(to, 0)), "10.0.0.0/16");
    assert_string_equal(json_string_value(json_array_get(to, 1)), "10.2.0.0-10.255.255.255");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_that_allows),
        cmocka_unit_test(a_rule_that_is_gone),
        cmocka_unit_test(deny_rules),
        cmocka_unit_test(nothing),
        cmocka_unit_test(what_a_lockdown_cuts_does_not_change),
        cmocka_unit_test(outside_and_host),
        cmocka_unit_test(name_servers),
        cmocka_unit_test(containers_that_are_name_servers),
        cmocka_unit_test(name_servers_in_one_family),
        cmocka_unit_test(ports),
        cmocka_unit_test(families),
        cmocka_unit_test(networks),
        cmocka_unit_test(networks_that_are_open_over_ipv6),
        cmocka_unit_test(a_container_and_itself),
        cmocka_unit_test(selected_by_a_policy),
        cmocka_unit_test(many_lines),
        cmocka_unit_test(default_mode),
        cmocka_unit_test(names_are_escaped),
        cmocka_unit_test(as_json),
        cmocka_unit_test(outside_as_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
