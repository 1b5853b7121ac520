/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Graphviz: https://graphviz.org/doc/info/lang.html */
#include <string.h>

#include "graph_text.h"

/* In a label, a backslash begins an escape and an ampersand an entity of HTML. */
static void put_quoted(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if (*text == '&')
            fputs("&amp;", out);
        else
            fputc(*text, out);
    }
}

static void put_node(FILE *out, const struct graph_node *node, size_t number)
{
    static const char *const looks[] = {
        [GRAPH_HOST] = "shape=box3d", [GRAPH_CONTAINERS] = "shape=box", [GRAPH_OUTSIDE] = "shape=ellipse"};
    _cleanup_free_ char *text = graph_node_text(node), *note = graph_node_note(node);

    fprintf(out, "  n%zu [%s%s, label=\"", number, looks[node->kind], note ? ", style=dashed" : "");
    put_quoted(out, text);
    if (note) {
        fputs("\\n", out);
        put_quoted(out, note);
    }
    fputs("\"];\n", out);
}

/* Not by colour alone: the label has a sign. */
static void put_edge(FILE *out, const struct graph *graph, const struct graph_edge *edge)
{
    static const char *const looks[GRAPH_CHANGES] = {
        [GRAPH_ADDED] = "color=\"#1a7f37\", fontcolor=\"#1a7f37\", penwidth=2.5, ",
        [GRAPH_REMOVED] = "color=\"#cf222e\", fontcolor=\"#cf222e\", penwidth=2, style=dashed, ",
        [GRAPH_MIXED] = "color=\"#9a6700\", fontcolor=\"#9a6700\", penwidth=2.5, ",
        [GRAPH_SAME] = "color=gray, fontcolor=\"#6e7781\", penwidth=0.7, "};
    _cleanup_free_ char *text = graph_edge_text(edge);

    fprintf(out, "  n%zu -> n%zu [%slabel=\"", edge->from, edge->to,
            graph->compares ? looks[graph_edge_change(edge)] : "");
    put_quoted(out, text);
    fputs("\"];\n", out);
}

char *graph_dot(const struct graph *graph)
{
    size_t blocked = graph_count_blocked(graph), len = 0;
    char *text = NULL;
    FILE *out = graph_open(&text, &len);

    fputs("digraph cofferdam {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n"
          "  edge [fontname=\"sans-serif\", fontsize=10];\n",
          out);
    if (graph->compares)
        fprintf(out, "  labelloc=t; fontname=\"sans-serif\"; label=\"%s\";\n", graph_legend(graph));
    if (blocked)
        fprintf(out, "  // left out: what the policies allow and Docker itself blocks; edges: %zu\n",
                blocked);
    for (size_t i = 0; i < graph->n_nodes; i++)
        put_node(out, &graph->nodes[i], i);
    for (size_t i = 0; i < graph->n_edges; i++)
        if (graph_is_drawn(&graph->edges[i]))
            put_edge(out, graph, &graph->edges[i]);
    fputs("}\n", out);
    graph_close(out);
    return text;
}
