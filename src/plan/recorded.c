// SPDX-License-Identifier: GPL-2.0-or-later
#include "plan/recorded.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "inventory/json.h"
#include "util/utc.h"

#define SOURCES_MAX 16
#define SECOND 1000000ull

static const char *const kind_words[RECORDED_KINDS] = {
    [RECORDED_CONTAINER] = "container",
    [RECORDED_HOST] = "host",
    [RECORDED_OUTSIDE] = "outside",
    [RECORDED_UNKNOWN] = "unknown",
};

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

struct recorded_log *recorded_log_new(uint64_t since)
{
    struct recorded_log *log = xnew(struct recorded_log);

    log->since = since;
    return log;
}

static void recorded_clear(struct recorded *recorded)
{
    json_decref(recorded->from.facts);
    json_decref(recorded->to.facts);
    free(recorded->key);
}

struct recorded_log *recorded_log_free(struct recorded_log *log)
{
    struct recorded *recorded, *next;

    if (!log)
        return NULL;
    HASH_ITER (hh, log->v, recorded, next) {
        HASH_DEL(log->v, recorded);
        recorded_clear(recorded);
        free(recorded);
    }
    for (size_t i = 0; i < log->n_sources; i++)
        free(log->sources[i]);
    free(log->sources);
    free(log);
    return NULL;
}

void recorded_log_source(struct recorded_log *log, const char *name)
{
    if (log->n_sources < SOURCES_MAX)
        *ARRAY_ADD(log->sources, log->n_sources) = xstrdup(name);
}

/* ---- one record --------------------------------------------------------------------------------------- */

static bool read_end(const json_t *record, const char *which, struct recorded_end *ret)
{
    json_t *facts = json_object_get(json_object_get(record, "cofferdam"), which);
    const char *kind = text_of(facts, "kind"), *ip = text_of(json_object_get(record, which), "ip");
    struct recorded_end end = {.facts = facts};

    while (kind && end.kind < RECORDED_KINDS && strcmp(kind_words[end.kind], kind) != 0)
        end.kind++;
    if (!kind || end.kind == RECORDED_KINDS || !ip || ip_parse(ip, &end.ip) < 0)
        return false;
    if (end.kind == RECORDED_CONTAINER && !text_of(json_object_get(facts, "container"), "id"))
        return false;
    *ret = end;
    return true;
}

/* Absent where the protocol has none. */
static bool read_port(const json_t *record, struct recorded *recorded)
{
    const json_t *port = json_object_get(json_object_get(record, "destination"), "port"),
                 *type =
                     json_object_get(json_object_get(json_object_get(record, "cofferdam"), "icmp"), "type");
    json_int_t value = json_integer_value(port ?: type);

    recorded->has_port = port;
    recorded->port = (uint16_t)value;
    return value >= 0 && value <= UINT16_MAX;
}

static bool read_proto(const json_t *record, struct recorded *recorded)
{
    const char *number = text_of(json_object_get(record, "network"), "iana_number");
    char *end = NULL;
    unsigned long proto =
        number && isdigit((unsigned char)*number) ? strtoul(number, &end, 10) : UINT8_MAX + 1;

    recorded->proto = (uint8_t)proto;
    return proto <= UINT8_MAX && !*end;
}

static bool read_times(const json_t *record, struct recorded *recorded)
{
    const json_t *event = json_object_get(record, "event");
    const char *at = text_of(record, "@timestamp") ?: text_of(event, "start"),
               *end = text_of(event, "end") ?: at;

    return at && utc_parse_usec(at, &recorded->first) == 0 && utc_parse_usec(end, &recorded->last) == 0;
}

/* Policies deny there; elsewhere something is denied whatever they say. */
static bool is_by_policy(const char *point)
{
    static const char *const points[] = {"egress", "ingress", "host-egress", "host-ingress"};
    bool found = false;

    for (size_t i = 0; point && i < ARRAY_SIZE(points); i++)
        found = found || strcmp(point, points[i]) == 0;
    return found;
}

enum what { WHAT_DAMAGED, WHAT_OTHER, WHAT_CONNECTION };

/* Its facts are borrowed from the record. */
static enum what read_record(const json_t *record, struct recorded *ret)
{
    const json_t *own = json_object_get(record, "cofferdam"), *count = json_object_get(own, "count");
    const char *verdict = text_of(own, "verdict");
    struct recorded recorded = {.count = (uint64_t)json_integer_value(count)};

    if (!verdict || json_integer_value(count) < 1 || !read_times(record, &recorded))
        return WHAT_DAMAGED;
    *ret = recorded;
    recorded.passed = strcmp(verdict, "allow") == 0;
    if (!recorded.passed && strcmp(verdict, "deny") != 0)
        return WHAT_DAMAGED;
    if (!recorded.passed && !is_by_policy(text_of(own, "point")))
        return WHAT_OTHER;
    if (!read_end(record, "source", &recorded.from) || !read_end(record, "destination", &recorded.to) ||
        recorded.from.ip.family != recorded.to.ip.family || !read_proto(record, &recorded) ||
        !read_port(record, &recorded))
        return recorded.passed ? WHAT_DAMAGED : WHAT_OTHER;
    if (recorded.from.kind != RECORDED_CONTAINER && recorded.to.kind != RECORDED_CONTAINER)
        return WHAT_OTHER;
    if (recorded.from.kind == RECORDED_UNKNOWN || recorded.to.kind == RECORDED_UNKNOWN)
        return WHAT_OTHER;
    *ret = recorded;
    return WHAT_CONNECTION;
}

/* ---- all of them -------------------------------------------------------------------------------------- */

static char *end_key(const struct recorded_end *end)
{
    const json_t *container = json_object_get(end->facts, "container");
    char ip[IP_TEXT_MAX];

    if (end->kind == RECORDED_CONTAINER)
        return xasprintf("%s %s", text_of(container, "id"), text_of(end->facts, "network") ?: "");
    return xasprintf("%s %s", kind_words[end->kind], ip_format(end->ip, ip));
}

static char *key_of(const struct recorded *recorded)
{
    _cleanup_free_ char *from = end_key(&recorded->from), *to = end_key(&recorded->to);

    return xasprintf("%d %d %u %u\n%s\n%s", recorded->passed, recorded->from.ip.family, recorded->proto,
                     recorded->port, from, to);
}

/* It may be called something else by now: what was told last counts. */
static void take_facts(struct recorded_end *end, const struct recorded_end *newer)
{
    json_incref(newer->facts);
    json_decref(end->facts);
    end->facts = newer->facts;
}

static void add(struct recorded_log *log, const struct recorded *recorded)
{
    _cleanup_free_ char *key = key_of(recorded);
    struct recorded *known;

    HASH_FIND_STR(log->v, key, known);
    if (!known && HASH_COUNT(log->v) >= RECORDED_MAX) {
        log->more++;
        return;
    }
    if (!known) {
        known = xnew(struct recorded);
        *known = *recorded;
        known->key = STEAL(key);
        known->told_at = recorded->first;
        known->told_count = recorded->count;
        json_incref(known->from.facts);
        json_incref(known->to.facts);
        HASH_ADD_KEYPTR(hh, log->v, known->key, strlen(known->key), known);
        return;
    }
    /* `cofferdam watch` shows a record again when it has ended. */
    if (recorded->first == known->told_at)
        known->count -= known->told_count < known->count ? known->told_count : known->count;
    known->told_at = recorded->first;
    known->told_count = recorded->count;
    known->count += recorded->count;
    known->first = recorded->first < known->first ? recorded->first : known->first;
    if (recorded->last < known->last)
        return;
    known->last = recorded->last;
    take_facts(&known->from, &recorded->from);
    take_facts(&known->to, &recorded->to);
}

static void add_span(struct recorded_log *log, const struct recorded *recorded)
{
    if (!log->first || recorded->first < log->first)
        log->first = recorded->first;
    if (recorded->last > log->last)
        log->last = recorded->last;
}

static void add_record(struct recorded_log *log, const json_t *record)
{
    struct recorded recorded;
    enum what what = read_record(record, &recorded);

    if (what == WHAT_DAMAGED) {
        log->damaged++;
        return;
    }
    if (recorded.last < log->since) {
        log->older++;
        return;
    }
    add_span(log, &recorded);
    if (what == WHAT_OTHER) {
        log->other++;
        return;
    }
    if (recorded.passed)
        log->passed++;
    else
        log->denied++;
    add(log, &recorded);
}

void recorded_log_line(struct recorded_log *log, const char *line, size_t len)
{
    json_t *record;

    while (len && isspace((unsigned char)line[len - 1]))
        len--;
    if (len == 0)
        return;
    record = len <= RECORDED_LINE_MAX ? json_loadb(line, len, 0, NULL) : NULL;
    add_record(log, record);
    json_decref(record);
}

/* ---- as JSON ------------------------------------------------------------------------------------------ */

static json_t *time_json(uint64_t at)
{
    _cleanup_free_ char *whole = utc_text(at / SECOND);

    return json_sprintf("%.19s.%06uZ", whole, (unsigned)(at % SECOND));
}

static json_t *side_json(const struct recorded *recorded, const struct recorded_end *end)
{
    char ip[IP_TEXT_MAX];
    json_t *side = json_pack("{s:s}", "ip", ip_format(end->ip, ip));

    if (recorded->has_port && end == &recorded->to)
        json_object_set_new(side, "port", json_integer(recorded->port));
    return side;
}

/* As the log would have it, and readable like its lines. */
static json_t *recorded_json(const struct recorded *recorded)
{
    json_t *own = json_pack("{s:s, s:s, s:I, s:O, s:O}", "verdict", recorded->passed ? "allow" : "deny",
                            "point", "egress", "count", (json_int_t)recorded->count, "source",
                            recorded->from.facts, "destination", recorded->to.facts);

    if (!recorded->has_port)
        json_object_set_new(own, "icmp", json_pack("{s:i}", "type", recorded->port));
    return json_pack("{s:o, s:{s:o}, s:o, s:o, s:{s:o}, s:o}", "@timestamp", time_json(recorded->first),
                     "event", "end", time_json(recorded->last), "source",
                     side_json(recorded, &recorded->from), "destination", side_json(recorded, &recorded->to),
                     "network", "iana_number", json_sprintf("%u", recorded->proto), "cofferdam", own);
}

/* What is counted, by its name in JSON. */
struct number {
    const char *key;
    uint64_t *n;
};

#define NUMBERS 9
static void numbers_of(struct recorded_log *log, struct number ret[NUMBERS])
{
    memcpy(ret,
           (struct number[NUMBERS]){{"since", &log->since},
                                    {"passed", &log->passed},
                                    {"denied", &log->denied},
                                    {"other", &log->other},
                                    {"damaged", &log->damaged},
                                    {"older", &log->older},
                                    {"more", &log->more},
                                    {"first", &log->first},
                                    {"last", &log->last}},
           NUMBERS * sizeof(*ret));
}

json_t *recorded_log_to_json(const struct recorded_log *log)
{
    json_t *json = json_object(), *list = json_array();
    struct recorded_log copy = *log;
    struct number numbers[NUMBERS];

    numbers_of(&copy, numbers);
    for (size_t i = 0; i < NUMBERS; i++)
        json_object_set_new(json, numbers[i].key, json_integer((json_int_t)*numbers[i].n));
    for (const struct recorded *recorded = log->v; recorded; recorded = recorded->hh.next)
        json_array_append_new(list, recorded_json(recorded));
    json_object_set_new(json, "sources", texts_to_json(log->sources, log->n_sources));
    json_object_set_new(json, "connections", list);
    return json;
}

static bool read_sources(struct recorded_log *log, const json_t *list)
{
    bool good = json_is_array(list);
    const json_t *source;
    size_t i;

    json_array_foreach (list, i, source) {
        good = good && json_is_string(source);
        recorded_log_source(log, json_string_value(source) ?: "");
    }
    return good;
}

struct recorded_log *recorded_log_from_json(const json_t *json)
{
    _cleanup_(recorded_log_freep) struct recorded_log *log = recorded_log_new(0);
    const json_t *list = json_object_get(json, "connections"), *record;
    bool good = json_is_array(list) && read_sources(log, json_object_get(json, "sources"));
    struct number numbers[NUMBERS];
    size_t i;

    json_array_foreach (list, i, record) {
        struct recorded recorded;

        if (read_record(record, &recorded) != WHAT_CONNECTION)
            return NULL;
        add(log, &recorded);
    }
    good = good && log->more == 0;
    numbers_of(log, numbers);
    for (i = 0; i < NUMBERS; i++) {
        const json_t *number = json_object_get(json, numbers[i].key);

        good = good && json_is_integer(number) && json_integer_value(number) >= 0;
        *numbers[i].n = (uint64_t)json_integer_value(number);
    }
    return good ? STEAL(log) : NULL;
}
