/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Within an explanation: who is meant by a word, and where a published port leads. */
#pragma once

#include "ways.h"

/* What a word means: one party, or the endpoints of a container. */
struct target {
    const struct container *container; /* whose endpoints are meant; NULL: the party itself */
    const struct endpoint *endpoint;   /* only this one of them, in the family of party.ip */
    struct party party;
};

/* Fills who and ret from a container's name, ID or unique ID prefix, `host`, or an address. Returns 0; -ENOENT: no such
 * container; -ENOTUNIQ: the ID prefix fits several; diags then says so. */
int target_resolve(const struct inventory *inventory, const char *word, struct explain_party *who,
                   struct target *ret, struct diags *diags);
void target_ends(const struct inventory *inventory, const struct target *target, struct ends *ret);

/* Is it one port of a protocol that has any? */
bool port_is_single(const struct port *port);

/*
 * Those outside, and the host, reach a container by a port of the host: when one is asked about that is published, what
 * is asked is changed to the container and the port that it leads to. Between containers it is only noted. Sets
 * x->published and x->publisher.
 */
void published_follow(struct explanation *x, const struct target *from, struct target *to, struct port *port);
/* After the decision: what must be said of published ports; one line or two, or NULL. The caller frees it. */
char *published_note(const struct explanation *x);
