// SPDX-License-Identifier: GPL-2.0-or-later
#include "learn/learn_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "inventory/json.h"
#include "util/hash.h"
#include "verdict/lock_json.h"

#define FORMAT_VERSION "1.0"
#define CHECKSUM_MAX sizeof("0123456789abcdef")

/* ---- the list ----------------------------------------------------------------------------------------- */

struct learnings *learnings_new(void)
{
    return xnew(struct learnings);
}

struct learnings *learnings_free(struct learnings *list)
{
    if (!list)
        return NULL;
    for (size_t i = 0; i < list->n; i++)
        learning_free(list->v[i]);
    free(list->v);
    free(list);
    return NULL;
}

void learnings_add(struct learnings *list, struct learning *learning)
{
    *ARRAY_ADD(list->v, list->n) = learning;
}

struct learning *learnings_find(const struct learnings *list, const char *title)
{
    for (size_t i = 0; list && i < list->n; i++)
        if (strcmp(list->v[i]->title, title) == 0)
            return list->v[i];
    return NULL;
}

void learnings_remove(struct learnings *list, struct learning *learning)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->n; i++)
        if (list->v[i] != learning)
            list->v[kept++] = list->v[i];
    list->n = kept;
    learning_free(learning);
}

/* ---- writing ------------------------------------------------------------------------------------------ */

static const char *const kinds[] = {
    [LEARN_COMPOSE] = "compose",   [LEARN_LABEL] = "label",       [LEARN_NAME] = "name",
    [LEARN_HOST] = "host",         [LEARN_RESOLVER] = "dns",      [LEARN_ADDRESS] = "address",
    [LEARN_BLOCK] = "block",       [LEARN_INTERNET] = "internet", [LEARN_OUTSIDE] = "outside",
    [LEARN_ELSEWHERE] = "unknown",
};

const char *learn_kind_name(enum learn_kind kind)
{
    return kinds[kind];
}

static json_t *who_json(const struct learn_who *who)
{
    return json_pack("{s:s, s:o, s:o}", "kind", learn_kind_name(who->kind), "first",
                     json_text_or_null(who->first), "second", json_text_or_null(who->second));
}

static json_t *names_json(const struct learn_names *names)
{
    return json_pack("{s:o, s:b}", "names", texts_to_json(names->v, names->n), "more", names->more);
}

static json_t *ip_json(const struct observation *o)
{
    char text[IP_TEXT_MAX];

    return o->has_ip ? json_string(ip_format(o->ip, text)) : json_null();
}

json_t *observation_to_json(const struct observation *o)
{
    return json_pack(
        "{s:o, s:o, s:s, s:i, s:i, s:i, s:o, s:I, s:I, s:b, s:I, s:I, s:o, s:o, s:o}", "subject",
        who_json(&o->subject), "peer", who_json(&o->peer), "direction", direction_name(o->direction),
        "protocol", o->proto, "first_port", o->first_port, "last_port", o->last_port, "address", ip_json(o),
        "allowed", (json_int_t)o->allowed, "denied", (json_int_t)o->denied, "forbidden", o->forbidden,
        "first", (json_int_t)o->first, "last", (json_int_t)o->last, "example", json_text_or_null(o->example),
        "containers", names_json(&o->subjects), "peers", names_json(&o->peers));
}

static json_t *learning_to_json(const struct learning *learning)
{
    json_t *targets = json_array(), *observations = json_array();
    const struct observation *o, *next;

    for (size_t i = 0; i < learning->n_targets; i++)
        json_array_append_new(targets, lock_to_json(learning->targets[i], false));
    HASH_ITER (hh, learning->observations, o, next) {
        json_array_append_new(observations, observation_to_json(o));
    }
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "targets", targets, "by",
                     json_text_or_null(learning->by), "since", (json_int_t)learning->since, "until",
                     (json_int_t)learning->until, "ended", (json_int_t)learning->ended, "new_at",
                     (json_int_t)learning->new_at, "blind", (json_int_t)learning->blind, "left_out",
                     (json_int_t)learning->left_out, "observations", observations);
}

static void checksum(const json_t *list, char ret[static CHECKSUM_MAX])
{
    _cleanup_free_ char *text = json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS);
    uint64_t hash = hash_bytes(HASH_START, FORMAT_VERSION, strlen(FORMAT_VERSION));

    if (text)
        hash = hash_bytes(hash, text, strlen(text));
    snprintf(ret, CHECKSUM_MAX, "%016" PRIx64, hash);
}

char *learn_state_format(const struct learnings *list, uint64_t saved)
{
    json_t *learnings = json_array();
    char sum[CHECKSUM_MAX];

    for (size_t i = 0; list && i < list->n; i++)
        json_array_append_new(learnings, learning_to_json(list->v[i]));
    checksum(learnings, sum);
    json_t *document = json_pack("{s:s, s:s, s:I, s:o}", "format_version", FORMAT_VERSION, "checksum", sum,
                                 "saved", (json_int_t)saved, "learnings", learnings);
    char *dump = json_dumps(document, JSON_COMPACT);
    char *text = xasprintf("%s\n", dump ? dump : "");
    free(dump);
    json_decref(document);
    return text;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

/* All must be there; the first that is not makes the rest of no account. */
struct reader {
    const json_t *object;
    bool bad;
};

static uint64_t get_number(struct reader *reader, const char *key, uint64_t max)
{
    const json_t *value = json_object_get(reader->object, key);
    json_int_t number = json_integer_value(value);

    if (json_is_integer(value) && number >= 0 && (uint64_t)number <= max)
        return (uint64_t)number;
    reader->bad = true;
    return 0;
}

static bool get_bool(struct reader *reader, const char *key)
{
    const json_t *value = json_object_get(reader->object, key);

    reader->bad = reader->bad || !json_is_boolean(value);
    return json_is_true(value);
}

/* NULL where it is null. */
static char *get_text(struct reader *reader, const char *key)
{
    const json_t *value = json_object_get(reader->object, key);

    reader->bad = reader->bad || (!json_is_string(value) && !json_is_null(value));
    return xstrdup_null(json_string_value(value));
}

static bool needs_first(enum learn_kind kind)
{
    return kind == LEARN_COMPOSE || kind == LEARN_LABEL || kind == LEARN_NAME || kind == LEARN_ADDRESS ||
           kind == LEARN_BLOCK;
}

static struct learn_who get_who(struct reader *reader, const char *key)
{
    struct reader inner = {.object = json_object_get(reader->object, key)};
    _cleanup_free_ char *word = get_text(&inner, "kind");
    struct learn_who who = {.first = get_text(&inner, "first"), .second = get_text(&inner, "second")};
    size_t kind = 0;

    while (word && kind < ARRAY_SIZE(kinds) && strcmp(kinds[kind], word) != 0)
        kind++;
    inner.bad = inner.bad || !word || kind == ARRAY_SIZE(kinds);
    if (!inner.bad) {
        who.kind = (enum learn_kind)kind;
        inner.bad = (needs_first(who.kind) && !who.first) ||
                    ((who.kind == LEARN_COMPOSE || who.kind == LEARN_LABEL) && !who.second);
    }
    reader->bad = reader->bad || inner.bad;
    return who;
}

static struct learn_names get_names(struct reader *reader, const char *key)
{
    struct reader inner = {.object = json_object_get(reader->object, key)};
    const json_t *list = json_object_get(inner.object, "names"), *item;
    struct learn_names names = {.more = get_bool(&inner, "more")};
    size_t i;

    inner.bad = inner.bad || !json_is_array(list) || json_array_size(list) > LEARN_NAMES_MAX;
    json_array_foreach (list, i, item)
        if (!inner.bad && json_is_string(item))
            *ARRAY_ADD(names.v, names.n) = xstrdup(json_string_value(item));
    reader->bad = reader->bad || inner.bad;
    return names;
}

static enum direction get_direction(struct reader *reader)
{
    _cleanup_free_ char *word = get_text(reader, "direction");

    for (enum direction d = INGRESS; word && d < DIRECTIONS; d++)
        if (strcmp(word, direction_name(d)) == 0)
            return d;
    reader->bad = true;
    return INGRESS;
}

/* NULL: it is none. */
static struct observation *read_observation(const json_t *json)
{
    struct reader reader = {.object = json};
    struct observation *o = xnew(struct observation);
    _cleanup_free_ char *address = get_text(&reader, "address");

    o->subject = get_who(&reader, "subject");
    o->peer = get_who(&reader, "peer");
    o->direction = get_direction(&reader);
    o->proto = (uint8_t)get_number(&reader, "protocol", UINT8_MAX);
    o->first_port = (uint16_t)get_number(&reader, "first_port", UINT16_MAX);
    o->last_port = (uint16_t)get_number(&reader, "last_port", UINT16_MAX);
    o->allowed = get_number(&reader, "allowed", INT64_MAX);
    o->denied = get_number(&reader, "denied", INT64_MAX);
    o->forbidden = get_bool(&reader, "forbidden");
    o->first = get_number(&reader, "first", INT64_MAX);
    o->last = get_number(&reader, "last", INT64_MAX);
    o->example = get_text(&reader, "example");
    o->subjects = get_names(&reader, "containers");
    o->peers = get_names(&reader, "peers");
    o->has_ip = address && ip_parse(address, &o->ip) == 0;
    if (!reader.bad && !(o->peer.kind == LEARN_ADDRESS && !o->has_ip))
        return o;
    observation_free(o);
    return NULL;
}

static int read_observations(const json_t *list, struct learning *learning)
{
    const json_t *item;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) > LEARN_OBSERVATIONS_MAX)
        return -EBADMSG;
    json_array_foreach (list, i, item) {
        struct observation *o = read_observation(item);

        if (!o)
            return -EBADMSG;
        learning_put(learning, o);
    }
    return 0;
}

static int read_targets(const json_t *list, struct learning *learning)
{
    const json_t *item;
    size_t i;

    if (json_array_size(list) == 0 || json_array_size(list) > LEARN_TARGETS_MAX)
        return -EBADMSG;
    json_array_foreach (list, i, item) {
        struct lock *lock = lock_from_json(item, false);

        if (!lock)
            return -EBADMSG;
        learning_add(learning, lock);
    }
    learning_settle(learning);
    return 0;
}

static int read_learning(const json_t *json, struct learning *learning)
{
    struct reader reader = {.object = json};
    int r;

    learning->by = get_text(&reader, "by");
    learning->since = get_number(&reader, "since", INT64_MAX);
    learning->until = get_number(&reader, "until", INT64_MAX);
    learning->ended = get_number(&reader, "ended", INT64_MAX);
    learning->new_at = get_number(&reader, "new_at", INT64_MAX);
    learning->blind = get_number(&reader, "blind", INT64_MAX);
    learning->left_out = get_number(&reader, "left_out", INT64_MAX);
    if (reader.bad)
        return -EBADMSG;
    r = read_targets(json_object_get(json, "targets"), learning);
    return r < 0 ? r : read_observations(json_object_get(json, "observations"), learning);
}

/* From when it was saved until now, or until its end. */
static void count_blind(struct learning *learning, uint64_t saved, uint64_t now)
{
    uint64_t end = learning->until && learning->until < now ? learning->until : now;

    if (!learning->ended && end > saved)
        learning->blind += end - saved;
}

static int read_list(const json_t *document, uint64_t now, struct learnings *list)
{
    struct reader reader = {.object = document};
    uint64_t saved = get_number(&reader, "saved", INT64_MAX);
    const json_t *items = json_object_get(document, "learnings"), *item;
    size_t i;

    if (reader.bad || json_array_size(items) > LEARNINGS_MAX)
        return -EBADMSG;
    json_array_foreach (items, i, item) {
        struct learning *learning = learning_new();
        int r;

        learnings_add(list, learning);
        r = read_learning(item, learning);
        if (r < 0)
            return r;
        count_blind(learning, saved, now);
    }
    return 0;
}

int learn_state_parse(const char *text, size_t len, uint64_t now, struct learnings **ret)
{
    json_t *document = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    const char *version = json_string_value(json_object_get(document, "format_version"));
    const char *sum = json_string_value(json_object_get(document, "checksum"));
    const json_t *items = json_object_get(document, "learnings");
    _cleanup_(learnings_freep) struct learnings *list = learnings_new();
    char expected[CHECKSUM_MAX];
    int r = -EBADMSG;

    if (version && strcmp(version, FORMAT_VERSION) == 0 && sum && json_is_array(items)) {
        checksum(items, expected);
        if (strcmp(sum, expected) == 0)
            r = read_list(document, now, list);
    }
    json_decref(document);
    if (r == 0)
        *ret = STEAL(list);
    return r;
}
