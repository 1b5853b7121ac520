/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inventory/json.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define FORMAT_VERSION "1.0"

/* ---- writing ------------------------------------------------------------------------------------------ */

/* Absent when NULL or empty. */
json_t *json_text_or_null(const char *text)
{
    json_t *string = text ? json_string(text) : json_null();

    if (string)
        return string;
    _cleanup_free_ char *ascii = xstrdup(text);
    for (char *c = ascii; *c; c++)
        if (*c & 0x80)
            *c = '?';
    return json_string(ascii);
}

json_t *texts_to_json(char *const *texts, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, json_text_or_null(texts[i]));
    return array;
}

static void put_text(json_t *object, const char *key, const char *text)
{
    if (text && text[0])
        json_object_set_new(object, key, json_string(text));
}

static void put_true(json_t *object, const char *key, bool value)
{
    if (value)
        json_object_set_new(object, key, json_true());
}

static void put_list(json_t *object, const char *key, json_t *list)
{
    if (json_array_size(list) > 0)
        json_object_set_new(object, key, list);
    else
        json_decref(list);
}

static json_t *ip_json(struct ip ip)
{
    char text[IP_TEXT_MAX];

    return json_string(ip_format(ip, text));
}

static json_t *ips_json(const struct ip *ips, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, ip_json(ips[i]));
    return list;
}

static json_t *network_json(const struct network *network)
{
    json_t *object = json_object(), *subnets = json_array();
    char text[CIDR_TEXT_MAX];

    put_text(object, "id", network->id);
    put_text(object, "name", network->name);
    put_text(object, "driver", network->driver);
    put_text(object, "scope", network->scope);
    put_text(object, "bridge", network->bridge);
    put_text(object, "parent", network->parent);
    json_object_set_new(object, "internal", json_boolean(network->internal));
    json_object_set_new(object, "ipv6", json_boolean(network->ipv6));
    json_object_set_new(object, "managed", json_boolean(network->managed));
    put_text(object, "unmanaged_reason", network->unmanaged_reason);
    put_true(object, "ipv6_open", network->ipv6_open);
    put_true(object, "elsewhere", network->elsewhere);
    for (size_t i = 0; i < network->n_subnets; i++)
        json_array_append_new(subnets, json_string(cidr_format(&network->subnets[i], text)));
    put_list(object, "subnets", subnets);
    return object;
}

static json_t *endpoint_json(const struct endpoint *endpoint)
{
    json_t *object = json_object();
    char text[MAC_TEXT_MAX];

    put_text(object, "network", endpoint->network_id);
    put_text(object, "network_name", endpoint->network_name);
    put_text(object, "id", endpoint->id);
    if (endpoint->has_mac)
        put_text(object, "mac", mac_format(&endpoint->mac, text));
    if (endpoint->has_ip[IP4])
        json_object_set_new(object, "ipv4", ip_json(endpoint->ip[IP4]));
    if (endpoint->has_ip[IP6])
        json_object_set_new(object, "ipv6", ip_json(endpoint->ip[IP6]));
    put_text(object, "port", endpoint->port);
    return object;
}

static json_t *published_json(const struct container *container)
{
    json_t *list = json_array();

    for (size_t i = 0; i < container->n_published; i++) {
        const struct published_port *port = &container->published[i];

        json_array_append_new(list, json_pack("{s:o, s:i, s:i, s:s}", "address", ip_json(port->address),
                                              "port", port->outer, "container_port", port->inner, "protocol",
                                              transport_name(port->kind)));
    }
    return list;
}

static json_t *ports_json(const struct container_ports *ports)
{
    json_t *list = json_array();
    char text[CONTAINER_PORT_TEXT_MAX];

    for (size_t i = 0; i < ports->n; i++)
        json_array_append_new(list, json_string(container_port_format(&ports->v[i], text)));
    return list;
}

/* An empty list is there too: it says that it is known. */
void json_put_listening(json_t *object, const struct container_ports *listening,
                        const struct container_ports *on_loopback)
{
    json_object_set_new(object, "listening", ports_json(listening));
    put_list(object, "listening_on_loopback", ports_json(on_loopback));
}

static const char *mode_name(enum network_mode mode)
{
    switch (mode) {
    case NETMODE_BRIDGE:
        return "bridge";
    case NETMODE_NONE:
        return "none";
    case NETMODE_HOST:
        return "host";
    case NETMODE_CONTAINER:
        return "container";
    }
    return "?";
}

static void put_labels(json_t *object, const struct container *container)
{
    json_t *labels = json_object(), *image_labels = json_array(), *overlay = json_object();

    for (size_t i = 0; i < container->n_labels; i++) {
        json_object_set_new(labels, container->labels[i].key, json_string(container->labels[i].value));
        if (container->labels[i].from_image)
            json_array_append_new(image_labels, json_string(container->labels[i].key));
    }
    json_object_set_new(object, "labels", labels);
    put_list(object, "image_labels", image_labels);
    if (!container->labels_known)
        json_object_set_new(object, "labels_known", json_false());
    for (size_t i = 0; i < container->n_overlay; i++)
        json_object_set_new(overlay, container->overlay[i].key, json_string(container->overlay[i].value));
    if (container->n_overlay)
        json_object_set_new(object, "overlay_labels", overlay);
    else
        json_decref(overlay);
}

static json_t *mounts_json(const struct container *container)
{
    json_t *list = json_array();

    for (size_t i = 0; i < container->n_mounts; i++) {
        json_t *object = json_object();

        put_text(object, "path", container->mounts[i].path);
        put_text(object, "volume", container->mounts[i].volume);
        put_true(object, "read_only", container->mounts[i].read_only);
        json_array_append_new(list, object);
    }
    return list;
}

json_t *container_to_json(const struct container *container)
{
    json_t *object = json_object(), *endpoints = json_array();

    put_text(object, "id", container->id);
    put_text(object, "name", container->name);
    put_text(object, "image", container->image);
    put_text(object, "image_id", container->image_id);
    json_object_set_new(object, "running", json_boolean(container->running));
    put_labels(object, container);
    put_text(object, "network_mode", mode_name(container->mode));
    put_text(object, "network_target", container->mode_target);
    put_list(object, "dns", ips_json(container->dns, container->n_dns));
    put_true(object, "privileged", container->privileged);
    put_true(object, "net_admin", container->net_admin);
    put_list(object, "mounts", mounts_json(container));
    put_text(object, "pid_target", container->pid_target);
    put_text(object, "ipc_target", container->ipc_target);
    if (!container->dns_known)
        json_object_set_new(object, "dns_known", json_false());
    put_list(object, "published", published_json(container));
    put_list(object, "exposed", ports_json(&container->exposed));
    if (container->listening_known)
        json_put_listening(object, &container->listening, &container->on_loopback);
    for (size_t i = 0; i < container->n_endpoints; i++)
        json_array_append_new(endpoints, endpoint_json(&container->endpoints[i]));
    put_list(object, "endpoints", endpoints);
    return object;
}

static int compare_names(const char *a, const char *a_id, const char *b, const char *b_id)
{
    int r = strcmp(a ? a : "", b ? b : "");

    return r ? r : strcmp(a_id, b_id);
}

static int compare_containers(const void *a, const void *b)
{
    const struct container *x = *(struct container *const *)a, *y = *(struct container *const *)b;

    return compare_names(x->name, x->id, y->name, y->id);
}

static int compare_networks(const void *a, const void *b)
{
    const struct network *x = *(struct network *const *)a, *y = *(struct network *const *)b;

    return compare_names(x->name, x->id, y->name, y->id);
}

static json_t *networks_json(const struct inventory *inventory)
{
    size_t n = HASH_COUNT(inventory->networks), i = 0;
    _cleanup_free_ const struct network **sorted = xcalloc(n + 1, sizeof(*sorted));
    json_t *list = json_array();

    for (const struct network *network = inventory->networks; network; network = network->hh.next)
        sorted[i++] = network;
    qsort(sorted, n, sizeof(*sorted), compare_networks);
    for (i = 0; i < n; i++)
        json_array_append_new(list, network_json(sorted[i]));
    return list;
}

static json_t *containers_json(const struct inventory *inventory)
{
    size_t n = HASH_COUNT(inventory->containers), i = 0;
    _cleanup_free_ const struct container **sorted = xcalloc(n + 1, sizeof(*sorted));
    json_t *list = json_array();

    for (const struct container *container = inventory->containers; container; container = container->hh.next)
        sorted[i++] = container;
    qsort(sorted, n, sizeof(*sorted), compare_containers);
    for (i = 0; i < n; i++)
        json_array_append_new(list, container_to_json(sorted[i]));
    return list;
}

json_t *inventory_frame_to_json(const struct inventory *inventory)
{
    json_t *object = json_object();

    put_text(object, "format_version", FORMAT_VERSION);
    json_object_set_new(object, "networks", networks_json(inventory));
    json_object_set_new(object, "containers", json_array());
    put_list(object, "name_servers", ips_json(inventory->name_servers, inventory->n_name_servers));
    put_list(object, "host_addresses", ips_json(inventory->host_addresses, inventory->n_host_addresses));
    put_true(object, "rootless", inventory->rootless);
    put_true(object, "lookups_by_engine", inventory->lookups_by_engine);
    return object;
}

json_t *inventory_to_json(const struct inventory *inventory)
{
    json_t *object = inventory_frame_to_json(inventory);

    json_object_set_new(object, "containers", containers_json(inventory)); /* it keeps its place */
    return object;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

/* Where we are, for messages, and the first error found. */
struct reader {
    struct diags *diags;
    const char *kind; /* "container", "network" */
    size_t index;     /* in its list, from 0 */
    int error;
};

static void fail(struct reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct reader *reader, const char *format, ...)
{
    _cleanup_free_ char *what = NULL;
    va_list args;

    if (reader->error)
        return;
    va_start(args, format);
    what = xvasprintf(format, args);
    va_end(args);
    if (reader->kind)
        diag_add(reader->diags, DIAG_ERROR, NULL, NULL, "inventory: %s %zu: %s", reader->kind,
                 reader->index + 1, what);
    else
        diag_add(reader->diags, DIAG_ERROR, NULL, NULL, "inventory: %s", what);
    reader->error = -EBADMSG;
}

/* NULL when the key is absent or null. */
static const char *get_text(struct reader *reader, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (!value || json_is_null(value))
        return NULL;
    if (!json_is_string(value))
        fail(reader, "%s must be a text", key);
    return json_string_value(value);
}

static char *get_text_copy(struct reader *reader, const json_t *object, const char *key)
{
    return xstrdup_null(get_text(reader, object, key));
}

static char *get_text_or_empty(struct reader *reader, const json_t *object, const char *key)
{
    const char *text = get_text(reader, object, key);

    return xstrdup(text ? text : "");
}

/* What has no name is called by its ID: everything that speaks of it relies on there being one. */
static char *get_name(struct reader *reader, const json_t *object, const char *id)
{
    return get_text_copy(reader, object, "name") ?: xstrdup(id);
}

static char *get_id(struct reader *reader, const json_t *object)
{
    const char *id = get_text(reader, object, "id");

    if (!id || !id[0])
        fail(reader, "id is missing");
    return xstrdup(id ? id : "");
}

static bool get_bool(struct reader *reader, const json_t *object, const char *key, bool absent)
{
    const json_t *value = json_object_get(object, key);

    if (!value || json_is_null(value))
        return absent;
    if (!json_is_boolean(value))
        fail(reader, "%s must be true or false", key);
    return json_is_true(value);
}

/* An empty list when the key is absent. */
static const json_t *get_list(struct reader *reader, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (!value || json_is_null(value))
        return NULL;
    if (!json_is_array(value))
        fail(reader, "%s must be a list", key);
    return json_is_array(value) ? value : NULL;
}

static bool read_ip(struct reader *reader, const char *key, const char *text, struct ip *ret)
{
    if (text && ip_parse(text, ret) >= 0)
        return true;
    fail(reader, "%s: %s is no IP address", key, text ? text : "this");
    return false;
}

static void read_ips(struct reader *reader, const json_t *object, const char *key, struct ip **ret,
                     size_t *ret_n)
{
    const json_t *item;
    size_t i;

    json_array_foreach (get_list(reader, object, key), i, item) {
        struct ip ip;

        if (read_ip(reader, key, json_string_value(item), &ip))
            *ARRAY_ADD(*ret, *ret_n) = ip;
    }
}

static void read_address(struct reader *reader, const json_t *object, enum ip_family family,
                         struct endpoint *endpoint)
{
    const char *key = family == IP4 ? "ipv4" : "ipv6";
    const char *text = get_text(reader, object, key);
    struct ip ip;

    if (!text || !read_ip(reader, key, text, &ip))
        return;
    if (ip.family != family) {
        fail(reader, "%s: %s is of the other family", key, text);
        return;
    }
    endpoint->ip[family] = ip;
    endpoint->has_ip[family] = true;
}

static void read_endpoint(struct reader *reader, const json_t *object, struct endpoint *endpoint)
{
    const char *mac, *port;

    endpoint->network_id = get_text_or_empty(reader, object, "network");
    endpoint->network_name = get_text_or_empty(reader, object, "network_name");
    endpoint->id = get_text_copy(reader, object, "id");
    if (!endpoint->network_id[0] && !endpoint->network_name[0])
        fail(reader, "an endpoint has no network");
    mac = get_text(reader, object, "mac");
    if (mac) {
        endpoint->has_mac = mac_parse(mac, &endpoint->mac) >= 0;
        if (!endpoint->has_mac)
            fail(reader, "mac: %s is no MAC address", mac);
    }
    read_address(reader, object, IP4, endpoint);
    read_address(reader, object, IP6, endpoint);
    port = get_text(reader, object, "port");
    if (port && strlen(port) < sizeof(endpoint->port))
        strcpy(endpoint->port, port);
    else if (port)
        fail(reader, "port: %s is too long for an interface's name", port);
}

static uint16_t read_port_number(struct reader *reader, const json_t *object, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(object, key));

    if (number < 1 || number > 65535)
        fail(reader, "%s must be a number from 1 to 65535", key);
    return (uint16_t)number;
}

static void read_published(struct reader *reader, const json_t *object, struct published_port *port)
{
    const char *protocol = get_text(reader, object, "protocol");

    read_ip(reader, "address", get_text(reader, object, "address"), &port->address);
    port->outer = read_port_number(reader, object, "port");
    port->inner = read_port_number(reader, object, "container_port");
    if (!protocol || !transport_parse(protocol, &port->kind))
        fail(reader, "protocol: %s is none of tcp, udp, sctp", protocol ? protocol : "this");
}

static void read_ports(struct reader *reader, const json_t *object, const char *key,
                       struct container_ports *ports)
{
    const json_t *item;
    size_t i;

    json_array_foreach (get_list(reader, object, key), i, item) {
        const char *text = json_string_value(item);
        struct container_port port;

        if (text && container_port_parse(text, &port))
            container_ports_add(ports, port.kind, port.number);
        else
            fail(reader, "%s: %s is no port such as 5432/tcp", key, text ? text : "this");
    }
}

static void read_listening(struct reader *reader, const json_t *object, struct container *container)
{
    container->listening_known = get_list(reader, object, "listening") != NULL;
    read_ports(reader, object, "listening", &container->listening);
    read_ports(reader, object, "listening_on_loopback", &container->on_loopback);
}

static bool list_has(const json_t *list, const char *text)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item)
        if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
            return true;
    return false;
}

static void read_label_mapping(struct reader *reader, const json_t *object, const char *name,
                               struct label **labels, size_t *n)
{
    json_t *mapping = json_object_get(object, name), *value;
    const char *key;

    if (mapping && !json_is_object(mapping) && !json_is_null(mapping))
        fail(reader, "%s must be a mapping", name);
    json_object_foreach (mapping, key, value) {
        if (json_is_string(value))
            *ARRAY_ADD(*labels, *n) =
                (struct label){.key = xstrdup(key), .value = xstrdup(json_string_value(value))};
        else
            fail(reader, "label %s must be a text", key);
    }
    labels_sort(*labels, *n);
}

static void read_labels(struct reader *reader, const json_t *object, struct container *container)
{
    const json_t *image_labels = get_list(reader, object, "image_labels");

    container->labels_known = get_bool(reader, object, "labels_known", true);
    read_label_mapping(reader, object, "labels", &container->labels, &container->n_labels);
    read_label_mapping(reader, object, "overlay_labels", &container->overlay, &container->n_overlay);
    for (size_t i = 0; i < container->n_labels; i++)
        container->labels[i].from_image = list_has(image_labels, container->labels[i].key);
}

static enum network_mode read_mode(struct reader *reader, const json_t *object)
{
    const char *text = get_text(reader, object, "network_mode");

    if (!text)
        return NETMODE_BRIDGE;
    for (enum network_mode mode = NETMODE_BRIDGE; mode <= NETMODE_CONTAINER; mode++)
        if (strcmp(text, mode_name(mode)) == 0)
            return mode;
    fail(reader, "network_mode: %s is none of bridge, none, host, container", text);
    return NETMODE_BRIDGE;
}

static void read_mounts(struct reader *reader, const json_t *object, struct container *container)
{
    const json_t *item;
    size_t i;

    json_array_foreach (get_list(reader, object, "mounts"), i, item) {
        struct mount *mount;

        if (container->n_mounts == CONTAINER_MOUNTS_MAX)
            return;
        mount = ARRAY_ADD(container->mounts, container->n_mounts);
        mount->path = get_text_copy(reader, item, "path");
        mount->volume = get_text_copy(reader, item, "volume");
        mount->read_only = get_bool(reader, item, "read_only", false);
        if (!mount->path && !mount->volume)
            fail(reader, "a mount has neither path nor volume");
    }
}

static struct container *read_container(struct reader *reader, const json_t *object)
{
    struct container *container = container_new();
    const json_t *item;
    size_t i;

    container->id = get_id(reader, object);
    container->name = get_name(reader, object, container->id);
    container->image = get_text_copy(reader, object, "image");
    container->image_id = get_text_copy(reader, object, "image_id");
    container->running = get_bool(reader, object, "running", false);
    container->mode = read_mode(reader, object);
    container->mode_target = get_text_copy(reader, object, "network_target");
    container->dns_known = get_bool(reader, object, "dns_known", true);
    container->privileged = get_bool(reader, object, "privileged", false);
    container->net_admin = get_bool(reader, object, "net_admin", false);
    container->pid_target = get_text_copy(reader, object, "pid_target");
    container->ipc_target = get_text_copy(reader, object, "ipc_target");
    read_mounts(reader, object, container);
    read_labels(reader, object, container);
    read_ips(reader, object, "dns", &container->dns, &container->n_dns);
    json_array_foreach (get_list(reader, object, "published"), i, item)
        read_published(reader, item, ARRAY_ADD(container->published, container->n_published));
    if (container->n_published > 1)
        qsort(container->published, container->n_published, sizeof(*container->published),
              published_port_compare);
    read_ports(reader, object, "exposed", &container->exposed);
    read_listening(reader, object, container);
    json_array_foreach (get_list(reader, object, "endpoints"), i, item)
        read_endpoint(reader, item, ARRAY_ADD(container->endpoints, container->n_endpoints));
    return container;
}

static void read_subnets(struct reader *reader, const json_t *object, struct network *network)
{
    const json_t *item;
    size_t i;

    json_array_foreach (get_list(reader, object, "subnets"), i, item) {
        const char *text = json_string_value(item);
        struct cidr cidr;

        if (text && cidr_parse(text, &cidr) >= 0)
            *ARRAY_ADD(network->subnets, network->n_subnets) = cidr;
        else
            fail(reader, "subnets: %s is no network in CIDR notation", text ? text : "this");
    }
}

static struct network *read_network(struct reader *reader, const json_t *object)
{
    struct network *network = network_new();

    network->id = get_id(reader, object);
    network->name = get_name(reader, object, network->id);
    network->driver = get_text_copy(reader, object, "driver");
    network->scope = get_text_copy(reader, object, "scope");
    network->bridge = get_text_copy(reader, object, "bridge");
    network->parent = get_text_copy(reader, object, "parent");
    network->internal = get_bool(reader, object, "internal", false);
    network->ipv6 = get_bool(reader, object, "ipv6", false);
    network->managed = get_bool(reader, object, "managed", false);
    network->unmanaged_reason = get_text_copy(reader, object, "unmanaged_reason");
    network->ipv6_open = get_bool(reader, object, "ipv6_open", false);
    network->elsewhere = get_bool(reader, object, "elsewhere", false);
    read_subnets(reader, object, network);
    return network;
}

static void check_format(struct reader *reader, const json_t *json)
{
    const char *version = get_text(reader, json, "format_version");

    if (!json_is_object(json))
        fail(reader, "this is no JSON object");
    else if (!version)
        fail(reader, "format_version is missing: is this an inventory?");
    else if (strncmp(version, "1.", 2) != 0)
        fail(reader, "format_version %s is not known; this version reads 1.x", version);
}

static void read_lists(struct reader *reader, const json_t *json, struct inventory *inventory)
{
    const json_t *item;

    reader->kind = "network";
    json_array_foreach (get_list(reader, json, "networks"), reader->index, item)
        inventory_put_network(inventory, read_network(reader, item));
    reader->kind = "container";
    json_array_foreach (get_list(reader, json, "containers"), reader->index, item)
        inventory_put_container(inventory, read_container(reader, item));
    reader->kind = NULL;
}

int inventory_from_json(const json_t *json, struct inventory **ret, struct diags *diags)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    struct reader reader = {.diags = diags};

    check_format(&reader, json);
    if (reader.error)
        return reader.error;
    read_lists(&reader, json, inventory);
    inventory->rootless = get_bool(&reader, json, "rootless", false);
    inventory->lookups_by_engine = get_bool(&reader, json, "lookups_by_engine", false);
    read_ips(&reader, json, "name_servers", &inventory->name_servers, &inventory->n_name_servers);
    read_ips(&reader, json, "host_addresses", &inventory->host_addresses, &inventory->n_host_addresses);
    if (reader.error)
        return reader.error;
    *ret = STEAL(inventory);
    return 0;
}

/* ---- what containers listen on ------------------------------------------------------------------------ */

static void forget_listening(struct container *container)
{
    container_ports_clear(&container->listening);
    container_ports_clear(&container->on_loopback);
    container->listening_known = false;
}

void inventory_set_listening(struct inventory *inventory, const json_t *listening)
{
    for (struct container *container = inventory->containers; container; container = container->hh.next) {
        const json_t *object = json_object_get(listening, container->id);
        _cleanup_diags_ struct diags diags = {0};
        struct reader reader = {.diags = &diags};

        forget_listening(container);
        if (container->running && !container->own_kernel && json_is_object(object))
            read_listening(&reader, object, container);
        if (reader.error)
            forget_listening(container);
    }
}
