/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is denied is logged: each drop goes by way of a chain that logs the first packets of a connection, and counts all
 * of them. Where nothing is to be logged there are no such chains, and a drop is a drop.
 *
 * A chain log_POINT has one rule for each kind of packet:
 *
 *     meta l4proto @ported ip saddr . ip daddr . meta l4proto . th dport != @denied4 update @deniers4 { ip saddr } return
 *     meta l4proto @ported update @denied4 { ip saddr . ip daddr . meta l4proto . th dport } log prefix "POINT" group 64
 *
 * deniers4 counts what is new of one source, and sends back what is more than the settings say; denied4 counts the
 * connection's packets, and lets one pass in ten seconds. So a flood is neither logged packet by packet, nor does it take
 * from others what is to be read of them, or the room for it. Outside, sources are whatever somebody says: those have a
 * chain and meters of their own, which ask by interface who begins something new, and by source who is logged. What is not
 * logged is dropped like what is.
 */
#pragma once

#include "ruleset/compile.h"
#include "ruleset/ruleset.h"

/* The meters and chains of both tables; nothing where options say that nothing is logged. */
void deny_log_build(struct ruleset *ruleset, const struct compile_options *options);
/* Where a drop is led: a chain's name. */
const char *deny_log_chain(enum deny_point point);
/* Leads all drops of the fixed chains there. */
void deny_log_divert_all(struct ruleset *ruleset);
/* The same for a chain of table inet that is not in the ruleset yet. */
void deny_log_divert(const struct ruleset *ruleset, struct chain *content);
/* Appends what logs a packet that the rules behind it reject; nothing where nothing is logged. */
void deny_log_jump(const struct ruleset *ruleset, struct chain *content, enum deny_point point);
