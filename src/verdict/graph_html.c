/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One page that needs nothing else: a drawing with sources on the left and destinations on the right, a table of
 * connections, and who is behind each name. Without the script all of it can be read; the script searches.
 */
#include <string.h>

#include "graph_text.h"
#include "util/text.h"

/* The drawing, in the units of its viewBox. */
#define DRAWING_WIDTH 1100
#define BOX_WIDTH 330
#define BOX_HEIGHT 24
#define ROW_HEIGHT 34
#define LABEL_SHOWN 44 /* characters of a name in a box */

enum side { SIDE_FROM, SIDE_TO, SIDES };

struct page {
    const struct graph *graph;
    FILE *out;
    size_t *rows[SIDES]; /* of each node: from 1; 0: it is not on this side */
    size_t n_rows[SIDES];
};

/* For text and for attributes in double quotes (HTML, 13.3 and "escapingString"). */
static void put_bytes(FILE *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        switch (text[i]) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc(text[i], out);
        }
    }
}

static void put(FILE *out, const char *text)
{
    put_bytes(out, text, strlen(text));
}

/* From its beginning, in whole characters. */
static void put_start(FILE *out, const char *text)
{
    size_t end = 0;

    for (size_t n = 0; text[end] && n < LABEL_SHOWN; n++)
        for (end++; (text[end] & 0xc0) == 0x80;)
            end++;
    put_bytes(out, text, end);
    if (text[end])
        fputs("…", out);
}

/* ---- the drawing -------------------------------------------------------------------------------------- */

static void place_nodes(struct page *page)
{
    const struct graph *graph = page->graph;

    for (enum side side = SIDE_FROM; side < SIDES; side++) {
        page->rows[side] = xcalloc(graph->n_nodes, sizeof(*page->rows[side]));
        for (size_t i = 0; i < graph->n_edges; i++)
            if (graph_is_drawn(&graph->edges[i]))
                page->rows[side][side == SIDE_FROM ? graph->edges[i].from : graph->edges[i].to] = 1;
        for (size_t i = 0; i < graph->n_nodes; i++)
            if (page->rows[side][i])
                page->rows[side][i] = ++page->n_rows[side];
    }
}

static size_t middle_of(size_t row)
{
    return row * ROW_HEIGHT - ROW_HEIGHT / 2;
}

static void draw_node(const struct page *page, enum side side, size_t number)
{
    static const char *const classes[] = {
        [GRAPH_HOST] = "host", [GRAPH_CONTAINERS] = "containers", [GRAPH_OUTSIDE] = "outside"};
    const struct graph_node *node = &page->graph->nodes[number];
    _cleanup_free_ char *text = graph_node_text(node), *note = graph_node_note(node);
    size_t x = side == SIDE_FROM ? 1 : DRAWING_WIDTH - BOX_WIDTH - 1, y = middle_of(page->rows[side][number]);

    fprintf(page->out, "<g data-node=\"n%zu\" class=\"%s%s\" tabindex=\"0\" role=\"button\"><title>", number,
            classes[node->kind], note ? " noted" : "");
    put(page->out, node->kind == GRAPH_OUTSIDE ? node->name : text);
    if (note) {
        fputs(": ", page->out);
        put(page->out, note);
    }
    fprintf(page->out,
            "</title><rect x=\"%zu\" y=\"%zu\" width=\"%d\" height=\"%d\"/><text x=\"%zu\" y=\"%zu\">", x,
            y - BOX_HEIGHT / 2, BOX_WIDTH, BOX_HEIGHT, x + 8, y + 5);
    put_start(page->out, text);
    fputs("</text></g>\n", page->out);
}

static void draw_edge(const struct page *page, size_t number)
{
    const struct graph_edge *edge = &page->graph->edges[number];
    const struct graph_node *nodes = page->graph->nodes;
    _cleanup_free_ char *from = graph_node_text(&nodes[edge->from]), *to = graph_node_text(&nodes[edge->to]);
    _cleanup_free_ char *ports = graph_edge_text(edge);
    size_t left = BOX_WIDTH + 1, right = DRAWING_WIDTH - BOX_WIDTH - 1, middle = DRAWING_WIDTH / 2;
    size_t y1 = middle_of(page->rows[SIDE_FROM][edge->from]), y2 = middle_of(page->rows[SIDE_TO][edge->to]);

    fprintf(page->out, "<g class=\"edge\" id=\"e%zu\"><title>", number);
    put(page->out, from);
    fputs(" → ", page->out);
    put(page->out, to);
    fputs(": ", page->out);
    put(page->out, ports);
    fprintf(page->out,
            "</title><path marker-end=\"url(#arrow)\" d=\"M%zu %zu C%zu %zu %zu %zu %zu %zu\"/>"
            "<text class=\"ports\" x=\"%zu\" y=\"%zu\">",
            left, y1, middle, y1, middle, y2, right - 2, y2, middle, (y1 + y2) / 2 - 3);
    put_start(page->out, ports);
    fputs("</text></g>\n", page->out);
}

static void draw(const struct page *page)
{
    size_t rows =
        page->n_rows[SIDE_FROM] > page->n_rows[SIDE_TO] ? page->n_rows[SIDE_FROM] : page->n_rows[SIDE_TO];

    fprintf(page->out,
            "<svg viewBox=\"0 0 %d %zu\" role=\"group\" aria-label=\"who may talk to whom\">\n"
            "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" "
            "markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n",
            DRAWING_WIDTH, (rows ? rows : 1) * ROW_HEIGHT);
    for (size_t i = 0; i < page->graph->n_edges; i++)
        if (graph_is_drawn(&page->graph->edges[i]))
            draw_edge(page, i);
    for (enum side side = SIDE_FROM; side < SIDES; side++)
        for (size_t i = 0; i < page->graph->n_nodes; i++)
            if (page->rows[side][i])
                draw_node(page, side, i);
    fputs("</svg>\n", page->out);
}

/* ---- the tables --------------------------------------------------------------------------------------- */

static void put_name_cell(const struct page *page, size_t node)
{
    _cleanup_free_ char *text = graph_node_text(&page->graph->nodes[node]);

    fputs("<td>", page->out);
    put(page->out, text);
    fputs("</td>", page->out);
}

/* All ports, for the search: what is shown may be shortened. */
static void put_ports(FILE *out, const struct graph_edge *edge)
{
    bool any = false;

    for (size_t i = 0; i < edge->n_grants && !edge->grants[i].docker_blocks; i++) {
        const struct graph_grant *grant = &edge->grants[i];

        for (size_t j = 0; j < (grant->all_ports ? 1 : grant->n_ports); j++, any = true)
            fprintf(out, "%s%s", any ? "," : "", grant->all_ports ? "everything" : grant->ports[j]);
    }
}

static void put_row(const struct page *page, size_t number)
{
    const struct graph_edge *edge = &page->graph->edges[number];
    _cleanup_free_ char *text = graph_edge_text(edge);

    fprintf(page->out, "<tr data-from=\"n%zu\" data-to=\"n%zu\" data-edge=\"e%zu\" data-ports=\"", edge->from,
            edge->to, number);
    put_ports(page->out, edge);
    fputs("\">", page->out);
    put_name_cell(page, edge->from);
    put_name_cell(page, edge->to);
    fputs("<td>", page->out);
    put(page->out, text);
    fputs("</td></tr>\n", page->out);
}

static void put_connections(const struct page *page)
{
    size_t blocked = graph_count_blocked(page->graph);

    fputs("<h2>Connections</h2>\n", page->out);
    if (blocked)
        fprintf(
            page->out,
            "<p class=\"note\">Left out: what the policies allow and Docker itself blocks, between networks "
            "for instance; pairs of names: %zu.</p>\n",
            blocked);
    fputs("<table>\n<thead><tr><th>From</th><th>To</th><th>Ports</th></tr></thead>\n<tbody>\n", page->out);
    for (size_t i = 0; i < page->graph->n_edges; i++)
        if (graph_is_drawn(&page->graph->edges[i]))
            put_row(page, i);
    fputs("</tbody>\n</table>\n", page->out);
}

static void put_members(const struct page *page, const struct graph_node *node)
{
    for (size_t i = 0; i < node->n_members; i++) {
        const struct container *container = node->members[i].container;
        _cleanup_free_ char *name = text_escape(container->name ?: container->id, false);

        fputs(i ? ", " : "", page->out);
        put(page->out, name);
    }
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        for (size_t i = 0; i < node->outside[family].n; i++) {
            _cleanup_free_ char *text = ip_range_text(family, node->outside[family].v[i]);

            fprintf(page->out, "%s%s", i || (family == IP6 && node->outside[IP4].n) ? ", " : "", text);
        }
}

static void put_people(const struct page *page)
{
    fputs(
        "<h2>Names</h2>\n<table>\n<thead><tr><th>Name</th><th>Who that is</th><th></th></tr></thead>\n<tbody>\n",
        page->out);
    for (size_t i = 0; i < page->graph->n_nodes; i++) {
        _cleanup_free_ char *note = graph_node_note(&page->graph->nodes[i]);

        fprintf(page->out, "<tr id=\"n%zu\">", i);
        put_name_cell(page, i);
        fputs(" <td>", page->out);
        put_members(page, &page->graph->nodes[i]);
        fputs("</td> <td class=\"note\">", page->out);
        put(page->out, note ?: "");
        fputs("</td></tr>\n", page->out);
    }
    fputs("</tbody>\n</table>\n", page->out);
}

/* ---- the page ----------------------------------------------------------------------------------------- */

char *graph_html(const struct graph *graph)
{
    char *text = NULL;
    size_t len = 0;
    struct page page = {.graph = graph, .out = graph_open(&text, &len)};

    place_nodes(&page);
    fprintf(
        page.out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Who may talk to whom</title>\n"
        "<style>%s</style>\n</head>\n<body>\n<h1>Who may talk to whom</h1>\n"
        "<p>What is not listed is denied, except to those that are not enforced. <label>Search by name or port: "
        "<input type=\"search\" placeholder=\"shop 5432/tcp\" autofocus></label> <output></output></p>\n",
        graph_policy, graph_style);
    draw(&page);
    put_connections(&page);
    put_people(&page);
    fprintf(page.out, "<script>%s</script>\n</body>\n</html>\n", graph_script);
    graph_close(page.out);
    for (enum side side = SIDE_FROM; side < SIDES; side++)
        free(page.rows[side]);
    return text;
}
