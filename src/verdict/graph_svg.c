/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The picture, by itself or in the page: https://www.w3.org/TR/SVG2/ */
#include "graph_layout.h"
#include "graph_text.h"
#include "util/text.h"

/* Letters that are shown of a name in a box and of ports on a line; all of it is in the title. */
#define NAME_SHOWN 36
#define PORTS_SHOWN 38

struct picture {
    const struct graph *graph;
    const struct layout *layout;
    FILE *out;
    bool live; /* in the page, whose script knows the parts by their numbers */
};

static void put_text(FILE *out, const char *class, const char *text, size_t letters, size_t x, int y)
{
    fprintf(out, "<text%s x=\"%zu\" y=\"%d\">", class, x, y);
    graph_put_start(out, text, letters);
    fputs("</text></g>\n", out);
}

static void draw_node(const struct picture *picture, enum layout_side side, size_t number)
{
    static const char *const classes[] = {
        [GRAPH_HOST] = "host", [GRAPH_CONTAINERS] = "containers", [GRAPH_OUTSIDE] = "outside"};
    const struct graph_node *node = &picture->graph->nodes[number];
    const struct layout_box *box = &picture->layout->boxes[side][number];
    _cleanup_free_ char *text = graph_node_text(node), *note = graph_node_note(node);
    size_t x = side == LAYOUT_FROM ? 1 : LAYOUT_WIDTH - LAYOUT_BOX_WIDTH - 1;
    FILE *out = picture->out;

    if (!box->shown)
        return;
    fprintf(out, "<g class=\"node %s%s\" transform=\"translate(%zu %zu)\"", classes[node->kind],
            note ? " noted" : "", x, box->y);
    if (picture->live)
        fprintf(out,
                " data-node=\"n%zu\" data-side=\"%s\" tabindex=\"0\" role=\"button\" aria-pressed=\"false\"",
                number, side == LAYOUT_FROM ? "from" : "to");
    fputs("><title>", out);
    graph_put_markup(out, node->kind == GRAPH_OUTSIDE ? node->name : text);
    if (note) {
        fputs(": ", out);
        graph_put_markup(out, note);
    }
    fprintf(out, "</title><rect width=\"%d\" height=\"%zu\" rx=\"%d\"/>", LAYOUT_BOX_WIDTH, box->height,
            node->kind == GRAPH_OUTSIDE ? 13 : 3);
    put_text(out, "", text, NAME_SHOWN, 10, 18);
}

static void draw_row(const struct picture *picture, size_t number)
{
    const struct layout_row *row = &picture->layout->rows[number];
    FILE *out = picture->out;

    fprintf(out, "<g class=\"row %s\" transform=\"translate(%d %zu)\"", graph_change_words[row->change],
            LAYOUT_BOX_WIDTH + 1, row->y);
    if (picture->live)
        fprintf(out, " id=\"r%zu\" data-from=\"n%zu\"", number, row->from);
    fputs("><title>", out);
    graph_put_markup(out, row->text);
    fprintf(out, "</title><path d=\"M0 0H%d\"/>", LAYOUT_RAIL);
    put_text(out, " class=\"ports\"", row->text, PORTS_SHOWN, 8, -4);
}

/* From the end of its row, with an arrow at the end. */
static void draw_edge(const struct picture *picture, size_t number)
{
    const struct graph_edge *edge = &picture->graph->edges[number];
    const struct graph_node *nodes = picture->graph->nodes;
    const struct layout *layout = picture->layout;
    const struct layout_row *row = &layout->rows[layout->row_of_edge[number]];
    _cleanup_free_ char *from = graph_node_text(&nodes[edge->from]), *to = graph_node_text(&nodes[edge->to]);
    size_t left = LAYOUT_BOX_WIDTH + LAYOUT_RAIL + 1, right = LAYOUT_WIDTH - LAYOUT_BOX_WIDTH - 3;
    size_t y = layout->boxes[LAYOUT_TO][edge->to].y + LAYOUT_BOX / 2, middle = (left + right) / 2;
    FILE *out = picture->out;

    fprintf(out, "<g class=\"edge %s\"", graph_change_words[row->change]);
    if (picture->live)
        fprintf(out, " id=\"e%zu\" data-row=\"r%zu\" data-to=\"n%zu\"%s", number, layout->row_of_edge[number],
                edge->to, number < GRAPH_LINES_SHOWN ? "" : " hidden");
    fputs("><title>", out);
    graph_put_markup(out, from);
    fputs(" → ", out);
    graph_put_markup(out, to);
    fputs(": ", out);
    graph_put_markup(out, row->text);
    fprintf(out, "</title><path d=\"M%zu %zuC%zu %zu %zu %zu %zu %zum-7 -4l7 4l-7 4\"/></g>\n", left, row->y,
            middle, row->y, middle, y, right, y);
}

/* Removed first, so that what there will be lies above it. */
static void draw_edges(const struct picture *picture)
{
    static const enum graph_change order[] = {GRAPH_SAME, GRAPH_REMOVED, GRAPH_MIXED, GRAPH_ADDED};
    const struct graph *graph = picture->graph;

    for (size_t o = 0; o < ARRAY_SIZE(order); o++)
        for (size_t i = 0; i < graph->n_edges; i++)
            if (graph_is_drawn(&graph->edges[i]) && graph_edge_change(&graph->edges[i]) == order[o])
                draw_edge(picture, i);
}

static void draw(const struct picture *picture)
{
    draw_edges(picture);
    for (size_t i = 0; i < picture->layout->n_rows; i++)
        draw_row(picture, i);
    for (enum layout_side side = 0; side < LAYOUT_SIDES; side++)
        for (size_t i = 0; i < picture->graph->n_nodes; i++)
            draw_node(picture, side, i);
}

void graph_put_picture(FILE *out, const struct graph *graph)
{
    struct layout layout;

    layout_init(&layout, graph);
    fprintf(out, "<svg viewBox=\"0 0 %d %zu\" role=\"group\" aria-label=\"who may talk to whom\"%s>\n",
            LAYOUT_WIDTH, layout.height, graph->compares ? " class=\"compares\"" : "");
    draw(&(struct picture){graph, &layout, out, true});
    fputs("</svg>\n", out);
    layout_clear(&layout);
}

/* ---- by itself ---------------------------------------------------------------------------------------- */

#define MARGIN 20
#define REMARK 18 /* a line of what is said first */

/* What must be said of the picture, in lines of it: at most three. */
static size_t find_remarks(const struct graph *graph, char **ret)
{
    size_t blocked = graph_count_blocked(graph), n = 0;

    if (graph->compares)
        ret[n++] = xasprintf("%s", graph_legend(graph));
    ret[n++] = xstrdup("What has no line is denied, except to those that are not enforced.");
    if (blocked)
        ret[n++] = xasprintf(
            "Left out: what the policies allow and Docker itself blocks; pairs of names: %zu.", blocked);
    return n;
}

/* Returns its height. */
static size_t put_head(const struct graph *graph, FILE *out)
{
    char *remarks[3];
    size_t n = find_remarks(graph, remarks);

    fprintf(
        out,
        "<title id=\"title\">Who may talk to whom</title>\n<desc id=\"about\">Names: %zu; lines: %zu. Sources "
        "are on the left, destinations on the right.</desc>\n<style>%s</style>\n"
        "<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>\n"
        "<text class=\"title\" x=\"%d\" y=\"32\">Who may talk to whom</text>\n",
        graph->n_nodes, graph_count_drawn(graph), graph_svg_style, MARGIN);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "<text class=\"about\" x=\"%d\" y=\"%zu\">%s</text>\n", MARGIN, 52 + i * REMARK,
                remarks[i]);
        free(remarks[i]);
    }
    return 46 + n * REMARK;
}

char *graph_svg(const struct graph *graph)
{
    struct layout layout;
    _cleanup_free_ char *head = NULL;
    char *text = NULL;
    size_t len = 0, head_len = 0, top, width = LAYOUT_WIDTH + 2 * MARGIN, height;
    FILE *out = graph_open(&head, &head_len);

    top = put_head(graph, out);
    graph_close(out);
    layout_init(&layout, graph);
    height = top + layout.height + MARGIN;
    out = graph_open(&text, &len);
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" height=\"%zu\" viewBox=\"0 0 %zu %zu\" "
            "role=\"img\" aria-labelledby=\"title about\"%s>\n%s<g transform=\"translate(%d %zu)\">\n",
            width, height, width, height, graph->compares ? " class=\"compares\"" : "", head, MARGIN, top);
    draw(&(struct picture){graph, &layout, out, false});
    fputs("</g>\n</svg>\n", out);
    layout_clear(&layout);
    graph_close(out);
    return text;
}
