/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every pair of classes is decided in both sets, by the evaluator; change_lines.c puts what comes out together. A pair is
 * looked at only if the rules of one of its sides are not the same in both sets, and only once for all pairs whose sides
 * stand to each other alike.
 */
#include "verdict/changes.h"

#include <string.h>

#include "change_lines.h"
#include "policy/parse.h"
#include "stances.h"
#include "verdict/lock.h"

struct search {
    struct crowd crowd;
    bool no_causes; /* why is not asked: what differs in that alone counts as the same */
    bool with_rest; /* what both sets allow counts, too */
    struct interned *known_themes;
    struct theme *themes;
    size_t n_themes;
    struct stances *stances;
    struct interned *known_pairs;      /* of stances */
    uint32_t last_key[DIRECTIONS + 1]; /* the pair that was looked at last */
    size_t last;
    struct numbers *outcomes; /* of each known pair: its themes, without docker_blocks */
    size_t n_outcomes;
    struct cells cells;
    bool *held; /* of each resident */
    struct changes *changes;
};

/* ---- causes ------------------------------------------------------------------------------------------- */

static struct change_cause cause_of_allowing(const struct side_verdict *old, const struct side_verdict *new,
                                             const struct selection *before)
{
    if (old->reason == REASON_DENY_RULE && new->reason == REASON_RULE)
        return (struct change_cause){CHANGE_RULE_GONE, old->policy, old->rule};
    if (new->reason == REASON_RULE)
        return (struct change_cause){CHANGE_RULE, new->policy, new->rule};
    if (before->n)
        return (struct change_cause){CHANGE_UNSELECTED, old->policy ?: before->v[0], NULL};
    return (struct change_cause){.reason = CHANGE_DEFAULT_MODE};
}

static struct change_cause cause_of_denying(const struct side_verdict *old, const struct side_verdict *new,
                                            const struct selection *after)
{
    if (new->reason == REASON_DENY_RULE)
        return (struct change_cause){CHANGE_RULE, new->policy, new->rule};
    if (old->reason == REASON_RULE)
        return (struct change_cause){CHANGE_RULE_GONE, old->policy, old->rule};
    if (after->n)
        return (struct change_cause){CHANGE_SELECTED, after->v[0], NULL};
    return (struct change_cause){.reason = CHANGE_DEFAULT_MODE};
}

static struct change_cause cause_of(const struct connection_verdict *verdicts, enum direction direction,
                                    const struct class *subject)
{
    const struct side_verdict *side[POLICY_SETS];

    for (size_t s = 0; s < POLICY_SETS; s++)
        side[s] = direction == EGRESS ? &verdicts[s].egress : &verdicts[s].ingress;
    if (side[SET_OLD]->verdict == side[SET_NEW]->verdict)
        return (struct change_cause){};
    if (side[SET_NEW]->verdict == VERDICT_ALLOW)
        return cause_of_allowing(side[SET_OLD], side[SET_NEW], subject->party[SET_OLD].selection);
    return cause_of_denying(side[SET_OLD], side[SET_NEW], subject->party[SET_NEW].selection);
}

/* ---- one pair of classes ------------------------------------------------------------------------------ */

static struct explain_way way_of(const struct class *from, const struct class *to, enum which_set s,
                                 enum ip_family family)
{
    const struct end ends[] = {{from->party[s], family, from->network}, {to->party[s], family, to->network}};

    return way_between(&ends[0], &ends[1]);
}

static struct fate fate_of(const struct search *search, const struct class *from, const struct class *to,
                           enum ip_family family, const struct probe *probe)
{
    struct connection_verdict verdicts[POLICY_SETS];
    struct fate fate = {};

    for (size_t s = 0; s < POLICY_SETS; s++) {
        struct explain_way way = way_of(from, to, s, family);

        verdicts[s] = probe_way(&search->crowd.with[s], &way, probe);
    }
    fate.counts = verdicts[SET_OLD].verdict != verdicts[SET_NEW].verdict ||
                  (search->with_rest && verdicts[SET_NEW].verdict == VERDICT_ALLOW);
    if (!fate.counts)
        return fate;
    fate.old = verdicts[SET_OLD].verdict;
    fate.verdict = verdicts[SET_NEW].verdict;
    if (search->no_causes)
        return fate;
    fate.causes[EGRESS] = cause_of(verdicts, EGRESS, from);
    fate.causes[INGRESS] = cause_of(verdicts, INGRESS, to);
    /* A side that changed the other way did not bring this about. */
    for (enum direction d = 0; d < DIRECTIONS; d++) {
        const struct side_verdict *side =
            d == EGRESS ? &verdicts[SET_NEW].egress : &verdicts[SET_NEW].ingress;

        if (side->verdict != fate.verdict)
            fate.causes[d] = (struct change_cause){};
    }
    return fate;
}

static bool same_fate(const struct fate *a, const struct fate *b)
{
    for (enum direction d = 0; d < DIRECTIONS; d++)
        if (a->causes[d].reason != b->causes[d].reason || a->causes[d].policy != b->causes[d].policy ||
            a->causes[d].rule != b->causes[d].rule)
            return false;
    return a->counts == b->counts && a->old == b->old && a->verdict == b->verdict;
}

/* A piece, and what becomes of it: in all families alike, or in each by itself. */
struct tried {
    struct piece piece;
    bool alike;
    struct fate fate[IP_FAMILIES]; /* if alike, both are the same */
};

static struct tried try_piece(const struct search *search, const struct class *from, const struct class *to,
                              unsigned families, const struct piece *piece)
{
    struct tried tried = {.piece = *piece, .alike = true};
    bool first = true;

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        enum ip_family other = family == IP4 ? IP6 : IP4;

        if (!(families & 1u << family) || piece->probe.port[family] < 0)
            continue;
        tried.fate[family] = fate_of(search, from, to, family, &piece->probe);
        if (first)
            tried.fate[other] = tried.fate[family];
        else
            tried.alike = same_fate(&tried.fate[family], &tried.fate[other]);
        first = false;
    }
    return tried;
}

/* ---- themes ------------------------------------------------------------------------------------------- */

static void theme_clear(struct theme *theme)
{
    for (size_t i = 0; i < theme->n_ports; i++)
        free(theme->ports[i]);
    free(theme->ports);
}

/* The number of this theme, which is taken over. */
static size_t theme_number(struct search *search, struct theme theme)
{
    _cleanup_(bytes_clear) struct bytes bytes = {};
    const char flags[] = {theme.one_family, (char)theme.family, theme.docker_blocks, (char)theme.fate.old,
                          (char)theme.fate.verdict};
    size_t number;

    bytes_add(&bytes, flags, sizeof(flags));
    for (enum direction d = 0; d < DIRECTIONS; d++) {
        const struct change_cause *cause = &theme.fate.causes[d];

        bytes_add(&bytes, &cause->reason, sizeof(cause->reason));
        bytes_add(&bytes, &cause->policy, sizeof(cause->policy));
        bytes_add(&bytes, &cause->rule, sizeof(cause->rule));
    }
    for (size_t i = 0; i < theme.n_ports; i++)
        bytes_add(&bytes, theme.ports[i], strlen(theme.ports[i]) + 1);
    number = intern(&search->known_themes, bytes.v, bytes.n);
    if (number == search->n_themes)
        *ARRAY_ADD(search->themes, search->n_themes) = theme;
    else
        theme_clear(&theme);
    return number;
}

static size_t blocked_theme(struct search *search, size_t number)
{
    struct theme theme = search->themes[number];

    if (!theme.blocked) {
        theme.docker_blocks = true;
        theme.ports = copy_texts(theme.ports, theme.n_ports);
        theme.in_family[IP4] = theme.in_family[IP6] = 0;
        theme.blocked = theme_number(search, theme);
        search->themes[number].blocked = theme.blocked;
    }
    return theme.blocked;
}

/* An ICMP type that only one of them has. */
static bool family_has(enum ip_family family, const char *text)
{
    struct port port;
    const char *why;

    if (port_parse(text, &port, &why) < 0 || port.kind != PORT_ICMP || !port.icmp_name)
        return true;
    return (family == IP4 ? port.icmp4_type : port.icmp6_type) >= 0;
}

/* What is left of a theme of both families in one of them: true, and its number, unless that is nothing. */
static bool family_theme(struct search *search, size_t number, enum ip_family family, size_t *ret)
{
    const struct theme *whole = &search->themes[number];
    struct theme theme = *whole;

    if (!whole->in_family[family]) {
        theme.one_family = true;
        theme.family = family;
        theme.ports = NULL;
        theme.n_ports = theme.blocked = theme.in_family[IP4] = theme.in_family[IP6] = 0;
        for (size_t i = 0; i < whole->n_ports; i++)
            if (family_has(family, whole->ports[i]))
                *ARRAY_ADD(theme.ports, theme.n_ports) = xstrdup(whole->ports[i]);
        if (!theme.n_ports)
            return false;
        theme.in_family[family] = theme_number(search, theme); /* moves the themes */
        search->themes[number].in_family[family] = theme.in_family[family];
    }
    *ret = search->themes[number].in_family[family];
    return true;
}

/* Which pieces of one pair share a fate. */
struct harvest {
    const struct tried *v;
    size_t n;
    bool *chosen;
};

static bool is_range(const struct piece *piece)
{
    return !piece->other && piece->port.kind != PORT_ICMP;
}

static bool is_icmp(const struct piece *piece)
{
    return !piece->other && piece->port.kind == PORT_ICMP;
}

/* "icmp", "icmp except echo-request": every type that no rule of the pair names, and those named that share its fate. */
static char *most_icmp(const struct harvest *harvest)
{
    char *text = xstrdup("icmp");
    bool first = true;

    for (size_t i = 0; i < harvest->n; i++) {
        if (!is_icmp(&harvest->v[i].piece) || harvest->chosen[i])
            continue;
        char *longer =
            xasprintf("%s%s%s", text, first ? " except " : " and ", harvest->v[i].piece.port.icmp_name);

        free(text);
        text = longer;
        first = false;
    }
    return text;
}

/* Has the unnamed rest of ICMP, which stands before the named types, said what piece i would say? */
static bool is_told(const struct harvest *harvest, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (is_icmp(&harvest->v[j].piece) && !harvest->v[j].piece.port.icmp_name)
            return harvest->chosen[j];
    return false;
}

/* Appends the port, or the range that begins with piece i; returns the piece after it. */
static size_t add_port(const struct harvest *harvest, size_t i, struct theme *theme)
{
    struct piece piece = harvest->v[i].piece;
    size_t next = i + 1;

    if (is_icmp(&piece) && is_told(harvest, i))
        return next;
    for (; next < harvest->n && is_range(&piece) && harvest->chosen[next]; next++) {
        const struct piece *after = &harvest->v[next].piece;

        if (after->other || after->port.kind != piece.port.kind)
            break;
        piece.port.last = after->port.last;
    }
    *ARRAY_ADD(theme->ports, theme->n_ports) =
        is_icmp(&piece) && !piece.port.icmp_name ? most_icmp(harvest) : piece_text(&piece);
    return next;
}

static size_t harvest_theme(struct search *search, const struct harvest *harvest, struct theme theme)
{
    theme.all_ports = true;
    for (size_t i = 0; i < harvest->n; i++)
        theme.all_ports = theme.all_ports && harvest->chosen[i];
    for (size_t i = 0; i < harvest->n;)
        i = harvest->chosen[i] ? add_port(harvest, i, &theme) : i + 1;
    return theme_number(search, theme);
}

/* The pieces that have the same fate, beginning with one that is not taken yet; and so on until all are taken. */
static void gather(struct search *search, const struct tried *v, size_t n, bool alike, enum ip_family family,
                   struct numbers *ret)
{
    _cleanup_free_ bool *taken = xcalloc(n, sizeof(*taken)), *chosen = xcalloc(n, sizeof(*chosen));

    for (size_t i = 0; i < n; i++) {
        const struct fate *fate = &v[i].fate[family];

        if (taken[i] || v[i].alike != alike || !fate->counts)
            continue;
        for (size_t j = 0; j < n; j++) {
            chosen[j] = v[j].alike == alike && same_fate(fate, &v[j].fate[family]);
            taken[j] = taken[j] || chosen[j];
        }
        *ARRAY_ADD(ret->v, ret->n) =
            harvest_theme(search, &(struct harvest){v, n, chosen},
                          (struct theme){.fate = *fate, .one_family = !alike, .family = family});
    }
}

/* ---- pairs -------------------------------------------------------------------------------------------- */

/* A pair of classes, and all that its outcome depends on. */
struct pair {
    size_t from, to;
    size_t stances[DIRECTIONS];
    unsigned families;
};

/* No other rule can tell one port from another. */
static void find_pieces(const struct search *search, const struct pair *pair, struct pieces *ret)
{
    const struct rule **rules = NULL;
    bool lookups = false;
    size_t n = 0;

    for (enum direction d = 0; d < DIRECTIONS; d++) {
        const struct stance *stance = stance_get(search->stances, pair->stances[d]);

        for (size_t i = 0; i < stance->n; i++)
            *ARRAY_ADD(rules, n) = stance->rules[i];
        lookups = lookups || stance->lookups;
    }
    pieces_of_rules(rules, n, lookups, ret);
    free(rules);
}

static struct numbers decide(struct search *search, const struct pair *pair)
{
    const struct class *from = &search->crowd.classes[pair->from], *to = &search->crowd.classes[pair->to];
    _cleanup_(pieces_clear) struct pieces pieces = {};
    struct tried *tried = NULL;
    struct numbers outcome = {};
    size_t n = 0;

    find_pieces(search, pair, &pieces);
    for (size_t i = 0; i < pieces.n; i++) {
        const struct piece *piece = &pieces.v[i];

        if (is_range(piece) && piece->port.last == 0) /* port 0 by itself is nobody's */
            continue;
        *ARRAY_ADD(tried, n) = try_piece(search, from, to, pair->families, piece);
    }
    gather(search, tried, n, true, IP4, &outcome);
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        gather(search, tried, n, false, family, &outcome);
    free(tried);
    return outcome;
}

/* The families to decide: those that both have; else, if one is a single address family, that (see the top). */
static unsigned pair_families(const struct crowd *crowd, const struct class *from, const struct class *to)
{
    unsigned x = crowd->kinds[from->kind].families, y = crowd->kinds[to->kind].families;

    if (x & y)
        return x & y;
    return from->n_residents ? to->n_residents ? 0 : y : x;
}

static const struct numbers *outcome_of(struct search *search, struct pair *pair)
{
    pair->stances[EGRESS] = stance_find(search->stances, EGRESS, pair->from, pair->to);
    pair->stances[INGRESS] = stance_find(search->stances, INGRESS, pair->to, pair->from);
    const uint32_t key[] = {(uint32_t)pair->stances[EGRESS], (uint32_t)pair->stances[INGRESS],
                            pair->families};
    /* Mostly it is as with the destination before. */
    if (search->n_outcomes && memcmp(key, search->last_key, sizeof(key)) == 0)
        return &search->outcomes[search->last];
    size_t number = intern(&search->known_pairs, key, sizeof(key));
    search->last = number;
    memcpy(search->last_key, key, sizeof(key));
    if (number == search->n_outcomes) {
        struct numbers outcome = decide(search, pair);

        *ARRAY_ADD(search->outcomes, search->n_outcomes) = outcome;
    }
    return &search->outcomes[number];
}

static void add_cell(struct search *search, size_t theme, bool blocked, size_t from, size_t to)
{
    if (blocked)
        theme = blocked_theme(search, theme);
    *ARRAY_ADD(search->cells.v, search->cells.n) =
        (struct cell){(uint32_t)theme, (uint32_t)from, (uint32_t)to};
}

/* What Docker blocks in one of two families only makes two themes of one. */
static void add_theme(struct search *search, size_t number, unsigned families, const bool *blocked,
                      size_t from, size_t to)
{
    const struct theme *theme = &search->themes[number];
    enum ip_family only = theme->one_family ? theme->family : families & 1u << IP4 ? IP4 : IP6;
    size_t part;

    if (theme->one_family || families != BOTH_FAMILIES || blocked[IP4] == blocked[IP6]) {
        add_cell(search, number, blocked[only], from, to);
        return;
    }
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        if (family_theme(search, number, family, &part))
            add_cell(search, part, blocked[family], from, to);
}

static bool is_cut(const struct search *search, const struct class *class, enum lock_cut direction)
{
    return search->crowd.kinds[class->kind].cut & direction;
}

static void hold(struct search *search, const struct class *class)
{
    for (size_t i = 0; i < class->n_residents; i++)
        search->held[class->residents[i]] = true;
}

/* What the policies say of this pair does not count. */
static bool hold_pair(struct search *search, const struct class *from, const struct class *to)
{
    bool out = is_cut(search, from, CUT_OUT), in = is_cut(search, to, CUT_IN);

    if (out)
        hold(search, from);
    if (in)
        hold(search, to);
    return out || in;
}

static void add_pair(struct search *search, size_t from, size_t to)
{
    const struct class *source = &search->crowd.classes[from], *destination = &search->crowd.classes[to];
    struct pair pair = {.from = from, .to = to};
    const struct numbers *outcome;
    bool blocked[IP_FAMILIES];

    if (!search->with_rest && !source->moved && !destination->moved &&
        !search->crowd.kinds[source->kind].differs[EGRESS] &&
        !search->crowd.kinds[destination->kind].differs[INGRESS])
        return;
    if (!source->n_residents && !destination->n_residents)
        return;
    pair.families = pair_families(&search->crowd, source, destination);
    if (!pair.families)
        return;
    outcome = outcome_of(search, &pair);
    if (outcome->n && hold_pair(search, source, destination))
        return;
    for (enum ip_family family = IP4; outcome->n && family < IP_FAMILIES; family++)
        blocked[family] = way_of(source, destination, SET_NEW, family).docker_blocks;
    for (size_t i = 0; i < outcome->n; i++)
        add_theme(search, outcome->v[i], pair.families, blocked, from, to);
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

static void search_clear(struct search *search)
{
    for (size_t i = 0; i < search->n_themes; i++)
        theme_clear(&search->themes[i]);
    for (size_t i = 0; i < search->n_outcomes; i++)
        free(search->outcomes[i].v);
    free(search->outcomes);
    free(search->themes);
    free(search->held);
    free(search->cells.v);
    intern_clear(&search->known_themes);
    intern_clear(&search->known_pairs);
    stances_free(search->stances);
    crowd_clear(&search->crowd);
}

/* The endpoints of a container are neighbours. */
static void name_held(const struct search *search)
{
    struct changes *changes = search->changes;

    for (size_t i = 0; i < search->crowd.n_residents; i++) {
        const struct container *container = search->crowd.residents[i].container;

        if (search->held[i] && (!changes->n_held || changes->held[changes->n_held - 1] != container))
            *ARRAY_ADD(changes->held, changes->n_held) = container;
    }
}

static struct changes *find(struct search search, const struct evaluation *before,
                            const struct evaluation *after)
{
    search.changes = xnew(struct changes);
    crowd_init(&search.crowd, before, after);
    search.stances = stances_new(&search.crowd);
    search.held = xcalloc(search.crowd.n_residents, sizeof(*search.held));
    for (size_t from = 0; from < search.crowd.n_classes; from++)
        for (size_t to = 0; to < search.crowd.n_classes; to++)
            add_pair(&search, from, to);
    name_held(&search);
    draw_lines(&search.crowd, search.themes, search.n_themes, &search.cells, search.changes);
    search_clear(&search);
    return search.changes;
}

struct changes *changes_find(const struct evaluation *before, const struct evaluation *after)
{
    return find((struct search){}, before, after);
}

struct changes *changes_from_nothing(const struct evaluation *with)
{
    _cleanup_(policy_set_freep) struct policy_set *none = policy_set_new();
    _cleanup_(settings_freep) struct settings *strict = settings_new();

    strict->default_mode = MODE_ENFORCE;
    return find((struct search){.no_causes = true},
                &(struct evaluation){none, with->inventory, strict, with->locks}, with);
}

struct changes *changes_and_rest(const struct evaluation *before, const struct evaluation *after)
{
    return find((struct search){.no_causes = true, .with_rest = true}, before, after);
}

static void party_clear(struct change_party *party)
{
    for (size_t i = 0; i < party->n_names; i++)
        free(party->names[i]);
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        ip_ranges_clear(&party->outside[family]);
    free(party->names);
    free(party->members);
    free(party->host_addresses);
}

struct changes *changes_free(struct changes *changes)
{
    if (!changes)
        return NULL;
    for (size_t i = 0; i < changes->n; i++) {
        struct change *line = &changes->v[i];

        party_clear(&line->from);
        party_clear(&line->to);
        for (size_t j = 0; j < line->n_ports; j++)
            free(line->ports[j]);
        free(line->ports);
    }
    free(changes->v);
    free(changes->held);
    free(changes);
    return NULL;
}
