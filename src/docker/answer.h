/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside the codec: reading the Engine's JSON without relying on any of it. */
#pragma once

#include <jansson.h>

#include "docker/decode.h"

enum answer_kind { ANSWER_OBJECT, ANSWER_ARRAY };

/*
 * Parses an answer of that kind; what names it in messages. A new reference, or NULL with an error in diags.
 * All numbers become reals: an integer too large for jansson would otherwise spoil the whole answer.
 */
json_t *answer_parse(const char *bytes, size_t len, enum answer_kind kind, const char *what,
                     struct diags *diags);

/* json_loadb() that a NUL in a text (as \u0000) does not upset: it reads as U+FFFD. */
json_t *answer_load(const char *bytes, size_t len, size_t flags, json_error_t *ret_error);

static inline void json_unref(json_t **json)
{
    json_decref(*json);
}
#define _cleanup_json_ _cleanup_(json_unref)

/* The values of a key; object may be NULL or anything. NULL and false stand for absent, null and of another
 * type. */
const char *answer_text(const json_t *object, const char *key);
char *answer_text_copy(const json_t *object, const char *key);          /* or NULL; the caller frees it */
char *answer_text_copy_or_empty(const json_t *object, const char *key); /* or "" */
bool answer_bool(const json_t *object, const char *key);
const json_t *answer_object(const json_t *object, const char *key);
const json_t *answer_array(const json_t *object, const char *key);

/* The value of key when it is an ID as the Engine makes them, fit to stand in a path; otherwise NULL. */
const char *answer_id(const json_t *object, const char *key);
bool id_valid(const char *id);

/* An address without or with a prefix length behind a slash, of that family. */
bool answer_ip(const json_t *object, const char *key, enum ip_family family, struct ip *ret);
void answer_mac(const json_t *object, const char *key, struct endpoint *endpoint);

/* Labels from an object of texts, sorted. */
void answer_labels(const json_t *labels, struct label **ret, size_t *ret_n);

/* diag_add() that diags may be NULL for. */
void answer_diag(struct diags *diags, enum diag_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
