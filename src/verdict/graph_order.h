/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order of a graph: the same input makes the same text. */
#pragma once

#include "verdict/graph.h"

/* Together every protocol and port there is. */
#define GRAPH_PROTOCOLS 5
extern const char *const graph_protocols[GRAPH_PROTOCOLS];

/*
 * Puts everything in the order that verdict/graph.h names, sets all_ports of each grant, and drops the strangers to whom
 * no edge leads, but for the host, which must be the first node.
 */
void graph_sort(struct graph *graph);
void graph_node_clear(struct graph_node *node);
