/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/change.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "daemon/policy_state.h"
#include "util/mem.h"

/* ---- who ---------------------------------------------------------------------------------------------- */

void who_clear(struct who *who)
{
    free(who->user);
    free(who->login_user);
    free(who->command);
    *who = (struct who){0};
}

struct who who_copy(const struct who *who)
{
    struct who copy = *who;

    copy.user = xstrdup_null(who->user);
    copy.login_user = xstrdup_null(who->login_user);
    copy.command = xstrdup_null(who->command);
    return copy;
}

static char *name_of(const char *name, uid_t uid)
{
    return name ? xstrdup(name) : xasprintf("user %u", (unsigned)uid);
}

char *who_text(const struct who *who)
{
    _cleanup_free_ char *user = NULL, *login = NULL;

    if (!who->known)
        return xstrdup("cofferdamd");
    user = name_of(who->user, who->uid);
    if (!who->has_login || who->login_uid == who->uid)
        return STEAL(user);
    login = name_of(who->login_user, who->login_uid);
    return xasprintf("%s as %s", login, user);
}

char *who_line(const struct who *who)
{
    _cleanup_free_ char *text = who_text(who);

    if (!who->known)
        return STEAL(text);
    return xasprintf("%s, process %d%s%s%s", text, (int)who->pid, who->command ? " (" : "",
                     who->command ? who->command : "", who->command ? ")" : "");
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

json_t *who_to_json(const struct who *who)
{
    if (!who->known)
        return json_null();
    return json_pack("{s:I, s:o, s:I, s:o, s:o, s:o}", "uid", (json_int_t)who->uid, "user",
                     text_or_null(who->user), "pid", (json_int_t)who->pid, "login_uid",
                     who->has_login ? json_integer((json_int_t)who->login_uid) : json_null(), "login_user",
                     text_or_null(who->login_user), "command", text_or_null(who->command));
}

static bool is_number(const json_t *value, json_int_t max)
{
    return json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= max;
}

/* A text of at most max bytes, or null. */
static bool take_text(const json_t *object, const char *key, size_t max, char **ret)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_null(value))
        return true;
    if (!json_is_string(value) || json_string_length(value) > max)
        return false;
    *ret = xstrdup(json_string_value(value));
    return true;
}

#define NAME_LENGTH_MAX 1000

int who_from_json(const json_t *object, struct who *who)
{
    const json_t *uid = json_object_get(object, "uid"), *pid = json_object_get(object, "pid"),
                 *login = json_object_get(object, "login_uid");

    if (json_is_null(object))
        return 0;
    if (!is_number(uid, UINT32_MAX) || !is_number(pid, INT32_MAX) ||
        !(json_is_null(login) || is_number(login, UINT32_MAX)) ||
        !take_text(object, "user", NAME_LENGTH_MAX, &who->user) ||
        !take_text(object, "login_user", NAME_LENGTH_MAX, &who->login_user) ||
        !take_text(object, "command", 4 * CHANGE_COMMAND_MAX, &who->command)) /* it was escaped */
        return -EBADMSG;
    who->known = true;
    who->uid = (uid_t)json_integer_value(uid);
    who->pid = (pid_t)json_integer_value(pid);
    who->has_login = json_is_integer(login);
    who->login_uid = (uid_t)json_integer_value(login);
    return 0;
}

/* ---- change ------------------------------------------------------------------------------------------- */

void change_clear(struct change *change)
{
    free(change->time);
    free(change->comment);
    free(change->plan_id);
    who_clear(&change->who);
    *change = (struct change){0};
}

struct change change_copy(const struct change *change)
{
    struct change copy = *change;

    copy.time = xstrdup_null(change->time);
    copy.comment = xstrdup_null(change->comment);
    copy.plan_id = xstrdup_null(change->plan_id);
    copy.who = who_copy(&change->who);
    return copy;
}

const char *change_kind_name(enum change_kind kind)
{
    switch (kind) {
    case CHANGE_APPLY:
        return "apply";
    case CHANGE_RELOAD:
        return "reload";
    case CHANGE_START:
        return "start";
    case CHANGE_TRIAL:
        return "trial";
    case CHANGE_CONFIRM:
        return "confirm";
    case CHANGE_ROLLBACK:
        return "rollback";
    case CHANGE_EXPIRED:
        return "expired";
    }
    return "?";
}

json_t *change_to_json(const struct change *change)
{
    json_t *comment = text_or_null(change->comment), *plan_id = text_or_null(change->plan_id);

    if (comment && plan_id)
        return json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:o}", "kind", change_kind_name(change->kind),
                         "time", change->time, "comment", comment, "plan_id", plan_id, "forced",
                         (json_int_t)change->forced, "from", (json_int_t)change->from, "who",
                         who_to_json(&change->who));
    json_decref(comment);
    json_decref(plan_id);
    return NULL;
}

static int kind_from_name(const char *name, enum change_kind *ret)
{
    for (enum change_kind kind = CHANGE_APPLY; name && kind <= CHANGE_EXPIRED; kind++)
        if (strcmp(name, change_kind_name(kind)) == 0) {
            *ret = kind;
            return 0;
        }
    return -EBADMSG;
}

int change_from_json(const json_t *object, struct change *ret)
{
    const char *time = json_string_value(json_object_get(object, "time"));
    const json_t *forced = json_object_get(object, "forced"), *from = json_object_get(object, "from");
    struct change change = {0};

    if (kind_from_name(json_string_value(json_object_get(object, "kind")), &change.kind) < 0 ||
        !is_time_text(time) || !is_number(forced, INT32_MAX) || !is_number(from, UINT32_MAX) ||
        !take_text(object, "comment", CHANGE_COMMENT_MAX, &change.comment) ||
        !take_text(object, "plan_id", NAME_LENGTH_MAX, &change.plan_id) ||
        who_from_json(json_object_get(object, "who"), &change.who) < 0) {
        change_clear(&change);
        return -EBADMSG;
    }
    change.time = xstrdup(time);
    change.forced = (size_t)json_integer_value(forced);
    change.from = (unsigned)json_integer_value(from);
    *ret = change;
    return 0;
}
