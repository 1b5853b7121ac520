/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model as text, and copies of it. */
#include "helpers.h"

/* A selector or peer written as text reads back as the same. */
static void check_peer(const char *written, const char *expected)
{
    _cleanup_free_ char *rules = xasprintf("egress:\n  - to:\n      - %s\n", written);
    _cleanup_(policy_set_freep) struct policy_set *set = parse_rules(rules);
    _cleanup_free_ char *text = peer_text(&set->policies[0].rules[EGRESS][0].peers[0]);

    assert_string_equal(text, expected);
}

static void test_peer_text(void **state)
{
    (void)state;
    check_peer("any", "any");
    check_peer("internet", "internet");
    check_peer("outside", "outside");
    check_peer("host", "host");
    check_peer("containers", "containers");
    check_peer("dns", "dns");
    check_peer("{same: com.docker.compose.project}", "same: com.docker.compose.project");
    check_peer("{cidr: 10.0.0.0/8}", "cidr: 10.0.0.0/8");
    check_peer("{cidr: 10.0.0.1/32}", "cidr: 10.0.0.1");
    check_peer("{cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.0.1]}",
               "cidr: 10.0.0.0/8 except 10.1.0.0/16, 10.2.0.1");
    check_peer("{cidr: '2001:DB8:0::/32'}", "cidr: 2001:db8::/32");
    check_peer("{compose: shop/web}", "compose: shop/web");
    check_peer("{all: true}", "all: true");
}

static void test_selector_text(void **state)
{
    (void)state;
    check_peer("{name: web-*, compose: shop}", "compose: shop, name: web-*");
    check_peer("{network: back, image: 'a:*', labels: {a: b, c: null}, name: x}",
               "name: x, labels: {a: b, c: null}, image: a:*, network: back");
    /* Quoted where YAML would read something else. */
    check_peer("{name: '*'}", "name: '*'");
    check_peer("{name: '[!a]*'}", "name: '[!a]*'");
    check_peer("{labels: {a: 'null', b: '', c: 'it''s', d: 'a: b', e: '~', f: 'x,y'}}",
               "labels: {a: 'null', b: '', c: it's, d: 'a: b', e: '~', f: 'x,y'}");
    check_peer("{labels: {a: '''x'}}", "labels: {a: '''x'}");
}

static void check_port(const char *text, const char *expected)
{
    _cleanup_free_ char *again = NULL;
    const char *why = NULL;
    struct port port;

    assert_int_equal(port_parse(text, &port, &why), 0);
    again = port_text(&port);
    assert_string_equal(again, expected);
}

static void test_port_text(void **state)
{
    static const char *const texts[] = {
        "5432/tcp", "9000-9010/udp",     "1-65535/sctp",       "tcp", "udp", "sctp",
        "icmp",     "icmp/echo-request", "icmp/packet-too-big"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        check_port(texts[i], texts[i]);
    check_port("80-80/tcp", "80/tcp");
}

static void test_rule_text(void **state)
{
    _cleanup_(policy_set_freep) struct policy_set *set =
        parse_rules("egress: [{}, {name: x, to: [host]}, {to: [any]}]\n");
    const struct policy *policy = &set->policies[0];
    static const char *const expected[] = {"p egress 1", "p egress x", "p egress 3"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        _cleanup_free_ char *text = rule_text(policy, EGRESS, &policy->rules[EGRESS][i]);

        assert_string_equal(text, expected[i]);
    }
    assert_string_equal(direction_name(INGRESS), "ingress");
    assert_string_equal(direction_name(EGRESS), "egress");
}

/* A copy holds nothing of the original. */
static void test_selector_copy(void **state)
{
    struct policy_set *set = parse_good("policy: p\nselect: {compose: a/b, name: n, image: i, network: w,"
                                        " labels: {x: y, z: null}, all: true}\n");
    struct selector copy = selector_copy(&set->policies[0].select);
    _cleanup_free_ char *before = selector_text(&set->policies[0].select), *after = NULL;

    (void)state;
    policy_set_free(set);
    after = selector_text(&copy);
    assert_string_equal(before,
                        "compose: a/b, name: n, labels: {x: y, z: null}, image: i, network: w, all: true");
    assert_string_equal(after, before);
    selector_clear(&copy);
    assert_null(copy.labels);
    assert_null(copy.name);
    selector_clear(&copy); /* again is fine */
}

static void test_release(void **state)
{
    struct peer peer = {.kind = PEER_SAME, .same = xstrdup("x")};

    (void)state;
    peer_clear(&peer);
    assert_null(peer.same);
    assert_null(policy_set_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer_text),     cmocka_unit_test(test_selector_text),
        cmocka_unit_test(test_port_text),     cmocka_unit_test(test_rule_text),
        cmocka_unit_test(test_selector_copy), cmocka_unit_test(test_release),
    };

    return cmocka_run_group_tests_name("policy model", tests, NULL, NULL);
}
