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
    "  {'id': 'a8', 'name': 'open-six', 'running': true, 'endpoints': ["
    "     {'network': 'n1', 'network_name': 'front', 'id': 'ec', 'ipv6': 'fd00::8'}]},"
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
    return (struct evaluation){world->policies, world->inventory, world->settings, NULL};
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
          "'x' fails: web1 -> db 1-442/tcp (IPv4) is not allowed",
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
    fails("denied: [{from: {name: open-six}, to: outside, ports: [icmp]}]",
          "'x' fails: open-six -> ::2 icmp (IPv6) is not denied",
          "egress of open-six: allowed by open egress 1 (p.yaml:24)");
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

static void test_families(void **state)
{
    (void)state;
    holds("allowed: [{from: {name: open-six}, to: [{cidr: '2606::/16'}, outside], ports: [80/tcp]}]");
    nothing_tested("denied: [{from: {name: open}, to: {name: open-six}}]");
    fails("allowed: [{from: {name: open}, to: {name: open-six}, ports: [80/tcp]}]",
          "'x' fails: open -> open-six is not allowed", "one has only IPv4 there, the other only IPv6");
    fails("allowed: [{from: {name: open}, to: {cidr: '2606::/16'}, ports: [80/tcp]}]",
          "'x' fails: open -> 2606::1 is not allowed", "one has only IPv4 there, the other only IPv6");
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

#define ASKS                                                                                                 \
    "policy: asks\nselect: {name: half, network: front}\negress: [{to: [dns]}]\n---\n"                       \
    "denied: [{from: {name: half, network: front}, to: {cidr: %s/32}%s}]"

/* A rule that says `dns` allows port 53 alone, and only of those who are asked. */
static void test_lookups(void **state)
{
    static const struct {
        const char *address, *ports;
        bool fails;
    } cases[] = {
        {"8.8.8.8", "", true},
        {"8.8.8.8", ", ports: [53/tcp]", true},
        {"8.8.8.8", ", ports: [54/udp]", false},
        {"8.8.8.9", "", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *lines = xasprintf(ASKS, cases[i].address, cases[i].ports);
        _cleanup_world_ struct world world = test(lines);

        assert_int_equal(world.result.n_tested, 1);
        assert_int_equal(world.result.n_failures, cases[i].fails);
    }
}

/* Where the bridges are out of reach, nothing is denied, and their addresses are no containers'. */
static void test_out_of_reach(void **state)
{
    _cleanup_world_ struct world world = test(
        "denied: [{from: {name: db}, to: {name: web1}}, {from: {name: lan1}, to: {cidr: 172.18.0.9/32}}]");
    struct evaluation evaluation = with(&world);

    (void)state;
    assert_int_equal(world.result.n_failures, 0);
    assert_int_equal(world.result.n_untested, 1);
    expect_result_clear(&world.result);
    world.inventory->rootless = true;
    expect_test(&evaluation, &world.result);
    assert_int_equal(world.result.n_failures, 2);
    assert_int_equal(world.result.n_untested, 0);
    assert_non_null(strstr(world.result.failures[0].why, "nothing is enforced there: db "));
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

/* ---- against all ports and addresses, one by one ---------------------------------------------------------- */

static unsigned seed = 7;

static unsigned pick(unsigned n)
{
    seed = seed * 1103515245 + 12345;
    return seed / 65536 % n;
}

static const char *const names[] = {"web1", "web2", "db", "two", "open", "open-apart", "open-six"};

/* Of ports 1 to 12 and the addresses of 198.18.0.0/28 alone, so that all of them can be tried. */
static void put_rule(FILE *out, const char *side)
{
    fprintf(out, "  - {deny: %s, %s: [", pick(4) ? "false" : "true", side);
    switch (pick(4)) {
    case 0:
        fprintf(out, "{cidr: 198.18.0.%u/30}", pick(4) * 4);
        break;
    case 1:
        fprintf(out, "{cidr: 198.18.0.0/28, except: [198.18.0.%u/32]}", pick(16));
        break;
    case 2:
        fputs("any", out);
        break;
    default:
        fprintf(out, "{name: %s}", names[pick(ARRAY_SIZE(names))]);
    }
    fputc(']', out);
    if (pick(3)) {
        unsigned first = 1 + pick(10);
        fprintf(out, ", ports: [%u-%u/%s]", first, first + pick(3), pick(2) ? "tcp" : "udp");
    } else if (pick(3) == 0) {
        fputs(pick(2) ? ", ports: [icmp]" : ", ports: [icmp/echo-request, tcp]", out);
    }
    fputs("}\n", out);
}

static char *random_policies(void)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    for (unsigned i = 0; i < 8; i++) {
        fprintf(out, "---\npolicy: p%u\nselect: {name: %s%s}\n", i, names[pick(ARRAY_SIZE(names))],
                pick(5) ? "" : ", network: front");
        for (unsigned d = 0; d < 2; d++) {
            fprintf(out, "%s:\n", d ? "egress" : "ingress");
            for (unsigned n = pick(4); n > 0; n--)
                put_rule(out, d ? "to" : "from");
        }
    }
    fclose(out);
    return text;
}

/* Counts, of everything that can be tried on a way, what passes and what does not. */
static void try_all(const struct evaluation *evaluation, const struct party *from, const struct party *to,
                    enum ip_family family, unsigned *n_allowed, unsigned *n_denied)
{
    static const uint8_t protocols[] = {6, 17, 132, 1, 253};

    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
        for (uint16_t port = 1; port <= 54; port++) {
            uint8_t proto = protocols[i] == 1 && family == IP6 ? 58 : protocols[i];
            struct traffic traffic = {family, proto, proto == 58 ? (uint16_t)(port + 100) : port};

            if (evaluate(evaluation, from, to, &traffic).verdict == VERDICT_ALLOW)
                ++*n_allowed;
            else
                ++*n_denied;
        }
}

/* to: NULL is 198.18.0.0/28. Across networks Docker lets nothing pass; open-apart is alone on its own. */
static void try_pair(const struct evaluation *evaluation, const struct container *from,
                     const struct container *to, bool *ret_allowed, bool *ret_denied)
{
    unsigned all_allowed = 0, all_denied = 0, real_allowed = 0, real_denied = 0;

    for (size_t i = 0; i < from->n_endpoints; i++)
        for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
            for (size_t j = 0; j < (to ? to->n_endpoints : 16); j++) {
                struct party a = {.kind = PARTY_ENDPOINT, .container = from, .endpoint = &from->endpoints[i]};
                struct party b = {.kind = PARTY_OUTSIDE, .ip = {0xc6120000 + j, IP4}, .has_ip = true};
                unsigned *allowed = &real_allowed, *denied = &real_denied;

                if (to)
                    b = (struct party){
                        .kind = PARTY_ENDPOINT, .container = to, .endpoint = &to->endpoints[j]};
                if (!a.endpoint->has_ip[family] || (to ? !b.endpoint->has_ip[family] : family == IP6))
                    continue;
                if (to ? strcmp(a.endpoint->network_id, b.endpoint->network_id) != 0
                       : strcmp(a.endpoint->network_id, "n2") == 0)
                    allowed = &all_allowed, denied = &all_denied;
                try_all(evaluation, &a, &b, family, allowed, denied);
            }
    *ret_allowed = real_allowed > 0 && real_denied == 0;
    *ret_denied = real_allowed + all_allowed == 0;
}

static void check_pair(struct world *world, const char *policies_text, const char *from, const char *to,
                       unsigned *n_allowed, unsigned *n_denied)
{
    struct evaluation evaluation = with(world);
    const struct container *source, *destination = NULL;
    bool allowed, denied;

    assert_int_equal(inventory_find(world->inventory, from, &source), 0);
    if (to)
        assert_int_equal(inventory_find(world->inventory, to, &destination), 0);
    try_pair(&evaluation, source, destination, &allowed, &denied);
    *n_allowed += allowed;
    *n_denied += denied;
    for (int i = 0; i < 2; i++) {
        struct peer peers[] = {
            {.kind = PEER_SELECTOR, .selector = {.name = (char *)from}},
            {.kind = PEER_SELECTOR, .selector = {.name = (char *)to}},
        };
        struct expectation expectation = {
            .allowed = i == 0, .from = peers, .to = peers + 1, .n_from = 1, .n_to = 1};
        struct expect expect = {.name = (char *)"x", .v = &expectation, .n = 1};
        struct expect_result result;

        if (!to)
            peers[1] = (struct peer){.kind = PEER_CIDR, .cidr = {{0xc6120000, IP4}, 28}};
        world->policies->expects = &expect;
        world->policies->n_expects = 1;
        expect_test(&evaluation, &result);
        if ((result.n_failures == 0) != (i == 0 ? allowed : denied))
            fail_msg("%s -> %s is %sexpected to be %s with:\n%s", from, to ?: "198.18.0.0/28",
                     result.n_failures ? "not " : "", i == 0 ? "allowed" : "denied", policies_text);
        expect_result_clear(&result);
        world->policies->expects = NULL;
        world->policies->n_expects = 0;
    }
}

static void test_against_all_ports(void **state)
{
    unsigned n_allowed = 0, n_denied = 0;

    (void)state;
    for (int round = 0; round < 300; round++) {
        _cleanup_free_ char *text = random_policies();
        _cleanup_world_ struct world world = {
            .policies = policy_set_new(), .inventory = read_inventory(), .settings = settings_new()};

        assert_int_equal(policy_parse(world.policies, "p.yaml", text, strlen(text), &world.diags), 0);
        assert_int_equal(policy_set_finish(world.policies, &world.diags), 0);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
            check_pair(&world, text, names[i], NULL, &n_allowed, &n_denied);
            for (size_t j = 0; j < ARRAY_SIZE(names); j++)
                if (i != j)
                    check_pair(&world, text, names[i], names[j], &n_allowed, &n_denied);
        }
    }
    /* both are common enough to be tested */
    assert_true(n_allowed > 50 && n_denied > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_every_port),
        cmocka_unit_test(test_outside),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_docker),
        cmocka_unit_test(test_unenforced),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_default_mode),
        cmocka_unit_test(test_deciding_rule),
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_out_of_reach),
        cmocka_unit_test(test_against_all_ports),
    };

    return cmocka_run_group_tests_name("expectations", tests, NULL, NULL);
}
