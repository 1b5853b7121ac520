/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The language as tables: for each kind of mapping one table of its keys, from which come the parser, the
 * messages about unknown and misplaced keys, and whatever else wants to know the language (a JSON schema).
 *
 * Importing goes on after an error wherever it can; a value that was refused leaves its field as it was.
 * Whether anything was refused is known from the source's count of errors.
 */
#pragma once

#include "policy/model.h"
#include "policy/settings.h"
#include "source.h"
#include "tree.h"
#include "util/text.h"

enum place { PLACE_INGRESS, PLACE_EGRESS, PLACE_EXPECT };

struct import {
    struct source *source;
    struct policy_set *set; /* NULL while settings are read */
    const char *file;       /* for the places kept in the model; owned by the set */
    enum place place;       /* which list of peers is being read */
    size_t errors_before;   /* errors in the file before the present document */
};

enum key_type {
    KEY_TEXT,    /* one line of text, at most `max` bytes */
    KEY_PROSE,   /* the same, of any number of lines */
    KEY_BOOL,    /* true or false */
    KEY_NUMBER,  /* `min` to `max` */
    KEY_WORD,    /* one of `words`; the field is an enum, or an unsigned, that gets the word's index */
    KEY_LIST,    /* `import` is called for each item */
    KEY_MAPPING, /* as described by `mapping` */
    KEY_OTHER,   /* `import` is called for the value */
};

/* What more is to be said of a value, or of a list's items, than the type does: for the JSON Schema. */
enum key_form {
    FORM_ANY,  /* as the type, or the mapping, says */
    FORM_NAME, /* of a policy */
    FORM_RULE_NAME,
    FORM_ONE, /* the number 1 */
    FORM_TRUE,
    FORM_COMPOSE,
    FORM_LABELS,
    FORM_CIDR,
    FORM_PORT,
    FORM_INGRESS_PEER,
    FORM_EGRESS_PEER,
    FORM_EXPECTED_PEERS, /* one or a list */
};

struct key {
    const char *name;
    enum key_type type;
    enum key_form form;
    const char *summary; /* one line for people */
    bool required;
    bool may_be_empty; /* KEY_LIST: [] and no value at all are allowed */
    size_t offset;     /* of the field: char *, bool, unsigned or a struct; unused where `import` is */
    size_t min, max;
    const char *const *words;      /* NULL-terminated */
    const struct mapping *mapping; /* KEY_MAPPING; also what the items of a KEY_LIST may be */
    /* KEY_TEXT: false when the text was refused, and reported. */
    bool (*check)(struct import *import, const struct node *value);
    void (*import)(struct import *import, const struct key *key, const struct node *value, void *object);
};

/* A key of another mapping, or of another program's language, that people write here. */
struct misplaced {
    const char *name, *help;
};

struct mapping {
    const char *what;           /* "a policy" */
    const char *id;             /* its name in the JSON Schema; NULL: it is not in there by itself */
    const struct mapping *base; /* its keys are allowed as well, for the struct at base_offset; or NULL */
    size_t base_offset;
    const struct key *keys;
    size_t n_keys;
    const struct misplaced *misplaced;
    size_t n_misplaced;
};

/* Reads the mapping into object. False when the node is none; then that was reported. */
bool import_mapping(struct import *import, const struct mapping *mapping, const struct node *node,
                    void *object);

/*
 * Scalars. Each reports what is wrong, with `what` as the name of the thing ("'mode'"), and then returns
 * NULL, false or -1. import_text() wants one line of 1 to max bytes; an empty one is refused.
 */
const char *import_text(struct import *import, const char *what, const struct node *node, size_t max);
int import_word(struct import *import, const char *what, const struct node *node, const char *const *words);

/* Reports that the node is not what it should be: "'ports' must be a list, not text". */
struct diag *report_type(struct import *import, const char *what, const char *wanted,
                         const struct node *node);
struct diag *report_node(struct import *import, enum policy_code code, const struct node *node,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));
struct source_pos import_pos(const struct import *import, const struct node *node); /* with its file */

/* The tables. */
extern const struct mapping policy_mapping, rule_mapping, ingress_rule_mapping, egress_rule_mapping,
    selector_mapping, peer_mapping, expect_mapping, expectation_mapping, settings_mapping;

/* The words that stand for peers, and what ports are written with; each list ends with NULL. */
extern const char *const peer_words[], *const protocol_words[];

/* What the files of this folder share. */
void import_selector(struct import *import, const struct node *node, struct selector *selector);
/* Adds one peer: a word or a mapping. */
void import_peer(struct import *import, const struct node *node, struct peer **peers, size_t *n);
/* Adds a list of peers, or a single one; an empty list is an error. */
void import_peers(struct import *import, const struct key *key, const struct node *value, struct peer **peers,
                  size_t *n);
void import_port(struct import *import, const struct node *node, struct port **ports, size_t *n);
bool check_policy_name(struct import *import, const struct node *value);
bool check_rule_name(struct import *import, const struct node *value);
bool check_glob(struct import *import, const struct node *value);
bool import_cidr(struct import *import, const struct node *value, struct cidr *ret);
void import_document(struct import *import, const struct node *root);

/* Warnings about one policy that has no errors. */
void policy_lint(struct source *source, const struct policy *policy);
/* Of a finished set: what only several policies together show. */
void policy_set_lint(const struct policy_set *set, struct diags *diags);

/* Releases what it holds. */
void policy_clear(struct policy *policy);
void rule_clear(struct rule *rule);
void expect_clear(struct expect *expect);

/* As port_parse(), with the code and, where one can be named, what was probably meant. */
struct port_error {
    enum policy_code code;
    const char *why; /* static */
    char meant[64];  /* or empty */
};
int port_parse_full(const char *text, struct port *ret, struct port_error *ret_error);
/* Does everything of b also belong to a? */
bool port_covers(const struct port *a, const struct port *b);
