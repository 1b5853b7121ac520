/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decision behind `cofferdam explain`: which ways lead from one to the other, and what the evaluator says of each. The wording is in explain_text.c.
 */
#include "verdict/explain.h"

#include <errno.h>

#include "policy/parse.h"
#include "target.h"

/* ---- the ways ----------------------------------------------------------------------------------------- */

static void drop_unshared(struct explanation *x)
{
    size_t kept = 0;

    for (size_t i = 0; i < x->n_ways; i++)
        if (x->ways[i].shared)
            x->ways[kept++] = x->ways[i];
    if (kept)
        x->n_ways = kept;
}

static void find_ways(struct explanation *x, const struct target *from, const struct target *to)
{
    _cleanup_(ends_clear) struct ends sources = {}, destinations = {};
    bool managed = false;

    target_ends(x->with.inventory, from, &sources);
    target_ends(x->with.inventory, to, &destinations);
    for (size_t i = 0; i < sources.n; i++)
        for (size_t j = 0; j < destinations.n; j++) {
            const struct end *source = &sources.v[i], *destination = &destinations.v[j];
            bool ours = source->party.kind == PARTY_ENDPOINT || destination->party.kind == PARTY_ENDPOINT;
            managed = managed || ours;
            if (!ours && source->network && source->network == destination->network)
                x->unenforced_network = source->network->name;
            if (ours && source->family == destination->family)
                *ARRAY_ADD(x->ways, x->n_ways) = way_between(source, destination);
        }
    drop_unshared(x);
    if (x->n_ways == 0)
        x->state = sources.n == 0 || destinations.n == 0 ? EXPLAIN_NO_NETWORK
                   : managed                             ? EXPLAIN_NO_FAMILY
                                                         : EXPLAIN_UNENFORCED;
}

/* ---- one port ----------------------------------------------------------------------------------------- */

/* Does any way let it pass? *ret_sides: the most sides (0 to 2) of one way that allow it. */
static bool probe_all(const struct explanation *x, const struct probe *probe, int *ret_sides)
{
    *ret_sides = 0;
    for (size_t i = 0; i < x->n_ways; i++) {
        if (!probe_applies(&x->ways[i], probe))
            continue;
        struct connection_verdict decision = probe_way(&x->with, &x->ways[i], probe);
        int sides = (decision.egress.verdict == VERDICT_ALLOW) + (decision.ingress.verdict == VERDICT_ALLOW);
        if (decision.verdict == VERDICT_ALLOW)
            sides = 2;
        if (sides > *ret_sides)
            *ret_sides = sides;
    }
    return *ret_sides == 2;
}

/* Keeps the ways to which the probe applies, with their decisions. */
static void decide(struct explanation *x, const struct probe *probe)
{
    size_t kept = 0;

    x->docker_blocks = true;
    for (size_t i = 0; i < x->n_ways; i++) {
        struct explain_way way = x->ways[i];
        if (!probe_applies(&way, probe))
            continue;
        way.traffic = probe_traffic(probe, way.family);
        way.decision = probe_way(&x->with, &way, probe);
        if (way.decision.verdict == VERDICT_ALLOW) {
            x->verdict = VERDICT_ALLOW;
            x->docker_blocks = x->docker_blocks && way.docker_blocks;
        }
        x->ways[kept++] = way;
    }
    x->n_ways = kept;
    if (x->verdict != VERDICT_ALLOW)
        x->docker_blocks = kept > 0 && x->ways[0].docker_blocks;
}

/* ---- any port ----------------------------------------------------------------------------------------- */

/* Which ports are allowed? Found by trying one of each piece that the rules may decide otherwise. */
struct survey {
    struct explanation *x;
    struct probe best;
    char *best_name;
    int best_sides;
    struct port open; /* the allowed range that has not ended yet */
    bool is_open;
};

/* Takes note of a probe that comes nearer to passing than those before; takes over name. */
static bool survey_try(struct survey *survey, struct probe probe, char *name)
{
    int sides;
    bool allowed = probe_all(survey->x, &probe, &sides);

    if (sides > survey->best_sides) {
        free(survey->best_name);
        survey->best_sides = sides;
        survey->best = probe;
        survey->best_name = name;
    } else {
        free(name);
    }
    return allowed;
}

static void add_allowed(struct survey *survey, char *text)
{
    struct explain_ports *ports = &survey->x->allowed_ports;
    *ARRAY_ADD(ports->v, ports->n) = text;
}

static void end_range(struct survey *survey)
{
    struct port port = survey->open;

    if (!survey->is_open)
        return;
    survey->is_open = false;
    /* Port 0 is none that a policy could write. */
    if (port.first == 0 && port.last < 65535)
        port.first = 1;
    if (port.last > 0)
        add_allowed(survey, port_text(&port));
}

static void survey_range(struct survey *survey, const struct piece *piece)
{
    struct port one = piece->port;
    one.last = one.first;

    if (survey->is_open && (survey->open.kind != one.kind || survey->open.last + 1 != one.first))
        end_range(survey);
    if (!survey_try(survey, piece->probe, one.first ? port_text(&one) : NULL)) {
        end_range(survey);
        return;
    }
    if (!survey->is_open)
        survey->open = piece->port;
    survey->open.last = piece->port.last;
    survey->is_open = true;
}

/* asked: the range or protocol asked about, or NULL for everything. */
static void survey_ports(struct explanation *x, const struct port *asked)
{
    _cleanup_(pieces_clear) struct pieces pieces = {};
    struct survey survey = {.x = x, .best_sides = -1};
    bool other_icmp = false; /* a type that no rule names is allowed */

    pieces_find(x->with.policies, NULL, asked, &pieces);
    for (size_t i = 0; i < pieces.n; i++) {
        const struct piece *piece = &pieces.v[i];

        if (!piece->other && piece->port.kind != PORT_ICMP) {
            survey_range(&survey, piece);
            continue;
        }
        end_range(&survey);
        if (!survey_try(&survey, piece->probe, piece->other ? NULL : port_text(&piece->port)))
            continue;
        if (piece->other || !other_icmp)
            add_allowed(&survey, piece->other ? xstrdup("other protocols") : port_text(&piece->port));
        other_icmp = other_icmp || (!piece->other && !piece->port.icmp_name);
    }
    end_range(&survey);
    x->any_port = true;
    x->probe = survey.best_name;
    decide(x, &survey.best);
}

/* ---- all together ------------------------------------------------------------------------------------- */

static int parse_port(const char *text, struct port *ret, struct diags *diags)
{
    const char *why = NULL;

    if (port_parse(text, ret, &why) == 0)
        return 0;
    diag_help(diag_add(diags, DIAG_ERROR, NULL, NULL, "%s is no port: %s", text, why ?: "not understood"),
              "write it as 5432/tcp, 53/udp or icmp/echo-request");
    return -EINVAL;
}

/* The two ends are one container: its traffic to itself never leaves it. */
static bool is_itself(const struct target *from, const struct target *to)
{
    return from->container && from->container == to->container;
}

/* The rules refuse what a container sends to a loopback address of the host, whatever the policies say. */
static bool is_refused_loopback(const struct explanation *x, const struct target *to)
{
    return x->state == EXPLAIN_DECIDED && to->party.kind == PARTY_HOST && to->party.has_ip &&
           ip_is_loopback(to->party.ip);
}

static void answer(struct explanation *x, const struct target *from, const struct target *to,
                   const struct port *port)
{
    if (is_itself(from, to))
        x->state = EXPLAIN_ITSELF;
    else
        find_ways(x, from, to);
    if (is_refused_loopback(x, to)) {
        x->state = EXPLAIN_LOOPBACK;
        x->n_ways = 0;
    }

    if (x->state != EXPLAIN_DECIDED) {
        x->verdict =
            x->state == EXPLAIN_ITSELF || x->state == EXPLAIN_UNENFORCED ? VERDICT_ALLOW : VERDICT_DENY;
    } else if (port && port_is_single(port)) {
        struct probe probe = probe_of_port(port);
        decide(x, &probe);
    } else {
        survey_ports(x, port);
    }
    if (x->unenforced_network)
        x->verdict = VERDICT_ALLOW;
}

/* A container that no way meets as one: why. */
static void note_unenforced(const struct explanation *x, bool met, struct explain_party *who)
{
    _cleanup_free_ char *why = met || x->unenforced_network || who->note || !who->container
                                   ? NULL
                                   : container_unenforced_reason(x->with.inventory, who->container);

    if (why)
        who->note =
            xasprintf("%s %s; nothing is enforced there, and to others its address there is one outside",
                      who->container->name, why);
}

int explain(const struct evaluation *with, const char *from, const char *to, const char *port,
            struct explanation **ret, struct diags *diags)
{
    _cleanup_(explanation_freep) struct explanation *x = xnew(struct explanation);
    struct target source = {}, destination = {};
    struct port parsed;

    x->with = *with;
    x->port = xstrdup_null(port);
    /* All three are checked, so that one run shows every mistake. */
    int r = target_resolve(with->inventory, from, &x->from, &source, diags);
    int r2 = target_resolve(with->inventory, to, &x->to, &destination, diags);
    int r3 = port ? parse_port(port, &parsed, diags) : 0;
    if (r < 0 || r2 < 0 || r3 < 0)
        return r < 0 ? r : r2 < 0 ? r2 : r3;

    if (port)
        published_follow(x, &source, &destination, &parsed);
    answer(x, &source, &destination, port ? &parsed : NULL);
    note_unenforced(x, x->n_ways && x->ways[0].from.kind == PARTY_ENDPOINT, &x->from);
    note_unenforced(x, x->n_ways && x->ways[0].to.kind == PARTY_ENDPOINT, &x->to);
    x->published_note = published_note(x);
    x->hint = explain_hint(x);
    *ret = STEAL(x);
    return 0;
}

static void explain_party_clear(struct explain_party *party)
{
    free(party->label);
    free(party->note);
}

struct explanation *explanation_free(struct explanation *explanation)
{
    if (!explanation)
        return NULL;
    explain_party_clear(&explanation->from);
    explain_party_clear(&explanation->to);
    for (size_t i = 0; i < explanation->allowed_ports.n; i++)
        free(explanation->allowed_ports.v[i]);
    free(explanation->allowed_ports.v);
    free(explanation->port);
    free(explanation->published_note);
    free(explanation->probe);
    free(explanation->ways);
    free(explanation->hint);
    free(explanation);
    return NULL;
}
