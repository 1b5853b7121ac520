/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may talk to whom: everything that the evaluator allows, with the containers of one Compose service as one node.
 * Pure. As in changes_find(), the parties are the live endpoints of managed networks, the host, and every address
 * outside, and nobody is asked about connections to himself.
 */
#pragma once

#include "verdict/verdict.h"

enum graph_node_kind { GRAPH_HOST, GRAPH_CONTAINERS, GRAPH_OUTSIDE };

struct graph_member {
    const struct container *container;
    char *note; /* "not enforced: uses the host's network"; NULL when there is nothing to say */
};

struct graph_node {
    enum graph_node_kind kind;
    char *name; /* "shop/web", a container's name, "host", "internet", "10.0.0.0/8"; not escaped */
    struct graph_member *members; /* of GRAPH_CONTAINERS: running ones, by name */
    size_t n_members;
    struct ip_ranges
        outside[IP_FAMILIES]; /* of GRAPH_OUTSIDE; a family that nobody's connections use may be missing */
};

/* What may be opened on some pairs of an edge: a container of its source and one of its destination. */
struct graph_grant {
    char **ports; /* "5432/tcp", "9000-9010/udp", "icmp", "other protocols" */
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
    struct graph_grant *grants; /* those that Docker blocks last; else those of most pairs first */
    size_t n_grants;
};

struct graph {
    struct graph_node *nodes; /* the host, containers, the outside; each kind by name */
    size_t n_nodes;
    struct graph_edge *edges; /* by source, then destination */
    size_t n_edges;
};

/* The set is finished; with the inventory it must outlive the graph. */
struct graph *graph_make(const struct evaluation *with);
struct graph *graph_free(struct graph *graph);
DEFINE_CLEANUP(struct graph *, graph_free);

/*
 * Drawings, for the caller to free. Characters in names that could play tricks are escaped. What Docker blocks is left
 * out, and counted.
 */
char *graph_dot(const struct graph *graph);     /* Graphviz */
char *graph_mermaid(const struct graph *graph); /* a Mermaid flowchart */
char *graph_html(const struct graph *graph);    /* one page that needs nothing else */
