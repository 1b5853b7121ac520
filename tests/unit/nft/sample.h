/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rulesets made by hand, for the tests of the codec and of the socket. */
#pragma once

#include "ruleset/ruleset.h"

/* Every field, kind of match, verdict and set type that the model has. */
struct ruleset *sample_everything(void);

/* The data plane in small: a base chain, a class chain, a verdict map, sets. */
struct ruleset *sample_small(void);

/* Makers; all return what they add. */
struct rule_stmt *sample_rule(struct chain *chain, enum table_verdict verdict, const char *target);
struct match *sample_value(struct rule_stmt *rule, enum field field, uint32_t value);
struct match *sample_range(struct rule_stmt *rule, enum field field, uint32_t first, uint32_t last);
struct match *sample_prefix(struct rule_stmt *rule, enum field field, const char *cidr);
struct match *sample_lookup(struct ruleset *ruleset, struct rule_stmt *rule, const char *set, size_t n_fields,
                            const enum field *fields);
struct set *sample_set(struct ruleset *ruleset, enum table_id table, const char *name, enum key_type type);
struct set *sample_map(struct ruleset *ruleset, enum table_id table, const char *name, enum key_type type);

/* Elements: of an address set or map, of a set of interface names, of a set of intervals. */
struct element sample_address(const char *address);
struct element sample_ifname(const char *name);
struct element sample_interval(const char *first, const char *last);
