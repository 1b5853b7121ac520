/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inventory/shared.h"

#include "inventory/json.h"

static const char *const namespace_names[] = {"pid", "ipc"};

static json_t *name_json(const struct container *container)
{
    return json_text_or_null(container->name ?: container->id);
}

static json_t *namespaces_json(const struct inventory *inventory, const struct container *container)
{
    bool (*const shares[])(const struct inventory *, const struct container *,
                           const struct container *) = {container_shares_pid, container_shares_ipc};
    json_t *list = json_array();

    for (const struct container *c = inventory->containers; c; c = c->hh.next)
        for (size_t i = 0; c != container && i < ARRAY_SIZE(shares); i++)
            if (shares[i](inventory, container, c))
                json_array_append_new(
                    list, json_pack("{s:o, s:s}", "name", name_json(c), "namespace", namespace_names[i]));
    return list;
}

static json_t *mounts_json(const struct inventory *inventory, const struct container *container)
{
    json_t *list = json_array();
    size_t n;
    _cleanup_free_ struct shared_mount *mounts = container_shared_mounts(inventory, container, &n);

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:b, s:b}", "name", name_json(mounts[i].other),
                                              "volume", json_text_or_null(mounts[i].volume), "path",
                                              json_text_or_null(mounts[i].path), "read_only",
                                              mounts[i].read_only, "own_read_only", mounts[i].own_read_only));
    return list;
}

void json_put_shared(json_t *object, const struct inventory *inventory, const struct container *container,
                     const char *socket)
{
    json_object_set_new(object, "engine_socket",
                        json_text_or_null(container_engine_socket(container, socket)));
    json_object_set_new(object, "shares_namespaces_with", namespaces_json(inventory, container));
    json_object_set_new(object, "shares_volumes_with", mounts_json(inventory, container));
}
