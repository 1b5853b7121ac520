/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/policy_state.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "policy/parse.h"
#include "util/hash.h"
#include "util/mem.h"

#define FORMAT_VERSION "1.0"
#define FORMAT_VERSION_HELD "1.1"
#define CHECKSUM_MAX sizeof("0123456789abcdef")

/* ---- held --------------------------------------------------------------------------------------------- */

void held_clear(struct held *held)
{
    free(held->since);
    *held = (struct held){0};
}

struct held held_copy(const struct held *held)
{
    return (struct held){held->reason, held->number, xstrdup_null(held->since)};
}

bool held_same(const struct held *a, const struct held *b)
{
    return a->reason == b->reason && a->number == b->number;
}

const char *held_reason_name(enum held_reason reason)
{
    switch (reason) {
    case HELD_NOT:
        break;
    case HELD_TRIAL:
        return "trial";
    case HELD_EXPIRED:
        return "expired";
    case HELD_ROLLBACK:
        return "rollback";
    }
    return "";
}

json_t *held_to_json(const struct held *held)
{
    return held->reason ? json_pack("{s:s, s:I, s:s}", "reason", held_reason_name(held->reason), "number",
                                    (json_int_t)held->number, "since", held->since)
                        : json_null();
}

static int parse_held(const json_t *object, struct held *ret)
{
    const char *reason = json_string_value(json_object_get(object, "reason")),
               *since = json_string_value(json_object_get(object, "since"));
    const json_t *number = json_object_get(object, "number");
    json_int_t value = json_integer_value(number);

    if (!reason || !is_time_text(since) || !json_is_integer(number) || value < 0 || value > UINT_MAX)
        return -EBADMSG;
    for (enum held_reason i = HELD_TRIAL; i <= HELD_ROLLBACK; i++)
        if (strcmp(reason, held_reason_name(i)) == 0) {
            *ret = (struct held){i, (unsigned)value, xstrdup(since)};
            return 0;
        }
    return -EBADMSG;
}

/* ---- files -------------------------------------------------------------------------------------------- */

static void add_file(struct policy_file **files, size_t *n, const char *path, const char *text, size_t len)
{
    struct policy_file *file = ARRAY_ADD(*files, *n);

    file->path = xstrdup(path);
    file->text = xcalloc(len + 1, 1);
    if (len)
        memcpy(file->text, text, len);
    file->len = len;
}

struct policy_file *policy_files_copy(const struct policy_file *files, size_t n)
{
    struct policy_file *copy = NULL;
    size_t n_copy = 0;

    for (size_t i = 0; i < n; i++)
        add_file(&copy, &n_copy, files[i].path, files[i].text, files[i].len);
    return copy;
}

static bool same_file(const struct policy_file *a, const struct policy_file *b)
{
    return strcmp(a->path, b->path) == 0 && a->len == b->len &&
           (!a->len || memcmp(a->text, b->text, a->len) == 0);
}

bool policy_files_same(const struct policy_file *a, size_t n_a, const struct policy_file *b, size_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (!same_file(&a[i], &b[i]))
            return false;
    return true;
}

static json_t *file_to_json(const struct policy_file *file)
{
    json_t *path = json_string(file->path), *text = json_stringn(file->text, file->len);

    if (path && text)
        return json_pack("{s:o, s:o}", "path", path, "text", text);
    json_decref(path);
    json_decref(text);
    return NULL;
}

json_t *saved_files_to_json(const struct policy_file *files, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(array, file_to_json(&files[i])) == 0)
            continue;
        json_decref(array);
        return NULL;
    }
    return array;
}

static int parse_file(const json_t *object, struct policy_file **files, size_t *n)
{
    const json_t *text = json_object_get(object, "text");
    const char *path = json_string_value(json_object_get(object, "path"));

    if (!path || !path[0] || strlen(path) >= PATH_MAX || !json_is_string(text) ||
        json_string_length(text) > POLICY_FILE_MAX)
        return -EBADMSG;
    add_file(files, n, path, json_string_value(text), json_string_length(text));
    return 0;
}

int saved_files_from_json(const json_t *array, struct policy_file **ret, size_t *ret_n)
{
    struct policy_file *files = NULL;
    const json_t *object;
    size_t n = 0, i;

    if (!json_is_array(array))
        return -EBADMSG;
    json_array_foreach (array, i, object) {
        if (parse_file(object, &files, &n) < 0) {
            policy_files_free(files, n);
            return -EBADMSG;
        }
    }
    *ret = files;
    *ret_n = n;
    return 0;
}

/* ---- the set ------------------------------------------------------------------------------------------ */

void policy_state_clear(struct policy_state *state)
{
    free(state->saved);
    policy_files_free(state->files, state->n_files);
    held_clear(&state->held);
    *state = (struct policy_state){0};
}

void policy_state_set(struct policy_state *state, const char *saved, const struct policy_file *files,
                      size_t n)
{
    struct policy_state copy = {.saved = xstrdup(saved), .files = policy_files_copy(files, n), .n_files = n};

    policy_state_clear(state);
    *state = copy;
}

bool policy_state_same(const struct policy_state *state, const struct policy_file *files, size_t n)
{
    return state->saved && !state->nothing && policy_files_same(state->files, state->n_files, files, n);
}

/* ---- checksum ----------------------------------------------------------------------------------------- */

/* Lengths in front: nothing can move from one text to the next without being seen. */
static uint64_t hash_part(uint64_t hash, const char *text, size_t len)
{
    uint64_t size = len;

    for (unsigned i = 0; i < sizeof(size); i++) {
        unsigned char byte = (unsigned char)(size >> 8 * i);
        hash = hash_bytes(hash, &byte, 1);
    }
    return hash_bytes(hash, text, len);
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return hash_part(hash, text, strlen(text));
}

static uint64_t hash_held(uint64_t hash, const struct policy_state *state)
{
    _cleanup_free_ char *number = xasprintf("%u", state->held.number);

    hash = hash_text(hash, held_reason_name(state->held.reason));
    hash = hash_text(hash, number);
    hash = hash_text(hash, state->held.since);
    return hash_text(hash, state->nothing ? "nothing" : "files");
}

static const char *version_of(const struct policy_state *state)
{
    return state->held.reason ? FORMAT_VERSION_HELD : FORMAT_VERSION;
}

static void checksum(const struct policy_state *state, char ret[static CHECKSUM_MAX])
{
    uint64_t hash = hash_text(HASH_START, version_of(state));

    hash = hash_text(hash, state->saved);
    if (state->held.reason)
        hash = hash_held(hash, state);
    for (size_t i = 0; i < state->n_files; i++) {
        hash = hash_text(hash, state->files[i].path);
        hash = hash_part(hash, state->files[i].text, state->files[i].len);
    }
    snprintf(ret, CHECKSUM_MAX, "%016" PRIx64, hash);
}

/* ---- writing ------------------------------------------------------------------------------------------ */

/* Paths and texts alone; none becomes shorter as JSON. */
static bool too_large(const struct policy_state *state)
{
    size_t size = 0;

    for (size_t i = 0; i < state->n_files && size <= POLICY_STATE_MAX; i++)
        size += strlen(state->files[i].path) + state->files[i].len;
    return size > POLICY_STATE_MAX;
}

int policy_state_format(const struct policy_state *state, char **ret)
{
    char sum[CHECKSUM_MAX];
    json_t *files;

    if (too_large(state))
        return -EFBIG;
    files = state->nothing ? json_null() : saved_files_to_json(state->files, state->n_files);
    if (!files)
        return -EILSEQ;
    checksum(state, sum);
    json_t *document = json_pack("{s:s, s:s, s:s, s:o}", "format_version", version_of(state), "saved",
                                 state->saved, "checksum", sum, "files", files);
    if (state->held.reason)
        json_object_set_new(document, "held", held_to_json(&state->held));
    char *text = json_dumps(document, JSON_INDENT(2));
    json_decref(document);
    if (!text)
        return -EILSEQ;
    if (strlen(text) > POLICY_STATE_MAX) {
        free(text);
        return -EFBIG;
    }
    *ret = text;
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

bool is_time_text(const char *text)
{
    static const char pattern[] = "0000-00-00T00:00:00Z";

    if (!text || strlen(text) != strlen(pattern))
        return false;
    for (size_t i = 0; text[i]; i++)
        if (pattern[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != pattern[i])
            return false;
    return true;
}

static int parse_document(const json_t *document, struct policy_state *state)
{
    const json_t *files = json_object_get(document, "files"), *held = json_object_get(document, "held");
    const char *version = json_string_value(json_object_get(document, "format_version"));
    const char *saved = json_string_value(json_object_get(document, "saved"));
    const char *sum = json_string_value(json_object_get(document, "checksum"));
    char expected[CHECKSUM_MAX];

    if (!version || !is_time_text(saved) || !sum || (held && parse_held(held, &state->held) < 0) ||
        strcmp(version, version_of(state)) != 0)
        return -EBADMSG;
    state->saved = xstrdup(saved);
    state->nothing = held && json_is_null(files);
    if (!state->nothing && saved_files_from_json(files, &state->files, &state->n_files) < 0)
        return -EBADMSG;
    checksum(state, expected);
    return strcmp(sum, expected) == 0 ? 0 : -EBADMSG;
}

int policy_state_parse(const char *text, size_t len, struct policy_state *ret)
{
    struct policy_state state = {0};
    json_t *document = len <= POLICY_STATE_MAX ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    int r = parse_document(document, &state);

    json_decref(document);
    if (r < 0)
        policy_state_clear(&state);
    else
        *ret = state;
    return r;
}
