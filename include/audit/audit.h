/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit log's lines: what was asked for, by whom, and what became of it. Pure. Each line is a JSON object as
 * packaging/schemas/audit.schema.json describes it, in ASCII: whatever strangers have put into a name or a command line,
 * it is one line, and harmless on a terminal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "daemon/change.h"

#define AUDIT_LINE_MAX ((size_t)64 * 1024) /* bytes, with its end */
#define AUDIT_TEXT_MAX 1000                /* bytes of one text that are kept */
#define AUDIT_LIST_MAX 100                 /* items of one list that are kept; the others are counted */

/* What there is to know. All is borrowed, and may be NULL. */
struct audit_facts {
    const char *action;  /* a verb of the control protocol, or an event's name: "reload" */
    const char *program; /* that did it, and writes this: "cofferdamd" */
    const char *id;      /* of this entry */
    uint64_t time;       /* microseconds since 1970: when it was done with */
    uint64_t duration;   /* microseconds */
    const struct who *who;
    bool refused;          /* who asked may not do that: nothing was looked at */
    const json_t *request; /* of the control protocol */
    const json_t *answer;  /* the same */
    const json_t
        *lockdowns; /* before it, as lock_to_json() tells each, with "text": names are looked up there */
    bool has_generation;
    uint32_t generation; /* of the kernel's rules, afterwards */
    size_t missing;      /* further entries like this one that are not on record */
};

/* A new reference. */
json_t *audit_entry(const struct audit_facts *facts);
/* With its end; at most AUDIT_LINE_MAX bytes: what is too much is left out, and "truncated" says so. The caller frees it. */
char *audit_line(const json_t *entry);
/* The same for people, on one line: "lockdown of web by root, process 7 (cofferdam lockdown web): done". */
char *audit_text(const json_t *entry);
/* syslog(3)'s. */
int audit_priority(const json_t *entry);
/* Of the journal's catalogue, which explains it: 32 digits, static. */
const char *audit_message_id(const json_t *entry);

/* ---- refused attempts --------------------------------------------------------------------------------- */

/*
 * Whoever may connect must not be able to fill the disk with refusals: of each user, some are recorded in a while, and the
 * others are counted.
 */
#define AUDIT_REFUSALS 20               /* of one user in ... */
#define AUDIT_REFUSALS_USEC 60000000ULL /* ... microseconds */
#define AUDIT_REFUSERS 64               /* users; all others share one count */

struct audit_limit {
    struct audit_refuser {
        uid_t uid;
        uint64_t since; /* microseconds, monotonic */
        unsigned recorded, missing;
    } v[AUDIT_REFUSERS];
    size_t n;
};

/* Is this one to be recorded? */
bool audit_limit_take(struct audit_limit *limit, uid_t uid, uint64_t now);
/* How many of some user's were not, where his while is over: once. 0: none. */
unsigned audit_limit_missing(struct audit_limit *limit, uint64_t now, uid_t *ret_uid);
