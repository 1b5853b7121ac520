/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/labels.h"

#include <errno.h>
#include <string.h>

#include "util/mem.h"
#include "util/text.h"

#define COMPOSE "com.docker.compose."
#define COMPOSE_PROJECT COMPOSE "project"
#define COMPOSE_SERVICE COMPOSE "service"
#define COMPOSE_NUMBER COMPOSE "container-number"

/* ---- life --------------------------------------------------------------------------------------------- */

struct given_labels *given_labels_new(void)
{
    return xnew(struct given_labels);
}

void given_label_clear(struct given_label *label)
{
    lock_free(label->whom);
    free(label->key);
    free(label->value);
    free(label->reason);
    who_clear(&label->who);
    *label = (struct given_label){0};
}

struct given_labels *given_labels_free(struct given_labels *list)
{
    if (!list)
        return NULL;
    for (size_t i = 0; i < list->n; i++)
        given_label_clear(&list->v[i]);
    free(list->v);
    free(list);
    return NULL;
}

static struct given_label label_copy(const struct given_label *label)
{
    struct given_label copy = *label;

    copy.whom = lock_copy(label->whom);
    copy.key = xstrdup(label->key);
    copy.value = xstrdup(label->value);
    copy.reason = xstrdup_null(label->reason);
    copy.who = who_copy(&label->who);
    return copy;
}

struct given_labels *given_labels_copy(const struct given_labels *list,
                                       bool (*keep)(const struct given_label *label, const void *userdata),
                                       const void *userdata)
{
    struct given_labels *copy = given_labels_new();

    for (size_t i = 0; list && i < list->n; i++)
        if (!keep || keep(&list->v[i], userdata))
            *ARRAY_ADD(copy->v, copy->n) = label_copy(&list->v[i]);
    return copy;
}

/* ---- what may be given -------------------------------------------------------------------------------- */

/* As in policy files: UTF-8 without characters that a terminal would act on. */
static bool is_plain(const char *text)
{
    _cleanup_free_ char *escaped = text_escape(text, false);

    return strcmp(escaped, text) == 0;
}

int label_key_check(const char *key, const char **ret_why)
{
    *ret_why = !*key                         ? "a label needs a key"
               : strlen(key) > LABEL_KEY_MAX ? "a label's key has at most 255 bytes"
               : strchr(key, '=')            ? "a label's key has no '='"
               : !is_plain(key)              ? "a label's key is UTF-8 without control characters"
               : strncmp(key, COMPOSE, strlen(COMPOSE)) == 0
                   ? "Compose's own labels say what the container is, and only Compose gives them"
                   : NULL;
    return *ret_why ? -EINVAL : 0;
}

int label_value_check(const char *value, const char **ret_why)
{
    *ret_why = strlen(value) > LABEL_VALUE_MAX ? "a label's value has at most 1024 bytes"
               : !is_plain(value)              ? "a label's value is UTF-8 without control characters"
                                               : NULL;
    return *ret_why ? -EINVAL : 0;
}

/* ---- whose it is -------------------------------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

struct lock *label_whom(const struct container *container)
{
    struct lock *whom = lock_new();

    lock_name(whom, container);
    if (container_label(container, COMPOSE_PROJECT) && container_label(container, COMPOSE_SERVICE))
        return whom;
    free(STEAL(whom->project));
    free(STEAL(whom->service));
    free(STEAL(whom->number));
    return whom;
}

static bool is_its_own(const struct given_label *label, const struct container *container)
{
    return same(label->whom->id, container->id);
}

/* A lock believes every label, as who lies locks himself; here who lies might be granted something. */
static bool is_successor(const struct given_label *label, const struct container *container)
{
    if (!lock_means(label->whom, container))
        return false;
    return same(label->whom->name, container->name) ||
           (container_label(container, COMPOSE_PROJECT) && container_label(container, COMPOSE_SERVICE) &&
            (!label->whom->number || container_label(container, COMPOSE_NUMBER)));
}

bool label_is_of(const struct given_label *label, const struct container *container)
{
    return is_its_own(label, container) || (label->follow && is_successor(label, container));
}

bool label_was_of_former(const struct given_label *label, const struct container *container)
{
    return label->ended && !label_is_of(label, container) && is_successor(label, container);
}

/* One of its own comes before one that follows it, a later one before an earlier. */
static bool comes_first(const struct given_label *label, const struct given_label *earlier,
                        const struct container *container)
{
    return is_its_own(label, container) || !is_its_own(earlier, container);
}

const struct given_label *labels_find(const struct given_labels *list, const struct container *container,
                                      const char *key)
{
    const struct given_label *found = NULL;

    for (size_t i = 0; list && i < list->n; i++) {
        const struct given_label *label = &list->v[i];

        if (strcmp(label->key, key) == 0 && label_is_of(label, container) &&
            (!found || comes_first(label, found, container)))
            found = label;
    }
    return found;
}

static bool same_labels(const struct label *a, size_t n_a, const struct label *b, size_t n_b)
{
    bool equal = n_a == n_b;

    for (size_t i = 0; equal && i < n_a; i++)
        equal = strcmp(a[i].key, b[i].key) == 0 && strcmp(a[i].value, b[i].value) == 0;
    return equal;
}

const struct given_label **labels_of(const struct given_labels *list, const struct container *container,
                                     size_t *ret_n)
{
    const struct given_label **found = NULL;
    size_t n = 0;

    for (size_t i = 0; list && i < list->n; i++) {
        const struct given_label *label = &list->v[i];
        size_t at = 0;

        if (!label_is_of(label, container))
            continue;
        while (at < n && strcmp(found[at]->key, label->key) != 0)
            at++;
        if (at == n)
            *ARRAY_ADD(found, n) = label;
        else if (comes_first(label, found[at], container))
            found[at] = label;
    }
    *ret_n = n;
    return found;
}

bool labels_overlay(const struct given_labels *list, struct container *container)
{
    struct label *old = container->overlay, *new;
    size_t n, n_old = container->n_overlay;
    const struct given_label **found = labels_of(list, container, &n);
    bool changed;

    new = xcalloc(n ? n : 1, sizeof(*new));
    for (size_t i = 0; i < n; i++)
        new[i] = (struct label){.key = xstrdup(found[i]->key), .value = xstrdup(found[i]->value)};
    free(found);
    labels_sort(new, n);
    changed = !same_labels(new, n, old, n_old);
    container->overlay = new;
    container->n_overlay = n;
    labels_free(old, n_old);
    return changed;
}

/* ---- how long ----------------------------------------------------------------------------------------- */

/* False: there are not too many. */
static bool drop_oldest_ended(struct given_labels *list)
{
    size_t n = 0, oldest = 0;

    for (size_t i = 0; i < list->n; i++) {
        if (list->v[i].ended && (n == 0 || list->v[i].ended < list->v[oldest].ended))
            oldest = i;
        n += list->v[i].ended != 0;
    }
    if (n <= LABELS_ENDED_MAX)
        return false;
    given_label_clear(&list->v[oldest]);
    list->n--;
    memmove(&list->v[oldest], &list->v[oldest + 1], (list->n - oldest) * sizeof(*list->v));
    return true;
}

static bool is_gone(const struct given_label *label, const struct inventory *inventory)
{
    return !label->follow && !inventory_container(inventory, label->whom->id);
}

bool labels_are_settled(const struct given_labels *list, const struct inventory *inventory)
{
    for (size_t i = 0; i < list->n; i++)
        if (is_gone(&list->v[i], inventory) != (list->v[i].ended != 0))
            return false;
    return true;
}

void labels_settle(struct given_labels *list, const struct inventory *inventory, uint64_t now,
                   void (*changed)(const struct given_label *label, void *userdata), void *userdata)
{
    for (size_t i = 0; i < list->n; i++) {
        struct given_label *label = &list->v[i];

        if (is_gone(label, inventory) == (label->ended != 0))
            continue;
        label->ended = label->ended ? 0 : now;
        changed(label, userdata);
    }
    while (drop_oldest_ended(list))
        ;
}

/* ---- policies ----------------------------------------------------------------------------------------- */

static bool selector_asks(const struct selector *selector, const char *key)
{
    for (size_t i = 0; i < selector->n_labels; i++)
        if (strcmp(selector->labels[i].key, key) == 0)
            return true;
    return false;
}

static bool rule_asks(const struct rule *rule, const char *key)
{
    for (size_t i = 0; i < rule->n_peers; i++)
        if ((rule->peers[i].kind == PEER_SAME && strcmp(rule->peers[i].same, key) == 0) ||
            (rule->peers[i].kind == PEER_SELECTOR && selector_asks(&rule->peers[i].selector, key)))
            return true;
    return false;
}

static bool policy_asks(const struct policy *policy, const char *key)
{
    if (selector_asks(&policy->select, key))
        return true;
    for (enum direction direction = 0; direction < DIRECTIONS; direction++)
        for (size_t i = 0; i < policy->n_rules[direction]; i++)
            if (rule_asks(&policy->rules[direction][i], key))
                return true;
    return false;
}

bool policies_ask_label(const struct policy_set *set, const char *key)
{
    for (size_t i = 0; i < set->n_policies; i++)
        if (policy_asks(&set->policies[i], key))
            return true;
    return false;
}
