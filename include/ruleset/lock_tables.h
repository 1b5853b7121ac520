/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lock tables, "inet cofferdam_lockdown" and "bridge cofferdam_lockdown": what the command cuts by itself while no
 * daemon answers, whose own tables nobody else may change. Pure.
 *
 * They only drop; `return` and the end of a chain mean "not cut here", and the packet goes on to what judges next. So an
 * exception lets pass what the other rules let pass, and opens nothing. A drop in any table is final, whatever theirs say.
 *
 * Whoever is cut is in a plain set of addresses, and what the maps that follow miss is dropped. Another lockdown adds
 * elements to these sets and moves none: whoever is cut stays so at every instant.
 */
#pragma once

#include "inventory/inventory.h"
#include "ruleset/compile.h"
#include "ruleset/ruleset.h"
#include "verdict/lock.h"

/*
 * A ruleset of PAIR_LOCK. Locks for an address or a port that no container has hold for that, in whole. log: what of it
 * is about logging says how it is done, for a daemon that hears of it later or does not own the tables; NULL: it is not.
 * The caller frees it.
 */
struct ruleset *lock_tables_compile(const struct lock_list *locks, const struct inventory *inventory,
                                    const struct compile_options *log);
/*
 * Whoever is cut in the tables that stand stays so, in whole, where the inventory does not know it: between two commands,
 * what is known of the containers may have been lost.
 */
void lock_tables_keep(struct ruleset *ruleset, const struct ruleset *standing,
                      const struct inventory *inventory);
/*
 * The same for a release, which lets go nothing but what it names: all that stands stays so but what the locks on record
 * account for (known: the tables of these, with those that are released). Returns how many elements stay for that alone.
 */
size_t lock_tables_keep_unknown(struct ruleset *ruleset, const struct ruleset *standing,
                                const struct ruleset *known);

/* Do these tables, or the daemon's own, lock down an address that the container has now? */
bool ruleset_locks(const struct ruleset *kernel, const struct container *container);
/*
 * To the list comes, in whole, whoever the standing lock tables cut and neither it nor the known locks (may be NULL) do: the
 * command that cut them could not write it down. wall: seconds since 1970.
 */
void lock_list_add_standing(struct lock_list *list, const struct lock_list *known,
                            const struct ruleset *standing, const struct inventory *inventory, uint64_t wall);

/*
 * What the daemon's rules, as the kernel holds them, know of addresses and ports: to the list come, for each lock of an
 * address, one of its port, and for one of a port those of its addresses.
 */
void lock_list_add_bound(struct lock_list *list, const struct ruleset *rules);
