/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the drawings of a graph share. */
#pragma once

#include <stdio.h>

#include "verdict/graph.h"

/* A stream into memory, to be freed after graph_close(). Out of memory ends the process, as everywhere (util/mem.h). */
FILE *graph_open(char **text, size_t *len);
void graph_close(FILE *out);

/* The texts are for the caller to free; what strangers chose in them is escaped as on a terminal. */
/* "shop/web (3)", or without a number where the node is no group. */
char *graph_node_text(const struct graph_node *node);
/* What must be said of the node's containers, "web-1: not enforced: ..."; NULL when there is nothing to say. */
char *graph_node_note(const struct graph_node *node);
/* "80/tcp, 443/tcp (IPv4, 2 of 6 pairs); icmp": all that Docker does not block; "+ 80/tcp; − 25/tcp" where it changes. */
char *graph_edge_text(const struct graph_edge *edge);

/* What the marks of a comparison mean, or that nothing would change; NULL where nothing is compared. */
const char *graph_legend(const struct graph *graph);
/* "added", "removed", "mixed", "same" */
extern const char *const graph_change_words[GRAPH_CHANGES];

/* Does Docker let anything of it pass? */
bool graph_is_drawn(const struct graph_edge *edge);
/* Edges of which Docker blocks everything or a part. */
size_t graph_count_blocked(const struct graph *graph);

/* The text in HTML or XML; of a longer one than `width` letters, its beginning. */
void graph_put_markup(FILE *out, const char *text);
void graph_put_start(FILE *out, const char *text, size_t width);

/* More lines than these in the page are for a search to choose from, or a browser is busy for long (`most` in the script). */
#define GRAPH_LINES_SHOWN 2000
/* The picture in the page, an element <svg>. */
void graph_put_picture(FILE *out, const struct graph *graph);
/* Of the page: its Content-Security-Policy, style sheet and script; the style sheet of the picture by itself. */
extern const char graph_policy[], graph_style[], graph_script[], graph_svg_style[];
