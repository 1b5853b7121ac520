/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From pairs of classes that change to lines that a person can read. */
#pragma once

#include "crowd.h"
#include "verdict/changes.h"

/* What becomes of one piece of ports in one family. */
struct fate {
    bool counts;               /* it is on a line; else the rest is zero */
    enum verdict old, verdict; /* before, now */
    struct change_cause causes[DIRECTIONS];
};

/* A way in which pairs of classes change; what a line is about. */
struct theme {
    char **ports;
    size_t n_ports;
    bool all_ports, one_family, docker_blocks;
    enum ip_family family;
    struct fate fate;
    /* Themes made of this one; 0: not made yet (never the first). */
    size_t blocked;                /* the same with docker_blocks */
    size_t in_family[IP_FAMILIES]; /* the same with one_family */
};

/* A pair of classes that changes in this way. */
struct cell {
    uint32_t theme, from, to; /* from and to: classes */
};

struct cells {
    struct cell *v; /* those of one source stand together, by destination */
    size_t n;
};

char **copy_texts(char *const *texts, size_t n);

/* Sorts the cells, and appends the lines to ret. */
void draw_lines(const struct crowd *crowd, const struct theme *themes, size_t n_themes, struct cells *cells,
                struct changes *ret);
