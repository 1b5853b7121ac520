/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inventory/shared.h"

#include <string.h>

#define HOPS_MAX 8 /* container:x whose x is container:y; a longer chain is a mistake or a ring */

/* ---- paths -------------------------------------------------------------------------------------------- */

/* /var/run is a link to /run, wherever there is an Engine. */
static const char *without_link(const char *path)
{
    static const char link[] = "/var/run";
    size_t len = sizeof(link) - 1;

    return strncmp(path, link, len) == 0 && (path[len] == '/' || path[len] == '\0') ? path + strlen("/var")
                                                                                    : path;
}

static size_t length(const char *path)
{
    size_t len = strlen(path);

    while (len > 0 && path[len - 1] == '/')
        len--;
    return len;
}

/* Is path the folder, or in it? */
static bool is_within(const char *path, const char *folder)
{
    size_t len;

    path = without_link(path);
    folder = without_link(folder);
    len = length(folder);
    return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* ---- mounts ------------------------------------------------------------------------------------------- */

static bool same_volume(const struct mount *a, const struct mount *b)
{
    return a->volume && b->volume && strcmp(a->volume, b->volume) == 0;
}

static bool overlap(const struct mount *a, const struct mount *b, struct shared_mount *ret)
{
    if (a->read_only && b->read_only)
        return false;
    if (same_volume(a, b))
        *ret = (struct shared_mount){.volume = a->volume, .path = a->path ?: b->path};
    else if (a->path && b->path && is_within(a->path, b->path))
        *ret = (struct shared_mount){.path = a->path};
    else if (a->path && b->path && is_within(b->path, a->path))
        *ret = (struct shared_mount){.path = b->path};
    else
        return false;
    ret->own_read_only = a->read_only;
    ret->read_only = b->read_only;
    return true;
}

static void add_shared(struct shared_mount **v, size_t *n, const struct container *own,
                       const struct container *other)
{
    for (size_t i = 0; i < own->n_mounts; i++)
        for (size_t j = 0; j < other->n_mounts && *n < SHARED_MAX; j++) {
            struct shared_mount shared;

            if (!overlap(&own->mounts[i], &other->mounts[j], &shared))
                continue;
            shared.other = other;
            *ARRAY_ADD(*v, *n) = shared;
        }
}

struct shared_mount *container_shared_mounts(const struct inventory *inventory,
                                             const struct container *container, size_t *ret_n)
{
    struct shared_mount *v = NULL;
    size_t n = 0;

    for (const struct container *c = inventory->containers; c && container->n_mounts; c = c->hh.next)
        if (c != container)
            add_shared(&v, &n, container, c);
    *ret_n = n;
    return v;
}

const char *container_engine_socket(const struct container *container, const char *socket)
{
    const char *const sockets[] = {"/run/docker.sock", "/run/containerd/containerd.sock", socket};

    for (size_t i = 0; i < container->n_mounts; i++)
        for (size_t j = 0; j < ARRAY_SIZE(sockets); j++)
            if (container->mounts[i].path && sockets[j] && is_within(sockets[j], container->mounts[i].path))
                return container->mounts[i].path;
    return NULL;
}

/* ---- namespaces --------------------------------------------------------------------------------------- */

static const char *pid_target(const struct container *container)
{
    return container->pid_target;
}

static const char *ipc_target(const struct container *container)
{
    return container->ipc_target;
}

static const struct container *maker(const struct inventory *inventory, const struct container *container,
                                     const char *(*target)(const struct container *))
{
    const struct container *next;

    for (int i = 0; i < HOPS_MAX && target(container); i++) {
        if (inventory_find(inventory, target(container), &next) < 0)
            break;
        container = next;
    }
    return container;
}

bool container_shares_pid(const struct inventory *inventory, const struct container *a,
                          const struct container *b)
{
    return maker(inventory, a, pid_target) == maker(inventory, b, pid_target);
}

bool container_shares_ipc(const struct inventory *inventory, const struct container *a,
                          const struct container *b)
{
    return maker(inventory, a, ipc_target) == maker(inventory, b, ipc_target);
}
