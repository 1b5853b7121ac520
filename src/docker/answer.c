/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "answer.h"

#include <ctype.h>
#include <string.h>

#define ID_MAX 128
#define ERROR_TEXT_MAX 500

void answer_diag(struct diags *diags, enum diag_level level, const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list args;

    if (!diags)
        return;
    va_start(args, format);
    text = xvasprintf(format, args);
    va_end(args);
    diag_add(diags, level, NULL, NULL, "%s", text);
}

/* Turns every \u0000 within strings into \ufffd. Behind a backslash stands one character that it takes along.
 */
static void replace_nul_escapes(char *bytes, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (bytes[i] != '\\')
            continue;
        if (len - i >= 6 && memcmp(bytes + i, "\\u0000", 6) == 0)
            memcpy(bytes + i, "\\ufffd", 6);
        i++;
    }
}

/*
 * jansson refuses NUL in a key, and with it the whole text. An image's author can put one in a label, and
 * must not be able to make the list of all containers unreadable.
 */
json_t *answer_load(const char *bytes, size_t len, size_t flags, json_error_t *ret_error)
{
    _cleanup_free_ char *copy = NULL;

    if (len == 0)
        return json_loadb("", 0, flags, ret_error);
    if (!memmem(bytes, len, "\\u0000", 6))
        return json_loadb(bytes, len, flags, ret_error);
    copy = xcalloc(len, 1);
    memcpy(copy, bytes, len);
    replace_nul_escapes(copy, len);
    return json_loadb(copy, len, flags, ret_error);
}

json_t *answer_parse(const char *bytes, size_t len, enum answer_kind kind, const char *what,
                     struct diags *diags)
{
    json_error_t error;
    json_t *json;

    if (len > DOCKER_ANSWER_MAX) {
        answer_diag(diags, DIAG_ERROR, "the Engine's answer to %s is too long: %zu bytes", what, len);
        return NULL;
    }
    json = answer_load(bytes, len, JSON_DECODE_INT_AS_REAL, &error);
    if (!json) {
        answer_diag(diags, DIAG_ERROR, "the Engine's answer to %s is no JSON: %s", what, error.text);
        return NULL;
    }
    if (kind == ANSWER_OBJECT ? json_is_object(json) : json_is_array(json))
        return json;
    answer_diag(diags, DIAG_ERROR, "the Engine's answer to %s is no JSON %s", what,
                kind == ANSWER_OBJECT ? "object" : "array");
    json_decref(json);
    return NULL;
}

const char *answer_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

char *answer_text_copy(const json_t *object, const char *key)
{
    return xstrdup_null(answer_text(object, key));
}

char *answer_text_copy_or_empty(const json_t *object, const char *key)
{
    const char *text = answer_text(object, key);

    return xstrdup(text ? text : "");
}

bool answer_bool(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

const json_t *answer_object(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_object(value) ? value : NULL;
}

const json_t *answer_array(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_array(value) ? value : NULL;
}

/* Hexadecimal for containers, endpoints and local networks; base 36 for Swarm's; "sha256:..." for images. */
bool id_valid(const char *id)
{
    size_t len = strnlen(id, ID_MAX + 1);

    if (len == 0 || len > ID_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)id[i]) && id[i] != ':' && id[i] != '-' && id[i] != '_')
            return false;
    return true;
}

const char *answer_id(const json_t *object, const char *key)
{
    const char *id = answer_text(object, key);

    return id && id_valid(id) ? id : NULL;
}

bool answer_ip(const json_t *object, const char *key, enum ip_family family, struct ip *ret)
{
    const char *text = answer_text(object, key);
    char address[IP_TEXT_MAX];
    struct ip ip;
    size_t len;

    if (!text)
        return false;
    len = strcspn(text, "/");
    if (len == 0 || len >= sizeof(address))
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    if (ip_parse(address, &ip) < 0 || ip.family != family)
        return false;
    *ret = ip;
    return true;
}

void answer_mac(const json_t *object, const char *key, struct endpoint *endpoint)
{
    const char *text = answer_text(object, key);

    endpoint->has_mac = text && mac_parse(text, &endpoint->mac) >= 0;
}

void answer_labels(const json_t *labels, struct label **ret, size_t *ret_n)
{
    json_t *value;
    const char *key;

    *ret = NULL;
    *ret_n = 0;
    json_object_foreach ((json_t *)labels, key, value) {
        struct label *label;

        if (!json_is_string(value))
            continue;
        label = ARRAY_ADD(*ret, *ret_n);
        label->key = xstrdup(key);
        label->value = xstrdup(json_string_value(value));
    }
    labels_sort(*ret, *ret_n);
}

/* One line of at most ERROR_TEXT_MAX bytes, not cut within a character. */
static char *tidy(const char *text, size_t len)
{
    char *line = xcalloc(ERROR_TEXT_MAX + 1, 1);
    size_t n = 0;

    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    for (size_t i = 0; i < len && n < ERROR_TEXT_MAX; i++) {
        unsigned char c = (unsigned char)text[i];
        bool blank = c <= ' ' || c == 0x7f;

        if (!blank)
            line[n++] = (char)c;
        else if (n > 0 && line[n - 1] != ' ')
            line[n++] = ' ';
    }
    if (n == ERROR_TEXT_MAX) {
        while (n > 0 && ((unsigned char)line[n - 1] & 0xc0) == 0x80)
            n--;
        if (n > 0 && (unsigned char)line[n - 1] >= 0xc0)
            n--;
        line[n] = '\0';
    }
    return line;
}

char *docker_error_text(const char *bytes, size_t len)
{
    _cleanup_json_ json_t *json = answer_load(bytes, len, JSON_DECODE_INT_AS_REAL, NULL);
    const char *message = answer_text(json, "message");

    if (message)
        return tidy(message, strlen(message));
    return tidy(bytes, len);
}
