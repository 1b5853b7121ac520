/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may talk to whom: everything that the evaluator allows, with the containers of one Compose service as one node;
 * and what of that another policy set would change. Pure. As in changes_find(), the parties are the live endpoints of
 * managed networks, the host, and every address outside, and nobody is asked about connections to himself. What a
 * lockdown cuts is nobody's; the containers that are locked down say so.
 */
#pragma once

#include "verdict/verdict.h"

enum graph_node_kind { GRAPH_HOST, GRAPH_CONTAINERS, GRAPH_OUTSIDE };

struct graph_member {
    const struct container *container;
    size_t group; /* of the node's groups */
    char *note;   /* "not enforced: uses the host's network"; NULL when there is nothing to say */
};

struct graph_node {
    enum graph_node_kind kind;
    char *name;    /* "shop/web", a container's name, "host", "internet", "10.0.0.0/8"; not escaped */
    char **groups; /* of GRAPH_CONTAINERS: services and containers; more than one where they are joined */
    size_t n_groups;
    struct graph_member *members; /* of GRAPH_CONTAINERS: running ones, by name */
    size_t n_members;
    struct ip_ranges
        outside[IP_FAMILIES]; /* of GRAPH_OUTSIDE; a family that nobody's connections use may be missing */
};

enum graph_change { GRAPH_SAME, GRAPH_ADDED, GRAPH_REMOVED, GRAPH_MIXED, GRAPH_CHANGES };

/*
 * What may be opened on some pairs of an edge: a container of its source and one of its destination. Two containers
 * that share several networks are one pair: what moves from one network to another is both added and removed.
 */
struct graph_grant {
    enum graph_change change; /* not GRAPH_MIXED; GRAPH_SAME where nothing is compared */
    char **ports;             /* "5432/tcp", "9000-9010/udp", "icmp", "other protocols" */
    size_t n_ports;
    bool all_ports;     /* these are every protocol and port there is */
    bool one_family;    /* and only in this family, though both ends have both */
    bool docker_blocks; /* Docker itself lets none of it pass, whatever the policies say */
    enum ip_family family;
    size_t n_pairs; /* of the edge's n_pairs */
};

struct graph_edge {
    size_t from, to; /* positions of nodes; the same for connections between containers of one service */
    size_t n_pairs;  /* all that there are; host and outside count as one */
    struct graph_grant
        *grants; /* those that Docker blocks last; else changes and those of most pairs first */
    size_t n_grants;
};

struct graph {
    bool compares;            /* with another policy set */
    struct graph_node *nodes; /* the host, containers, the outside; each kind by name */
    size_t n_nodes;
    struct graph_edge *edges; /* by source, then destination */
    size_t n_edges;
};

/* With more nodes than these, a drawing is easier to read if containers that are alike are one node. */
#define GRAPH_NODES 60

/*
 * before: what the policies are compared with, over the same inventory; NULL: nothing. nodes: if there were more, those
 * services and containers that every policy treats alike are joined, which loses nothing: what one may do to anybody, and
 * anybody to it, the others may as well. The sets are finished; with the inventory they must outlive the graph.
 */
struct graph *graph_make(const struct evaluation *before, const struct evaluation *with, size_t nodes);
struct graph *graph_free(struct graph *graph);
DEFINE_CLEANUP(struct graph *, graph_free);

/* Edges that say the same, from each of some nodes to each of others. */
struct graph_bundle {
    size_t *from, *to; /* ascending */
    size_t n_from, n_to;
    const struct graph_edge *edge; /* one of them: borrowed */
};

struct graph_bundles {
    struct graph_bundle *v;
    size_t n;
};

/* All edges, each in one bundle, in few bundles: there may be as many edges as pairs of nodes. */
void graph_bundle(const struct graph *graph, struct graph_bundles *ret);
void graph_bundles_clear(struct graph_bundles *bundles);

/* What becomes of the whole edge, or, where Docker lets some of it pass, of that. */
enum graph_change graph_edge_change(const struct graph_edge *edge);
/* Would anything change? false where nothing is compared. */
bool graph_has_changes(const struct graph *graph);

/* More edges than these are no drawing that anybody, or any program, could show. */
#define GRAPH_DRAWN_MAX 100000
/* Edges that a drawing has: of the others, Docker blocks everything. */
size_t graph_count_drawn(const struct graph *graph);

/*
 * Drawings, for the caller to free. Characters in names that could play tricks are escaped. What Docker blocks is left
 * out, and counted.
 */
char *graph_dot(const struct graph *graph);     /* Graphviz */
char *graph_mermaid(const struct graph *graph); /* a Mermaid flowchart */
char *graph_svg(const struct graph *graph);     /* a picture that needs nothing else */
char *graph_html(const struct graph *graph);    /* one page that needs nothing else */
