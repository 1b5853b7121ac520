/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random worlds for the property tests: policies and containers made of few enough words that they meet
 * often, and a little kernel that runs packets through the abstract ruleset.
 */
#pragma once

#include "inventory/inventory.h"
#include "kernel_tables.h"
#include "policy/model.h"
#include "ruleset/ruleset.h"

struct world {
    struct policy_set *policies;
    struct inventory *inventory;
};

/* The same seed makes the same world. */
struct world world_make(unsigned seed);
void world_clear(struct world *world);
unsigned world_random(unsigned *seed, unsigned below);
/* Puts policies, rules, peers and ports in another order. */
void world_shuffle(struct policy_set *set, unsigned *seed);

struct packet {
    enum chain_hook hook;
    const char *iif, *oif;
    struct ip source, destination;
    uint8_t proto;
    uint16_t port;        /* destination port, or ICMP type */
    uint16_t source_port; /* 0: some client's */
    uint32_t mark;
};

/* Does the first packet of a connection pass table inet, and with what mark (ret_mark may be NULL)? */
bool kernel_passes(const struct ruleset *ruleset, const struct packet *packet, uint32_t *ret_mark);

/* Fails the test unless everything of `part` stands in `whole` and the base chains and maps are the same. */
void assert_contains(const struct ruleset *whole, const struct ruleset *part);
