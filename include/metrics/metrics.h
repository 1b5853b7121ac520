/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Cofferdam measures, as text for Prometheus and whoever else reads its formats. Pure. docs/metrics.md has what each
 * metric means. The labels are bounded by the policies: a container's name is never one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "metrics/verdicts.h"
#include "ruleset/deny.h"

enum metrics_format {
    METRICS_OPENMETRICS, /* version 1.0.0 */
    METRICS_PROMETHEUS,  /* Prometheus' own text format, version 0.0.4, as node_exporter's textfiles are */
};

/* Of what running containers are in: each in one of them. */
enum container_state {
    CONTAINER_ENFORCED,
    CONTAINER_AUDIT,
    CONTAINER_LOCKED,
    CONTAINER_UNENFORCED,
    CONTAINER_STATES
};

#define METRICS_BUCKETS 9 /* the last one is for all that took longer */

/* How long something took, how often; all zeros at first. */
struct durations {
    uint64_t buckets[METRICS_BUCKETS]; /* each without those below it */
    uint64_t sum;                      /* microseconds */
};

void durations_add(struct durations *durations, uint64_t usec);

/* Why connections are not in the log: denied ones, those that could not be written, allowed ones. */
enum lost_reason { LOST_KERNEL, LOST_LIMIT, LOST_FILE, LOST_ALLOWED, LOST_REASONS };

/* Texts are borrowed and may be NULL; times are microseconds since 1970, 0: there is none. */
struct metrics {
    const char *version, *kernel, *engine;
    uint64_t started, written, policies_loaded;

    uint64_t enforced, docker_connected, inventory_known, tables_protected; /* 0 or 1, as those below */
    uint64_t policy_load_success, policies_in_force, trial_running, audit_log_complete, log_on;

    uint64_t containers[CONTAINER_STATES];
    uint64_t networks_enforced, networks_unenforced;
    uint64_t policies_enforce, policies_audit;
    uint64_t generation, expectations_failed, lockdowns, problems;

    struct durations applies;
    uint64_t apply_failures, drift_repairs, connections_ended;

    const struct verdict_counts *verdicts; /* borrowed; NULL: none */
    uint64_t denied[DENY_POINTS];          /* packets; of DENY_UNLOGGED: not printed */
    uint64_t log_records, log_open, log_lost[LOST_REASONS];

    uint64_t textfile_failures;
};

/* The whole text, with a line end. The caller frees it. */
char *metrics_text(const struct metrics *metrics, enum metrics_format format);
