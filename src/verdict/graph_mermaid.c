/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mermaid: https://mermaid.js.org/syntax/flowchart.html */
#include <ctype.h>
#include <string.h>

#include "graph_text.h"
#include "util/text.h"

/* Markdown and HTML count in a text, so whatever is not harmless is written as the number of its character. */
static void put_text(FILE *out, const char *text)
{
    size_t len = strlen(text), size;
    uint32_t character;

    for (; len; text += size, len -= size) {
        size = utf8_decode(text, len, &character);
        if (!size) { /* not UTF-8, which escaped texts are */
            size = 1;
            character = '?';
        }
        if (character < 0x80 && (isalnum((int)character) || strchr(" .,:;/-()", (int)character)))
            fputc((int)character, out);
        else
            fprintf(out, "#%u;", character);
    }
}

static void put_node(FILE *out, const struct graph_node *node, size_t number)
{
    static const char *const open[] = {[GRAPH_HOST] = "[[", [GRAPH_CONTAINERS] = "[", [GRAPH_OUTSIDE] = "(["};
    static const char *const close[] = {
        [GRAPH_HOST] = "]]", [GRAPH_CONTAINERS] = "]", [GRAPH_OUTSIDE] = "])"};
    _cleanup_free_ char *text = graph_node_text(node), *note = graph_node_note(node);

    fprintf(out, "  n%zu%s\"", number, open[node->kind]);
    put_text(out, text);
    if (note) {
        fputs("<br>", out);
        put_text(out, note);
    }
    fprintf(out, "\"%s%s\n", close[node->kind], note ? ":::noted" : "");
}

/* Not by colour alone: the label has a sign. */
static void put_edge(FILE *out, const struct graph *graph, const struct graph_edge *edge)
{
    static const char *const arrows[GRAPH_CHANGES] = {
        [GRAPH_ADDED] = "==>", [GRAPH_REMOVED] = "-.->", [GRAPH_MIXED] = "==>", [GRAPH_SAME] = "-->"};
    _cleanup_free_ char *text = graph_edge_text(edge);

    fprintf(out, "  n%zu %s|\"", edge->from, graph->compares ? arrows[graph_edge_change(edge)] : "-->");
    put_text(out, text);
    fprintf(out, "\"| n%zu\n", edge->to);
}

/* Links have numbers, in the order in which they are written. */
static void put_styles(FILE *out, const struct graph *graph)
{
    static const char *const looks[GRAPH_CHANGES] = {[GRAPH_ADDED] = "stroke:#1a7f37,stroke-width:3px",
                                                     [GRAPH_REMOVED] = "stroke:#cf222e,stroke-width:2px",
                                                     [GRAPH_MIXED] = "stroke:#9a6700,stroke-width:3px",
                                                     [GRAPH_SAME] = "stroke:#888,stroke-width:1px"};

    for (enum graph_change change = 0; change < GRAPH_CHANGES; change++) {
        bool any = false;

        for (size_t i = 0, n = 0; i < graph->n_edges; i++) {
            if (!graph_is_drawn(&graph->edges[i]))
                continue;
            if (graph_edge_change(&graph->edges[i]) == change) {
                fprintf(out, "%s%zu", any ? "," : "  linkStyle ", n);
                any = true;
            }
            n++;
        }
        if (any)
            fprintf(out, " %s\n", looks[change]);
    }
}

char *graph_mermaid(const struct graph *graph)
{
    size_t blocked = graph_count_blocked(graph), len = 0;
    char *text = NULL;
    FILE *out = graph_open(&text, &len);

    fputs("flowchart LR\n  classDef noted stroke-dasharray: 4 4\n", out);
    if (graph->compares)
        fprintf(out, "  %%%% %s\n", graph_legend(graph));
    if (blocked)
        fprintf(out, "  %%%% left out: what the policies allow and Docker itself blocks; edges: %zu\n",
                blocked);
    for (size_t i = 0; i < graph->n_nodes; i++)
        put_node(out, &graph->nodes[i], i);
    for (size_t i = 0; i < graph->n_edges; i++)
        if (graph_is_drawn(&graph->edges[i]))
            put_edge(out, graph, &graph->edges[i]);
    if (graph->compares)
        put_styles(out, graph);
    graph_close(out);
    return text;
}
