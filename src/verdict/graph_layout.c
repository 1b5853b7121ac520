/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "graph_layout.h"

#include <string.h>

#include "graph_text.h"
#include "intern.h"

/* ---- rows --------------------------------------------------------------------------------------------- */

static void add_edge(struct layout *layout, const struct graph *graph, size_t number, struct interned **known)
{
    const struct graph_edge *edge = &graph->edges[number];
    const enum graph_change change = graph_edge_change(edge);
    _cleanup_(bytes_clear) struct bytes bytes = {};
    char *text = graph_edge_text(edge);

    bytes_add(&bytes, &edge->from, sizeof(edge->from));
    bytes_add(&bytes, &change, sizeof(change));
    bytes_add(&bytes, text, strlen(text));
    layout->row_of_edge[number] = intern(known, bytes.v, bytes.n);
    if (layout->row_of_edge[number] == layout->n_rows)
        *ARRAY_ADD(layout->rows, layout->n_rows) = (struct layout_row){edge->from, change, text, 0};
    else
        free(text);
    layout->boxes[LAYOUT_FROM][edge->from].shown = layout->boxes[LAYOUT_TO][edge->to].shown = true;
}

/* Edges come by source, and so do the rows. */
static void add_rows(struct layout *layout, const struct graph *graph)
{
    struct interned *known = NULL;

    for (size_t i = 0; i < graph->n_edges; i++)
        if (graph_is_drawn(&graph->edges[i]))
            add_edge(layout, graph, i, &known);
    for (size_t i = 0; i < graph->n_nodes; i++)
        if (!layout->boxes[LAYOUT_TO][i].shown)
            layout->boxes[LAYOUT_FROM][i].shown = true;
    intern_clear(&known);
}

/* ---- the left side ------------------------------------------------------------------------------------ */

/* From the top; returns the height of all. */
static size_t place_sources(struct layout *layout, size_t n_nodes)
{
    size_t y = 1, row = 0;

    for (size_t i = 0; i < n_nodes; i++) {
        struct layout_box *box = &layout->boxes[LAYOUT_FROM][i];
        size_t rows = 0;

        if (!box->shown)
            continue;
        for (; row < layout->n_rows && layout->rows[row].from == i; row++, rows++)
            layout->rows[row].y = y + rows * LAYOUT_ROW + LAYOUT_ROW - 3;
        box->y = y;
        box->height = (rows ? rows : 1) * LAYOUT_ROW + LAYOUT_BOX - LAYOUT_ROW;
        y += box->height + LAYOUT_GAP;
    }
    return y - LAYOUT_GAP;
}

/* ---- the right side ----------------------------------------------------------------------------------- */

/* Somebody on the right, at the height where his lines come from on average. */
struct target {
    size_t node, wish, n;
};

static int compare_targets(const void *a, const void *b)
{
    const struct target *x = a, *y = b;

    return (x->wish > y->wish) - (x->wish < y->wish) ?: (x->node > y->node) - (x->node < y->node);
}

static struct target *find_targets(const struct layout *layout, const struct graph *graph, size_t *ret_n)
{
    struct target *targets = xcalloc(graph->n_nodes, sizeof(*targets));
    size_t n = 0;

    for (size_t i = 0; i < graph->n_edges; i++) {
        struct target *target = &targets[graph->edges[i].to];

        if (!graph_is_drawn(&graph->edges[i]))
            continue;
        target->wish += layout->rows[layout->row_of_edge[i]].y;
        target->n++;
    }
    for (size_t i = 0; i < graph->n_nodes; i++)
        if (targets[i].n)
            targets[n++] = (struct target){i, targets[i].wish / targets[i].n, targets[i].n};
    qsort(targets, n, sizeof(*targets), compare_targets);
    *ret_n = n;
    return targets;
}

/* As near to what each wishes as there is room: downwards first, then up again where the end is passed. */
static void place_targets(struct layout *layout, const struct graph *graph)
{
    const size_t step = LAYOUT_BOX + LAYOUT_GAP;
    size_t n, y = 1, end;
    struct target *targets = find_targets(layout, graph, &n);

    if (n && layout->height < n * step - LAYOUT_GAP + 1)
        layout->height = n * step - LAYOUT_GAP + 1;
    for (size_t i = 0; i < n; i++, y += step) {
        size_t wish = targets[i].wish < LAYOUT_BOX / 2 ? 0 : targets[i].wish - LAYOUT_BOX / 2;

        y = wish > y ? wish : y;
        layout->boxes[LAYOUT_TO][targets[i].node] = (struct layout_box){true, y, LAYOUT_BOX};
    }
    end = layout->height + LAYOUT_GAP;
    for (size_t i = n; i > 0; i--) {
        struct layout_box *box = &layout->boxes[LAYOUT_TO][targets[i - 1].node];

        box->y = box->y + step > end ? end - step : box->y;
        end = box->y;
    }
    free(targets);
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

void layout_init(struct layout *layout, const struct graph *graph)
{
    *layout = (struct layout){.row_of_edge = xcalloc(graph->n_edges, sizeof(*layout->row_of_edge))};
    for (enum layout_side side = 0; side < LAYOUT_SIDES; side++)
        layout->boxes[side] = xcalloc(graph->n_nodes, sizeof(*layout->boxes[side]));
    add_rows(layout, graph);
    layout->height = place_sources(layout, graph->n_nodes);
    place_targets(layout, graph);
    layout->height++; /* the last border's own width */
}

void layout_clear(struct layout *layout)
{
    for (size_t i = 0; i < layout->n_rows; i++)
        free(layout->rows[i].text);
    for (enum layout_side side = 0; side < LAYOUT_SIDES; side++)
        free(layout->boxes[side]);
    free(layout->rows);
    free(layout->row_of_edge);
}
