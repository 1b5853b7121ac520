/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/who.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "files/files.h"
#include "util/text.h"

#define LOGIN_UID_NONE UINT32_MAX
#define PROC_FILE_MAX (2 * 1024 * 1024) /* bytes: a command line may be as long as the kernel allows */

static char *local_name(uid_t uid)
{
    FILE *file = fopen("/etc/passwd", "re");
    char *name = NULL;

    for (struct passwd *user; file && !name && (user = fgetpwent(file));)
        if (user->pw_uid == uid)
            name = text_escape(user->pw_name, false);
    if (file)
        fclose(file);
    return name;
}

static void find_name(char **name, uid_t uid)
{
    const struct passwd *user = *name ? NULL : getpwuid(uid);

    if (user)
        *name = text_escape(user->pw_name, false);
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

struct who who_of_process(pid_t pid, uid_t uid)
{
    struct who who = {.known = true, .uid = uid, .pid = pid, .user = local_name(uid)};

    if (pid <= 0)
        return who;
    who.has_login = login_uid(pid, &who.login_uid);
    if (who.has_login)
        who.login_user = local_name(who.login_uid);
    who.command = command_line(pid);
    return who;
}

void who_find_names(struct who *who)
{
    if (who->known)
        find_name(&who->user, who->uid);
    if (who->has_login)
        find_name(&who->login_user, who->login_uid);
}

struct who who_of(pid_t pid, uid_t uid)
{
    struct who who = who_of_process(pid, uid);

    who_find_names(&who);
    return who;
}
