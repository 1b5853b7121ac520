/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A change of the policies in force: what it was, who asked for it, and what they said of it. Pure. As JSON:
 *
 * {"kind": "apply" | ..., "time": "2026-11-20T15:04:05Z", "comment": TEXT | null, "plan_id": TEXT | null, "forced": N,
 *  "from": N, "who": {"uid": N, "user": TEXT | null, "pid": N, "login_uid": N | null, "login_user": TEXT | null,
 *  "command": TEXT | null} | null}
 *
 * forced: failed expectations that were overridden. from: the number of the set that was gone back to; 0: of none. who
 * is null where nobody asked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <jansson.h>

#define CHANGE_COMMENT_MAX 1000 /* bytes */
#define CHANGE_COMMAND_MAX 500  /* bytes of a command line that are kept */

enum change_kind {
    CHANGE_APPLY,
    CHANGE_RELOAD,   /* SIGHUP */
    CHANGE_START,    /* of the daemon */
    CHANGE_TRIAL,    /* in force until it is over, or confirmed */
    CHANGE_CONFIRM,  /* of the trial */
    CHANGE_ROLLBACK, /* to an earlier set, or out of the trial */
    CHANGE_EXPIRED,  /* the trial was not confirmed */
};

/* Texts are escaped, and NULL where they are not known. */
struct who {
    bool known; /* else nobody asked: the daemon did it by itself */
    uid_t uid;
    pid_t pid;
    bool has_login;
    uid_t login_uid; /* who logged in, and may have become another since */
    char *user, *login_user;
    char *command; /* the process's command line */
};

struct change {
    enum change_kind kind;
    char *time;
    struct who who;
    char *comment, *plan_id; /* may be NULL */
    size_t forced;
    unsigned from;
};

void who_clear(struct who *who);
struct who who_copy(const struct who *who);
/* "root", "ann as root" where ann logged in, "cofferdamd" where nobody asked. The caller frees it. */
char *who_text(const struct who *who);
/* With the process: "ann as root, process 7 (cofferdam lockdown web)". The caller frees it. */
char *who_line(const struct who *who);
json_t *who_to_json(const struct who *who); /* a new reference */

/* As above; a new reference. */
json_t *who_to_json(const struct who *who);
/* 0 or -EBADMSG; *who must be empty, and is to be cleared in either case. */
int who_from_json(const json_t *object, struct who *who);

void change_clear(struct change *change);
struct change change_copy(const struct change *change);
const char *change_kind_name(enum change_kind kind); /* "apply" */
/* A new reference; NULL: the comment is no UTF-8. */
json_t *change_to_json(const struct change *change);
int change_from_json(const json_t *object, struct change *ret); /* 0 or -EBADMSG */
