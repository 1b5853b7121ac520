/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What commands about lockdowns do by themselves, where no daemon answers, and what they share. */
#pragma once

#include <jansson.h>

#include "lockdown/report.h"
#include "nft/socket.h"
#include "policy/settings.h"
#include "verdict/lock.h"

#define ALONE_HOLD_MS 2000 /* how long another command may take */

/*
 * Each gives the answer that the daemon would have given, a new reference. id: the request's name. why: "dead", "hung", or
 * what the daemon says that it cannot do now (LOCK_NOT_*), which becomes "without_daemon".
 */
typedef json_t *alone_fn(const struct settings *settings, const json_t *request, const char *id,
                         const char *why);
alone_fn lockdown_alone, release_alone, lockdown_list_alone;

/* What the daemon has left behind, and on top of it what the Engine says, if it answers soon. The caller frees it. */
struct inventory *alone_inventory(const struct settings *settings);

/* What lock_ask_links() and lock_open_bridges() are to look at: whom these locks cut. */
struct alone_cut {
    const struct lock_list *locks;
    const struct inventory *inventory;
};
bool alone_is_cut(const struct container *container, void *alone_cut);
/* Where no rules stand: frames that bridge netfilter does not see would pass the exceptions' rules. */
void alone_open_bridges(struct lock_report *report, const struct alone_cut *cut);

/* For lock_list_copy(): has its time not come yet? userdata: the kernel's boot ID, or NULL. */
bool alone_still_holds(const struct lock *lock, const void *boot);
/* The same locks, with those of the ports and addresses that the daemon's rules bind to nameless ones. The caller frees it. */
struct lock_list *alone_with_bound(struct nft_socket *nft, const struct lock_list *locks, bool rules_stand);

/* The daemon's own tables; RULES_PART: one of them, or the kernel does not say. */
enum alone_rules { RULES_NONE, RULES_PART, RULES_STAND };
enum alone_rules alone_rules(struct nft_socket *nft);

struct lock_record;
/*
 * What the daemon's own tables cut, as they stand, though it is to hold no more: the names of these locks, a new reference,
 * with a problem in the report for each.
 */
json_t *alone_stay_cut(const struct lock_record *record, const struct lock_list *hold, const char *why,
                       struct lock_report *report);

/* An error of the kernel's, with its reason and help. */
void alone_report_diags(struct lock_report *report, const char *what, const struct diags *diags, int error);
