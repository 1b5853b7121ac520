/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * YAML as a small tree of nodes with their places. It is made from libyaml's events, not from its documents:
 * depth is limited while parsing, and what the language leaves out of YAML (anchors, aliases, merge keys,
 * tags, keys that are no text, duplicate keys) is reported where it stands. Scalars stay text: only the
 * schema gives them a type.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "source.h"
#include "util/mem.h"

#define SCALAR_MAX 4096 /* bytes */

enum node_kind {
    NODE_SCALAR,
    NODE_LIST,
    NODE_MAPPING,
    NODE_BAD, /* reported already: nothing more is to be said about it */
};

struct pair {
    struct node *key; /* NODE_SCALAR */
    struct node *value;
};

struct node {
    enum node_kind kind;
    bool plain;            /* scalar: without quotes, and not a block of text */
    bool block;            /* list, mapping: not in brackets */
    char *text;            /* scalar: no NUL within */
    struct node **items;   /* list */
    struct pair *pairs;    /* mapping: no two with the same key */
    size_t n;              /* of items or pairs */
    struct source_pos pos; /* file is not set */
};

struct node *node_free(struct node *node);
DEFINE_CLEANUP(struct node *, node_free);

struct node *mapping_get(const struct node *mapping, const char *key); /* or NULL; NULL for other nodes */
/* A scalar that YAML takes for null: empty, ~ or null, without quotes. */
bool node_is_null(const struct node *node);
/* "text", "a list", "a mapping", "nothing": what the node is, for messages. */
const char *node_describe(const struct node *node);

#define SHOWN_MAX 128
/* Text from a file as a message may quote it: cut to 60 characters, nothing in it that could not be printed.
 */
const char *text_shown(const char *text, char buffer[static SHOWN_MAX]);

struct yaml_reader;

/* The source must have passed source_check(), and outlive the reader. */
struct yaml_reader *yaml_reader_new(struct source *source);
struct yaml_reader *yaml_reader_free(struct yaml_reader *reader);
DEFINE_CLEANUP(struct yaml_reader *, yaml_reader_free);

/*
 * The next document. 1: *ret is it, for the caller to free; a document without content is a scalar that is
 * null. 0: there is no more. -EBADMSG: this one cannot be read, as reported; the next call goes on after it.
 */
int yaml_reader_next(struct yaml_reader *reader, struct node **ret);
