/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom a peer of an expectation means, in an inventory. */
#pragma once

#include "ways.h"

struct member {
    const struct container *container; /* in whose network it is; NULL: the host or the outside */
    const struct container *named;     /* the container that the peer names; NULL as above */
    struct ends ends; /* of the outside: one address for each piece that policies tell apart */
};

struct members {
    struct member *v;
    size_t n;
};

/* What is found out once for a whole test. */
struct roll {
    const struct evaluation *with;
    const struct container **containers; /* by name */
    size_t n_containers;
    struct selection *selections;          /* of the endpoints of all containers, one after the other */
    size_t *first_selection;               /* of each container */
    struct ip_ranges nowhere[IP_FAMILIES]; /* addresses that are not outside */
    ipnum *cuts[IP_FAMILIES];              /* where policies may decide otherwise than one address before */
    size_t n_cuts[IP_FAMILIES];
};

void roll_init(struct roll *roll, const struct evaluation *with);
void roll_clear(struct roll *roll);
/* What selects this endpoint of a container, given by its position there. */
const struct selection *roll_selection(const struct roll *roll, const struct container *container,
                                       size_t endpoint);

void members_find(const struct roll *roll, const struct peer *peer, struct members *ret);
void members_clear(struct members *members);

/* The addresses that the peer means and that are neither a managed network's nor the host's. */
struct ip_ranges peer_outside(const struct roll *roll, const struct peer *peer, enum ip_family family);
