/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The audit log: nothing waits for it to be written, and nothing that could not be written is forgotten. */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "control/protocol.h"

/* Said once, until it succeeds again. */
static void complain(struct daemon *daemon, int error)
{
    if (error < 0 && !daemon->audit_complained)
        log_text(
            LOG_ERR,
            "the audit log %s cannot be written (%s): what is done meanwhile is in this log alone, and is "
            "written there when it can be",
            daemon->audit->path, append_why(error));
    else if (error == 0 && daemon->audit_complained)
        log_text(LOG_NOTICE, "the audit log %s can be written again", daemon->audit->path);
    daemon->audit_complained = error < 0;
}

static int record(struct daemon *daemon, struct audit_facts *facts)
{
    facts->program = "cofferdamd";
    facts->has_generation = daemon->nft && nft_generation(daemon->nft, &facts->generation) == 0;
    return audit_log_record(daemon->audit, facts, log_audit);
}

/* So many were not even kept. */
static void record_lost(struct daemon *daemon)
{
    size_t lost = daemon->audit->n_lost;
    json_t *answer = control_error(STATUS_ERROR, "the audit log could not be written", NULL, NULL);
    struct audit_facts facts = {.action = "lost", .answer = answer, .missing = lost};

    if (record(daemon, &facts) == 0)
        daemon->audit->n_lost -= lost;
    json_decref(answer);
}

int audit_record(struct daemon *daemon, struct audit_facts *facts)
{
    int r = record(daemon, facts);

    if (r == 0 && daemon->audit->n_lost)
        record_lost(daemon);
    complain(daemon, r);
    return r;
}

void audit_event(struct daemon *daemon, const char *action, const struct who *who, json_t *answer,
                 const json_t *lockdowns)
{
    struct audit_facts facts = {.action = action, .who = who, .answer = answer, .lockdowns = lockdowns};

    audit_record(daemon, &facts);
    json_decref(answer);
}

/* ---- refused attempts --------------------------------------------------------------------------------- */

void audit_refused(struct daemon *daemon, const char *action, const struct control_peer *peer,
                   const json_t *request, const json_t *answer)
{
    if (!audit_limit_take(&daemon->refusals, peer->uid, daemon_now()))
        return;
    struct who who = who_of(peer->pid, peer->uid);
    struct audit_facts facts = {
        .action = action, .who = &who, .refused = true, .request = request, .answer = answer};
    audit_record(daemon, &facts);
    who_clear(&who);
}

static void record_missing(struct daemon *daemon, uid_t uid, unsigned missing)
{
    struct who who = who_of(0, uid);
    json_t *answer = control_error(STATUS_ERROR, "too many attempts to record each", NULL, NULL);
    struct audit_facts facts = {
        .action = "many", .who = &who, .refused = true, .answer = answer, .missing = missing};

    audit_record(daemon, &facts);
    json_decref(answer);
    who_clear(&who);
}

static void record_all_missing(struct daemon *daemon, uint64_t now)
{
    unsigned missing;
    uid_t uid;

    while ((missing = audit_limit_missing(&daemon->refusals, now, &uid)) > 0)
        record_missing(daemon, uid, missing);
}

void audit_stop(struct daemon *daemon, const struct who *who)
{
    record_all_missing(daemon, UINT64_MAX);
    audit_event(daemon, "stop", who, control_answer(STATUS_OK, NULL), NULL);
}

void audit_update(struct daemon *daemon)
{
    record_all_missing(daemon, daemon_now());
    if (!daemon->audit->error && !daemon->audit->n_lost)
        return;
    int r = audit_log_retry(daemon->audit);
    if (r == 0 && daemon->audit->n_lost)
        record_lost(daemon);
    complain(daemon, daemon->audit->error);
}

char *audit_problem(const struct daemon *daemon)
{
    const struct audit_log *log = daemon->audit;

    if (!log->error && !log->n_lost)
        return NULL;
    return xasprintf("%zu entr%s not in the audit log %s: %s", log->n_waiting + log->n_lost,
                     log->n_waiting + log->n_lost == 1 ? "y is" : "ies are", log->path,
                     strerror(-log->error));
}
