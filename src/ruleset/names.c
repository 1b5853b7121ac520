// SPDX-License-Identifier: GPL-2.0-or-later
#include "names.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ruleset/print.h"
#include "util/hash.h"
#include "util/mem.h"

#define NAME_MAX_PRETTY 100 /* bytes; the kernel's limit for a name is 255 */
#define COMMENT_MAX 127

/* ---- text in memory ----------------------------------------------------------------------------------- */

struct text {
    char *bytes;
    size_t len;
    FILE *out;
};

static FILE *text_open(struct text *text)
{
    text->out = open_memstream(&text->bytes, &text->len);
    if (!text->out)
        abort(); /* only memory can be missing */
    return text->out;
}

static char *text_close(struct text *text)
{
    if (fclose(text->out) != 0)
        abort();
    return text->bytes;
}

/* Names need equality, not secrecy: folded to 32 bits. */
static uint32_t hash_text(const char *text)
{
    uint64_t hash = hash_bytes(HASH_START, text, strlen(text));

    return (uint32_t)(hash ^ hash >> 32);
}

/* ---- keys --------------------------------------------------------------------------------------------- */

/* Lengths in front keep any text from imitating another part. */
static void put_part(FILE *out, const char *tag, const char *value)
{
    if (value)
        fprintf(out, "%s%zu:%s", tag, strlen(value), value);
}

static char *selector_key(const struct selector *selector)
{
    struct text text;
    FILE *out = text_open(&text);

    put_part(out, "p", selector->compose_project);
    put_part(out, "s", selector->compose_service);
    put_part(out, "n", selector->name);
    put_part(out, "i", selector->image);
    put_part(out, "w", selector->network);
    for (size_t i = 0; i < selector->n_labels; i++) {
        const struct label_match *label = &selector->labels[i];

        put_part(out, "k", label->key);
        put_part(out, label_match_is_literal(label) ? "=" : "~", label->value);
    }
    return text_close(&text);
}

/* A selector and its key, to put a conjunction in the one order that does not depend on how it came about. */
struct keyed {
    const struct selector *selector;
    char *key;
};

static int compare_keyed(const void *a, const void *b)
{
    return strcmp(((const struct keyed *)a)->key, ((const struct keyed *)b)->key);
}

static struct keyed *sort_selectors(const struct selector *const *list, size_t *n)
{
    struct keyed *v = xcalloc(*n, sizeof(*v));
    size_t kept = 0;

    for (size_t i = 0; i < *n; i++)
        v[i] = (struct keyed){list[i], selector_key(list[i])};
    qsort(v, *n, sizeof(*v), compare_keyed);
    for (size_t i = 0; i < *n; i++) {
        if (kept && strcmp(v[kept - 1].key, v[i].key) == 0)
            free(v[i].key);
        else
            v[kept++] = v[i];
    }
    *n = kept;
    return v;
}

static void keyed_free(struct keyed *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(v[i].key);
    free(v);
}

static void put_sorted_keys(FILE *out, const char *tag, const struct selector *const *list, size_t n)
{
    struct keyed *sorted = sort_selectors(list, &n);

    for (size_t i = 0; i < n; i++)
        put_part(out, tag, sorted[i].key);
    keyed_free(sorted, n);
}

char *expression_key(const struct peer_expression *who)
{
    struct text text;
    FILE *out = text_open(&text);

    put_sorted_keys(out, "+", who->with, who->n_with);
    put_sorted_keys(out, "-", who->without, who->n_without);
    return text_close(&text);
}

char *expression_text(const struct peer_expression *who)
{
    size_t n_with = who->n_with, n_without = who->n_without;
    struct keyed *with = sort_selectors(who->with, &n_with),
                 *without = sort_selectors(who->without, &n_without);
    struct text text;
    FILE *out = text_open(&text);

    fputs(n_with ? "selector " : "every container", out);
    for (size_t i = 0; i < n_with; i++) {
        _cleanup_free_ char *one = selector_text(with[i].selector);

        fprintf(out, "%s%s", i ? " and " : "", one);
    }
    for (size_t i = 0; i < n_without; i++) {
        _cleanup_free_ char *one = selector_text(without[i].selector);

        fprintf(out, ", not %s", one);
    }
    keyed_free(with, n_with);
    keyed_free(without, n_without);
    return text_close(&text);
}

/* ---- names -------------------------------------------------------------------------------------------- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("._-", c);
}

/* "/value" with what nft could not read replaced; false when anything had to be. */
static bool put_word(FILE *out, const char *word)
{
    bool plain = *word != '\0';

    fputc('/', out);
    for (; *word; word++) {
        fputc(is_plain(*word) ? *word : '_', out);
        plain = plain && is_plain(*word);
    }
    return plain;
}

/* Writes one selector as a path; true when the path alone says it all. */
static bool put_selector(FILE *out, const struct selector *selector)
{
    unsigned keys = 0;
    bool plain = true;

    if (selector->compose_project) {
        fputs("compose", out);
        plain = put_word(out, selector->compose_project) && plain;
        if (selector->compose_service)
            plain = put_word(out, selector->compose_service) && plain;
        keys++;
    }
    if (selector->name) {
        fputs(keys++ ? "/name" : "name", out);
        plain = put_word(out, selector->name) && plain;
    }
    if (selector->image) {
        fputs(keys++ ? "/image" : "image", out);
        plain = put_word(out, selector->image) && plain;
    }
    if (selector->network) {
        fputs(keys++ ? "/network" : "network", out);
        plain = put_word(out, selector->network) && plain;
    }
    for (size_t i = 0; i < selector->n_labels; i++) {
        const struct label_match *label = &selector->labels[i];

        fputs(keys++ ? "/" : "", out);
        fputs(label->value ? "label" : "no-label", out);
        plain = put_word(out, label->key) && plain;
        if (label->value)
            plain = put_word(out, label->value) && plain;
    }
    return plain && keys == 1;
}

/* Cuts a path to a length that leaves room for a hash. */
static char *named_with_hash(char *pretty, bool unique, const char *key)
{
    char *name;

    if (unique && strlen(pretty) <= NAME_MAX_PRETTY)
        return pretty;
    name = xasprintf("%.*s/%08" PRIx32, NAME_MAX_PRETTY, pretty, hash_text(key));
    free(pretty);
    return name;
}

char *expression_name(const struct peer_expression *who)
{
    size_t n_with = who->n_with, n_without = who->n_without;
    struct keyed *with = sort_selectors(who->with, &n_with),
                 *without = sort_selectors(who->without, &n_without);
    _cleanup_free_ char *key = expression_key(who);
    bool unique = n_with == 1 && n_without == 0;
    struct text text;
    FILE *out = text_open(&text);

    if (n_with == 0)
        fputs("containers", out);
    for (size_t i = 0; i < n_with; i++) {
        fputs(i ? "/and/" : "", out);
        unique = put_selector(out, with[i].selector) && unique;
    }
    for (size_t i = 0; i < n_without; i++) {
        fputs("/not/", out);
        put_selector(out, without[i].selector);
    }
    keyed_free(with, n_with);
    keyed_free(without, n_without);
    return named_with_hash(text_close(&text), unique, key);
}

char *class_chain_name(const char *word, const struct subject *subject, const struct chain *content)
{
    struct text text;
    FILE *out = text_open(&text);
    _cleanup_free_ char *rules = NULL;

    for (size_t i = 0; i < content->n_rules; i++) {
        rule_print(&content->rules[i], out);
        fputc('\n', out);
    }
    rules = text_close(&text);
    if (subject->n_policies == 0)
        return xasprintf("%s/no-policy/%08" PRIx32, word, hash_text(rules));
    if (subject->n_policies == 1)
        return xasprintf("%s/%s/%08" PRIx32, word, subject->policies[0]->name, hash_text(rules));
    return xasprintf("%s/%s/and-%zu-more/%08" PRIx32, word, subject->policies[0]->name,
                     subject->n_policies - 1, hash_text(rules));
}

char *ranges_name(const struct ip_ranges *ranges, enum ip_family family)
{
    struct text text;
    FILE *out = text_open(&text);
    _cleanup_free_ char *key = NULL;
    char first[IP_TEXT_MAX], last[IP_TEXT_MAX];

    for (size_t i = 0; i < ranges->n; i++)
        fprintf(out, "%s-%s ", ip_format((struct ip){ranges->v[i].first, family}, first),
                ip_format((struct ip){ranges->v[i].last, family}, last));
    key = text_close(&text);
    return xasprintf("addresses/%08" PRIx32 "/%c", hash_text(key), family == IP4 ? '4' : '6');
}

char *safe_comment(const char *text)
{
    char *comment = xstrndup(text, COMMENT_MAX);

    for (char *c = comment; *c; c++) {
        if (!isprint((unsigned char)*c) || *c == '"' || *c == '\\')
            *c = '?';
    }
    return comment;
}
