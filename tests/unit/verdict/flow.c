/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the random worlds of the ruleset tests do not have: addresses that are special, and states of entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "inventory/json.h"
#include "policy/parse.h"
#include "verdict/flow.h"

static const char policies[] = "policy: open\n"
                               "select: {name: 'open*'}\n"
                               "ingress: [{}]\n"
                               "egress: [{}]\n"
                               "---\n"
                               "policy: web\n"
                               "select: {name: web}\n"
                               "ingress:\n"
                               "  - {from: [outside], ports: [80-90/tcp, icmp/echo-request]}\n"
                               "  - {from: [{cidr: 198.51.100.0/24}], ports: [443/tcp]}\n"
                               "egress:\n"
                               "  - {to: [host], ports: [5300/udp]}\n"
                               "---\n"
                               "policy: asks\n"
                               "select: {name: asks}\n"
                               "egress:\n"
                               "  - {to: [dns]}\n";

/* Two containers say that they have 172.18.0.7; lan is not managed; exporter is on the host's network. */
static const char inventory_json[] =
    "{'format_version': '1.0', 'networks': ["
    "  {'id': 'n1', 'name': 'front', 'driver': 'bridge', 'bridge': 'br-1', 'managed': true,"
    "   'subnets': ['172.18.0.0/16', 'fd00::/64']},"
    "  {'id': 'n3', 'name': 'lan', 'driver': 'bridge', 'bridge': 'br-3', 'managed': false,"
    "   'subnets': ['172.20.0.0/16']}],"
    " 'containers': ["
    "  {'id': 'aa11', 'name': 'open1', 'running': true, 'network_mode': 'bridge',"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e1', 'ipv4': '172.18.0.2',"
    "                  'ipv6': 'fd00::2'}]},"
    "  {'id': 'aa22', 'name': 'web', 'running': true, 'network_mode': 'bridge',"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e2', 'ipv4': '172.18.0.3'}]},"
    "  {'id': 'aa33', 'name': 'open3', 'running': true, 'network_mode': 'bridge',"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e3', 'ipv4': '172.18.0.7'}]},"
    "  {'id': 'aa44', 'name': 'open4', 'running': true, 'network_mode': 'bridge',"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e4', 'ipv4': '172.18.0.7'}]},"
    "  {'id': 'aa55', 'name': 'none', 'running': true, 'network_mode': 'bridge',"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e5', 'ipv4': '172.18.0.5'}]},"
    "  {'id': 'aa66', 'name': 'open6', 'running': false, 'network_mode': 'bridge',"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e6', 'ipv4': '172.18.0.8'}]},"
    "  {'id': 'aa77', 'name': 'open7', 'running': true, 'network_mode': 'bridge',"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'ipv4': '172.18.0.9'}]},"
    "  {'id': 'aa88', 'name': 'asks', 'running': true, 'network_mode': 'bridge', 'dns': ['8.8.8.8'],"
    "   'dns_known': true,"
    "   'endpoints': [{'network': 'n1', 'network_name': 'front', 'id': 'e8', 'ipv4': '172.18.0.10'}]},"
    "  {'id': 'cc66', 'name': 'exporter', 'running': true, 'network_mode': 'host'},"
    "  {'id': 'dd11', 'name': 'open-lan', 'running': true, 'network_mode': 'bridge',"
    "   'endpoints': [{'network': 'n3', 'network_name': 'lan', 'id': 'e9', 'ipv4': '172.20.0.2'}]}],"
    " 'host_addresses': ['192.0.2.1', '172.18.0.1', 'fe80::1']}";

struct fixture {
    struct policy_set *policies;
    struct inventory *inventory;
    struct settings *settings;
    struct flow_judge *judge;
};

static void open_court(struct fixture *fixture)
{
    struct evaluation with = {fixture->policies, fixture->inventory, fixture->settings, NULL};

    flow_judge_free(fixture->judge);
    fixture->judge = flow_judge_new(&with);
}

static int setup(void **state)
{
    struct fixture *fixture = xnew(struct fixture);
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_free_ char *text = xstrdup(inventory_json);
    json_t *document;
    int r;

    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    fixture->policies = policy_set_new();
    fixture->settings = settings_new();
    document = json_loads(text, 0, NULL);
    r = policy_parse(fixture->policies, "p.yaml", policies, strlen(policies), &diags);
    if (r == 0)
        r = policy_set_finish(fixture->policies, &diags);
    if (r == 0)
        r = inventory_from_json(document, &fixture->inventory, &diags);
    json_decref(document);
    diags_print(&diags, stderr, false);
    if (r < 0)
        return r;
    open_court(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    flow_judge_free(fixture->judge);
    policy_set_free(fixture->policies);
    inventory_free(fixture->inventory);
    settings_free(fixture->settings);
    free(fixture);
    return 0;
}

static struct ip ip(const char *text)
{
    struct ip result;

    assert_int_equal(ip_parse(text, &result), 0);
    return result;
}

static struct flow tcp(const char *from, const char *to, uint16_t port)
{
    struct flow flow = {
        .family = ip(from).family, .proto = IPPROTO_TCP, .has_ports = true, .confirmed = true};

    flow.original = (struct flow_tuple){ip(from), ip(to), 40000, port};
    flow.reply = (struct flow_tuple){ip(to), ip(from), port, 40000};
    return flow;
}

static enum flow_fate fate(void **state, const char *from, const char *to, uint16_t port)
{
    struct fixture *fixture = *state;
    struct flow flow = tcp(from, to, port);

    return flow_judge(fixture->judge, &flow);
}

static void what_is_not_ours_is_foreign(void **state)
{
    struct fixture *fixture = *state;
    struct flow flow = tcp("203.0.113.9", "172.18.0.5", 80);

    assert_int_equal(fate(state, "203.0.113.9", "192.0.2.1", 22), FLOW_FOREIGN);
    assert_int_equal(fate(state, "192.0.2.1", "203.0.113.9", 22), FLOW_FOREIGN);
    assert_int_equal(fate(state, "127.0.0.1", "127.0.0.1", 22), FLOW_FOREIGN);
    assert_int_equal(fate(state, "::1", "::1", 22), FLOW_FOREIGN);
    assert_int_equal(fate(state, "192.0.2.1", "172.18.0.1", 22), FLOW_FOREIGN);
    assert_int_equal(fate(state, "172.20.0.2", "203.0.113.9", 443), FLOW_FOREIGN); /* not managed */
    assert_int_equal(fate(state, "172.20.0.9", "172.20.0.2", 443), FLOW_FOREIGN);
    assert_int_equal(fate(state, "fe80::5", "fe80::6", 443), FLOW_FOREIGN);
    assert_int_equal(fate(state, "203.0.113.9", "224.0.0.251", 5353), FLOW_FOREIGN);
    assert_int_equal(fate(state, "192.0.2.1", "255.255.255.255", 67), FLOW_FOREIGN);

    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_DENIED);
    flow.zone = 3; /* there the same addresses may be somebody else's */
    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_FOREIGN);
    flow.zone = 0;
    flow.zone_reply = 3;
    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_FOREIGN);
}

static void policies_decide_between_the_real_ends(void **state)
{
    struct fixture *fixture = *state;
    struct flow flow = tcp("203.0.113.9", "192.0.2.1", 8080);

    assert_int_equal(fate(state, "203.0.113.9", "172.18.0.3", 80), FLOW_ALLOWED);
    assert_int_equal(fate(state, "203.0.113.9", "172.18.0.3", 90), FLOW_ALLOWED);
    assert_int_equal(fate(state, "203.0.113.9", "172.18.0.3", 91), FLOW_DENIED);
    assert_int_equal(fate(state, "203.0.113.9", "172.18.0.3", 443), FLOW_DENIED);
    assert_int_equal(fate(state, "198.51.100.0", "172.18.0.3", 443), FLOW_ALLOWED);
    assert_int_equal(fate(state, "198.51.100.255", "172.18.0.3", 443), FLOW_ALLOWED);
    assert_int_equal(fate(state, "198.51.101.0", "172.18.0.3", 443), FLOW_DENIED);
    assert_int_equal(fate(state, "198.51.99.255", "172.18.0.3", 443), FLOW_DENIED);
    assert_int_equal(fate(state, "192.0.2.1", "172.18.0.3", 80), FLOW_DENIED);   /* outside is not the host */
    assert_int_equal(fate(state, "172.20.0.2", "172.18.0.3", 80), FLOW_ALLOWED); /* not managed: outside */
    assert_int_equal(fate(state, "172.18.0.2", "172.18.0.3", 80), FLOW_DENIED);
    assert_int_equal(fate(state, "172.18.0.2", "203.0.113.9", 80), FLOW_ALLOWED);
    assert_int_equal(fate(state, "172.18.0.3", "203.0.113.9", 80), FLOW_DENIED);
    assert_int_equal(fate(state, "fd00::2", "2001:db8::1", 80), FLOW_ALLOWED);

    flow.reply = (struct flow_tuple){ip("172.18.0.3"), ip("203.0.113.9"), 80, 40000}; /* published */
    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_ALLOWED);
    flow.reply.source_port = 8080;
    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_DENIED);
    flow = tcp("172.18.0.3", "203.0.113.9", 80);
    flow.reply.destination = ip("192.0.2.1"); /* masqueraded */
    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_DENIED);
}

/* No other address and no other port is taken for it, in whichever order they are asked about. */
static void name_servers_are_single_addresses(void **state)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fate(state, "172.18.0.10", "8.8.8.9", 53), FLOW_DENIED);
        assert_int_equal(fate(state, "172.18.0.10", "8.8.8.7", 53), FLOW_DENIED);
        assert_int_equal(fate(state, "172.18.0.10", "8.8.8.8", 54), FLOW_DENIED);
        assert_int_equal(fate(state, "172.18.0.10", "8.8.8.8", 52), FLOW_DENIED);
        assert_int_equal(fate(state, "172.18.0.10", "8.8.8.8", 53), FLOW_ALLOWED);
    }
}

static void icmp_is_judged_by_its_type(void **state)
{
    struct fixture *fixture = *state;
    struct flow flow = tcp("203.0.113.9", "172.18.0.3", 0);

    flow.proto = IPPROTO_ICMP;
    flow.has_ports = false;
    flow.icmp_type = 8;
    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_ALLOWED);
    flow.icmp_type = 13;
    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_DENIED);
}

static void an_address_without_an_owner_is_denied(void **state)
{
    struct fixture *fixture = *state;
    /* Never given; claimed by two; of a container that does not run; of an endpoint that is not live. */
    static const char *const nobodys[] = {"172.18.0.200", "172.18.0.7", "172.18.0.8", "172.18.0.9"};

    for (int lenient = 0; lenient < 2; lenient++) {
        fixture->settings->unknown_endpoints = lenient ? UNKNOWN_INTERNET : UNKNOWN_DENY;
        open_court(fixture);
        for (size_t i = 0; i < ARRAY_SIZE(nobodys); i++) {
            assert_int_equal(fate(state, nobodys[i], "8.8.8.8", 80), lenient ? FLOW_ALLOWED : FLOW_DENIED);
            assert_int_equal(fate(state, nobodys[i], "10.9.9.9", 80), FLOW_DENIED);
            assert_int_equal(fate(state, "8.8.8.8", nobodys[i], 80), FLOW_DENIED);
            assert_int_equal(fate(state, "172.18.0.2", nobodys[i], 80), FLOW_DENIED);
            assert_int_equal(fate(state, nobodys[i], "172.18.0.2", 80), FLOW_DENIED);
            assert_int_equal(fate(state, "192.0.2.1", nobodys[i], 80), FLOW_DENIED);
            assert_int_equal(fate(state, nobodys[i], "172.18.0.1", 80), FLOW_DENIED);
        }
    }
}

static void link_local_is_the_link_of_the_other_end(void **state)
{
    assert_int_equal(fate(state, "fe80::5", "fd00::2", 80), FLOW_DENIED);
    assert_int_equal(fate(state, "fd00::2", "fe80::5", 80), FLOW_DENIED);
    assert_int_equal(fate(state, "fe80::1", "fd00::2", 80), FLOW_ALLOWED); /* the host's own */
    assert_int_equal(fate(state, "fd00::2", "fe80::1", 80), FLOW_ALLOWED);
}

static void broadcasts_come_in_for_the_host(void **state)
{
    struct fixture *fixture = *state;
    struct flow flow = tcp("172.18.0.3", "172.18.255.255", 53);
    static const char *const groups[] = {"172.18.255.255", "255.255.255.255", "224.0.0.251"};

    flow.proto = IPPROTO_UDP;
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        flow.original.destination = flow.reply.source = ip(groups[i]);
        flow.reply.source_port = 5300;
        assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_ALLOWED);
        flow.reply.source_port = 5301;
        assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_DENIED);
    }
    assert_int_equal(fate(state, "192.0.2.1", "172.18.255.255", 53), FLOW_DENIED);
    assert_int_equal(fate(state, "203.0.113.9", "172.18.255.255", 53), FLOW_FOREIGN);
}

static void dhcp_servers_and_foretold_flows_are_denied(void **state)
{
    struct fixture *fixture = *state;
    struct flow flow = tcp("172.18.0.2", "203.0.113.9", 68);

    flow.expected = true;
    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_DENIED);
    flow.expected = false;
    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_ALLOWED);
    flow.original.source_port = 67;
    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_ALLOWED); /* TCP */
    flow.proto = IPPROTO_UDP;
    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_DENIED);
    flow.original.source_port = 547;
    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_DENIED);
    flow.original.source_port = 68;
    assert_int_equal(flow_judge(fixture->judge, &flow), FLOW_ALLOWED);
}

static void default_audit_lets_the_unselected_pass(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fate(state, "203.0.113.9", "172.18.0.5", 80), FLOW_DENIED);
    fixture->settings->default_mode = MODE_AUDIT;
    open_court(fixture);
    assert_int_equal(fate(state, "203.0.113.9", "172.18.0.5", 80), FLOW_ALLOWED);
    assert_int_equal(fate(state, "203.0.113.9", "172.18.0.3", 22), FLOW_DENIED);
}

/* Any of the four, and no other. */
static void flows_touch_addresses(void **state)
{
    struct flow flow = tcp("203.0.113.9", "192.0.2.1", 8080);
    struct ip others[] = {ip("192.0.2.2"), ip("fd00::1"), ip("10.0.0.1"), ip("::c000:201")};
    static const char *const own[] = {"203.0.113.9", "192.0.2.1", "172.18.0.3", "172.18.0.1"};

    (void)state;
    flow.reply = (struct flow_tuple){ip("172.18.0.3"), ip("172.18.0.1"), 80, 40000};
    ip_sort(others, ARRAY_SIZE(others));
    assert_false(flow_touches(&flow, others, ARRAY_SIZE(others)));
    assert_false(flow_touches(&flow, NULL, 0));
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        struct ip with[] = {others[3], ip(own[i]), others[0], others[2], others[1]};

        ip_sort(with, ARRAY_SIZE(with));
        assert_true(flow_touches(&flow, with, ARRAY_SIZE(with)));
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_ours_is_foreign),
        TEST(policies_decide_between_the_real_ends),
        TEST(name_servers_are_single_addresses),
        TEST(icmp_is_judged_by_its_type),
        TEST(an_address_without_an_owner_is_denied),
        TEST(link_local_is_the_link_of_the_other_end),
        TEST(broadcasts_come_in_for_the_host),
        TEST(dhcp_servers_and_foretold_flows_are_denied),
        TEST(default_audit_lets_the_unselected_pass),
        TEST(flows_touch_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
