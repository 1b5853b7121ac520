// SPDX-License-Identifier: GPL-2.0-or-later
/* What we load is what we read back; what another program changes is found, and put right again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../unit/nft/sample.h"
#include "fixture.h"
#include "nft/read.h"
#include "ruleset/compare.h"
#include "ruleset/delta.h"
#include "ruleset/print.h"
#include "util/mem.h"

static void read_tables(struct fixture *fixture, struct nft_tables *ret)
{
    nft_tables_clear(ret);
    assert_int_equal(nft_read(fixture->nft, ret), 0);
}

/* All differences, one in a line. */
static char *differences_text(const struct ruleset *is, const struct ruleset *should)
{
    _cleanup_differences_ struct differences differences = {0};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    ruleset_compare(is, should, 1000, &differences);
    for (size_t i = 0; i < differences.n; i++) {
        const struct difference *difference = &differences.v[i];

        fprintf(out, "%s %s %s %s: %s\n", difference_what_name(difference->what),
                table_family_name(difference->table), difference_kind_name(difference->kind),
                difference->name, difference->text);
    }
    fclose(out);
    return text;
}

static void assert_read(struct fixture *fixture, const struct ruleset *should)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    _cleanup_delta_ struct delta delta = {0};
    _cleanup_free_ char *text = NULL;
    uint32_t generation;

    read_tables(fixture, &tables);
    text = differences_text(tables.ruleset, should);
    assert_string_equal(text, "");
    delta_between(tables.ruleset, should, &delta);
    assert_int_equal(delta_count(&delta), 0);
    assert_int_equal(nft_generation(fixture->nft, &generation), 0);
    assert_int_equal(tables.generation, generation);
    assert_true(tables.exists[TABLE_INET] && tables.exists[TABLE_BRIDGE]);
    assert_true(tables.whole[TABLE_INET] && tables.whole[TABLE_BRIDGE]);
}

static void what_is_loaded_is_read(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *everything = sample_everything();
    _cleanup_(ruleset_freep) struct ruleset *small = sample_small();
    _cleanup_(ruleset_freep) struct ruleset *nothing = ruleset_new();

    load(*state, everything);
    assert_read(*state, everything);
    load(*state, small);
    assert_read(*state, small);
    load(*state, nothing);
    assert_read(*state, nothing);
}

static void absent_tables_are_told(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    _cleanup_nft_tables_ struct nft_tables tables = {0};

    free(witness("nft add table inet other; nft add table ip cofferdam; nft add chain ip cofferdam c"));
    read_tables(fixture, &tables);
    assert_false(tables.exists[TABLE_INET] || tables.exists[TABLE_BRIDGE]);
    assert_true(tables.ruleset->tables[TABLE_INET].absent);
    assert_null(tables.ruleset->tables[TABLE_INET].chains);
    load(fixture, ruleset);
    free(witness("nft delete table inet cofferdam"));
    read_tables(fixture, &tables);
    assert_false(tables.exists[TABLE_INET]);
    assert_true(tables.exists[TABLE_BRIDGE]);
}

/* Counters count without being a difference, and are told as nft tells them. */
static void counters_do_not_count(void **state)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    const struct rule_stmt *rule;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_INET, "output");
    _cleanup_free_ char *listed = NULL;

    chain->hook = HOOK_OUTPUT;
    sample_rule(chain, V_NONE, NULL)->counter = true;
    load(*state, ruleset);
    free(witness("ip link set lo up; ping -c 1 -W 1 127.0.0.1 || true"));
    listed = witness("nft list chain inet cofferdam output");
    assert_null(strstr(listed, "packets 0"));
    assert_read(*state, ruleset);
    read_tables(*state, &tables);
    rule = &table_chain(&tables.ruleset->tables[TABLE_INET], "output")->rules[0];
    assert_true(rule->packets >= 1 && rule->bytes >= 84);
    _cleanup_free_ char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    rule_print_counted(rule, out);
    fclose(out);
    assert_non_null(strstr(listed, text));
}

static void a_large_ruleset_is_read(void **state)
{
    enum { ELEMENTS = 60000, CHAINS = 1000 };
    _cleanup_(ruleset_freep) struct ruleset *ruleset = ruleset_new();
    struct set *map = sample_map(ruleset, TABLE_INET, "ingress6", KEY_IPV6_ADDR);
    struct set *blocks = sample_set(ruleset, TABLE_INET, "blocks", KEY_IPV4_ADDR);

    blocks->interval = true;
    for (unsigned i = 0; i < CHAINS; i++) {
        char name[64];
        struct chain *chain;

        snprintf(name, sizeof(name), "class-%u", i);
        chain = ruleset_add_chain(ruleset, TABLE_INET, name);
        for (unsigned j = 0; j < 8; j++)
            sample_value(sample_rule(chain, V_ACCEPT, NULL), FIELD_TCP_DPORT, 1 + i + j);
    }
    for (unsigned i = 0; i < ELEMENTS; i++) {
        struct element element = {.key = {0xfd, [13] = (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i},
                                  .verdict = V_JUMP,
                                  .target = ruleset->tables[TABLE_INET].chains->name};

        assert_true(set_insert(map, &element));
    }
    for (unsigned i = 0; i < 5000; i++) {
        struct element element = {.key = {10, (uint8_t)(i >> 8), (uint8_t)i, 1},
                                  .key_end = {10, (uint8_t)(i >> 8), (uint8_t)i, 99}};

        assert_true(set_insert(blocks, &element));
    }
    load(*state, ruleset);
    assert_read(*state, ruleset);
}

struct tampering {
    const char *command;
    const char *found; /* in one of the differences */
    bool odd;          /* only replacing the table helps */
};

#define CHAIN "inet cofferdam class-0123abcd"
#define HANDLE(chain, pattern)                                                                               \
    "$(nft -a list chain " chain " | sed -n 's/.*" pattern ".* # handle //p' | head -n 1)"

static const struct tampering tamperings[] = {
    /* rules */
    {"nft add rule inet cofferdam forward ip saddr 1.2.3.4 accept",
     "foreign inet rule forward: ip saddr 1.2.3.4 accept\n", false},
    {"nft insert rule inet cofferdam forward accept", "foreign inet rule forward: accept\n", false},
    {"nft insert rule inet cofferdam input accept", "foreign inet rule input: accept\n", false},
    {"nft insert rule bridge cofferdam prerouting accept", "foreign bridge rule prerouting: accept\n", false},
    {"nft delete rule " CHAIN " handle " HANDLE(CHAIN, "drop"),
     "missing inet rule class-0123abcd: counter drop\n", false},
    {"nft flush chain inet cofferdam forward", "missing inet rule forward: ct state established accept\n",
     false},
    {"nft replace rule " CHAIN " handle " HANDLE(CHAIN, "drop") " counter drop comment new",
     "foreign inet rule class-0123abcd: counter drop comment \"new\"\n", false},
    {"nft replace rule " CHAIN " handle " HANDLE(CHAIN, "drop") " counter accept",
     "foreign inet rule class-0123abcd: counter accept\n", false},
    {"nft insert rule inet cofferdam forward tcp dport { 1, 2 } accept",
     "foreign inet rule forward: tcp dport @__set", false},
    {"nft insert rule inet cofferdam forward ip saddr 9.9.9.9 jump '{ accept; }'",
     "foreign inet rule forward: ip saddr 9.9.9.9 jump __chain", false},
    {"nft insert rule inet cofferdam forward limit rate 10/second accept",
     "foreign inet rule forward: # foreign: limit immediate\n", false},
    {"nft insert rule inet cofferdam forward meta mark set 1",
     "foreign inet rule forward: # foreign: ", false},
    {"nft insert rule inet cofferdam forward ct mark 1 accept",
     "foreign inet rule forward: # foreign: ", false},
    {"nft insert rule inet cofferdam forward tcp dport 1 tcp sport 2 accept",
     "foreign inet rule forward: # foreign: ", false},
    {"nft insert rule inet cofferdam forward iifname br0 accept",
     "foreign inet rule forward: # foreign: ", false},
    {"nft add rule inet cofferdam forward ct state established accept; "
     "nft delete rule inet cofferdam forward handle " HANDLE("inet cofferdam forward",
                                                             "ct state established accept"),
     "different inet chain forward: its rules stand in another order\n", false},
    /* elements */
    {"nft add element inet cofferdam live4 '{ 1.2.3.4 }'", "foreign inet element live4: 1.2.3.4\n", false},
    {"nft add element inet cofferdam live4 '{ * }'", "foreign inet element live4: *", false},
    {"nft delete element inet cofferdam live4 '{ 10.200.0.2 }'", "missing inet element live4: 10.200.0.2\n",
     false},
    {"nft flush set inet cofferdam live4", "missing inet element live4: 10.200.0.2\n", false},
    {"nft delete element inet cofferdam live4 '{ 10.200.0.2 }'; "
     "nft add element inet cofferdam live4 '{ 10.200.0.2 comment \"x\" }'",
     "different inet element live4: 10.200.0.2 # ", false},
    {"nft flush set inet cofferdam blocks4", "missing inet element blocks4: 10.0.0.0/8\n", false},
    {"nft flush set inet cofferdam low4", "missing inet element low4: 0.0.0.0-9.255.255.255\n", false},
    {"nft flush set inet cofferdam all6", "missing inet element all6: ::/0\n", false},
    {"nft add element inet cofferdam blocks4 '{ 172.16.0.0/12 }'",
     "foreign inet element blocks4: 172.16.0.0/12\n", false},
    {"nft add element inet cofferdam low4 '{ 224.0.0.0/3 }'", "foreign inet element low4: 224.0.0.0/3\n",
     false},
    {"nft delete element inet cofferdam blocks4 '{ 10.0.0.0/8 }'; "
     "nft add element inet cofferdam blocks4 '{ 10.0.0.0/9 }'",
     "different inet element blocks4: 10.0.0.0/9\n", false},
    {"nft delete element inet cofferdam blocks6 '{ fe80::1-fe80::ff }'",
     "missing inet element blocks6: fe80::1-fe80::ff\n", false},
    {"nft delete element inet cofferdam ingress4 '{ 10.0.0.4 }'; "
     "nft add element inet cofferdam ingress4 '{ 10.0.0.4 : accept }'",
     "different inet element ingress4: 10.0.0.4 : accept\n", false},
    {"nft delete element inet cofferdam ingress4 '{ * }'", "missing inet element ingress4: * : drop\n",
     false},
    {"nft flush set bridge cofferdam bindings4",
     "missing bridge element bindings4: \"v1\" . 02:42:0a:c8:00:03 . 10.200.0.3\n", false},
    /* chains */
    {"nft add chain inet cofferdam evil '{ type filter hook forward priority -20; }'; "
     "nft add rule inet cofferdam evil accept",
     "foreign inet chain evil: chain evil { type filter hook forward priority -20; }\n", false},
    {"nft add chain inet cofferdam evil '{ type nat hook postrouting priority 100; policy drop; }'; "
     "nft add rule inet cofferdam evil masquerade",
     "foreign inet chain evil: chain evil # another hook\n", false},
    {"nft add chain inet cofferdam evil; nft add rule inet cofferdam evil accept; "
     "nft add element inet cofferdam ingress4 '{ 10.9.9.9 : jump evil }'; "
     "nft insert rule inet cofferdam forward jump evil",
     "foreign inet element ingress4: 10.9.9.9 : jump evil\n", false},
    {"nft add chain inet cofferdam a; nft add chain inet cofferdam b; nft add rule inet cofferdam b jump a; "
     "nft add map inet cofferdam m '{ type ipv4_addr : verdict; elements = { 1.1.1.1 : jump b }; }'; "
     "nft add rule inet cofferdam a tcp dport vmap '{ 1 : accept }'",
     "foreign inet set m: ", false},
    {"nft chain inet cofferdam forward '{ policy drop; }'",
     "different inet chain forward: chain forward { type filter hook forward priority -10; } # another policy",
     false},
    {"nft rename chain " CHAIN " other", "missing inet chain class-0123abcd: ", false},
    {"nft flush chain inet cofferdam input; nft delete chain inet cofferdam input; "
     "nft add chain inet cofferdam input '{ type filter hook input priority -11; }'",
     "different inet chain input: chain input { type filter hook input priority -11; }\n", false},
    {"nft delete chain inet cofferdam input", "missing inet chain input: ", false},
    /* sets */
    {"nft add set inet cofferdam evil '{ type ipv4_addr; elements = { 1.2.3.4 }; }'",
     "foreign inet set evil: set evil { type ipv4_addr; }\n", false},
    {"nft add set inet cofferdam evil '{ type ipv4_addr . inet_service; flags interval, timeout; size 9; }'; "
     "nft add rule inet cofferdam forward ip saddr . tcp dport @evil accept",
     "foreign inet set evil: ", false},
    {"nft flush chain inet cofferdam forward; nft delete set inet cofferdam types6; "
     "nft add set inet cofferdam types6 '{ type icmpv6_type; flags timeout; }'; "
     "nft add element inet cofferdam types6 '{ 135 timeout 1h }'",
     "different inet set types6: ", false},
    {"nft flush chain inet cofferdam forward; nft delete set inet cofferdam types6",
     "missing inet set types6: set types6 { type icmpv6_type; }\n", false},
    {"nft flush chain inet cofferdam forward; nft delete set inet cofferdam types6; "
     "nft add set inet cofferdam types6 '{ type icmpv6_type; comment \"x\"; }'",
     "different inet set types6: ", false},
    /* tables */
    {"nft add table inet cofferdam '{ flags dormant; }'", "foreign inet table cofferdam: flags dormant\n",
     true},
    {"nft add counter inet cofferdam c", "foreign inet table cofferdam: object c\n", true},
    {"nft add counter bridge cofferdam c", "foreign bridge table cofferdam: object c\n", true},
    {"nft delete table bridge cofferdam", "missing bridge table cofferdam: the whole table\n", true},
    {"nft delete table inet cofferdam; nft add table inet cofferdam '{ comment \"x\"; }'",
     "foreign inet table cofferdam: a comment", true},
};

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *sorted_lines(const char *text)
{
    _cleanup_free_ char *copy = normalise(text);
    char **lines = NULL, *save = NULL, *result = NULL;
    size_t n = 0, len;
    FILE *out = open_memstream(&result, &len);

    assert_non_null(out);
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        *ARRAY_ADD(lines, n) = line;
    qsort(lines, n, sizeof(*lines), compare_lines);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s\n", lines[i]);
    fclose(out);
    free(lines);
    return result;
}

/* nft lists the same; chains and sets that were made anew stand behind the others. */
static void assert_listed_in_any_order(const struct ruleset *ruleset)
{
    _cleanup_free_ char *printed = ruleset_text(ruleset);
    _cleanup_free_ char *listed =
        witness("nft -s list table bridge cofferdam; nft -s list table inet cofferdam");
    _cleanup_free_ char *expected = sorted_lines(printed);
    _cleanup_free_ char *found = sorted_lines(listed);

    assert_string_equal(found, expected);
}

static void check_tampering(struct fixture *fixture, const struct ruleset *should,
                            const struct tampering *tampering)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    _cleanup_delta_ struct delta delta = {0};
    _cleanup_free_ char *text = NULL;
    bool whole;

    load(fixture, should);
    free(witness(tampering->command));
    read_tables(fixture, &tables);
    text = differences_text(tables.ruleset, should);
    if (!strstr(text, tampering->found))
        fail_msg("%s\nnot found: %s\nfound: %s", tampering->command, tampering->found, text);
    whole = tables.whole[TABLE_INET] && tables.whole[TABLE_BRIDGE] && tables.exists[TABLE_INET] &&
            tables.exists[TABLE_BRIDGE];
    assert_int_equal(whole, !tampering->odd);
    delta_between(tables.ruleset, should, &delta);
    if (nft_apply(fixture->nft, &delta, &fixture->diags) < 0) {
        diags_print(&fixture->diags, stderr, false);
        fail_msg("not put right after: %s", tampering->command);
    }
    assert_read(fixture, should);
    assert_listed_in_any_order(should);
}

static void tampering_is_found_and_put_right(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_everything();

    for (size_t i = 0; i < ARRAY_SIZE(tamperings); i++)
        check_tampering(*state, ruleset, &tamperings[i]);
}

#define FLOW_TABLE(table)                                                                                    \
    "nft add flowtable inet " table " f '{ hook ingress priority 0; devices = { lo }; }' 2>&1"

/* Not every kernel has flow tables. */
static void flow_tables_are_found(void **state)
{
    static const struct tampering tampering = {FLOW_TABLE("cofferdam"),
                                               "foreign inet table cofferdam: flowtable f\n", true};
    struct ruleset *ruleset;

    free(witness("nft add table inet probe"));
    if (witness_status(FLOW_TABLE("probe")) != 0)
        skip();
    ruleset = sample_small();
    check_tampering(*state, ruleset, &tampering);
    ruleset_free(ruleset);
}

/* Nothing of what is right is touched: only the difference is sent. */
static void only_the_difference_is_changed(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_everything();
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    _cleanup_delta_ struct delta delta = {0};

    load(fixture, ruleset);
    free(witness("nft add element inet cofferdam live4 '{ 1.2.3.4 }'; "
                 "nft flush set bridge cofferdam macs"));
    read_tables(fixture, &tables);
    delta_between(tables.ruleset, ruleset, &delta);
    assert_int_equal(delta_count(&delta), 2);
    assert_true(delta_is_elements_only(&delta));
}

/* Somebody changes both our tables, each time in one transaction: the answer is of before or after it, or
 * there is none. */
static void a_busy_kernel_gives_a_whole_answer_or_none(void **state)
{
    static const char script[] =
        "for i in $(seq 60); do for verb in add delete; do "
        "echo \"$verb element inet cofferdam bridges { \\\"x\\\" }; "
        "$verb element bridge cofferdam macs { 02:42:00:00:00:09 }\" | nft -f -; done; done";
    struct fixture *fixture = *state;
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_everything();
    size_t n_with = 0, n_without = 0;
    FILE *nft;

    load(fixture, ruleset);
    nft = popen(script, "w");
    assert_non_null(nft);
    for (int i = 0; i < 2000 && (n_with < 50 || n_without < 50); i++) {
        _cleanup_differences_ struct differences differences = {0};
        _cleanup_nft_tables_ struct nft_tables tables = {0};
        int r = nft_read(fixture->nft, &tables);

        assert_true(r == 0 || r == -EAGAIN);
        if (r < 0)
            continue;
        ruleset_compare(tables.ruleset, ruleset, 10, &differences);
        assert_true(differences.n == 0 || differences.n == 2);
        n_with += differences.n == 2;
        n_without += differences.n == 0;
    }
    assert_int_equal(pclose(nft), 0);
    assert_true(n_with > 0 && n_without > 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_loaded_is_read),
        TEST(absent_tables_are_told),
        TEST(counters_do_not_count),
        TEST(a_large_ruleset_is_read),
        TEST(tampering_is_found_and_put_right),
        TEST(flow_tables_are_found),
        TEST(only_the_difference_is_changed),
        TEST(a_busy_kernel_gives_a_whole_answer_or_none),
    };

    if (geteuid() != 0)
        return SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
