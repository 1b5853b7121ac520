/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "change_names.h"

#include <string.h>

#include "intern.h"

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"

/* What is better said comes first. */
enum level {
    LEVEL_ALL,
    LEVEL_NETWORK,
    LEVEL_PROJECT,
    LEVEL_PROJECT_ON_NETWORK,
    LEVEL_SERVICE,
    LEVEL_SERVICE_ON_NETWORK,
    LEVEL_NEW_POLICY, /* to these each endpoint can belong more than once */
    LEVEL_OLD_POLICY,
    LEVELS
};

struct group {
    char *name;
    enum level level;
    size_t n_residents, n_containers;
    const struct container *last; /* counted in n_containers */
};

struct namer {
    const struct crowd *crowd;
    struct interned *known;
    struct group *groups;
    size_t n_groups;
    struct numbers *of; /* each resident: its groups */
    size_t *siblings;   /* of each resident: endpoints of its container, itself included */
    size_t *found;      /* of each group: of its residents, those in the set that is being named */
    struct ip_ranges outside[IP_FAMILIES], internet[IP_FAMILIES];
};

/* ---- groups ------------------------------------------------------------------------------------------- */

/* Takes the name. */
static void join(struct namer *namer, size_t resident, enum level level, char *name)
{
    const struct container *container = namer->crowd->residents[resident].container;
    _cleanup_free_ char *key = xasprintf("%d %s", level, name);
    struct group *group;
    size_t number;

    number = intern(&namer->known, key, strlen(key));
    if (number == namer->n_groups)
        *ARRAY_ADD(namer->groups, namer->n_groups) = (struct group){.name = name, .level = level};
    else
        free(name);
    group = &namer->groups[number];
    group->n_residents++;
    group->n_containers += group->last != container;
    group->last = container;
    *ARRAY_ADD(namer->of[resident].v, namer->of[resident].n) = number;
}

static const char *network_name(const struct network *network)
{
    return network->name ?: network->id;
}

static void join_compose(struct namer *namer, size_t i)
{
    const struct resident *resident = &namer->crowd->residents[i];
    const char *project = container_label(resident->container, COMPOSE_PROJECT);
    const char *service = container_label(resident->container, COMPOSE_SERVICE);
    const char *network = network_name(resident->network);

    if (!project)
        return;
    join(namer, i, LEVEL_PROJECT, xasprintf("compose %s/*", project));
    join(namer, i, LEVEL_PROJECT_ON_NETWORK, xasprintf("compose %s/* on %s", project, network));
    if (!service)
        return;
    join(namer, i, LEVEL_SERVICE, xasprintf("compose %s/%s", project, service));
    join(namer, i, LEVEL_SERVICE_ON_NETWORK, xasprintf("compose %s/%s on %s", project, service, network));
}

static void join_policies(struct namer *namer, size_t i, enum which_set s)
{
    const struct selection *selection = namer->crowd->residents[i].selection[s];

    for (size_t p = 0; p < selection->n; p++)
        join(namer, i, s == SET_NEW ? LEVEL_NEW_POLICY : LEVEL_OLD_POLICY,
             xasprintf(s == SET_NEW ? "selected by %s" : "formerly selected by %s", selection->v[p]->name));
}

static void count_siblings(struct namer *namer)
{
    const struct resident *residents = namer->crowd->residents;

    for (size_t i = 0, next; i < namer->crowd->n_residents; i = next) {
        for (next = i;
             next < namer->crowd->n_residents && residents[next].container == residents[i].container;)
            next++;
        for (size_t j = i; j < next; j++)
            namer->siblings[j] = next - i;
    }
}

struct namer *namer_new(const struct crowd *crowd)
{
    struct namer *namer = xnew(struct namer);

    namer->crowd = crowd;
    namer->of = xcalloc(crowd->n_residents, sizeof(*namer->of));
    namer->siblings = xcalloc(crowd->n_residents, sizeof(*namer->siblings));
    count_siblings(namer);
    for (size_t i = 0; i < crowd->n_residents; i++) {
        join(namer, i, LEVEL_ALL, xstrdup("containers"));
        join(namer, i, LEVEL_NETWORK, xasprintf("network %s", network_name(crowd->residents[i].network)));
        join_compose(namer, i);
        join_policies(namer, i, SET_NEW);
        join_policies(namer, i, SET_OLD);
    }
    namer->found = xcalloc(namer->n_groups, sizeof(*namer->found));
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        const struct roll *roll = &crowd->rolls[SET_NEW];

        namer->outside[family] = peer_outside(roll, &(struct peer){.kind = PEER_OUTSIDE}, family);
        namer->internet[family] = peer_outside(roll, &(struct peer){.kind = PEER_INTERNET}, family);
    }
    return namer;
}

struct namer *namer_free(struct namer *namer)
{
    for (size_t i = 0; i < namer->n_groups; i++)
        free(namer->groups[i].name);
    for (size_t i = 0; i < namer->crowd->n_residents; i++)
        free(namer->of[i].v);
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        ip_ranges_clear(&namer->outside[family]);
        ip_ranges_clear(&namer->internet[family]);
    }
    intern_clear(&namer->known);
    free(namer->groups);
    free(namer->of);
    free(namer->siblings);
    free(namer->found);
    free(namer);
    return NULL;
}

/* ---- containers --------------------------------------------------------------------------------------- */

static void add_name(struct change_party *party, char *name)
{
    *ARRAY_ADD(party->names, party->n_names) = name;
}

/* All of the group, and at least two containers, are in the set. */
static bool is_whole(const struct namer *namer, size_t group)
{
    return namer->found[group] == namer->groups[group].n_residents && namer->groups[group].n_containers > 1;
}

static bool belongs(const struct namer *namer, size_t resident, size_t group)
{
    for (size_t i = 0; i < namer->of[resident].n; i++)
        if (namer->of[resident].v[i] == group)
            return true;
    return false;
}

/* Names the group, unless only one of its endpoints has no name yet: that is better named by itself. */
static void name_group(struct namer *namer, size_t number, const size_t *residents, size_t n, bool *named,
                       struct change_party *party)
{
    const struct group *group = &namer->groups[number];
    size_t n_unnamed = 0;

    for (size_t i = 0; i < n; i++)
        n_unnamed += !named[i] && belongs(namer, residents[i], number);
    if (n_unnamed < 2)
        return;
    for (size_t i = 0; i < n; i++)
        named[i] = named[i] || belongs(namer, residents[i], number);
    add_name(party, xasprintf("%s (%zu)", group->name, group->n_containers));
}

static void name_level(struct namer *namer, enum level level, const size_t *residents, size_t n, bool *named,
                       struct change_party *party)
{
    for (size_t i = 0; i < n; i++) {
        const struct numbers *of = &namer->of[residents[i]];

        for (size_t j = 0; j < of->n && !named[i]; j++)
            if (namer->groups[of->v[j]].level == level && is_whole(namer, of->v[j]))
                name_group(namer, of->v[j], residents, n, named, party);
    }
}

/* By itself; with the network where it is on others that are not meant. */
static void name_one(const struct namer *namer, const size_t *residents, size_t n, size_t i,
                     struct change_party *party)
{
    const struct resident *resident = &namer->crowd->residents[residents[i]];
    const char *name = resident->container->name ?: resident->container->id;
    size_t together = 0;

    for (size_t j = 0; j < n; j++)
        together += namer->crowd->residents[residents[j]].container == resident->container;
    if (together < namer->siblings[residents[i]])
        add_name(party, xasprintf("%s on %s", name, network_name(resident->network)));
    else if (i == 0 || namer->crowd->residents[residents[i - 1]].container != resident->container)
        add_name(party, xstrdup(name));
}

static void name_containers(struct namer *namer, const size_t *residents, struct change_party *party)
{
    size_t n = party->n_members;
    _cleanup_free_ bool *named = xcalloc(n, sizeof(*named));

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < namer->of[residents[i]].n; j++)
            namer->found[namer->of[residents[i]].v[j]]++;
    for (enum level level = LEVEL_ALL; level < LEVELS; level++)
        name_level(namer, level, residents, n, named, party);
    for (size_t i = 0; i < n; i++)
        if (!named[i])
            name_one(namer, residents, n, i, party);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < namer->of[residents[i]].n; j++)
            namer->found[namer->of[residents[i]].v[j]] = 0;
}

/* ---- host and outside --------------------------------------------------------------------------------- */

static void name_host(struct change_party *party)
{
    char *name = party->host ? xstrdup("host") : NULL;
    char text[IP_TEXT_MAX];

    for (size_t i = 0; i < party->n_host_addresses; i++) {
        char *shorter = name;

        ip_format(party->host_addresses[i], text);
        if (party->host)
            name = xasprintf("%s%s%s", shorter, i ? " and " : " except at ", text);
        else
            add_name(party, xasprintf("host at %s", text));
        if (party->host)
            free(shorter);
    }
    if (name)
        add_name(party, name);
}

static bool contains_all(const struct ip_ranges *set, const struct ip_ranges *part)
{
    struct ip_ranges missing = ip_ranges_copy(part);
    bool none;

    ip_ranges_subtract(&missing, set);
    none = missing.n == 0;
    ip_ranges_clear(&missing);
    return none;
}

/* Says the word and takes what it means away from rest, if that holds it in all of these families. */
static bool name_word(struct ip_ranges *rest, const struct ip_ranges *meant, unsigned families,
                      const char *word, struct change_party *party)
{
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        if (families & 1u << family && (!meant[family].n || !contains_all(&rest[family], &meant[family])))
            return false;
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        if (families & 1u << family)
            ip_ranges_subtract(&rest[family], &meant[family]);
    add_name(party, xstrdup(word));
    return true;
}

/* A single address may be a container's, on a network that is not managed. */
static char *block_name(const struct inventory *inventory, enum ip_family family, struct ip_range range)
{
    _cleanup_free_ char *text = ip_range_text(family, range);
    const struct endpoint *endpoint;
    const struct container *owner;

    if (range.first != range.last ||
        !inventory_owner(inventory, (struct ip){range.first, family}, &owner, &endpoint))
        return STEAL(text);
    return xasprintf("%s (%s)", owner->name ?: owner->id, text);
}

/* "internet except 192.0.2.1 and 198.51.100.0/24" */
static char *exception_text(const char *word, enum ip_family family, const struct ip_ranges *missing)
{
    char *text = xstrdup(word);

    for (size_t i = 0; i < missing->n; i++) {
        _cleanup_free_ char *shorter = text, *range = ip_range_text(family, missing->v[i]);

        text = xasprintf("%s%s%s", shorter, i ? " and " : " except ", range);
    }
    return text;
}

/* The same for all but a few ranges of what the word means, where that says it in fewer ranges. */
static bool name_most(struct ip_ranges *rest, const struct ip_ranges *meant, enum ip_family family,
                      const char *word, struct change_party *party)
{
    struct ip_ranges missing = ip_ranges_copy(&meant[family]), beyond = ip_ranges_copy(&rest[family]);
    bool shorter;

    ip_ranges_subtract(&missing, &rest[family]);
    ip_ranges_subtract(&beyond, &meant[family]);
    shorter = missing.n + beyond.n + 1 < rest[family].n;
    if (shorter) {
        add_name(party, exception_text(word, family, &missing));
        ip_ranges_subtract(&rest[family], &meant[family]);
    }
    ip_ranges_clear(&missing);
    ip_ranges_clear(&beyond);
    return shorter;
}

/* Just what is outside and not of the internet? */
static bool name_local(struct ip_ranges *rest, const struct namer *namer, unsigned families, const char *word,
                       struct change_party *party)
{
    struct ip_ranges local[IP_FAMILIES];
    bool just = true;

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        local[family] = ip_ranges_copy(&namer->outside[family]);
        ip_ranges_subtract(&local[family], &namer->internet[family]);
        just = just && (!(families & 1u << family) || contains_all(&local[family], &rest[family]));
    }
    just = just && name_word(rest, local, families, word, party);
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        ip_ranges_clear(&local[family]);
    return just;
}

static void name_outside(const struct namer *namer, struct change_party *party, unsigned families)
{
    static const char *const words[][3] = {
        {"outside (IPv4)", "internet (IPv4)", "outside except internet (IPv4)"},
        {"outside (IPv6)", "internet (IPv6)", "outside except internet (IPv6)"}};
    struct ip_ranges rest[IP_FAMILIES];

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        rest[family] = ip_ranges_copy(&party->outside[family]);
    if (!name_word(rest, namer->outside, families, "outside", party) &&
        !name_word(rest, namer->internet, families, "internet", party) &&
        !name_local(rest, namer, families, "outside except internet", party))
        for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
            if (!name_word(rest, namer->outside, 1u << family, words[family][0], party) &&
                !name_word(rest, namer->internet, 1u << family, words[family][1], party))
                (void)name_local(rest, namer, 1u << family, words[family][2], party);
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        bool alone = families == 1u << family;

        if (!name_most(rest, namer->internet, family, alone ? "internet" : words[family][1], party))
            (void)name_most(rest, namer->outside, family, alone ? "outside" : words[family][0], party);
        for (size_t i = 0; i < rest[family].n; i++)
            add_name(party, block_name(namer->crowd->with[SET_NEW].inventory, family, rest[family].v[i]));
        ip_ranges_clear(&rest[family]);
    }
}

void name_party(struct namer *namer, const size_t *residents, unsigned families, struct change_party *party)
{
    name_containers(namer, residents, party);
    name_host(party);
    party->first_outside = party->n_names;
    if (party->outside[IP4].n || party->outside[IP6].n)
        name_outside(namer, party, families);
}
