/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/lock_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "inventory/json.h"
#include "util/hash.h"
#include "util/mem.h"
#include "verdict/lock_json.h"
#include "verdict/lock_list.h"

#define FORMAT_VERSION "1.0"
#define CHECKSUM_MAX sizeof("0123456789abcdef")

/* ---- writing ------------------------------------------------------------------------------------------ */

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

static int parse_locks(const json_t *locks, struct lock_list *list)
{
    const json_t *object;
    size_t i;

    json_array_foreach (locks, i, object) {
        struct lock *lock = lock_from_json(object, false);

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
