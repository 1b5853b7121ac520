/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/label_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "inventory/json.h"
#include "util/hash.h"
#include "util/mem.h"

#define FORMAT_VERSION "1.0"
#define CHECKSUM_MAX sizeof("0123456789abcdef")

/* ---- writing ------------------------------------------------------------------------------------------ */

json_t *given_label_to_json(const struct given_label *label)
{
    _cleanup_free_ char *by = who_text(&label->who);
    const char *name = label->whom->name ? label->whom->name : label->whom->id;

    return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o, s:I, s:o, s:o}", "container", json_text_or_null(name),
                     "id", json_text_or_null(label->whom->id), "key", json_text_or_null(label->key), "value",
                     json_text_or_null(label->value), "follow", label->follow, "reason",
                     json_text_or_null(label->reason), "since", (json_int_t)label->since, "ended",
                     label->ended ? json_integer((json_int_t)label->ended) : json_null(), "by",
                     json_text_or_null(by));
}

static json_t *label_to_state(const struct given_label *label)
{
    const struct lock *whom = label->whom;

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:I, s:I, s:o}", "id",
                     json_text_or_null(whom->id), "name", json_text_or_null(whom->name), "project",
                     json_text_or_null(whom->project), "service", json_text_or_null(whom->service), "number",
                     json_text_or_null(whom->number), "key", json_text_or_null(label->key), "value",
                     json_text_or_null(label->value), "follow", label->follow, "reason",
                     json_text_or_null(label->reason), "since", (json_int_t)label->since, "ended",
                     (json_int_t)label->ended, "who", who_to_json(&label->who));
}

static void checksum(const json_t *labels, char ret[static CHECKSUM_MAX])
{
    _cleanup_free_ char *text = json_dumps(labels, JSON_COMPACT | JSON_SORT_KEYS);
    uint64_t hash = hash_bytes(HASH_START, FORMAT_VERSION, strlen(FORMAT_VERSION));

    if (text)
        hash = hash_bytes(hash, text, strlen(text));
    snprintf(ret, CHECKSUM_MAX, "%016" PRIx64, hash);
}

char *label_state_format(const struct given_labels *list)
{
    json_t *labels = json_array();
    char sum[CHECKSUM_MAX];

    for (size_t i = 0; list && i < list->n; i++)
        json_array_append_new(labels, label_to_state(&list->v[i]));
    checksum(labels, sum);
    json_t *document =
        json_pack("{s:s, s:s, s:o}", "format_version", FORMAT_VERSION, "checksum", sum, "labels", labels);
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

static bool is_time(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool is_whole(const struct given_label *label, const json_t *object)
{
    const char *why;

    return label->whom->id && label->key && label->value && label_key_check(label->key, &why) == 0 &&
           label_value_check(label->value, &why) == 0 && json_is_boolean(json_object_get(object, "follow")) &&
           is_time(json_object_get(object, "since")) && is_time(json_object_get(object, "ended"));
}

/* What is not whole is to be cleared all the same. */
static bool parse_label(const json_t *object, struct given_label *label)
{
    bool has_who = who_from_json(json_object_get(object, "who"), &label->who) == 0;

    label->whom = lock_new();
    label->whom->id = get_text(object, "id");
    label->whom->name = get_text(object, "name");
    label->whom->project = get_text(object, "project");
    label->whom->service = get_text(object, "service");
    label->whom->number = get_text(object, "number");
    label->follow = json_is_true(json_object_get(object, "follow"));
    label->key = get_text(object, "key");
    label->value = get_text(object, "value");
    label->reason = get_text(object, "reason");
    label->since = (uint64_t)json_integer_value(json_object_get(object, "since"));
    label->ended = (uint64_t)json_integer_value(json_object_get(object, "ended"));
    return has_who && is_whole(label, object);
}

static int parse_labels(const json_t *labels, struct given_labels *list)
{
    const json_t *object;
    size_t i;

    if (json_array_size(labels) > LABELS_MAX + LABELS_ENDED_MAX)
        return -EBADMSG;
    json_array_foreach (labels, i, object)
        if (!parse_label(object, ARRAY_ADD(list->v, list->n)))
            return -EBADMSG;
    return 0;
}

int label_state_parse(const char *text, size_t len, struct given_labels **ret)
{
    json_t *document = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *labels = json_object_get(document, "labels");
    const char *version = json_string_value(json_object_get(document, "format_version"));
    const char *sum = json_string_value(json_object_get(document, "checksum"));
    _cleanup_(given_labels_freep) struct given_labels *list = given_labels_new();
    char expected[CHECKSUM_MAX];
    int r = -EBADMSG;

    if (version && strcmp(version, FORMAT_VERSION) == 0 && sum && json_is_array(labels)) {
        checksum(labels, expected);
        if (strcmp(sum, expected) == 0)
            r = parse_labels(labels, list);
    }
    json_decref(document);
    if (r == 0)
        *ret = STEAL(list);
    return r;
}
