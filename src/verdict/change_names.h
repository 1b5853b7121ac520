/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names for many at once, by what they share: a Compose project, a network, a policy, "internet". */
#pragma once

#include "crowd.h"
#include "verdict/changes.h"

struct namer;

struct namer *namer_new(const struct crowd *crowd);
struct namer *namer_free(struct namer *namer);

/*
 * Fills in the names of a party that is complete otherwise. residents: positions of its members in the crowd; families:
 * those that the other side has. What is named together is named exactly: nobody else is in it.
 */
void name_party(struct namer *namer, const size_t *residents, unsigned families, struct change_party *party);
