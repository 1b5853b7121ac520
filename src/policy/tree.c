/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tree.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "policy/parse.h"

struct yaml_reader {
    struct source *source;
    yaml_parser_t parser;
    bool open;       /* parser is in use */
    size_t at_line;  /* from which it was started, counted from 0: its marks count from there */
    size_t document; /* line on which the present document began, counted from 1 */
};

/* ---- nodes -------------------------------------------------------------------------------------------- */

struct node *node_free(struct node *node)
{
    if (!node)
        return NULL;
    for (size_t i = 0; i < node->n; i++) {
        if (node->items)
            node_free(node->items[i]);
        if (node->pairs) {
            node_free(node->pairs[i].key);
            node_free(node->pairs[i].value);
        }
    }
    free(node->items);
    free(node->pairs);
    free(node->text);
    free(node);
    return NULL;
}

struct node *mapping_get(const struct node *mapping, const char *key)
{
    if (!mapping || mapping->kind != NODE_MAPPING)
        return NULL;
    for (size_t i = 0; i < mapping->n; i++)
        if (strcmp(mapping->pairs[i].key->text, key) == 0)
            return mapping->pairs[i].value;
    return NULL;
}

bool node_is_null(const struct node *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    if (node->kind != NODE_SCALAR || !node->plain)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(node->text, words[i]) == 0)
            return true;
    return false;
}

const char *node_describe(const struct node *node)
{
    switch (node->kind) {
    case NODE_SCALAR:
        return node_is_null(node) ? "nothing" : "text";
    case NODE_LIST:
        return "a list";
    case NODE_MAPPING:
        return "a mapping";
    case NODE_BAD:
        break;
    }
    return "nothing";
}

const char *text_shown(const char *text, char buffer[static SHOWN_MAX])
{
    size_t len = strlen(text), at = 0, n = 0, size;

    for (; at < len; at += size) {
        uint32_t character = 0;
        bool printable;

        size = utf8_decode(text + at, len - at, &character);
        printable = size && char_classify(character) == CHAR_PRINTABLE && character >= ' ';
        size = size ? size : 1;
        if (n + size + 4 > 100) {
            memcpy(buffer + n, "...", 3);
            n += 3;
            break;
        }
        if (printable)
            memcpy(buffer + n, text + at, size);
        else
            buffer[n] = '?';
        n += printable ? size : 1;
    }
    buffer[n] = '\0';
    return buffer;
}

/* ---- places ------------------------------------------------------------------------------------------- */

static struct source_pos mark_pos(const struct yaml_reader *reader, const yaml_mark_t *mark)
{
    return (struct source_pos){
        .line = (unsigned)(reader->at_line + mark->line + 1),
        .column = (unsigned)mark->column + 1,
        .width = 1,
    };
}

/* From start to end, or to the end of the first line where that is elsewhere. */
static struct source_pos span_pos(const struct yaml_reader *reader, const yaml_mark_t *start,
                                  const yaml_mark_t *end)
{
    struct source_pos pos = mark_pos(reader, start);
    unsigned stop = (unsigned)end->column + 1;

    if (end->line != start->line)
        stop = source_line_width(reader->source, pos.line) + 1;
    if (stop > pos.column)
        pos.width = stop - pos.column;
    return pos;
}

/* ---- what YAML says when it is none ------------------------------------------------------------------- */

/* Help for libyaml's messages, by how they begin; context first where a message has several causes. */
static const struct {
    const char *context, *problem, *help;
} syntax_help[] = {
    {"while scanning an alias", "did not find expected alphabetic",
     "a glob that begins with * or [ must be quoted, such as \"*\""},
    {"while scanning an anchor", "did not find expected alphabetic",
     "a text that begins with & must be quoted"},
    {"while scanning a tag", "did not find",
     "a text that contains [!, or begins with ! or [, must be quoted"},
    {"while scanning a quoted scalar", "found unexpected", "close the quotation marks"},
    {"while parsing a quoted scalar", "found unknown escape",
     "use single quotes, in which a backslash is an ordinary character"},
    {"while parsing a flow", "did not find expected", "close the bracket, and put a comma between its parts"},
    {NULL, "mapping values are not allowed",
     "check the indentation; a text that contains \": \" or ends in a colon must be quoted"},
    {NULL, "could not find expected ':'", "write 'key: value', with a space after the colon"},
    {NULL, "found character that cannot start any token",
     "indent with spaces, not tabs; a text that begins with %, @ or ` must be quoted"},
    {NULL, "found a tab character", "indent with spaces, not tabs"},
    {NULL, "block sequence entries are not allowed", "put the list on lines of its own under its key"},
    {NULL, "found undefined tag handle", "tags have no use here; a text that begins with ! must be quoted"},
    {NULL, "did not find expected", "check the indentation of this line and of those above it"},
};

static bool begins_with(const char *text, const char *prefix)
{
    return text && strncmp(text, prefix, strlen(prefix)) == 0;
}

static void report_syntax(struct yaml_reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    struct source_pos pos = mark_pos(reader, &parser->problem_mark);
    const char *problem = parser->problem ? parser->problem : "not readable";
    struct diag *diag;

    if (parser->error == YAML_MEMORY_ERROR)
        abort(); /* as everywhere: util/mem.h */
    diag = report_error(reader->source, CODE_SYNTAX, &pos, "not valid YAML: %s", problem);
    for (size_t i = 0; i < ARRAY_SIZE(syntax_help); i++) {
        if (!begins_with(problem, syntax_help[i].problem))
            continue;
        if (syntax_help[i].context && !begins_with(parser->context, syntax_help[i].context))
            continue;
        diag_help(diag, "%s", syntax_help[i].help);
        break;
    }
    if (parser->context && parser->context_mark.line != parser->problem_mark.line) {
        struct source_pos begin = mark_pos(reader, &parser->context_mark);

        begin.file = reader->source->file;
        diag_other(diag, &begin, parser->context);
    }
}

/* ---- starting and stopping the parser ----------------------------------------------------------------- */

static void open_at(struct yaml_reader *reader, size_t line)
{
    const struct source *source = reader->source;
    size_t offset = source->lines[line - 1];

    if (!yaml_parser_initialize(&reader->parser))
        abort();
    yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)source->bytes + offset,
                                 source->len - offset);
    reader->open = true;
    reader->at_line = line - 1;
    reader->document = line;
}

static void close_parser(struct yaml_reader *reader)
{
    if (reader->open)
        yaml_parser_delete(&reader->parser);
    reader->open = false;
}

struct yaml_reader *yaml_reader_new(struct source *source)
{
    struct yaml_reader *reader = xnew(struct yaml_reader);

    reader->source = source;
    open_at(reader, 1);
    return reader;
}

struct yaml_reader *yaml_reader_free(struct yaml_reader *reader)
{
    if (!reader)
        return NULL;
    close_parser(reader);
    free(reader);
    return NULL;
}

/*
 * The present document cannot be read further: start anew at the next "---" at or after `line`. Such a line
 * begins a document wherever it stands, so what follows is judged as if the broken document had ended there.
 */
static int give_up_document(struct yaml_reader *reader, size_t line)
{
    size_t from = line > reader->document ? line : reader->document + 1;
    size_t next = source_next_document(reader->source, from - 1);

    close_parser(reader);
    if (next && !reader->source->too_many)
        open_at(reader, next);
    return -EBADMSG;
}

static int next_event(struct yaml_reader *reader, yaml_event_t *ret)
{
    if (yaml_parser_parse(&reader->parser, ret))
        return 0;
    report_syntax(reader);
    return give_up_document(reader, reader->at_line + reader->parser.problem_mark.line + 1);
}

/* ---- events to nodes ---------------------------------------------------------------------------------- */

static void event_delete(yaml_event_t *event)
{
    yaml_event_delete(event);
}
#define _cleanup_event_ _cleanup_(event_delete)

static struct node *node_new(enum node_kind kind, struct source_pos pos)
{
    struct node *node = xnew(struct node);

    node->kind = kind;
    node->pos = pos;
    return node;
}

static void refuse_anchor(struct yaml_reader *reader, const struct source_pos *pos, const yaml_char_t *anchor)
{
    char shown[SHOWN_MAX];

    if (!anchor)
        return;
    diag_help(report_error(reader->source, CODE_ANCHOR, pos,
                           "anchor '&%s': anchors and aliases are not part of the language",
                           text_shown((const char *)anchor, shown)),
              "write the value out wherever it is needed; a text that begins with & must be quoted");
}

static void refuse_tag(struct yaml_reader *reader, const struct source_pos *pos, const yaml_char_t *tag)
{
    char shown[SHOWN_MAX];

    if (!tag)
        return;
    diag_help(report_error(reader->source, CODE_TAG, pos, "tag '%s': tags are not part of the language",
                           text_shown((const char *)tag, shown)),
              "leave it out: each key says what its value is; a text that begins with ! must be quoted");
}

/* Escapes in double quotes can make what source_check() keeps out of the bytes. */
static bool check_scalar(struct yaml_reader *reader, const struct source_pos *pos, const char *text,
                         size_t len)
{
    if (len > SCALAR_MAX) {
        report_error(reader->source, CODE_TEXT_LENGTH, pos, "text of %zu bytes: at most %d are allowed", len,
                     SCALAR_MAX);
        return false;
    }
    for (size_t at = 0, size; at < len; at += size) {
        uint32_t character = 0;

        size = utf8_decode(text + at, len - at, &character) ?: 1;
        if (char_classify(character) == CHAR_PRINTABLE && character)
            continue;
        report_error(reader->source,
                     char_classify(character) == CHAR_INVISIBLE ? CODE_INVISIBLE : CODE_CONTROL, pos,
                     "the text contains character U+%04X", character);
        return false;
    }
    return true;
}

static struct node *build_scalar(struct yaml_reader *reader, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    struct source_pos pos = span_pos(reader, &event->start_mark, &event->end_mark);
    struct node *node = node_new(NODE_SCALAR, pos);

    refuse_anchor(reader, &pos, event->data.scalar.anchor);
    refuse_tag(reader, &pos, event->data.scalar.tag);
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (event->data.scalar.tag || !check_scalar(reader, &pos, text, len))
        node->kind = NODE_BAD;
    else
        node->text = xstrndup(text, len);
    return node;
}

static struct node *build_alias(struct yaml_reader *reader, const yaml_event_t *event)
{
    struct source_pos pos = span_pos(reader, &event->start_mark, &event->end_mark);
    const char *name = (const char *)event->data.alias.anchor;
    char shown[SHOWN_MAX];

    text_shown(name, shown);
    diag_help(report_error(reader->source, CODE_ALIAS, &pos,
                           "alias '*%s': anchors and aliases are not part of the language", shown),
              "write the value out; if the glob is meant, quote it: \"*%s\"", shown);
    return node_new(NODE_BAD, pos);
}

static int build(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth, struct node **ret);

static int refuse_depth(struct yaml_reader *reader, const yaml_event_t *event)
{
    struct source_pos pos = mark_pos(reader, &event->start_mark);

    report_error(reader->source, CODE_DEPTH, &pos, "nested more than %d deep", YAML_DEPTH_MAX);
    return give_up_document(reader, pos.line);
}

static int build_list(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth,
                      struct node **ret)
{
    _cleanup_(node_freep) struct node *list = node_new(NODE_LIST, mark_pos(reader, &event->start_mark));
    int r;

    if (depth > YAML_DEPTH_MAX)
        return refuse_depth(reader, event);
    refuse_anchor(reader, &list->pos, event->data.sequence_start.anchor);
    refuse_tag(reader, &list->pos, event->data.sequence_start.tag);
    list->block = event->data.sequence_start.style != YAML_FLOW_SEQUENCE_STYLE;
    for (;;) {
        _cleanup_event_ yaml_event_t next = {0};
        struct node *item;

        r = next_event(reader, &next);
        if (r < 0)
            return r;
        if (next.type == YAML_SEQUENCE_END_EVENT)
            break;
        r = build(reader, &next, depth, &item);
        if (r < 0)
            return r;
        *ARRAY_ADD(list->items, list->n) = item;
    }
    *ret = STEAL(list);
    return 0;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *const *x = a, *const *y = b;
    int r = strcmp((*x)->key->text, (*y)->key->text);

    if (r)
        return r;
    return *x < *y ? -1 : *x > *y;
}

/* Reports keys that stand twice and drops all but the first. Sorted, since a file may hold 50,000 keys. */
static void drop_duplicates(struct yaml_reader *reader, struct node *mapping)
{
    _cleanup_free_ struct pair **sorted = xcalloc(mapping->n, sizeof(*sorted));
    const struct pair *first = NULL;
    size_t kept = 0;

    for (size_t i = 0; i < mapping->n; i++)
        sorted[i] = &mapping->pairs[i];
    qsort(sorted, mapping->n, sizeof(*sorted), compare_pairs);
    for (size_t i = 0; i < mapping->n; i++) {
        struct node *key = sorted[i]->key;
        struct source_pos earlier;
        char shown[SHOWN_MAX];
        struct diag *diag;

        if (!first || strcmp(first->key->text, key->text) != 0) {
            first = sorted[i];
            continue;
        }
        earlier = first->key->pos;
        earlier.file = reader->source->file;
        diag = report_error(reader->source, CODE_DUPLICATE_KEY, &key->pos,
                            "key '%s' stands twice in this mapping", text_shown(key->text, shown));
        diag_other(diag, &earlier, "it stands here already");
        diag_help(diag, "keep one of the two");
        key->kind = NODE_BAD;
    }
    for (size_t i = 0; i < mapping->n; i++) {
        struct pair pair = mapping->pairs[i];

        if (pair.key->kind == NODE_BAD) {
            node_free(pair.key);
            node_free(pair.value);
        } else {
            mapping->pairs[kept++] = pair;
        }
    }
    mapping->n = kept;
}

/* Takes the pair over. A key that is none is reported, and the pair dropped. */
static void add_pair(struct yaml_reader *reader, struct node *mapping, struct node *key, struct node *value)
{
    bool usable = false;

    if (key->kind == NODE_LIST || key->kind == NODE_MAPPING || (key->kind == NODE_SCALAR && !*key->text)) {
        report_error(reader->source, CODE_KEY_TEXT, &key->pos, "a key must be text, not %s",
                     key->kind == NODE_SCALAR ? "empty" : node_describe(key));
    } else if (key->kind == NODE_SCALAR && key->plain && strcmp(key->text, "<<") == 0) {
        diag_help(report_error(reader->source, CODE_MERGE, &key->pos,
                               "merge key '<<': merging is not part of the language"),
                  "write the keys out; policies add up, so what several share can be a policy of its own");
    } else {
        usable = key->kind == NODE_SCALAR;
    }
    if (usable) {
        *ARRAY_ADD(mapping->pairs, mapping->n) = (struct pair){key, value};
        return;
    }
    node_free(key);
    node_free(value);
}

static int build_pair(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth,
                      struct node *mapping)
{
    _cleanup_(node_freep) struct node *key = NULL;
    _cleanup_event_ yaml_event_t next = {0};
    struct node *value;
    int r;

    r = build(reader, event, depth, &key);
    if (r < 0)
        return r;
    r = next_event(reader, &next);
    if (r < 0)
        return r;
    r = build(reader, &next, depth, &value);
    if (r < 0)
        return r;
    add_pair(reader, mapping, STEAL(key), value);
    return 0;
}

static int build_mapping(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth,
                         struct node **ret)
{
    _cleanup_(node_freep) struct node *mapping = node_new(NODE_MAPPING, mark_pos(reader, &event->start_mark));
    int r;

    if (depth > YAML_DEPTH_MAX)
        return refuse_depth(reader, event);
    refuse_anchor(reader, &mapping->pos, event->data.mapping_start.anchor);
    refuse_tag(reader, &mapping->pos, event->data.mapping_start.tag);
    mapping->block = event->data.mapping_start.style != YAML_FLOW_MAPPING_STYLE;
    for (;;) {
        _cleanup_event_ yaml_event_t next = {0};

        r = next_event(reader, &next);
        if (r < 0)
            return r;
        if (next.type == YAML_MAPPING_END_EVENT)
            break;
        r = build_pair(reader, &next, depth, mapping);
        if (r < 0)
            return r;
    }
    drop_duplicates(reader, mapping);
    if (mapping->block && mapping->n)
        mapping->pos = mapping->pairs[0].key->pos;
    *ret = STEAL(mapping);
    return 0;
}

/* depth is that of the node around this one. */
static int build(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth, struct node **ret)
{
    if (reader->source->too_many)
        return give_up_document(reader, 0);
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return build_list(reader, event, depth + 1, ret);
    if (event->type == YAML_MAPPING_START_EVENT)
        return build_mapping(reader, event, depth + 1, ret);
    *ret = event->type == YAML_ALIAS_EVENT ? build_alias(reader, event) : build_scalar(reader, event);
    return 0;
}

/* ---- documents ---------------------------------------------------------------------------------------- */

static int build_document(struct yaml_reader *reader, const yaml_event_t *start, struct node **ret)
{
    const yaml_tag_directive_t *tags = start->data.document_start.tag_directives.start;
    struct source_pos pos = mark_pos(reader, &start->start_mark);
    _cleanup_(node_freep) struct node *root = NULL;
    _cleanup_event_ yaml_event_t event = {0}, end = {0};
    int r;

    reader->document = pos.line;
    if (tags != start->data.document_start.tag_directives.end)
        refuse_tag(reader, &pos, tags->handle);
    r = next_event(reader, &event);
    if (r < 0)
        return r;
    r = build(reader, &event, 0, &root);
    if (r < 0)
        return r;
    r = next_event(reader, &end); /* the document's end */
    if (r < 0)
        return r;
    if (root->kind == NODE_SCALAR && !*root->text)
        root->pos = span_pos(reader, &start->start_mark, &start->end_mark);
    *ret = STEAL(root);
    return 1;
}

int yaml_reader_next(struct yaml_reader *reader, struct node **ret)
{
    while (reader->open && !reader->source->too_many) {
        _cleanup_event_ yaml_event_t event = {0};
        int r = next_event(reader, &event);

        if (r < 0)
            return r;
        if (event.type == YAML_DOCUMENT_START_EVENT)
            return build_document(reader, &event, ret);
        if (event.type == YAML_STREAM_END_EVENT)
            close_parser(reader);
    }
    return 0;
}
