/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel knows of a container, as evidence has it: cofferdam-evidence(5). Pure. All return new references. */
#pragma once

#include <jansson.h>

#include "flow/flow.h"
#include "inventory/inventory.h"
#include "link/neighbour.h"
#include "ruleset/ruleset.h"

json_t *evidence_flow_to_json(const struct flow *flow);
json_t *evidence_neighbour_to_json(const struct neighbour *neighbour, const char *bridge /* or NULL */);
/* Is it about one of the container's addresses, MACs or ports? */
bool evidence_is_neighbour_of(const struct container *container, const struct neighbour *neighbour);

/*
 * Adds the elements that have an address, MAC or port of the container's to elements, and to rules those of the chains that
 * they lead to, with what their counters have counted.
 */
void evidence_put_rules(const struct ruleset *ruleset, const struct container *container, json_t *elements,
                        json_t *rules);
