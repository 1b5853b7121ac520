/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a lockdown says of a connection that is asked about, in front of what the policies say. */
#include "inventory/json.h"
#include "util/text.h"
#include "util/utc.h"
#include "verdict/explain_json.h"
#include "verdict/lock_json.h"

/* Every way is cut. Where there is none, as nothing can pass, the policies' answer stands. */
static bool cuts_all_ways(const struct lock_list *locks, const struct inventory *inventory,
                          const struct explanation *explanation)
{
    for (size_t i = 0; i < explanation->n_ways; i++) {
        const struct explain_way *way = &explanation->ways[i];

        if (lock_fate(locks, inventory, &way->from, &way->to, &way->traffic) != LOCK_CUTS)
            return false;
    }
    return explanation->n_ways > 0;
}

static const struct lock *first_lock(const struct lock_list *locks, const struct inventory *inventory,
                                     const struct explanation *explanation, const char **ret_name)
{
    const struct explain_party *parties[] = {&explanation->from, &explanation->to};
    static const unsigned cuts[] = {CUT_OUT, CUT_IN};

    for (size_t i = 0; i < ARRAY_SIZE(parties); i++) {
        const struct container *container = parties[i]->container;
        struct lock_effect effect = {0};

        if (container)
            effect = lock_effect(locks, inventory, container);
        *ret_name = parties[i]->label;
        if (effect.cut & cuts[i])
            return effect.first;
    }
    return NULL;
}

bool lockdown_explain(const struct lock_list *locks, const struct inventory *inventory,
                      const struct explanation *explanation, json_t *result)
{
    const char *name = "?", *policies = json_string_value(json_object_get(result, "text"));
    const struct lock *lock;

    if (!locks || locks->n == 0 || !cuts_all_ways(locks, inventory, explanation))
        return false;
    lock = first_lock(locks, inventory, explanation, &name);
    if (!lock)
        return false;
    _cleanup_free_ char *since = utc_text(lock->since);
    _cleanup_free_ char *reason = text_escape(lock->reason ?: "no reason given", false);
    _cleanup_free_ char *text =
        xasprintf("%s -> %s%s%s: denied\n  %s is locked down since %s by %s: %s\n  Once it is released:\n%s",
                  explanation->from.label, explanation->to.label, explanation->port ? " " : "",
                  explanation->port ?: "", name, since, lock->by ?: "?", reason, policies ?: "");
    json_object_set_new(result, "verdict", json_string("denied"));
    json_object_set_new(result, "lockdown", lock_to_json(lock, true));
    json_object_set_new(result, "text", json_text_or_null(text));
    return true;
}
