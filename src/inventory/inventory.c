/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inventory/inventory.h"

#include <errno.h>
#include <string.h>

struct inventory *inventory_new(void)
{
    return xnew(struct inventory);
}

struct inventory *inventory_free(struct inventory *inventory)
{
    struct container *container, *next_container;
    struct network *network, *next_network;

    if (!inventory)
        return NULL;
    HASH_ITER (hh, inventory->containers, container, next_container) {
        HASH_DEL(inventory->containers, container);
        container_free(container);
    }
    HASH_ITER (hh, inventory->networks, network, next_network) {
        HASH_DEL(inventory->networks, network);
        network_free(network);
    }
    free(inventory->name_servers);
    free(inventory->host_addresses);
    free(inventory);
    return NULL;
}

struct label *labels_copy(const struct label *labels, size_t n)
{
    struct label *copy = xcalloc(n ? n : 1, sizeof(*copy));

    for (size_t i = 0; i < n; i++)
        copy[i] = (struct label){xstrdup(labels[i].key), xstrdup(labels[i].value), labels[i].from_image};
    return copy;
}

void labels_free(struct label *labels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(labels[i].key);
        free(labels[i].value);
    }
    free(labels);
}

struct container *container_new(void)
{
    return xnew(struct container);
}

struct container *container_free(struct container *container)
{
    if (!container)
        return NULL;
    labels_free(container->labels, container->n_labels);
    labels_free(container->overlay, container->n_overlay);
    for (size_t i = 0; i < container->n_endpoints; i++)
        endpoint_clear(&container->endpoints[i]);
    free(container->endpoints);
    free(container->published);
    container_ports_clear(&container->exposed);
    container_ports_clear(&container->listening);
    container_ports_clear(&container->on_loopback);
    for (size_t i = 0; i < container->n_mounts; i++) {
        free(container->mounts[i].path);
        free(container->mounts[i].volume);
    }
    free(container->mounts);
    free(container->pid_target);
    free(container->ipc_target);
    free(container->dns);
    free(container->mode_target);
    free(container->image_id);
    free(container->image);
    free(container->name);
    free(container->id);
    free(container);
    return NULL;
}

struct network *network_new(void)
{
    return xnew(struct network);
}

struct network *network_free(struct network *network)
{
    if (!network)
        return NULL;
    free(network->id);
    free(network->name);
    free(network->driver);
    free(network->scope);
    free(network->bridge);
    free(network->parent);
    free(network->unmanaged_reason);
    free(network->subnets);
    free(network);
    return NULL;
}

void inventory_put_container(struct inventory *inventory, struct container *container)
{
    inventory_drop_container(inventory, container->id);
    HASH_ADD_KEYPTR(hh, inventory->containers, container->id, strlen(container->id), container);
}

void inventory_put_network(struct inventory *inventory, struct network *network)
{
    inventory_drop_network(inventory, network->id);
    HASH_ADD_KEYPTR(hh, inventory->networks, network->id, strlen(network->id), network);
}

void inventory_drop_container(struct inventory *inventory, const char *id)
{
    struct container *container = inventory_container(inventory, id);

    if (!container)
        return;
    HASH_DEL(inventory->containers, container);
    container_free(container);
}

void inventory_drop_network(struct inventory *inventory, const char *id)
{
    struct network *network = inventory_network(inventory, id);

    if (!network)
        return;
    HASH_DEL(inventory->networks, network);
    network_free(network);
}

struct container *inventory_container(const struct inventory *inventory, const char *id)
{
    struct container *container;

    HASH_FIND_STR(inventory->containers, id, container);
    return container;
}

struct network *inventory_network(const struct inventory *inventory, const char *id)
{
    struct network *network;

    HASH_FIND_STR(inventory->networks, id, network);
    return network;
}

static int find_by_name(const struct inventory *inventory, const char *name, const struct container **ret)
{
    const struct container *found = NULL;

    for (const struct container *c = inventory->containers; c; c = c->hh.next) {
        if (!c->name || strcmp(c->name, name) != 0)
            continue;
        /* Names are unique to the Engine; two here mean that one has been renamed since. Do not guess which.
         */
        if (found)
            return -ENOTUNIQ;
        found = c;
    }
    if (!found)
        return -ENOENT;
    *ret = found;
    return 0;
}

static int find_by_prefix(const struct inventory *inventory, const char *prefix, const struct container **ret)
{
    const struct container *found = NULL;
    size_t len = strlen(prefix);

    for (const struct container *c = inventory->containers; c; c = c->hh.next) {
        if (strncmp(c->id, prefix, len) != 0)
            continue;
        if (found)
            return -ENOTUNIQ;
        found = c;
    }
    if (!found)
        return -ENOENT;
    *ret = found;
    return 0;
}

/* The Engine's own order: a whole ID, then a name, then the beginning of an ID. */
int inventory_find(const struct inventory *inventory, const char *word, const struct container **ret)
{
    const struct container *container = inventory_container(inventory, word);
    int r;

    if (container) {
        *ret = container;
        return 0;
    }
    if (word[0] == '/')
        word++;
    if (word[0] == '\0')
        return -ENOENT;
    r = find_by_name(inventory, word, ret);
    if (r != -ENOENT)
        return r;
    return find_by_prefix(inventory, word, ret);
}

void endpoint_clear(struct endpoint *endpoint)
{
    free(endpoint->network_id);
    free(endpoint->network_name);
    free(endpoint->id);
    *endpoint = (struct endpoint){0};
}

struct endpoint endpoint_copy(const struct endpoint *endpoint)
{
    struct endpoint copy = *endpoint;

    copy.network_id = xstrdup_null(endpoint->network_id);
    copy.network_name = xstrdup_null(endpoint->network_name);
    copy.id = xstrdup_null(endpoint->id);
    return copy;
}

static const char *const transports[] = {[PORT_TCP] = "tcp", [PORT_UDP] = "udp", [PORT_SCTP] = "sctp"};

const char *transport_name(enum port_kind kind)
{
    return kind < (int)ARRAY_SIZE(transports) ? transports[kind] : "?";
}

bool transport_parse(const char *text, enum port_kind *ret)
{
    for (enum port_kind kind = PORT_TCP; kind <= PORT_SCTP; kind++)
        if (strcmp(text, transports[kind]) == 0) {
            *ret = kind;
            return true;
        }
    return false;
}

int published_port_compare(const void *a, const void *b)
{
    const struct published_port *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->inner != y->inner)
        return x->inner < y->inner ? -1 : 1;
    if (x->outer != y->outer)
        return x->outer < y->outer ? -1 : 1;
    return ip_compare(&x->address, &y->address);
}

static int compare_labels(const void *a, const void *b)
{
    return strcmp(((const struct label *)a)->key, ((const struct label *)b)->key);
}

void labels_sort(struct label *labels, size_t n)
{
    if (n > 1)
        qsort(labels, n, sizeof(*labels), compare_labels);
}

static int compare_key(const void *key, const void *label)
{
    return strcmp(key, ((const struct label *)label)->key);
}

static const struct label *find_label(const struct label *labels, size_t n, const char *key)
{
    return n ? bsearch(key, labels, n, sizeof(*labels), compare_key) : NULL;
}

const char *container_label(const struct container *container, const char *key)
{
    const struct label *label = find_label(container->overlay, container->n_overlay, key);

    if (label)
        return label->value;
    label = container->labels_known ? find_label(container->labels, container->n_labels, key) : NULL;
    return label && !label->from_image ? label->value : NULL;
}

bool inventory_owner(const struct inventory *inventory, struct ip ip, const struct container **ret_container,
                     const struct endpoint **ret_endpoint)
{
    for (const struct container *c = inventory->containers; c; c = c->hh.next) {
        for (size_t i = 0; c->running && i < c->n_endpoints; i++) {
            const struct endpoint *endpoint = &c->endpoints[i];

            if (!endpoint->id || !endpoint->has_ip[ip.family] || !ip_equal(endpoint->ip[ip.family], ip))
                continue;
            *ret_container = c;
            *ret_endpoint = endpoint;
            return true;
        }
    }
    return false;
}

bool container_lookups_by_engine(const struct inventory *inventory, const struct container *container)
{
    bool embedded = false;

    for (size_t i = 0; i < container->n_endpoints; i++)
        embedded = embedded || (container->endpoints[i].network_name &&
                                strcmp(container->endpoints[i].network_name, "bridge") != 0);
    return inventory->lookups_by_engine && embedded && container->n_dns == 0;
}
