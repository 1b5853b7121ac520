/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever happens in whatever order, with answers and events early, late or lost, once the dust has settled
 * the incremental ruleset is what a fresh compiler makes of the same inventory, and the inventory is the
 * world's.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

#define SECONDS ((uint64_t)1000000)
#define STEPS 120
#define SCRIPTS 60

static const char policies[] = "policy: a\n"
                               "select: {name: \"a*\"}\n"
                               "ingress:\n"
                               "  - from: [{name: \"b*\"}, host]\n"
                               "    ports: [80/tcp]\n"
                               "egress:\n"
                               "  - to: [internet]\n"
                               "---\n"
                               "policy: b\n"
                               "select: {labels: {role: b}}\n"
                               "egress:\n"
                               "  - to: [{network: net0}]\n"
                               "  - to: [dns]\n"
                               "---\n"
                               "policy: none\n"
                               "select: {name: \"*c\"}\n"
                               "ingress:\n"
                               "  - from: [containers]\n"
                               "  - deny: true\n"
                               "    from: [{name: a1}]\n";

static uint32_t seed;

static unsigned roll(unsigned n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

struct play {
    struct world *world;
    int networks[3];
    int n_networks;
    unsigned ports[WORLD_MAX]; /* of endpoints */
    bool polite;               /* events are sent */
};

static int pick(const struct play *play, bool exists)
{
    int found[WORLD_MAX], n = 0;

    for (int i = 0; i < 12; i++)
        if (play->world->containers[i].exists == exists)
            found[n++] = i;
    return n ? found[roll((unsigned)n)] : -1;
}

static int endpoint_of(const struct play *play, int container, int network)
{
    for (int i = 0; i < WORLD_MAX; i++) {
        const struct world_endpoint *endpoint = &play->world->endpoints[i];
        if (endpoint->live && endpoint->container == container &&
            (network < 0 || endpoint->network == network))
            return i;
    }
    return -1;
}

static bool address_taken(const struct play *play, const char *text)
{
    struct ip ip;

    ip_parse(text, &ip);
    for (int i = 0; i < WORLD_MAX; i++)
        if (play->world->endpoints[i].live && ip_equal(play->world->endpoints[i].ip, ip))
            return true;
    return false;
}

static void create(struct play *play)
{
    static const char *const names[] = {"a1", "a2", "ac", "b1", "bc", "x"};
    int network = play->networks[roll((unsigned)play->n_networks)];
    char name[32];

    snprintf(name, sizeof(name), "%s", names[roll(6)]);
    if (pick(play, false) < 0)
        return;
    int container = world_add_container(play->world, name, network);
    if (container >= 12) {
        play->world->containers[container].exists = false;
        return;
    }
    if (roll(2)) {
        play->world->containers[container].label_key = "role";
        play->world->containers[container].label_value = "b";
    }
    if (play->polite)
        world_container_event(play->world, DOCKER_CREATE, container);
}

static void connect_to(struct play *play, int container, int network)
{
    char ip[32], name[IFNAMSIZ];

    if (endpoint_of(play, container, network) >= 0)
        return;
    for (unsigned i = 2;; i++) { /* the lowest that is free, as Docker does it */
        snprintf(ip, sizeof(ip), "172.%d.0.%u", 18 + network, i);
        if (!address_taken(play, ip))
            break;
    }
    int endpoint = world_add_endpoint(play->world, container, network, ip);
    snprintf(name, sizeof(name), "veth%x", play->world->next_index);
    unsigned port = world_add_link(play->world, name, play->world->networks[network].bridge_index, false);
    play->ports[endpoint] = port;
    play->world->endpoints[endpoint].joining = roll(2); /* as Docker 28 does it */
    if (roll(2))
        world_pump(play->world);
    world_link(play->world, port)->peer = play->world->endpoints[endpoint].mac;
    world_link(play->world, port)->has_peer = true;
    if (roll(4))
        world_report_link(play->world, port);
    if (roll(2))
        world_pump(play->world);
    play->world->endpoints[endpoint].joining = false;
    if (play->polite)
        world_network_event(play->world, DOCKER_CONNECT, network, container);
    play->world->containers[container].listed_running = true;
    if (play->polite && roll(2))
        world_container_event(play->world, DOCKER_START, container);
}

static void disconnect(struct play *play, int endpoint)
{
    struct world_endpoint *end = &play->world->endpoints[endpoint];
    bool link_first = roll(2);

    if (link_first)
        world_remove_link(play->world, play->ports[endpoint]);
    if (roll(2))
        world_pump(play->world);
    end->live = false;
    if (!link_first)
        world_remove_link(play->world, play->ports[endpoint]);
    if (play->polite)
        world_network_event(play->world, DOCKER_DISCONNECT, end->network, end->container);
    if (endpoint_of(play, end->container, -1) < 0) {
        play->world->containers[end->container].listed_running = false;
        if (play->polite)
            world_container_event(play->world, DOCKER_DIE, end->container);
    }
}

static void destroy(struct play *play, int container)
{
    for (int endpoint; (endpoint = endpoint_of(play, container, -1)) >= 0;)
        disconnect(play, endpoint);
    play->world->containers[container].exists = false;
    if (play->polite)
        world_container_event(play->world, DOCKER_DESTROY, container);
}

static void step(struct play *play)
{
    struct world *world = play->world;
    int container = pick(play, true), endpoint = container >= 0 ? endpoint_of(play, container, -1) : -1;

    play->polite = roll(10) != 0;
    switch (roll(10)) {
    case 0:
    case 1:
        create(play);
        break;
    case 2:
    case 3:
    case 4:
        if (container >= 0)
            connect_to(play, container, play->networks[roll((unsigned)play->n_networks)]);
        break;
    case 5:
    case 6:
        if (endpoint >= 0)
            disconnect(play, endpoint);
        break;
    case 7:
        if (container >= 0 && roll(2))
            destroy(play, container);
        break;
    case 8:
        if (container < 0)
            break;
        snprintf(world->containers[container].name, sizeof(world->containers[container].name), "%c%u",
                 (char)('a' + roll(3)), roll(4));
        if (play->polite)
            world_container_event(world, DOCKER_RENAME, container);
        break;
    case 9:
        if (roll(4) == 0)
            world->hold[roll(FETCH_IMAGE + 1)] = true;
        else
            for (int kind = 0; kind <= FETCH_IMAGE; kind++)
                world_release(world, (enum fetch_kind)kind);
        break;
    }
    if (roll(3))
        world_pump(world);
    world->now += roll(200000);
}

static void settle(struct play *play)
{
    play->world->engine_there = true;
    play->world->flows_error = 0;
    for (int kind = 0; kind <= FETCH_IMAGE; kind++)
        world_release(play->world, (enum fetch_kind)kind);
    world_wait(play->world, 130 * SECONDS);
}

static void check_inventory(const struct play *play)
{
    for (int i = 0; i < 12; i++) {
        const struct world_container *container = &play->world->containers[i];
        const struct container *known = container->id[0] ? world_known(play->world, i) : NULL;
        assert_int_equal(container->exists, known != NULL);
        if (known)
            assert_string_equal(known->name, container->name);
    }
    for (int i = 0; i < WORLD_MAX; i++) {
        if (!play->world->endpoints[i].live)
            continue;
        const struct endpoint *known = world_known_endpoint(play->world, i);
        assert_non_null(known);
        assert_string_equal(known->id, play->world->endpoints[i].id);
        assert_int_equal(known->port_index, play->ports[i]);
    }
}

static void play_script(uint32_t number)
{
    struct play play = {.world = world_new_on(number % 2 ? world_tables() : NULL, policies, NULL),
                        .n_networks = 3};

    seed = number * 7919 + 1;
    for (int i = 0; i < 3; i++) {
        char name[16], bridge[IFNAMSIZ];
        snprintf(name, sizeof(name), "net%d", i);
        snprintf(bridge, sizeof(bridge), "br-%d", i);
        play.networks[i] = world_add_network(play.world, name, bridge);
    }
    world_pump(play.world);
    for (int i = 0; i < STEPS; i++) {
        step(&play);
        if (roll(20) == 0) {
            settle(&play);
            check_inventory(&play);
            world_check_fresh(play.world, false);
        }
        if (roll(40) == 0)
            brain_tables_changed(play.world->brain, &(struct nft_change){.process = "nft", .pid = 1},
                                 play.world->now);
        if (roll(40) == 0)
            world_restart(play.world, policies);
        if (roll(20) == 0)
            play.world->flows_error = play.world->flows_error ? 0 : -ENOBUFS;
        if (roll(40) == 0) { /* as when it is killed between two transactions, if it is restarted too */
            play.world->apply_error = roll(2) ? -EINVAL : -ENOENT;
            play.world->apply_phases = roll(PHASES);
        }
        if (roll(40) == 0)
            play.world->unmendable = play.world->kernel != NULL;
        if (roll(40) == 0)
            brain_load_policies(play.world->brain, world_policies(policies), play.world->now);
        if (roll(30) == 0) {
            world_engine_down(play.world);
            play.world->engine_there = roll(2);
        }
        if (roll(10) == 0)
            play.world->engine_there = true;
    }
    settle(&play);
    check_inventory(&play);
    world_check_fresh(play.world, false);
    /* and once more exactly, when what is not needed any more has been swept away */
    brain_load_policies(play.world->brain, world_policies(policies), play.world->now);
    world_pump(play.world);
    world_check_fresh(play.world, true);
    world_free(play.world);
}

static void any_script_ends_in_the_fresh_ruleset(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SCRIPTS; i++)
        play_script(i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_script_ends_in_the_fresh_ruleset)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
