// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/compare.h"

#include <stdio.h>
#include <string.h>

/* ---- what a policy means, as a text ------------------------------------------------------------------- */

static FILE *open_text(char **text, size_t *len)
{
    FILE *out = open_memstream(text, len);

    if (!out)
        abort(); /* out of memory */
    return out;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, a line each; the texts are freed. */
static void put_sorted(FILE *out, char **texts, size_t n)
{
    if (n)
        qsort(texts, n, sizeof(*texts), compare_texts);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "%s\n", texts[i]);
        free(texts[i]);
    }
    free(texts);
}

char *rule_meaning(const struct rule *rule)
{
    char **peers = NULL, **ports = NULL, *text = NULL;
    size_t n_peers = 0, n_ports = 0, len;
    FILE *out = open_text(&text, &len);

    for (size_t i = 0; i < rule->n_peers; i++)
        *ARRAY_ADD(peers, n_peers) = peer_text(&rule->peers[i]);
    for (size_t i = 0; i < rule->n_ports; i++)
        *ARRAY_ADD(ports, n_ports) = port_text(&rule->ports[i]);
    fprintf(out, "rule %s%s\n", rule->deny ? "deny " : "", rule->name ?: "");
    put_sorted(out, peers, n_peers);
    fputs("ports\n", out);
    put_sorted(out, ports, n_ports);
    fclose(out);
    return text;
}

static char *policy_meaning(const struct policy *policy)
{
    _cleanup_free_ char *select = selector_text(&policy->select);
    char *text = NULL;
    size_t len;
    FILE *out = open_text(&text, &len);

    fprintf(out, "%u %d %d\n%s\n%s\n", policy->version, (int)policy->mode, policy->reject, select,
            policy->description ?: "");
    for (size_t direction = 0; direction < DIRECTIONS; direction++) {
        char **rules = NULL;
        size_t n = 0;

        for (size_t i = 0; i < policy->n_rules[direction]; i++)
            *ARRAY_ADD(rules, n) = rule_meaning(&policy->rules[direction][i]);
        fprintf(out, "%s\n", direction_name((enum direction)direction));
        put_sorted(out, rules, n);
    }
    fclose(out);
    return text;
}

static bool same_policy(const struct policy *a, const struct policy *b)
{
    _cleanup_free_ char *x = policy_meaning(a), *y = policy_meaning(b);

    return strcmp(x, y) == 0;
}

/* ---- two sets ----------------------------------------------------------------------------------------- */

static void add(struct policy_changes *changes, enum policy_change_kind kind, const struct policy *from,
                const struct policy *to)
{
    *ARRAY_ADD(changes->v, changes->n) = (struct policy_change){.kind = kind, .from = from, .to = to};
    changes->n_of[kind]++;
}

void policy_sets_compare(const struct policy_set *from, const struct policy_set *to,
                         struct policy_changes *ret)
{
    size_t i = 0, j = 0;

    *ret = (struct policy_changes){0};
    while (i < from->n_policies || j < to->n_policies) {
        const struct policy *old = i < from->n_policies ? &from->policies[i] : NULL;
        const struct policy *new = j < to->n_policies ? &to->policies[j] : NULL;
        int order = !old ? 1 : !new ? -1 : strcmp(old->name, new->name);

        if (order < 0)
            add(ret, POLICY_REMOVED, old, NULL);
        else if (order > 0)
            add(ret, POLICY_ADDED, NULL, new);
        else if (same_policy(old, new))
            ret->n_same++;
        else
            add(ret, POLICY_CHANGED, old, new);
        i += order <= 0;
        j += order >= 0;
    }
}

void policy_changes_clear(struct policy_changes *changes)
{
    free(changes->v);
    *changes = (struct policy_changes){0};
}

const char *policy_change_name(enum policy_change_kind kind)
{
    switch (kind) {
    case POLICY_ADDED:
        return "added";
    case POLICY_CHANGED:
        return "changed";
    case POLICY_REMOVED:
        return "removed";
    }
    return "?";
}
