// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Grants in an order that depends on what they say and not on where that stands: the order of rules, peers and ports in
 * a file means nothing, so it shall not change the kernel's rules either.
 */
#include <stdlib.h>
#include <string.h>

#include "grant.h"
#include "util/mem.h"

static int compare_texts(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

static int compare_numbers(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int compare_labels(const struct label_match *a, const struct label_match *b)
{
    int r = strcmp(a->key, b->key) ?: compare_texts(a->value, b->value);

    return r ?: label_match_is_literal(a) - label_match_is_literal(b);
}

int selector_compare(const struct selector *a, const struct selector *b)
{
    int r = a->all - b->all;

    r = r ?: compare_texts(a->compose_project, b->compose_project);
    r = r ?: compare_texts(a->compose_service, b->compose_service);
    r = r ?: compare_texts(a->name, b->name);
    r = r ?: compare_texts(a->image, b->image);
    r = r ?: compare_texts(a->network, b->network);
    r = r ?: compare_numbers(a->n_labels, b->n_labels);
    for (size_t i = 0; !r && i < a->n_labels; i++)
        r = compare_labels(&a->labels[i], &b->labels[i]);
    return r;
}

static int compare_selectors(const struct selector **a, size_t n_a, const struct selector **b, size_t n_b)
{
    int r = compare_numbers(n_a, n_b);

    for (size_t i = 0; !r && i < n_a; i++)
        r = selector_compare(a[i], b[i]);
    return r;
}

static int compare_addresses(ipnum a, ipnum b)
{
    return (a > b) - (a < b);
}

static int compare_ranges(const struct ip_ranges *a, const struct ip_ranges *b)
{
    int r = compare_numbers(a->n, b->n);

    for (size_t i = 0; !r && i < a->n; i++)
        r = compare_addresses(a->v[i].first, b->v[i].first) ?: compare_addresses(a->v[i].last, b->v[i].last);
    return r;
}

static int compare_peers(const struct peer_block *a, const struct peer_block *b)
{
    int r = compare_numbers(a->region, b->region);

    r = r ?: compare_selectors(a->who.with, a->who.n_with, b->who.with, b->who.n_with);
    r = r ?: compare_selectors(a->who.without, a->who.n_without, b->who.without, b->who.n_without);
    r = r ?: a->restricted - b->restricted;
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        r = r ?: compare_ranges(&a->ranges[family], &b->ranges[family]);
    return r;
}

static int compare_services(const void *a, const void *b)
{
    const struct service *x = a, *y = b;
    int r = x->proto_first - y->proto_first ?: x->proto_last - y->proto_last;

    return r ?: x->first - y->first ?: x->last - y->last;
}

void services_sort(struct services *services)
{
    if (services->n)
        qsort(services->v, services->n, sizeof(*services->v), compare_services);
}

static int compare_grants(const void *a, const void *b)
{
    const struct grant *x = a, *y = b;
    int r = strcmp(x->policy->name, y->policy->name) ?: compare_texts(x->rule->name, y->rule->name);

    r = r ?: compare_peers(&x->peers, &y->peers);
    r = r ?: compare_numbers(x->services.n, y->services.n);
    for (size_t i = 0; !r && i < x->services.n; i++)
        r = compare_services(&x->services.v[i], &y->services.v[i]);
    return r;
}

bool grants_look_alike(const struct grant *a, const struct grant *b)
{
    return a->policy == b->policy && compare_texts(a->rule->name, b->rule->name) == 0;
}

void grants_sort(struct grants *grants)
{
    size_t kept = 0;

    if (grants->n)
        qsort(grants->v, grants->n, sizeof(*grants->v), compare_grants);
    for (size_t i = 0; i < grants->n; i++) {
        if (kept && compare_grants(&grants->v[kept - 1], &grants->v[i]) == 0) {
            grant_add_rules(&grants->v[kept - 1], &grants->v[i]);
            grant_clear(&grants->v[i]);
        } else {
            grants->v[kept++] = grants->v[i];
        }
    }
    grants->n = kept;
}
