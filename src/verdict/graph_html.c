/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One page that needs nothing else: the picture, a table of connections, and who is behind each name. Without the script
 * all of it can be read; the script searches.
 */
#include <string.h>

#include "graph_text.h"
#include "util/text.h"

struct page {
    const struct graph *graph;
    FILE *out;
};

/* ---- the tables --------------------------------------------------------------------------------------- */

static void put_name_cell(const struct page *page, size_t node)
{
    _cleanup_free_ char *text = graph_node_text(&page->graph->nodes[node]);

    fputs("<td>", page->out);
    graph_put_markup(page->out, text);
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

    fprintf(page->out,
            "<tr%s data-from=\"n%zu\" data-to=\"n%zu\" data-edge=\"e%zu\" data-change=\"%s\" data-ports=\"",
            number < GRAPH_LINES_SHOWN ? "" : " hidden", edge->from, edge->to, number,
            graph_change_words[graph_edge_change(edge)]);
    put_ports(page->out, edge);
    fputs("\">", page->out);
    put_name_cell(page, edge->from);
    put_name_cell(page, edge->to);
    fputs("<td>", page->out);
    graph_put_markup(page->out, text);
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
    fputs(
        "<table id=\"connections\">\n<thead><tr><th>From</th><th>To</th><th>Ports</th></tr></thead>\n<tbody>\n",
        page->out);
    for (size_t i = 0; i < page->graph->n_edges; i++)
        if (graph_is_drawn(&page->graph->edges[i]))
            put_row(page, i);
    fputs("</tbody>\n</table>\n", page->out);
}

/* Of a node that joins several, each container's own service, which is to be found as well. */
static void put_group(const struct page *page, const char *group, const struct container *container)
{
    _cleanup_free_ char *text = text_escape(group, false);

    if (strcmp(group, container->name ?: container->id) == 0)
        return;
    fputs(" (", page->out);
    graph_put_markup(page->out, text);
    fputs(")", page->out);
}

static void put_members(const struct page *page, const struct graph_node *node)
{
    for (size_t i = 0; i < node->n_members; i++) {
        const struct container *container = node->members[i].container;
        _cleanup_free_ char *name = text_escape(container->name ?: container->id, false);

        fputs(i ? ", " : "", page->out);
        graph_put_markup(page->out, name);
        if (node->n_groups > 1)
            put_group(page, node->groups[node->members[i].group], container);
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
        "<h2>Names</h2>\n<table id=\"names\">\n<thead><tr><th>Name</th><th>Who that is</th><th></th></tr></thead>\n<tbody>\n",
        page->out);
    for (size_t i = 0; i < page->graph->n_nodes; i++) {
        _cleanup_free_ char *note = graph_node_note(&page->graph->nodes[i]);

        fprintf(page->out, "<tr id=\"n%zu\">", i);
        put_name_cell(page, i);
        fputs(" <td>", page->out);
        put_members(page, &page->graph->nodes[i]);
        fputs("</td> <td class=\"note\">", page->out);
        graph_put_markup(page->out, note ?: "");
        fputs("</td></tr>\n", page->out);
    }
    fputs("</tbody>\n</table>\n", page->out);
}

/* ---- the page ----------------------------------------------------------------------------------------- */

static void put_tools(const struct page *page)
{
    const char *legend = graph_legend(page->graph);

    fputs("<p>What is not listed is denied, except to those that are not enforced.", page->out);
    if (legend)
        fprintf(page->out, " <strong>%s</strong>", legend);
    fputs("</p>\n<p class=\"tools\"><label>Search by name or port: "
          "<input type=\"search\" placeholder=\"shop 5432/tcp\" autofocus></label>",
          page->out);
    if (graph_has_changes(page->graph))
        fputs(" <label><input type=\"checkbox\" checked> only what would change</label>", page->out);
    fputs(" <output></output></p>\n", page->out);
}

char *graph_html(const struct graph *graph)
{
    char *text = NULL;
    size_t len = 0;
    struct page page = {.graph = graph, .out = graph_open(&text, &len)};

    fprintf(page.out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">\n"
            "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Who may talk to whom</title>\n"
            "<style>%s</style>\n</head>\n<body>\n<h1>Who may talk to whom</h1>\n",
            graph_policy, graph_style);
    put_tools(&page);
    graph_put_picture(page.out, graph);
    put_connections(&page);
    put_people(&page);
    fprintf(page.out, "<script>%s</script>\n</body>\n</html>\n", graph_script);
    graph_close(page.out);
    return text;
}
