/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lint_rules.h"

#include "crowd.h"
#include "near.h"
#include "policy/covers.h"
#include "policy/parse.h"
#include "ways.h"

#define TRIES_MAX 3000000 /* questions whether a peer means somebody: keeps it under a second */
#define PROBE_TRIES 20    /* what one connection tried costs, in these */

/* How far the connection got that got farthest; the first of these is kept as the example. */
enum fate {
    FATE_UNKNOWN, /* there was none */
    FATE_DENIED,  /* a deny rule of this side takes it */
    FATE_HALF,    /* the other side does not allow it */
    FATE_BLOCKED, /* both sides do, Docker itself does not */
    FATE_PASSES,
};

/* What one peer of an allow rule means, or a whole rule that means any peer. */
struct grant {
    const struct policy *policy;
    const struct rule *rule;
    const struct peer *peer; /* NULL: any */
    enum direction direction;
    enum fate fate;
    struct explain_way way;
    struct piece piece;
};

struct search {
    const struct evaluation *with;
    struct crowd crowd;
    size_t n_tries;
    struct diags *diags;
};

/* ---- how far it gets ---------------------------------------------------------------------------------- */

/* Who means everybody does not expect everybody to agree. */
static bool means_somebody(const struct grant *grant)
{
    if (!grant->peer)
        return false;
    switch (grant->peer->kind) {
    case PEER_SELECTOR:
    case PEER_SAME:
    case PEER_CIDR:
    case PEER_INTERNET:
    case PEER_HOST:
        return true;
    case PEER_ANY:
    case PEER_OUTSIDE:
    case PEER_CONTAINERS:
    case PEER_DNS:
        return false;
    }
    return false;
}

/* Is there nothing more to find out about it? */
static bool is_settled(const struct grant *grant)
{
    return grant->fate == FATE_PASSES || (grant->fate > FATE_DENIED && !means_somebody(grant));
}

static enum fate fate_of(const struct grant *grant, const struct explain_way *way)
{
    const struct side_verdict *other =
        grant->direction == EGRESS ? &way->decision.ingress : &way->decision.egress;

    if (side_verdict(way, grant->direction)->verdict == VERDICT_DENY)
        return FATE_DENIED;
    if (other->verdict == VERDICT_DENY)
        return FATE_HALF;
    return way->docker_blocks ? FATE_BLOCKED : FATE_PASSES;
}

static void try_port(struct search *search, struct grant *grant, struct explain_way *way,
                     const struct port *port)
{
    _cleanup_(pieces_clear) struct pieces pieces = {};

    pieces_find(search->with->policies, way, port, &pieces);
    for (size_t i = 0; i < pieces.n && !is_settled(grant); i++) {
        enum fate fate;

        if (!probe_applies(way, &pieces.v[i].probe))
            continue;
        search->n_tries += PROBE_TRIES;
        way->traffic = probe_traffic(&pieces.v[i].probe, way->family);
        way->decision = probe_way(search->with, way, &pieces.v[i].probe);
        fate = fate_of(grant, way);
        if (fate <= grant->fate)
            continue;
        grant->fate = fate;
        grant->way = *way;
        grant->piece = pieces.v[i];
    }
}

static bool means(const struct search *search, const struct grant *grant, const struct explain_way *way)
{
    const struct traffic any = {.family = way->family};
    struct rule rule = {.n_peers = 0};

    if (grant->peer) {
        rule.peers = &grant->rule->peers[grant->peer - grant->rule->peers];
        rule.n_peers = 1;
    }
    return rule_peers_match(search->with, &rule, side_party(way, grant->direction),
                            side_peer(way, grant->direction), &any);
}

static void try_way(struct search *search, struct grant *grant, struct explain_way *way)
{
    if (!means(search, grant, way))
        return;
    if (!grant->rule->n_ports)
        try_port(search, grant, way, NULL);
    for (size_t i = 0; i < grant->rule->n_ports && !is_settled(grant); i++)
        try_port(search, grant, way, &grant->rule->ports[i]);
}

/* The only one of both is one container: nobody is asked about connections to himself. */
static bool is_himself(const struct class *a, const struct class *b)
{
    return a->n_residents == 1 && b->n_residents == 1 &&
           a->party[SET_NEW].container == b->party[SET_NEW].container;
}

/* One of the class to whom the subject may be another: of its own class, the next. */
static struct party other_of(const struct crowd *crowd, const struct class *subject,
                             const struct class *other)
{
    struct party party = other->party[SET_NEW];

    if (subject == other && other->n_residents > 1) {
        const struct resident *resident = &crowd->residents[other->residents[1]];

        party.container = resident->container;
        party.endpoint = resident->endpoint;
    }
    return party;
}

static void try_pair(struct search *search, struct grant *grant, const struct class *subject,
                     const struct class *other)
{
    unsigned families =
        search->crowd.kinds[subject->kind].families & search->crowd.kinds[other->kind].families;

    if (is_himself(subject, other))
        return;
    for (enum ip_family family = IP4; family < IP_FAMILIES && !is_settled(grant); family++) {
        const struct end ends[] = {{subject->party[SET_NEW], family, subject->network},
                                   {other_of(&search->crowd, subject, other), family, other->network}};
        bool egress = grant->direction == EGRESS;
        struct explain_way way = way_between(&ends[!egress], &ends[egress]);

        if (!(families & 1u << family))
            continue;
        search->n_tries++;
        try_way(search, grant, &way);
    }
}

static bool is_tired(const struct search *search)
{
    return search->n_tries > TRIES_MAX;
}

/* subjects: classes by number. */
static void try_grant(struct search *search, struct grant *grant, const size_t *subjects, size_t n)
{
    for (size_t s = 0; s < n; s++)
        for (size_t c = 0; c < search->crowd.n_classes && !is_settled(grant) && !is_tired(search); c++)
            try_pair(search, grant, &search->crowd.classes[subjects[s]], &search->crowd.classes[c]);
    if (is_tired(search))
        grant->fate = FATE_UNKNOWN;
}

/* ---- saying it ---------------------------------------------------------------------------------------- */

static struct diag *say(const struct search *search, const struct grant *grant, bool whole,
                        enum policy_code code, const char *why)
{
    bool peer = !whole && grant->rule->n_peers > 1;
    _cleanup_free_ char *text = peer ? peer_text(grant->peer) : NULL;
    const struct source_pos *pos = peer ? &grant->peer->pos : &grant->rule->pos;

    return policy_report(search->with->policies, search->diags, code, pos,
                         "nothing passes by this rule%s%s%s: %s", peer ? " for the peer '" : "", text ?: "",
                         peer ? "'" : "", why);
}

/* Of one who is an endpoint. */
static const char *name_of(const struct party *party)
{
    return party->container->name;
}

static void say_denied(const struct search *search, const struct grant *grant, bool whole)
{
    const struct side_verdict *side = side_verdict(&grant->way, grant->direction);
    struct diag *diag;

    /* Then the policy by itself shows it already. */
    if (side->policy == grant->policy && rule_covers(side->rule, grant->rule))
        return;
    diag = say(search, grant, whole, CODE_DENIED_RULE, "all that it allows is denied");
    diag_other(diag, &side->rule->pos, "a deny beats every allow");
    diag_help(diag, "remove it, or make the rule that denies narrower");
}

/* The rule of the other side that comes nearest to allowing it, or that denies it. */
static void point_at_near(const struct search *search, const struct grant *grant, enum direction other,
                          struct diag *diag)
{
    const struct side_verdict *side = side_verdict(&grant->way, other);
    const struct explanation x = {.with = *search->with};
    struct near_rules near = {};

    if (side->reason == REASON_DENY_RULE) {
        diag_other(diag, &side->rule->pos, "this rule denies it");
        return;
    }
    near_rules_find(&x, &grant->way, other, &near);
    if (near.n) {
        _cleanup_free_ char *text = near_rule_text(&near.v[0], other);

        diag_other(diag, &near.v[0].rule->pos, text);
    }
    near_rules_clear(&near);
}

static void say_half(const struct search *search, const struct grant *grant, bool whole)
{
    enum direction other = grant->direction == EGRESS ? INGRESS : EGRESS;
    const struct explain_way *way = &grant->way;
    const char *name = name_of(side_party(way, other));
    bool selected = side_verdict(way, other)->reason != REASON_NO_POLICY;
    bool denied = side_verdict(way, other)->reason == REASON_DENY_RULE;
    _cleanup_free_ char *why = selected
                                   ? xasprintf("the %s of %s %s it", direction_name(other), name,
                                               denied ? "denies" : "does not allow")
                                   : xasprintf("no policy in force selects %s, whose %s so allows nothing",
                                               name, direction_name(other));
    _cleanup_free_ char *port = piece_text(&grant->piece);
    bool one = grant->rule->n_ports && !grant->piece.other;
    struct diag *diag = say(search, grant, whole, CODE_HALF_RULE, why);

    point_at_near(search, grant, other, diag);
    if (way->from.kind == PARTY_ENDPOINT && way->to.kind == PARTY_ENDPOINT)
        diag_help(
            diag,
            "the egress of the one and the ingress of the other must allow it: see cofferdam explain %s %s%s%s",
            name_of(&way->from), name_of(&way->to), one ? " " : "", one ? port : "");
}

static void say_blocked(const struct search *search, const struct grant *grant, bool whole)
{
    const struct explain_way *way = &grant->way;
    const struct network *inner = way->network_from ?: way->network_to;
    bool between = way->network_from && way->network_to;
    _cleanup_free_ char *why =
        between ? xasprintf("Docker blocks it: %s and %s share no network", name_of(&way->from),
                            name_of(&way->to))
                : xasprintf("Docker blocks it: the network %s of %s is internal", inner->name,
                            name_of(way->network_from ? &way->from : &way->to));

    diag_help(say(search, grant, whole, CODE_BLOCKED_RULE, why),
              between ? "attach both to one network, or remove it"
                      : "attach the container to a network that is not internal, or remove it");
}

static void report_grant(const struct search *search, const struct grant *grant, bool whole)
{
    switch (grant->fate) {
    case FATE_UNKNOWN:
    case FATE_PASSES:
        break;
    case FATE_DENIED:
        say_denied(search, grant, whole);
        break;
    case FATE_HALF:
        if (means_somebody(grant))
            say_half(search, grant, whole);
        break;
    case FATE_BLOCKED:
        if (means_somebody(grant))
            say_blocked(search, grant, whole);
        break;
    }
}

/* One deny takes all of them: that is said once. */
static bool denied_by_one(const struct grant *grants, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (grants[i].fate != FATE_DENIED || side_verdict(&grants[i].way, grants[i].direction)->rule !=
                                                 side_verdict(&grants[0].way, grants[0].direction)->rule)
            return false;
    return true;
}

/* ---- rules -------------------------------------------------------------------------------------------- */

/* Whom lookups go to is known for each container only, and not of all. */
static size_t list_grants(const struct grant *rule, struct grant **ret)
{
    size_t n = 0;

    *ret = NULL;
    if (!rule->rule->n_peers)
        *ARRAY_ADD(*ret, n) = *rule;
    for (size_t i = 0; i < rule->rule->n_peers; i++) {
        struct grant grant = *rule;

        grant.peer = &rule->rule->peers[i];
        if (grant.peer->kind != PEER_DNS)
            *ARRAY_ADD(*ret, n) = grant;
    }
    return n;
}

static void lint_rule(struct search *search, const struct grant *rule, const size_t *subjects,
                      size_t n_subjects)
{
    struct grant *grants;
    size_t n = list_grants(rule, &grants);
    bool whole;

    for (size_t i = 0; i < n && !is_tired(search); i++)
        try_grant(search, &grants[i], subjects, n_subjects);
    whole = n > 0 && denied_by_one(grants, n);
    for (size_t i = 0; i < (whole ? 1 : n); i++)
        report_grant(search, &grants[i], whole);
    free(grants);
}

static bool is_subject(const struct class *class, const struct policy *policy)
{
    const struct selection *selection = class->party[SET_NEW].selection;

    for (size_t i = 0; selection && i < selection->n; i++)
        if (selection->v[i] == policy)
            return true;
    return false;
}

static void lint_policy(struct search *search, const struct policy *policy)
{
    size_t *subjects = NULL, n = 0;

    for (size_t c = 0; c < search->crowd.n_classes; c++)
        if (is_subject(&search->crowd.classes[c], policy))
            *ARRAY_ADD(subjects, n) = c;
    for (enum direction d = 0; d < DIRECTIONS; d++)
        for (size_t r = 0; n && r < policy->n_rules[d]; r++)
            if (!policy->rules[d][r].deny)
                lint_rule(search,
                          &(struct grant){.policy = policy, .rule = &policy->rules[d][r], .direction = d},
                          subjects, n);
    free(subjects);
}

void lint_rules(const struct evaluation *with, struct diags *diags)
{
    struct search search = {.with = with, .diags = diags};

    crowd_init(&search.crowd, with, with);
    for (size_t i = 0; i < with->policies->n_policies; i++)
        lint_policy(&search, &with->policies->policies[i]);
    crowd_clear(&search.crowd);
}
