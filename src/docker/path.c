/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the socket is, and what may be asked for. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "docker/client.h"

#define UNIX_SCHEME "unix://"
#define ID_MAX 128

static const char *usual_socket(void)
{
    return access(DOCKER_SOCKET, F_OK) < 0 && access(DOCKER_SOCKET_RUN, F_OK) == 0 ? DOCKER_SOCKET_RUN
                                                                                   : DOCKER_SOCKET;
}

static int refuse(struct diags *diags, const char *origin, const char *value, const char *why,
                  const char *help)
{
    struct diag *diag = diag_add(diags, DIAG_ERROR, NULL, NULL, "%s is %s: %s", origin, value, why);

    diag_help(diag, "%s", help);
    return -EINVAL;
}

static int check_path(const char *origin, const char *value, const char *path, char **ret,
                      struct diags *diags)
{
    if (path[0] != '/')
        return refuse(diags, origin, value, "this is no absolute path",
                      "write it like " UNIX_SCHEME DOCKER_SOCKET);
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return refuse(diags, origin, value, "this is too long for a socket's path",
                      "107 bytes are the most; a symbolic link can shorten it");
    *ret = xstrdup(path);
    return 0;
}

int docker_socket_path(const char *setting, const char *docker_host, char **ret, struct diags *diags)
{
    bool set = setting && setting[0];
    const char *value = set ? setting : docker_host;
    const char *origin = set ? "the setting docker" : "DOCKER_HOST";

    if (!value || !value[0])
        value = usual_socket();
    if (strncmp(value, UNIX_SCHEME, strlen(UNIX_SCHEME)) == 0)
        return check_path(origin, value, value + strlen(UNIX_SCHEME), ret, diags);
    if (strstr(value, "://"))
        return refuse(
            diags, origin, value, "this is no local socket",
            "Cofferdam works on the kernel of the Docker host itself: run it there, and name the Engine's "
            "unix socket by the setting docker, like " UNIX_SCHEME DOCKER_SOCKET);
    return check_path(origin, value, value, ret, diags);
}

/* ---- paths -------------------------------------------------------------------------------------------- */

static bool is_id(const char *text, size_t len)
{
    if (len == 0 || len > ID_MAX || text[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("_.:-", text[i]))
            return false;
    return true;
}

static bool is_query(const char *text)
{
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("?&=%._-", *text))
            return false;
    return true;
}

/* prefix, an ID, suffix. */
static bool is_object(const char *path, size_t len, const char *prefix, const char *suffix)
{
    size_t before = strlen(prefix), after = strlen(suffix);

    return len > before + after && strncmp(path, prefix, before) == 0 &&
           strncmp(path + len - after, suffix, after) == 0 && is_id(path + before, len - before - after);
}

bool docker_path_allowed(const char *path)
{
    static const char *const fixed[] = {
        "/version", "/_ping", "/info", "/events", "/containers/json", "/networks",
    };
    size_t len = strcspn(path, "?");

    if (!is_query(path + len))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
        if (strlen(fixed[i]) == len && strncmp(path, fixed[i], len) == 0)
            return true;
    return is_object(path, len, "/containers/", "/json") || is_object(path, len, "/networks/", "") ||
           is_object(path, len, "/images/", "/json");
}
