/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Selectors against containers: the one place that decides who is meant.
 */
#pragma once

#include "inventory/inventory.h"
#include "policy/model.h"

/* The shell's globs (*, ?, [...], [!...]) on the whole text; * matches / and the empty text too. */
bool glob_match(const char *pattern, const char *text);

/*
 * Does the selector mean this endpoint of this container? With endpoint NULL (a container without a network
 * of its own) a selector with `network` never matches.
 */
bool selector_matches(const struct selector *selector, const struct container *container,
                      const struct endpoint *endpoint);
/* Does it mean any endpoint of the container, or the container itself where it has none? */
bool selector_means(const struct selector *selector, const struct container *container);
