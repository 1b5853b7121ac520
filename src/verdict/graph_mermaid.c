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

static void put_edge(FILE *out, const struct graph_edge *edge)
{
    _cleanup_free_ char *text = graph_edge_text(edge);

    fprintf(out, "  n%zu -->|\"", edge->from);
    put_text(out, text);
    fprintf(out, "\"| n%zu\n", edge->to);
}

char *graph_mermaid(const struct graph *graph)
{
    size_t blocked = graph_count_blocked(graph), len = 0;
    char *text = NULL;
    FILE *out = graph_open(&text, &len);

    fputs("flowchart LR\n  classDef noted stroke-dasharray: 4 4\n", out);
    if (blocked)
        fprintf(out, "  %%%% left out: what the policies allow and Docker itself blocks; edges: %zu\n",
                blocked);
    for (size_t i = 0; i < graph->n_nodes; i++)
        put_node(out, &graph->nodes[i], i);
    for (size_t i = 0; i < graph->n_edges; i++)
        if (graph_is_drawn(&graph->edges[i]))
            put_edge(out, &graph->edges[i]);
    graph_close(out);
    return text;
}
