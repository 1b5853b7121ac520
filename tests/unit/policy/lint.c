/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Warnings are exact: each pair here is a case that must warn beside one, a little different, that must not.
 */
#include "helpers.h"

static void check_rules(const char *rules, const char *expected)
{
    _cleanup_free_ char *text = xasprintf("policy: p\nselect: {all: true}\negress:\n%s", rules);

    assert_codes(text, expected);
}

static void test_same_rules(void **state)
{
    (void)state;
    check_rules("  - {to: [host], ports: [80/tcp]}\n  - {to: [host], ports: [80/tcp]}\n", "C104");
    check_rules("  - {to: [host], ports: [80/tcp]}\n  - {to: [host], ports: [80/udp]}\n", "");
    check_rules("  - {}\n  - {}\n", "C104");
    check_rules("  - {}\n  - {to: [any]}\n", "C104");
    check_rules("  - {deny: true, to: [host]}\n  - {deny: true, to: [host]}\n", "C104");
    check_rules("  - {to: [{name: a, image: b}]}\n  - {to: [{image: b, name: a}]}\n", "C104");
    check_rules("  - {to: [{name: a, image: b}]}\n  - {to: [{name: b, image: a}]}\n", "");
    check_rules("  - {to: [{labels: {a: b, c: null}}]}\n  - {to: [{labels: {c: null, a: b}}]}\n", "C104");
    check_rules("  - {to: [{labels: {a: b, c: null}}]}\n  - {to: [{labels: {a: b, c: '*'}}]}\n", "");
    check_rules("  - {to: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}\n  - {to: [{cidr: 10.0.0.0/8}]}\n",
                "C115");
}

static void test_void_rules(void **state)
{
    (void)state;
    check_rules("  - {deny: true}\n  - {to: [host]}\n", "C105");
    check_rules("  - {to: [host]}\n  - {deny: true, to: [any]}\n", "C105");
    check_rules("  - {deny: true, ports: [tcp]}\n  - {to: [host], ports: [80/tcp]}\n", "C105");
    check_rules("  - {deny: true, ports: [tcp]}\n  - {to: [host], ports: [80/tcp, 80/udp]}\n", "");
    check_rules("  - {deny: true, ports: [tcp]}\n  - {to: [host]}\n", "");
    check_rules("  - {deny: true, to: [outside]}\n  - {to: [internet]}\n", "C105");
    check_rules("  - {deny: true, to: [internet]}\n  - {to: [outside]}\n", "");
    check_rules("  - {deny: true, to: [outside]}\n  - {to: [{cidr: 10.0.0.0/8}]}\n", "C105");
    check_rules("  - {deny: true, to: [containers]}\n  - {to: [{compose: shop}, {same: x}]}\n", "C105");
    check_rules("  - {deny: true, to: [containers]}\n  - {to: [{compose: shop}, host]}\n", "");
    check_rules("  - {deny: true, to: [{compose: shop}]}\n  - {to: [{compose: shop/web, name: x}]}\n",
                "C105");
    check_rules("  - {deny: true, to: [{compose: shop/web}]}\n  - {to: [{compose: shop}]}\n", "");
    check_rules("  - {deny: true, to: [{cidr: 10.0.0.0/8}]}\n  - {to: [{cidr: 10.1.0.0/16}]}\n", "C105");
    check_rules("  - {deny: true, to: [{cidr: 10.1.0.0/16}]}\n  - {to: [{cidr: 10.0.0.0/8}]}\n", "");
    check_rules("  - {deny: true, to: [{cidr: 10.0.0.0/8, except: [10.1.2.0/24]}]}\n  - {to: [{cidr: "
                "10.1.0.0/16}]}\n",
                "");
    check_rules("  - {deny: true, to: [{cidr: 10.0.0.0/8, except: [10.1.2.0/24]}]}\n"
                "  - {to: [{cidr: 10.1.0.0/16, except: [10.1.2.0/23]}]}\n",
                "C105");
    check_rules("  - {deny: true, to: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}\n  - {to: [{cidr: "
                "10.1.2.0/24}]}\n",
                "");
    check_rules("  - {deny: true, to: [{cidr: 10.0.0.0/8, except: [10.2.0.0/16]}]}\n  - {to: [{cidr: "
                "10.1.2.0/24}]}\n",
                "C105");
    check_rules("  - {deny: true, to: [{cidr: '::/0'}]}\n  - {to: [{cidr: 10.0.0.0/8}]}\n", "");
    /* Who the name servers are, and on which port, is known for each container only. */
    check_rules("  - {deny: true}\n  - {to: [dns]}\n", "C105");
    check_rules("  - {deny: true, ports: [tcp]}\n  - {to: [dns], ports: [tcp]}\n", "");
    check_rules("  - {deny: true, to: [outside]}\n  - {to: [dns]}\n", "");
}

static void test_covered(void **state)
{
    (void)state;
    check_rules("  - {to: [host, host]}\n", "C106");
    check_rules("  - {to: [internet, outside]}\n", "C106");
    check_rules("  - {to: [internet, host, containers]}\n", "");
    check_rules("  - {to: [any, dns]}\n", "");
    check_rules("  - {to: [{name: 'a*'}, {name: 'ab*'}]}\n", ""); /* globs are compared as texts */
    check_rules("  - {to: [{name: a}, {name: a, network: n}]}\n", "C106");
    check_rules("  - {to: [{network: m}, {name: a, network: n}]}\n", "");
    check_rules("  - {ports: [tcp, 80/tcp]}\n", "C107");
    check_rules("  - {ports: [80/tcp, 80/tcp]}\n", "C107");
    check_rules("  - {ports: [1-100/tcp, 50-200/tcp]}\n", "");
    check_rules("  - {ports: [tcp, udp, sctp, icmp]}\n", "");
}

static void test_selectors(void **state)
{
    (void)state;
    assert_codes("policy: p\nselect: {all: true, name: a}\n", "C108");
    assert_codes("policy: p\nselect: {name: a}\n", "");
    assert_codes("policy: p\nselect: {network: 'a*'}\n", "C109");
    assert_codes("policy: p\nselect: {network: a}\n", "");
}

/* Rules of different directions, policies and documents have nothing to do with each other here. */
static void test_apart(void **state)
{
    (void)state;
    assert_codes("policy: p\nselect: {all: true}\ningress:\n  - from: [host]\negress:\n  - to: [host]\n", "");
    assert_codes("policy: p\nselect: {all: true}\ningress: [{deny: true}]\negress: [{to: [host]}]\n", "");
    assert_codes("policy: p\nselect: {all: true}\ningress: [{deny: true}]\n---\n"
                 "policy: q\nselect: {all: true}\ningress: [{from: [host]}]\n",
                 "");
}

static void test_covered_rules(void **state)
{
    (void)state;
    check_rules("  - {to: [host]}\n  - {to: [host], ports: [80/tcp]}\n", "C115");
    check_rules("  - {to: [host], ports: [80/tcp]}\n  - {to: [host]}\n", "C115");
    check_rules("  - {}\n  - {to: [dns]}\n", "C115");
    check_rules("  - {to: [outside]}\n  - {to: [dns]}\n", "");
    check_rules("  - {to: [internet], ports: [53/udp]}\n  - {to: [host], ports: [53/udp]}\n", "");
    check_rules("  - {to: [{compose: shop}]}\n  - {to: [{compose: shop/db}], ports: [5432/tcp]}\n", "C115");
    check_rules("  - {to: [{compose: shop/db}]}\n  - {to: [{compose: shop}], ports: [5432/tcp]}\n", "");
    /* who denies twice says so on purpose */
    check_rules("  - {deny: true}\n  - {deny: true, to: [host]}\n", "");
}

/* The codes of what a whole set is told when it is finished, each behind the line that it is about. */
static void check_set(const char *text, const char *expected)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_free_ char *found = xstrdup("");

    assert_int_equal(policy_parse(set, "test.yaml", text, strlen(text), &diags), 0);
    assert_int_equal(diags.n, 0);
    assert_int_equal(policy_set_finish(set, &diags), 0);
    for (size_t i = 0; i < diags.n; i++) {
        char *longer = xasprintf("%s%s%u %s", found, i ? ", " : "", diags.v[i].line, diags.v[i].code);

        assert_int_equal(diags.v[i].level, DIAG_WARNING);
        assert_non_null(diags.v[i].source_line);
        free(found);
        found = longer;
    }
    assert_string_equal(found, expected);
}

#define TWO(a, a_rule, b, b_rule)                                                                            \
    "policy: a\nselect: " a "\ningress:\n  - " a_rule "\n---\n"                                              \
    "policy: b\nselect: " b "\ningress:\n  - " b_rule "\n"

static void test_policies(void **state)
{
    (void)state;
    check_set(TWO("{name: x}", "{from: [host]}", "{name: x}", "{from: [host]}"), "9 C115");
    check_set(TWO("{name: x}", "{from: [host], ports: [80/tcp]}", "{name: x}", "{from: [host]}"), "4 C115");
    check_set(TWO("{name: x}", "{from: [host]}", "{name: x}", "{from: [outside]}"), "");
    check_set(TWO("{name: x, image: y}", "{}", "{image: y, name: x}", "{from: [host]}"), "9 C115");
    /* a wider policy may go, or change, without a thought of the narrower one */
    check_set(TWO("{all: true}", "{}", "{name: x}", "{from: [host]}"), "");
    check_set(TWO("{compose: shop}", "{}", "{compose: shop/web}", "{from: [host]}"), "");
    check_set(TWO("{name: x}", "{}", "{name: x}", "{deny: true, from: [host]}"), "");
    check_set(TWO("{name: x}\nmode: audit", "{}", "{name: x}", "{from: [host]}"), "");
    check_set(TWO("{name: x}\nmode: audit", "{}", "{name: x}\nmode: audit", "{from: [host]}"), "11 C115");
    check_set("policy: a\nselect: {name: x}\ningress:\n  - from: [host]\n---\n"
              "policy: b\nselect: {name: x}\negress:\n  - to: [host]\n",
              "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_rules), cmocka_unit_test(test_void_rules),
        cmocka_unit_test(test_covered),    cmocka_unit_test(test_selectors),
        cmocka_unit_test(test_apart),      cmocka_unit_test(test_covered_rules),
        cmocka_unit_test(test_policies),
    };

    return cmocka_run_group_tests_name("policy lint", tests, NULL, NULL);
}
