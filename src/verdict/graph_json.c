/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verdict/graph_json.h"

#include "inventory/json.h"

static json_t *id_of(size_t node)
{
    _cleanup_free_ char *id = xasprintf("n%zu", node);

    return json_string(id);
}

static json_t *members_to_json(const struct graph_node *node)
{
    json_t *list = json_array();

    for (size_t i = 0; i < node->n_members; i++) {
        const struct container *container = node->members[i].container;

        json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "name", json_text_or_null(container->name),
                                              "id", json_text_or_null(container->id), "note",
                                              json_text_or_null(node->members[i].note)));
    }
    return list;
}

static json_t *outside_to_json(const struct graph_node *node)
{
    json_t *list = json_array();

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        for (size_t i = 0; i < node->outside[family].n; i++) {
            _cleanup_free_ char *text = ip_range_text(family, node->outside[family].v[i]);

            json_array_append_new(list, json_string(text));
        }
    return list;
}

static json_t *node_to_json(const struct graph_node *node, size_t number)
{
    static const char *const kinds[] = {
        [GRAPH_HOST] = "host", [GRAPH_CONTAINERS] = "containers", [GRAPH_OUTSIDE] = "outside"};

    return json_pack("{s:o, s:s, s:o, s:o, s:o}", "id", id_of(number), "kind", kinds[node->kind], "name",
                     json_text_or_null(node->name), "containers", members_to_json(node), "outside",
                     outside_to_json(node));
}

static json_t *grant_to_json(const struct graph_grant *grant)
{
    json_t *ports = json_array(), *family = json_null();

    for (size_t i = 0; i < grant->n_ports; i++)
        json_array_append_new(ports, json_string(grant->ports[i]));
    if (grant->one_family)
        family = json_string(grant->family == IP4 ? "ipv4" : "ipv6");
    return json_pack("{s:o, s:b, s:o, s:b, s:I}", "ports", ports, "every_port", grant->all_ports, "family",
                     family, "docker_blocks", grant->docker_blocks, "pairs", (json_int_t)grant->n_pairs);
}

static json_t *edge_to_json(const struct graph_edge *edge)
{
    json_t *grants = json_array();

    for (size_t i = 0; i < edge->n_grants; i++)
        json_array_append_new(grants, grant_to_json(&edge->grants[i]));
    return json_pack("{s:o, s:o, s:I, s:o}", "from", id_of(edge->from), "to", id_of(edge->to), "pairs",
                     (json_int_t)edge->n_pairs, "grants", grants);
}

json_t *graph_to_json(const struct graph *graph)
{
    json_t *nodes = json_array(), *edges = json_array();

    for (size_t i = 0; i < graph->n_nodes; i++)
        json_array_append_new(nodes, node_to_json(&graph->nodes[i], i));
    for (size_t i = 0; i < graph->n_edges; i++)
        json_array_append_new(edges, edge_to_json(&graph->edges[i]));
    return json_pack("{s:s, s:o, s:o}", "format_version", "1.0", "nodes", nodes, "edges", edges);
}
