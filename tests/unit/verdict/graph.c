/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is written on nodes and edges, of graphs made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "policy/parse.h"
#include "verdict/graph.h"

static struct container container = {.id = (char *)"1", .name = (char *)"web"};
static struct graph_member web[] = {{.container = &container}};

/* From "web" to a node of this kind and name. */
static void assert_drawn(enum graph_node_kind kind, const char *name, struct graph_edge edge,
                         const char *expected)
{
    struct graph_node nodes[] = {
        {.kind = GRAPH_CONTAINERS, .name = (char *)"web", .members = web, .n_members = 1},
        {.kind = kind, .name = (char *)name}};
    const struct graph graph = {.nodes = nodes, .n_nodes = 2, .edges = &edge, .n_edges = 1};
    _cleanup_free_ char *text = NULL;

    edge.to = 1;
    text = graph_dot(&graph);
    if (!strstr(text, expected))
        fail_msg("\"%s\" is not in\n%s", expected, text);
}

static struct graph_edge edge_of(struct graph_grant *grants, size_t n, size_t n_pairs)
{
    return (struct graph_edge){.grants = grants, .n_grants = n, .n_pairs = n_pairs};
}

static void long_names_are_cut_between_addresses(void **state)
{
    char *ports[] = {(char *)"icmp"};
    struct graph_grant grant = {.ports = ports, .n_ports = 1, .n_pairs = 1};

    (void)state;
    assert_drawn(GRAPH_OUTSIDE, "192.0.2.0/24, 198.51.100.0/24", edge_of(&grant, 1, 1),
                 "label=\"192.0.2.0/24, 198.51.100.0/24\"");
    assert_drawn(GRAPH_OUTSIDE,
                 "192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8:1234::/48, 10.0.0.0/8",
                 edge_of(&grant, 1, 1), "label=\"192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24 and more\"");
    /* one that has no place to be cut, and a container's, which may have any */
    assert_drawn(GRAPH_OUTSIDE,
                 "2001:db8:1111:2222:3333:4444:5555:6666-2001:db8:1111:2222:3333:4444:5555:7777",
                 edge_of(&grant, 1, 1), ":6666-2001:db8:1111:2222:3333:4444:5555:7777\"");
    assert_drawn(GRAPH_CONTAINERS,
                 "a, 12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                 edge_of(&grant, 1, 1), "890\"];");
}

static void many_ports_are_counted(void **state)
{
    char texts[20][16], *ports[20];
    struct graph_grant grant = {.ports = ports, .n_ports = 13, .n_pairs = 1};

    (void)state;
    for (int i = 0; i < 20; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "%d/tcp", 100 + i);
        ports[i] = texts[i];
    }
    assert_drawn(GRAPH_HOST, "host", edge_of(&grant, 1, 1), "111/tcp, 112/tcp\"");
    grant.n_ports = 14; /* "and 1 more" would save nothing */
    assert_drawn(GRAPH_HOST, "host", edge_of(&grant, 1, 1), "111/tcp and 2 more\"");
}

static void parts_are_said_so(void **state)
{
    char *ports[] = {(char *)"80/tcp"}, *others[] = {(char *)"443/tcp"};
    struct graph_grant grants[] = {
        {.ports = ports, .n_ports = 1, .n_pairs = 6, .one_family = true, .family = IP6},
        {.ports = others, .n_ports = 1, .n_pairs = 2},
        {.ports = others, .n_ports = 1, .n_pairs = 1, .one_family = true, .family = IP4},
        {.ports = ports, .n_ports = 1, .n_pairs = 1, .docker_blocks = true}};

    (void)state;
    assert_drawn(GRAPH_HOST, "host", edge_of(grants, 4, 6),
                 "n0 -> n1 [label=\"80/tcp (IPv6); 443/tcp (2 of 6 pairs); 443/tcp (IPv4, 1 of 6 pairs)\"]");
    assert_drawn(GRAPH_HOST, "host", edge_of(grants, 4, 6), "blocks; edges: 1\n");
    assert_drawn(GRAPH_HOST, "host", edge_of(&grants[3], 1, 6), "label=\"host\"];\n}\n"); /* no edge at all */
}

static void the_host_is_there_without_edges(void **state)
{
    struct policy_set *policies = policy_set_new();
    struct inventory *inventory = inventory_new();
    struct settings *settings = settings_new();
    struct graph *graph =
        graph_make(NULL, &(struct evaluation){policies, inventory, settings, NULL}, GRAPH_NODES);

    (void)state;
    assert_int_equal(graph->n_nodes, 1);
    assert_string_equal(graph->nodes[0].name, "host");
    assert_int_equal(graph->n_edges, 0);
    graph_free(graph);
    settings_free(settings);
    inventory_free(inventory);
    policy_set_free(policies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_names_are_cut_between_addresses),
        cmocka_unit_test(many_ports_are_counted),
        cmocka_unit_test(parts_are_said_so),
        cmocka_unit_test(the_host_is_there_without_edges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
