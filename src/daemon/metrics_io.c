/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is measured: counted here as it happens, collected where it is asked for, and written to a file now and then. */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <syslog.h>
#include <time.h>

#include "control/protocol.h"
#include "files/state_files.h"
#include "inventory/json.h"
#include "util/utc.h"
#include "verbs.h"

/* ---- what happens ------------------------------------------------------------------------------------- */

void metrics_applied(struct daemon *daemon, uint64_t usec, int error)
{
    durations_add(&daemon->measured.applies, usec);
    if (error < 0)
        daemon->measured.apply_failures++;
}

/* Is it the policies that deny there? */
static bool is_of_policies(enum deny_point point)
{
    return point == DENY_EGRESS || point == DENY_INGRESS || point == DENY_HOST_EGRESS ||
           point == DENY_HOST_INGRESS;
}

static const char *text_at(const json_t *record, const char *object, const char *key)
{
    const char *text = json_string_value(json_object_get(json_object_get(record, object), key));

    return text ? text : "";
}

void metrics_record(struct daemon *daemon, const json_t *record)
{
    const json_t *own = json_object_get(record, "cofferdam");
    uint64_t count = (uint64_t)json_integer_value(json_object_get(own, "count"));
    bool egress = strcmp(text_at(record, "cofferdam", "direction"), direction_name(EGRESS)) == 0;
    enum deny_point point;

    if (strcmp(text_at(record, "cofferdam", "verdict"), "deny") != 0 ||
        !deny_point_parse(text_at(record, "cofferdam", "point"), &point))
        return;
    daemon->measured.denied[point] += count;
    if (!is_of_policies(point))
        return;
    const struct verdict_count verdict = {.direction = egress ? EGRESS : INGRESS,
                                          .policy = text_at(record, "rule", "ruleset"),
                                          .rule = text_at(record, "rule", "name"),
                                          .count = count};
    if (!daemon->measured.verdicts)
        daemon->measured.verdicts = verdict_counts_new();
    verdict_counts_add(daemon->measured.verdicts, &verdict);
}

/* ---- what is asked ------------------------------------------------------------------------------------ */

static uint64_t usec_of(const char *time)
{
    uint64_t seconds;

    return time && utc_parse(time, &seconds) == 0 ? seconds * 1000000 : 0;
}

static void collect_log(const struct daemon *daemon, struct metrics *metrics)
{
    const struct denied_log *denied = &daemon->denied;

    metrics->log_on = denied->reader != NULL;
    metrics->log_open =
        (denied->denials ? denials_open(denied->denials) : 0) + allowed_log_open_records(daemon);
    metrics->log_records = daemon->records.n_written;
    metrics->log_lost[LOST_LIMIT] = denied->denials ? denials_lost(denied->denials) : 0;
    metrics->log_lost[LOST_KERNEL] = denied_log_lost(daemon) - metrics->log_lost[LOST_LIMIT];
    metrics->log_lost[LOST_FILE] = daemon->records.unwritten;
    metrics->log_lost[LOST_ALLOWED] = allowed_log_lost(daemon);
}

/* What the kernel has counted of the rules that allow, and the log of those that deny. now: it is read anew. */
static struct verdict_counts *collect_verdicts(struct daemon *daemon, bool now)
{
    struct verdict_counts *counts = verdict_counts_new();
    _cleanup_free_ struct rule_count *list = NULL;
    size_t n = now ? rules_list(daemon, &list) : rule_counters_list(daemon->rules.counters, &list);

    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *place = xasprintf("%s %u", direction_name(list[i].direction), list[i].index);
        const struct verdict_count count = {.allow = true,
                                            .direction = list[i].direction,
                                            .policy = list[i].policy,
                                            .rule = list[i].name ?: place,
                                            .count = list[i].hits};

        if (!list[i].deny && !list[i].staged)
            verdict_counts_add(counts, &count);
    }
    if (daemon->measured.verdicts)
        verdict_counts_add_all(counts, daemon->measured.verdicts);
    return counts;
}

struct asked {
    struct daemon *daemon;
    bool now; /* as things are at the moment, and not as they were when they were read last */
    enum metrics_format format;
    char *text;
};

static void collect(const struct status_facts *facts, void *userdata)
{
    struct asked *asked = userdata;
    struct daemon *daemon = asked->daemon;
    const struct measured *measured = &daemon->measured;
    _cleanup_(verdict_counts_freep) struct verdict_counts *verdicts = collect_verdicts(daemon, asked->now);
    struct metrics metrics = {.applies = measured->applies,
                              .apply_failures = measured->apply_failures,
                              .textfile_failures = measured->textfile_failures,
                              .verdicts = verdicts,
                              .started = usec_of(facts->started),
                              .policies_loaded = usec_of(facts->policies_loaded),
                              .generation = daemon->history.in_force};
    struct timespec now;
    struct utsname kernel;

    memcpy(metrics.denied, measured->denied, sizeof(metrics.denied));
    clock_gettime(CLOCK_REALTIME, &now);
    metrics.written = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    if (uname(&kernel) == 0)
        metrics.kernel = kernel.release;
    collect_log(daemon, &metrics);
    brain_figures(daemon->brain, facts, &metrics);
    asked->text = metrics_text(&metrics, asked->format);
}

static char *current_text(struct daemon *daemon, enum metrics_format format, bool now)
{
    struct asked asked = {.daemon = daemon, .format = format, .now = now};

    status_facts_with(daemon, collect, &asked);
    return asked.text;
}

json_t *verb_metrics(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    static const char *const formats[] = {
        [METRICS_OPENMETRICS] = "openmetrics", [METRICS_PROMETHEUS] = "prometheus"};
    const char *word = json_string_value(json_object_get(request, "format"));
    bool old = word && strcmp(word, formats[METRICS_PROMETHEUS]) == 0;

    (void)peer;
    if (word && !old && strcmp(word, formats[METRICS_OPENMETRICS]) != 0)
        return control_error(STATUS_USAGE, "the formats of metrics are openmetrics and prometheus", NULL,
                             NULL);
    _cleanup_free_ char *text = current_text(daemon, old ? METRICS_PROMETHEUS : METRICS_OPENMETRICS, true);
    return control_answer(STATUS_OK, json_pack("{s:s, s:o}", "format",
                                               formats[old ? METRICS_PROMETHEUS : METRICS_OPENMETRICS],
                                               "text", json_text_or_null(text)));
}

/* ---- the file ----------------------------------------------------------------------------------------- */

static void write_textfile(struct daemon *daemon)
{
    const char *path = daemon->settings->metrics.textfile, *name = strrchr(path, '/') + 1;
    _cleanup_free_ char *directory = xstrndup(path, (size_t)(name - path));
    _cleanup_free_ char *text = current_text(daemon, METRICS_PROMETHEUS, false);
    struct measured *measured = &daemon->measured;
    int r = *name ? state_publish(directory, name, text) : -EISDIR;

    if (r < 0)
        measured->textfile_failures++;
    if (r < 0 && r != measured->textfile_error)
        log_text(LOG_ERR, "the metrics cannot be written to %s: %s", path, strerror(-r));
    else if (r == 0 && measured->textfile_error < 0)
        log_text(LOG_NOTICE, "the metrics are written to %s again", path);
    measured->textfile_error = r;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct daemon *daemon = userdata;

    (void)usec;
    sd_event_source_set_time_relative(source, daemon->settings->metrics.every);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    write_textfile(daemon);
    return 0;
}

int metrics_open(struct daemon *daemon)
{
    if (!daemon->settings->metrics.textfile)
        return 0;
    return sd_event_add_time_relative(daemon->event, &daemon->measured.timer, CLOCK_MONOTONIC, 0, 0, on_timer,
                                      daemon);
}

void metrics_close(struct daemon *daemon)
{
    daemon->measured.timer = sd_event_source_unref(daemon->measured.timer);
    daemon->measured.verdicts = verdict_counts_free(daemon->measured.verdicts);
}

char *metrics_problem(const struct daemon *daemon)
{
    int error = daemon->measured.textfile_error;

    if (error == 0)
        return NULL;
    return xasprintf("%s: %s", daemon->settings->metrics.textfile,
                     strerror(-daemon->measured.textfile_error));
}
