/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "graph_crew.h"

#include <string.h>

#include "intern.h"
#include "verdict/lock.h"
#include "ways.h"

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"

/* ---- who is there ------------------------------------------------------------------------------------- */

/* A container's name has no slash, so it is never mistaken for a service. */
static char *group_name(const struct container *container)
{
    const char *project = container_label(container, COMPOSE_PROJECT);
    const char *service = container_label(container, COMPOSE_SERVICE);

    if (project && service)
        return xasprintf("%s/%s", project, service);
    return xstrdup(container->name ?: container->id);
}

static char *note_of(const struct evaluation *with, const struct container *container)
{
    _cleanup_free_ char *reason = container_unenforced_reason(with->inventory, container);
    const struct container *owner = container_network_owner(with->inventory, container);
    struct lock_effect effect;

    if (reason)
        return xasprintf("not enforced: %s", reason);
    if (owner && owner != container)
        return xasprintf("has the network of %s, and may do what that one may", owner->name ?: owner->id);
    effect = lock_effect(with->locks, with->inventory, container);
    return effect.first ? lock_effect_text(&effect) : NULL;
}

static int compare_members(const void *a, const void *b)
{
    const struct container *x = ((const struct crew_member *)a)->container;
    const struct container *y = ((const struct crew_member *)b)->container;

    return strcmp(x->name ?: "", y->name ?: "") ?: strcmp(x->id, y->id);
}

static void find_members(struct crew *crew, const struct evaluation *with)
{
    for (const struct container *c = with->inventory->containers; c; c = c->hh.next)
        if (c->running)
            *ARRAY_ADD(crew->v, crew->n) = (struct crew_member){c, note_of(with, c), 0};
    if (crew->n)
        qsort(crew->v, crew->n, sizeof(*crew->v), compare_members);
}

static void find_groups(struct crew *crew)
{
    struct interned *known = NULL;

    for (size_t i = 0; i < crew->n; i++) {
        char *name = group_name(crew->v[i].container);
        size_t group = intern(&known, name, strlen(name));

        crew->v[i].group = group;
        if (group == crew->n_groups)
            *ARRAY_ADD(crew->groups, crew->n_groups) = (struct crew_group){.name = name, .node = group};
        else
            free(name);
    }
    crew->n_nodes = crew->n_groups;
    intern_clear(&known);
}

/* ---- who is alike ------------------------------------------------------------------------------------- */

/* Whatever a graph says of a container, put together to a text of bytes. */
struct traits {
    const struct container *container;
    size_t member;
    struct bytes bytes;
};

static int compare_traits(const void *a, const void *b)
{
    const struct traits *x = a, *y = b;

    return (x->container > y->container) - (x->container < y->container);
}

/* Of all networks: Docker lets those talk who share one, managed or not. */
static struct traits traits_begin(const struct crew *crew, size_t member)
{
    const struct container *container = crew->v[member].container;
    struct traits traits = {.container = container, .member = member};

    bytes_add(&traits.bytes, crew->v[member].note ?: "", strlen(crew->v[member].note ?: "") + 1);
    for (size_t i = 0; i < container->n_endpoints; i++)
        if (container->endpoints[i].id)
            bytes_add(&traits.bytes, container->endpoints[i].network_id,
                      strlen(container->endpoints[i].network_id) + 1);
    bytes_add(&traits.bytes, "", 1);
    return traits;
}

static void add_party(struct traits *traits, size_t n, const struct change_party *party, size_t line,
                      char side)
{
    for (size_t i = 0; i < party->n_members; i++) {
        const struct change_member *member = &party->members[i];
        const struct traits key = {.container = member->container};
        struct traits *one = bsearch(&key, traits, n, sizeof(key), compare_traits);
        const char kind[] = {side, member->endpoint->has_ip[IP4], member->endpoint->has_ip[IP6]};

        bytes_add(&one->bytes, &line, sizeof(line));
        bytes_add(&one->bytes, &member->network, sizeof(member->network));
        bytes_add(&one->bytes, kind, sizeof(kind));
    }
}

static struct traits *find_traits(const struct crew *crew, const struct changes *lines)
{
    struct traits *traits = xcalloc(crew->n, sizeof(*traits));

    for (size_t i = 0; i < crew->n; i++)
        traits[i] = traits_begin(crew, i);
    qsort(traits, crew->n, sizeof(*traits), compare_traits);
    for (size_t i = 0; i < lines->n; i++) {
        add_party(traits, crew->n, &lines->v[i].from, i, 'f');
        add_party(traits, crew->n, &lines->v[i].to, i, 't');
    }
    return traits;
}

/* For each group a number: groups of the same number are one node. One whose members differ stays by itself. */
static void join_groups(struct crew *crew, const struct changes *lines)
{
    struct traits *traits = find_traits(crew, lines);
    _cleanup_free_ size_t *trait = xcalloc(crew->n_groups, sizeof(*trait));
    _cleanup_free_ bool *mixed = xcalloc(crew->n_groups, sizeof(*mixed));
    _cleanup_free_ bool *seen = xcalloc(crew->n_groups, sizeof(*seen));
    struct interned *known = NULL, *nodes = NULL;

    for (size_t i = 0; i < crew->n; i++) {
        size_t group = crew->v[traits[i].member].group;
        size_t number = intern(&known, traits[i].bytes.v, traits[i].bytes.n);

        mixed[group] = mixed[group] || (seen[group] && trait[group] != number);
        trait[group] = number;
        seen[group] = true;
        bytes_clear(&traits[i].bytes);
    }
    for (size_t g = 0; g < crew->n_groups; g++) {
        const size_t key[] = {mixed[g], mixed[g] ? g : trait[g]};

        crew->groups[g].node = intern(&nodes, key, sizeof(key));
    }
    crew->n_nodes = intern_count(nodes);
    intern_clear(&known);
    intern_clear(&nodes);
    free(traits);
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

void crew_init(struct crew *crew, const struct evaluation *with, const struct changes *lines, size_t nodes)
{
    *crew = (struct crew){};
    find_members(crew, with);
    find_groups(crew);
    if (crew->n_groups > nodes)
        join_groups(crew, lines);
}

void crew_clear(struct crew *crew)
{
    for (size_t i = 0; i < crew->n; i++)
        free(crew->v[i].note);
    for (size_t i = 0; i < crew->n_groups; i++)
        free(crew->groups[i].name);
    free(crew->v);
    free(crew->groups);
}
