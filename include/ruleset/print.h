/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ruleset as nft text, in the very form in which nft 1.0.6 lists it ("nft -s list ruleset"), so that the
 * two can be compared. It loads with "nft -f".
 */
#pragma once

#include <stdio.h>

#include "ruleset/delta.h"
#include "ruleset/ruleset.h"

void ruleset_print(const struct ruleset *ruleset, FILE *out);
/* The same with what the counters have counted ("nft list ruleset"), for what was read from the kernel. */
void ruleset_print_counted(const struct ruleset *ruleset, FILE *out);
void rule_print_counted(const struct rule_stmt *rule, FILE *out);
/* One set or chain, indented, as it stands in its table; a set with its elements, sorted by key. */
void set_print(const struct set *set, FILE *out);
void chain_print(enum table_id table, const struct chain *chain, FILE *out);
void rule_print(const struct rule_stmt *rule, FILE *out);
/* One element as in an elements list: "veth1" . 02:42:ac:11:00:02 . 172.17.0.2 */
void element_print(const struct set *set, const struct element *element, FILE *out);
/* One operation, for an error message: "add element 172.17.0.2 to set live4 of table inet cofferdam". The
 * caller frees the text. */
char *op_text(const struct op *op);
