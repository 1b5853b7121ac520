/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit log's file, for the daemon and for a command that does the daemon's work: each line is one write(2) to the end of
 * the file, and is on the disk when audit_log_write() returns. The file is never renamed or cut off, so that it may be
 * append-only (chattr +a); when somebody has moved it away, a new one is begun. A line that somebody has begun and not
 * ended is ended first.
 */
#pragma once

#include <jansson.h>

#include "audit/audit.h"
#include "files/append.h"
#include "util/mem.h"

#define AUDIT_WAITING_MAX 1000 /* lines that are kept while they cannot be written; the others are counted */

struct audit_log {
    char *path; /* NULL: there is to be none */
    struct append_file file;
    int error; /* of the last write; 0 or a negative errno */
    char **waiting;
    size_t n_waiting, n_lost;
};

/* path: of the file, or AUDIT_OFF. */
struct audit_log *audit_log_new(const char *path);
/* Returns NULL. What waits is lost. */
struct audit_log *audit_log_free(struct audit_log *log);
DEFINE_CLEANUP(struct audit_log *, audit_log_free);
/* 0, or a negative errno: the line (audit_line()) waits for the next call, or audit_log_retry(). */
int audit_log_write(struct audit_log *log, const char *line);
/* 0: nothing waits any more. */
int audit_log_retry(struct audit_log *log);

/* Completes the facts with time and ID, and writes the entry, after it was told. 0, or audit_log_write()'s error. */
int audit_log_record(struct audit_log *log, struct audit_facts *facts, void (*tell)(const json_t *entry));

/* journal.c: to the journal, with the entry's keys as fields: COFFERDAM_ACTION=, COFFERDAM_UID=, ... */
void audit_to_journal(const json_t *entry);
