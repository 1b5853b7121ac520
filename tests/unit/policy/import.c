/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Documents to the model: what stands in a file is what stands in the set. */
#include "helpers.h"

#include "schema.h"

static const char shop[] =
    "policy: shop-db\n"
    "version: 1\n"
    "description: |\n"
    "  The shop's\n"
    "  database\n"
    "reject: true\n"
    "select: {compose: shop/db, name: 'db-*', labels: {role: db, tier: '*', old: null},\n"
    "         image: 'postgres:*', network: backend}\n"
    "ingress:\n"
    "  - from:\n"
    "      - compose: shop\n"
    "      - same: com.docker.compose.project\n"
    "      - cidr: 10.20.0.0/16\n"
    "        except: [10.20.99.0/24, 10.20.98.0/24]\n"
    "      - host\n"
    "    ports: [5432/tcp, 9000-9010/udp]\n"
    "egress:\n"
    "  - to: [any, internet, outside, containers, dns]\n"
    "  - name: no-metadata\n"
    "    deny: true\n"
    "    to: [{cidr: 169.254.169.254/32}, {cidr: 'fd00:ec2::254'}]\n"
    "  - {}\n";

static void test_selector(void **state)
{
    _cleanup_(policy_set_freep) struct policy_set *set = parse_good(shop);
    const struct selector *select = &set->policies[0].select;

    (void)state;
    assert_string_equal(select->compose_project, "shop");
    assert_string_equal(select->compose_service, "db");
    assert_string_equal(select->name, "db-*");
    assert_string_equal(select->image, "postgres:*");
    assert_string_equal(select->network, "backend");
    assert_false(select->all);
    assert_int_equal(select->n_labels, 3);
    assert_string_equal(select->labels[0].key, "old"); /* in the order of their keys */
    assert_null(select->labels[0].value);
    assert_string_equal(select->labels[1].key, "role");
    assert_string_equal(select->labels[1].value, "db");
    assert_string_equal(select->labels[2].key, "tier");
    assert_string_equal(select->labels[2].value, "*");
    assert_false(select->labels[0].literal);
    assert_string_equal(select->pos.file, "test.yaml");
    assert_int_equal(select->pos.line, 7);
}

static void test_policy(void **state)
{
    _cleanup_(policy_set_freep) struct policy_set *set = parse_good(shop);
    const struct policy *policy = &set->policies[0];

    (void)state;
    assert_int_equal(set->n_policies, 1);
    assert_string_equal(policy->name, "shop-db");
    assert_string_equal(policy->description, "The shop's\ndatabase\n");
    assert_int_equal(policy->version, 1);
    assert_int_equal(policy->mode, MODE_ENFORCE);
    assert_true(policy->reject);
    assert_int_equal(policy->pos.line, 1);
    assert_int_equal(policy->n_rules[INGRESS], 1);
    assert_int_equal(policy->n_rules[EGRESS], 3);
}

static void test_ingress(void **state)
{
    _cleanup_(policy_set_freep) struct policy_set *set = parse_good(shop);
    const struct rule *rule = &set->policies[0].rules[INGRESS][0];
    char text[CIDR_TEXT_MAX];

    (void)state;
    assert_int_equal(rule->index, 1);
    assert_null(rule->name);
    assert_false(rule->deny);
    assert_int_equal(rule->pos.line, 10);
    assert_int_equal(rule->n_peers, 4);
    assert_int_equal(rule->peers[0].kind, PEER_SELECTOR);
    assert_string_equal(rule->peers[0].selector.compose_project, "shop");
    assert_null(rule->peers[0].selector.compose_service);
    assert_int_equal(rule->peers[0].pos.line, 11);
    assert_int_equal(rule->peers[1].kind, PEER_SAME);
    assert_string_equal(rule->peers[1].same, "com.docker.compose.project");
    assert_int_equal(rule->peers[2].kind, PEER_CIDR);
    assert_string_equal(cidr_format(&rule->peers[2].cidr, text), "10.20.0.0/16");
    assert_int_equal(rule->peers[2].n_except, 2);
    assert_string_equal(cidr_format(&rule->peers[2].except[0], text), "10.20.98.0/24"); /* in order */
    assert_string_equal(cidr_format(&rule->peers[2].except[1], text), "10.20.99.0/24");
    assert_int_equal(rule->peers[3].kind, PEER_HOST);
    assert_int_equal(rule->n_ports, 2);
    assert_int_equal(rule->ports[0].kind, PORT_TCP);
    assert_int_equal(rule->ports[1].first, 9000);
    assert_int_equal(rule->ports[1].last, 9010);
}

static void test_egress(void **state)
{
    static const enum peer_kind words[] = {PEER_ANY, PEER_INTERNET, PEER_OUTSIDE, PEER_CONTAINERS, PEER_DNS};
    _cleanup_(policy_set_freep) struct policy_set *set = parse_good(shop);
    const struct rule *rules = set->policies[0].rules[EGRESS];

    (void)state;
    assert_int_equal(rules[0].n_peers, ARRAY_SIZE(words));
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        assert_int_equal(rules[0].peers[i].kind, words[i]);
    assert_string_equal(rules[1].name, "no-metadata");
    assert_true(rules[1].deny);
    assert_int_equal(rules[1].index, 2);
    assert_int_equal(rules[1].peers[1].cidr.net.family, IP6);
    assert_int_equal(rules[1].peers[1].cidr.len, 128);
    assert_int_equal(rules[2].n_peers, 0);
    assert_int_equal(rules[2].n_ports, 0);
    assert_false(rules[2].deny);
}

static void test_empty_directions(void **state)
{
    static const char *const texts[] = {"", "ingress:\n", "ingress: []\n", "ingress: ~\negress: []\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_(policy_set_freep) struct policy_set *set = parse_rules(texts[i]);

        assert_int_equal(set->policies[0].n_rules[INGRESS], 0);
        assert_int_equal(set->policies[0].n_rules[EGRESS], 0);
    }
}

/* Plain text that YAML would take for a number, a date or a truth value stays what it is. */
static void test_text_stays_text(void **state)
{
    _cleanup_(policy_set_freep) struct policy_set *set =
        parse_good("policy: 1e3\nselect:\n  name: 0x10\n  labels: {a: yes, b: 010, c: 1.50, d: 2026-11-20, "
                   "e: 12:30:45}\n");
    const struct selector *select = &set->policies[0].select;
    static const char *const expected[] = {"yes", "010", "1.50", "2026-11-20", "12:30:45"};

    (void)state;
    assert_string_equal(set->policies[0].name, "1e3");
    assert_string_equal(select->name, "0x10");
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        assert_string_equal(select->labels[i].value, expected[i]);
}

static void test_expect(void **state)
{
    _cleanup_(policy_set_freep) struct policy_set *set =
        parse_good("expect: the shop works\n"
                   "allowed:\n"
                   "  - from: {compose: shop/web}\n"
                   "    to: {compose: shop/db}\n"
                   "    ports: [5432/tcp]\n"
                   "  - {from: [host, outside], to: [{name: a}, {name: b}, {name: c}]}\n"
                   "denied:\n"
                   "  - {from: {cidr: 10.0.0.0/8}, to: internet}\n");
    const struct expect *expect = &set->expects[0];

    (void)state;
    assert_int_equal(set->n_policies, 0);
    assert_int_equal(set->n_expects, 1);
    assert_string_equal(expect->name, "the shop works");
    assert_int_equal(expect->n, 3);
    assert_true(expect->v[0].allowed);
    assert_int_equal(expect->v[0].n_from, 1);
    assert_string_equal(expect->v[0].from[0].selector.compose_service, "web");
    assert_int_equal(expect->v[0].n_ports, 1);
    assert_int_equal(expect->v[0].pos.line, 3);
    assert_int_equal(expect->v[1].n_from, 2);
    assert_int_equal(expect->v[1].n_to, 3);
    assert_int_equal(expect->v[1].n_ports, 0);
    assert_false(expect->v[2].allowed);
    assert_int_equal(expect->v[2].from[0].kind, PEER_CIDR);
    assert_int_equal(expect->v[2].to[0].kind, PEER_INTERNET);
}

/* Sorted by name, whatever the order of files and documents. */
static void test_finish_sorts(void **state)
{
    static const char *const files[] = {
        "policy: c\nselect: {all: true}\n---\npolicy: a\nselect: {all: true}\n",
        "policy: d\nselect: {all: true}\n---\npolicy: b\nselect: {all: true}\n",
    };
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        assert_int_equal(policy_parse(set, i ? "two" : "one", files[i], strlen(files[i]), &diags), 0);
    assert_int_equal(policy_set_finish(set, &diags), 0);
    assert_int_equal(set->n_policies, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(set->policies[i].name[0], (int)('a' + i));
        assert_string_equal(set->policies[i].pos.file, i % 2 ? "two" : "one");
    }
}

/* A set that was not parsed but put together is held to the same. */
static void test_finish_finds_duplicates(void **state)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct policy *policy = ARRAY_ADD(set->policies, set->n_policies);

        policy->name = xstrdup("same");
        policy->pos.line = i + 1;
    }
    assert_int_equal(policy_set_finish(set, &diags), -EBADMSG);
    assert_int_equal(diags.n_errors, 1);
    assert_string_equal(diags.v[0].code, policy_code_id(CODE_POLICY_TWICE));
    assert_non_null(diags.v[0].other_message);
}

/* What has an error does not get into the set, not even in part; what has none does. */
static void test_errors_keep_policies_out(void **state)
{
    static const char text[] =
        "policy: a\nselect: {all: true}\negress:\n  - {}\n  - {deny: yes, to: [host]}\n"
        "---\npolicy: b\nselect: {all: true}\n"
        "---\npolicy: c\nselect: {all: true}\nmode: audit\nmode: enforce\n"
        "---\nexpect: d\nallowed:\n  - {from: nobody, to: host}\n";
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    (void)state;
    assert_int_equal(policy_parse(set, "f", text, strlen(text), &diags), -EBADMSG);
    assert_int_equal(diags.n_errors, 3);
    assert_int_equal(set->n_policies, 1);
    assert_string_equal(set->policies[0].name, "b");
    assert_int_equal(set->n_expects, 0);
}

/* A hundred errors are shown in a run, and one line says that there are more; later files add nothing to
 * that. */
static void test_error_limit(void **state)
{
    static const char one[] = "policy: -\nselect: {all: true}\n";
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(policy_parse(set, "f", one, strlen(one), &diags), -EBADMSG);
    assert_int_equal(diags.n_errors, 100);
    assert_string_not_equal(diags.v[99].code, policy_code_id(CODE_TOO_MANY));
    for (int i = 0; i < 3; i++)
        assert_int_equal(policy_parse(set, "f", one, strlen(one), &diags), -EBADMSG);
    assert_int_equal(diags.n, 101);
    assert_string_equal(diags.v[100].code, policy_code_id(CODE_TOO_MANY));
}

static void test_codes(void **state)
{
    (void)state;
    assert_codes("policy: a\nselect: {all: true}\n", "");
    assert_codes("policy: a\nselect: {all: true}\nversion: 2\nmode: x\nreject: 1\n", "C030 C026 C025");
    assert_codes("policy: a\nselect: {all: true}\ningress: [{from: [{}]}]\negress: [{to: []}]\n",
                 "C034 C027");
    assert_codes("policy: a\nselct: {all: true}\n",
                 "C020"); /* that 'select' is missing is not said as well */
    assert_codes("policy: a\nselect: {all: true}\nfrom: [host]\n", "C021");
    assert_codes("policy: a\nselect: *b\n", "C010"); /* one mistake, one message */
    assert_codes("policy: !x a\nselect: {all: true}\n", "C012");
}

static void test_nearest_word(void **state)
{
    static const char *const words[] = {"policy", "select", "ingress", "egress", "to", NULL};

    (void)state;
    assert_string_equal(nearest_word("polcy", words), "policy");
    assert_string_equal(nearest_word("Policy", words), "policy");
    assert_string_equal(nearest_word("slecet", words), "select");
    assert_string_equal(nearest_word("egres", words), "egress");
    assert_string_equal(nearest_word("inrgess", words), "ingress");
    assert_string_equal(nearest_word("ot", words), "to");
    assert_null(nearest_word("metadata", words));
    assert_null(nearest_word("x", words));
    assert_null(nearest_word("", words));
    assert_null(nearest_word("a-word-much-longer-than-any-of-the-words-in-the-list", words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selector),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_ingress),
        cmocka_unit_test(test_egress),
        cmocka_unit_test(test_empty_directions),
        cmocka_unit_test(test_text_stays_text),
        cmocka_unit_test(test_expect),
        cmocka_unit_test(test_finish_sorts),
        cmocka_unit_test(test_finish_finds_duplicates),
        cmocka_unit_test(test_errors_keep_policies_out),
        cmocka_unit_test(test_error_limit),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_nearest_word),
    };

    return cmocka_run_group_tests_name("policy import", tests, NULL, NULL);
}
