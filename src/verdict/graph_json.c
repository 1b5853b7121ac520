/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verdict/graph_json.h"

#include "graph_text.h"
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

        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o, s:o}", "name", json_text_or_null(container->name),
                                        "id", json_text_or_null(container->id), "group",
                                        json_text_or_null(node->groups[node->members[i].group]), "note",
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

static json_t *change_to_json(const struct graph *graph, enum graph_change change)
{
    return graph->compares ? json_string(graph_change_words[change]) : json_null();
}

static json_t *grant_to_json(const struct graph *graph, const struct graph_grant *grant)
{
    json_t *ports = json_array(), *family = json_null();

    for (size_t i = 0; i < grant->n_ports; i++)
        json_array_append_new(ports, json_string(grant->ports[i]));
    if (grant->one_family)
        family = json_string(grant->family == IP4 ? "ipv4" : "ipv6");
    return json_pack("{s:o, s:b, s:o, s:b, s:I, s:o}", "ports", ports, "every_port", grant->all_ports,
                     "family", family, "docker_blocks", grant->docker_blocks, "pairs",
                     (json_int_t)grant->n_pairs, "change", change_to_json(graph, grant->change));
}

static json_t *ids_to_json(const size_t *nodes, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, id_of(nodes[i]));
    return list;
}

static json_t *bundle_to_json(const struct graph *graph, const struct graph_bundle *bundle)
{
    const struct graph_edge *edge = bundle->edge;
    json_t *grants = json_array();

    for (size_t i = 0; i < edge->n_grants; i++)
        json_array_append_new(grants, grant_to_json(graph, &edge->grants[i]));
    return json_pack("{s:o, s:o, s:I, s:o, s:o}", "from", ids_to_json(bundle->from, bundle->n_from), "to",
                     ids_to_json(bundle->to, bundle->n_to), "pairs", (json_int_t)edge->n_pairs, "change",
                     change_to_json(graph, graph_edge_change(edge)), "grants", grants);
}

json_t *graph_to_json(const struct graph *graph)
{
    json_t *nodes = json_array(), *edges = json_array();
    struct graph_bundles bundles;

    graph_bundle(graph, &bundles);
    for (size_t i = 0; i < graph->n_nodes; i++)
        json_array_append_new(nodes, node_to_json(&graph->nodes[i], i));
    for (size_t i = 0; i < bundles.n; i++)
        json_array_append_new(edges, bundle_to_json(graph, &bundles.v[i]));
    graph_bundles_clear(&bundles);
    return json_pack("{s:s, s:o, s:o, s:o}", "format_version", "1.0", "changes",
                     graph->compares ? json_boolean(graph_has_changes(graph)) : json_null(), "nodes", nodes,
                     "edges", edges);
}
