/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lockdowns: what is saved of them is read again, or refused; and an endpoint that is locked is never live otherwise. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "brain_private.h"
#include "daemon/lock_state.h"
#include "kernel_tables.h"
#include "ruleset/compare.h"
#include "ruleset/lock_tables.h"
#include "verdict/lock_list.h"
#include "world.h"

static const char open_policy[] = "policy: open\nselect: {all: true}\ningress: [{}]\negress: [{}]\n";

/* ---- the file ----------------------------------------------------------------------------------------- */

static struct lock_list *some_locks(void)
{
    struct lock_list *list = lock_list_new();
    struct lock *one = lock_new(), *many = lock_new();
    const char *why;

    *one = (struct lock){.id = xstrdup("c0ffee"),
                         .name = xstrdup("web"),
                         .project = xstrdup("shop"),
                         .service = xstrdup("web \"\\ü"),
                         .cut = CUT_IN,
                         .reason = xstrdup("it looks\nodd"),
                         .by = xstrdup("user 0, process 1"),
                         .since = 1700000000,
                         .until = 1700003600,
                         .boot = xstrdup("aaaa"),
                         .boot_until = 123456789};
    assert_int_equal(lock_allow(one, "db:5432/tcp", &why), 0);
    assert_int_equal(lock_allow(one, "host", &why), 0);
    assert_int_equal(lock_select(many, "label=role=*", &why), 0);
    *ARRAY_ADD(many->except, many->n_except) = xstrdup("db");
    one->request = xstrdup("0123456789abcdef0123456789abcdef");
    lock_list_add(list, one);
    lock_list_add(list, many);
    lock_list_remember(list, "00000000000000000000000000000001");
    lock_list_remember(list, "00000000000000000000000000000002");
    return list;
}

static void what_is_written_is_read_again(void **state)
{
    _cleanup_(lock_list_freep) struct lock_list *list = some_locks(), *read = NULL;
    _cleanup_free_ char *text = lock_state_format(list), *again = NULL;

    (void)state;
    assert_int_equal(lock_state_parse(text, strlen(text), &read), 0);
    again = lock_state_format(read);
    assert_string_equal(again, text);
    assert_int_equal(read->n, 2);
    assert_int_equal(read->v[0]->cut, CUT_IN);
    assert_int_equal(read->v[0]->boot_until, 123456789);
    assert_int_equal(read->v[0]->exceptions->policies[0].n_rules[INGRESS], 2);
    assert_string_equal(lock_text(read->v[1]), "label=role=*");
    assert_string_equal(read->v[1]->except[0], "db");
    assert_true(lock_list_knows(read, "0123456789abcdef0123456789abcdef"));
    assert_true(lock_list_knows(read, "00000000000000000000000000000002"));
    assert_false(lock_list_knows(read, "00000000000000000000000000000003"));
}

/* A list that lost something must not pass for a shorter one. */
static void what_is_damaged_is_refused(void **state)
{
    _cleanup_(lock_list_freep) struct lock_list *list = some_locks();
    _cleanup_free_ char *text = lock_state_format(list);
    size_t len = strlen(text), refused = 0, tried = 0;

    (void)state;
    for (size_t i = 0; i < len; i++) {
        struct lock_list *read = NULL;
        char was = text[i];

        if (was == ' ' || was == '\n') /* between the words */
            continue;
        text[i] ^= 1;
        tried++;
        if (lock_state_parse(text, len, &read) == 0) {
            /* nothing but a key that is not known stands there now, or a later format's */
            lock_list_free(read);
        } else {
            refused++;
            assert_null(read);
        }
        text[i] = was;
    }
    assert_int_equal(refused, tried);
    for (size_t i = 0; i + 2 < len; i++) {
        struct lock_list *read = NULL;
        assert_int_equal(lock_state_parse(text, i, &read), -EBADMSG);
    }
}

/* ---- the brain ---------------------------------------------------------------------------------------- */

static struct world *started(int *ret_network)
{
    struct world *world = world_new(open_policy, NULL);

    *ret_network = world_add_network(world, "backend", "br-backend");
    world_pump(world);
    assert_true(world->ready);
    return world;
}

static struct lock_list *locking(const char *name)
{
    struct lock_list *list = lock_list_new();
    struct lock *lock = lock_new();

    lock->name = xstrdup(name);
    lock->since = 1;
    lock_list_add(list, lock);
    return list;
}

static void set_locks(struct world *world, struct lock_list *list)
{
    brain_set_locks(world->brain, list, world->now);
    world_pump(world);
}

static bool is_locked(const struct world *world, const char *text)
{
    struct ip ip;

    assert_int_equal(ip_parse(text, &ip), 0);
    return ruleset_has_locked(world->kernel, ip);
}

static void a_lockdown_is_only_elements(void **state)
{
    int network;
    struct world *world = started(&network);

    (void)state;
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.2");
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.3");
    size_t applied = world->n_applied[APPLY_ELEMENTS], full = world->n_applied[APPLY_FULL];
    set_locks(world, locking("web"));
    assert_int_equal(world->n_applied[APPLY_ELEMENTS], applied + 1);
    assert_int_equal(world->n_applied[APPLY_FULL], full);
    assert_true(world->only_elements);
    assert_true(brain_locks_in_force(world->brain));
    assert_false(world_address_live(world, "172.18.0.2"));
    assert_true(is_locked(world, "172.18.0.2"));
    assert_true(world_address_live(world, "172.18.0.3"));
    world_check_fresh(world, true);

    set_locks(world, NULL);
    assert_true(world->only_elements);
    assert_true(world_address_live(world, "172.18.0.2"));
    assert_false(is_locked(world, "172.18.0.2"));
    world_check_fresh(world, true);
    world_free(world);
}

/* Of every change that the kernel gets, not only of the last. */
static void pump_never_live(struct world *world, const char *address)
{
    for (struct action *action;;) {
        while ((action = brain_pop(world->brain))) {
            world_act(world, action);
            assert_false(world->kernel && world_address_live(world, address));
        }
        brain_flush(world->brain, world->now);
        action = brain_pop(world->brain);
        if (!action)
            return;
        world_act(world, action);
        assert_false(world_address_live(world, address));
    }
}

static void who_comes_anew_is_never_live(void **state)
{
    int network;
    struct world *world = started(&network);
    int web = world_add_container(world, "web", network);
    int endpoint = world_start(world, web, network, "172.18.0.2");

    (void)state;
    set_locks(world, locking("web"));
    world_stop(world, endpoint);
    world->containers[web].exists = false;
    world_container_event(world, DOCKER_DESTROY, web);
    world_pump(world);
    assert_false(is_locked(world, "172.18.0.2"));

    int again = world_add_container(world, "web", network);
    world_container_event(world, DOCKER_CREATE, again);
    pump_never_live(world, "172.18.0.4");
    int number = world_add_endpoint(world, again, network, "172.18.0.4");
    unsigned port = world_add_link(world, "veth9", world->networks[network].bridge_index, false);
    world_link(world, port)->peer = world->endpoints[number].mac;
    world_link(world, port)->has_peer = true;
    world_network_event(world, DOCKER_CONNECT, network, again);
    pump_never_live(world, "172.18.0.4");
    world_wait(world, 2 * SEC);
    assert_true(is_locked(world, "172.18.0.4"));
    assert_false(world_address_live(world, "172.18.0.4"));
    world_check_fresh(world, true);
    world_free(world);
}

static void other_policies_change_nothing(void **state)
{
    int network;
    struct world *world = started(&network);

    (void)state;
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.2");
    set_locks(world, locking("web"));
    brain_load_policies(world->brain, world_policies("policy: more\nselect: {name: web}\negress: [{}]\n"),
                        world->now);
    world_pump(world);
    assert_true(is_locked(world, "172.18.0.2"));
    assert_false(world_address_live(world, "172.18.0.2"));
    world_wait(world, 300 * SEC);
    assert_true(is_locked(world, "172.18.0.2"));
    world_check_fresh(world, true);
    world_free(world);
}

/* What a lock that is gone has left in the kernel goes too. */
static void a_release_leaves_nothing(void **state)
{
    int network;
    struct world *world = started(&network);
    struct lock_list *list = locking("web");
    const char *why;

    (void)state;
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.2");
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.3");
    _cleanup_(ruleset_freep) struct ruleset *before = kernel_copy(world->kernel);
    assert_int_equal(lock_allow(list->v[0], "db:22/tcp", &why), 0);
    set_locks(world, list);
    assert_true(is_locked(world, "172.18.0.2"));
    assert_non_null(table_set(&world->kernel->tables[TABLE_INET], "name/db/4"));
    set_locks(world, NULL);
    _cleanup_differences_ struct differences differences = {0};
    ruleset_compare(world->kernel, before, 10, &differences);
    assert_int_equal(differences.n, 0);
    world_free(world);
}

static struct flow flow_between(const char *from, const char *to, uint16_t port)
{
    struct flow flow = {.proto = 6, .has_ports = true};

    assert_int_equal(ip_parse(from, &flow.original.source), 0);
    assert_int_equal(ip_parse(to, &flow.original.destination), 0);
    flow.reply.source = flow.original.destination;
    flow.reply.destination = flow.original.source;
    flow.original.destination_port = flow.reply.source_port = port;
    return flow;
}

/* What an exception lets pass is not ended because the policies would not. */
static void flows_go_by_the_lock_first(void **state)
{
    int network;
    struct world *world = world_new("policy: none\nselect: {name: nobody}\n", NULL);
    struct lock_list *list = locking("web");
    const struct flow allowed = flow_between("172.18.0.3", "172.18.0.2", 22),
                      denied = flow_between("172.18.0.3", "172.18.0.2", 80);
    const char *why;

    (void)state;
    network = world_add_network(world, "backend", "br-backend");
    world_pump(world);
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.2");
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.3");
    assert_int_equal(lock_allow(list->v[0], "db:22/tcp", &why), 0);
    set_locks(world, list);
    world->brain->judge_due = true;
    brain_begin_flows(world->brain);
    assert_false(brain_flow_must_end(world->brain, &allowed));
    assert_true(brain_flow_must_end(world->brain, &denied));
    brain_flows_ended(world->brain, 0, 0, world->now);
    world_free(world);
}

/* The list is lost, but not what the kernel knows of it. */
static void a_lost_list_is_made_up_from_the_kernel(void **state)
{
    int network;
    struct world *world = started(&network);

    (void)state;
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.2");
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.3");
    set_locks(world, locking("web"));
    world_restart(world, open_policy);
    struct lock_list *all = lock_list_new();
    lock_list_add(all, lock_new());
    all->v[0]->select_text = xstrdup("all");
    all->v[0]->select.all = all->v[0]->stands_in = true;
    world->brain->locks = all;
    world->brain->locks_lost = true;
    compiler_set_locks(world->brain->compiler, all);
    world_pump(world);
    assert_true(is_locked(world, "172.18.0.2"));
    assert_false(is_locked(world, "172.18.0.3"));
    assert_int_equal(brain_locks(world->brain)->n, 1);
    assert_string_equal(lock_text(brain_locks(world->brain)->v[0]), "web");
    assert_true(brain_locks_recovered(world->brain));
    assert_false(brain_locks_recovered(world->brain));
    world_check_fresh(world, true);
    world_free(world);
}

/* Killed between the two files, and then the first is damaged: the copy is one change behind. */
static void the_kernel_makes_up_for_a_copy_that_is_behind(void **state)
{
    int network;
    struct world *world = started(&network);
    struct lock_list *copy;

    (void)state;
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.2");
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.3");
    set_locks(world, locking("web"));
    world_restart(world, open_policy);
    copy = locking("stopped");
    world->brain->locks = copy;
    world->brain->locks_lost = world->brain->locks_behind = true;
    compiler_set_locks(world->brain->compiler, copy);
    world_pump(world);
    assert_true(is_locked(world, "172.18.0.2"));
    assert_false(is_locked(world, "172.18.0.3"));
    assert_int_equal(brain_locks(world->brain)->n, 2);
    assert_string_equal(lock_text(brain_locks(world->brain)->v[0]), "stopped");
    assert_string_equal(lock_text(brain_locks(world->brain)->v[1]), "web");
    assert_true(brain_locks_recovered(world->brain));
    world_check_fresh(world, true);
    world_free(world);
}

/* And where it is not behind, nothing is added. */
static void a_copy_is_as_good_as_the_list(void **state)
{
    int network;
    struct world *world = started(&network);
    struct lock_list *copy;

    (void)state;
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.2");
    set_locks(world, locking("web"));
    world_restart(world, open_policy);
    copy = locking("web");
    world->brain->locks = copy;
    world->brain->locks_lost = world->brain->locks_behind = true;
    compiler_set_locks(world->brain->compiler, copy);
    world_pump(world);
    assert_true(is_locked(world, "172.18.0.2"));
    assert_ptr_equal(brain_locks(world->brain), copy);
    assert_false(brain_locks_recovered(world->brain));
    world_free(world);
}

/* It was never written, and tables stand: what was done without a daemon, or meant nobody knows whom, is no less. */
static void a_list_that_never_was_is_not_lost(void **state)
{
    int network;
    struct world *world = started(&network);
    struct lock_list *locks;
    const char *why;

    (void)state;
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.2");
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.3");
    world_restart(world, open_policy);
    locks = lock_list_new();
    lock_list_add(locks, lock_new());
    assert_int_equal(lock_select(locks->v[0], "all", &why), 0);
    world->brain->locks = locks;
    world->brain->locks_lost = true;
    compiler_set_locks(world->brain->compiler, locks);
    world_pump(world);
    assert_ptr_equal(brain_locks(world->brain), locks);
    assert_false(brain_locks_recovered(world->brain));
    assert_true(is_locked(world, "172.18.0.2"));
    assert_true(is_locked(world, "172.18.0.3"));
    world_free(world);
}

/* A command's tables hold it still. */
static void who_was_let_go_is_not_adopted(void **state)
{
    int network;
    struct world *world = started(&network);
    struct lock_list *ended = locking("web");

    (void)state;
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.2");
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.3");
    set_locks(world, locking("web"));
    struct ruleset *tables =
        lock_tables_compile(brain_locks(world->brain), brain_inventory(world->brain), NULL);
    set_locks(world, lock_list_new());
    assert_false(is_locked(world, "172.18.0.2"));
    assert_false(brain_adopt_locks(world->brain, tables, ended, 1, world->now));
    assert_int_equal(brain_locks(world->brain)->n, 0);
    assert_true(brain_adopt_locks(world->brain, tables, NULL, 1, world->now));
    assert_int_equal(brain_locks(world->brain)->n, 1);
    assert_string_equal(lock_text(brain_locks(world->brain)->v[0]), "web");
    world_pump(world);
    assert_true(is_locked(world, "172.18.0.2"));
    assert_false(brain_adopt_locks(world->brain, tables, NULL, 1, world->now));
    ruleset_free(tables);
    lock_list_free(ended);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_is_damaged_is_refused),
        cmocka_unit_test(a_lockdown_is_only_elements),
        cmocka_unit_test(who_comes_anew_is_never_live),
        cmocka_unit_test(other_policies_change_nothing),
        cmocka_unit_test(a_release_leaves_nothing),
        cmocka_unit_test(flows_go_by_the_lock_first),
        cmocka_unit_test(a_lost_list_is_made_up_from_the_kernel),
        cmocka_unit_test(the_kernel_makes_up_for_a_copy_that_is_behind),
        cmocka_unit_test(a_copy_is_as_good_as_the_list),
        cmocka_unit_test(a_list_that_never_was_is_not_lost),
        cmocka_unit_test(who_was_let_go_is_not_adopted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
