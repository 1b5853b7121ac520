/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that must not be given twice, and where each was given first. */
#pragma once

/* uthash's own default falls through in a switch, of which clang warns in the file that uses it. */
#ifndef HASH_FUNCTION
#define HASH_FUNCTION HASH_FNV
#endif
#include <uthash.h>

#include "util/diag.h"

struct seen_name {
    char *name;
    struct source_pos pos; /* its file is borrowed */
    UT_hash_handle hh;
};

/* NULL when the name is new, and now in the table; else the first one. */
const struct seen_name *seen_names_add(struct seen_name **table, const char *name,
                                       const struct source_pos *pos);
void seen_names_clear(struct seen_name **table);
#define _cleanup_seen_names_ _cleanup_(seen_names_clear)
