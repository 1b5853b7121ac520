/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state file: what a daemon leaves to the next, and what it makes of a file that is broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

/* The first daemon switches a bridge on; the second finds it on and must still know what it was. */
static void the_next_daemon_restores_what_the_first_has_changed(void **state)
{
    struct world *first = world_new(NULL, NULL), *second;

    (void)state;
    world_add_network(first, "backend", "br-backend");
    world_pump(first);
    assert_non_null(first->state);

    second = world_new_on(world_tables(), NULL, first->state);
    int network = world_add_network(second, "backend", "br-backend");
    struct world_link *bridge = world_link(second, second->networks[network].bridge_index);
    bridge->link.switches.nf_call_iptables = bridge->link.switches.nf_call_ip6tables = true;
    world_report_link(second, bridge->link.index);
    world_pump(second);
    brain_teardown(second->brain, second->now);
    world_pump(second);
    assert_false(bridge->link.switches.nf_call_iptables);
    assert_false(bridge->link.switches.nf_call_ip6tables);
    world_free(first);
    world_free(second);
}

static void the_switch_is_saved_before_it_is_set(void **state)
{
    struct world *world = world_new(NULL, NULL);
    bool saved = false, set = false;

    (void)state;
    world_add_network(world, "backend", "br-backend");
    while (!set) {
        struct action *action = brain_pop(world->brain);
        if (!action) {
            brain_flush(world->brain, world->now);
            continue;
        }
        if (action->kind == ACTION_CONNECT)
            brain_engine_up(world->brain, &(struct docker_version){.engine = (char[]){"28"}, .api_minor = 50},
                            world->now);
        if (action->kind == ACTION_FETCH && action->fetch == FETCH_NETWORKS) {
            struct network_list list = {0};
            struct network *network = *ARRAY_ADD(list.v, list.n) = network_new();
            network->id = xstrdup("n");
            network->name = xstrdup("backend");
            network->driver = xstrdup("bridge");
            network->scope = xstrdup("local");
            network->bridge = xstrdup("br-backend");
            brain_networks(world->brain, &list, world->now);
            network_list_clear(&list);
        }
        if (action->kind == ACTION_SAVE_STATE)
            saved = strstr(action->text, "\"changed\": true") != NULL;
        if (action->kind == ACTION_SET_SWITCHES)
            set = true;
        action_free(action);
    }
    assert_true(saved);
    world_free(world);
}

static void broken_files_are_not_used(void **state)
{
    static const char *const broken[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"bridges\": {}}",
        "{\"bridges\": [{\"name\": 1}]}",
        "{\"bridges\": [{\"name\": \"sixteen-letters!\"}]}",
        "{\"bridges\": [\"br0\"]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct world *world = world_new(NULL, broken[i]);
        world_pump(world);
        assert_true(world_logged(world, "the state file makes no sense"));
        assert_true(world->ready);
        world_free(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_daemon_restores_what_the_first_has_changed),
        cmocka_unit_test(the_switch_is_saved_before_it_is_set),
        cmocka_unit_test(broken_files_are_not_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
