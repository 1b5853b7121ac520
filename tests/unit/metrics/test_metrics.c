// SPDX-License-Identifier: GPL-2.0-or-later
/* Metrics as text: what strangers name, what is too many, and what is not there. tests/golden/metrics has the whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "metrics/metrics.h"

static void assert_has(const struct metrics *metrics, const char *line)
{
    _cleanup_free_ char *text = metrics_text(metrics, METRICS_PROMETHEUS),
                        *wanted = xasprintf("\n%s\n", line);

    if (!strstr(text, wanted))
        fail_msg("no line '%s' in:\n%s", line, text);
}

static void names_are_escaped(void **state)
{
    const struct metrics metrics = {
        .version = "1\"2\\3\n4", .kernel = "\xc3\xa4\xff\xe2\x82", .engine = "a{}=,#"};

    (void)state;
    assert_has(
        &metrics,
        "cofferdam_info{version=\"1\\\"2\\\\3\\\\x0a4\",kernel=\"\xc3\xa4\\\\xff\\\\xe2\\\\x82\",engine=\"a{}=,#\"} 1");
}

static void what_is_not_known_is_absent(void **state)
{
    const struct metrics metrics = {0};
    _cleanup_free_ char *text = metrics_text(&metrics, METRICS_OPENMETRICS);

    (void)state;
    assert_null(strstr(text, "\ncofferdam_policy_load_timestamp_seconds "));
    assert_null(strstr(text, "\ncofferdam_verdicts_total{"));
    assert_non_null(strstr(text, "\n# TYPE cofferdam_verdicts counter\n"));
    assert_non_null(strstr(text, "\ncofferdam_info{version=\"\",kernel=\"\",engine=\"\"} 1\n"));
}

static void durations_are_cumulative(void **state)
{
    struct metrics metrics = {0};

    (void)state;
    durations_add(&metrics.applies, 0);
    durations_add(&metrics.applies, 1000);
    durations_add(&metrics.applies, 1001);
    durations_add(&metrics.applies, 500001);
    durations_add(&metrics.applies, 7000000000);
    assert_has(&metrics, "cofferdam_apply_duration_seconds_bucket{le=\"0.001\"} 2");
    assert_has(&metrics, "cofferdam_apply_duration_seconds_bucket{le=\"0.002\"} 3");
    assert_has(&metrics, "cofferdam_apply_duration_seconds_bucket{le=\"0.5\"} 3");
    assert_has(&metrics, "cofferdam_apply_duration_seconds_bucket{le=\"+Inf\"} 5");
    assert_has(&metrics, "cofferdam_apply_duration_seconds_sum 7000.502002");
    assert_has(&metrics, "cofferdam_apply_duration_seconds_count 5");
}

static void add(struct verdict_counts *counts, bool allow, enum direction direction, const char *policy,
                const char *rule, uint64_t count)
{
    const struct verdict_count verdict = {allow, direction, policy, rule, count};

    verdict_counts_add(counts, &verdict);
}

static void each_rule_is_counted_once(void **state)
{
    _cleanup_(verdict_counts_freep) struct verdict_counts *counts = verdict_counts_new(),
                                                          *all = verdict_counts_new();
    const struct metrics metrics = {.verdicts = all};
    size_t n;

    (void)state;
    add(counts, true, INGRESS, "db", "web", 3);
    add(counts, true, INGRESS, "db", "web", 4);
    add(counts, false, INGRESS, "db", "web", 1);
    add(counts, false, EGRESS, "", "no-rule", 9);
    verdict_counts_add_all(all, counts);
    add(all, true, INGRESS, "db", "web", 1);
    _cleanup_free_ const struct verdict_count **list = verdict_counts_sorted(all, &n);
    assert_int_equal(n, 3);
    assert_string_equal(list[0]->policy, "");
    assert_false(list[1]->allow);
    assert_int_equal(list[2]->count, 8);
    assert_has(
        &metrics,
        "cofferdam_verdicts_total{verdict=\"allow\",policy=\"db\",rule=\"web\",direction=\"ingress\"} 8");
    assert_has(
        &metrics,
        "cofferdam_verdicts_total{verdict=\"deny\",policy=\"\",rule=\"no-rule\",direction=\"egress\"} 9");
}

static void there_are_never_too_many(void **state)
{
    _cleanup_(verdict_counts_freep) struct verdict_counts *counts = verdict_counts_new();
    uint64_t sum = 0;
    size_t n;

    (void)state;
    for (int i = 0; i < VERDICT_COUNTS_MAX + 1000; i++) {
        char policy[32];

        snprintf(policy, sizeof(policy), "p%d", i);
        add(counts, true, EGRESS, policy, "egress 1", 1);
    }
    add(counts, true, EGRESS, "p0", "egress 1", 1); /* which was there before */
    add(counts, false, INGRESS, "new", "egress 1", 5);
    _cleanup_free_ const struct verdict_count **list = verdict_counts_sorted(counts, &n);
    assert_int_equal(n, VERDICT_COUNTS_MAX + 2);
    for (size_t i = 0; i < n; i++)
        sum += list[i]->count;
    assert_int_equal(sum, VERDICT_COUNTS_MAX + 1000 + 1 + 5);
    assert_string_equal(list[0]->rule, OTHER_RULES);
    assert_int_equal(list[0]->count + list[1]->count, 1005);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_escaped),        cmocka_unit_test(what_is_not_known_is_absent),
        cmocka_unit_test(durations_are_cumulative), cmocka_unit_test(each_rule_is_counted_once),
        cmocka_unit_test(there_are_never_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
