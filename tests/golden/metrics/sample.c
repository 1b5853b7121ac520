/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints metrics of which every one has a value of its own: sample openmetrics|prometheus. */
#include <stdio.h>
#include <string.h>

#include "metrics/metrics.h"

int main(int argc, char **argv)
{
    static const struct verdict_count verdicts[] = {
        {true, INGRESS, "shop-db", "ingress 1", 412}, {true, EGRESS, "shop-web", "database", 412},
        {true, EGRESS, "shop-web", "egress 2", 77},   {false, EGRESS, "shop-web", "no-metadata", 3},
        {false, INGRESS, "", "no-rule", 15},          {false, EGRESS, "", "no-rule", 21},
        {true, INGRESS, "", OTHER_RULES, 8},
    };
    _cleanup_(verdict_counts_freep) struct verdict_counts *counts = verdict_counts_new();
    struct metrics metrics = {
        .version = "0.1.0",
        .kernel = "6.1.0-28-amd64",
        .engine = "20.10.24+dfsg1",
        .started = 1763000000123456,
        .written = 1763003600000007,
        .policies_loaded = 1763000001000000,
        .enforced = 1,
        .docker_connected = 1,
        .inventory_known = 1,
        .tables_protected = 1,
        .policy_load_success = 1,
        .policies_in_force = 1,
        .trial_running = 1,
        .audit_log_complete = 1,
        .log_on = 1,
        .containers = {14, 2, 1, 3},
        .networks_enforced = 4,
        .networks_unenforced = 5,
        .policies_enforce = 6,
        .policies_audit = 7,
        .generation = 42,
        .expectations_failed = 8,
        .lockdowns = 9,
        .problems = 10,
        .apply_failures = 11,
        .drift_repairs = 12,
        .connections_ended = 13,
        .verdicts = counts,
        .log_records = 101,
        .log_open = 102,
        .log_lost = {103, 104, 105, 106},
        .textfile_failures = 16,
    };

    if (argc != 2)
        return 64;
    for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
        verdict_counts_add(counts, &verdicts[i]);
    for (uint64_t i = 0; i < DENY_POINTS; i++)
        metrics.denied[i] = 200 + i;
    for (uint64_t usec = 400; usec < 1000000; usec *= 2)
        durations_add(&metrics.applies, usec);
    _cleanup_free_ char *text = metrics_text(
        &metrics, strcmp(argv[1], "openmetrics") == 0 ? METRICS_OPENMETRICS : METRICS_PROMETHEUS);
    fputs(text, stdout);
    return 0;
}
