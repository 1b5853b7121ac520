/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who asks: what /proc and the user database say of a process. */
#include "daemon.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "files/files.h"
#include "util/text.h"

#define LOGIN_UID_NONE UINT32_MAX
#define PROC_FILE_MAX (2 * 1024 * 1024) /* bytes: a command line may be as long as the kernel allows */

static char *user_name(uid_t uid)
{
    const struct passwd *user = getpwuid(uid);

    return user ? text_escape(user->pw_name, false) : NULL;
}

/* Who logged in, whoever they have become since: sudo and su do not change it. */
static bool login_uid(pid_t pid, uid_t *ret)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/loginuid", (int)pid), *text = NULL;
    unsigned long uid;

    if (files_read(path, PROC_FILE_MAX, &text, NULL) < 0 || sscanf(text, "%lu", &uid) != 1 ||
        uid >= LOGIN_UID_NONE)
        return false;
    *ret = (uid_t)uid;
    return true;
}

/* Its words, with spaces between them. */
static char *command_line(pid_t pid)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/cmdline", (int)pid), *text = NULL;
    size_t len = 0;

    if (files_read(path, PROC_FILE_MAX, &text, &len) < 0 || len == 0)
        return NULL;
    while (len > 0 && text[len - 1] == '\0')
        len--;
    if (len > CHANGE_COMMAND_MAX)
        len = CHANGE_COMMAND_MAX;
    text[len] = '\0';
    for (size_t i = 0; i < len; i++)
        text[i] = text[i] ? text[i] : ' ';
    return text_escape(text, false);
}

struct who who_of(pid_t pid, uid_t uid)
{
    struct who who = {.known = true, .uid = uid, .pid = pid, .user = user_name(uid)};

    if (pid <= 0)
        return who;
    who.has_login = login_uid(pid, &who.login_uid);
    if (who.has_login)
        who.login_user = user_name(who.login_uid);
    who.command = command_line(pid);
    return who;
}

struct change change_now(enum change_kind kind, const struct who *who)
{
    struct change change = {.kind = kind, .time = daemon_wall_clock()};

    if (who)
        change.who = who_copy(who);
    return change;
}
