/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verdict/expect.h"

#include <errno.h>
#include <netinet/in.h>

#include "members.h"

#define DNS_PORT 53

/* One line of an `expect` document: a peer of each side, and one of its ports. */
struct line {
    const struct roll *roll;
    const struct expect *expect;
    const struct expectation *expectation;
    const struct peer *from, *to;
    const struct port *port;
    const struct members *sources, *destinations;
};

/* What fails between two members. */
struct finding {
    const struct explain_way *way;
    struct piece piece;
    struct connection_verdict decision;
};

struct way_list {
    struct explain_way *v;
    size_t n;
    bool common;     /* both have an address of one family */
    bool unenforced; /* another way leads past the rules */
};

static void way_list_clear(struct way_list *ways)
{
    free(ways->v);
}

/* ---- one pair ----------------------------------------------------------------------------------------- */

static void find_ways(const struct member *from, const struct member *to, struct way_list *ret)
{
    for (size_t i = 0; i < from->ends.n; i++)
        for (size_t j = 0; j < to->ends.n; j++) {
            const struct end *source = &from->ends.v[i], *destination = &to->ends.v[j];

            if (source->family != destination->family)
                continue;
            ret->common = true;
            if (source->party.kind == PARTY_ENDPOINT || destination->party.kind == PARTY_ENDPOINT)
                *ARRAY_ADD(ret->v, ret->n) = way_between(source, destination);
            else
                ret->unenforced = ret->unenforced || from->container || to->container;
        }
}

/*
 * What must be allowed is judged on the ways that a connection can take: those within a network where there are any,
 * else those that Docker does not block. Where it blocks all of them, they are kept.
 */
static void drop_impossible(struct way_list *ways)
{
    bool shared = false, open = false;
    size_t kept = 0;

    for (size_t i = 0; i < ways->n; i++) {
        shared = shared || ways->v[i].shared;
        open = open || !ways->v[i].docker_blocks;
    }
    for (size_t i = 0; i < ways->n; i++)
        if (shared ? ways->v[i].shared : !open || !ways->v[i].docker_blocks)
            ways->v[kept++] = ways->v[i];
    ways->n = kept;
}

/* No policy can write port 0 alone. */
static bool is_tried(const struct explain_way *way, const struct piece *piece)
{
    return probe_applies(way, &piece->probe) &&
           (piece->other || piece->port.kind == PORT_ICMP || piece->port.last > 0);
}

/* Does an allow rule of the subject's policies mean the other side on some port? */
static bool some_rule_allows(const struct evaluation *with, enum direction direction,
                             const struct party *subject, const struct party *other, enum ip_family family)
{
    const struct traffic ping = {family, family == IP4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, 0};
    const struct traffic lookup = {family, IPPROTO_UDP, DNS_PORT}; /* all that `dns` means */

    for (size_t i = 0; i < subject->selection->n; i++)
        for (size_t r = 0; r < subject->selection->v[i]->n_rules[direction]; r++) {
            const struct rule *rule = &subject->selection->v[i]->rules[direction][r];

            if (!rule->deny && (rule_peers_match(with, rule, subject, other, &ping) ||
                                rule_peers_match(with, rule, subject, other, &lookup)))
                return true;
        }
    return false;
}

static bool side_denies_all(const struct evaluation *with, const struct explain_way *way,
                            enum direction direction)
{
    const struct party *subject = direction == EGRESS ? &way->from : &way->to;
    const struct party *other = direction == EGRESS ? &way->to : &way->from;

    if (subject->kind != PARTY_ENDPOINT || !subject->selection)
        return false;
    if (subject->selection->n == 0)
        return with->settings->default_mode != MODE_AUDIT;
    return !some_rule_allows(with, direction, subject, other, way->family);
}

static bool way_fails(const struct line *line, const struct explain_way *way, struct finding *ret)
{
    _cleanup_(pieces_clear) struct pieces pieces = {};
    bool allowed = line->expectation->allowed;

    /* Most pairs have no rule at all: not each piece of what others have rules about needs to be tried for them. */
    if (!allowed &&
        (side_denies_all(line->roll->with, way, EGRESS) || side_denies_all(line->roll->with, way, INGRESS)))
        return false;
    pieces_find(line->roll->with->policies, way, line->port, &pieces);
    for (size_t i = 0; i < pieces.n; i++) {
        const struct piece *piece = &pieces.v[i];

        if (!is_tried(way, piece))
            continue;
        struct connection_verdict decision = probe_way(line->roll->with, way, &piece->probe);
        bool passes = decision.verdict == VERDICT_ALLOW && !(allowed && way->docker_blocks);
        if (passes == allowed)
            continue;
        *ret = (struct finding){way, *piece, decision};
        return true;
    }
    return false;
}

static bool any_way_fails(const struct line *line, const struct way_list *ways, struct finding *ret)
{
    for (size_t i = 0; i < ways->n; i++)
        if (way_fails(line, &ways->v[i], ret))
            return true;
    return false;
}

/* ---- what is said of it ------------------------------------------------------------------------------- */

static char *party_name(const struct member *member, const struct party *party)
{
    char address[IP_TEXT_MAX];

    if (member->named)
        return xstrdup(member->named->name ?: member->named->id);
    if (party && party->kind == PARTY_OUTSIDE)
        return xstrdup(ip_format(party->ip, address));
    return xstrdup(member->ends.n && member->ends.v[0].party.kind == PARTY_HOST ? "host" : "the outside");
}

static char *docker_reason(const struct explain_way *way)
{
    if (way->network_from && way->network_to)
        return xasprintf("the policies allow it, but Docker blocks it: the two share no network (%s, %s)",
                         way->network_from->name, way->network_to->name);
    return xasprintf("the policies allow it, but Docker blocks it: network %s is internal",
                     (way->network_from ?: way->network_to)->name);
}

static char *decision_reason(const struct evaluation *with, const struct explain_way *way)
{
    const struct explanation x = {.with = *with};
    _cleanup_free_ char *egress = NULL, *ingress = NULL;

    if (way->decision.egress.reason != REASON_NOT_SUBJECT) {
        _cleanup_free_ char *side = explain_side_text(&x, way, EGRESS);
        egress = xasprintf("egress of %s: %s", way->from.container->name, side);
    }
    if (way->decision.ingress.reason != REASON_NOT_SUBJECT) {
        _cleanup_free_ char *side = explain_side_text(&x, way, INGRESS);
        ingress = xasprintf("ingress of %s: %s", way->to.container->name, side);
    }
    return xasprintf("%s%s%s", egress ?: "", egress && ingress ? "; " : "", ingress ?: "");
}

/* The rule to look at: where it is denied, one that denies; else one that allows. */
static const struct source_pos *deciding_place(const struct connection_verdict *decision)
{
    const struct side_verdict *sides[] = {&decision->egress, &decision->ingress};

    for (size_t i = 0; i < ARRAY_SIZE(sides); i++)
        if (sides[i]->rule && sides[i]->verdict == decision->verdict)
            return &sides[i]->rule->pos;
    return NULL;
}

static void describe(const struct line *line, const struct member *from, const struct member *to,
                     const struct finding *finding, struct expect_failure *ret)
{
    struct explain_way way = *finding->way;

    way.decision = finding->decision;
    ret->from_name = party_name(from, &way.from);
    ret->to_name = party_name(to, &way.to);
    ret->tried = piece_text(&finding->piece);
    ret->family = way.family;
    if (way.decision.verdict == VERDICT_ALLOW && line->expectation->allowed) {
        ret->why = docker_reason(&way);
        return;
    }
    ret->why = decision_reason(line->roll->with, &way);
    ret->by = deciding_place(&way.decision);
}

static void describe_unenforced(const struct line *line, const struct member *from, const struct member *to,
                                struct expect_failure *ret)
{
    const struct member *sides[] = {from, to};

    ret->from_name = party_name(from, NULL);
    ret->to_name = party_name(to, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(sides) && !ret->why; i++) {
        const struct container *named = sides[i]->named;
        _cleanup_free_ char *reason =
            named ? container_unenforced_reason(line->roll->with->inventory, named) : NULL;

        if (reason)
            ret->why = xasprintf("nothing is enforced there: %s %s", named->name, reason);
    }
    if (!ret->why)
        ret->why = xstrdup("nothing is enforced there");
}

static void describe_no_family(const struct member *from, const struct member *to, struct expect_failure *ret)
{
    ret->from_name = party_name(from, &from->ends.v[0].party);
    ret->to_name = party_name(to, &to->ends.v[0].party);
    ret->why = xstrdup("one has only IPv4 there, the other only IPv6");
}

/* ---- one line ----------------------------------------------------------------------------------------- */

static void test_pair(const struct line *line, const struct member *from, const struct member *to,
                      struct expect_failure *failure)
{
    _cleanup_(way_list_clear) struct way_list ways = {};
    bool allowed = line->expectation->allowed, impossible, unenforced;
    struct finding finding;

    if (from->container && from->container == to->container)
        return; /* what a container sends itself never leaves it */
    find_ways(from, to, &ways);
    if (allowed)
        drop_impossible(&ways);
    impossible = allowed && !ways.common && from->ends.n && to->ends.n;
    unenforced = !allowed && ways.unenforced;
    if (!ways.n && !impossible && !unenforced)
        return;
    failure->n_pairs++;
    bool fails = any_way_fails(line, &ways, &finding);
    if ((!fails && !impossible && !unenforced) || failure->n_failed++ > 0)
        return; /* it holds, or another pair is the example */
    if (fails)
        describe(line, from, to, &finding, failure);
    else if (impossible)
        describe_no_family(from, to, failure);
    else
        describe_unenforced(line, from, to, failure);
}

/* Returns how many pairs there were. */
static size_t test_line(const struct line *line, struct expect_result *result)
{
    struct expect_failure failure = {.expect = line->expect,
                                     .expectation = line->expectation,
                                     .from = line->from,
                                     .to = line->to,
                                     .port = line->port};

    for (size_t i = 0; i < line->sources->n; i++)
        for (size_t j = 0; j < line->destinations->n; j++)
            test_pair(line, &line->sources->v[i], &line->destinations->v[j], &failure);
    if (failure.n_failed)
        *ARRAY_ADD(result->failures, result->n_failures) = failure;
    return failure.n_pairs;
}

/* ---- one expectation ---------------------------------------------------------------------------------- */

static size_t test_ports(struct line *line, struct expect_result *result)
{
    const struct expectation *expectation = line->expectation;
    size_t n_pairs = 0;

    for (size_t i = 0; i == 0 || i < expectation->n_ports; i++) {
        line->port = expectation->n_ports ? &expectation->ports[i] : NULL;
        n_pairs += test_line(line, result);
    }
    return n_pairs;
}

static void test_expectation(const struct roll *roll, const struct expect *expect,
                             const struct expectation *expectation, struct expect_result *result)
{
    size_t n_pairs = 0;

    for (size_t i = 0; i < expectation->n_from; i++) {
        struct members sources;

        members_find(roll, &expectation->from[i], &sources);
        for (size_t j = 0; j < expectation->n_to; j++) {
            struct members destinations;
            struct line line = {roll, expect,   expectation,  &expectation->from[i], &expectation->to[j],
                                NULL, &sources, &destinations};

            members_find(roll, &expectation->to[j], &destinations);
            n_pairs += test_ports(&line, result);
            members_clear(&destinations);
        }
        members_clear(&sources);
    }
    if (n_pairs)
        result->n_tested++;
    else
        *ARRAY_ADD(result->untested, result->n_untested) = expectation;
}

void expect_test(const struct evaluation *with, struct expect_result *ret)
{
    struct roll roll;

    *ret = (struct expect_result){};
    roll_init(&roll, with);
    for (size_t i = 0; i < with->policies->n_expects; i++) {
        const struct expect *expect = &with->policies->expects[i];

        for (size_t j = 0; j < expect->n; j++)
            test_expectation(&roll, expect, &expect->v[j], ret);
    }
    roll_clear(&roll);
}

void expect_result_clear(struct expect_result *result)
{
    for (size_t i = 0; i < result->n_failures; i++) {
        free(result->failures[i].from_name);
        free(result->failures[i].to_name);
        free(result->failures[i].tried);
        free(result->failures[i].why);
    }
    free(result->failures);
    free(result->untested);
    *result = (struct expect_result){};
}

/* ---- as diagnostics ----------------------------------------------------------------------------------- */

/* " (and 3 more of 6 pairs)", or nothing where there is one pair only. */
static char *more_text(const struct expect_failure *failure)
{
    size_t more = failure->n_failed - 1;

    if (failure->n_pairs == 1)
        return xstrdup("");
    if (!more)
        return xasprintf(" (1 of %zu pairs)", failure->n_pairs);
    return xasprintf(" (and %zu more pair%s, of %zu)", more, more == 1 ? "" : "s", failure->n_pairs);
}

static void report_failure(const struct evaluation *with, const struct expect_failure *failure,
                           struct diags *diags)
{
    bool allowed = failure->expectation->allowed;
    _cleanup_free_ char *more = more_text(failure);
    _cleanup_free_ char *tried =
        failure->tried ? xasprintf(" %s (%s)", failure->tried, failure->family == IP4 ? "IPv4" : "IPv6")
                       : xstrdup("");
    struct diag *diag =
        policy_report(with->policies, diags, CODE_EXPECTATION, &failure->expectation->pos,
                      "'%s' fails: %s -> %s%s is %s%s", failure->expect->name, failure->from_name,
                      failure->to_name, tried, allowed ? "not allowed" : "not denied", more);

    if (failure->by)
        diag_other(diag, failure->by, allowed ? "this rule denies it" : "this rule allows it");
    diag_help(diag, "%s", failure->why);
}

int expect_report(const struct evaluation *with, const struct expect_result *result, struct diags *diags)
{
    for (size_t i = 0; i < result->n_failures; i++)
        report_failure(with, &result->failures[i], diags);
    for (size_t i = 0; i < result->n_untested; i++)
        diag_help(policy_report(with->policies, diags, CODE_NOTHING_TESTED, &result->untested[i]->pos,
                                "nothing was tested: the inventory has no pair that this means"),
                  "see that 'from' and 'to' mean containers that are there");
    return result->n_failures ? -EBADMSG : 0;
}
