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

static void put_edge(FILE *out, const struct graph_edge *edge)
{
    _cleanup_free_ char *text = graph_edge_text(edge);

    fprintf(out, "  n%zu -> n%zu [label=\"", edge->from, edge->to);
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
    if (blocked)
        fprintf(out, "  // left out: what the policies allow and Docker itself blocks; edges: %zu\n",
                blocked);
    for (size_t i = 0; i < graph->n_nodes; i++)
        put_node(out, &graph->nodes[i], i);
    for (size_t i = 0; i < graph->n_edges; i++)
        if (graph_is_drawn(&graph->edges[i]))
            put_edge(out, &graph->edges[i]);
    fputs("}\n", out);
    graph_close(out);
    return text;
}
