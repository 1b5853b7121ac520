/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/lock_pending.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/lock_state.h"
#include "inventory/json.h"
#include "util/hash.h"
#include "util/mem.h"
#include "verdict/lock_json.h"
#include "verdict/lock_list.h"

#define FORMAT_VERSION "1.0"
#define SUM_LEN (sizeof("0123456789abcdef") - 1)

void lock_op_clear(struct lock_op *op)
{
    free(op->by);
    lock_list_free(op->locks);
    for (size_t i = 0; i < op->n_words; i++)
        free(op->words[i]);
    free(op->words);
    *op = (struct lock_op){0};
}

void lock_pending_clear(struct lock_pending *pending)
{
    for (size_t i = 0; i < pending->n; i++)
        lock_op_clear(&pending->v[i]);
    free(pending->v);
    *pending = (struct lock_pending){0};
}

bool lock_request_is_valid(const char *request)
{
    return strlen(request) == LOCK_REQUEST_SIZE - 1 &&
           strspn(request, "0123456789abcdef") == LOCK_REQUEST_SIZE - 1;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

static void checksum(const char *bytes, size_t len, char ret[static SUM_LEN + 1])
{
    snprintf(ret, SUM_LEN + 1, "%016" PRIx64, hash_bytes(HASH_START, bytes, len));
}

static json_t *list_to_json(const struct lock_list *list)
{
    json_t *locks = json_array();

    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(locks, lock_to_json(list->v[i], false));
    return locks;
}

static void put_what(json_t *object, const struct lock_op *op)
{
    json_t *words;

    switch (op->kind) {
    case LOCK_OP_LOCK:
        json_object_set_new(object, "locks", list_to_json(op->locks));
        break;
    case LOCK_OP_RELEASE:
        words = json_array();
        for (size_t i = 0; i < op->n_words; i++)
            json_array_append_new(words, json_text_or_null(op->words[i]));
        json_object_set_new(object, "release", words);
        break;
    case LOCK_OP_RELEASE_ALL:
        json_object_set_new(object, "release_all", json_true());
        break;
    }
}

char *lock_op_format(const struct lock_op *op, size_t n)
{
    json_t *object =
        json_pack("{s:s, s:I, s:s, s:I, s:o}", "format_version", FORMAT_VERSION, "n", (json_int_t)n,
                  "request", op->request, "time", (json_int_t)op->time, "by", json_text_or_null(op->by));
    char sum[SUM_LEN + 1];

    put_what(object, op);
    _cleanup_free_ char *dump = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    checksum(dump ? dump : "", dump ? strlen(dump) : 0, sum);
    return xasprintf("%s %s\n", sum, dump ? dump : "");
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static bool read_locks(const json_t *locks, struct lock_op *op)
{
    const json_t *object;
    size_t i;

    op->kind = LOCK_OP_LOCK;
    op->locks = lock_list_new();
    json_array_foreach (locks, i, object) {
        struct lock *lock = lock_from_json(object, false);

        if (!lock)
            return false;
        free(lock->request);
        lock->request = xstrdup(op->request);
        lock_list_add(op->locks, lock);
    }
    return op->locks->n > 0;
}

static bool read_words(const json_t *words, struct lock_op *op)
{
    const json_t *word;
    size_t i;

    op->kind = LOCK_OP_RELEASE;
    json_array_foreach (words, i, word) {
        if (!json_is_string(word))
            return false;
        *ARRAY_ADD(op->words, op->n_words) = xstrdup(json_string_value(word));
    }
    return op->n_words > 0;
}

static bool read_op(const json_t *object, struct lock_op *op)
{
    const char *version = json_string_value(json_object_get(object, "format_version")),
               *request = json_string_value(json_object_get(object, "request"));
    const json_t *locks = json_object_get(object, "locks"), *release = json_object_get(object, "release");

    if (!version || strcmp(version, FORMAT_VERSION) != 0 || !request || !lock_request_is_valid(request))
        return false;
    strcpy(op->request, request);
    op->time = (uint64_t)json_integer_value(json_object_get(object, "time"));
    op->by = xstrdup_null(json_string_value(json_object_get(object, "by")));
    if (locks)
        return read_locks(locks, op);
    if (release)
        return read_words(release, op);
    op->kind = LOCK_OP_RELEASE_ALL;
    return json_is_true(json_object_get(object, "release_all"));
}

/* A line without its end. *ret_n: which operation it is. */
static bool read_line(const char *line, size_t len, struct lock_op *op, size_t *ret_n)
{
    char sum[SUM_LEN + 1];
    json_t *object;
    bool good;

    if (len <= SUM_LEN + 1 || line[SUM_LEN] != ' ')
        return false;
    checksum(line + SUM_LEN + 1, len - SUM_LEN - 1, sum);
    if (memcmp(line, sum, SUM_LEN) != 0)
        return false;
    object = json_loadb(line + SUM_LEN + 1, len - SUM_LEN - 1, JSON_REJECT_DUPLICATES, NULL);
    good = read_op(object, op);
    *ret_n = (size_t)json_integer_value(json_object_get(object, "n"));
    json_decref(object);
    return good;
}

/* What cannot be read may have been a lockdown of what was released before. */
static void drop_releases(struct lock_pending *pending)
{
    size_t kept = 0;

    for (size_t i = 0; i < pending->n; i++) {
        if (pending->v[i].kind == LOCK_OP_LOCK)
            pending->v[kept++] = pending->v[i];
        else
            lock_op_clear(&pending->v[i]);
    }
    pending->n = kept;
}

static void add_line(struct lock_pending *pending, const char *line, size_t len, size_t *n)
{
    struct lock_op op = {0};
    size_t number = 0;
    bool good = read_line(line, len, &op, &number) && pending->n < LOCK_OPS_MAX;

    if (!good || number != *n + 1) {
        pending->damaged = true;
        drop_releases(pending);
    }
    *n = good ? number : *n + 1;
    if (!good) {
        lock_op_clear(&op);
        return;
    }
    /* Dropping may have left the array with another room than its length says: it is grown by hand. */
    pending->v = xreallocarray(pending->v, pending->n + 1, sizeof(*pending->v));
    pending->v[pending->n++] = op;
}

void lock_pending_parse(const char *text, size_t len, struct lock_pending *ret)
{
    const char *end = text + len;
    size_t n = 0;

    if (len == 0)
        ret->damaged = true;
    while (text < end) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        size_t line = (size_t)((line_end ? line_end : end) - text);

        add_line(ret, text, line, &n);
        text += line + 1;
    }
}

/* ---- merging ------------------------------------------------------------------------------------------ */

static struct lock_list *carry_out(const struct lock_list *list, const struct lock_op *op,
                                   const struct inventory *inventory)
{
    struct lock_release release = {inventory, op->words, op->n_words, op->kind == LOCK_OP_RELEASE_ALL};

    return op->kind == LOCK_OP_LOCK ? lock_list_with(list, op->locks, inventory)
                                    : lock_list_copy(list, lock_outlives, &release);
}

struct lock_list *lock_pending_merge(const struct lock_list *list, const struct lock_pending *pending,
                                     const struct inventory *inventory)
{
    struct lock_list *merged = lock_list_copy(list, NULL, NULL);

    for (size_t i = 0; i < pending->n; i++) {
        const struct lock_op *op = &pending->v[i];
        struct lock_list *next;

        if (lock_list_knows(merged, op->request))
            continue;
        next = carry_out(merged, op, inventory);
        lock_list_free(merged);
        merged = next;
        lock_list_remember(merged, op->request);
    }
    (void)lock_list_identify(merged, inventory);
    return merged;
}
