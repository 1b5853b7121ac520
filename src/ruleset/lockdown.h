/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lockdown is made of in the ruleset. A locked endpoint's addresses are not live, so its packets leave the base
 * chains before a connection's state is asked, where those of strangers do: nothing is asked of anybody else. A
 * *sealed* one, of which nothing may pass, has no binding either, so that the bridge drops all of its frames. Otherwise
 * its packets are looked up in maps of their own, to chains that let return to the base chain what the lock does not
 * cut; from there on it is judged as all else, by the lock's exceptions or the policies.
 */
#pragma once

#include "classes.h"
#include "ruleset/compile.h"
#include "ruleset/ruleset.h"
#include "verdict/lock.h"

/* "locked_egress4" and so on; static. */
const char *lock_map_name(enum dispatch dispatch, enum ip_family family);
/* The chain that asks these maps, for what is found not to be live; static. */
const char *lock_chain_name(enum dispatch dispatch);

void lockdown_build_bridge_sets(struct ruleset *ruleset);
void lockdown_build_inet_sets(struct ruleset *ruleset, const struct compile_options *options);
void lockdown_build(struct ruleset *ruleset);

/* For chains that end in a drop, or would let pass what is nobody's: of a locked address. */
void lockdown_refuse(struct chain *chain, enum table_verdict how, const char *target);
/* For the bridge's forward hook: what neighbours say to each other below IP. */
void lockdown_refuse_neighbours(struct chain *chain);
void lockdown_refuse_sealed(struct chain *chain, enum field port);

/* Nothing passes at all: such an endpoint needs no class. */
bool lock_is_sealed(const struct lock_effect *effect);
/* Two effects with the same key have exactly the same rules. The caller frees it. */
char *lock_class_key(const struct lock_effect *effect, const bool *families);
/* What its exceptions grant, the chains that are asked first (class->locks), and the containers that it names. Without a
 * key. */
struct class *lock_class_new(const struct class_context *context, const struct container *container,
                             const struct lock_effect *effect, const bool *families);
