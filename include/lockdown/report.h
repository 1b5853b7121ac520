/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a lockdown has done, for people and programs: packaging/schemas/lockdown.schema.json. Pure. */
#pragma once

#include <jansson.h>

#include "flow/flow.h"
#include "inventory/inventory.h"
#include "verdict/lock.h"

/* Connections that a lockdown has cut, for its report: each once, and not more than a number of them. */
struct cut_log {
    bool whole; /* those that the policies end, too */
    struct flow *v;
    size_t n, more;
};

void cut_log_add(struct cut_log *log, const struct flow *flow);
void cut_log_clear(struct cut_log *log);
#define _cleanup_cut_log_ _cleanup_(cut_log_clear)

struct lock_report {
    json_t *containers, *unnamed, *connections, *problems;
    size_t n_met; /* containers that are meant now */
    bool failed;
};

struct lock_report lock_report_new(void);
void lock_report_clear(struct lock_report *report);
#define _cleanup_lock_report_ _cleanup_(lock_report_clear)

/* Something could not be done, or will not last. */
void lock_report_fail(struct lock_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Whom the locks mean, and what cannot be cut of them. engine_socket: on the host; NULL: not known. */
void lock_report_containers(struct lock_report *report, const struct inventory *inventory,
                            const struct lock_list *locks, const char *engine_socket);
/* A connection, for people; a new reference. now: seconds since 1970. */
json_t *lock_flow_to_json(const struct inventory *inventory, const struct flow *flow, uint64_t now);
void lock_report_flows(struct lock_report *report, const struct inventory *inventory,
                       const struct cut_log *log, uint64_t now);

/* The command cuts by itself then. */
#define LOCK_NOT_UNKNOWN "containers_unknown" /* the Engine has not answered since the daemon started */
#define LOCK_NOT_KERNEL "kernel"              /* the kernel refuses the rules, or cannot be read back */

struct lock_outcome {
    bool dry_run, verified, saved;
    const char
        *not_in_force; /* why the daemon has it on record, but not in the kernel: LOCK_NOT_*; or NULL */
    uint64_t took;     /* microseconds until the rules stood */
    size_t more;       /* connections that are not listed */
};

/* The result, a new reference. */
json_t *lock_report_result(const struct lock_report *report, const struct lock_outcome *outcome);
