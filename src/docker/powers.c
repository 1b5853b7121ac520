/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GET /containers/ID/json, for what a container may do to the host. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "answer.h"
#include "docker/host.h"

void docker_powers_clear(struct docker_powers *powers)
{
    for (size_t i = 0; i < powers->n_mounts; i++)
        free(powers->mounts[i]);
    free(powers->mounts);
    *powers = (struct docker_powers){0};
}

/* "NET_ADMIN", "CAP_NET_ADMIN" or "ALL". */
static bool adds_capability(const json_t *host, const char *capability)
{
    const json_t *item;
    size_t i;

    json_array_foreach (answer_array(host, "CapAdd"), i, item) {
        const char *text = json_string_value(item);

        if (text && strncasecmp(text, "CAP_", 4) == 0)
            text += 4;
        if (text && (strcasecmp(text, capability) == 0 || strcasecmp(text, "ALL") == 0))
            return true;
    }
    return false;
}

static bool is_text(const json_t *object, const char *key, const char *text)
{
    const char *value = answer_text(object, key);

    return value && strcmp(value, text) == 0;
}

int docker_decode_powers(const char *bytes, size_t len, struct docker_powers *ret, struct diags *diags)
{
    _cleanup_json_ json_t *json = answer_parse(bytes, len, ANSWER_OBJECT, "/containers/ID/json", diags);
    const json_t *host, *mount;
    struct docker_powers powers = {0};
    size_t i;

    if (!json)
        return -EBADMSG;
    host = answer_object(json, "HostConfig");
    powers.privileged = answer_bool(host, "Privileged");
    powers.net_admin = adds_capability(host, "NET_ADMIN");
    powers.sys_admin = adds_capability(host, "SYS_ADMIN");
    powers.host_network = is_text(host, "NetworkMode", "host");
    powers.host_pid = is_text(host, "PidMode", "host");
    json_array_foreach (answer_array(json, "Mounts"), i, mount) {
        const char *source = answer_text(mount, "Source");

        if (source && source[0] == '/' && powers.n_mounts < MOUNTS_MAX)
            *ARRAY_ADD(powers.mounts, powers.n_mounts) = xstrdup(source);
    }
    *ret = powers;
    return 0;
}
