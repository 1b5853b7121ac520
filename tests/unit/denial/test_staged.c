// SPDX-License-Identifier: GPL-2.0-or-later
/* What enforcing what is staged would change, for one connection. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "denial/staged.h"
#include "policy/parse.h"
#include "util/mem.h"
#include "verdict/lock.h"

struct bench {
    struct policy_set *policies;
    struct settings *settings;
    struct inventory *inventory;
    struct evaluation with;
    struct lock_list *locks;
};

static void add_container(struct inventory *inventory, const char *name, const char *address)
{
    struct container *container = container_new();
    struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);

    container->id = xasprintf("%s-id", name);
    container->name = xstrdup(name);
    container->running = container->labels_known = true;
    endpoint->network_id = xstrdup("n1");
    endpoint->network_name = xstrdup("front");
    endpoint->id = xasprintf("%s-endpoint", name);
    endpoint->has_ip[IP4] = ip_parse(address, &endpoint->ip[IP4]) == 0;
    inventory_put_container(inventory, container);
}

static struct bench *make(const char *text)
{
    struct bench *bench = xnew(struct bench);
    _cleanup_diags_ struct diags diags = {0};

    *bench = (struct bench){policy_set_new(), settings_new(), inventory_new(), {0}, NULL};
    assert_int_equal(policy_parse(bench->policies, "p.yaml", text, strlen(text), &diags), 0);
    assert_int_equal(policy_set_finish(bench->policies, &diags), 0);
    add_container(bench->inventory, "web", "10.91.0.2");
    add_container(bench->inventory, "db", "10.91.0.3");
    bench->with = (struct evaluation){bench->policies, bench->inventory, bench->settings, NULL};
    return bench;
}

static void clear(struct bench *bench)
{
    policy_set_free(bench->policies);
    settings_free(bench->settings);
    inventory_free(bench->inventory);
    lock_list_free(bench->locks);
    free(bench);
}

static struct party party(const struct bench *bench, const char *name)
{
    struct party party = {.kind = PARTY_OUTSIDE, .has_ip = ip_parse(name, &party.ip) == 0};
    _cleanup_free_ char *id = xasprintf("%s-id", name);

    party.container = inventory_container(bench->inventory, id);
    if (party.container) {
        party.kind = PARTY_ENDPOINT;
        party.endpoint = &party.container->endpoints[0];
    }
    return party;
}

/* As JSON text; "none". */
static void assert_staged(const struct bench *bench, const char *from, const char *to, uint16_t port,
                          const char *became, const char *expected)
{
    const struct staged_question question = {
        .with = &bench->with,
        .locks = bench->locks,
        .from = party(bench, from),
        .to = party(bench, to),
        .traffic = {.family = IP4, .proto = IPPROTO_TCP, .port = port},
        .verdict = strcmp(became, "passes") == 0 ? VERDICT_ALLOW : VERDICT_DENY,
        .by_policy = strcmp(became, "spoofed") != 0,
        .direction = strcmp(became, "denied in") == 0 ? INGRESS : EGRESS};
    json_t *staged = staged_judge(&question);
    _cleanup_free_ char *text = staged ? json_dumps(staged, JSON_COMPACT) : xstrdup("none");

    assert_string_equal(text, expected);
    json_decref(staged);
}

#define ENFORCED                                                                                             \
    "policy: web\n"                                                                                          \
    "select: {name: web}\n"                                                                                  \
    "egress: [{to: [{name: db}], ports: [5432/tcp]}]\n"                                                      \
    "---\n"                                                                                                  \
    "policy: db\n"                                                                                           \
    "select: {name: db}\n"                                                                                   \
    "ingress: [{from: [{name: web}], ports: [5432/tcp]}]\n"

static void nothing_is_staged(void **state)
{
    struct bench *bench = make(ENFORCED);

    (void)state;
    assert_staged(bench, "web", "db", 5432, "passes", "none");
    assert_staged(bench, "web", "db", 80, "denied out", "none");
    clear(bench);
}

static void what_would_pass(void **state)
{
    struct bench *bench = make(ENFORCED "---\n"
                                        "policy: more\n"
                                        "mode: audit\n"
                                        "select: {name: web}\n"
                                        "egress: [{to: [{cidr: 192.0.2.0/24}], ports: [443/tcp]}]\n");

    (void)state;
    assert_staged(
        bench, "web", "192.0.2.1", 443, "denied out",
        "{\"verdict\":\"allow\",\"direction\":\"egress\",\"reason\":\"rule egress 1 of policy more would "
        "allow it\",\"policy\":\"more\",\"rule\":\"egress 1\",\"reference\":\"p.yaml:12\",\"policies\":[\"more\"],"
        "\"changed_by\":[\"more\"]}");
    assert_staged(
        bench, "web", "192.0.2.1", 80, "denied out",
        "{\"verdict\":\"deny\",\"direction\":\"egress\",\"reason\":\"no egress rule of its policies "
        "would allow it\",\"policies\":[\"more\"],\"changed_by\":[]}");
    assert_staged(bench, "web", "db", 5432, "passes",
                  "{\"verdict\":\"allow\",\"direction\":\"egress\",\"reason\":\"rule egress 1 of policy web "
                  "would allow it\",\"policy\":\"web\",\"rule\":\"egress "
                  "1\",\"reference\":\"p.yaml:3\",\"policies\":[\"more\"],\"changed_by\":[]}");
    /* It is not about them. */
    assert_staged(bench, "192.0.2.1", "db", 80, "denied in", "none");
    clear(bench);
}

static void what_would_be_denied(void **state)
{
    struct bench *bench = make(ENFORCED "---\n"
                                        "policy: less\n"
                                        "mode: audit\n"
                                        "select: {name: db}\n"
                                        "ingress:\n"
                                        "  - name: not-you\n"
                                        "    deny: true\n"
                                        "    from: [{name: web}]\n");

    (void)state;
    assert_staged(bench, "web", "db", 5432, "passes",
                  "{\"verdict\":\"deny\",\"direction\":\"ingress\",\"reason\":\"rule not-you of policy less "
                  "would deny it\",\"policy\":\"less\",\"rule\":\"not-you\",\"reference\":\"p.yaml:13\","
                  "\"policies\":[\"less\"],\"changed_by\":[\"less\"]}");
    clear(bench);
}

/* Neither alone opens it: each is about one end. */
static void two_that_only_together_change_it(void **state)
{
    struct bench *bench = make("policy: out\n"
                               "mode: audit\n"
                               "select: {name: web}\n"
                               "egress: [{to: [{name: db}]}]\n"
                               "---\n"
                               "policy: in\n"
                               "mode: audit\n"
                               "select: {name: db}\n"
                               "ingress: [{from: [{name: web}]}]\n");

    (void)state;
    assert_staged(bench, "web", "db", 80, "denied out",
                  "{\"verdict\":\"allow\",\"direction\":\"egress\",\"reason\":\"rule egress 1 of policy out "
                  "would allow it\",\"policy\":\"out\",\"rule\":\"egress "
                  "1\",\"reference\":\"p.yaml:4\",\"policies\":[\"in\",\"out\"],\"changed_by\":[]}");
    clear(bench);
}

static void default_mode_audit(void **state)
{
    struct bench *bench = make("policy: web\n"
                               "mode: audit\n"
                               "select: {name: web}\n"
                               "egress: [{to: [{name: db}], ports: [5432/tcp]}]\n");

    (void)state;
    bench->settings->default_mode = MODE_AUDIT;
    /* web's policy alone would let it go on, as db has none; with all of it enforced, db's default stops it. */
    assert_staged(
        bench, "web", "db", 5432, "passes",
        "{\"verdict\":\"deny\",\"direction\":\"ingress\",\"reason\":\"no policy selects it, and "
        "default_mode would be enforce\",\"policies\":[\"web\"],\"changed_by\":[\"default_mode\"]}");
    assert_staged(
        bench, "web", "192.0.2.1", 80, "passes",
        "{\"verdict\":\"deny\",\"direction\":\"egress\",\"reason\":\"no egress rule of its policies "
        "would allow it\",\"policies\":[\"web\"],\"changed_by\":[\"web\",\"default_mode\"]}");
    assert_staged(bench, "db", "192.0.2.1", 80, "passes",
                  "{\"verdict\":\"deny\",\"direction\":\"egress\",\"reason\":\"no policy selects it, and "
                  "default_mode would be enforce\",\"policies\":[],\"changed_by\":[\"default_mode\"]}");
    assert_staged(bench, "192.0.2.2", "192.0.2.1", 80, "passes", "none");
    clear(bench);
}

/* It was not the policies, so they cannot change it. */
static void what_is_denied_anyhow(void **state)
{
    struct bench *bench = make("policy: open\n"
                               "mode: audit\n"
                               "select: {all: true}\n"
                               "ingress: [{}]\n"
                               "egress: [{}]\n");

    (void)state;
    assert_staged(bench, "web", "db", 80, "spoofed",
                  "{\"verdict\":\"deny\",\"reason\":\"no policy decides "
                  "it\",\"policies\":[\"open\"],\"changed_by\":[]}");
    clear(bench);
}

/* What passes though the policies would deny it, and what they would let pass: they have changed since. */
static void others_have_decided_it(void **state)
{
    struct bench *bench = make(ENFORCED "---\n"
                                        "policy: open\n"
                                        "mode: audit\n"
                                        "select: {all: true}\n"
                                        "ingress: [{}]\n"
                                        "egress: [{}]\n");

    (void)state;
    assert_staged(bench, "web", "db", 80, "passes", "none");
    assert_staged(bench, "web", "db", 5432, "denied out", "none");
    clear(bench);
}

static void a_lockdowns_exception(void **state)
{
    struct bench *bench = make("policy: shut\n"
                               "mode: audit\n"
                               "select: {name: db}\n");
    struct lock *lock = lock_new();
    const char *why;

    (void)state;
    bench->settings->default_mode = MODE_AUDIT;
    lock_name(lock, inventory_container(bench->inventory, "db-id"));
    lock->cut = CUT_BOTH;
    assert_int_equal(lock_allow(lock, "192.0.2.9", &why), 0);
    bench->locks = lock_list_new();
    lock_list_add(bench->locks, lock);
    assert_staged(bench, "192.0.2.9", "db", 80, "passes",
                  "{\"verdict\":\"allow\",\"direction\":\"ingress\",\"reason\":\"nothing would deny "
                  "it\",\"policies\":[\"shut\"],\"changed_by\":[]}");
    clear(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_staged),      cmocka_unit_test(what_would_pass),
        cmocka_unit_test(what_would_be_denied),   cmocka_unit_test(two_that_only_together_change_it),
        cmocka_unit_test(default_mode_audit),     cmocka_unit_test(what_is_denied_anyhow),
        cmocka_unit_test(others_have_decided_it), cmocka_unit_test(a_lockdowns_exception),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
