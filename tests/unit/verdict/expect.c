/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Expectations against an inventory: each test parses one `expect` document beside the same policies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "inventory/json.h"
#include "verdict/expect.h"

static const char policies[] = "policy: web\n"
                               "select: {name: 'web*'}\n"
                               "ingress: [{from: [outside], ports: [80/tcp]}]\n"
                               "egress:\n"
                               "  - {to: [{name: db}], ports: [5432-5433/tcp]}\n"
                               "  - {to: [internet], ports: [443/tcp]}\n"
                               "  - {deny: true, to: [{cidr: 198.41.0.4/32}]}\n"
                               "---\n"
                               "policy: db\n"
                               "select: {name: db}\n"
                               "ingress: [{from: [{name: web1}, {name: old}], ports: [5432/tcp]}]\n"
                               "---\n"
                               "policy: two\n"
                               "select: {name: two}\n"
                               "egress: [{to: [{name: open}]}, {to: [outside]}, {to: [host]}]\n"
                               "---\n"
                               "policy: two-back\n"
                               "select: {name: two, network: back}\n"
                               "egress: [{deny: true, to: [{name: open}]}]\n"
                               "---\n"
                               "policy: open\n"
                               "select: {name: 'open*'}\n"
                               "ingress: [{}]\n"
                               "egress: [{}]\n";

/* front has both families, back and apart only IPv4; back is internal; lan is not managed. */
static const char inventory_json[] =
    "{'format_version': '1.0', 'networks': ["
    "  {'id': 'n1', 'name': 'front', 'driver': 'bridge', 'bridge': 'br-1', 'ipv6': true, 'managed': true,"
    "   'subnets': ['172.18.0.0/16', 'fd00::/64']},"
    "  {'id': 'n2', 'name': 'back', 'driver': 'bridge', 'bridge': 'br-2', 'internal': true, 'managed': true},"
    "  {'id': 'n4', 'name': 'apart', 'driver': 'bridge', 'bridge': 'br-4', 'managed': true},"
    "  {'id': 'n3', 'name': 'lan', 'driver': 'macvlan', 'managed': false,"
    "   'unmanaged_reason': 'its driver is macvlan, not bridge'}],"
    " 'containers': ["
    "  {'id': 'a1', 'name': 'web1', 'running': true, 'endpoints': ["
    "     {'network': 'n1', 'network_name': 'front', 'id': 'e1', 'ipv4': '172.18.0.2', 'ipv6': 'fd00::2'}]},"
    "  {'id': 'a2', 'name': 'web2', 'running': true, 'endpoints': ["
    "     {'network': 'n1', 'network_name': 'front', 'id': 'e2', 'ipv4': '172.18.0.3', 'ipv6': 'fd00::3'}]},"
    "  {'id': 'a3', 'name': 'db', 'running': true, 'endpoints': ["
    "     {'network': 'n1', 'network_name': 'front', 'id': 'e3', 'ipv4': '172.18.0.4'}]},"
    "  {'id': 'a4', 'name': 'two', 'running': true, 'endpoints': ["
    "     {'network': 'n1', 'network_name': 'front', 'id': 'e4', 'ipv4': '172.18.0.5'},"
    "     {'network': 'n2', 'network_name': 'back', 'id': 'e5', 'ipv4': '172.19.0.5'}]},"
    "  {'id': 'a5', 'name': 'open', 'running': true, 'endpoints': ["
    "     {'network': 'n1', 'network_name': 'front', 'id': 'e6', 'ipv4': '172.18.0.6'},"
    "     {'network': 'n2', 'network_name': 'back', 'id': 'e7', 'ipv4': '172.19.0.6'}]},"
    "  {'id': 'a6', 'name': 'open-apart', 'running': true, 'endpoints': ["
    "     {'network': 'n4', 'network_name': 'apart', 'id': 'e8', 'ipv4': '172.20.0.6'}]},"
    "  {'id': 'a7', 'name': 'old', 'running': false, 'endpoints': ["
    "     {'network': 'n1', 'network_name': 'front'}]},"
    "  {'id': 'b1', 'name': 'exporter', 'running': true, 'network_mode': 'host'},"
    "  {'id': 'b2', 'name': 'sidecar', 'running': true, 'network_mode': 'container', 'network_target': 'a1'},"
    "  {'id': 'b3', 'name': 'alone', 'running': true, 'network_mode': 'none'},"
    "  {'id': 'b4', 'name': 'lan1', 'running': true, 'endpoints': ["
    "     {'network': 'n3', 'network_name': 'lan', 'id': 'e9', 'ipv4': '192.168.1.50'}]},"
    "  {'id': 'b5', 'name': 'half', 'running': true, 'endpoints': ["
    "     {'network': 'n3', 'network_name': 'lan', 'id': 'ea', 'ipv4': '192.168.1.51'},"
    "     {'network': 'n1', 'network_name': 'front', 'id': 'eb', 'ipv4': '172.18.0.7'}]}],"
    " 'host_addresses': ['192.0.2.1', '172.18.0.1']}";

struct world {
    struct policy_set *policies;
    struct inventory *inventory;
    struct settings *settings;
    struct expect_result result;
    struct diags diags;
};

static struct inventory *read_inventory(void)
{
    _cleanup_free_ char *json = xstrdup(inventory_json);
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

static struct evaluation with(const struct world *world)
{
    return (struct evaluation){world->policies, world->inventory, world->settings};
}

/* Tests the lines, which stand in a document called x; its line 1 is the first of them. */
static struct world test(const char *lines)
{
    struct world world = {
        .policies = policy_set_new(), .inventory = read_inventory(), .settings = settings_new()};
    _cleanup_free_ char *document = xasprintf("%s\nexpect: x\n", lines);
    struct evaluation evaluation;
    int r = policy_parse(world.policies, "p.yaml", policies, strlen(policies), &world.diags);

    r = policy_parse(world.policies, "x.yaml", document, strlen(document), &world.diags) ?: r;
    r = policy_set_finish(world.policies, &world.diags) ?: r;
    if (r < 0)
        diags_print(&world.diags, stderr, false);
    assert_int_equal(r, 0);
    evaluation = with(&world);
    expect_test(&evaluation, &world.result);
    r = expect_report(&evaluation, &world.result, &world.diags);
    assert_int_equal(r, world.result.n_failures ? -EBADMSG : 0);
    assert_int_equal(world.diags.n, world.result.n_failures + world.result.n_untested);
    return world;
}

static void world_clear(struct world *world)
{
    expect_result_clear(&world->result);
    diags_clear(&world->diags);
    policy_set_free(world->policies);
    inventory_free(world->inventory);
    settings_free(world->settings);
}
#define _cleanup_world_ _cleanup_(world_clear)

static void holds(const char *lines)
{
    _cleanup_world_ struct world world = test(lines);

    for (size_t i = 0; i < world.diags.n; i++)
        print_error("%s: %s\n", world.diags.v[i].message, world.diags.v[i].help);
    assert_int_equal(world.diags.n, 0);
    assert_true(world.result.n_tested > 0);
}

static void fails(const char *lines, const char *message, const char *why)
{
    _cleanup_world_ struct world world = test(lines);

    assert_int_equal(world.diags.n, 1);
    assert_string_equal(world.diags.v[0].message, message);
    assert_string_equal(world.diags.v[0].help, why);
    assert_string_equal(world.diags.v[0].code, "C070");
    assert_string_equal(world.diags.v[0].file, "x.yaml");
    assert_int_equal(world.diags.v[0].line, 1);
    assert_int_equal(world.diags.v[0].level, DIAG_ERROR);
}

static void nothing_tested(const char *lines)
{
    _cleanup_world_ struct world world = test(lines);

    assert_int_equal(world.result.n_failures, 0);
    assert_int_equal(world.result.n_tested, 0);
    assert_int_equal(world.diags.n, 1);
    assert_string_equal(world.diags.v[0].code, "C114");
    assert_int_equal(world.diags.v[0].level, DIAG_WARNING);
}

static void test_pairs(void **state)
{
    (void)state;
    holds("allowed: [{from: {name: web1}, to: {name: db}, ports: [5432/tcp]}]");
    holds("denied: [{from: {name: web1}, to: {name: db}, ports: [5433/tcp, udp, icmp]}]");
    holds("denied: [{from: {name: db}, to: any}]");
    fails("allowed: [{from: {name: web2}, to: {name: db}, ports: [5432/tcp]}]",
          "'x' fails: web2 -> db 5432/tcp (IPv4) is not allowed",
          "egress of web2: allowed by web egress 1 (p.yaml:5); "
          "ingress of db: denied: policy db selects it, and none of its ingress rules allows this");
    fails(
        "denied: [{from: {name: web1}, to: {name: db}, ports: [5000-6000/tcp]}]",
        "'x' fails: web1 -> db 5432/tcp (IPv4) is not denied",
        "egress of web1: allowed by web egress 1 (p.yaml:5); ingress of db: allowed by db ingress 1 (p.yaml:11)");
}

/* One line for each pair of peers and each port, with an example and a count. */
static void test_groups(void **state)
{
    _cleanup_world_ struct world world = test(
        "allowed:\n  - {from: [{name: 'web*'}, {name: two}], to: [{name: db}], ports: [5432/tcp, 5433/tcp]}\n");
    const struct expect_failure *failures = world.result.failures;

    (void)state;
    assert_int_equal(world.result.n_failures, 4);
    assert_string_equal(world.diags.v[0].message,
                        "'x' fails: web2 -> db 5432/tcp (IPv4) is not allowed (1 of 2 pairs)");
    assert_string_equal(world.diags.v[1].message,
                        "'x' fails: web1 -> db 5433/tcp (IPv4) is not allowed (and 1 more pair, of 2)");
    assert_int_equal(failures[1].n_failed, 2);
    assert_string_equal(failures[2].from_name, "two");
    assert_int_equal(failures[3].port->first, 5433);
    assert_int_equal(world.diags.v[3].line, 2);
    assert_string_equal(
        world.diags.v[3].source_line + 2,
        "- {from: [{name: 'web*'}, {name: two}], to: [{name: db}], ports: [5432/tcp, 5433/tcp]}");
}

/* Without ports: every one must be allowed, or none. */
static void test_every_port(void **state)
{
    (void)state;
    holds("allowed: [{from: {name: two, network: front}, to: {name: open}}]");
    holds("denied: [{from: {name: web2}, to: {name: db}}]");
    fails("allowed: [{from: {name: web1}, to: {name: db}}]",
          "'x' fails: web1 -> db 1-52/tcp (IPv4) is not allowed",
          "egress of web1: denied: policy web selects it, and none of its egress rules allows this; "
          "ingress of db: denied: policy db selects it, and none of its ingress rules allows this");
    fails(
        "denied: [{from: {name: web1}, to: {name: db}}]",
        "'x' fails: web1 -> db 5432/tcp (IPv4) is not denied",
        "egress of web1: allowed by web egress 1 (p.yaml:5); ingress of db: allowed by db ingress 1 (p.yaml:11)");
}

/* Every address outside that some rule treats otherwise is tried, in both families. */
static void test_outside(void **state)
{
    (void)state;
    holds("denied: [{from: {name: web1}, to: {cidr: 198.41.0.4/32}, ports: [443/tcp]}]");
    holds(
        "allowed: [{from: {name: web1}, to: [{cidr: 198.41.0.0/30}, {cidr: '2606::/16'}], ports: [443/tcp]}]");
    holds("allowed: [{from: outside, to: {name: web1}, ports: [80/tcp]}]");
    fails("allowed: [{from: {name: web1}, to: internet, ports: [443/tcp]}]",
          "'x' fails: web1 -> 198.41.0.4 443/tcp (IPv4) is not allowed",
          "egress of web1: denied by the deny rule web egress 3 (p.yaml:7)");
    fails("denied: [{from: {name: web1}, to: {cidr: 0.0.0.0/0}, ports: [tcp]}]",
          "'x' fails: web1 -> 1.0.0.1 443/tcp (IPv4) is not denied",
          "egress of web1: allowed by web egress 2 (p.yaml:6)");
    fails("denied: [{from: {name: web1}, to: {cidr: '2000::/3'}, ports: [tcp]}]",
          "'x' fails: web1 -> 2000::1 443/tcp (IPv6) is not denied",
          "egress of web1: allowed by web egress 2 (p.yaml:6)");
    /* What is a container's or the host's is not outside. */
    nothing_tested("denied: [{from: {name: web1}, to: {cidr: 172.18.0.0/24}}]");
    nothing_tested("denied: [{from: {name: web1}, to: {cidr: 192.0.2.1/32}}]");
}

/* Each network that both are on counts. */
static void test_networks(void **state)
{
    (void)state;
    holds("allowed: [{from: {name: two, network: front}, to: {name: open}}]");
    fails("allowed: [{from: {name: two}, to: {name: open}, ports: [80/tcp]}]",
          "'x' fails: two -> open 80/tcp (IPv4) is not allowed",
          "egress of two: denied by the deny rule two-back egress 1 (p.yaml:19); "
          "ingress of open: allowed by open ingress 1 (p.yaml:23)");
    fails(
        "denied: [{from: {name: two}, to: {name: open}, ports: [80/tcp]}]",
        "'x' fails: two -> open 80/tcp (IPv4) is not denied",
        "egress of two: allowed by two egress 1 (p.yaml:15); ingress of open: allowed by open ingress 1 (p.yaml:23)");
}

/* Docker's own isolation makes nothing allowed, and nothing denied either. */
static void test_docker(void **state)
{
    (void)state;
    holds("allowed: [{from: {name: open}, to: outside}]"); /* its other network is not internal */
    fails("allowed: [{from: {name: open}, to: {name: open-apart}, ports: [80/tcp]}]",
          "'x' fails: open -> open-apart 80/tcp (IPv4) is not allowed",
          "the policies allow it, but Docker blocks it: the two share no network (front, apart)");
    fails("denied: [{from: {name: open}, to: {name: open-apart}, ports: [80/tcp]}]",
          "'x' fails: open -> open-apart 80/tcp (IPv4) is not denied",
          "egress of open: allowed by open egress 1 (p.yaml:24); "
          "ingress of open-apart: allowed by open ingress 1 (p.yaml:23)");
    fails("allowed: [{from: {name: open, network: back}, to: {cidr: 1.1.1.1/32}, ports: [80/tcp]}]",
          "'x' fails: open -> 1.1.1.1 80/tcp (IPv4) is not allowed",
          "the policies allow it, but Docker blocks it: network back is internal");
    fails("denied: [{from: {name: open, network: back}, to: {cidr: 1.1.1.1/32}, ports: [80/tcp]}]",
          "'x' fails: open -> 1.1.1.1 80/tcp (IPv4) is not denied",
          "egress of open: allowed by open egress 1 (p.yaml:24)");
}

static void test_unenforced(void **state)
{
    (void)state;
    fails("denied: [{from: {name: exporter}, to: internet}]",
          "'x' fails: exporter -> the outside is not denied",
          "nothing is enforced there: exporter uses the host's network");
    fails(
        "denied: [{from: {name: half}, to: internet}]", "'x' fails: half -> the outside is not denied",
        "nothing is enforced there: half is on network lan, which is not managed: its driver is macvlan, not bridge");
    fails(
        "denied: [{from: {name: lan1}, to: host}]", "'x' fails: lan1 -> host is not denied",
        "nothing is enforced there: lan1 is on network lan, which is not managed: its driver is macvlan, not bridge");
    /* To the others they are the host and the outside. */
    fails("denied: [{from: {name: exporter}, to: {name: open}, ports: [80/tcp]}]",
          "'x' fails: exporter -> open 80/tcp (IPv4) is not denied",
          "ingress of open: allowed by open ingress 1 (p.yaml:23)");
    holds("denied: [{from: {name: lan1}, to: {name: db}}]");
    holds("allowed: [{from: {name: lan1}, to: {name: 'web*'}, ports: [80/tcp]}]");
    /* Words mean what the policies can decide. */
    holds("denied: [{from: [host, containers], to: {name: db}, ports: [5433/tcp]}]");
}

/* A container in another's network shares its fate; one that does not run has what it will have. */
static void test_others(void **state)
{
    (void)state;
    holds("allowed: [{from: {name: sidecar}, to: {name: db}, ports: [5432/tcp]}]");
    fails("allowed: [{from: {name: db}, to: {name: sidecar}, ports: [80/tcp]}]",
          "'x' fails: db -> sidecar 80/tcp (IPv4) is not allowed",
          "egress of db: denied: policy db selects it, and none of its egress rules allows this; "
          "ingress of web1: denied: policy web selects it, and none of its ingress rules allows this");
    fails("allowed: [{from: {name: old}, to: {name: db}, ports: [5432/tcp]}]",
          "'x' fails: old -> db 5432/tcp (IPv4) is not allowed",
          "egress of old: denied: no policy selects it; ingress of db: allowed by db ingress 1 (p.yaml:11)");
}

static void test_nothing(void **state)
{
    (void)state;
    nothing_tested("allowed: [{from: {name: nobody}, to: any}]");
    nothing_tested("denied: [{from: {name: db}, to: {name: db}}]"); /* itself */
    nothing_tested("denied: [{from: {name: alone}, to: any}]");     /* has no network */
    nothing_tested("denied: [{from: outside, to: host}]");          /* not ours to decide */
    nothing_tested("allowed: [{from: {name: exporter}, to: internet}]");
    nothing_tested("allowed: [{from: {name: sidecar}, to: {name: web1}}]");
}

/* With default_mode: audit, what no policy selects is not denied. */
static void test_default_mode(void **state)
{
    _cleanup_world_ struct world world =
        test("denied: [{from: {name: half, network: front}, to: {name: open}}]");
    struct evaluation evaluation = with(&world);

    (void)state;
    assert_int_equal(world.result.n_failures, 0);
    expect_result_clear(&world.result);
    world.settings->default_mode = MODE_AUDIT;
    expect_test(&evaluation, &world.result);
    assert_int_equal(world.result.n_failures, 1);
}

/* The rule that decides is shown beside the expectation. */
static void test_deciding_rule(void **state)
{
    _cleanup_world_ struct world denied =
        test("allowed: [{from: {name: web1}, to: {cidr: 198.41.0.4/32}, ports: [443/tcp]}]");
    _cleanup_world_ struct world allowed =
        test("denied: [{from: {name: web1}, to: {name: db}, ports: [tcp]}]");

    (void)state;
    assert_int_equal(denied.diags.v[0].other_line, 7);
    assert_string_equal(denied.diags.v[0].other_message, "this rule denies it");
    assert_int_equal(allowed.diags.v[0].other_line, 5);
    assert_string_equal(allowed.diags.v[0].other_message, "this rule allows it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),         cmocka_unit_test(test_groups),
        cmocka_unit_test(test_every_port),    cmocka_unit_test(test_outside),
        cmocka_unit_test(test_networks),      cmocka_unit_test(test_docker),
        cmocka_unit_test(test_unenforced),    cmocka_unit_test(test_others),
        cmocka_unit_test(test_nothing),       cmocka_unit_test(test_default_mode),
        cmocka_unit_test(test_deciding_rule),
    };

    return cmocka_run_group_tests_name("expectations", tests, NULL, NULL);
}
