/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/lock_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "inventory/json.h"
#include "util/hash.h"
#include "util/mem.h"
#include "verdict/lock_list.h"

#define FORMAT_VERSION "1.0"
#define CHECKSUM_MAX sizeof("0123456789abcdef")

/* ---- writing ------------------------------------------------------------------------------------------ */

static json_t *texts_to_json(char *const *v, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, json_text_or_null(v[i]));
    return array;
}

json_t *lock_to_json(const struct lock *lock, bool public)
{
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:I, s:I}", "id",
        json_text_or_null(lock->id), "name", json_text_or_null(lock->name), "project",
        json_text_or_null(lock->project), "service", json_text_or_null(lock->service), "number",
        json_text_or_null(lock->number), "select", json_text_or_null(lock->select_text), "except",
        texts_to_json(lock->except, lock->n_except), "address", json_text_or_null(lock->address), "interface",
        json_text_or_null(lock->interface), "direction", lock_cut_name(lock->cut), "allow",
        texts_to_json(lock->allow, lock->n_allow), "reason", json_text_or_null(lock->reason), "by",
        json_text_or_null(lock->by), "since", (json_int_t)lock->since, "until", (json_int_t)lock->until);

    if (!public) {
        json_object_set_new(object, "boot", json_text_or_null(lock->boot));
        json_object_set_new(object, "boot_until", json_integer((json_int_t)lock->boot_until));
        json_object_set_new(object, "request", json_text_or_null(lock->request));
    }
    return object;
}

static void checksum(const json_t *list, char ret[static CHECKSUM_MAX])
{
    _cleanup_free_ char *text = json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS);
    uint64_t hash = hash_bytes(HASH_START, FORMAT_VERSION, strlen(FORMAT_VERSION));

    if (text)
        hash = hash_bytes(hash, text, strlen(text));
    snprintf(ret, CHECKSUM_MAX, "%016" PRIx64, hash);
}

/* With a checksum of their own: who does not know them finds the rest whole. */
static void put_requests(json_t *document, const struct lock_list *list)
{
    json_t *requests = texts_to_json(list->requests, list->n_requests);
    char sum[CHECKSUM_MAX];

    if (list->n_requests > 0) {
        checksum(requests, sum);
        json_object_set(document, "requests", requests);
        json_object_set_new(document, "requests_checksum", json_string(sum));
    }
    json_decref(requests);
}

char *lock_state_format(const struct lock_list *list)
{
    json_t *locks = json_array();
    char sum[CHECKSUM_MAX];

    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(locks, lock_to_json(list->v[i], false));
    checksum(locks, sum);
    json_t *document =
        json_pack("{s:s, s:s, s:o}", "format_version", FORMAT_VERSION, "checksum", sum, "locks", locks);
    put_requests(document, list);
    char *dump = json_dumps(document, JSON_INDENT(2));
    char *text = xasprintf("%s\n", dump ? dump : "");
    free(dump);
    json_decref(document);
    return text;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static char *get_text(const json_t *object, const char *key)
{
    return xstrdup_null(json_string_value(json_object_get(object, key)));
}

static bool is_whole(const struct lock *lock)
{
    return lock->cut && (lock->select_text || lock->id || lock->name || lock->address || lock->interface);
}

struct lock *lock_from_json(const json_t *object)
{
    const char *direction = json_string_value(json_object_get(object, "direction"));
    const char *select = json_string_value(json_object_get(object, "select")), *why;
    const char *address = json_string_value(json_object_get(object, "address"));
    const char *interface = json_string_value(json_object_get(object, "interface"));
    _cleanup_(lock_freep) struct lock *lock = lock_new();
    const json_t *item;
    bool good = true;
    size_t i;

    lock->cut = direction ? lock_cut_parse(direction) : 0;
    lock->id = get_text(object, "id");
    lock->name = get_text(object, "name");
    lock->project = get_text(object, "project");
    lock->service = get_text(object, "service");
    lock->number = get_text(object, "number");
    lock->reason = get_text(object, "reason");
    lock->by = get_text(object, "by");
    lock->boot = get_text(object, "boot");
    lock->request = get_text(object, "request");
    lock->since = (uint64_t)json_integer_value(json_object_get(object, "since"));
    lock->until = (uint64_t)json_integer_value(json_object_get(object, "until"));
    lock->boot_until = (uint64_t)json_integer_value(json_object_get(object, "boot_until"));
    if (select)
        good = lock_select(lock, select, &why) == 0;
    if (address)
        good = good && lock_by_address(lock, address, &why) == 0;
    if (interface)
        good = good && lock_by_interface(lock, interface, &why) == 0;
    json_array_foreach (json_object_get(object, "except"), i, item) {
        good = good && json_is_string(item);
        *ARRAY_ADD(lock->except, lock->n_except) = xstrdup(good ? json_string_value(item) : "");
    }
    json_array_foreach (json_object_get(object, "allow"), i, item)
        good = good && json_is_string(item) && lock_allow(lock, json_string_value(item), &why) == 0;
    return good && is_whole(lock) ? STEAL(lock) : NULL;
}

static int parse_locks(const json_t *locks, struct lock_list *list)
{
    const json_t *object;
    size_t i;

    json_array_foreach (locks, i, object) {
        struct lock *lock = lock_from_json(object);

        if (!lock || list->n >= LOCKS_MAX) {
            lock_free(lock);
            return -EBADMSG;
        }
        lock_list_add(list, lock);
    }
    return 0;
}

static bool has_checksum(const json_t *list, const json_t *sum)
{
    const char *text = json_string_value(sum);
    char expected[CHECKSUM_MAX];

    if (!text || !json_is_array(list))
        return false;
    checksum(list, expected);
    return strcmp(text, expected) == 0;
}

static int parse_requests(const json_t *document, struct lock_list *list)
{
    const json_t *requests = json_object_get(document, "requests"), *item,
                 *sum = json_object_get(document, "requests_checksum");
    size_t i;

    if (!requests && !sum) /* an earlier daemon's */
        return 0;
    if (!has_checksum(requests, sum) || json_array_size(requests) > LOCK_REQUESTS_MAX)
        return -EBADMSG;
    json_array_foreach (requests, i, item) {
        if (!json_is_string(item))
            return -EBADMSG;
        lock_list_remember(list, json_string_value(item));
    }
    return 0;
}

int lock_state_parse(const char *text, size_t len, struct lock_list **ret)
{
    json_t *document = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *locks = json_object_get(document, "locks");
    const char *version = json_string_value(json_object_get(document, "format_version"));
    _cleanup_(lock_list_freep) struct lock_list *list = lock_list_new();
    int r = -EBADMSG;

    if (version && strcmp(version, FORMAT_VERSION) == 0 &&
        has_checksum(locks, json_object_get(document, "checksum")))
        r = parse_locks(locks, list);
    if (r == 0)
        r = parse_requests(document, list);
    json_decref(document);
    if (r == 0)
        *ret = STEAL(list);
    return r;
}
