/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control protocol between cofferdam and cofferdamd: over a unix stream socket, one JSON object on one
 * line each way, then the daemon closes.
 *
 *   request   {"verb": "status" | "explain" | "plan" | "apply" | "confirm" | "rollback" | "history" | "verify" | "teardown" |
 *            "lockdown" | "release" | "lockdown-list" | "label" | "label-list" | "label-reset" | "names" | "watch" |
 *            "learn" | "learn-show" | "learn-list" | "learn-stop" | "learn-forget", ...arguments}
 *             status: "rules": BOOL (optional, whether the counts of the rules are wanted)
 *             status: "staged": BOOL (optional: and what enforcing what is staged would change; exit tells of that then)
 *             explain: "from", "to", "port" (optional text such as "5432/tcp")
 *             apply: "only": TEXT (optional, the plan_id of the plan that it must be), "force": BOOL (optional, whether
 *             policies are loaded though their expectations fail or cannot be tested yet)
 *             apply, rollback: "confirm_within": TEXT (optional, how long they are on trial: "60s"), "comment": TEXT
 *             (optional, at most 1000 bytes)
 *             rollback, history: "number": N (optional, of the history)
 *             confirm: "extend": TEXT (optional: the trial is not confirmed, but that much longer), "comment"
 *             plan: "files": [{"path", "text"}], all policy files of the set that is meant; "rules" and "full": BOOL
 *             (optional), whether the lines of the rules that change are wanted, and not only their numbers, and all names
 *             where there are many; "recorded" (optional): connections to be judged too, as plan/recorded.h makes it.
 *             lockdown: "containers", "select", "addresses", "interfaces", "except", "allow": lists of texts; "direction",
 *             "reason"; "for": microseconds; "dry_run": BOOL. All optional, but one of the first four.
 *             release: "containers", or "all": BOOL.
 *             lockdown, release: "expires": microseconds of CLOCK_BOOTTIME (optional: later than that it is not carried out,
 *             as the command has given up), "request": 32 hexadecimal digits (optional: it is carried out once)
 *             names: {"containers", "compose", "lockdowns"}, lists of texts, is the result; for completion alone
 *             label: "containers" or "select": lists of texts; "set": {KEY: VALUE} and "remove": [KEY], at least one of
 *             them; "reason", "follow": BOOL, "dry_run": BOOL, all optional.
 *             label-list: "container" (optional).
 *             watch: "filters": [{"field", "value", "not": BOOL (optional)}] and "allowed": BOOL, both optional
 *             (watch/filter.h). After the answer, {"watching": true, "problem": TEXT (optional: why nothing may come)}, comes a
 *             line for each record, {"record": {...}, "final": BOOL}: first those that are open, then each as it is opened;
 *             and once more when it is final, where that tells more (watch/record.h). {"lost": N}: so many lines found no
 *             room. That goes on until either side closes.
 *             learn, learn-show, learn-stop, learn-forget: "containers" or "select": lists of texts; the same words mean the
 *             same learning. learn: "for": microseconds (optional). learn-show: "update": {"path", "text"} (optional), a policy
 *             file to compare with.
 *   answer    {"ok": true, "exit": N, "result": {...}}
 *             {"ok": false, "exit": N, "error": TEXT, "help": TEXT | null, "diagnostics": [...], "code": TEXT (only where
 *             a program must know it: "expired"; "done", such a request was carried out already;
 *             "not_watched", learn has to come first)}
 *
 * The results and errors are what the commands print with --json, but that the command puts "format_version" in front
 * where it is missing: packaging/schemas/VERB.schema.json and error.schema.json.
 *
 * exit is what the command should exit with.
 */
#pragma once

#include <jansson.h>

#include "util/diag.h"

#define CONTROL_MESSAGE_MAX (64 * 1024 * 1024) /* bytes of one answer */
#define CONTROL_REQUEST_MAX                                                                                  \
    (16 * 1024 * 1024) /* bytes of one request, which may hold a whole set of policies */

/* Exit statuses, the same for every command. */
enum exit_status {
    STATUS_OK = 0,
    STATUS_ERROR = 1,
    STATUS_CHANGES = 2,   /* plan */
    STATUS_ATTENTION = 3, /* denied; something not enforced; drift */
    STATUS_USAGE = 64,
};

/* All return new references. */
json_t *diags_to_json(const struct diags *diags);
int diags_from_json(const json_t *json, struct diags *diags); /* 0 or -EBADMSG */
json_t *control_request(const char *verb);
json_t *control_answer(int exit_status, json_t *result /* stolen */);
json_t *control_error(int exit_status, const char *error, const char *help, const struct diags *diags);
/* The same with a code. */
json_t *control_error_code(int exit_status, const char *code, const char *error, const char *help);
