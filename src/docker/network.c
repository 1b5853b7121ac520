/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GET /networks and /networks/ID. */
#include <errno.h>
#include <string.h>

#include "answer.h"

#define BRIDGE_NAME "com.docker.network.bridge.name"
#define BRIDGE_ICC "com.docker.network.bridge.enable_icc"
#define SHORT_ID 12

void network_list_clear(struct network_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        network_free(list->v[i]);
    free(list->v);
    *list = (struct network_list){0};
}

void network_detail_clear(struct network_detail *detail)
{
    for (size_t i = 0; i < detail->n; i++) {
        free(detail->v[i].container_id);
        free(detail->v[i].container_name);
        endpoint_clear(&detail->v[i].endpoint);
    }
    free(detail->v);
    network_free(detail->network);
    *detail = (struct network_detail){0};
}

/* What the kernel takes for an interface's name (dev_valid_name() in net/core/dev.c). */
static bool interface_name_valid(const char *name)
{
    size_t len = strnlen(name, IFNAMSIZ);

    if (len == 0 || len >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    return !strpbrk(name, "/: \t\n\v\f\r");
}

/* The option, else as libnetwork derives it: "br-" and the beginning of the ID. */
static char *decode_bridge(const json_t *json, const struct network *network, struct diags *diags)
{
    const char *name = answer_text(answer_object(json, "Options"), BRIDGE_NAME);

    if (!network->driver || strcmp(network->driver, "bridge") != 0)
        return NULL;
    if (name && name[0]) {
        if (interface_name_valid(name))
            return xstrdup(name);
        answer_diag(diags, DIAG_WARNING,
                    "network %s: its bridge's name is none that an interface can have: %s", network->name,
                    name);
        return NULL;
    }
    if (strlen(network->id) < SHORT_ID)
        return NULL;
    return xasprintf("br-%.*s", SHORT_ID, network->id);
}

static void decode_subnets(const json_t *json, struct network *network, struct diags *diags)
{
    const json_t *item;
    size_t i;

    json_array_foreach (answer_array(answer_object(json, "IPAM"), "Config"), i, item) {
        const char *text = answer_text(item, "Subnet");
        struct cidr cidr;
        int r;

        if (!text || !text[0])
            continue;
        r = cidr_parse(text, &cidr);
        /* Host bits in a subnet are odd but clear. */
        if (r == 0 || r == -EDOM)
            *ARRAY_ADD(network->subnets, network->n_subnets) = cidr;
        else
            answer_diag(diags, DIAG_WARNING, "network %s: skipped a subnet that is none: %s", network->name,
                        text);
    }
}

/* All options are texts. */
static bool decode_icc_off(const json_t *json)
{
    const char *icc = answer_text(answer_object(json, "Options"), BRIDGE_ICC);

    return icc && (strcmp(icc, "false") == 0 || strcmp(icc, "0") == 0);
}

static struct network *decode_one(const json_t *json, struct diags *diags)
{
    const char *id = answer_id(json, "Id"), *name = answer_text(json, "Name");
    struct network *network;

    if (!id || !name || !name[0]) {
        answer_diag(diags, DIAG_WARNING, "skipped a network without a usable ID or a name");
        return NULL;
    }
    network = network_new();
    network->id = xstrdup(id);
    network->name = xstrdup(name);
    network->driver = answer_text_copy(json, "Driver");
    network->scope = answer_text_copy(json, "Scope");
    network->internal = answer_bool(json, "Internal");
    network->ipv6 = answer_bool(json, "EnableIPv6");
    network->icc_off = decode_icc_off(json);
    network->bridge = decode_bridge(json, network, diags);
    if (!network->bridge)
        network->parent = answer_text_copy(answer_object(json, "Options"), "parent");
    decode_subnets(json, network, diags);
    return network;
}

int docker_decode_networks(const char *bytes, size_t len, struct network_list *ret, struct diags *diags)
{
    _cleanup_json_ json_t *json = answer_parse(bytes, len, ANSWER_ARRAY, "/networks", diags);
    struct network_list list = {0};
    const json_t *item;
    size_t i;

    if (!json)
        return -EBADMSG;
    json_array_foreach (json, i, item) {
        struct network *network = decode_one(item, diags);

        if (network)
            *ARRAY_ADD(list.v, list.n) = network;
    }
    *ret = list;
    return 0;
}

static void decode_live(const char *key, const json_t *json, struct network_detail *detail,
                        struct diags *diags)
{
    const char *id = answer_id(json, "EndpointID");
    struct live_endpoint *live;
    struct endpoint *endpoint;

    if (!id || !key[0]) {
        answer_diag(diags, DIAG_WARNING, "network %s: skipped an endpoint without a usable ID",
                    detail->network->name);
        return;
    }
    live = ARRAY_ADD(detail->v, detail->n);
    live->container_id = xstrdup(key);
    live->container_name = answer_text_copy(json, "Name");
    endpoint = &live->endpoint;
    endpoint->id = xstrdup(id);
    endpoint->network_id = xstrdup(detail->network->id);
    endpoint->network_name = xstrdup(detail->network->name);
    answer_mac(json, "MacAddress", endpoint);
    endpoint->has_ip[IP4] = answer_ip(json, "IPv4Address", IP4, &endpoint->ip[IP4]);
    endpoint->has_ip[IP6] = answer_ip(json, "IPv6Address", IP6, &endpoint->ip[IP6]);
}

int docker_decode_network(const char *bytes, size_t len, struct network_detail *ret, struct diags *diags)
{
    _cleanup_json_ json_t *json = answer_parse(bytes, len, ANSWER_OBJECT, "/networks/ID", diags);
    struct network_detail detail = {0};
    const char *key;
    json_t *value;

    if (!json)
        return -EBADMSG;
    detail.network = decode_one(json, NULL);
    if (!detail.network) {
        answer_diag(diags, DIAG_ERROR, "the Engine's answer about a network has no usable ID or no name");
        return -EBADMSG;
    }
    json_object_foreach ((json_t *)answer_object(json, "Containers"), key, value)
        decode_live(key, value, &detail, diags);
    *ret = detail;
    return 0;
}
