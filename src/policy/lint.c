/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Warnings about what policies say by themselves. Each is exact: where it is given, the thing named can be
 * taken out without changing a single verdict, whatever containers there are. What only an inventory shows is not
 * looked for here.
 */
#include "policy/covers.h"
#include "policy/parse.h"
#include "schema.h"

/* Every pair is compared, so a policy with more peers than this goes unlinted. */
#define LINTED_PEERS_MAX 1000
#define LINTED_POLICIES_MAX 1000 /* the same, for policies of a set */

/* ---- the warnings ------------------------------------------------------------------------------------- */

static void lint_deny(struct source *source, const struct rule *deny, const struct rule *allow)
{
    struct diag *diag;

    if (!rule_covers(deny, allow))
        return;
    diag = report_warning(source, CODE_VOID_RULE, &allow->pos,
                          "this rule allows nothing: another denies all of it");
    diag_other(diag, &deny->pos, "a deny beats every allow");
    diag_help(diag, "remove the rule, or make the one that denies narrower");
}

/* A deny that another one covers is left alone: whoever says twice what must not be does no harm. */
static void lint_alike(struct source *source, const struct rule *earlier, const struct rule *later)
{
    bool covers = rule_covers(earlier, later), covered = rule_covers(later, earlier);
    const struct rule *wide = covers ? earlier : later, *narrow = covers ? later : earlier;
    struct diag *diag;

    if (covers && covered) {
        diag =
            report_warning(source, CODE_SAME_RULE, &later->pos, "this rule says the same as an earlier one");
        diag_other(diag, &earlier->pos, "the earlier one");
        diag_help(diag, "remove one of them");
    } else if ((covers || covered) && !wide->deny) {
        diag = report_warning(source, CODE_COVERED_RULE, &narrow->pos,
                              "this rule adds nothing: another allows all of it");
        diag_other(diag, &wide->pos, "this one allows it already");
        diag_help(diag, "remove the rule, or make the other one narrower if that allows too much");
    }
}

static void lint_pair(struct source *source, const struct rule *earlier, const struct rule *later)
{
    if (earlier->deny == later->deny)
        lint_alike(source, earlier, later);
    else
        lint_deny(source, earlier->deny ? earlier : later, earlier->deny ? later : earlier);
}

static void lint_peers(struct source *source, const struct rule *rule)
{
    for (size_t i = 0; i < rule->n_peers; i++) {
        for (size_t j = 0; j < rule->n_peers; j++) {
            const struct peer *wide = &rule->peers[j], *narrow = &rule->peers[i];
            struct diag *diag;

            /* Of two that mean the same, the later one is superfluous. */
            if (i == j || !peer_covers(wide, narrow) || (peer_covers(narrow, wide) && i < j))
                continue;
            diag =
                report_warning(source, CODE_COVERED_PEER, &narrow->pos, "this peer adds nothing to the list");
            diag_other(diag, &wide->pos, "this one means it already");
            diag_help(diag, "remove it");
            break;
        }
    }
}

static void lint_ports(struct source *source, const struct rule *rule)
{
    for (size_t i = 0; i < rule->n_ports; i++) {
        for (size_t j = 0; j < rule->n_ports; j++) {
            const struct port *wide = &rule->ports[j], *narrow = &rule->ports[i];
            _cleanup_free_ char *text = NULL, *wide_text = NULL;

            if (i == j || !port_covers(wide, narrow) || (port_covers(narrow, wide) && i < j))
                continue;
            text = port_text(narrow);
            wide_text = port_text(wide);
            diag_help(report_warning(source, CODE_COVERED_PORT, &rule->pos,
                                     "port %s adds nothing to this rule: %s is there", text, wide_text),
                      "remove it");
            break;
        }
    }
}

static bool is_lintable(const struct policy *policy, enum direction direction)
{
    size_t n = 0;

    for (size_t i = 0; i < policy->n_rules[direction]; i++)
        n += 1 + policy->rules[direction][i].n_peers + policy->rules[direction][i].n_ports;
    return n <= LINTED_PEERS_MAX;
}

void policy_lint(struct source *source, const struct policy *policy)
{
    for (int d = 0; d < DIRECTIONS; d++) {
        const struct rule *rules = policy->rules[d];

        if (!is_lintable(policy, (enum direction)d))
            continue;
        for (size_t i = 0; i < policy->n_rules[d]; i++) {
            lint_peers(source, &rules[i]);
            lint_ports(source, &rules[i]);
            for (size_t j = 0; j < i; j++)
                lint_pair(source, &rules[j], &rules[i]);
        }
    }
}

/* ---- a whole set -------------------------------------------------------------------------------------- */

static bool select_the_same(const struct policy *a, const struct policy *b)
{
    return selector_covers(&a->select, &b->select) && selector_covers(&b->select, &a->select);
}

/* Rules of the one that a rule of the other covers. Of two that are alike, that of the later policy is superfluous. */
static void lint_between(const struct policy_set *set, const struct policy *wide, const struct rule *rule,
                         const struct policy *narrow, enum direction direction, struct diags *diags)
{
    for (size_t i = 0; i < narrow->n_rules[direction]; i++) {
        const struct rule *other = &narrow->rules[direction][i];
        struct diag *diag;

        if (other->deny || !rule_covers(rule, other) || (rule_covers(other, rule) && wide > narrow))
            continue;
        diag = policy_report(
            set, diags, CODE_COVERED_RULE, &other->pos,
            "this rule adds nothing: policy %s selects the same containers and allows all of it", wide->name);
        diag_other(diag, &rule->pos, "this one allows it already");
        diag_help(diag, "remove one of them");
    }
}

static void lint_policies(const struct policy_set *set, const struct policy *a, const struct policy *b,
                          struct diags *diags)
{
    if (a == b || a->mode != b->mode || !select_the_same(a, b))
        return;
    for (enum direction d = 0; d < DIRECTIONS; d++) {
        if (!is_lintable(a, d) || !is_lintable(b, d))
            continue;
        for (size_t i = 0; i < a->n_rules[d]; i++)
            if (!a->rules[d][i].deny)
                lint_between(set, a, &a->rules[d][i], b, d, diags);
    }
}

void policy_set_lint(const struct policy_set *set, struct diags *diags)
{
    struct diags found = {};

    for (size_t i = 0; set->n_policies <= LINTED_POLICIES_MAX && i < set->n_policies; i++)
        for (size_t j = 0; j < set->n_policies; j++)
            lint_policies(set, &set->policies[i], &set->policies[j], &found);
    diags_sort(&found);
    diags_move(diags, &found);
}
