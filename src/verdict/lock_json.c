/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verdict/lock_json.h"

#include <errno.h>

#include "inventory/json.h"
#include "util/mem.h"
#include "util/utc.h"

/* ---- writing ------------------------------------------------------------------------------------------ */

static json_t *time_to_json(uint64_t seconds, bool public)
{
    _cleanup_free_ char *text = utc_text(seconds);

    if (!public)
        return json_integer((json_int_t)seconds);
    return seconds && *text ? json_string(text) : json_null();
}

json_t *lock_to_json(const struct lock *lock, bool public)
{
    json_t *object =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "id",
                  json_text_or_null(lock->id), "name", json_text_or_null(lock->name), "project",
                  json_text_or_null(lock->project), "service", json_text_or_null(lock->service), "number",
                  json_text_or_null(lock->number), "select", json_text_or_null(lock->select_text), "except",
                  texts_to_json(lock->except, lock->n_except), "address", json_text_or_null(lock->address),
                  "interface", json_text_or_null(lock->interface), "direction", lock_cut_name(lock->cut),
                  "allow", texts_to_json(lock->allow, lock->n_allow), "reason",
                  json_text_or_null(lock->reason), "by", json_text_or_null(lock->by), "since",
                  time_to_json(lock->since, public), "until", time_to_json(lock->until, public));

    if (!public) {
        json_object_set_new(object, "boot", json_text_or_null(lock->boot));
        json_object_set_new(object, "boot_until", json_integer((json_int_t)lock->boot_until));
        json_object_set_new(object, "request", json_text_or_null(lock->request));
    }
    return object;
}

static json_t *meant_to_json(const struct lock *lock, const struct inventory *inventory)
{
    json_t *names = json_array();

    for (const struct container *c = inventory->containers; c; c = c->hh.next)
        if (lock_means(lock, c))
            json_array_append_new(names, json_text_or_null(c->name ? c->name : c->id));
    return names;
}

json_t *locks_to_json(const struct lock_list *list, const struct inventory *inventory)
{
    json_t *array = json_array();

    for (size_t i = 0; list && i < list->n; i++) {
        json_t *object = lock_to_json(list->v[i], true);

        json_object_set_new(object, "text", json_text_or_null(lock_text(list->v[i])));
        json_object_set_new(object, "containers", meant_to_json(list->v[i], inventory));
        json_array_append_new(array, object);
    }
    return array;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static char *get_text(const json_t *object, const char *key)
{
    return xstrdup_null(json_string_value(json_object_get(object, key)));
}

static uint64_t get_number(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static bool read_time(const json_t *object, const char *key, bool public, uint64_t *ret)
{
    const json_t *value = json_object_get(object, key);

    if (public && value && !json_is_null(value))
        return json_is_string(value) && utc_parse(json_string_value(value), ret) == 0;
    *ret = public ? 0 : get_number(object, key);
    return true;
}

static void read_names(const json_t *object, struct lock *lock)
{
    lock->id = get_text(object, "id");
    lock->name = get_text(object, "name");
    lock->project = get_text(object, "project");
    lock->service = get_text(object, "service");
    lock->number = get_text(object, "number");
    lock->reason = get_text(object, "reason");
    lock->by = get_text(object, "by");
}

/* What it cuts is known, as exceptions depend on that. */
static bool read_lists(const json_t *object, struct lock *lock)
{
    const char *select = json_string_value(json_object_get(object, "select")), *why;
    const char *address = json_string_value(json_object_get(object, "address"));
    const char *interface = json_string_value(json_object_get(object, "interface"));
    bool good = !select || lock_select(lock, select, &why) == 0;
    const json_t *item;
    size_t i;

    good = good && (!address || lock_by_address(lock, address, &why) == 0) &&
           (!interface || lock_by_interface(lock, interface, &why) == 0);
    json_array_foreach (json_object_get(object, "except"), i, item) {
        good = good && json_is_string(item);
        *ARRAY_ADD(lock->except, lock->n_except) = xstrdup(good ? json_string_value(item) : "");
    }
    json_array_foreach (json_object_get(object, "allow"), i, item)
        good = good && json_is_string(item) && lock_allow(lock, json_string_value(item), &why) == 0;
    return good;
}

static bool is_whole(const struct lock *lock)
{
    return lock->cut && (lock->select_text || lock->id || lock->name || lock->address || lock->interface);
}

struct lock *lock_from_json(const json_t *object, bool public)
{
    const char *direction = json_string_value(json_object_get(object, "direction"));
    _cleanup_(lock_freep) struct lock *lock = lock_new();

    lock->cut = direction ? lock_cut_parse(direction) : 0;
    read_names(object, lock);
    if (!lock->cut || !read_lists(object, lock) || !is_whole(lock) ||
        !read_time(object, "since", public, &lock->since) ||
        !read_time(object, "until", public, &lock->until))
        return NULL;
    if (!public) {
        lock->boot = get_text(object, "boot");
        lock->boot_until = get_number(object, "boot_until");
        lock->request = get_text(object, "request");
    }
    return STEAL(lock);
}

int locks_from_json(const json_t *json, struct lock_list **ret, struct diags *diags)
{
    _cleanup_(lock_list_freep) struct lock_list *list = lock_list_new();
    const json_t *object;
    size_t i;

    if (json && !json_is_null(json) && (!json_is_array(json) || json_array_size(json) > LOCKS_MAX)) {
        diag_add(diags, DIAG_ERROR, NULL, NULL, "\"lockdowns\" is no list of at most %d lockdowns",
                 LOCKS_MAX);
        return -EBADMSG;
    }
    json_array_foreach (json, i, object) {
        struct lock *lock = lock_from_json(object, true);

        if (!lock) {
            diag_add(diags, DIAG_ERROR, NULL, NULL, "lockdown %zu is not understood", i + 1);
            return -EBADMSG;
        }
        lock_list_add(list, lock);
    }
    *ret = STEAL(list);
    return 0;
}
