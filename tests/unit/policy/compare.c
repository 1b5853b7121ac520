/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two policy sets: what counts as a change, and what does not. */
#include "helpers.h"

#include "policy/compare.h"

/* "changed a, removed b; 1" (those that are the same); the caller frees it. */
static char *compared(const char *from, const char *to)
{
    _cleanup_(policy_set_freep) struct policy_set *a = *from ? parse_good(from) : policy_set_new();
    _cleanup_(policy_set_freep) struct policy_set *b = *to ? parse_good(to) : policy_set_new();
    _cleanup_policy_changes_ struct policy_changes changes = {0};
    char *text = xstrdup("");

    policy_sets_compare(a, b, &changes);
    for (size_t i = 0; i < changes.n; i++) {
        const struct policy_change *change = &changes.v[i];
        char *longer = xasprintf("%s%s%s %s", text, i ? ", " : "", policy_change_name(change->kind),
                                 (change->to ?: change->from)->name);

        assert_int_equal(change->from == NULL, change->kind == POLICY_ADDED);
        assert_int_equal(change->to == NULL, change->kind == POLICY_REMOVED);
        free(text);
        text = longer;
    }
    assert_int_equal(changes.n, changes.n_of[POLICY_ADDED] + changes.n_of[POLICY_CHANGED] +
                                    changes.n_of[POLICY_REMOVED]);
    char *all = xasprintf("%s; %zu", text, changes.n_same);
    free(text);
    return all;
}

static void check(const char *from, const char *to, const char *expected)
{
    _cleanup_free_ char *text = compared(from, to);

    assert_string_equal(text, expected);
}

#define A "policy: a\nselect: {all: true}\n"
#define B "policy: b\nselect: {name: b}\n"
#define C "policy: c\nselect: {name: c}\n"
#define NEXT "---\n"

static void sets(void **state)
{
    (void)state;
    check("", "", "; 0");
    check("", A NEXT B, "added a, added b; 0");
    check(A NEXT B, "", "removed a, removed b; 0");
    check(A NEXT B, B NEXT A, "; 2");
    check(A NEXT C, B NEXT C, "removed a, added b; 1");
    check(B, A NEXT B NEXT C, "added a, added c; 1");
}

static void changed(const char *from, const char *to)
{
    check(from, to, "changed a; 0");
    check(to, from, "changed a; 0");
}

static void what_counts(void **state)
{
    (void)state;
    changed(A, A "mode: audit\n");
    changed(A, A "reject: true\n");
    changed(A, A "description: x\n");
    changed(A, "policy: a\nselect: {name: a}\n");
    changed(A, A "egress: [{}]\n");
    changed(A "ingress: [{}]\n", A "egress: [{}]\n");
    changed(A "egress: [{to: [host]}]\n", A "egress: [{to: [internet]}]\n");
    changed(A "egress: [{to: [host]}]\n", A "egress: [{to: [host], deny: true}]\n");
    changed(A "egress: [{to: [host]}]\n", A "egress: [{to: [host], name: x}]\n");
    changed(A "egress: [{ports: [80/tcp]}]\n", A "egress: [{ports: [80/udp]}]\n");
    changed(A "egress: [{ports: [tcp]}, {to: [host]}]\n", A "egress: [{ports: [tcp], to: [host]}]\n");
    changed(A "egress: [{to: [{cidr: 10.0.0.0/8}]}]\n",
            A "egress: [{to: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}]\n");
}

static void what_does_not(void **state)
{
    (void)state;
    check("# elsewhere\n\n" A, A, "; 1");
    check(A "egress: [{to: [host]}, {to: [internet]}]\n", A "egress: [{to: [internet]}, {to: [host]}]\n",
          "; 1");
    check(A "egress: [{to: [host, internet]}]\n", A "egress: [{to: [internet, host]}]\n", "; 1");
    check(A "egress: [{ports: [80/tcp, 53/udp]}]\n", A "egress: [{ports: [53/udp, 80/tcp]}]\n", "; 1");
    check(A "mode: enforce\nversion: 1\n", A, "; 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets),
        cmocka_unit_test(what_counts),
        cmocka_unit_test(what_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
