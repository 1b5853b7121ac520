/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/alone.h"

#include <string.h>
#include <time.h>

#include "files/boot.h"
#include "files/lock_files.h"
#include "inventory/json.h"
#include "lockdown/inventory.h"
#include "nft/read.h"
#include "ruleset/lock_tables.h"

struct inventory *alone_inventory(const struct settings *settings)
{
    struct container_list containers = {0};
    struct network_list networks = {0};
    struct inventory *inventory = NULL;
    struct inventory_age age = {0};

    if (inventory_state_load(settings->state, &inventory, &age) < 0)
        inventory = inventory_new();
    if (age.stale)
        inventory_forget_live(inventory);
    if (lock_ask_engine(settings, &containers, &networks) == 0)
        inventory_freshen(inventory, &containers, &networks, settings);
    container_list_clear(&containers);
    network_list_clear(&networks);
    return inventory;
}

bool alone_is_cut(const struct container *container, void *alone_cut)
{
    const struct alone_cut *cut = alone_cut;

    return lock_effect(cut->locks, cut->inventory, container).cut != 0;
}

/* Not in whole: then its packets to neighbours have to pass the rules for addresses. */
static bool is_cut_in_part(const struct container *container, void *alone_cut)
{
    const struct alone_cut *cut = alone_cut;
    const struct lock_effect effect = lock_effect(cut->locks, cut->inventory, container);

    return effect.cut && (effect.cut != CUT_BOTH || (effect.exceptions && effect.exceptions->n_allow > 0));
}

void alone_open_bridges(struct lock_report *report, const struct alone_cut *cut)
{
    bool any = false;
    int r;

    for (const struct container *c = cut->inventory->containers; c && !any; c = c->hh.next)
        any = is_cut_in_part(c, (void *)cut);
    r = any ? lock_open_bridges(cut->inventory, is_cut_in_part, (void *)cut) : 0;
    if (r < 0)
        lock_report_fail(
            report,
            "containers on the same bridge may pass (%s): without --direction and --allow, all is cut",
            strerror(-r));
}

bool alone_still_holds(const struct lock *lock, const void *boot)
{
    return lock_left(lock, boot, boot_now(), (uint64_t)time(NULL)) > 0;
}

/* Only what is asked about: the daemon's tables may be large. */
struct lock_list *alone_with_bound(struct nft_socket *nft, const struct lock_list *locks, bool rules_stand)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    struct lock_list *list = lock_list_copy(locks, NULL, NULL);
    bool nameless = false;

    for (size_t i = 0; i < list->n; i++)
        nameless = nameless || lock_is_nameless(list->v[i]);
    if (nameless && rules_stand && nft_read(nft, &tables) == 0)
        lock_list_add_bound(list, tables.ruleset);
    return list;
}

enum alone_rules alone_rules(struct nft_socket *nft)
{
    size_t n = 0;
    bool unknown = false;

    for (size_t i = 0; i < TABLES; i++) {
        struct nft_table_state state = {0};

        if (nft_table_state(nft, i ? TABLE_BRIDGE : TABLE_INET, &state) < 0)
            unknown = true;
        else
            n += state.exists;
    }
    return n == TABLES ? RULES_STAND : n || unknown ? RULES_PART : RULES_NONE;
}

json_t *alone_stay_cut(const struct lock_record *record, const struct lock_list *hold, const char *why,
                       struct lock_report *report)
{
    json_t *names = json_array();

    for (size_t i = 0; i < record->list->n; i++) {
        const char *text = lock_text(record->list->v[i]);
        bool holds = false;

        for (size_t j = 0; j < hold->n; j++)
            holds = holds || strcmp(lock_text(hold->v[j]), text) == 0;
        if (holds)
            continue;
        json_array_append_new(names, json_text_or_null(text));
        lock_report_fail(
            report,
            "%s stays cut off until cofferdamd %s again, which then releases it: only it can change "
            "its own rules",
            text, strcmp(why, "hung") == 0 ? "answers" : "runs");
    }
    return names;
}

void alone_report_diags(struct lock_report *report, const char *what, const struct diags *diags, int error)
{
    lock_report_fail(report, "%s: %s", what, diags->n ? diags->v[0].message : strerror(-error));
    if (diags->n && diags->v[0].help)
        json_array_append_new(report->problems, json_string(diags->v[0].help));
}
