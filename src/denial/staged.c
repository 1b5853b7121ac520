/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "denial/staged.h"

#include <string.h>

#include "inventory/match.h"
#include "judge_private.h"

static bool is_about(const struct policy *policy, const struct party *party)
{
    return policy->mode == MODE_AUDIT && party->kind == PARTY_ENDPOINT &&
           selector_matches(&policy->select, party->container, party->endpoint);
}

static bool is_about_either(const struct staged_question *question, const struct policy *policy)
{
    return is_about(policy, &question->from) || is_about(policy, &question->to);
}

/* Also where no rule of its policies lets it pass: a lockdown's exception does. */
static void exempt(const struct staged_question *question, enum direction direction,
                   struct side_verdict *side)
{
    const struct party *subject = direction == EGRESS ? &question->from : &question->to;
    const struct party *other = direction == EGRESS ? &question->to : &question->from;

    if (lock_end_fate(question->locks, question->with->inventory, direction, subject, other,
                      &question->traffic) == LOCK_EXEMPT)
        *side = (struct side_verdict){.verdict = VERDICT_ALLOW, .reason = REASON_NOT_SUBJECT};
}

static struct connection_verdict decide(const struct staged_question *question, struct would_be would_be)
{
    struct connection_verdict verdict =
        evaluate_staged(question->with, &would_be, &question->from, &question->to, &question->traffic);

    exempt(question, EGRESS, &verdict.egress);
    exempt(question, INGRESS, &verdict.ingress);
    verdict.verdict = verdict.egress.verdict == VERDICT_ALLOW && verdict.ingress.verdict == VERDICT_ALLOW
                          ? VERDICT_ALLOW
                          : VERDICT_DENY;
    return verdict;
}

/* ---- words -------------------------------------------------------------------------------------------- */

static char *reason_text(const struct staged_question *question, const struct side_verdict *side,
                         enum direction direction)
{
    bool audit = question->with->settings->default_mode == MODE_AUDIT;
    _cleanup_free_ char *name = side->rule ? judge_rule_name(side->rule, direction) : NULL;

    switch (side->reason) {
    case REASON_RULE:
        return xasprintf("rule %s of policy %s would allow it", name, side->policy->name);
    case REASON_DENY_RULE:
        return xasprintf("rule %s of policy %s would deny it", name, side->policy->name);
    case REASON_NO_RULE:
        return xasprintf("no %s rule of its policies would allow it", direction_name(direction));
    case REASON_NO_POLICY:
        return xasprintf("no policy selects it%s", audit ? ", and default_mode would be enforce" : "");
    case REASON_DEFAULT_AUDIT:
    case REASON_NOT_SUBJECT:
        break;
    }
    return xstrdup("nothing would deny it");
}

static void put_rule(json_t *json, const struct side_verdict *side, enum direction direction)
{
    const struct source_pos *pos = &side->rule->pos;
    _cleanup_free_ char *name = judge_rule_name(side->rule, direction);
    _cleanup_free_ char *place = xasprintf("%s:%u", pos->file ? pos->file : "?", pos->line);

    judge_put(json, "policy", side->policy->name);
    judge_put(json, "rule", name);
    judge_put(json, "reference", place);
}

/* Which side tells why: of what would be denied the one that does it, else the one that was denied, or that a rule allows. */
static enum direction telling_side(const struct staged_question *question,
                                   const struct connection_verdict *would_be)
{
    if (would_be->verdict == VERDICT_DENY)
        return would_be->egress.verdict == VERDICT_DENY ? EGRESS : INGRESS;
    if (question->verdict == VERDICT_DENY)
        return question->direction;
    return would_be->egress.reason == REASON_RULE ? EGRESS : INGRESS;
}

static void put_verdict(json_t *json, const struct staged_question *question,
                        const struct connection_verdict *would_be)
{
    enum direction direction = telling_side(question, would_be);
    const struct side_verdict *side = direction == EGRESS ? &would_be->egress : &would_be->ingress;
    _cleanup_free_ char *reason = reason_text(question, side, direction);

    judge_put(json, "verdict", would_be->verdict == VERDICT_ALLOW ? "allow" : "deny");
    judge_put(json, "direction", direction_name(direction));
    judge_put(json, "reason", reason);
    if (side->rule)
        put_rule(json, side, direction);
}

/* ---- what would change it ----------------------------------------------------------------------------- */

/* Each that would turn the verdict by itself. */
static json_t *changed_by(const struct staged_question *question)
{
    const struct policy_set *set = question->with->policies;
    json_t *list = json_array();

    for (size_t i = 0; i < set->n_policies; i++) {
        const struct policy *policy = &set->policies[i];

        if (is_about_either(question, policy) &&
            decide(question, (struct would_be){.one = policy}).verdict != question->verdict)
            json_array_append_new(list, json_string(policy->name));
    }
    if (decide(question, (struct would_be){.default_mode = true}).verdict != question->verdict)
        json_array_append_new(list, json_string(STAGED_DEFAULT_MODE));
    return list;
}

static json_t *policies_about(const struct staged_question *question)
{
    const struct policy_set *set = question->with->policies;
    json_t *list = json_array();

    for (size_t i = 0; i < set->n_policies; i++)
        if (is_about_either(question, &set->policies[i]))
            json_array_append_new(list, json_string(set->policies[i].name));
    return list;
}

static bool is_left_to_default(const struct staged_question *question)
{
    bool container = question->from.kind == PARTY_ENDPOINT || question->to.kind == PARTY_ENDPOINT;

    return container && question->with->settings->default_mode == MODE_AUDIT;
}

static json_t *denied_anyhow(json_t *policies)
{
    return json_pack("{s:s, s:s, s:o, s:[]}", "verdict", "deny", "reason", "no policy decides it", "policies",
                     policies, "changed_by");
}

json_t *staged_judge(const struct staged_question *question)
{
    const struct would_be all = {.policies = true, .default_mode = true};
    struct connection_verdict would_be;
    json_t *json, *policies = policies_about(question);

    if (json_array_size(policies) == 0 && !is_left_to_default(question)) {
        json_decref(policies);
        return NULL;
    }
    if (question->verdict == VERDICT_DENY && !question->by_policy)
        return denied_anyhow(policies);
    if (decide(question, (struct would_be){0}).verdict != question->verdict) {
        json_decref(policies);
        return NULL;
    }
    would_be = decide(question, all);
    json = json_object();
    put_verdict(json, question, &would_be);
    json_object_set_new(json, "policies", policies);
    json_object_set_new(json, "changed_by", changed_by(question));
    return json;
}

bool staged_denies(const json_t *staged)
{
    const char *verdict = json_string_value(json_object_get(staged, "verdict"));

    return verdict && strcmp(verdict, "deny") == 0;
}

const char *staged_reason(const json_t *staged)
{
    return json_string_value(json_object_get(staged, "reason"));
}
