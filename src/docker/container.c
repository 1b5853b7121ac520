/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GET /containers/json, /containers/ID/json and /images/ID/json. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "answer.h"

#define ID_MODE "container:"
#define DIGEST "sha256:"
#define CAP "CAP_"

void container_list_clear(struct container_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        container_free(list->v[i]);
    free(list->v);
    *list = (struct container_list){0};
}

/* ---- what the list and the inspection have in common -------------------------------------------------- */

/* The networks that are none: a container is on them, yet has nothing there that could be enforced. */
static bool is_pseudo_network(const char *name)
{
    return strcmp(name, "host") == 0 || strcmp(name, "none") == 0;
}

/* What the Engine still says of a container that does not run (a wished address, the last one) is not live.
 */
static void decode_endpoint(const char *name, const json_t *object, bool running, struct endpoint *endpoint)
{
    const char *network_id = answer_id(object, "NetworkID"), *id = answer_id(object, "EndpointID");

    endpoint->network_id = xstrdup(network_id ? network_id : "");
    endpoint->network_name = xstrdup(name);
    if (!running || !id)
        return;
    endpoint->id = xstrdup(id);
    answer_mac(object, "MacAddress", endpoint);
    endpoint->has_ip[IP4] = answer_ip(object, "IPAddress", IP4, &endpoint->ip[IP4]);
    endpoint->has_ip[IP6] = answer_ip(object, "GlobalIPv6Address", IP6, &endpoint->ip[IP6]);
}

static void decode_endpoints(const json_t *json, struct container *container)
{
    const json_t *networks = answer_object(answer_object(json, "NetworkSettings"), "Networks");
    const char *name;
    json_t *value;

    json_object_foreach ((json_t *)networks, name, value)
        if (!is_pseudo_network(name))
            decode_endpoint(name, value, container->running,
                            ARRAY_ADD(container->endpoints, container->n_endpoints));
}

static bool is_on(const json_t *json, const char *network)
{
    return json_object_get(answer_object(answer_object(json, "NetworkSettings"), "Networks"), network);
}

static void decode_mounts(const json_t *json, struct container *container)
{
    const json_t *item;
    size_t i;

    json_array_foreach (answer_array(json, "Mounts"), i, item) {
        const char *type = answer_text(item, "Type"), *path = answer_text(item, "Source");
        const char *volume = answer_text(item, "Name");
        struct mount *mount;

        path = path && path[0] == '/' ? path : NULL;
        volume = volume && volume[0] && type && strcmp(type, "volume") == 0 ? volume : NULL;
        if ((!path && !volume) || container->n_mounts == CONTAINER_MOUNTS_MAX)
            continue;
        mount = ARRAY_ADD(container->mounts, container->n_mounts);
        *mount = (struct mount){xstrdup_null(path), xstrdup_null(volume),
                                json_is_false(json_object_get(item, "RW"))};
    }
}

/* "container:" and a name or ID; NULL where it is anything else. */
static char *decode_joined(const json_t *json, const char *key)
{
    const char *mode = answer_text(answer_object(json, "HostConfig"), key);

    return mode && strncmp(mode, ID_MODE, strlen(ID_MODE)) == 0 ? xstrdup(mode + strlen(ID_MODE)) : NULL;
}

/*
 * HostConfig.NetworkMode is what was wished at creation: "default", "bridge", a network's name or ID, "none",
 * "host", "container:" and a name or ID. A container can be taken off `none` later and put on a real network.
 */
static void decode_mode(const json_t *json, struct container *container)
{
    const char *mode = answer_text(answer_object(json, "HostConfig"), "NetworkMode");

    if (mode && strncmp(mode, ID_MODE, strlen(ID_MODE)) == 0) {
        container->mode = NETMODE_CONTAINER;
        container->mode_target = xstrdup(mode + strlen(ID_MODE));
    } else if (mode ? strcmp(mode, "host") == 0 : is_on(json, "host")) {
        container->mode = NETMODE_HOST;
    } else if ((mode ? strcmp(mode, "none") == 0 : is_on(json, "none")) && container->n_endpoints == 0) {
        container->mode = NETMODE_NONE;
    } else {
        container->mode = NETMODE_BRIDGE;
    }
}

static struct container *container_of_id(const char *id)
{
    struct container *container = container_new();

    container->id = xstrdup(id);
    return container;
}

static char *name_copy(const char *name)
{
    return xstrdup(name[0] == '/' ? name + 1 : name);
}

/* ---- the list ----------------------------------------------------------------------------------------- */

/*
 * Among the names are those that legacy links give it within others: "/other/alias". Its own has one slash. While a
 * container is renamed, and still when the event of that comes, it has the old and the new one, and nothing tells which
 * is which.
 */
static char *decode_names(const json_t *names, bool *ret_unsure)
{
    const json_t *item;
    char *found = NULL;
    size_t i;

    json_array_foreach (names, i, item) {
        const char *name = json_string_value(item);

        if (!name || !name[0] || strchr(name + 1, '/'))
            continue;
        if (found)
            *ret_unsure = true;
        else
            found = name_copy(name);
    }
    return found;
}

/* When the tag has moved to another image since, the list shows the image's ID in place of the reference. */
static char *decode_listed_image(const json_t *json)
{
    const char *image = answer_text(json, "Image");

    return image && strncmp(image, DIGEST, strlen(DIGEST)) != 0 ? xstrdup(image) : NULL;
}

static bool listed_port(const json_t *json, const char *key, uint16_t *ret)
{
    double number = json_number_value(json_object_get(json, key));

    if (!(number >= 1 && number <= 65535))
        return false;
    *ret = (uint16_t)number;
    return true;
}

/* The container's own port, which each item has. */
static bool decode_exposed(const json_t *json, struct published_port *port)
{
    const char *type = answer_text(json, "Type");

    return type && transport_parse(type, &port->kind) && listed_port(json, "PrivatePort", &port->inner);
}

static bool decode_published(const json_t *json, struct published_port *port)
{
    return listed_port(json, "PublicPort", &port->outer) &&
           (answer_ip(json, "IP", IP4, &port->address) || answer_ip(json, "IP", IP6, &port->address));
}

/* Ports that are only exposed are among them, without one on the host. The order changes from answer to answer. */
static void decode_listed_ports(const json_t *ports, struct container *container)
{
    const json_t *item;
    size_t i;

    json_array_foreach (ports, i, item) {
        struct published_port port;

        if (!decode_exposed(item, &port))
            continue;
        container_ports_add(&container->exposed, port.kind, port.inner);
        if (decode_published(item, &port))
            *ARRAY_ADD(container->published, container->n_published) = port;
    }
    if (container->n_published > 1)
        qsort(container->published, container->n_published, sizeof(*container->published),
              published_port_compare);
}

static bool is_running_state(const char *state)
{
    return state && (strcmp(state, "running") == 0 || strcmp(state, "paused") == 0 ||
                     strcmp(state, "restarting") == 0);
}

static struct container *decode_listed(const json_t *json, struct diags *diags)
{
    const char *id = answer_id(json, "Id");
    struct container *container;

    if (!id) {
        answer_diag(diags, DIAG_WARNING, "skipped a container without a usable ID in the Engine's list");
        return NULL;
    }
    container = container_of_id(id);
    container->name = decode_names(answer_array(json, "Names"), &container->name_unsure);
    container->image = decode_listed_image(json);
    container->image_id = xstrdup_null(answer_id(json, "ImageID"));
    container->running = is_running_state(answer_text(json, "State"));
    answer_labels(answer_object(json, "Labels"), &container->labels, &container->n_labels);
    decode_listed_ports(answer_array(json, "Ports"), container);
    decode_mounts(json, container);
    decode_endpoints(json, container);
    decode_mode(json, container);
    return container;
}

int docker_decode_containers(const char *bytes, size_t len, struct container_list *ret, struct diags *diags)
{
    _cleanup_json_ json_t *json = answer_parse(bytes, len, ANSWER_ARRAY, "/containers/json", diags);
    struct container_list list = {0};
    const json_t *item;
    size_t i;

    if (!json)
        return -EBADMSG;
    json_array_foreach (json, i, item) {
        struct container *container = decode_listed(item, diags);

        if (container)
            *ARRAY_ADD(list.v, list.n) = container;
    }
    *ret = list;
    return 0;
}

/* ---- one container ------------------------------------------------------------------------------------ */

static void decode_dns(const json_t *json, struct container *container, struct diags *diags)
{
    const json_t *item;
    size_t i;

    json_array_foreach (answer_array(answer_object(json, "HostConfig"), "Dns"), i, item) {
        const char *text = json_string_value(item);
        struct ip ip;

        if (text && ip_parse(text, &ip) >= 0)
            *ARRAY_ADD(container->dns, container->n_dns) = ip;
        else
            answer_diag(diags, DIAG_WARNING, "container %s: skipped a name server that is no IP address: %s",
                        container->name ? container->name : container->id, text ? text : "no text");
    }
    container->dns_known = true;
}

static bool lists_capability(const json_t *list, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        const char *text = json_string_value(item);

        if (text &&
            strcasecmp(strncasecmp(text, CAP, strlen(CAP)) == 0 ? text + strlen(CAP) : text, name) == 0)
            return true;
    }
    return false;
}

/* As the Engine reckons it (TweakCapabilities() of moby's oci/caps): of its default ones, NET_ADMIN is none. */
static void decode_privileges(const json_t *json, struct container *container)
{
    const json_t *config = answer_object(json, "HostConfig");
    const json_t *add = answer_array(config, "CapAdd"), *drop = answer_array(config, "CapDrop");

    container->privileged = answer_bool(config, "Privileged");
    container->net_admin =
        container->privileged || (lists_capability(add, "ALL") ? !lists_capability(drop, "NET_ADMIN")
                                                               : lists_capability(add, "NET_ADMIN"));
}

/* gVisor, Kata and their like bring a network stack along; of runtimes that are not known, nobody can tell. */
static bool has_own_kernel(const json_t *json)
{
    static const char *const shared[] = {"runc",
                                         "io.containerd.runc.v2",
                                         "io.containerd.runc.v1",
                                         "io.containerd.runtime.v1.linux",
                                         "crun",
                                         "youki",
                                         "nvidia"};
    const char *runtime = answer_text(answer_object(json, "HostConfig"), "Runtime");

    for (size_t i = 0; runtime && i < ARRAY_SIZE(shared); i++)
        if (strcmp(runtime, shared[i]) == 0)
            return false;
    return runtime && runtime[0];
}

static bool decode_running(const json_t *json)
{
    const json_t *state = answer_object(json, "State");

    return answer_bool(state, "Running") || is_running_state(answer_text(state, "Status"));
}

int docker_decode_container(const char *bytes, size_t len, struct container **ret, struct diags *diags)
{
    _cleanup_json_ json_t *json = answer_parse(bytes, len, ANSWER_OBJECT, "/containers/ID/json", diags);
    const char *id = answer_id(json, "Id"), *name = answer_text(json, "Name");
    const json_t *config = answer_object(json, "Config");
    struct container *container;

    if (!json)
        return -EBADMSG;
    if (!id) {
        answer_diag(diags, DIAG_ERROR, "the Engine's answer about a container has no usable ID");
        return -EBADMSG;
    }
    container = container_of_id(id);
    container->name = name && name[0] ? name_copy(name) : NULL;
    container->image = answer_text_copy(config, "Image");
    container->image_id = xstrdup_null(answer_id(json, "Image"));
    container->running = decode_running(json);
    answer_labels(answer_object(config, "Labels"), &container->labels, &container->n_labels);
    decode_dns(json, container, diags);
    decode_privileges(json, container);
    decode_mounts(json, container);
    container->pid_target = decode_joined(json, "PidMode");
    container->ipc_target = decode_joined(json, "IpcMode");
    container->own_kernel = has_own_kernel(json);
    decode_endpoints(json, container);
    decode_mode(json, container);
    *ret = container;
    return 0;
}

/* ---- an image's labels -------------------------------------------------------------------------------- */

void label_list_clear(struct label_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->v[i].key);
        free(list->v[i].value);
    }
    free(list->v);
    *list = (struct label_list){0};
}

int docker_decode_image_labels(const char *bytes, size_t len, struct label_list *ret, struct diags *diags)
{
    _cleanup_json_ json_t *json = answer_parse(bytes, len, ANSWER_OBJECT, "/images/ID/json", diags);
    struct label_list list;

    if (!json)
        return -EBADMSG;
    /* An image without Config has no labels; an answer that is about no image at all must not look like that.
     */
    if (!answer_id(json, "Id")) {
        answer_diag(diags, DIAG_ERROR, "the Engine's answer about an image has no usable ID");
        return -EBADMSG;
    }
    answer_labels(answer_object(answer_object(json, "Config"), "Labels"), &list.v, &list.n);
    *ret = list;
    return 0;
}

static int compare_key(const void *key, const void *label)
{
    return strcmp(key, ((const struct label *)label)->key);
}

static bool repeats(const struct label *own, const struct label_list *image)
{
    const struct label *label = NULL;

    if (image->n > 0)
        label = bsearch(own->key, image->v, image->n, sizeof(*image->v), compare_key);
    return label && strcmp(label->value, own->value) == 0;
}

void container_apply_image_labels(struct container *container, const struct label_list *image, bool trust)
{
    for (size_t i = 0; i < container->n_labels; i++)
        container->labels[i].from_image = !trust && repeats(&container->labels[i], image);
    container->labels_known = true;
}
