/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a command has done by itself, without the daemon, on record. */
#include <unistd.h>

#include "audit/audit_log.h"
#include "cli/cli.h"
#include "daemon/who.h"

static void say_not_on_record(const struct audit_log *log, int error, json_t *answer)
{
    json_t *result = json_object_get(answer, "result");
    json_t *problem = json_sprintf("this is not in the audit log %s: %s", log->path, append_why(error));

    if (result)
        json_object_set(result, "not_on_record", problem);
    else
        cli_error("%s", json_string_value(problem));
    json_decref(problem);
}

void cli_audit(const struct settings *settings, const char *action, const json_t *request, json_t *answer)
{
    _cleanup_(audit_log_freep) struct audit_log *log = audit_log_new(settings->audit);
    struct who who = who_of(getpid(), geteuid());
    struct audit_facts facts = {
        .action = action, .program = "cofferdam", .who = &who, .request = request, .answer = answer};
    int r = audit_log_record(log, &facts, audit_to_journal);

    if (r < 0)
        say_not_on_record(log, r, answer);
    who_clear(&who);
}
