/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A line is a set of sources and a set of destinations, all pairs of which change in the same way: those sources that
 * have the same destinations. Pairs that cannot be (a class of one container and itself, an IPv4 address and a container
 * without IPv4) have been decided as if they could, or they would tear lines apart; what is on a line only because of
 * these is taken off it here.
 */
#include "change_lines.h"

#include <string.h>

#include "change_names.h"
#include "intern.h"

char **copy_texts(char *const *texts, size_t n)
{
    char **copy = xcalloc(n, sizeof(*copy));

    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(texts[i]);
    return copy;
}

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

/* Sources that have the same destinations. */
struct block {
    size_t theme;
    struct numbers from, to;
};

static void add_line(const struct crowd *crowd, struct namer *namer, const struct theme *theme,
                     struct block *block, struct changes *changes)
{
    struct numbers *from = &block->from, *to = &block->to;
    struct change *line;

    trim(crowd, from, to, true);
    trim(crowd, to, from, false);
    if (!from->n || !to->n)
        return;
    line = ARRAY_ADD(changes->v, changes->n);
    *line = (struct change){.theme = block->theme,
                            .ports = copy_texts(theme->ports, theme->n_ports),
                            .n_ports = theme->n_ports,
                            .all_ports = theme->all_ports,
                            .one_family = theme->one_family,
                            .family = theme->family,
                            .old_verdict = theme->fate.old,
                            .verdict = theme->fate.verdict,
                            .docker_blocks = theme->docker_blocks};
    memcpy(line->causes, theme->fate.causes, sizeof(line->causes));
    fill_party(namer, crowd, from, families_of(crowd, to), &line->from);
    fill_party(namer, crowd, to, families_of(crowd, from), &line->to);
    line->n_pairs = count_pairs(&line->from, &line->to);
}

/* By theme; those of one theme stay in their order. */
static void sort_cells(struct cells *cells, size_t n_themes)
{
    _cleanup_free_ size_t *next = xcalloc(n_themes + 1, sizeof(*next));
    struct cell *sorted = xcalloc(cells->n, sizeof(*sorted));

    for (size_t i = 0; i < cells->n; i++)
        next[cells->v[i].theme + 1]++;
    for (size_t i = 1; i <= n_themes; i++)
        next[i] += next[i - 1];
    for (size_t i = 0; i < cells->n; i++)
        sorted[next[cells->v[i].theme]++] = cells->v[i];
    free(cells->v);
    cells->v = sorted;
}

/* Takes the destinations of one source, beginning with cell i; returns the cell after them. */
static size_t take_row(const struct cells *cells, size_t i, struct numbers *ret)
{
    const struct cell *first = &cells->v[i];

    for (; i < cells->n && cells->v[i].theme == first->theme && cells->v[i].from == first->from; i++)
        *ARRAY_ADD(ret->v, ret->n) = cells->v[i].to;
    return i;
}

static struct block *find_blocks(const struct cells *cells, size_t *ret_n)
{
    struct interned *known = NULL;
    struct block *blocks = NULL;
    size_t n = 0;

    for (size_t i = 0, next; i < cells->n; i = next) {
        const struct cell *first = &cells->v[i];
        _cleanup_(bytes_clear) struct bytes bytes = {};
        struct numbers to = {};
        size_t number;

        next = take_row(cells, i, &to);
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
    return r ?: (x->theme > y->theme) - (x->theme < y->theme);
}

void draw_lines(const struct crowd *crowd, const struct theme *themes, size_t n_themes, struct cells *cells,
                struct changes *ret)
{
    struct namer *namer = namer_new(crowd);
    struct block *blocks;
    size_t n;

    sort_cells(cells, n_themes);
    blocks = find_blocks(cells, &n);
    for (size_t i = 0; i < n; i++) {
        add_line(crowd, namer, &themes[blocks[i].theme], &blocks[i], ret);
        free(blocks[i].from.v);
        free(blocks[i].to.v);
    }
    free(blocks);
    if (ret->n)
        qsort(ret->v, ret->n, sizeof(*ret->v), compare_lines);
    namer_free(namer);
}
