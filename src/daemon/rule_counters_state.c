/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rule counters as a file: the sums, and what the kernel had counted when they were made, so that a later daemon goes on
 * from there. */
#include "rule_counters_private.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#define FORMAT_VERSION "1.0"
#define RULES_MAX 65536     /* of policies */
#define CHAIN_MAX (1 << 20) /* rules in a chain */

/* ---- writing ------------------------------------------------------------------------------------------ */

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *tally_to_json(const struct rule_tally *tally)
{
    const struct rule_count *count = &tally->count;

    return json_pack("{s:s, s:s, s:s?, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "key", tally->key,
                     "policy", count->policy, "name", count->name, "direction",
                     direction_name(count->direction), "deny", count->deny, "staged", count->staged, "hits",
                     number(count->hits), "bytes", number(count->bytes), "denied", number(count->denied),
                     "last_hit", number(count->last_hit), "since", number(count->since), "gone",
                     number(tally->gone));
}

/* [handle, packets, bytes, and the numbers of the rules that it stands for] */
static json_t *counted_to_json(const struct counted_rule *rule)
{
    json_t *list = json_array();

    json_array_append_new(list, number(rule->read.handle));
    json_array_append_new(list, number(rule->read.packets));
    json_array_append_new(list, number(rule->read.bytes));
    for (size_t i = 0; i < rule->n_of; i++)
        json_array_append_new(list, number(rule->of[i]->number));
    return list;
}

static json_t *chains_to_json(const struct rule_counters *counters)
{
    json_t *chains = json_object();

    for (const struct counted_chain *chain = counters->chains; chain; chain = chain->hh.next) {
        json_t *rules = json_array();

        for (size_t i = 0; i < chain->n; i++)
            json_array_append_new(rules, counted_to_json(&chain->rules[i]));
        json_object_set_new(chains, chain->name, rules);
    }
    return chains;
}

char *rule_counters_save(const struct rule_counters *counters)
{
    json_t *rules = json_array(), *document;
    size_t n = 0;
    char *text;

    for (struct rule_tally *tally = counters->tallies; tally; tally = tally->hh.next) {
        tally->number = n++;
        json_array_append_new(rules, tally_to_json(tally));
    }
    document =
        json_pack("{s:s, s:s?, s:o, s:o, s:o}", "format_version", FORMAT_VERSION, "where", counters->where,
                  "table", number(counters->table), "rules", rules, "chains", chains_to_json(counters));
    text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    return text ? text : xstrdup("");
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static bool get_number(const json_t *value, uint64_t *ret)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret = (uint64_t)json_integer_value(value);
    return true;
}

static bool get_direction(const json_t *object, enum direction *ret)
{
    const char *text = json_string_value(json_object_get(object, "direction"));

    for (size_t direction = 0; text && direction < DIRECTIONS; direction++) {
        if (strcmp(text, direction_name((enum direction)direction)) != 0)
            continue;
        *ret = (enum direction)direction;
        return true;
    }
    return false;
}

static bool read_tally(struct rule_counters *counters, const json_t *object, struct rule_tally **ret)
{
    const char *key = json_string_value(json_object_get(object, "key"));
    const char *policy = json_string_value(json_object_get(object, "policy"));
    struct rule_tally read = {0};
    struct rule_count *count = &read.count;

    if (!key || !policy || rule_tally_find(counters, key) || !get_direction(object, &count->direction) ||
        !get_number(json_object_get(object, "hits"), &count->hits) ||
        !get_number(json_object_get(object, "bytes"), &count->bytes) ||
        !get_number(json_object_get(object, "denied"), &count->denied) ||
        !get_number(json_object_get(object, "last_hit"), &count->last_hit) ||
        !get_number(json_object_get(object, "since"), &count->since) ||
        !get_number(json_object_get(object, "gone"), &read.gone))
        return false;
    count->deny = json_is_true(json_object_get(object, "deny"));
    count->staged = json_is_true(json_object_get(object, "staged"));
    *ret = rule_tally_add(counters, xstrdup(key));
    (*ret)->count = *count;
    (*ret)->count.policy = xstrdup(policy);
    (*ret)->count.name = xstrdup_null(json_string_value(json_object_get(object, "name")));
    (*ret)->gone = read.gone;
    return true;
}

static bool read_counted(const json_t *list, struct rule_tally **tallies, size_t n, struct counted_rule *ret)
{
    uint64_t of;

    if (!get_number(json_array_get(list, 0), &ret->read.handle) ||
        !get_number(json_array_get(list, 1), &ret->read.packets) ||
        !get_number(json_array_get(list, 2), &ret->read.bytes))
        return false;
    for (size_t i = 3; i < json_array_size(list); i++) {
        if (!get_number(json_array_get(list, i), &of) || of >= n)
            return false;
        *ARRAY_ADD(ret->of, ret->n_of) = tallies[of];
    }
    return true;
}

static bool read_chains(struct rule_counters *counters, const json_t *object, struct rule_tally **tallies,
                        size_t n)
{
    const char *name;
    json_t *rules;

    json_object_foreach ((json_t *)object, name, rules) {
        struct counted_chain *chain;

        if (!json_is_array(rules) || json_array_size(rules) > CHAIN_MAX)
            return false;
        chain = counted_chain_add(counters, name, json_array_size(rules));
        for (size_t i = 0; i < chain->n; i++)
            if (!read_counted(json_array_get(rules, i), tallies, n, &chain->rules[i]))
                return false;
    }
    return true;
}

static bool read_all(struct rule_counters *counters, const json_t *document)
{
    const char *version = json_string_value(json_object_get(document, "format_version"));
    const char *where = json_string_value(json_object_get(document, "where"));
    const json_t *rules = json_object_get(document, "rules"), *chains = json_object_get(document, "chains");
    size_t n = json_array_size(rules);
    _cleanup_free_ struct rule_tally **tallies = NULL;

    if (!version || strcmp(version, FORMAT_VERSION) != 0 || !json_is_array(rules) || n > RULES_MAX ||
        !json_is_object(chains) || !get_number(json_object_get(document, "table"), &counters->table))
        return false;
    tallies = xcalloc(n + 1, sizeof(struct rule_tally *));
    for (size_t i = 0; i < n; i++)
        if (!read_tally(counters, json_array_get(rules, i), &tallies[i]))
            return false;
    counters->where = xstrdup_null(where);
    return read_chains(counters, chains, tallies, n);
}

int rule_counters_restore(struct rule_counters *counters, const char *text)
{
    json_t *document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    bool good = read_all(counters, document);

    json_decref(document);
    if (!good)
        rule_counters_empty(counters);
    return good ? 0 : -EBADMSG;
}
