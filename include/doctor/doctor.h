/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `cofferdam doctor`'s judgement: facts in, findings out. Pure: it looks at nothing itself. One table of checks
 * (src/doctor/doctor.c) holds every check's ID, which scripts may rely on; each yields one finding.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "doctor/facts.h"

/* In order of weight. */
enum finding_level {
    FINDING_OK,
    FINDING_NOTE,      /* to know; nothing to mend */
    FINDING_UNCHECKED, /* could not be looked at: found says why */
    FINDING_WARN,      /* to mend */
    FINDING_BAD,       /* what Cofferdam promises does not hold, or the host is open to others */
    FINDING_LEVELS,
};

const char *finding_level_name(enum finding_level level); /* "ok", "note", "unchecked", "warn", "bad" */

struct finding {
    const char *id; /* "route-localnet"; borrowed */
    enum finding_level level;
    char *found;       /* one line or several, no line end after the last; never NULL */
    const char *means; /* borrowed; NULL where the level is ok or unchecked */
    const char *mend;  /* likewise */
    size_t n_more;     /* lines that found has no room for, and counts */
};

struct findings {
    struct finding *v; /* as many as there are checks, in their order */
    size_t n;
};

void doctor_examine(const struct host_facts *facts, struct findings *ret);
/* Nothing to mend, and nothing that could not be looked at. */
bool findings_are_well(const struct findings *findings);
void findings_clear(struct findings *findings);
#define _cleanup_findings_ _cleanup_(findings_clear)
