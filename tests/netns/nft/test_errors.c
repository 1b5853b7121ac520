// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel refuses, and what we say then; other programs at work on the rules at the same time. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../unit/nft/sample.h"
#include "fixture.h"
#include "ruleset/delta.h"
#include "util/mem.h"

static void assert_refused(struct fixture *fixture, const struct delta *delta, int error)
{
    uint32_t before, after;
    struct diags dry = {0};

    assert_int_equal(nft_generation(fixture->nft, &before), 0);
    assert_int_equal(nft_validate(fixture->nft, delta, &dry), error);
    assert_int_equal(nft_apply(fixture->nft, delta, &fixture->diags), error);
    assert_int_equal(nft_generation(fixture->nft, &after), 0);
    assert_int_equal(before, after);
    assert_true(fixture->diags.n_errors > 0);
    assert_int_equal(dry.n_errors, fixture->diags.n_errors);
    diags_clear(&dry);
}

static void missing_jump_target_names_the_rule(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    struct chain *chain = table_chain(&ruleset->tables[TABLE_INET], "class");
    struct rule_stmt *rule = sample_rule(chain, V_JUMP, ruleset_intern(ruleset, "nowhere"));
    _cleanup_delta_ struct delta delta = {0};

    rule->origin = xstrdup("policies/web.yaml:7 (policy web, egress 2)");
    delta_load(ruleset, &delta);
    assert_refused(fixture, &delta, -ENOENT);
    assert_int_equal(fixture->diags.n_errors, 1);
    assert_said(fixture, "add the rules of chain class of table inet cofferdam, rule 3: jump nowhere");
    assert_said(fixture, "[from policies/web.yaml:7 (policy web, egress 2)]");
}

static void missing_set_names_the_rule(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    static const enum field saddr = FIELD_IP_SADDR;
    struct chain *chain = table_chain(&ruleset->tables[TABLE_INET], "forward");
    _cleanup_delta_ struct delta delta = {0};

    sample_lookup(ruleset, sample_rule(chain, V_DROP, NULL), "gone", 1, &saddr);
    delta_load(ruleset, &delta);
    assert_refused(fixture, &delta, -ENOENT);
    assert_said(fixture, "chain forward of table inet cofferdam, rule 2: ip saddr @gone drop");
    assert_said(fixture, "somebody else has changed the table");
}

/* In the middle of a message of many elements: the kernel's offset tells which. */
static void bad_element_is_found_among_many(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    struct set *map = table_set(&ruleset->tables[TABLE_INET], "ingress4");
    _cleanup_delta_ struct delta delta = {0};

    map->origin = xstrdup("the dispatch map");
    for (unsigned i = 0; i < 1000; i++) {
        struct element element = {.key = {10, 1, (uint8_t)(i >> 8), (uint8_t)i}, .verdict = V_DROP};

        if (i == 777) {
            element.verdict = V_JUMP;
            element.target = ruleset_intern(ruleset, "nowhere");
        }
        assert_true(set_insert(map, &element));
    }
    delta_load(ruleset, &delta);
    assert_refused(fixture, &delta, -ENOENT);
    assert_said(fixture, "add element 10.1.3.9 : jump nowhere to set ingress4 of table inet cofferdam");
    assert_said(fixture, "[from the dispatch map]");
}

static void jump_to_a_base_chain_is_refused(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    struct set *map = table_set(&ruleset->tables[TABLE_INET], "ingress4");
    struct element element = sample_address("10.0.0.9");
    _cleanup_delta_ struct delta delta = {0};

    element.verdict = V_JUMP;
    element.target = ruleset_intern(ruleset, "forward");
    assert_true(set_insert(map, &element));
    delta_load(ruleset, &delta);
    assert_refused(fixture, &delta, -EOPNOTSUPP);
    assert_said(fixture, "add element 10.0.0.9 : jump forward to set ingress4");
    assert_said(fixture, "a base chain cannot be jumped to");
}

/* The dry run of this finds it only in a table that stands: the kernel forgets it when it has to begin anew.
 */
static void jumps_in_a_circle_are_refused(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *before = sample_small();
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    struct chain *class = table_chain(&ruleset->tables[TABLE_INET], "class");
    _cleanup_delta_ struct delta delta = {0};

    sample_rule(class, V_JUMP, class->name);
    delta_load(ruleset, &delta);
    assert_int_equal(nft_apply(fixture->nft, &delta, &fixture->diags), -EMLINK);
    assert_said(fixture, "chains jump into each other");
    diags_clear(&fixture->diags);
    delta_clear(&delta);

    load(fixture, before);
    delta_between(before, ruleset, &delta);
    assert_refused(fixture, &delta, -EMLINK);
    assert_said(fixture, "rule 3: jump class");
}

static void drift_is_an_error_not_a_merge(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *small = sample_small();
    _cleanup_(ruleset_freep) struct ruleset *everything = sample_everything();
    _cleanup_delta_ struct delta delta = {0};

    load(fixture, small);
    delta_between(small, everything, &delta);
    free(witness("nft 'add set inet cofferdam types4 { type icmp_type; elements = { 1 } }'"));
    assert_refused(fixture, &delta, -EEXIST);
    assert_said(fixture, "add set types4 of table inet cofferdam");
}

static void deleting_what_is_gone_says_so(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    const struct set *set = table_set(&ruleset->tables[TABLE_INET], "live4");
    _cleanup_delta_ struct delta delta = {0};

    load(fixture, ruleset);
    free(witness("nft 'delete element inet cofferdam live4 { 10.0.0.1 }'"));
    delta_delete_element(&delta, TABLE_INET, set, set->elements);
    assert_refused(fixture, &delta, -ENOENT);
    assert_said(fixture, "delete element 10.0.0.1 of set live4 of table inet cofferdam");
    assert_said(fixture, "[from the live endpoints]");
}

/* Thousands of errors do not fit the receive buffer's share of a reader's patience: the first are told. */
static void a_missing_table_is_told_briefly(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *nothing = ruleset_new();
    _cleanup_(ruleset_freep) struct ruleset *everything = sample_everything();
    _cleanup_delta_ struct delta delta = {0};

    delta_between(nothing, everything, &delta);
    assert_int_equal(nft_apply(fixture->nft, &delta, &fixture->diags), -ENOENT);
    assert_true(fixture->diags.n_errors >= 2 && fixture->diags.n_errors <= 8);
    assert_said(fixture, "more errors of the same transaction are not shown");
}

/* More errors than the receive buffer takes: what is left of them still names the cause. */
static void lost_errors_are_no_success(void **state)
{
    enum { CHAINS = 60000 };
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *nothing = ruleset_new();
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    _cleanup_delta_ struct delta delta = {0};

    for (unsigned i = 0; i < CHAINS; i++) {
        char name[32];

        snprintf(name, sizeof(name), "c%u", i);
        ruleset_add_chain(ruleset, TABLE_INET, name);
    }
    delta_between(nothing, ruleset, &delta);
    assert_int_equal(nft_apply(fixture->nft, &delta, &fixture->diags), -ENOENT);
    assert_said(fixture, "add chain c0 of table inet cofferdam");
    assert_said(fixture, "the kernel had more to say than the socket could hold");
    load(&(struct fixture){.nft = fixture->nft}, nothing); /* the socket is as good as before */
}

static void too_long_is_said_before_sending(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    _cleanup_delta_ struct delta delta = {0};
    char name[300];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ruleset_add_chain(ruleset, TABLE_INET, name);
    delta_load(ruleset, &delta);
    assert_refused(fixture, &delta, -E2BIG);
    assert_said(fixture, "longer than the kernel allows");
}

/* Bridge tables of this kernel may know no reject; where they do, there is nothing to be tested. */
static void lacking_expression_is_explained(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_BRIDGE, "prerouting");
    _cleanup_delta_ struct delta delta = {0};

    chain->hook = HOOK_PREROUTING;
    chain->priority = -300;
    sample_rule(chain, V_REJECT_ADMIN, NULL);
    delta_load(ruleset, &delta);
    if (witness_status(
            "nft -c 'table bridge x { chain y { type filter hook prerouting priority 0; reject; }; }' "
            "2>/dev/null") == 0)
        skip();
    assert_refused(fixture, &delta, -ENOENT);
    assert_said(fixture, "rule 1: reject with icmpx admin-prohibited");
    assert_said(fixture, "the kernel lacks an expression");
}

/* A table with an owner answers EPERM to everybody else. */
static void foreign_owner_is_named(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    _cleanup_delta_ struct delta delta = {0};
    FILE *owner = popen("nft -i >/dev/null 2>&1", "w");

    assert_non_null(owner);
    fputs("add table inet cofferdam { flags owner; }\n", owner);
    fflush(owner);
    for (int i = 0; i < 100 && witness_status("nft list table inet cofferdam >/dev/null 2>&1") != 0; i++)
        usleep(20000);
    delta_load(ruleset, &delta);
    assert_int_equal(nft_apply(fixture->nft, &delta, &fixture->diags), -EPERM);
    pclose(owner);
    assert_said(fixture, "another process owns the table");
}

/* In a child, because capabilities do not come back. */
static void lacking_privilege_is_named(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
        struct fixture fixture = {0};
        struct delta delta = {0};
        int r;

        delta_load(ruleset, &delta);
        if (setresuid(65534, 65534, 65534) < 0 || nft_socket_open(&fixture.nft) < 0)
            _exit(1);
        r = nft_apply(fixture.nft, &delta, &fixture.diags);
        _exit(r == -EPERM && fixture.diags.n == 1 && strstr(fixture.diags.v[0].help, "CAP_NET_ADMIN") ? 0
                                                                                                      : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Commits to the other table without a pause, until killed. */
static void commit_forever(void)
{
    struct ruleset *ruleset = ruleset_new();
    const struct set *set = sample_set(ruleset, TABLE_BRIDGE, "noise", KEY_IFNAME);
    struct fixture fixture = {0};

    if (nft_socket_open(&fixture.nft) < 0)
        _exit(1);
    for (;;) {
        struct delta delta = {0};

        delta_add_set(&delta, PHASE_SWITCH, TABLE_BRIDGE, set);
        *ARRAY_ADD(delta.phases[PHASE_SWEEP].v, delta.phases[PHASE_SWEEP].n) =
            (struct op){.kind = OP_DELETE_SET, .table = TABLE_BRIDGE, .name = xstrdup("noise")};
        if (nft_apply(fixture.nft, &delta, &fixture.diags) < 0)
            _exit(2);
        delta_clear(&delta);
    }
}

/* Others change other tables all the time, nft among them: our changes must all arrive, and theirs too. */
static void changes_by_others_are_survived(void **state)
{
    enum { ROUNDS = 3000 };
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    struct set *set = table_set(&ruleset->tables[TABLE_INET], "live4");
    _cleanup_free_ char *count = NULL;
    uint32_t first, last;
    pid_t pid;

    load(fixture, ruleset);
    assert_int_equal(nft_generation(fixture->nft, &first), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        commit_forever();
    for (int i = 0; i < ROUNDS; i++) {
        struct element element = {.key = {10, 9, (uint8_t)(i >> 8), (uint8_t)i}};
        _cleanup_delta_ struct delta delta = {0};

        delta_add_element(&delta, PHASE_SWITCH, TABLE_INET, set, &element);
        assert_done(fixture, nft_apply(fixture->nft, &delta, &fixture->diags));
        if (i % 500 == 0)
            free(witness("nft 'add table ip other; add chain ip other c; delete table ip other'"));
    }
    assert_int_equal(nft_generation(fixture->nft, &last), 0);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it had no failure either */
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    count = witness("nft list set inet cofferdam live4 | grep -o '10\\.9\\.' | wc -l");
    assert_int_equal(atoi(count), ROUNDS);
    assert_true(last - first > ROUNDS + 100); /* the other one was at work indeed */
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(missing_jump_target_names_the_rule), TEST(missing_set_names_the_rule),
        TEST(bad_element_is_found_among_many),    TEST(jump_to_a_base_chain_is_refused),
        TEST(jumps_in_a_circle_are_refused),      TEST(drift_is_an_error_not_a_merge),
        TEST(deleting_what_is_gone_says_so),      TEST(a_missing_table_is_told_briefly),
        TEST(lost_errors_are_no_success),         TEST(too_long_is_said_before_sending),
        TEST(lacking_expression_is_explained),    TEST(foreign_owner_is_named),
        TEST(lacking_privilege_is_named),         TEST(changes_by_others_are_survived),
    };

    if (geteuid() != 0)
        return SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
