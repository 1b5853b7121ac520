/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GET /version, the choice of the API's version, and GET /info. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "answer.h"

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

void docker_version_clear(struct docker_version *version)
{
    free(version->engine);
    *version = (struct docker_version){0};
}

/* "1.41" -> 41. */
static bool api_parse(const char *text, unsigned *ret_minor)
{
    unsigned minor = 0;

    if (!text || strncmp(text, "1.", 2) != 0 || !text[2] || strlen(text) > 6)
        return false;
    for (const char *p = text + 2; *p; p++) {
        if (!isdigit((unsigned char)*p))
            return false;
        minor = minor * 10 + (unsigned)(*p - '0');
    }
    *ret_minor = minor;
    return true;
}

static bool is_podman(const json_t *json)
{
    const json_t *component;
    size_t i;

    json_array_foreach (answer_array(json, "Components"), i, component) {
        const char *name = answer_text(component, "Name");

        if (name && strcmp(name, "Podman Engine") == 0)
            return true;
    }
    return false;
}

static int choose_api(const json_t *json, const char *engine, unsigned *ret, struct diags *diags)
{
    unsigned newest, oldest = 0;

    if (is_podman(json)) {
        answer_diag(
            diags, DIAG_ERROR,
            "this socket is Podman's, not the Docker Engine's: Cofferdam works with Docker only, because "
            "Podman does not tell when a container joins a network");
        return -EPROTONOSUPPORT;
    }
    if (!api_parse(answer_text(json, "ApiVersion"), &newest)) {
        answer_diag(diags, DIAG_ERROR,
                    "the answer to /version has no API version: this is no Docker Engine's socket");
        return -EBADMSG;
    }
    if (newest < DOCKER_API_OLDEST) {
        answer_diag(diags, DIAG_ERROR,
                    "Docker Engine %s is too old: its API is version 1.%u, and 1." STRINGIFY(
                        DOCKER_API_OLDEST) " (Docker 20.10) or later is needed",
                    engine, newest);
        return -EPROTONOSUPPORT;
    }
    /* Absent: an Engine that does not say what is its oldest refuses by itself what is too old. */
    if (api_parse(answer_text(json, "MinAPIVersion"), &oldest) && oldest > DOCKER_API_NEWEST) {
        answer_diag(diags, DIAG_ERROR,
                    "Docker Engine %s is too new: its oldest API version is 1.%u, and the newest that this "
                    "version of Cofferdam knows is 1." STRINGIFY(DOCKER_API_NEWEST),
                    engine, oldest);
        return -EPROTONOSUPPORT;
    }
    *ret = newest < DOCKER_API_NEWEST ? newest : DOCKER_API_NEWEST;
    return 0;
}

int docker_decode_version(const char *bytes, size_t len, struct docker_version *ret, struct diags *diags)
{
    _cleanup_json_ json_t *json = answer_parse(bytes, len, ANSWER_OBJECT, "/version", diags);
    _cleanup_free_ char *engine = NULL;
    unsigned minor;
    int r;

    if (!json)
        return -EBADMSG;
    engine = answer_text_copy_or_empty(json, "Version");
    r = choose_api(json, engine, &minor, diags);
    if (r < 0)
        return r;
    *ret = (struct docker_version){.engine = STEAL(engine), .api_minor = minor};
    return 0;
}

void docker_info_clear(struct docker_info *info)
{
    free(info->name);
    free(info->firewall_backend);
    *info = (struct docker_info){0};
}

/* "name=rootless" stands alone or with more behind a comma. */
static bool has_security_option(const json_t *json, const char *option)
{
    const json_t *item;
    size_t i, len = strlen(option);

    json_array_foreach (answer_array(json, "SecurityOptions"), i, item) {
        const char *text = json_string_value(item);

        if (text && strncmp(text, option, len) == 0 && (text[len] == '\0' || text[len] == ','))
            return true;
    }
    return false;
}

int docker_decode_info(const char *bytes, size_t len, struct docker_info *ret, struct diags *diags)
{
    _cleanup_json_ json_t *json = answer_parse(bytes, len, ANSWER_OBJECT, "/info", diags);
    const char *swarm;

    if (!json)
        return -EBADMSG;
    swarm = answer_text(answer_object(json, "Swarm"), "LocalNodeState");
    *ret = (struct docker_info){
        .name = answer_text_copy(json, "Name"),
        .rootless = has_security_option(json, "name=rootless"),
        .userns = has_security_option(json, "name=userns"),
        .live_restore = answer_bool(json, "LiveRestoreEnabled"),
        .swarm = swarm && swarm[0] && strcmp(swarm, "inactive") != 0,
        .firewall_backend = answer_text_copy(answer_object(json, "FirewallBackend"), "Driver"),
    };
    return 0;
}
