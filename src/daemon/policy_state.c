/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/policy_state.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "policy/parse.h"
#include "util/hash.h"
#include "util/mem.h"

#define FORMAT_VERSION "1.0"
#define CHECKSUM_MAX sizeof("0123456789abcdef")

void policy_state_clear(struct policy_state *state)
{
    free(state->saved);
    policy_files_free(state->files, state->n_files);
    *state = (struct policy_state){0};
}

static void add_file(struct policy_state *state, const char *path, const char *text, size_t len)
{
    struct policy_file *file = ARRAY_ADD(state->files, state->n_files);

    file->path = xstrdup(path);
    file->text = xcalloc(len + 1, 1);
    if (len)
        memcpy(file->text, text, len);
    file->len = len;
}

void policy_state_set(struct policy_state *state, const char *saved, const struct policy_file *files,
                      size_t n)
{
    struct policy_state copy = {.saved = xstrdup(saved)};

    for (size_t i = 0; i < n; i++)
        add_file(&copy, files[i].path, files[i].text, files[i].len);
    policy_state_clear(state);
    *state = copy;
}

static bool same_file(const struct policy_file *a, const struct policy_file *b)
{
    return strcmp(a->path, b->path) == 0 && a->len == b->len &&
           (!a->len || memcmp(a->text, b->text, a->len) == 0);
}

bool policy_state_same(const struct policy_state *state, const struct policy_file *files, size_t n)
{
    if (!state->saved || state->n_files != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!same_file(&state->files[i], &files[i]))
            return false;
    return true;
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

static void checksum(const struct policy_state *state, char ret[static CHECKSUM_MAX])
{
    uint64_t hash = hash_part(HASH_START, FORMAT_VERSION, strlen(FORMAT_VERSION));

    hash = hash_part(hash, state->saved, strlen(state->saved));
    for (size_t i = 0; i < state->n_files; i++) {
        hash = hash_part(hash, state->files[i].path, strlen(state->files[i].path));
        hash = hash_part(hash, state->files[i].text, state->files[i].len);
    }
    snprintf(ret, CHECKSUM_MAX, "%016" PRIx64, hash);
}

/* ---- writing ------------------------------------------------------------------------------------------ */

static json_t *file_to_json(const struct policy_file *file)
{
    json_t *path = json_string(file->path), *text = json_stringn(file->text, file->len);

    if (path && text)
        return json_pack("{s:o, s:o}", "path", path, "text", text);
    json_decref(path);
    json_decref(text);
    return NULL;
}

static json_t *files_to_json(const struct policy_state *state)
{
    json_t *array = json_array();

    for (size_t i = 0; i < state->n_files; i++) {
        if (json_array_append_new(array, file_to_json(&state->files[i])) == 0)
            continue;
        json_decref(array);
        return NULL;
    }
    return array;
}

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
    files = files_to_json(state);
    if (!files)
        return -EILSEQ;
    checksum(state, sum);
    json_t *document = json_pack("{s:s, s:s, s:s, s:o}", "format_version", FORMAT_VERSION, "saved",
                                 state->saved, "checksum", sum, "files", files);
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

/* It is shown to people. */
static bool is_time(const char *text)
{
    static const char pattern[] = "0000-00-00T00:00:00Z";

    if (!text || strlen(text) != strlen(pattern))
        return false;
    for (size_t i = 0; text[i]; i++)
        if (pattern[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != pattern[i])
            return false;
    return true;
}

static int parse_file(const json_t *object, struct policy_state *state)
{
    const json_t *text = json_object_get(object, "text");
    const char *path = json_string_value(json_object_get(object, "path"));

    if (!path || !path[0] || strlen(path) >= PATH_MAX || !json_is_string(text) ||
        json_string_length(text) > POLICY_FILE_MAX)
        return -EBADMSG;
    add_file(state, path, json_string_value(text), json_string_length(text));
    return 0;
}

static int parse_document(const json_t *document, struct policy_state *state)
{
    const json_t *files = json_object_get(document, "files"), *object;
    const char *version = json_string_value(json_object_get(document, "format_version"));
    const char *saved = json_string_value(json_object_get(document, "saved"));
    const char *sum = json_string_value(json_object_get(document, "checksum"));
    char expected[CHECKSUM_MAX];
    size_t i;

    if (!version || strcmp(version, FORMAT_VERSION) != 0 || !is_time(saved) || !sum || !json_is_array(files))
        return -EBADMSG;
    state->saved = xstrdup(saved);
    json_array_foreach (files, i, object) {
        if (parse_file(object, state) < 0)
            return -EBADMSG;
    }
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
