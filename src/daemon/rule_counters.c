/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rule_counters_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "policy/compare.h"
#include "util/hash.h"
#include "util/text.h"

/* ---- rules of policies -------------------------------------------------------------------------------- */

char *rule_tally_key(const char *policy, enum direction direction, const char *hash)
{
    return xasprintf("%s %s %s", policy, direction_name(direction), hash);
}

struct rule_tally *rule_tally_add(struct rule_counters *counters, char *key)
{
    struct rule_tally *tally = xnew(struct rule_tally);

    tally->key = key;
    HASH_ADD_KEYPTR(hh, counters->tallies, tally->key, strlen(tally->key), tally);
    return tally;
}

struct rule_tally *rule_tally_find(const struct rule_counters *counters, const char *key)
{
    struct rule_tally *tally;

    HASH_FIND_STR(counters->tallies, key, tally);
    return tally;
}

static void tally_drop(struct rule_counters *counters, struct rule_tally *tally)
{
    HASH_DEL(counters->tallies, tally);
    free((char *)tally->count.policy);
    free((char *)tally->count.name);
    free(tally->key);
    free(tally);
}

/* One that comes back goes on; where it had never counted anything, it begins to be watched now. */
static struct rule_tally *tally_of(struct rule_counters *counters, const struct policy *policy,
                                   enum direction direction, const struct rule *rule, uint64_t now)
{
    _cleanup_free_ char *meaning = rule_meaning(rule);
    char hash[RULE_KEY_HASH_MAX];
    struct rule_tally *tally;

    snprintf(hash, sizeof(hash), "%016" PRIx64, hash_bytes(HASH_START, meaning, strlen(meaning)));
    char *key = rule_tally_key(policy->name, direction, hash);
    tally = rule_tally_find(counters, key);
    if (tally) {
        free(key);
    } else {
        tally = rule_tally_add(counters, key);
        tally->count = (struct rule_count){.policy = xstrdup(policy->name),
                                           .name = xstrdup_null(rule->name),
                                           .direction = direction,
                                           .deny = rule->deny,
                                           .since = now};
    }
    if (tally->in_force) /* written twice */
        return tally;
    if ((tally->gone || tally->count.staged) && policy->mode == MODE_ENFORCE && tally->count.hits == 0 &&
        tally->count.denied == 0)
        tally->count.since = now;
    tally->in_force = true;
    tally->gone = 0;
    tally->count.index = rule->index;
    tally->count.staged = policy->mode == MODE_AUDIT;
    return tally;
}

/* ---- chains of the kernel ----------------------------------------------------------------------------- */

struct counted_chain *counted_chain_add(struct rule_counters *counters, const char *name, size_t n)
{
    struct counted_chain *chain = xnew(struct counted_chain);

    chain->name = xstrdup(name);
    chain->rules = xcalloc(n ? n : 1, sizeof(*chain->rules));
    chain->n = n;
    HASH_ADD_KEYPTR(hh, counters->chains, chain->name, strlen(chain->name), chain);
    return chain;
}

static struct counted_chain *find_chain(const struct rule_counters *counters, const char *name)
{
    struct counted_chain *chain;

    HASH_FIND_STR(counters->chains, name, chain);
    return chain;
}

static void chain_drop(struct rule_counters *counters, struct counted_chain *chain)
{
    HASH_DEL(counters->chains, chain);
    for (size_t i = 0; i < chain->n; i++)
        free(chain->rules[i].of);
    free(chain->rules);
    free(chain->name);
    free(chain);
}

static bool is_of(const struct counted_rule *rule, const struct rule_tally *tally)
{
    for (size_t i = 0; i < rule->n_of; i++)
        if (rule->of[i] == tally)
            return true;
    return false;
}

/* ---- learning ----------------------------------------------------------------------------------------- */

/* The tallies of one policy's rules, by direction and index. */
struct policy_tallies {
    struct rule_tally **v[DIRECTIONS];
};

static struct policy_tallies *tallies_of(struct rule_counters *counters, const struct policy_set *policies,
                                         uint64_t now)
{
    struct policy_tallies *all = xcalloc(policies->n_policies + 1, sizeof(*all));

    for (size_t i = 0; i < policies->n_policies; i++) {
        const struct policy *policy = &policies->policies[i];

        for (size_t direction = 0; direction < DIRECTIONS; direction++) {
            all[i].v[direction] = xcalloc(policy->n_rules[direction] + 1, sizeof(*all[i].v[direction]));
            for (size_t j = 0; j < policy->n_rules[direction]; j++)
                all[i].v[direction][j] =
                    tally_of(counters, policy, (enum direction)direction, &policy->rules[direction][j], now);
        }
    }
    return all;
}

static void tallies_free(struct policy_tallies *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t direction = 0; direction < DIRECTIONS; direction++)
            free(all[i].v[direction]);
    free(all);
}

static int compare_name(const void *name, const void *policy)
{
    return strcmp(name, ((const struct policy *)policy)->name);
}

static void attribute(struct counted_rule *counted, const struct rule_source *source,
                      const struct policy_set *policies, const struct policy_tallies *all)
{
    const struct policy *policy = source->policy && policies->n_policies
                                      ? bsearch(source->policy, policies->policies, policies->n_policies,
                                                sizeof(*policies->policies), compare_name)
                                      : NULL;

    free(STEAL(counted->of));
    counted->n_of = 0;
    for (size_t i = 0; policy && i < source->n; i++) {
        struct rule_tally *tally;

        if (source->indices[i] == 0 || source->indices[i] > policy->n_rules[source->direction])
            continue;
        tally = all[policy - policies->policies].v[source->direction][source->indices[i] - 1];
        if (is_of(counted, tally))
            continue;
        *ARRAY_ADD(counted->of, counted->n_of) = tally;
        tally->count.n_kernel++;
    }
    for (size_t i = 0; counted->n_of > 1 && i < counted->n_of; i++)
        counted->of[i]->count.shared = true;
}

static bool has_sources(const struct chain *chain)
{
    for (size_t i = 0; i < chain->n_rules; i++)
        if (chain->rules[i].source.n)
            return true;
    return false;
}

static void learn_chain(struct rule_counters *counters, const struct chain *chain,
                        const struct policy_set *policies, const struct policy_tallies *all)
{
    struct counted_chain *known = find_chain(counters, chain->name);

    if (known && (known->n != chain->n_rules || !has_sources(chain))) {
        chain_drop(counters, known);
        known = NULL;
    }
    if (!has_sources(chain))
        return;
    if (!known)
        known = counted_chain_add(counters, chain->name, chain->n_rules);
    known->wanted = true;
    for (size_t i = 0; i < chain->n_rules; i++)
        attribute(&known->rules[i], &chain->rules[i].source, policies, all);
}

static bool is_used(const struct rule_counters *counters, const struct rule_tally *tally)
{
    for (const struct counted_chain *chain = counters->chains; chain; chain = chain->hh.next)
        for (size_t i = 0; i < chain->n; i++)
            if (is_of(&chain->rules[i], tally))
                return true;
    return false;
}

static void retire(struct rule_counters *counters, uint64_t now)
{
    struct rule_tally *tally, *next;

    HASH_ITER (hh, counters->tallies, tally, next) {
        if (tally->in_force)
            continue;
        if (!tally->gone)
            tally->gone = now;
        if (now >= tally->gone + RULE_REMEMBERED && !is_used(counters, tally))
            tally_drop(counters, tally);
    }
}

void rule_counters_learn(struct rule_counters *counters, const struct policy_set *policies,
                         const struct ruleset *ruleset, uint64_t now)
{
    struct policy_tallies *all;

    for (struct rule_tally *tally = counters->tallies; tally; tally = tally->hh.next) {
        tally->in_force = tally->count.shared = false;
        tally->count.n_kernel = 0;
    }
    for (struct counted_chain *chain = counters->chains; chain; chain = chain->hh.next)
        chain->wanted = false;
    all = tallies_of(counters, policies, now);
    for (const struct chain *chain = ruleset->tables[TABLE_INET].chains; chain; chain = chain->hh.next)
        learn_chain(counters, chain, policies, all);
    tallies_free(all, policies->n_policies);
    retire(counters, now);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

/* Are these the tables that were read last? */
static bool is_there(const struct rule_counters *counters, const char *where,
                     const struct table_counters *kernel)
{
    return counters->where && strcmp(counters->where, where) == 0 && counters->table == kernel->table;
}

static void go_to(struct rule_counters *counters, const char *where, const struct table_counters *kernel)
{
    char *text = xstrdup(where);

    free(counters->where);
    counters->where = text;
    counters->table = kernel->table;
}

/* A rule that is another one counts from the start. */
static bool add_rule(struct counted_rule *rule, const struct rule_counter *is, bool same_table, uint64_t now)
{
    bool goes_on = same_table && rule->read.handle == is->handle && rule->read.packets <= is->packets &&
                   rule->read.bytes <= is->bytes;
    uint64_t packets = is->packets - (goes_on ? rule->read.packets : 0);
    uint64_t bytes = is->bytes - (goes_on ? rule->read.bytes : 0);

    rule->read = *is;
    for (size_t i = 0; packets && i < rule->n_of; i++) {
        rule->of[i]->count.hits += packets;
        rule->of[i]->count.bytes += bytes;
        rule->of[i]->count.last_hit = now;
    }
    return packets && rule->n_of;
}

/* Chains that are gone take with them what they have counted since they were read last. */
static void drop_gone(struct rule_counters *counters)
{
    struct counted_chain *chain, *next;

    HASH_ITER (hh, counters->chains, chain, next)
        if (!chain->seen && !chain->wanted)
            chain_drop(counters, chain);
}

bool rule_counters_read(struct rule_counters *counters, const char *where,
                        const struct table_counters *kernel, uint64_t now)
{
    bool same_table = is_there(counters, where, kernel), added = false;

    for (struct counted_chain *chain = counters->chains; chain; chain = chain->hh.next)
        chain->seen = false;
    for (size_t i = 0; i < kernel->n; i++) {
        const struct chain_counters *is = &kernel->chains[i];
        struct counted_chain *chain = find_chain(counters, is->name);

        if (!chain)
            continue;
        chain->seen = true;
        for (size_t j = 0; chain->n == is->n && j < is->n; j++) /* else somebody has changed it */
            added |= add_rule(&chain->rules[j], &is->rules[j], same_table, now);
    }
    go_to(counters, where, kernel);
    drop_gone(counters);
    return added;
}

void rule_counters_begin(struct rule_counters *counters, const char *where,
                         const struct table_counters *kernel)
{
    for (size_t i = 0; i < kernel->n; i++) {
        const struct chain_counters *is = &kernel->chains[i];
        struct counted_chain *chain = find_chain(counters, is->name);

        if (chain)
            chain_drop(counters, chain);
        chain = counted_chain_add(counters, is->name, is->n);
        chain->seen = true;
        for (size_t j = 0; j < is->n; j++)
            chain->rules[j].read = is->rules[j];
    }
    go_to(counters, where, kernel);
}

/* ---- denied ------------------------------------------------------------------------------------------- */

static bool is_called(const struct rule_tally *tally, const char *word)
{
    _cleanup_free_ char *name =
        tally->count.name ? text_escape(tally->count.name, false)
                          : xasprintf("%s %u", direction_name(tally->count.direction), tally->count.index);

    return strcmp(name, word) == 0;
}

void rule_counters_denied(struct rule_counters *counters, const char *policy, enum direction direction,
                          const char *rule, uint64_t packets, uint64_t now)
{
    for (struct rule_tally *tally = counters->tallies; tally; tally = tally->hh.next) {
        struct rule_count *count = &tally->count;

        if (!tally->in_force || !count->deny || count->direction != direction ||
            strcmp(count->policy, policy) != 0 || !is_called(tally, rule))
            continue;
        count->denied += packets;
        count->last_hit = now;
        return;
    }
}

/* ---- all of them -------------------------------------------------------------------------------------- */

static int compare_counts(const void *a, const void *b)
{
    const struct rule_count *x = a, *y = b;
    int r = strcmp(x->policy, y->policy);

    r = r ?: (int)x->direction - (int)y->direction;
    return r ?: (x->index > y->index) - (x->index < y->index);
}

size_t rule_counters_list(const struct rule_counters *counters, struct rule_count **ret)
{
    struct rule_count *list = NULL;
    size_t n = 0;

    for (const struct rule_tally *tally = counters->tallies; tally; tally = tally->hh.next)
        if (tally->in_force)
            *ARRAY_ADD(list, n) = tally->count;
    if (n)
        qsort(list, n, sizeof(*list), compare_counts);
    *ret = list;
    return n;
}

struct rule_counters *rule_counters_new(void)
{
    return xnew(struct rule_counters);
}

void rule_counters_empty(struct rule_counters *counters)
{
    struct counted_chain *chain, *next_chain;
    struct rule_tally *tally, *next_tally;

    HASH_ITER (hh, counters->chains, chain, next_chain)
        chain_drop(counters, chain);
    HASH_ITER (hh, counters->tallies, tally, next_tally)
        tally_drop(counters, tally);
    free(STEAL(counters->where));
    counters->table = 0;
}

struct rule_counters *rule_counters_free(struct rule_counters *counters)
{
    if (!counters)
        return NULL;
    rule_counters_empty(counters);
    free(counters);
    return NULL;
}
