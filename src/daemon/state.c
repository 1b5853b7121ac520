/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/state.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "util/mem.h"

#define STATE_BRIDGES_MAX 10000

void state_clear(struct state *state)
{
    free(state->bridges);
    free(state->foreign);
    *state = (struct state){0};
}

char *state_format(const struct state *state)
{
    json_t *bridges = json_array(), *foreign = json_array(), *object;

    for (size_t i = 0; i < state->n_bridges; i++) {
        const struct state_bridge *bridge = &state->bridges[i];

        json_array_append_new(bridges,
                              json_pack("{s:s, s:b, s:b, s:b, s:b}", "name", bridge->name, "changed",
                                        bridge->changed, "nf_call_iptables", bridge->former.nf_call_iptables,
                                        "nf_call_ip6tables", bridge->former.nf_call_ip6tables,
                                        "no_linklocal_learn", bridge->former.no_linklocal_learn));
    }
    for (size_t i = 0; i < state->n_foreign; i++)
        json_array_append_new(foreign, json_string(state->foreign[i]));
    object = json_pack("{s:s, s:o, s:o, s:s}", "format_version", "1.3", "bridges", bridges, "foreign",
                       foreign, "networks", state->networks);
    char *dump = json_dumps(object, JSON_INDENT(2));
    char *text = xasprintf("%s\n", dump ? dump : "{}");
    free(dump);
    json_decref(object);
    return text;
}

static bool is_name(const char *name)
{
    return name && name[0] && strlen(name) < IFNAMSIZ;
}

static int parse_bridge(const json_t *object, struct state *state)
{
    const char *name = json_string_value(json_object_get(object, "name"));
    struct state_bridge *bridge;

    if (!is_name(name))
        return -EBADMSG;
    bridge = ARRAY_ADD(state->bridges, state->n_bridges);
    strcpy(bridge->name, name);
    bridge->changed = json_is_true(json_object_get(object, "changed"));
    bridge->former.nf_call_iptables = json_is_true(json_object_get(object, "nf_call_iptables"));
    bridge->former.nf_call_ip6tables = json_is_true(json_object_get(object, "nf_call_ip6tables"));
    bridge->former.no_linklocal_learn = json_is_true(json_object_get(object, "no_linklocal_learn"));
    return 0;
}

int state_parse(const char *text, struct state *ret)
{
    json_t *state = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const json_t *bridges = json_object_get(state, "bridges"), *foreign = json_object_get(state, "foreign"),
                 *object;
    int r = json_is_array(bridges) && json_array_size(bridges) <= STATE_BRIDGES_MAX ? 0 : -EBADMSG;
    size_t i;

    *ret = (struct state){0};
    if (r == 0) {
        json_array_foreach (bridges, i, object) {
            if (parse_bridge(object, ret) < 0)
                r = -EBADMSG;
        }
    }
    json_array_foreach (foreign, i, object) {
        const char *name = json_string_value(object);
        if (is_name(name) && i < STATE_BRIDGES_MAX)
            strcpy(*ARRAY_ADD(ret->foreign, ret->n_foreign), name);
    }
    const char *networks = json_string_value(json_object_get(state, "networks"));
    if (networks && strlen(networks) < sizeof(ret->networks))
        strcpy(ret->networks, networks);
    json_decref(state);
    return r;
}
