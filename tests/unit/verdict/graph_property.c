/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * On random worlds: the edges of the graph are exactly the connections that the evaluator allows, when every pair of
 * containers, host and addresses is tried on many ports; and on random pairs of policy sets, what is marked as added,
 * removed and the same is exactly what the evaluator, asked twice, says. Joining those who are alike loses nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "policy/parse.h"
#include "verdict/graph.h"
#include "world.h"

#define WORLDS 150

/* On both sides of bounds that the worlds' policies have; none a container's, the host's or nobody's. */
static const char *const outside[] = {
    "8.8.8.7",   "8.8.8.8",      "8.8.8.9",   "9.255.255.255",   "10.20.0.0", "10.20.99.255",
    "10.21.0.0", "11.0.0.0",     "192.0.2.2", "169.254.169.254", "1.0.0.0",   "29ff::1",
    "2a00::",    "2a00:ffff::1", "2a01::",    "fd00:9::1",       "ff02::1",
};

struct trial {
    unsigned number;
    struct evaluation before, with;
    const struct graph *graph;
    enum graph_change change; /* that is looked for */
    size_t n_allowed;
};

/* ---- what the evaluator says -------------------------------------------------------------------------- */

/* Is it allowed, and does that change like this? */
static bool passes(const struct trial *trial, const struct party *from, const struct party *to,
                   const struct traffic *traffic)
{
    bool now = evaluate(&trial->with, from, to, traffic).verdict == VERDICT_ALLOW, before = now;

    if (trial->graph->compares)
        before = evaluate(&trial->before, from, to, traffic).verdict == VERDICT_ALLOW;
    return now == (trial->change != GRAPH_REMOVED) && before == (trial->change != GRAPH_ADDED);
}

static struct party party_at(const struct container *container, size_t endpoint)
{
    return (struct party){
        .kind = PARTY_ENDPOINT, .container = container, .endpoint = &container->endpoints[endpoint]};
}

static bool share_network(const struct container *a, const struct container *b)
{
    for (size_t i = 0; i < a->n_endpoints; i++)
        for (size_t j = 0; j < b->n_endpoints; j++)
            if (strcmp(a->endpoints[i].network_id, b->endpoints[j].network_id) == 0)
                return true;
    return false;
}

/* On some network that both share; blocked: they share none, and the policies allow it all the same. */
static bool containers_pass(const struct trial *trial, const struct container *a, const struct container *b,
                            const struct traffic *traffic, bool blocked)
{
    if (a == b || share_network(a, b) == blocked)
        return false;
    for (size_t i = 0; i < a->n_endpoints; i++)
        for (size_t j = 0; j < b->n_endpoints; j++) {
            struct party from = party_at(a, i), to = party_at(b, j);
            bool same = strcmp(from.endpoint->network_id, to.endpoint->network_id) == 0;

            if (same != blocked && from.endpoint->has_ip[traffic->family] &&
                to.endpoint->has_ip[traffic->family] && passes(trial, &from, &to, traffic))
                return true;
        }
    return false;
}

/* With the host or an address outside at the other end. */
static bool stranger_passes(const struct trial *trial, const struct container *container,
                            const struct party *stranger, const struct traffic *traffic, bool outwards)
{
    for (size_t i = 0; i < container->n_endpoints; i++) {
        struct party end = party_at(container, i);

        if (end.endpoint->has_ip[traffic->family] &&
            passes(trial, outwards ? &end : stranger, outwards ? stranger : &end, traffic))
            return true;
    }
    return false;
}

/* ---- what the graph says ------------------------------------------------------------------------------ */

static bool port_text_means(const char *text, const struct traffic *traffic)
{
    bool icmp = traffic->proto == IPPROTO_ICMP || traffic->proto == IPPROTO_ICMPV6;
    const char *why;
    struct port port;

    if (strcmp(text, "other protocols") == 0)
        return traffic->proto == 47;
    if (strcmp(text, "icmp except echo-request") ==
        0) /* of these worlds, only this one has a name in rules */
        return icmp && traffic->port != (traffic->proto == IPPROTO_ICMP ? 8 : 128);
    assert_int_equal(port_parse(text, &port, &why), 0);
    return port_matches(&port, traffic);
}

static bool grant_has(const struct graph_grant *grant, const struct traffic *traffic)
{
    if (grant->one_family && grant->family != traffic->family)
        return false;
    for (size_t i = 0; i < grant->n_ports; i++)
        if (port_text_means(grant->ports[i], traffic))
            return true;
    assert_false(grant->all_ports);
    return false;
}

/* The grants from one node to another that have this traffic; *ret_only: the only one, or NULL. */
static size_t count_grants(const struct trial *trial, size_t from, size_t to, const struct traffic *traffic,
                           bool blocked, const struct graph_grant **ret_only)
{
    const struct graph *graph = trial->graph;
    size_t n = 0;

    *ret_only = NULL;
    for (size_t e = 0; e < graph->n_edges; e++) {
        const struct graph_edge *edge = &graph->edges[e];

        for (size_t g = 0; edge->from == from && edge->to == to && g < edge->n_grants; g++)
            if (edge->grants[g].docker_blocks == blocked && edge->grants[g].change == trial->change &&
                grant_has(&edge->grants[g], traffic)) {
                *ret_only = n ? NULL : &edge->grants[g];
                n++;
            }
    }
    return n;
}

/* ---- trying everything -------------------------------------------------------------------------------- */

/* The same in the other family, which a grant of both is about as well. */
static struct traffic other_family(struct traffic traffic)
{
    traffic.family = traffic.family == IP4 ? IP6 : IP4;
    return traffic;
}

static bool is_icmp(const struct traffic *traffic)
{
    return traffic->proto == IPPROTO_ICMP || traffic->proto == IPPROTO_ICMPV6;
}

static void try_nodes(struct trial *trial, size_t from, size_t to, const struct traffic *traffic,
                      bool blocked)
{
    const struct graph_node *a = &trial->graph->nodes[from], *b = &trial->graph->nodes[to];
    const struct traffic other = other_family(*traffic);
    const struct graph_grant *only;
    size_t n = count_grants(trial, from, to, traffic, blocked, &only), n_pairs = 0, n_either = 0;

    for (size_t i = 0; i < a->n_members; i++)
        for (size_t j = 0; j < b->n_members; j++) {
            const struct container *source = a->members[i].container, *destination = b->members[j].container;
            bool allowed = containers_pass(trial, source, destination, traffic, blocked);

            n_pairs += allowed;
            n_either += allowed ||
                        (!is_icmp(traffic) && containers_pass(trial, source, destination, &other, blocked));
        }
    trial->n_allowed += n_pairs;
    if (n_pairs && !n)
        fail_msg("world %u, change %u: %s -> %s protocol %u port %u is not in the graph", trial->number,
                 trial->change, a->name, b->name, traffic->proto, traffic->port);
    if (n && !n_either && !is_icmp(traffic))
        fail_msg("world %u, change %u: %s -> %s protocol %u port %u is in the graph, and denied",
                 trial->number, trial->change, a->name, b->name, traffic->proto, traffic->port);
    if (only && !is_icmp(traffic))
        assert_int_equal(only->n_pairs, only->one_family ? n_pairs : n_either);
}

/* The host as such may have addresses that are nodes of their own. */
static bool node_has(const struct graph_node *node, const struct party *stranger)
{
    if (stranger->kind == PARTY_HOST)
        return node->kind == GRAPH_HOST &&
               (strcmp(node->name, "host") == 0 || strncmp(node->name, "host except at ", 15) == 0);
    return node->kind == GRAPH_OUTSIDE &&
           ip_ranges_contain(&node->outside[stranger->ip.family], stranger->ip.num);
}

/* Between the containers of a node and one stranger, whom several nodes may have. */
static void try_stranger(struct trial *trial, size_t group, const struct party *stranger,
                         const struct traffic *traffic, bool outwards)
{
    const struct graph_node *node = &trial->graph->nodes[group];
    const struct graph_grant *only;
    size_t n_grants = 0, n_allowed = 0;

    for (size_t i = 0; i < node->n_members; i++)
        n_allowed += stranger_passes(trial, node->members[i].container, stranger, traffic, outwards);
    for (size_t i = 0; i < trial->graph->n_nodes; i++)
        if (node_has(&trial->graph->nodes[i], stranger))
            n_grants +=
                count_grants(trial, outwards ? group : i, outwards ? i : group, traffic, false, &only);
    trial->n_allowed += n_allowed;
    if (n_allowed && !n_grants)
        fail_msg("world %u, change %u: %s %s a stranger, protocol %u port %u, is not in the graph",
                 trial->number, trial->change, node->name, outwards ? "to" : "from", traffic->proto,
                 traffic->port);
    /* A grant of both families may be that of a member, or an endpoint, that has IPv4 alone. */
    if (n_grants && !n_allowed && traffic->family == IP4)
        fail_msg("world %u, change %u: %s %s a stranger, protocol %u port %u, is in the graph, and denied",
                 trial->number, trial->change, node->name, outwards ? "to" : "from", traffic->proto,
                 traffic->port);
}

static void try_traffic(struct trial *trial, const struct traffic *traffic)
{
    const struct graph *graph = trial->graph;
    struct party stranger = {.kind = PARTY_HOST};

    for (size_t a = 0; a < graph->n_nodes; a++) {
        if (graph->nodes[a].kind != GRAPH_CONTAINERS)
            continue;
        for (size_t b = 0; b < graph->n_nodes; b++)
            for (int blocked = 0; blocked < 2 && graph->nodes[b].kind == GRAPH_CONTAINERS; blocked++)
                try_nodes(trial, a, b, traffic, blocked);
        stranger = (struct party){.kind = PARTY_HOST};
        try_stranger(trial, a, &stranger, traffic, true);
        try_stranger(trial, a, &stranger, traffic, false);
        for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
            stranger = (struct party){.kind = PARTY_OUTSIDE, .has_ip = true};
            assert_int_equal(ip_parse(outside[i], &stranger.ip), 0);
            for (int outwards = 0; outwards < 2 && stranger.ip.family == traffic->family; outwards++)
                try_stranger(trial, a, &stranger, traffic, outwards);
        }
    }
}

static void try_everything(struct trial *trial)
{
    static const unsigned ports[] = {1, 9, 10, 53, 54, 80, 443, 444, 65535};
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, 47};

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        uint8_t icmp = family == IP4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;

        for (size_t p = 0; p < ARRAY_SIZE(protocols); p++)
            for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
                try_traffic(trial, &(struct traffic){family, protocols[p], (uint16_t)ports[i]});
        try_traffic(trial, &(struct traffic){family, icmp, family == IP4 ? 8 : 128});
        try_traffic(trial, &(struct traffic){family, icmp, 13});
    }
}

static bool has_family(const struct graph_node *node, enum ip_family family)
{
    for (size_t i = 0; i < node->n_members; i++)
        for (size_t j = 0; j < node->members[i].container->n_endpoints; j++)
            if (node->members[i].container->endpoints[j].has_ip[family])
                return true;
    return node->kind == GRAPH_HOST || node->outside[family].n;
}

static bool share_family(const struct graph_node *a, const struct graph_node *b)
{
    return (has_family(a, IP4) && has_family(b, IP4)) || (has_family(a, IP6) && has_family(b, IP6));
}

/* Who is nobody's node, or an edge about nothing, would be drawn for nothing. */
static void check_shape(const struct graph *graph)
{
    for (size_t e = 0; e < graph->n_edges; e++) {
        const struct graph_edge *edge = &graph->edges[e];

        assert_true(edge->from < graph->n_nodes && edge->to < graph->n_nodes && edge->n_grants > 0);
        assert_true(share_family(&graph->nodes[edge->from], &graph->nodes[edge->to]));
        assert_true(graph->compares || graph_edge_change(edge) == GRAPH_SAME);
        for (size_t g = 0; g < edge->n_grants; g++)
            assert_true(edge->grants[g].n_ports && edge->grants[g].n_pairs &&
                        edge->grants[g].n_pairs <= edge->n_pairs);
    }
}

static void assert_same_terms(const struct graph_edge *a, const struct graph_edge *b)
{
    assert_int_equal(a->n_pairs, b->n_pairs);
    assert_int_equal(a->n_grants, b->n_grants);
    for (size_t g = 0; g < a->n_grants; g++) {
        const struct graph_grant *x = &a->grants[g], *y = &b->grants[g];

        assert_true(x->change == y->change && x->one_family == y->one_family && x->family == y->family &&
                    x->docker_blocks == y->docker_blocks && x->n_pairs == y->n_pairs &&
                    x->n_ports == y->n_ports);
        for (size_t i = 0; i < x->n_ports; i++)
            assert_string_equal(x->ports[i], y->ports[i]);
    }
}

/* Together the bundles are the edges, each once. */
static void check_bundles(const struct graph *graph)
{
    bool *seen = calloc(graph->n_edges + 1, sizeof(*seen));
    struct graph_bundles bundles;
    size_t n = 0;

    graph_bundle(graph, &bundles);
    for (size_t i = 0; i < bundles.n; i++)
        for (size_t f = 0; f < bundles.v[i].n_from; f++)
            for (size_t t = 0; t < bundles.v[i].n_to; t++)
                for (size_t e = 0; e < graph->n_edges; e++)
                    if (graph->edges[e].from == bundles.v[i].from[f] &&
                        graph->edges[e].to == bundles.v[i].to[t]) {
                        assert_false(seen[e]);
                        assert_same_terms(&graph->edges[e], bundles.v[i].edge);
                        seen[e] = true;
                        n++;
                    }
    assert_int_equal(n, graph->n_edges);
    graph_bundles_clear(&bundles);
    free(seen);
}

static size_t try_graph(struct trial *trial, struct graph *graph)
{
    size_t before = trial->n_allowed;

    trial->graph = graph;
    check_shape(graph);
    check_bundles(graph);
    for (trial->change = 0; trial->change < GRAPH_CHANGES; trial->change++)
        if (trial->change == GRAPH_SAME || (graph->compares && trial->change != GRAPH_MIXED))
            try_everything(trial);
    graph_free(graph);
    return trial->n_allowed - before;
}

static void edges_are_what_is_allowed(void **state)
{
    size_t n = 0;

    (void)state;
    for (unsigned seed = 1; seed <= WORLDS; seed++) {
        struct world world = world_make(seed);
        struct settings *settings = settings_new();
        struct trial trial = {.number = seed, .with = {world.policies, world.inventory, settings, NULL}};

        settings->default_mode = seed % 4 == 0 ? MODE_AUDIT : MODE_ENFORCE;
        n += try_graph(&trial, graph_make(NULL, &trial.with, GRAPH_NODES));
        settings_free(settings);
        world_clear(&world);
    }
    assert_true(n > WORLDS * 100);
}

static size_t count_groups(const struct graph *graph)
{
    size_t n = 0;

    for (size_t i = 0; i < graph->n_nodes; i++)
        n += graph->nodes[i].n_groups;
    return n;
}

/* They may be the same one. */
static void copy_traits(struct container *to, const struct container *from)
{
    char *name = xasprintf("%s%s", from->name, to->id), *image = xstrdup_null(from->image);

    for (size_t i = 0; i < to->n_labels; i++) {
        free(to->labels[i].key);
        free(to->labels[i].value);
    }
    to->n_labels = 0;
    to->labels_known = true;
    free(to->name);
    to->name = name;
    free(to->image);
    to->image = image;
}

/* So that there are some who are alike. */
static void make_alike(struct inventory *inventory)
{
    for (struct container *c = inventory->containers; c; c = c->hh.next)
        copy_traits(c, inventory->containers);
}

/* What one may do to a third, and the third to it, the other may as well. */
static void assert_alike(const struct trial *trial, const struct container *a, const struct container *b,
                         const struct traffic *traffic)
{
    const struct party host = {.kind = PARTY_HOST};

    for (const struct container *c = trial->with.inventory->containers; c; c = c->hh.next)
        for (int blocked = 0; blocked < 2 && c != a && c != b; blocked++) {
            assert_int_equal(containers_pass(trial, a, c, traffic, blocked),
                             containers_pass(trial, b, c, traffic, blocked));
            assert_int_equal(containers_pass(trial, c, a, traffic, blocked),
                             containers_pass(trial, c, b, traffic, blocked));
        }
    for (int outwards = 0; outwards < 2; outwards++)
        assert_int_equal(stranger_passes(trial, a, &host, traffic, outwards),
                         stranger_passes(trial, b, &host, traffic, outwards));
}

static void check_joined(struct trial *trial)
{
    static const unsigned ports[] = {1, 9, 53, 80, 443, 444};

    trial->change = GRAPH_SAME;
    for (size_t i = 0; i < trial->graph->n_nodes; i++) {
        const struct graph_node *node = &trial->graph->nodes[i];

        for (size_t m = 1; m < node->n_members && node->n_groups > 1; m++)
            for (size_t p = 0; p < ARRAY_SIZE(ports); p++)
                for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
                    struct traffic traffic = {family, p % 2 ? IPPROTO_UDP : IPPROTO_TCP, (uint16_t)ports[p]};

                    assert_alike(trial, node->members[0].container, node->members[m].container, &traffic);
                    traffic.proto = IPPROTO_SCTP;
                    assert_alike(trial, node->members[0].container, node->members[m].container, &traffic);
                }
    }
}

static void those_alike_are_joined(void **state)
{
    size_t n = 0, joined = 0;

    (void)state;
    for (unsigned seed = 1; seed <= WORLDS; seed++) {
        struct world world = world_make(seed + 40000);
        struct settings *settings = settings_new();
        struct trial trial = {.number = seed, .with = {world.policies, world.inventory, settings, NULL}};
        struct graph *graph, *apart;

        if (seed % 2)
            make_alike(world.inventory);
        graph = graph_make(NULL, &trial.with, 0);
        apart = graph_make(NULL, &trial.with, SIZE_MAX);
        assert_int_equal(count_groups(graph), count_groups(apart));
        assert_true(graph->n_nodes <= apart->n_nodes);
        joined += apart->n_nodes - graph->n_nodes;
        graph_free(apart);
        trial.graph = graph;
        check_joined(&trial);
        n += try_graph(&trial, graph);
        settings_free(settings);
        world_clear(&world);
    }
    assert_true(n > WORLDS * 50);
    assert_true(joined > WORLDS / 4);
}

static size_t compare(unsigned number, const struct world *before, const struct policy_set *after,
                      size_t nodes)
{
    struct settings *settings[2] = {settings_new(), settings_new()};
    struct trial trial = {.number = number};
    struct graph *graph;
    size_t n;

    settings[0]->default_mode = number % 3 == 0 ? MODE_AUDIT : MODE_ENFORCE;
    settings[1]->default_mode = number % 5 == 0 ? MODE_AUDIT : MODE_ENFORCE;
    trial.before = (struct evaluation){before->policies, before->inventory, settings[0], NULL};
    trial.with = (struct evaluation){after, before->inventory, settings[1], NULL};
    graph = graph_make(&trial.before, &trial.with, nodes);
    assert_true(graph->compares);
    n = try_graph(&trial, graph);
    for (size_t i = 0; i < 2; i++)
        settings_free(settings[i]);
    return n;
}

/* Two sets that have nothing to do with each other, and two that differ in one policy. */
static void marks_are_what_changes(void **state)
{
    size_t n = 0;

    (void)state;
    for (unsigned seed = 1; seed <= WORLDS / 2; seed++) {
        struct world before = world_make(seed + 50000), after = world_make(seed + 60000);
        struct world alike = world_make(seed + 50000);
        struct policy *a = &alike.policies->policies[seed % alike.policies->n_policies];
        struct policy *b = &after.policies->policies[seed % after.policies->n_policies], swapped;

        n += compare(seed, &before, after.policies, seed % 2 ? 0 : GRAPH_NODES);
        swapped = *a;
        *a = *b;
        *b = swapped;
        n += compare(seed, &before, alike.policies, GRAPH_NODES);
        world_clear(&before);
        world_clear(&after);
        world_clear(&alike);
    }
    assert_true(n > WORLDS * 100);
}

static void the_same_set_changes_nothing(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= WORLDS; seed++) {
        struct world world = world_make(seed), again = world_make(seed);
        struct settings *settings = settings_new();
        struct graph *graph =
            graph_make(&(struct evaluation){world.policies, world.inventory, settings, NULL},
                       &(struct evaluation){again.policies, world.inventory, settings, NULL}, GRAPH_NODES);

        assert_true(graph->compares);
        assert_false(graph_has_changes(graph));
        graph_free(graph);
        settings_free(settings);
        world_clear(&world);
        world_clear(&again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_are_what_is_allowed),
        cmocka_unit_test(those_alike_are_joined),
        cmocka_unit_test(marks_are_what_changes),
        cmocka_unit_test(the_same_set_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
