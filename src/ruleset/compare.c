// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset/compare.h"

#include <string.h>

#include "ruleset/print.h"
#include "util/mem.h"

struct comparison {
    struct differences *differences;
    size_t max;
    enum table_id table;
    bool whole; /* of what is there on one side only, each part is told too */
    char *text; /* of the difference that is being told */
    size_t len;
};

/* For one that is too many, nothing is made: NULL. */
static FILE *start(struct comparison *comparison, enum difference_kind kind, enum difference_what what,
                   const char *name)
{
    struct differences *all = comparison->differences;
    struct difference *difference;
    FILE *out;

    all->n_of[what]++;
    if (all->n >= comparison->max) {
        all->n_more++;
        return NULL;
    }
    difference = ARRAY_ADD(all->v, all->n);
    *difference =
        (struct difference){.table = comparison->table, .kind = kind, .what = what, .name = xstrdup(name)};
    out = open_memstream(&comparison->text, &comparison->len);
    if (!out)
        abort(); /* out of memory */
    return out;
}

static void finish(struct comparison *comparison, FILE *out)
{
    if (fclose(out) != 0)
        abort(); /* out of memory */
    comparison->differences->v[comparison->differences->n - 1].text = STEAL(comparison->text);
}

static void add_text(struct comparison *comparison, enum difference_kind kind, enum difference_what what,
                     const char *name, const char *text)
{
    FILE *out = start(comparison, kind, what, name);

    if (!out)
        return;
    fputs(text, out);
    finish(comparison, out);
}

static void add_rule(struct comparison *comparison, enum difference_what what, const struct chain *chain,
                     const struct rule_stmt *rule)
{
    FILE *out = start(comparison, DIFFERENCE_RULE, what, chain->name);

    if (!out)
        return;
    rule_print(rule, out);
    finish(comparison, out);
}

static void add_element(struct comparison *comparison, enum difference_what what, const struct set *set,
                        const struct element *element)
{
    FILE *out = start(comparison, DIFFERENCE_ELEMENT, what, set->name);

    if (!out)
        return;
    element_print(set, element, out);
    if (element->foreign)
        fputs(" # with a timeout, a comment or what else is never ours", out);
    finish(comparison, out);
}

/* ---- chains ------------------------------------------------------------------------------------------- */

static void add_chain(struct comparison *comparison, enum difference_what what, const struct chain *chain)
{
    FILE *out = start(comparison, DIFFERENCE_CHAIN, what, chain->name);

    if (!out)
        return;
    fprintf(out, "chain %s", chain->name);
    if (chain->hook != HOOK_NONE)
        fprintf(out, " { type filter hook %s priority %d; }", hook_name(chain->hook), chain->priority);
    if (chain->foreign)
        fprintf(out, " # %s", chain->foreign);
    finish(comparison, out);
}

static void add_whole_chain(struct comparison *comparison, enum difference_what what,
                            const struct chain *chain)
{
    add_chain(comparison, what, chain);
    for (size_t i = 0; i < chain->n_rules; i++)
        add_rule(comparison, what, chain, &chain->rules[i]);
}

/* Those of a that have no equal in b, each of b being the equal of one only. */
static void rules_without(struct comparison *comparison, enum difference_what what, const struct chain *a,
                          const struct chain *b, size_t first, size_t a_end, size_t b_end)
{
    _cleanup_free_ bool *taken = xcalloc(b_end - first + 1, sizeof(*taken));

    for (size_t i = first; i < a_end; i++) {
        size_t j = first;

        while (j < b_end && (taken[j - first] || !rule_equal(&a->rules[i], &b->rules[j])))
            j++;
        if (j < b_end)
            taken[j - first] = true;
        else
            add_rule(comparison, what, a, &a->rules[i]);
    }
}

/* What is the same at both ends of the chain is the same; between that, order is told of only where there is
 * no other difference. */
static void compare_rules(struct comparison *comparison, const struct chain *is, const struct chain *should)
{
    size_t first = 0, is_end = is->n_rules, should_end = should->n_rules;
    size_t before = comparison->differences->n + comparison->differences->n_more;

    while (first < is_end && first < should_end && rule_equal(&is->rules[first], &should->rules[first]))
        first++;
    while (is_end > first && should_end > first &&
           rule_equal(&is->rules[is_end - 1], &should->rules[should_end - 1])) {
        is_end--;
        should_end--;
    }
    if (is_end == first && should_end == first)
        return;
    rules_without(comparison, DIFFERENCE_MISSING, should, is, first, should_end, is_end);
    rules_without(comparison, DIFFERENCE_FOREIGN, is, should, first, is_end, should_end);
    if (comparison->differences->n + comparison->differences->n_more == before)
        add_text(comparison, DIFFERENCE_CHAIN, DIFFERENCE_DIFFERENT, is->name,
                 "its rules stand in another order");
}

/* ---- sets --------------------------------------------------------------------------------------------- */

static void add_set(struct comparison *comparison, enum difference_what what, const struct set *set)
{
    FILE *out = start(comparison, DIFFERENCE_SET, what, set->name);

    if (!out)
        return;
    fprintf(out, "%s %s {", set->map ? "map" : "set", set->name);
    for (size_t i = 0; i < set->n_key; i++)
        fprintf(out, "%s %s", i ? " ." : " type", key_type_name(set->key[i]));
    fprintf(out, "%s%s }", set->map ? " : verdict;" : ";", set->interval ? " flags interval;" : "");
    if (set->foreign)
        fprintf(out, " # %s", set->foreign);
    finish(comparison, out);
}

static int compare_keys(const void *a, const void *b, void *key_len)
{
    return memcmp((*(const struct element *const *)a)->key, (*(const struct element *const *)b)->key,
                  *(const size_t *)key_len);
}

/* Elements of a that are not in b, or with `differing` those that are there with another verdict or end. */
static void elements_without(struct comparison *comparison, enum difference_what what, const struct set *a,
                             const struct set *b, bool differing)
{
    const struct element **found = NULL;
    size_t n = 0, key_len = a->key_len;

    for (const struct element *element = a->elements; element; element = element->hh.next) {
        const struct element *other = set_find(b, element->key);

        if (differing ? other && !element_equal(a, element, other) : !other)
            *ARRAY_ADD(found, n) = element;
    }
    if (n)
        qsort_r(found, n, sizeof(*found), compare_keys, &key_len);
    for (size_t i = 0; i < n; i++)
        add_element(comparison, what, a, found[i]);
    free(found);
    if (a->catchall &&
        (differing ? b->catchall && !element_equal(a, a->catchall, b->catchall) : !b->catchall))
        add_element(comparison, what, a, a->catchall);
}

static void compare_elements(struct comparison *comparison, const struct set *is, const struct set *should)
{
    elements_without(comparison, DIFFERENCE_MISSING, should, is, false);
    elements_without(comparison, DIFFERENCE_FOREIGN, is, should, false);
    if (comparison->whole) {
        elements_without(comparison, DIFFERENCE_FOREIGN, is, should, true);
        elements_without(comparison, DIFFERENCE_MISSING, should, is, true);
    } else {
        elements_without(comparison, DIFFERENCE_DIFFERENT, is, should, true);
    }
}

static void add_whole_set(struct comparison *comparison, enum difference_what what, const struct set *set)
{
    static const struct set nothing;

    add_set(comparison, what, set);
    if (comparison->whole)
        elements_without(comparison, what, set, &nothing, false);
}

/* ---- tables ------------------------------------------------------------------------------------------- */

static int compare_chain_names(const void *a, const void *b)
{
    return strcmp((*(const struct chain *const *)a)->name, (*(const struct chain *const *)b)->name);
}

static int compare_set_names(const void *a, const void *b)
{
    return strcmp((*(const struct set *const *)a)->name, (*(const struct set *const *)b)->name);
}

static void foreign_chains(struct comparison *comparison, const struct table *is, const struct table *should)
{
    const struct chain **v = NULL;
    size_t n = 0;

    for (const struct chain *chain = is->chains; chain; chain = chain->hh.next) {
        if (!table_chain(should, chain->name))
            *ARRAY_ADD(v, n) = chain;
    }
    if (n)
        qsort(v, n, sizeof(*v), compare_chain_names);
    for (size_t i = 0; i < n; i++)
        add_whole_chain(comparison, DIFFERENCE_FOREIGN, v[i]);
    free(v);
}

static void foreign_sets(struct comparison *comparison, const struct table *is, const struct table *should)
{
    const struct set **v = NULL;
    size_t n = 0;

    for (const struct set *set = is->sets; set; set = set->hh.next) {
        if (!table_set(should, set->name))
            *ARRAY_ADD(v, n) = set;
    }
    if (n)
        qsort(v, n, sizeof(*v), compare_set_names);
    for (size_t i = 0; i < n; i++)
        add_whole_set(comparison, DIFFERENCE_FOREIGN, v[i]);
    free(v);
}

static void compare_sets(struct comparison *comparison, const struct table *is, const struct table *should)
{
    for (const struct set *set = should->sets; set; set = set->hh.next) {
        const struct set *other = table_set(is, set->name);

        comparison->differences->n_objects += 1 + set_count(set);
        if (!other) {
            add_whole_set(comparison, DIFFERENCE_MISSING, set);
        } else if (set_same_type(other, set)) {
            compare_elements(comparison, other, set);
        } else if (comparison->whole) {
            add_whole_set(comparison, DIFFERENCE_FOREIGN, other);
            add_whole_set(comparison, DIFFERENCE_MISSING, set);
        } else {
            add_set(comparison, DIFFERENCE_DIFFERENT, other);
        }
    }
    foreign_sets(comparison, is, should);
}

static void compare_chains(struct comparison *comparison, const struct table *is, const struct table *should)
{
    for (const struct chain *chain = should->chains; chain; chain = chain->hh.next) {
        const struct chain *other = table_chain(is, chain->name);

        comparison->differences->n_objects += 1 + chain->n_rules;
        if (!other && comparison->whole) {
            add_whole_chain(comparison, DIFFERENCE_MISSING, chain);
        } else if (!other) {
            add_chain(comparison, DIFFERENCE_MISSING, chain);
        } else if (comparison->whole && !chain_same_type(other, chain)) {
            add_whole_chain(comparison, DIFFERENCE_FOREIGN, other);
            add_whole_chain(comparison, DIFFERENCE_MISSING, chain);
        } else {
            if (!chain_same_type(other, chain))
                add_chain(comparison, DIFFERENCE_DIFFERENT, other);
            compare_rules(comparison, other, chain);
        }
    }
    foreign_chains(comparison, is, should);
}

static void compare_tables(struct comparison *comparison, const struct ruleset *is,
                           const struct ruleset *should)
{
    const char *name = table_pair_name(should->pair, false);

    for (size_t i = 0; i < TABLES; i++) {
        const struct table *found = &is->tables[i], *wanted = &should->tables[i];

        comparison->table = i ? TABLE_BRIDGE : TABLE_INET;
        comparison->differences->n_objects++;
        if (found->standby)
            add_text(comparison, DIFFERENCE_TABLE, DIFFERENCE_FOREIGN, table_pair_name(should->pair, true),
                     "the whole table");
        if (found->absent)
            add_text(comparison, DIFFERENCE_TABLE, DIFFERENCE_MISSING, name, "the whole table");
        if (found->absent && !comparison->whole)
            continue;
        for (size_t j = 0; j < found->n_odd; j++)
            add_text(comparison, DIFFERENCE_TABLE, DIFFERENCE_FOREIGN, name, found->odd[j]);
        compare_sets(comparison, found, wanted);
        compare_chains(comparison, found, wanted);
    }
}

void ruleset_compare(const struct ruleset *is, const struct ruleset *should, size_t max,
                     struct differences *ret)
{
    struct comparison comparison = {.differences = ret, .max = max};

    *ret = (struct differences){0};
    compare_tables(&comparison, is, should);
}

void ruleset_diff(const struct ruleset *is, const struct ruleset *should, size_t max, struct differences *ret)
{
    struct comparison comparison = {.differences = ret, .max = max, .whole = true};

    *ret = (struct differences){0};
    compare_tables(&comparison, is, should);
}

void differences_clear(struct differences *differences)
{
    for (size_t i = 0; i < differences->n; i++) {
        free(differences->v[i].name);
        free(differences->v[i].text);
    }
    free(differences->v);
    *differences = (struct differences){0};
}

const char *difference_kind_name(enum difference_kind kind)
{
    switch (kind) {
    case DIFFERENCE_TABLE:
        return "table";
    case DIFFERENCE_CHAIN:
        return "chain";
    case DIFFERENCE_RULE:
        return "rule";
    case DIFFERENCE_SET:
        return "set";
    case DIFFERENCE_ELEMENT:
        return "element";
    }
    return "?";
}

const char *difference_what_name(enum difference_what what)
{
    switch (what) {
    case DIFFERENCE_MISSING:
        return "missing";
    case DIFFERENCE_FOREIGN:
        return "foreign";
    case DIFFERENCE_DIFFERENT:
        return "different";
    }
    return "?";
}
