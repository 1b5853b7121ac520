/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "metrics/verdicts.h"

#include <string.h>

#include <uthash.h>

struct entry {
    struct verdict_count count;
    char *key;
    UT_hash_handle hh;
};

struct verdict_counts {
    struct entry *entries;
};

struct verdict_counts *verdict_counts_new(void)
{
    return xnew(struct verdict_counts);
}

struct verdict_counts *verdict_counts_free(struct verdict_counts *counts)
{
    struct entry *entry, *next;

    if (!counts)
        return NULL;
    HASH_ITER (hh, counts->entries, entry, next) {
        HASH_DEL(counts->entries, entry);
        free((char *)entry->count.policy);
        free((char *)entry->count.rule);
        free(entry->key);
        free(entry);
    }
    free(counts);
    return NULL;
}

/* No name has a line end in it: they were parsed. */
static char *key_of(const struct verdict_count *count)
{
    return xasprintf("%d%d\n%s\n%s", count->allow, (int)count->direction, count->policy, count->rule);
}

static struct entry *find(const struct verdict_counts *counts, const char *key)
{
    struct entry *entry;

    HASH_FIND_STR(counts->entries, key, entry);
    return entry;
}

static struct entry *add(struct verdict_counts *counts, const struct verdict_count *count, char *key)
{
    struct entry *entry = xnew(struct entry);

    entry->count = *count;
    entry->count.policy = xstrdup(count->policy);
    entry->count.rule = xstrdup(count->rule);
    entry->count.count = 0;
    entry->key = key;
    HASH_ADD_KEYPTR(hh, counts->entries, entry->key, strlen(entry->key), entry);
    return entry;
}

void verdict_counts_add(struct verdict_counts *counts, const struct verdict_count *count)
{
    struct verdict_count other = *count;
    _cleanup_free_ char *key = key_of(count);
    struct entry *entry = find(counts, key);

    if (!entry && HASH_COUNT(counts->entries) >= VERDICT_COUNTS_MAX) {
        other.policy = "";
        other.rule = OTHER_RULES;
        free(key);
        key = key_of(&other);
        entry = find(counts, key);
    }
    if (!entry)
        entry = add(counts, &other, STEAL(key));
    entry->count.count += count->count;
}

void verdict_counts_add_all(struct verdict_counts *counts, const struct verdict_counts *others)
{
    for (const struct entry *entry = others->entries; entry; entry = entry->hh.next)
        verdict_counts_add(counts, &entry->count);
}

static int by_names(const void *a, const void *b)
{
    const struct verdict_count *x = *(const struct verdict_count *const *)a,
                               *y = *(const struct verdict_count *const *)b;
    int order = strcmp(x->policy, y->policy);

    order = order ? order : strcmp(x->rule, y->rule);
    order = order ? order : (int)x->direction - (int)y->direction;
    return order ? order : (int)x->allow - (int)y->allow;
}

const struct verdict_count **verdict_counts_sorted(const struct verdict_counts *counts, size_t *ret_n)
{
    const struct verdict_count **list = xcalloc(HASH_COUNT(counts->entries) + 1, sizeof(*list));
    size_t n = 0;

    for (const struct entry *entry = counts->entries; entry; entry = entry->hh.next)
        list[n++] = &entry->count;
    qsort(list, n, sizeof(*list), by_names);
    *ret_n = n;
    return list;
}
