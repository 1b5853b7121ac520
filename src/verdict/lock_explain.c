/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a lockdown says of a connection that is asked about, in front of what the policies say. */
#include "inventory/json.h"
#include "util/text.h"
#include "util/utc.h"
#include "verdict/explain_json.h"
#include "verdict/lock_json.h"

/* What becomes of one way. */
struct outcome {
    bool cut, passes;
};

static struct outcome outcome_of(const struct lock_list *locks, const struct inventory *inventory,
                                 const struct explain_way *way)
{
    enum lock_fate out = lock_end_fate(locks, inventory, EGRESS, &way->from, &way->to, &way->traffic),
                   in = lock_end_fate(locks, inventory, INGRESS, &way->to, &way->from, &way->traffic);
    bool cut = out == LOCK_CUTS || in == LOCK_CUTS;
    bool leaves = out == LOCK_EXEMPT || way->decision.egress.verdict == VERDICT_ALLOW,
         enters = in == LOCK_EXEMPT || way->decision.ingress.verdict == VERDICT_ALLOW;

    return (struct outcome){cut, !cut && leaves && enters};
}

/* Whether the locks decide it, and how. Where there is no way, as nothing can pass, the policies' answer stands. */
static bool locks_decide(const struct lock_list *locks, const struct inventory *inventory,
                         const struct explanation *explanation, enum verdict *ret)
{
    bool all_cut = true, passes = false;

    for (size_t i = 0; i < explanation->n_ways; i++) {
        struct outcome outcome = outcome_of(locks, inventory, &explanation->ways[i]);

        all_cut = all_cut && outcome.cut;
        passes = passes || outcome.passes;
    }
    if (!explanation->n_ways || (!all_cut && passes == (explanation->verdict == VERDICT_ALLOW)))
        return false;
    *ret = passes ? VERDICT_ALLOW : VERDICT_DENY;
    return true;
}

/* One that cuts this direction of an end, and what it is called. */
static struct lock_effect first_effect(const struct lock_list *locks, const struct inventory *inventory,
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
            return effect;
    }
    return (struct lock_effect){0};
}

static char *text_of(const struct explanation *explanation, enum verdict verdict, const char *name,
                     const struct lock_effect *effect, const char *policies)
{
    const struct lock *lock = effect->first;
    _cleanup_free_ char *since = utc_text(lock->since);
    _cleanup_free_ char *reason = text_escape(lock->reason ?: "no reason given", false);
    _cleanup_free_ char *limits = lock_limits_text(effect->cut, effect->exceptions);

    return xasprintf(
        "%s -> %s%s%s: %s\n  %s is locked down%s%s since %s by %s: %s\n  Once it is released:\n%s",
        explanation->from.label, explanation->to.label, explanation->port ? " " : "", explanation->port ?: "",
        verdict == VERDICT_ALLOW ? "allowed" : "denied", name, limits, *limits ? "," : "",
        lock->since ? since : "?", lock->by ?: "?", reason, policies);
}

enum verdict lockdown_explain(const struct lock_list *locks, const struct inventory *inventory,
                              const struct explanation *explanation, json_t *result)
{
    const char *name = "?", *policies = json_string_value(json_object_get(result, "text"));
    struct lock_effect effect = {0};
    enum verdict verdict;

    if (!locks || locks->n == 0 || !locks_decide(locks, inventory, explanation, &verdict))
        return explanation->verdict;
    effect = first_effect(locks, inventory, explanation, &name);
    if (!effect.first)
        return explanation->verdict;
    _cleanup_free_ char *text = text_of(explanation, verdict, name, &effect, policies ?: "");
    json_object_set_new(result, "verdict", json_string(verdict == VERDICT_ALLOW ? "allowed" : "denied"));
    json_object_set_new(result, "lockdown", lock_to_json(effect.first, true));
    json_object_set_new(result, "text", json_text_or_null(text));
    return verdict;
}
