/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where everything stands in a picture: sources on the left, destinations on the right, and beside each source a row for
 * each different label of its edges, from which lines lead to the destinations. So no label lies on another, however
 * many there are. The script of the page (graph_page.c) does the same with what a search leaves.
 */
#pragma once

#include "verdict/graph.h"

/* In the units of the picture, which are pixels where it is not scaled. */
#define LAYOUT_WIDTH 1160
#define LAYOUT_BOX_WIDTH 310
#define LAYOUT_RAIL 270 /* of a row, for its label */
#define LAYOUT_ROW 22
#define LAYOUT_BOX (LAYOUT_ROW + 4) /* height of a box with one row */
#define LAYOUT_GAP 10

enum layout_side { LAYOUT_FROM, LAYOUT_TO, LAYOUT_SIDES };

struct layout_row {
    size_t from; /* a node */
    enum graph_change change;
    char *text;
    size_t y; /* of its line */
};

struct layout_box {
    bool shown; /* one that has no edge is shown on the left */
    size_t y;   /* its top */
    size_t height;
};

struct layout {
    struct layout_row *rows; /* those of one node stand together */
    size_t n_rows;
    size_t *row_of_edge;                    /* of each edge that is drawn */
    struct layout_box *boxes[LAYOUT_SIDES]; /* of each node */
    size_t height;
};

void layout_init(struct layout *layout, const struct graph *graph);
void layout_clear(struct layout *layout);
