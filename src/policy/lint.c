/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Warnings about what one policy says by itself. Each is exact: where it is given, the thing named can be
 * taken out without changing a single verdict. What only an inventory shows is not looked for here.
 */
#include <string.h>

#include "schema.h"

/* Every pair is compared, so a policy with more peers than this goes unlinted. */
#define LINTED_PEERS_MAX 1000

static bool text_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool has_label(const struct selector *selector, const struct label_match *label)
{
    for (size_t i = 0; i < selector->n_labels; i++)
        if (strcmp(selector->labels[i].key, label->key) == 0)
            return text_equal(selector->labels[i].value, label->value);
    return false;
}

/* Does everything that b requires follow from being the same text, or nothing, in a? */
static bool selector_covers(const struct selector *a, const struct selector *b)
{
    if (a->compose_project && !text_equal(a->compose_project, b->compose_project))
        return false;
    if (a->compose_service && !text_equal(a->compose_service, b->compose_service))
        return false;
    if ((a->name && !text_equal(a->name, b->name)) || (a->image && !text_equal(a->image, b->image)) ||
        (a->network && !text_equal(a->network, b->network)))
        return false;
    for (size_t i = 0; i < a->n_labels; i++)
        if (!has_label(b, &a->labels[i]))
            return false;
    return true;
}

static bool cidr_covers(const struct peer *a, const struct peer *b)
{
    if (!cidr_within(&b->cidr, &a->cidr))
        return false;
    for (size_t i = 0; i < a->n_except; i++) {
        bool excepted_too = false;

        for (size_t j = 0; j < b->n_except && !excepted_too; j++)
            excepted_too = cidr_within(&a->except[i], &b->except[j]);
        /* Blocks are nested or apart: what is not within b cannot matter unless b is within it. */
        if (!excepted_too && (cidr_within(&a->except[i], &b->cidr) || cidr_within(&b->cidr, &a->except[i])))
            return false;
    }
    return true;
}

/* Is whoever b means also meant by a? Never true by mistake. */
static bool peer_covers(const struct peer *a, const struct peer *b)
{
    /* Who the name servers are is known for each container only. */
    if (b->kind == PEER_DNS && a->kind != PEER_DNS)
        return false;
    switch (a->kind) {
    case PEER_ANY:
        return true;
    case PEER_OUTSIDE:
        return b->kind == PEER_OUTSIDE || b->kind == PEER_INTERNET || b->kind == PEER_CIDR;
    case PEER_CONTAINERS:
        return b->kind == PEER_CONTAINERS || b->kind == PEER_SELECTOR || b->kind == PEER_SAME;
    case PEER_INTERNET:
    case PEER_HOST:
    case PEER_DNS:
        return a->kind == b->kind;
    case PEER_SAME:
        return b->kind == PEER_SAME && strcmp(a->same, b->same) == 0;
    case PEER_SELECTOR:
        return b->kind == PEER_SELECTOR && selector_covers(&a->selector, &b->selector);
    case PEER_CIDR:
        return b->kind == PEER_CIDR && cidr_covers(a, b);
    }
    return false;
}

static bool any_peer_covers(const struct rule *rule, const struct peer *peer)
{
    for (size_t i = 0; i < rule->n_peers; i++)
        if (peer_covers(&rule->peers[i], peer))
            return true;
    return false;
}

static bool any_port_covers(const struct rule *rule, const struct port *port)
{
    for (size_t i = 0; i < rule->n_ports; i++)
        if (port_covers(&rule->ports[i], port))
            return true;
    return false;
}

static bool means_anybody(const struct rule *rule)
{
    const struct peer any = {.kind = PEER_ANY};

    return !rule->n_peers || any_peer_covers(rule, &any);
}

static bool rule_covers(const struct rule *a, const struct rule *b)
{
    if (!means_anybody(a) && !b->n_peers)
        return false;
    for (size_t i = 0; !means_anybody(a) && i < b->n_peers; i++)
        if (!any_peer_covers(a, &b->peers[i]))
            return false;
    /* Name servers bring their port along: it is not among the rule's. */
    for (size_t i = 0; a->n_ports && i < b->n_peers; i++)
        if (b->peers[i].kind == PEER_DNS)
            return false;
    if (a->n_ports && !b->n_ports)
        return false;
    for (size_t i = 0; a->n_ports && i < b->n_ports; i++)
        if (!any_port_covers(a, &b->ports[i]))
            return false;
    return true;
}

/* ---- the warnings ------------------------------------------------------------------------------------- */

static void lint_pair(struct source *source, const struct rule *earlier, const struct rule *later)
{
    const struct rule *deny = earlier->deny ? earlier : later, *allow = earlier->deny ? later : earlier;
    struct diag *diag;

    if (earlier->deny == later->deny) {
        if (!rule_covers(earlier, later) || !rule_covers(later, earlier))
            return;
        diag =
            report_warning(source, CODE_SAME_RULE, &later->pos, "this rule says the same as an earlier one");
        diag_other(diag, &earlier->pos, "the earlier one");
        diag_help(diag, "remove one of them");
        return;
    }
    if (!rule_covers(deny, allow))
        return;
    diag = report_warning(source, CODE_VOID_RULE, &allow->pos,
                          "this rule allows nothing: another denies all of it");
    diag_other(diag, &deny->pos, "a deny beats every allow");
    diag_help(diag, "remove the rule, or make the one that denies narrower");
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

static size_t count_peers(const struct policy *policy, enum direction direction)
{
    size_t n = 0;

    for (size_t i = 0; i < policy->n_rules[direction]; i++)
        n += 1 + policy->rules[direction][i].n_peers + policy->rules[direction][i].n_ports;
    return n;
}

void policy_lint(struct source *source, const struct policy *policy)
{
    for (int d = 0; d < DIRECTIONS; d++) {
        const struct rule *rules = policy->rules[d];

        if (count_peers(policy, (enum direction)d) > LINTED_PEERS_MAX)
            continue;
        for (size_t i = 0; i < policy->n_rules[d]; i++) {
            lint_peers(source, &rules[i]);
            lint_ports(source, &rules[i]);
            for (size_t j = 0; j < i; j++)
                lint_pair(source, &rules[j], &rules[i]);
        }
    }
}
