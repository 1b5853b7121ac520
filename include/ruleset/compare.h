/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What differs between two rulesets, object by object, for people. */
#pragma once

#include <stddef.h>

#include "ruleset/ruleset.h"

enum difference_kind {
    DIFFERENCE_TABLE,
    DIFFERENCE_CHAIN,
    DIFFERENCE_RULE,
    DIFFERENCE_SET,
    DIFFERENCE_ELEMENT,
};

enum difference_what { DIFFERENCE_MISSING, DIFFERENCE_FOREIGN, DIFFERENCE_DIFFERENT };

struct difference {
    enum table_id table;
    enum difference_kind kind;
    enum difference_what what;
    char *name; /* of the table, chain or set; of a rule or element: the chain or set that it stands in */
    char *text; /* nft text: of what is missing, or of what is there instead. Names in it may be anybody's. */
};

struct differences {
    struct difference *v;
    size_t n;
    size_t n_more;                         /* differences not listed, over the maximum */
    size_t n_of[DIFFERENCE_DIFFERENT + 1]; /* differences of each sort, those not listed included */
    size_t n_objects;                      /* tables, sets, elements, chains and rules that should be there */
};

/*
 * is: as read from the kernel. At most max differences are listed, in an order that depends on the two
 * rulesets' content alone. A rule that changed is told of as one missing and one foreign. *ret is for
 * differences_clear().
 */
void ruleset_compare(const struct ruleset *is, const struct ruleset *should, size_t max,
                     struct differences *ret);
/*
 * The same for what a change from one to the other comes to: told is each object that comes (missing) or goes (foreign),
 * the rules of a chain and the elements of a set too, and what changes is one that goes and one that comes. Different is
 * only a chain whose rules change their order.
 */
void ruleset_diff(const struct ruleset *is, const struct ruleset *should, size_t max,
                  struct differences *ret);
void differences_clear(struct differences *differences);
#define _cleanup_differences_ _cleanup_(differences_clear)

const char *difference_kind_name(enum difference_kind kind); /* "rule" */
const char *difference_what_name(enum difference_what what); /* "missing" */
