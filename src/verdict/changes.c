/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every pair of classes is decided in both sets, by the evaluator; what comes out is put together to lines. A pair is
 * looked at only if the rules of one of its sides are not the same in both sets, and only once for all pairs of the same
 * two kinds that agree in which labels they share.
 *
 * A line is a set of sources and a set of destinations, all pairs of which change in the same way. For that, pairs that
 * cannot be (a class of one container and itself, an IPv4 address and a container without IPv4) count as what the
 * evaluator makes of them, or they would tear lines apart; a line of nothing but these is left out.
 */
#include "verdict/changes.h"

#include <string.h>

#include "change_names.h"
#include "crowd.h"
#include "intern.h"

/* What becomes of one piece of ports in one family; all zero: what it was. */
struct fate {
    bool changes;
    enum verdict verdict;
    struct change_cause causes[DIRECTIONS];
};

/* A way in which pairs of classes change; what a line is about. */
struct theme {
    char **ports;
    size_t n_ports;
    bool all_ports, one_family, docker_blocks;
    enum ip_family family;
    struct fate fate;
    size_t
        blocked; /* the theme that is the same but for docker_blocks; 0: not made yet (it never is the first) */
};

struct cell {
    uint32_t theme, from, to; /* from and to: classes */
};

struct search {
    struct crowd crowd;
    struct interned *known_themes;
    struct theme *themes;
    size_t n_themes;
    struct interned *known_pairs;
    struct bytes pair; /* the one asked for; kept so that it is allocated once */
    struct outcome {
        size_t *themes; /* without docker_blocks */
        size_t n;
    } * outcomes; /* of each known pair */
    size_t n_outcomes;
    struct cell *cells;
    size_t n_cells;
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

static struct fate fate_of(const struct crowd *crowd, const struct class *from, const struct class *to,
                           enum ip_family family, const struct probe *probe)
{
    struct connection_verdict verdicts[POLICY_SETS];
    struct fate fate = {};

    for (size_t s = 0; s < POLICY_SETS; s++) {
        struct explain_way way = way_of(from, to, s, family);

        verdicts[s] = probe_way(&crowd->with[s], &way, probe);
    }
    if (verdicts[SET_OLD].verdict == verdicts[SET_NEW].verdict)
        return fate;
    fate.changes = true;
    fate.verdict = verdicts[SET_NEW].verdict;
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
    return a->changes == b->changes && a->verdict == b->verdict;
}

/* A piece, and what becomes of it: in all families alike, or in each by itself. */
struct tried {
    struct piece piece;
    bool alike;
    struct fate fate[IP_FAMILIES]; /* if alike, both are the same */
};

static struct tried try_piece(const struct crowd *crowd, const struct class *from, const struct class *to,
                              unsigned families, const struct piece *piece)
{
    struct tried tried = {.piece = *piece, .alike = true};
    bool first = true;

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        enum ip_family other = family == IP4 ? IP6 : IP4;

        if (!(families & 1u << family) || piece->probe.port[family] < 0)
            continue;
        tried.fate[family] = fate_of(crowd, from, to, family, &piece->probe);
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
    const char flags[] = {theme.one_family, (char)theme.family, theme.docker_blocks,
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

static char **copy_texts(char *const *texts, size_t n)
{
    char **copy = xcalloc(n, sizeof(*copy));

    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(texts[i]);
    return copy;
}

static size_t blocked_theme(struct search *search, size_t number)
{
    struct theme theme = search->themes[number];

    if (!theme.blocked) {
        theme.docker_blocks = true;
        theme.ports = copy_texts(theme.ports, theme.n_ports);
        theme.blocked = theme_number(search, theme);
        search->themes[number].blocked = theme.blocked;
    }
    return theme.blocked;
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
                   struct outcome *ret)
{
    _cleanup_free_ bool *taken = xcalloc(n, sizeof(*taken)), *chosen = xcalloc(n, sizeof(*chosen));

    for (size_t i = 0; i < n; i++) {
        const struct fate *fate = &v[i].fate[family];

        if (taken[i] || v[i].alike != alike || !fate->changes)
            continue;
        for (size_t j = 0; j < n; j++) {
            chosen[j] = v[j].alike == alike && same_fate(fate, &v[j].fate[family]);
            taken[j] = taken[j] || chosen[j];
        }
        *ARRAY_ADD(ret->themes, ret->n) =
            harvest_theme(search, &(struct harvest){v, n, chosen},
                          (struct theme){.fate = *fate, .one_family = !alike, .family = family});
    }
}

/* ---- pairs -------------------------------------------------------------------------------------------- */

static struct outcome decide(struct search *search, const struct class *from, const struct class *to,
                             unsigned families)
{
    struct explain_way way = way_of(from, to, SET_NEW, IP4);
    _cleanup_(pieces_clear) struct pieces pieces = {};
    struct tried *tried = NULL;
    struct outcome outcome = {};
    size_t n = 0;

    way.from.selection = &search->crowd.kinds[from->kind].both;
    way.to.selection = &search->crowd.kinds[to->kind].both;
    pieces_find(NULL, &way, NULL, &pieces);
    for (size_t i = 0; i < pieces.n; i++) {
        const struct piece *piece = &pieces.v[i];

        if (is_range(piece) && piece->port.last == 0) /* port 0 by itself is nobody's */
            continue;
        *ARRAY_ADD(tried, n) = try_piece(&search->crowd, from, to, families, piece);
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

static const struct outcome *outcome_of(struct search *search, const struct class *from,
                                        const struct class *to)
{
    struct bytes *pair = &search->pair;
    size_t number;

    pair->n = 0;
    bytes_add(pair, &from->kind, sizeof(from->kind));
    bytes_add(pair, &to->kind, sizeof(to->kind));
    for (size_t i = 0; i < search->crowd.n_values; i++)
        bytes_add(pair, from->values[i] && from->values[i] == to->values[i] ? "1" : "0", 1);
    number = intern(&search->known_pairs, pair->v, pair->n);
    if (number == search->n_outcomes) {
        struct outcome outcome = decide(search, from, to, pair_families(&search->crowd, from, to));

        *ARRAY_ADD(search->outcomes, search->n_outcomes) = outcome;
    }
    return &search->outcomes[number];
}

static void add_pair(struct search *search, size_t from, size_t to)
{
    const struct class *source = &search->crowd.classes[from], *destination = &search->crowd.classes[to];
    const struct outcome *outcome;
    bool blocked;

    if (!search->crowd.kinds[source->kind].differs[EGRESS] &&
        !search->crowd.kinds[destination->kind].differs[INGRESS])
        return;
    if ((!source->n_residents && !destination->n_residents) ||
        !pair_families(&search->crowd, source, destination))
        return;
    outcome = outcome_of(search, source, destination);
    blocked = outcome->n && way_of(source, destination, SET_NEW, IP4).docker_blocks;
    for (size_t i = 0; i < outcome->n; i++) {
        size_t theme = blocked ? blocked_theme(search, outcome->themes[i]) : outcome->themes[i];

        *ARRAY_ADD(search->cells, search->n_cells) =
            (struct cell){(uint32_t)theme, (uint32_t)from, (uint32_t)to};
    }
}

/* ---- lines -------------------------------------------------------------------------------------------- */

struct numbers {
    uint32_t *v;
    size_t n;
};

/* The container that all endpoints of the class belong to; NULL: there is no such one. */
static const struct container *only_container(const struct crowd *crowd, const struct class *class)
{
    const struct container *first, *last;

    if (!class->n_residents)
        return NULL;
    first = crowd->residents[class->residents[0]].container;
    last = crowd->residents[class->residents[class->n_residents - 1]].container;
    return first == last ? first : NULL; /* endpoints of one container stand together */
}

/* Can there be any connection from one of these to one of those? */
static bool can_meet(const struct crowd *crowd, const struct class *from, const struct class *to)
{
    const struct container *only = only_container(crowd, from);

    return crowd->kinds[from->kind].families & crowd->kinds[to->kind].families &&
           !(only && only == only_container(crowd, to));
}

/* Leaves out who has no pair with any of the others. */
static void trim(const struct crowd *crowd, struct numbers *list, const struct numbers *others,
                 bool are_sources)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->n; i++) {
        const struct class *one = &crowd->classes[list->v[i]];
        bool any = false;

        for (size_t j = 0; j < others->n && !any; j++) {
            const struct class *other = &crowd->classes[others->v[j]];

            any = are_sources ? can_meet(crowd, one, other) : can_meet(crowd, other, one);
        }
        if (any)
            list->v[kept++] = list->v[i];
    }
    list->n = kept;
}

static unsigned families_of(const struct crowd *crowd, const struct numbers *list)
{
    unsigned families = 0;

    for (size_t i = 0; i < list->n; i++)
        families |= crowd->kinds[crowd->classes[list->v[i]].kind].families;
    return families;
}

static int compare_positions(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return (x > y) - (x < y);
}

static void add_stranger(const struct class *class, struct change_party *ret)
{
    const struct party *party = &class->party[SET_NEW];

    if (party->kind == PARTY_HOST && party->has_ip)
        *ARRAY_ADD(ret->host_addresses, ret->n_host_addresses) = party->ip;
    else if (party->kind == PARTY_HOST)
        ret->host = true;
    for (size_t i = 0; i < class->outside.n; i++)
        ip_ranges_add(&ret->outside[party->ip.family], class->outside.v[i]);
}

static bool has_address(const struct change_party *party, struct ip ip)
{
    for (size_t i = 0; i < party->n_host_addresses; i++)
        if (ip_equal(party->host_addresses[i], ip))
            return true;
    return false;
}

/* Beside the host as such, its addresses in these families that are classes of their own count when they are missing. */
static void settle_host(const struct crowd *crowd, unsigned families, struct change_party *party)
{
    struct ip *missing = NULL;
    size_t n = 0;

    for (size_t i = 0; party->host && i < crowd->n_classes; i++) {
        const struct party *one = &crowd->classes[i].party[SET_NEW];

        if (one->kind == PARTY_HOST && one->has_ip && families & 1u << one->ip.family &&
            !has_address(party, one->ip))
            *ARRAY_ADD(missing, n) = one->ip;
    }
    if (!party->host)
        return;
    free(party->host_addresses);
    party->host_addresses = missing;
    party->n_host_addresses = n;
}

static void fill_party(struct namer *namer, const struct crowd *crowd, const struct numbers *list,
                       unsigned families, struct change_party *ret)
{
    _cleanup_free_ size_t *positions = NULL;
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        const struct class *class = &crowd->classes[list->v[i]];

        for (size_t r = 0; r < class->n_residents; r++)
            *ARRAY_ADD(positions, n) = class->residents[r];
        add_stranger(class, ret);
    }
    settle_host(crowd, families, ret);
    if (n)
        qsort(positions, n, sizeof(*positions), compare_positions);
    for (size_t i = 0; i < n; i++) {
        const struct resident *resident = &crowd->residents[positions[i]];

        *ARRAY_ADD(ret->members, ret->n_members) =
            (struct change_member){resident->container, resident->endpoint, resident->network};
    }
    name_party(namer, positions, families, ret);
}

static size_t count_strangers(const struct change_party *party)
{
    return (party->host || party->n_host_addresses) + (party->outside[IP4].n || party->outside[IP6].n);
}

/* Strangers have nothing to do with each other, and a container not with itself. */
static size_t count_pairs(const struct change_party *from, const struct change_party *to)
{
    size_t n = from->n_members * count_strangers(to) + count_strangers(from) * to->n_members;

    for (size_t i = 0; i < from->n_members; i++)
        for (size_t j = 0; j < to->n_members; j++)
            n += from->members[i].container != to->members[j].container;
    return n;
}

static void add_line(struct search *search, struct namer *namer, size_t number, struct numbers *from,
                     struct numbers *to)
{
    const struct crowd *crowd = &search->crowd;
    const struct theme *theme = &search->themes[number];
    struct change *line;

    trim(crowd, from, to, true);
    trim(crowd, to, from, false);
    if (!from->n || !to->n)
        return;
    line = ARRAY_ADD(search->changes->v, search->changes->n);
    *line = (struct change){.ports = copy_texts(theme->ports, theme->n_ports),
                            .n_ports = theme->n_ports,
                            .all_ports = theme->all_ports,
                            .one_family = theme->one_family,
                            .family = theme->family,
                            .verdict = theme->fate.verdict,
                            .docker_blocks = theme->docker_blocks};
    memcpy(line->causes, theme->fate.causes, sizeof(line->causes));
    fill_party(namer, crowd, from, families_of(crowd, to), &line->from);
    fill_party(namer, crowd, to, families_of(crowd, from), &line->to);
    line->n_pairs = count_pairs(&line->from, &line->to);
}

/* By theme; those of one theme stay in their order, which is by source and destination. */
static void sort_cells(struct search *search)
{
    _cleanup_free_ size_t *next = xcalloc(search->n_themes + 1, sizeof(*next));
    struct cell *sorted = xcalloc(search->n_cells, sizeof(*sorted));

    for (size_t i = 0; i < search->n_cells; i++)
        next[search->cells[i].theme + 1]++;
    for (size_t i = 1; i <= search->n_themes; i++)
        next[i] += next[i - 1];
    for (size_t i = 0; i < search->n_cells; i++)
        sorted[next[search->cells[i].theme]++] = search->cells[i];
    free(search->cells);
    search->cells = sorted;
}

/* Sources that have the same destinations. */
struct block {
    size_t theme;
    struct numbers from, to;
};

static struct block *find_blocks(struct search *search, size_t *ret_n)
{
    struct interned *known = NULL;
    struct block *blocks = NULL;
    size_t n = 0;

    for (size_t i = 0, next; i < search->n_cells; i = next) {
        const struct cell *first = &search->cells[i];
        _cleanup_(bytes_clear) struct bytes bytes = {};
        struct numbers to = {};
        size_t number;

        for (next = i; next < search->n_cells && search->cells[next].theme == first->theme &&
                       search->cells[next].from == first->from;
             next++)
            *ARRAY_ADD(to.v, to.n) = search->cells[next].to;
        bytes_add(&bytes, &first->theme, sizeof(first->theme));
        bytes_add(&bytes, to.v, to.n * sizeof(*to.v));
        number = intern(&known, bytes.v, bytes.n);
        if (number == n)
            *ARRAY_ADD(blocks, n) = (struct block){.theme = first->theme, .to = to};
        else
            free(to.v);
        *ARRAY_ADD(blocks[number].from.v, blocks[number].from.n) = first->from;
    }
    intern_clear(&known);
    *ret_n = n;
    return blocks;
}

static int compare_names(const struct change_party *a, const struct change_party *b)
{
    for (size_t i = 0; i < a->n_names && i < b->n_names; i++) {
        int r = strcmp(a->names[i], b->names[i]);

        if (r)
            return r;
    }
    return (a->n_names > b->n_names) - (a->n_names < b->n_names);
}

static int compare_lines(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    int r = x->docker_blocks - y->docker_blocks ?: compare_names(&x->from, &y->from);

    r = r ?: compare_names(&x->to, &y->to);
    for (size_t i = 0; !r && i < x->n_ports && i < y->n_ports; i++)
        r = strcmp(x->ports[i], y->ports[i]);
    return r ?: (int)x->verdict - (int)y->verdict;
}

static void draw_lines(struct search *search)
{
    struct namer *namer = namer_new(&search->crowd);
    struct block *blocks;
    size_t n;

    sort_cells(search);
    blocks = find_blocks(search, &n);
    for (size_t i = 0; i < n; i++) {
        add_line(search, namer, blocks[i].theme, &blocks[i].from, &blocks[i].to);
        free(blocks[i].from.v);
        free(blocks[i].to.v);
    }
    free(blocks);
    if (search->changes->n)
        qsort(search->changes->v, search->changes->n, sizeof(*search->changes->v), compare_lines);
    namer_free(namer);
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

static void search_clear(struct search *search)
{
    for (size_t i = 0; i < search->n_themes; i++)
        theme_clear(&search->themes[i]);
    for (size_t i = 0; i < search->n_outcomes; i++)
        free(search->outcomes[i].themes);
    free(search->themes);
    free(search->outcomes);
    free(search->cells);
    intern_clear(&search->known_themes);
    intern_clear(&search->known_pairs);
    bytes_clear(&search->pair);
    crowd_clear(&search->crowd);
}

struct changes *changes_find(const struct evaluation *before, const struct evaluation *after)
{
    struct search search = {.changes = xnew(struct changes)};

    crowd_init(&search.crowd, before, after);
    for (size_t from = 0; from < search.crowd.n_classes; from++)
        for (size_t to = 0; to < search.crowd.n_classes; to++)
            add_pair(&search, from, to);
    draw_lines(&search);
    search_clear(&search);
    return search.changes;
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
    free(changes);
    return NULL;
}
