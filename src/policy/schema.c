/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "schema.h"

#include <string.h>
#include <strings.h>

#define KEYS_MAX 24 /* of one mapping's table */

/* ---- reports ------------------------------------------------------------------------------------------ */

struct source_pos import_pos(const struct import *import, const struct node *node)
{
    struct source_pos pos = node->pos;

    pos.file = import->file;
    return pos;
}

struct diag *report_node(struct import *import, enum policy_code code, const struct node *node,
                         const char *format, ...)
{
    _cleanup_free_ char *message = NULL;
    va_list args;

    va_start(args, format);
    message = xvasprintf(format, args);
    va_end(args);
    return report_error(import->source, code, &node->pos, "%s", message);
}

struct diag *report_type(struct import *import, const char *what, const char *wanted, const struct node *node)
{
    if (node_is_null(node))
        return report_node(import, CODE_NO_VALUE, node, "%s has no value: it must be %s", what, wanted);
    return report_node(import, CODE_TYPE, node, "%s must be %s, not %s", what, wanted, node_describe(node));
}

/* "a policy may have: policy, version, mode" */
static void help_with_words(struct diag *diag, const char *begin, const char *const *words)
{
    _cleanup_free_ char *text = xasprintf("%s ", begin);

    for (; *words; words++) {
        char *longer = xasprintf("%s%s%s", text, *words, words[1] ? ", " : "");

        free(text);
        text = longer;
    }
    diag_help(diag, "%s", text);
}

/* ---- scalars ------------------------------------------------------------------------------------------ */

static bool is_scalar(const struct node *node)
{
    return node->kind == NODE_SCALAR && !node_is_null(node);
}

const char *import_text(struct import *import, const char *what, const struct node *node, size_t max)
{
    if (node->kind == NODE_BAD)
        return NULL;
    if (!is_scalar(node)) {
        struct diag *diag = report_type(import, what, "text", node);

        if (node->kind != NODE_SCALAR && !node->block)
            diag_help(diag, "a text that begins with [ or { must be quoted");
        else if (node_is_null(node) && *node->text)
            diag_help(diag, "if the text '%s' is meant, quote it", node->text);
        return NULL;
    }
    if (!*node->text) {
        report_node(import, CODE_NO_VALUE, node, "%s is empty", what);
        return NULL;
    }
    if (strlen(node->text) > max) {
        report_node(import, CODE_TEXT_LENGTH, node, "%s has %zu bytes: at most %zu are allowed", what,
                    strlen(node->text), max);
        return NULL;
    }
    return node->text;
}

static const char *import_line(struct import *import, const char *what, const struct node *node, size_t max)
{
    const char *text = import_text(import, what, node, max);

    if (text && strpbrk(text, "\n\t")) {
        report_node(import, CODE_CONTROL, node, "%s must be one line without tabs", what);
        return NULL;
    }
    return text;
}

int import_word(struct import *import, const char *what, const struct node *node, const char *const *words)
{
    const char *text = import_text(import, what, node, SCALAR_MAX), *meant;
    char shown[SHOWN_MAX];
    struct diag *diag;

    if (!text)
        return -1;
    for (int i = 0; words[i]; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    diag = report_node(import, CODE_WORD, node, "%s cannot be '%s'", what, text_shown(text, shown));
    meant = nearest_word(text, words);
    if (meant)
        diag_help(diag, "did you mean '%s'?", meant);
    else
        help_with_words(diag, "it may be:", words);
    return -1;
}

/* What YAML 1.1 takes for a truth value, and we do not: -1 for none. */
static int yaml_truth(const char *text)
{
    static const char *const words[][2] = {
        {"false", "true"}, {"no", "yes"}, {"off", "on"}, {"n", "y"}, {"0", "1"}};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        for (int truth = 0; truth < 2; truth++)
            if (strcasecmp(text, words[i][truth]) == 0)
                return truth;
    return -1;
}

static bool import_bool(struct import *import, const char *what, const struct node *node, bool *field)
{
    char shown[SHOWN_MAX];
    struct diag *diag;
    int truth;

    if (node->kind == NODE_BAD)
        return false;
    if (!is_scalar(node)) {
        report_type(import, what, "true or false", node);
        return false;
    }
    if (node->plain && (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0)) {
        *field = node->text[0] == 't';
        return true;
    }
    diag = report_node(import, CODE_BOOL, node, "%s must be true or false, not '%s'%s", what,
                       text_shown(node->text, shown), node->plain ? "" : " in quotes");
    truth = yaml_truth(node->text);
    if (truth >= 0)
        diag_help(diag, "write %s%s", truth ? "true" : "false", node->plain ? "" : ", without quotes");
    return false;
}

static bool import_number(struct import *import, const struct key *key, const char *what,
                          const struct node *node, unsigned *field)
{
    char shown[SHOWN_MAX];
    size_t value = 0, len;

    if (node->kind == NODE_BAD)
        return false;
    if (!is_scalar(node)) {
        report_type(import, what, "a number", node);
        return false;
    }
    len = strspn(node->text, "0123456789");
    if (len != strlen(node->text) || !len || len > 9 || !node->plain || (node->text[0] == '0' && len > 1)) {
        diag_help(report_node(import, CODE_NUMBER, node, "%s must be a number, not '%s'%s", what,
                              text_shown(node->text, shown), node->plain ? "" : " in quotes"),
                  "write a decimal number from %zu to %zu, without quotes", key->min, key->max);
        return false;
    }
    value = strtoul(node->text, NULL, 10);
    if (value < key->min || value > key->max) {
        report_node(import, CODE_NUMBER, node, "%s must be from %zu to %zu", what, key->min, key->max);
        return false;
    }
    *field = (unsigned)value;
    return true;
}

/* ---- mappings ----------------------------------------------------------------------------------------- */

static void import_list(struct import *import, const struct key *key, const char *what,
                        const struct node *node, void *object)
{
    if (node->kind == NODE_BAD || (key->may_be_empty && node_is_null(node)))
        return;
    if (node->kind != NODE_LIST) {
        struct diag *diag = report_type(import, what, "a list", node);
        char shown[SHOWN_MAX];

        if (is_scalar(node) && *node->text)
            diag_help(diag, "write [%s]", text_shown(node->text, shown));
        else if (node->kind == NODE_MAPPING)
            diag_help(diag, "begin each item with '- '");
        return;
    }
    if (!node->n && !key->may_be_empty) {
        diag_help(report_node(import, CODE_EMPTY_LIST, node, "%s is an empty list", what),
                  "leave '%s' out, or list something", key->name);
        return;
    }
    for (size_t i = 0; i < node->n; i++)
        if (node->items[i]->kind != NODE_BAD)
            key->import(import, key, node->items[i], object);
}

static void import_key(struct import *import, const struct key *key, const struct node *value, void *object)
{
    _cleanup_free_ char *what = xasprintf("'%s'", key->name);
    void *field = (char *)object + key->offset;
    const char *text;
    int word;

    switch (key->type) {
    case KEY_TEXT:
    case KEY_PROSE:
        text = key->type == KEY_TEXT ? import_line(import, what, value, key->max)
                                     : import_text(import, what, value, key->max);
        if (text && (!key->check || key->check(import, value))) {
            free(*(char **)field);
            *(char **)field = xstrdup(text);
        }
        break;
    case KEY_BOOL:
        import_bool(import, what, value, field);
        break;
    case KEY_NUMBER:
        import_number(import, key, what, value, field);
        break;
    case KEY_WORD:
        word = import_word(import, what, value, key->words);
        if (word >= 0)
            *(unsigned *)field = (unsigned)word;
        break;
    case KEY_LIST:
        import_list(import, key, what, value, object);
        break;
    case KEY_MAPPING:
        import_mapping(import, key->mapping, value, field);
        break;
    case KEY_OTHER:
        if (value->kind != NODE_BAD)
            key->import(import, key, value, object);
        break;
    }
}

/* The key of that name, and where in the object the struct begins that it belongs to. */
static const struct key *find_key(const struct mapping *mapping, const char *name, size_t *ret_offset)
{
    *ret_offset = 0;
    for (size_t i = 0; i < mapping->n_keys; i++)
        if (strcmp(mapping->keys[i].name, name) == 0)
            return &mapping->keys[i];
    *ret_offset = mapping->base_offset;
    for (size_t i = 0; mapping->base && i < mapping->base->n_keys; i++)
        if (strcmp(mapping->base->keys[i].name, name) == 0)
            return &mapping->base->keys[i];
    return NULL;
}

static const char *misplaced_help(const struct mapping *mapping, const char *name)
{
    for (size_t i = 0; i < mapping->n_misplaced; i++)
        if (strcmp(mapping->misplaced[i].name, name) == 0)
            return mapping->misplaced[i].help;
    return NULL;
}

struct key_names {
    const char *v[KEYS_MAX + 1]; /* NULL-terminated */
    size_t n;
};

static void add_names(struct key_names *names, const struct mapping *mapping)
{
    for (size_t i = 0; i < mapping->n_keys && names->n < KEYS_MAX; i++)
        names->v[names->n++] = mapping->keys[i].name;
}

static struct key_names key_names(const struct mapping *mapping)
{
    struct key_names names = {0};

    if (mapping->base)
        add_names(&names, mapping->base);
    add_names(&names, mapping);
    return names;
}

static const char *nearest_key(const struct mapping *mapping, const char *name)
{
    struct key_names names = key_names(mapping);

    return nearest_word(name, names.v);
}

static void report_unknown_key(struct import *import, const struct mapping *mapping, const struct node *key)
{
    const char *help = misplaced_help(mapping, key->text), *meant;
    struct key_names names = key_names(mapping);
    char shown[SHOWN_MAX];
    struct diag *diag;

    if (help) {
        diag_help(report_node(import, CODE_MISPLACED_KEY, key, "key '%s' means nothing in %s",
                              text_shown(key->text, shown), mapping->what),
                  "%s", help);
        return;
    }
    diag = report_node(import, CODE_UNKNOWN_KEY, key, "unknown key '%s' in %s", text_shown(key->text, shown),
                       mapping->what);
    meant = nearest_key(mapping, key->text);
    if (meant) {
        diag_help(diag, "did you mean '%s'?", meant);
        return;
    }
    help_with_words(diag, "the keys are:", names.v);
}

/* Is there an unknown key that was probably meant to be this one? Then that it is missing need not be said.
 */
static bool is_misspelled(const struct mapping *mapping, const struct node *node, const char *name)
{
    for (size_t i = 0; i < node->n; i++) {
        const char *key = node->pairs[i].key->text, *meant;
        size_t offset;

        if (find_key(mapping, key, &offset) || misplaced_help(mapping, key))
            continue;
        meant = nearest_key(mapping, key);
        if (meant && strcmp(meant, name) == 0)
            return true;
    }
    return false;
}

static void report_missing_keys(struct import *import, const struct mapping *mapping, const struct node *node)
{
    for (size_t i = 0; i < mapping->n_keys; i++) {
        const struct key *key = &mapping->keys[i];

        if (!key->required || mapping_get(node, key->name) || is_misspelled(mapping, node, key->name))
            continue;
        diag_help(report_node(import, CODE_MISSING_KEY, node, "%s must have the key '%s'", mapping->what,
                              key->name),
                  "%s: %s", key->name, key->summary);
    }
}

bool import_mapping(struct import *import, const struct mapping *mapping, const struct node *node,
                    void *object)
{
    if (node->kind == NODE_BAD)
        return false;
    if (node->kind != NODE_MAPPING) {
        report_type(import, mapping->what, "a mapping of keys to values", node);
        return false;
    }
    for (size_t i = 0; i < node->n && !import->source->too_many; i++) {
        size_t offset;
        const struct key *key = find_key(mapping, node->pairs[i].key->text, &offset);

        if (key)
            import_key(import, key, node->pairs[i].value, (char *)object + offset);
        else
            report_unknown_key(import, mapping, node->pairs[i].key);
    }
    report_missing_keys(import, mapping, node);
    return true;
}
