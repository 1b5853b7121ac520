// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset/ruleset.h"

#include <string.h>

#include "util/mem.h"

#define TABLE_ODD_MAX 64

struct interned {
    UT_hash_handle hh;
    char text[];
};

size_t key_type_size(enum key_type type)
{
    switch (type) {
    case KEY_IFNAME:
        return 16; /* IFNAMSIZ */
    case KEY_ETHER_ADDR:
        return 6;
    case KEY_IPV4_ADDR:
        return 4;
    case KEY_IPV6_ADDR:
        return 16;
    case KEY_ICMP_TYPE:
    case KEY_ICMPV6_TYPE:
    case KEY_INET_PROTO:
        return 1;
    case KEY_INET_SERVICE:
    case KEY_ETHER_TYPE:
        return 2;
    case KEY_ND_TARGET:
        return 16;
    case KEY_ND_OPTION_MAC:
        return 6;
    case KEY_TYPES:
        break;
    }
    return 0;
}

size_t key_type_padded(enum key_type type)
{
    return (key_type_size(type) + 3) & ~(size_t)3;
}

const char *key_type_name(enum key_type type)
{
    switch (type) {
    case KEY_IFNAME:
        return "ifname";
    case KEY_ETHER_ADDR:
        return "ether_addr";
    case KEY_IPV4_ADDR:
        return "ipv4_addr";
    case KEY_IPV6_ADDR:
        return "ipv6_addr";
    case KEY_ICMP_TYPE:
        return "icmp_type";
    case KEY_ICMPV6_TYPE:
        return "icmpv6_type";
    case KEY_INET_PROTO:
        return "inet_proto";
    case KEY_INET_SERVICE:
        return "inet_service";
    case KEY_ETHER_TYPE:
        return "ether_type";
    case KEY_ND_TARGET:
        return "@nh,384,128";
    case KEY_ND_OPTION_MAC:
        return "@nh,528,48";
    case KEY_TYPES:
        break;
    }
    return "?";
}

const char *table_pair_name(enum table_pair pair, bool standby)
{
    switch (pair) {
    case PAIR_RULES:
        return standby ? STANDBY_NAME : TABLE_NAME;
    case PAIR_LOCK:
        return standby ? LOCK_STANDBY_NAME : LOCK_TABLE_NAME;
    }
    return TABLE_NAME;
}

const char *table_family_name(enum table_id table)
{
    return table == TABLE_INET ? "inet" : "bridge";
}

const char *hook_name(enum chain_hook hook)
{
    switch (hook) {
    case HOOK_NONE:
        break;
    case HOOK_PREROUTING:
        return "prerouting";
    case HOOK_INPUT:
        return "input";
    case HOOK_FORWARD:
        return "forward";
    case HOOK_OUTPUT:
        return "output";
    }
    return "none";
}

struct ruleset *ruleset_new(void)
{
    return xnew(struct ruleset);
}

static void rule_clear(struct rule_stmt *rule)
{
    free(rule->matches);
    free(rule->comment);
    free(rule->origin);
    free(rule->source.indices);
    free(rule->foreign);
}

static void chain_free(struct chain *chain)
{
    for (size_t i = 0; i < chain->n_rules; i++)
        rule_clear(&chain->rules[i]);
    free(chain->rules);
    free(chain->foreign);
    free(chain);
}

static void set_free(struct set *set)
{
    struct element *element, *next;

    HASH_ITER (hh, set->elements, element, next) {
        HASH_DEL(set->elements, element);
        free(element);
    }
    free(set->catchall);
    free(set->origin);
    free(set->foreign);
    free(set);
}

static void table_clear(struct table *table)
{
    struct chain *chain, *next_chain;
    struct set *set, *next_set;

    HASH_ITER (hh, table->chains, chain, next_chain) {
        HASH_DEL(table->chains, chain);
        chain_free(chain);
    }
    HASH_ITER (hh, table->sets, set, next_set) {
        HASH_DEL(table->sets, set);
        set_free(set);
    }
    for (size_t i = 0; i < table->n_odd; i++)
        free(table->odd[i]);
    free(table->odd);
}

struct ruleset *ruleset_free(struct ruleset *ruleset)
{
    struct interned *string, *next;

    if (!ruleset)
        return NULL;
    for (size_t i = 0; i < TABLES; i++)
        table_clear(&ruleset->tables[i]);
    HASH_ITER (hh, ruleset->strings, string, next) {
        HASH_DEL(ruleset->strings, string);
        free(string);
    }
    free(ruleset);
    return NULL;
}

const char *ruleset_intern(struct ruleset *ruleset, const char *name)
{
    size_t len = strlen(name);
    struct interned *string;

    HASH_FIND(hh, ruleset->strings, name, len, string);
    if (!string) {
        string = xcalloc(1, sizeof(*string) + len + 1);
        memcpy(string->text, name, len + 1);
        HASH_ADD_KEYPTR(hh, ruleset->strings, string->text, len, string);
    }
    return string->text;
}

bool ruleset_stands(const struct ruleset *ruleset)
{
    for (size_t i = 0; i < TABLES; i++) {
        if (!ruleset->tables[i].absent)
            return true;
    }
    return false;
}

void table_add_odd(struct table *table, const char *text)
{
    if (table->n_odd < TABLE_ODD_MAX)
        *ARRAY_ADD(table->odd, table->n_odd) = xstrdup(text);
}

struct chain *table_chain(const struct table *table, const char *name)
{
    struct chain *chain;

    HASH_FIND_STR(table->chains, name, chain);
    return chain;
}

struct set *table_set(const struct table *table, const char *name)
{
    struct set *set;

    HASH_FIND_STR(table->sets, name, set);
    return set;
}

struct chain *ruleset_add_chain(struct ruleset *ruleset, enum table_id table, const char *name)
{
    struct chain *chain = xnew(struct chain);

    chain->name = ruleset_intern(ruleset, name);
    HASH_ADD_KEYPTR(hh, ruleset->tables[table].chains, chain->name, strlen(chain->name), chain);
    return chain;
}

struct set *ruleset_add_set(struct ruleset *ruleset, enum table_id table, const char *name, size_t n_key,
                            const enum key_type *key)
{
    struct set *set = xnew(struct set);

    set->name = ruleset_intern(ruleset, name);
    set->n_key = n_key;
    for (size_t i = 0; i < n_key; i++) {
        set->key[i] = key[i];
        set->key_len += n_key > 1 ? key_type_padded(key[i]) : key_type_size(key[i]);
    }
    HASH_ADD_KEYPTR(hh, ruleset->tables[table].sets, set->name, strlen(set->name), set);
    return set;
}

struct set *ruleset_add_ranges(struct ruleset *ruleset, const char *name, enum ip_family family,
                               const struct ip_ranges *ranges)
{
    enum key_type key = family == IP4 ? KEY_IPV4_ADDR : KEY_IPV6_ADDR;
    struct set *set = ruleset_add_set(ruleset, TABLE_INET, name, 1, &key);

    set->interval = true;
    for (size_t i = 0; i < ranges->n; i++) {
        struct element element = {0};

        ip_to_bytes((struct ip){.num = ranges->v[i].first, .family = family}, element.key);
        ip_to_bytes((struct ip){.num = ranges->v[i].last, .family = family}, element.key_end);
        set_insert(set, &element);
    }
    return set;
}

struct rule_stmt *chain_add_rule(struct chain *chain)
{
    return ARRAY_ADD(chain->rules, chain->n_rules);
}

void rule_source_add(struct rule_source *source, unsigned index)
{
    for (size_t i = 0; i < source->n; i++)
        if (source->indices[i] == index)
            return;
    *ARRAY_ADD(source->indices, source->n) = index;
}

struct match *rule_add_match(struct rule_stmt *rule)
{
    return ARRAY_ADD(rule->matches, rule->n_matches);
}

struct element *set_find(const struct set *set, const uint8_t *key)
{
    struct element *element;

    HASH_FIND(hh, set->elements, key, set->key_len, element);
    return element;
}

bool set_insert(struct set *set, const struct element *element)
{
    struct element *copy;

    if (element->catchall ? set->catchall != NULL : set_find(set, element->key) != NULL)
        return false;
    copy = xnew(struct element);
    *copy = *element;
    memset(&copy->hh, 0, sizeof(copy->hh));
    if (element->catchall)
        set->catchall = copy;
    else
        HASH_ADD(hh, set->elements, key, set->key_len, copy);
    return true;
}

bool set_remove(struct set *set, const uint8_t *key)
{
    struct element *element = set_find(set, key);

    if (!element)
        return false;
    HASH_DEL(set->elements, element);
    free(element);
    return true;
}

size_t set_count(const struct set *set)
{
    return HASH_COUNT(set->elements) + (set->catchall ? 1 : 0);
}

bool set_has_raw_key(const struct set *set)
{
    for (size_t i = 0; i < set->n_key; i++) {
        if (set->key[i] == KEY_ND_TARGET || set->key[i] == KEY_ND_OPTION_MAC)
            return true;
    }
    return false;
}

static bool text_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool match_equal(const struct match *a, const struct match *b)
{
    if (a->kind != b->kind || a->negate != b->negate || a->n_fields != b->n_fields)
        return false;
    for (size_t i = 0; i < a->n_fields; i++) {
        if (a->fields[i] != b->fields[i])
            return false;
    }
    return a->first == b->first && a->last == b->last && a->ct_states == b->ct_states && a->mark == b->mark &&
           ip_equal(a->prefix.net, b->prefix.net) && a->prefix.len == b->prefix.len &&
           text_equal(a->set, b->set);
}

bool rule_equal(const struct rule_stmt *a, const struct rule_stmt *b)
{
    if (a->foreign || b->foreign || a->n_matches != b->n_matches || a->counter != b->counter ||
        a->verdict != b->verdict)
        return false;
    if (a->mark_change != b->mark_change || (a->mark_change != MARK_KEEP && a->mark != b->mark))
        return false;
    if (!text_equal(a->log_prefix, b->log_prefix) || (a->log_prefix && a->log_group != b->log_group))
        return false;
    for (size_t i = 0; i < a->n_matches; i++) {
        if (!match_equal(&a->matches[i], &b->matches[i]))
            return false;
    }
    return text_equal(a->target, b->target) && text_equal(a->vmap, b->vmap) &&
           (!a->vmap || a->vmap_field == b->vmap_field) && text_equal(a->comment, b->comment);
}

bool chain_same_type(const struct chain *a, const struct chain *b)
{
    return !a->foreign && !b->foreign && a->hook == b->hook && a->priority == b->priority;
}

bool chain_equal(const struct chain *a, const struct chain *b)
{
    if (!chain_same_type(a, b) || a->n_rules != b->n_rules)
        return false;
    for (size_t i = 0; i < a->n_rules; i++) {
        if (!rule_equal(&a->rules[i], &b->rules[i]))
            return false;
    }
    return true;
}

static bool meter_equal(const struct meter *a, const struct meter *b)
{
    return a->size == b->size && a->timeout == b->timeout && a->rate == b->rate && a->per == b->per &&
           a->burst == b->burst && a->over == b->over;
}

bool set_same_type(const struct set *a, const struct set *b)
{
    if (a->foreign || b->foreign || a->map != b->map || a->interval != b->interval || a->n_key != b->n_key ||
        !meter_equal(&a->meter, &b->meter))
        return false;
    for (size_t i = 0; i < a->n_key; i++) {
        if (a->key[i] != b->key[i])
            return false;
    }
    return true;
}

bool element_equal(const struct set *set, const struct element *a, const struct element *b)
{
    if (a->foreign || b->foreign || a->catchall != b->catchall ||
        (!a->catchall && memcmp(a->key, b->key, set->key_len) != 0))
        return false;
    if (set->interval && !a->catchall && memcmp(a->key_end, b->key_end, set->key_len) != 0)
        return false;
    return !set->map || (a->verdict == b->verdict && text_equal(a->target, b->target));
}
