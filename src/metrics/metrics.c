/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The metrics as a table, and the two formats. They differ in little: OpenMetrics names a counter's family without
 * "_total" and an info's without "_info", says units, and ends with "# EOF".
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/, https://prometheus.io/docs/specs/om/open_metrics_spec/
 */
#include "metrics/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/text.h"

#define PREFIX "cofferdam"

/* ---- how long ----------------------------------------------------------------------------------------- */

static const struct {
    uint64_t usec;
    const char *text; /* in seconds */
} bounds[METRICS_BUCKETS] = {
    {1000, "0.001"}, {2000, "0.002"}, {5000, "0.005"}, {10000, "0.01"},      {20000, "0.02"},
    {50000, "0.05"}, {100000, "0.1"}, {500000, "0.5"}, {UINT64_MAX, "+Inf"},
};

void durations_add(struct durations *durations, uint64_t usec)
{
    size_t i = 0;

    while (usec > bounds[i].usec)
        i++;
    durations->buckets[i]++;
    durations->sum += usec;
}

/* ---- samples ------------------------------------------------------------------------------------------ */

enum kind { KIND_GAUGE, KIND_COUNTER, KIND_HISTOGRAM, KIND_INFO };

struct family {
    const char *name; /* without prefix and suffix */
    enum kind kind;
    const char *unit; /* which the name ends with; NULL: none */
    const char *help;
    size_t value; /* offset of the only value; unused where print is */
    void (*print)(FILE *out, const struct family *family, const struct metrics *metrics);
};

static const char *kind_word(enum kind kind, enum metrics_format format)
{
    switch (kind) {
    case KIND_GAUGE:
        return "gauge";
    case KIND_COUNTER:
        return "counter";
    case KIND_HISTOGRAM:
        return "histogram";
    case KIND_INFO:
        return format == METRICS_OPENMETRICS ? "info" : "gauge";
    }
    return "unknown";
}

/* What a sample's name has behind the family's. */
static const char *suffix(enum kind kind)
{
    switch (kind) {
    case KIND_COUNTER:
        return "_total";
    case KIND_INFO:
        return "_info";
    case KIND_GAUGE:
    case KIND_HISTOGRAM:
        return "";
    }
    return "";
}

static void print_name(FILE *out, const struct family *family)
{
    fprintf(out, PREFIX "%s%s%s", *family->name ? "_" : "", family->name, suffix(family->kind));
}

/* name="value"; what could play tricks on a terminal is escaped as everywhere else. */
static void print_label(FILE *out, const char *name, const char *value)
{
    _cleanup_free_ char *safe = text_escape(value, false);

    fprintf(out, "%s=\"", name);
    for (const char *c = safe; *c; c++)
        fprintf(out, "%s%c", *c == '\\' || *c == '"' ? "\\" : "", *c);
    fputc('"', out);
}

/* One with one label. */
static void print_labelled(FILE *out, const struct family *family, const char *label, const char *value,
                           uint64_t number)
{
    print_name(out, family);
    fputc('{', out);
    print_label(out, label, value);
    fprintf(out, "} %" PRIu64 "\n", number);
}

static void print_plain(FILE *out, const struct family *family, const struct metrics *metrics)
{
    uint64_t value;

    memcpy(&value, (const char *)metrics + family->value, sizeof(value));
    print_name(out, family);
    fprintf(out, " %" PRIu64 "\n", value);
}

/* Seconds since 1970; nothing where there is no such time. */
static void print_time(FILE *out, const struct family *family, const struct metrics *metrics)
{
    uint64_t usec;

    memcpy(&usec, (const char *)metrics + family->value, sizeof(usec));
    if (!usec)
        return;
    print_name(out, family);
    fprintf(out, " %" PRIu64 ".%06" PRIu64 "\n", usec / 1000000, usec % 1000000);
}

/* ---- those with labels -------------------------------------------------------------------------------- */

static void print_info(FILE *out, const struct family *family, const struct metrics *metrics)
{
    const struct {
        const char *name, *value;
    } labels[] = {{"version", metrics->version}, {"kernel", metrics->kernel}, {"engine", metrics->engine}};

    print_name(out, family);
    for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
        fputc(i ? ',' : '{', out);
        print_label(out, labels[i].name, labels[i].value ? labels[i].value : "");
    }
    fputs("} 1\n", out);
}

static void print_containers(FILE *out, const struct family *family, const struct metrics *metrics)
{
    static const char *const states[CONTAINER_STATES] = {"enforced", "audit", "locked", "unenforced"};

    for (size_t i = 0; i < CONTAINER_STATES; i++)
        print_labelled(out, family, "state", states[i], metrics->containers[i]);
}

static void print_networks(FILE *out, const struct family *family, const struct metrics *metrics)
{
    print_labelled(out, family, "state", "enforced", metrics->networks_enforced);
    print_labelled(out, family, "state", "unenforced", metrics->networks_unenforced);
}

static void print_policies(FILE *out, const struct family *family, const struct metrics *metrics)
{
    print_labelled(out, family, "mode", "enforce", metrics->policies_enforce);
    print_labelled(out, family, "mode", "audit", metrics->policies_audit);
}

static void print_applies(FILE *out, const struct family *family, const struct metrics *metrics)
{
    const struct durations *applies = &metrics->applies;
    uint64_t n = 0;

    for (size_t i = 0; i < METRICS_BUCKETS; i++) {
        n += applies->buckets[i];
        print_name(out, family);
        fprintf(out, "_bucket{le=\"%s\"} %" PRIu64 "\n", bounds[i].text, n);
    }
    print_name(out, family);
    fprintf(out, "_sum %" PRIu64 ".%06" PRIu64 "\n", applies->sum / 1000000, applies->sum % 1000000);
    print_name(out, family);
    fprintf(out, "_count %" PRIu64 "\n", n);
}

static void print_verdict(FILE *out, const struct family *family, const struct verdict_count *verdict)
{
    print_name(out, family);
    fputc('{', out);
    print_label(out, "verdict", verdict->allow ? "allow" : "deny");
    fputc(',', out);
    print_label(out, "policy", verdict->policy);
    fputc(',', out);
    print_label(out, "rule", verdict->rule);
    fputc(',', out);
    print_label(out, "direction", direction_name(verdict->direction));
    fprintf(out, "} %" PRIu64 "\n", verdict->count);
}

static void print_verdicts(FILE *out, const struct family *family, const struct metrics *metrics)
{
    size_t n = 0;
    _cleanup_free_ const struct verdict_count **list =
        metrics->verdicts ? verdict_counts_sorted(metrics->verdicts, &n) : NULL;

    for (size_t i = 0; i < n; i++)
        print_verdict(out, family, list[i]);
}

static void print_denied(FILE *out, const struct family *family, const struct metrics *metrics)
{
    for (enum deny_point point = DENY_UNLOGGED + 1; point < DENY_POINTS; point++)
        print_labelled(out, family, "point", deny_point_word(point), metrics->denied[point]);
}

static void print_lost(FILE *out, const struct family *family, const struct metrics *metrics)
{
    static const char *const reasons[LOST_REASONS] = {"kernel", "limit", "file", "allowed"};

    for (size_t i = 0; i < LOST_REASONS; i++)
        print_labelled(out, family, "reason", reasons[i], metrics->log_lost[i]);
}

/* ---- the table ---------------------------------------------------------------------------------------- */

#define AT(field) .value = offsetof(struct metrics, field)

static const struct family families[] = {
    {"", KIND_INFO, NULL, "Cofferdam's version, the kernel's and the Docker Engine's.", .print = print_info},
    {"start_time_seconds", KIND_GAUGE, "seconds", "When cofferdamd started, in seconds since 1970.",
     .print = print_time, AT(started)},
    {"last_write_timestamp_seconds", KIND_GAUGE, "seconds",
     "When these figures were taken, in seconds since 1970.", .print = print_time, AT(written)},
    {"enforced", KIND_GAUGE, NULL, "Whether all that can be isolated is, as cofferdam status says.",
     AT(enforced)},
    {"problems", KIND_GAUGE, NULL, "Problems that cofferdam status lists.", AT(problems)},
    {"docker_connected", KIND_GAUGE, NULL, "Whether the Docker Engine answers.", AT(docker_connected)},
    {"inventory_known", KIND_GAUGE, NULL, "Whether all containers and networks have been listed.",
     AT(inventory_known)},
    {"tables_protected", KIND_GAUGE, NULL, "Whether the kernel keeps others from changing the rules.",
     AT(tables_protected)},
    {"containers", KIND_GAUGE, NULL,
     "Running containers, by what holds for them: their policies; default_mode audit; a lockdown; nothing.",
     .print = print_containers},
    {"networks", KIND_GAUGE, NULL, "Docker networks, by whether policies hold for them.",
     .print = print_networks},
    {"policies", KIND_GAUGE, NULL, "Policies that are loaded, by their mode.", .print = print_policies},
    {"policies_in_force", KIND_GAUGE, NULL,
     "Whether the kernel has the rules of the policies that are loaded.", AT(policies_in_force)},
    {"policy_load_success", KIND_GAUGE, NULL,
     "Whether the policies could be loaded the last time that they were to be.", AT(policy_load_success)},
    {"policy_load_timestamp_seconds", KIND_GAUGE, "seconds",
     "When the policies in force were loaded, in seconds since 1970.", .print = print_time,
     AT(policies_loaded)},
    {"generation", KIND_GAUGE, NULL,
     "The number that cofferdam history gives the policies in force; 0: none.", AT(generation)},
    {"expectations_failed", KIND_GAUGE, NULL,
     "Expectations of the policies in force that failed when they were tested.", AT(expectations_failed)},
    {"trial_running", KIND_GAUGE, NULL, "Whether policies are on trial, until somebody confirms them.",
     AT(trial_running)},
    {"lockdowns", KIND_GAUGE, NULL, "Lockdowns that hold.", AT(lockdowns)},
    {"apply_duration_seconds", KIND_HISTOGRAM, "seconds",
     "How long the kernel took for each change of the rules.", .print = print_applies},
    {"apply_failures", KIND_COUNTER, NULL, "Changes of the rules that the kernel refused.",
     AT(apply_failures)},
    {"drift_repairs", KIND_COUNTER, NULL,
     "How often another program has changed the rules, and they were loaded again.", AT(drift_repairs)},
    {"connections_ended", KIND_COUNTER, NULL,
     "Open connections that were ended, as they are no longer allowed.", AT(connections_ended)},
    {"verdicts", KIND_COUNTER, NULL,
     "Packets that begin a connection, or try to, by the policy and the rule that decided.",
     .print = print_verdicts},
    {"denied_packets", KIND_COUNTER, NULL, "Denied packets in the log, by what denied them.",
     .print = print_denied},
    {"log_on", KIND_GAUGE, NULL, "Whether what is denied is logged.", AT(log_on)},
    {"log_records", KIND_COUNTER, NULL, "Records that were written to the log.", AT(log_records)},
    {"log_open_records", KIND_GAUGE, NULL, "Records of the log whose connections go on.", AT(log_open)},
    {"log_lost", KIND_COUNTER, NULL,
     "Connections that are missing in the log: the daemon was too slow for the kernel; one source, or all, had "
     "too many; the file could not be written; or for any reason allowed ones.",
     .print = print_lost},
    {"audit_log_complete", KIND_GAUGE, NULL, "Whether all that was done is in the audit log.",
     AT(audit_log_complete)},
    {"textfile_failures", KIND_COUNTER, NULL, "How often the text file could not be written.",
     AT(textfile_failures)},
};

static void print_head(FILE *out, const struct family *family, enum metrics_format format)
{
    bool open = format == METRICS_OPENMETRICS;
    _cleanup_free_ char *name =
        xasprintf(PREFIX "%s%s%s", *family->name ? "_" : "", family->name, open ? "" : suffix(family->kind));

    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, family->help, name, kind_word(family->kind, format));
    if (open && family->unit)
        fprintf(out, "# UNIT %s %s\n", name, family->unit);
}

char *metrics_text(const struct metrics *metrics, enum metrics_format format)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        abort();
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        print_head(out, &families[i], format);
        (families[i].print ? families[i].print : print_plain)(out, &families[i], metrics);
    }
    if (format == METRICS_OPENMETRICS)
        fputs("# EOF\n", out);
    if (fclose(out) != 0)
        abort();
    return text;
}
