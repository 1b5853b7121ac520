/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "graph_order.h"

#include <string.h>

const char *const graph_protocols[GRAPH_PROTOCOLS] = {"tcp", "udp", "sctp", "icmp", "other protocols"};

/* By protocol, in the order of graph_protocols[], then by number. */
static int compare_ports(const void *a, const void *b)
{
    const char *texts[] = {*(char *const *)a, *(char *const *)b};
    unsigned long number[2];
    size_t rank[2];

    for (size_t i = 0; i < 2; i++) {
        const char *slash = strchr(texts[i], '/');
        bool numbered = *texts[i] >= '0' && *texts[i] <= '9';
        const char *protocol = numbered && slash ? slash + 1 : texts[i];

        number[i] = strtoul(texts[i], NULL, 10); /* 0 where there is none */
        for (rank[i] = 0; rank[i] < GRAPH_PROTOCOLS - 1 &&
                          strncmp(protocol, graph_protocols[rank[i]], strlen(graph_protocols[rank[i]])) != 0;)
            rank[i]++;
    }
    return (rank[0] > rank[1]) - (rank[0] < rank[1])
               ?: (number[0] > number[1]) - (number[0] < number[1]) ?: strcmp(texts[0], texts[1]);
}

static int compare_grants(const void *a, const void *b)
{
    const struct graph_grant *x = a, *y = b;
    bool x_same = x->change == GRAPH_SAME, y_same = y->change == GRAPH_SAME;
    int r = x->docker_blocks - y->docker_blocks ?: x_same - y_same ?: (int)x->change - (int)y->change ?: (x->n_pairs < y->n_pairs) - (x->n_pairs > y->n_pairs);

    for (size_t i = 0; !r && i < x->n_ports && i < y->n_ports; i++)
        r = strcmp(x->ports[i], y->ports[i]);
    return r ?: (x->n_ports > y->n_ports) - (x->n_ports < y->n_ports) ?: (int)x->family - (int)y->family;
}

static int compare_edges(const void *a, const void *b)
{
    const struct graph_edge *x = a, *y = b;

    return (x->from > y->from) - (x->from < y->from) ?: (x->to > y->to) - (x->to < y->to);
}

struct ranked {
    struct graph_node node;
    size_t was;
    bool drop; /* a stranger to whom no edge leads; not the host, which comes first */
};

static int compare_nodes(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    return (int)x->drop - (int)y->drop ?: (int)x->node.kind - (int)y->node.kind
                                       ?: strcmp(x->node.name, y->node.name);
}

void graph_node_clear(struct graph_node *node)
{
    for (size_t i = 0; i < node->n_members; i++)
        free(node->members[i].note);
    for (size_t i = 0; i < node->n_groups; i++)
        free(node->groups[i]);
    free(node->groups);
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        ip_ranges_clear(&node->outside[family]);
    free(node->members);
    free(node->name);
}

static void drop_nodes(struct graph *graph, const struct ranked *ranked)
{
    while (graph->n_nodes && ranked[graph->n_nodes - 1].drop)
        graph_node_clear(&graph->nodes[--graph->n_nodes]);
}

static void sort_nodes(struct graph *graph)
{
    struct ranked *ranked = xcalloc(graph->n_nodes, sizeof(*ranked));
    _cleanup_free_ size_t *now = xcalloc(graph->n_nodes, sizeof(*now));

    for (size_t i = 0; i < graph->n_nodes; i++)
        ranked[i] = (struct ranked){graph->nodes[i], i, graph->nodes[i].kind != GRAPH_CONTAINERS && i != 0};
    for (size_t i = 0; i < graph->n_edges; i++)
        ranked[graph->edges[i].from].drop = ranked[graph->edges[i].to].drop = false;
    qsort(ranked, graph->n_nodes, sizeof(*ranked), compare_nodes);
    for (size_t i = 0; i < graph->n_nodes; i++) {
        graph->nodes[i] = ranked[i].node;
        now[ranked[i].was] = i;
    }
    for (size_t i = 0; i < graph->n_edges; i++) {
        graph->edges[i].from = now[graph->edges[i].from];
        graph->edges[i].to = now[graph->edges[i].to];
    }
    drop_nodes(graph, ranked);
    free(ranked);
}

/* Puts the ports in order; are they all that there are? */
static bool settle_ports(struct graph_grant *grant)
{
    size_t whole = 0;

    qsort(grant->ports, grant->n_ports, sizeof(*grant->ports), compare_ports);
    for (size_t i = 0; i < grant->n_ports; i++)
        for (size_t p = 0; p < GRAPH_PROTOCOLS; p++)
            whole += strcmp(grant->ports[i], graph_protocols[p]) == 0;
    return whole == GRAPH_PROTOCOLS;
}

static void sort_edges(struct graph *graph)
{
    for (size_t i = 0; i < graph->n_edges; i++) {
        struct graph_edge *edge = &graph->edges[i];

        for (size_t g = 0; g < edge->n_grants; g++)
            edge->grants[g].all_ports = settle_ports(&edge->grants[g]);
        qsort(edge->grants, edge->n_grants, sizeof(*edge->grants), compare_grants);
    }
    if (graph->n_edges)
        qsort(graph->edges, graph->n_edges, sizeof(*graph->edges), compare_edges);
}

void graph_sort(struct graph *graph)
{
    sort_nodes(graph);
    sort_edges(graph);
}
