/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a policy set allows is what it changes where nothing is allowed (changes_from_nothing()); each line of that, or of
 * what either of two sets allows, is taken apart into pairs of containers, and these are put together again to edges
 * between nodes.
 */
#include "verdict/graph.h"

#include <string.h>

#include "graph_crew.h"
#include "graph_order.h"
#include "intern.h"
#include "ways.h"

#define GROUPS_SHOWN 3 /* in the name of a node that joins several */

struct builder {
    const struct inventory *inventory;
    struct graph *graph;
    struct interned *known_nodes, *known_edges, *known_found;
    size_t *strangers; /* nodes, in the order of known_nodes */
    size_t n_strangers;
    struct place {
        const struct container *container;
        size_t node, member;
    } * places; /* of each container; by address */
    size_t n_places;
    struct found {
        size_t edge;
        struct graph_grant terms; /* without ports */
        char *port;               /* "5432/tcp" and so on */
        bool *pairs;              /* of each member of the source, for each of the destination */
        size_t size;              /* of pairs, bytes */
    } * found;
    size_t n_found;
};

/* ---- nodes -------------------------------------------------------------------------------------------- */

/* The position of the host's or the outside's node of this name, which is taken over. */
static size_t stranger_number(struct builder *builder, enum graph_node_kind kind, char *name)
{
    _cleanup_free_ char *key = xasprintf("%d %s", kind, name);
    struct graph *graph = builder->graph;
    size_t before = intern_count(builder->known_nodes);
    size_t number = intern(&builder->known_nodes, key, strlen(key));

    if (number == before) {
        *ARRAY_ADD(builder->strangers, builder->n_strangers) = graph->n_nodes;
        *ARRAY_ADD(graph->nodes, graph->n_nodes) = (struct graph_node){.kind = kind, .name = name};
    } else {
        free(name);
    }
    return builder->strangers[number];
}

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return (x->container > y->container) - (x->container < y->container);
}

static char *joined_name(const struct graph_node *node)
{
    char *name = xstrdup(node->groups[0]);

    for (size_t i = 1; i < node->n_groups && i <= GROUPS_SHOWN; i++) {
        char *longer = xasprintf("%s, %s", name, i < GROUPS_SHOWN ? node->groups[i] : "…");

        free(name);
        name = longer;
    }
    return name;
}

static void add_groups(struct graph *graph, struct crew *crew)
{
    const size_t first = graph->n_nodes;

    for (size_t i = 0; i < crew->n_nodes; i++)
        *ARRAY_ADD(graph->nodes, graph->n_nodes) = (struct graph_node){.kind = GRAPH_CONTAINERS};
    for (size_t i = 0; i < crew->n_groups; i++) {
        struct graph_node *node = &graph->nodes[first + crew->groups[i].node];

        crew->groups[i].position = node->n_groups;
        *ARRAY_ADD(node->groups, node->n_groups) = STEAL(crew->groups[i].name);
    }
    for (size_t i = first; i < graph->n_nodes; i++)
        graph->nodes[i].name = joined_name(&graph->nodes[i]);
}

static void add_containers(struct builder *builder, const struct evaluation *with,
                           const struct changes *lines, size_t nodes)
{
    const size_t first = builder->graph->n_nodes;
    struct crew crew;

    crew_init(&crew, with, lines, nodes);
    add_groups(builder->graph, &crew);
    for (size_t i = 0; i < crew.n; i++) {
        size_t number = first + crew.groups[crew.v[i].group].node;
        struct graph_node *node = &builder->graph->nodes[number];

        *ARRAY_ADD(builder->places, builder->n_places) =
            (struct place){crew.v[i].container, number, node->n_members};
        *ARRAY_ADD(node->members, node->n_members) = (struct graph_member){
            crew.v[i].container, crew.groups[crew.v[i].group].position, STEAL(crew.v[i].note)};
    }
    if (builder->n_places)
        qsort(builder->places, builder->n_places, sizeof(*builder->places), compare_places);
    crew_clear(&crew);
}

/* ---- the ends of a line ------------------------------------------------------------------------------- */

/* One endpoint, the host, or addresses outside. */
struct spot {
    size_t node, member;
    const struct change_member *of; /* NULL for host and outside */
    unsigned families;              /* bits 1 << IP4, 1 << IP6 */
};

struct spots {
    struct spot *v;
    size_t n;
};

static unsigned endpoint_families(const struct endpoint *endpoint)
{
    return (endpoint->has_ip[IP4] ? 1u << IP4 : 0) | (endpoint->has_ip[IP6] ? 1u << IP6 : 0);
}

static void add_members(const struct builder *builder, const struct change_party *party, struct spots *ret)
{
    for (size_t i = 0; i < party->n_members; i++) {
        const struct change_member *member = &party->members[i];
        const struct place key = {.container = member->container};
        const struct place *place =
            bsearch(&key, builder->places, builder->n_places, sizeof(key), compare_places);

        *ARRAY_ADD(ret->v, ret->n) =
            (struct spot){place->node, place->member, member, endpoint_families(member->endpoint)};
    }
}

/* The host's names stand just before those of the outside: one for the host as such, else one for each address. */
static void add_host(struct builder *builder, const struct change_party *party, struct spots *ret)
{
    size_t n = party->host ? 1 : party->n_host_addresses;

    for (size_t i = 0; i < n; i++) {
        const char *name = party->names[party->first_outside - n + i];

        *ARRAY_ADD(ret->v, ret->n) = (struct spot){
            .node = stranger_number(builder, GRAPH_HOST, xstrdup(name)),
            .families = party->host ? 1u << IP4 | 1u << IP6 : 1u << party->host_addresses[i].family};
    }
}

static char *outside_name(const struct change_party *party)
{
    char *name = xstrdup("");

    for (size_t i = party->first_outside; i < party->n_names; i++) {
        char *longer = xasprintf("%s%s%s", name, *name ? ", " : "", party->names[i]);

        free(name);
        name = longer;
    }
    return name;
}

/* The names are about the families of the other side alone; in another one, what they mean is not known. */
static void add_outside(struct builder *builder, const struct change_party *party, unsigned families,
                        struct spots *ret)
{
    struct spot spot = {};

    if (party->first_outside == party->n_names)
        return;
    spot.node = stranger_number(builder, GRAPH_OUTSIDE, outside_name(party));
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        if (!(families & 1u << family) || !party->outside[family].n)
            continue;
        spot.families |= 1u << family;
        for (size_t i = 0; i < party->outside[family].n; i++)
            ip_ranges_add(&builder->graph->nodes[spot.node].outside[family], party->outside[family].v[i]);
    }
    *ARRAY_ADD(ret->v, ret->n) = spot;
}

static int compare_spots(const void *a, const void *b)
{
    const struct spot *x = a, *y = b;

    return (x->node > y->node) - (x->node < y->node);
}

/* Everybody on this side of the line; those of one node stand together. */
static struct spots find_spots(struct builder *builder, const struct change_party *party,
                               const struct change_party *other)
{
    struct spots spots = {};
    unsigned families = 0;

    for (size_t i = 0; i < other->n_members; i++)
        families |= endpoint_families(other->members[i].endpoint);
    add_members(builder, party, &spots);
    add_host(builder, party, &spots);
    add_outside(builder, party, families, &spots);
    if (spots.n)
        qsort(spots.v, spots.n, sizeof(*spots.v), compare_spots);
    return spots;
}

/* ---- edges -------------------------------------------------------------------------------------------- */

static size_t node_size(const struct graph_node *node)
{
    return node->kind == GRAPH_CONTAINERS ? node->n_members : 1;
}

static size_t edge_number(struct builder *builder, size_t from, size_t to)
{
    const size_t key[] = {from, to};
    struct graph *graph = builder->graph;
    size_t number = intern(&builder->known_edges, key, sizeof(key));

    if (number == graph->n_edges) {
        size_t sources = node_size(&graph->nodes[from]), destinations = node_size(&graph->nodes[to]);

        *ARRAY_ADD(graph->edges, graph->n_edges) = (struct graph_edge){
            .from = from, .to = to, .n_pairs = from == to ? sources * (sources - 1) : sources * destinations};
    }
    return number;
}

/* Every port, in the words that other lines have for a part of it. */
static size_t count_ports(const struct change *line)
{
    return line->all_ports ? GRAPH_PROTOCOLS : line->n_ports;
}

static const char *port_of(const struct change *line, size_t i)
{
    return line->all_ports ? graph_protocols[i] : line->ports[i];
}

static enum graph_change change_of(const struct builder *builder, const struct change *line)
{
    if (!builder->graph->compares || line->old_verdict == line->verdict)
        return GRAPH_SAME;
    return line->verdict == VERDICT_ALLOW ? GRAPH_ADDED : GRAPH_REMOVED;
}

/* The position of what is found for one port of this line on an edge; other lines add other pairs to it. */
static size_t found_number(struct builder *builder, size_t from, size_t to, const struct change *line,
                           const char *port)
{
    _cleanup_(bytes_clear) struct bytes bytes = {};
    const size_t edge = edge_number(builder, from, to);
    const enum graph_change change = change_of(builder, line);
    const char flags[] = {line->one_family, (char)line->family, line->docker_blocks, (char)change};
    const struct graph_node *nodes = builder->graph->nodes;
    size_t number;

    bytes_add(&bytes, &edge, sizeof(edge));
    bytes_add(&bytes, flags, sizeof(flags));
    bytes_add(&bytes, port, strlen(port));
    number = intern(&builder->known_found, bytes.v, bytes.n);
    if (number == builder->n_found) {
        struct found *found = ARRAY_ADD(builder->found, builder->n_found);

        *found = (struct found){.edge = edge,
                                .terms = {.change = change,
                                          .one_family = line->one_family,
                                          .family = line->family,
                                          .docker_blocks = line->docker_blocks},
                                .port = xstrdup(port),
                                .size = node_size(&nodes[from]) * node_size(&nodes[to])};
        found->pairs = xcalloc(found->size, sizeof(*found->pairs));
    }
    return number;
}

static bool on_network(const struct container *container, const char *id)
{
    for (size_t i = 0; i < container->n_endpoints; i++)
        if (container->endpoints[i].id && strcmp(container->endpoints[i].network_id, id) == 0)
            return true;
    return false;
}

static bool leads_outside(const struct inventory *inventory, const struct container *container)
{
    for (size_t i = 0; i < container->n_endpoints; i++) {
        const struct endpoint *endpoint = &container->endpoints[i];
        const struct network *network =
            endpoint->id ? inventory_network(inventory, endpoint->network_id) : NULL;

        if (network && !network->internal)
            return true;
    }
    return false;
}

/* Is there a network on which Docker lets them talk? Then what it blocks on others does not matter. */
static bool docker_lets(const struct inventory *inventory, const struct spot *from, const struct spot *to)
{
    const struct container *container = (from->of ?: to->of)->container;

    if (!from->of || !to->of)
        return leads_outside(inventory, container);
    for (size_t i = 0; i < container->n_endpoints; i++)
        if (container->endpoints[i].id && on_network(to->of->container, container->endpoints[i].network_id))
            return true;
    return false;
}

static bool is_pair(const struct builder *builder, const struct change *line, const struct spot *from,
                    const struct spot *to)
{
    if (!(from->families & to->families) || (!from->of && !to->of) ||
        (from->of && to->of && from->of->container == to->of->container))
        return false;
    return !line->docker_blocks || !docker_lets(builder->inventory, from, to);
}

static void add_pairs(struct builder *builder, const struct found *found, const struct change *line,
                      const struct spots *from, const struct spots *to)
{
    for (size_t i = 0; i < from->n; i++)
        for (size_t j = 0; j < to->n; j++)
            if (is_pair(builder, line, &from->v[i], &to->v[j]))
                found->pairs[from->v[i].member * node_size(&builder->graph->nodes[to->v[j].node]) +
                             to->v[j].member] = true;
}

/* The spots of one node on each side. */
static void add_edge(struct builder *builder, const struct change *line, const struct spots *from,
                     const struct spots *to)
{
    bool any = false;

    for (size_t i = 0; i < from->n && !any; i++)
        for (size_t j = 0; j < to->n && !any; j++)
            any = is_pair(builder, line, &from->v[i], &to->v[j]);
    for (size_t p = 0; any && p < count_ports(line); p++) {
        size_t number = found_number(builder, from->v[0].node, to->v[0].node, line, port_of(line, p));

        add_pairs(builder, &builder->found[number], line, from, to);
    }
}

/* Those of one node, from this position on. */
static struct spots run_of(const struct spots *spots, size_t first)
{
    struct spots run = {.v = &spots->v[first]};

    while (first + run.n < spots->n && run.v[run.n].node == run.v[0].node)
        run.n++;
    return run;
}

static void add_line(struct builder *builder, const struct change *line)
{
    struct spots from = find_spots(builder, &line->from, &line->to);
    struct spots to = find_spots(builder, &line->to, &line->from), source, destination;

    for (size_t i = 0; i < from.n; i += source.n) {
        source = run_of(&from, i);
        for (size_t j = 0; j < to.n; j += destination.n) {
            destination = run_of(&to, j);
            add_edge(builder, line, &source, &destination);
        }
    }
    free(from.v);
    free(to.v);
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

/* The grant of this edge with these terms for these pairs: a position among its grants. */
static size_t grant_number(struct builder *builder, const struct found *found, size_t *numbers,
                           struct interned **known)
{
    _cleanup_(bytes_clear) struct bytes bytes = {};
    struct graph_edge *edge = &builder->graph->edges[found->edge];
    const char flags[] = {found->terms.one_family, (char)found->terms.family, found->terms.docker_blocks,
                          (char)found->terms.change};
    size_t before = intern_count(*known), number;

    bytes_add(&bytes, &found->edge, sizeof(found->edge));
    bytes_add(&bytes, flags, sizeof(flags));
    bytes_add(&bytes, found->pairs, found->size);
    number = intern(known, bytes.v, bytes.n);
    if (number == before) {
        struct graph_grant *grant = ARRAY_ADD(edge->grants, edge->n_grants);

        *grant = found->terms;
        for (size_t i = 0; i < found->size; i++)
            grant->n_pairs += found->pairs[i];
        numbers[number] = edge->n_grants - 1;
    }
    return numbers[number];
}

/* Ports that the same pairs may use are one grant. */
static void make_grants(struct builder *builder)
{
    _cleanup_free_ size_t *numbers = xcalloc(builder->n_found, sizeof(*numbers));
    struct interned *known = NULL;

    for (size_t i = 0; i < builder->n_found; i++) {
        struct found *found = &builder->found[i];
        size_t number = grant_number(builder, found, numbers, &known);
        struct graph_grant *grant = &builder->graph->edges[found->edge].grants[number];

        *ARRAY_ADD(grant->ports, grant->n_ports) = STEAL(found->port);
    }
    intern_clear(&known);
}

static void builder_finish(struct builder *builder)
{
    make_grants(builder);
    for (size_t i = 0; i < builder->n_found; i++)
        free(builder->found[i].pairs);
    free(builder->found);
    free(builder->places);
    free(builder->strangers);
    intern_clear(&builder->known_nodes);
    intern_clear(&builder->known_edges);
    intern_clear(&builder->known_found);
}

struct graph *graph_make(const struct evaluation *before, const struct evaluation *with, size_t nodes)
{
    _cleanup_(changes_freep) struct changes *lines =
        before ? changes_and_rest(before, with) : changes_from_nothing(with);
    struct builder builder = {.inventory = with->inventory, .graph = xnew(struct graph)};

    builder.graph->compares = before;
    (void)stranger_number(&builder, GRAPH_HOST, xstrdup("host")); /* the first */
    add_containers(&builder, with, lines, nodes);
    for (size_t i = 0; i < lines->n; i++)
        add_line(&builder, &lines->v[i]);
    builder_finish(&builder);
    graph_sort(builder.graph);
    return builder.graph;
}

static void edge_clear(struct graph_edge *edge)
{
    for (size_t i = 0; i < edge->n_grants; i++) {
        for (size_t j = 0; j < edge->grants[i].n_ports; j++)
            free(edge->grants[i].ports[j]);
        free(edge->grants[i].ports);
    }
    free(edge->grants);
}

struct graph *graph_free(struct graph *graph)
{
    if (!graph)
        return NULL;
    for (size_t i = 0; i < graph->n_nodes; i++)
        graph_node_clear(&graph->nodes[i]);
    for (size_t i = 0; i < graph->n_edges; i++)
        edge_clear(&graph->edges[i]);
    free(graph->nodes);
    free(graph->edges);
    free(graph);
    return NULL;
}
