/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "intern.h"
#include "verdict/graph.h"

/* Edges with the same number say the same. */
static size_t terms_number(struct interned **known, const struct graph_edge *edge)
{
    _cleanup_(bytes_clear) struct bytes bytes = {};

    bytes_add(&bytes, &edge->n_pairs, sizeof(edge->n_pairs));
    for (size_t g = 0; g < edge->n_grants; g++) {
        const struct graph_grant *grant = &edge->grants[g];
        const char flags[] = {(char)grant->change, grant->one_family, (char)grant->family,
                              grant->docker_blocks};

        bytes_add(&bytes, flags, sizeof(flags));
        bytes_add(&bytes, &grant->n_pairs, sizeof(grant->n_pairs));
        for (size_t i = 0; i < grant->n_ports; i++)
            bytes_add(&bytes, grant->ports[i], strlen(grant->ports[i]) + 1);
        bytes_add(&bytes, "", 1);
    }
    return intern(known, bytes.v, bytes.n);
}

struct spoke {
    size_t terms, to;
    const struct graph_edge *edge;
};

static int compare_spokes(const void *a, const void *b)
{
    const struct spoke *x = a, *y = b;

    return (x->terms > y->terms) - (x->terms < y->terms) ?: (x->to > y->to) - (x->to < y->to);
}

/* The destinations to which this source has the same edge. */
static void add_spokes(struct graph_bundles *bundles, struct interned **known, const struct spoke *spokes,
                       size_t n)
{
    _cleanup_(bytes_clear) struct bytes bytes = {};
    struct graph_bundle *bundle;
    size_t number;

    bytes_add(&bytes, &spokes->terms, sizeof(spokes->terms));
    for (size_t i = 0; i < n; i++)
        bytes_add(&bytes, &spokes[i].to, sizeof(spokes[i].to));
    number = intern(known, bytes.v, bytes.n);
    if (number == bundles->n) {
        bundle = ARRAY_ADD(bundles->v, bundles->n);
        *bundle = (struct graph_bundle){.edge = spokes->edge};
        for (size_t i = 0; i < n; i++)
            *ARRAY_ADD(bundle->to, bundle->n_to) = spokes[i].to;
    }
    bundle = &bundles->v[number];
    *ARRAY_ADD(bundle->from, bundle->n_from) = spokes->edge->from;
}

static size_t count_edges_of(const struct graph *graph, size_t first)
{
    size_t n = 0;

    while (first + n < graph->n_edges && graph->edges[first + n].from == graph->edges[first].from)
        n++;
    return n;
}

void graph_bundle(const struct graph *graph, struct graph_bundles *ret)
{
    _cleanup_free_ struct spoke *spokes = xcalloc(graph->n_edges, sizeof(*spokes));
    struct interned *terms = NULL, *known = NULL;

    *ret = (struct graph_bundles){};
    for (size_t i = 0; i < graph->n_edges; i++)
        spokes[i] =
            (struct spoke){terms_number(&terms, &graph->edges[i]), graph->edges[i].to, &graph->edges[i]};
    for (size_t i = 0, n, run; i < graph->n_edges; i += n) {
        n = count_edges_of(graph, i);
        qsort(&spokes[i], n, sizeof(*spokes), compare_spokes);
        for (size_t j = i; j < i + n; j += run) {
            for (run = 1; j + run < i + n && spokes[j + run].terms == spokes[j].terms;)
                run++;
            add_spokes(ret, &known, &spokes[j], run);
        }
    }
    intern_clear(&terms);
    intern_clear(&known);
}

void graph_bundles_clear(struct graph_bundles *bundles)
{
    for (size_t i = 0; i < bundles->n; i++) {
        free(bundles->v[i].from);
        free(bundles->v[i].to);
    }
    free(bundles->v);
}
