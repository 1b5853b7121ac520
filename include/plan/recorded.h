/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recorded connections: what the log of verdicts tells of, put together by who, to whom and what for. Pure.
 *
 * They are read from the log's lines, and handed on as JSON: records again, that hold only what counts here.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include "util/addr.h"
#include "util/mem.h"

#define RECORDED_MAX 10000 /* different ones: with the policies they stay under CONTROL_REQUEST_MAX */
#define RECORDED_LINE_MAX (64 * 1024)

enum recorded_kind {
    RECORDED_CONTAINER,
    RECORDED_HOST,
    RECORDED_OUTSIDE,
    RECORDED_UNKNOWN, /* an address of a managed network that was nobody's */
    RECORDED_KINDS,
};

/* Who it was at that time. */
struct recorded_end {
    enum recorded_kind kind;
    json_t *facts; /* the record's own of this end: container, network */
    struct ip ip;
};

struct recorded {
    char *key;
    struct recorded_end from, to;
    uint8_t proto;
    uint16_t port; /* of ICMP the type */
    bool has_port;
    bool passed;                  /* else it was denied, by policies */
    uint64_t first, last;         /* microseconds since 1970 */
    uint64_t count;               /* what passed: connections; what was denied: packets */
    uint64_t told_at, told_count; /* the record that was told last: when it began, and its count */
    UT_hash_handle hh;
};

struct recorded_log {
    uint64_t since;          /* records that ended before that do not count; 0: all do */
    struct recorded *v;      /* uthash by key */
    uint64_t passed, denied; /* records of connections that policies decide */
    uint64_t other;          /* and of what they do not */
    uint64_t damaged;        /* lines that are no records */
    uint64_t older, more;    /* records before since; and those that there was no room for */
    uint64_t first, last;    /* of the records that count; 0: there are none */
    char **sources;          /* the names of what was read */
    size_t n_sources;
};

struct recorded_log *recorded_log_new(uint64_t since);
struct recorded_log *recorded_log_free(struct recorded_log *log);
DEFINE_CLEANUP(struct recorded_log *, recorded_log_free);

void recorded_log_source(struct recorded_log *log, const char *name);
/* One line, without its end; what is none of ours is counted as damaged, and an empty one is left out. */
void recorded_log_line(struct recorded_log *log, const char *line, size_t len);

/* Both ways; a new reference. NULL: it is not what recorded_log_to_json() makes. */
json_t *recorded_log_to_json(const struct recorded_log *log);
struct recorded_log *recorded_log_from_json(const json_t *json);
