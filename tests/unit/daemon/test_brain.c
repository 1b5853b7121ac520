/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The brain, with scripted events: what it does, in which order, and what it leaves alone. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "brain_private.h"
#include "control/policy_files.h"
#include "documents.h"
#include "inventory/json.h"
#include "kernel_tables.h"
#include "policy/compare.h"
#include "world.h"

#define SECONDS ((uint64_t)1000000)

static const char shop[] = "policy: db\n"
                           "select: {name: db}\n"
                           "ingress:\n"
                           "  - from: [{name: web}]\n"
                           "    ports: [5432/tcp]\n"
                           "---\n"
                           "policy: web\n"
                           "select: {name: web}\n"
                           "egress:\n"
                           "  - to: [{name: db}]\n"
                           "    ports: [5432/tcp]\n";

static const char by_label[] = "policy: labelled\n"
                               "select: {labels: {role: db}}\n"
                               "ingress:\n"
                               "  - from: [host]\n";

/* One managed network, the Engine there, the first inventory loaded. */
static struct world *started(const char *policies, int *ret_network)
{
    struct world *world = world_new(policies, NULL);

    *ret_network = world_add_network(world, "backend", "br-backend");
    world_pump(world);
    assert_true(world->ready);
    assert_int_equal(world->n_applied[APPLY_FULL], 1);
    return world;
}

static json_t *status(const struct world *world, bool *ret_enforced)
{
    const struct status_facts facts = {.version = "0",
                                       .started = "2026-11-20T15:04:05Z",
                                       .policies_dir = "p",
                                       .engine_socket = "/run/docker.sock",
                                       .pid = 1};
    json_t *document = brain_status(world->brain, &facts, ret_enforced);

    assert_int_equal(json_is_true(json_object_get(document, "enforced")), *ret_enforced);
    return document_made("status", document);
}

/* What the exit status of `cofferdam status` says. */
static bool all_enforced(const struct world *world)
{
    bool enforced;

    json_decref(status(world, &enforced));
    return enforced;
}

static bool has_problem(const struct world *world, const char *text)
{
    bool enforced, found = false;
    json_t *document = status(world, &enforced), *problem;
    size_t i;

    json_array_foreach (json_object_get(document, "problems"), i, problem)
        found = found || strstr(json_string_value(problem), text);
    json_decref(document);
    return found;
}

/* ---- start -------------------------------------------------------------------------------------------- */

static void start_loads_everything_at_once(void **state)
{
    struct world *world = world_new_on(world_tables(), shop, NULL);
    int network = world_add_network(world, "backend", "br-backend");
    int web = world_add_container(world, "web", network), db = world_add_container(world, "db", network);

    (void)state;
    for (int i = 0; i < 2; i++) {
        int endpoint = world_add_endpoint(world, i ? db : web, network, i ? "172.18.0.3" : "172.18.0.2");
        unsigned port =
            world_add_link(world, i ? "veth2" : "veth1", world->networks[network].bridge_index, false);
        world_link(world, port)->peer = world->endpoints[endpoint].mac;
        world_link(world, port)->has_peer = true;
    }
    world->hold[FETCH_IMAGE] = world->hold[FETCH_INSPECT] = true;
    world_pump(world);
    /* nothing is applied and nobody is told before labels and name servers are known */
    assert_int_equal(world->n_applied[APPLY_FULL], 0);
    assert_false(world->ready);
    world_release(world, FETCH_IMAGE);
    assert_int_equal(world->n_applied[APPLY_FULL], 0);
    world_release(world, FETCH_INSPECT);
    assert_int_equal(world->n_applied[APPLY_FULL], 1);
    assert_false(world->replaced);
    assert_int_equal(world->n_flows, 1);
    assert_int_equal(world->n_applied[APPLY_ELEMENTS],
                     1); /* when their addresses are free of others' flows */
    assert_true(world->ready);
    assert_true(world_address_live(world, "172.18.0.2"));
    assert_true(world_address_live(world, "172.18.0.3"));
    assert_string_equal(world_known_endpoint(world, 0)->port, "veth1");
    assert_string_equal(world_known_endpoint(world, 1)->port, "veth2");
    world_check_fresh(world, true);
    world_free(world);
}

/* Who is still there keeps everything; not an operation, so not a packet. */
static void a_restart_writes_nothing(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.2");
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.3");
    size_t ops = world->n_ops, flows = world->n_flows;
    world_restart(world, shop);
    world_pump(world);
    assert_int_equal(world->n_ops, ops);
    assert_int_equal(world->n_flows, flows + 1); /* of those that are gone, or not allowed any more */
    assert_int_equal(world->brain->n_ended, 0);
    world_check_fresh(world, true);

    world_restart(world, by_label); /* other policies are changed to, not loaded anew */
    world_pump(world);
    assert_true(world->n_ops > ops);
    assert_false(world->replaced);
    world_check_fresh(world, true);
    world_wait(world, 300 * SECONDS); /* and nothing is written as long as nothing happens */
    ops = world->n_ops;
    world_wait(world, 300 * SECONDS);
    assert_int_equal(world->n_ops, ops);
    assert_true(world->n_reads >= 10);
    world_free(world);
}

/* An address whose former owner's connections are not ended is nobody's. */
static void an_address_changes_hands_without_its_connections(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int web = world_add_container(world, "web", network), db = world_add_container(world, "db", network);

    (void)state;
    int endpoint = world_start(world, web, network, "172.18.0.2");
    size_t flows = world->n_flows;
    world_stop(world, endpoint);
    assert_false(world_address_live(world, "172.18.0.2"));
    assert_int_equal(world->n_flows, flows); /* nobody is waiting for them */
    world->flows_error = -ENOBUFS;
    world_start(world, db, network, "172.18.0.2");
    assert_int_equal(world->n_flows, flows + 1);
    assert_false(world_address_live(world, "172.18.0.2"));
    assert_true(world_logged(world, "cannot be ended"));
    assert_true(has_problem(world, "cannot be ended"));
    brain_load_policies(world->brain, world_policies(by_label), world->now); /* nor by other policies */
    world_pump(world);
    assert_false(world_address_live(world, "172.18.0.2"));
    world_start(world, web, network, "172.18.0.3"); /* this one is nobody's */
    assert_true(world_address_live(world, "172.18.0.3"));
    world->flows_error = 0;
    world_wait(world, 31 * SECONDS);
    assert_true(world_address_live(world, "172.18.0.2"));
    assert_false(has_problem(world, "cannot be ended"));
    world_check_fresh(world, false);
    world_free(world);
}

/* While no daemon ran, web stopped, and db started at its address. */
static struct world *changed_hands(void)
{
    int network;
    struct world *world = started(shop, &network);
    int web = world_add_container(world, "web", network), db = world_add_container(world, "db", network);
    int old = world_start(world, web, network, "172.18.0.2");
    unsigned port = world_known_endpoint(world, old)->port_index;

    world->endpoints[old].live = false;
    world_link(world, port)->exists = false;
    world_restart(world, shop);
    int new = world_add_endpoint(world, db, network, "172.18.0.2");
    port = world_add_link(world, "veth9", world->networks[network].bridge_index, false);
    world_link(world, port)->peer = world->endpoints[new].mac;
    world_link(world, port)->has_peer = true;
    return world;
}

/* However the next daemon comes to its rules: by mending, by replacing, with other policies, or knowing nothing. */
static void an_address_that_changed_hands_unseen_has_no_connections(void **state)
{
    enum { MENDED, REPLACED, UNREADABLE, RELOADED, TAMPERED, WAYS };

    (void)state;
    for (int way = 0; way < WAYS; way++) {
        struct world *world = changed_hands();

        world->unmendable = way == REPLACED;
        world->read_error = way == UNREADABLE ? -EIO : 0;
        world->hold[FETCH_INSPECT] = true;
        world_pump(world);
        assert_int_equal(world->n_applied[APPLY_FULL], 1);
        if (way == RELOADED)
            brain_load_policies(world->brain, world_policies(by_label), world->now);
        if (way == TAMPERED)
            brain_tables_changed(world->brain, &(struct nft_change){0}, world->now);
        world_release(world, FETCH_INSPECT);
        assert_true(
            world_address_live(world, "172.18.0.2")); /* and not among web's connections: see note_flow() */
        assert_int_equal(world->replaced, way == REPLACED || way == UNREADABLE);
        if (way == RELOADED)
            assert_string_equal(brain_policies(world->brain)->policies[0].name, "labelled");
        world_check_fresh(world, false);
        world_free(world);
    }
}

/* Who stayed keeps its connections even where the tables are replaced. */
static void a_replacement_ends_no_connections(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.2");
    world->unmendable = true;
    world_restart(world, shop);
    world_pump(world);
    assert_true(world->replaced);
    assert_int_equal(world->n_flows_left, 1);
    world_free(world);
}

/* On a host with very many connections it takes long: then it is done seldom, unless somebody waits for an address. */
static void looking_for_connections_leaves_time_for_the_rest(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int web = world_add_container(world, "web", network), db = world_add_container(world, "db", network);

    (void)state;
    world_wait(world, 1 * SECONDS);
    world->flows_take = 1 * SECONDS;
    for (int i = 0; i < 2; i++) {
        size_t flows = world->n_flows;
        world_stop(world, world_start(world, web, network, "172.18.0.2"));
        world_wait(world, 2 * SECONDS);
        assert_int_equal(world->n_flows,
                         flows + (i == 0)); /* how long it takes is not known the first time */
    }
    size_t flows = world->n_flows;
    int endpoint = world_start(world, db, network, "172.18.0.2");
    assert_int_equal(world->n_flows, flows + 1);
    assert_true(world_address_live(world, "172.18.0.2"));
    world_stop(world, endpoint);
    world_wait(world, 30 * SECONDS);
    assert_int_equal(world->n_flows, flows + 2);
    world_free(world);
}

/* As after SIGSTOP: what the Engine did not get rid of in time is lost, and it does not say so. */
static void late_events_have_everything_listed_again(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);

    (void)state;
    world_start(world, db, network, "172.18.0.2");
    strcpy(world->containers[db].name, "other"); /* and the event is lost */
    world_wait(world, 5 * SECONDS);
    assert_string_equal(world_known(world, db)->name, "db");
    for (int i = 0; i < 1000; i++)
        brain_behind(world->brain, world->now);
    world_wait(world, 2 * SECONDS);
    assert_string_equal(world_known(world, db)->name, "other");
    assert_true(world_logged(world, "events come late"));
    size_t fetches = world->n_fetches;
    world_wait(world, 50 * SECONDS);
    assert_int_equal(world->n_fetches, fetches);
    world_free(world);
}

/* Connections are looked at when something was taken away, and only then. */
static void a_start_ends_no_connections(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    world_wait(world, 1 * SECONDS);
    size_t flows = world->n_flows;
    int db = world_add_container(world, "db", network);
    world_start(world, db, network, "172.18.0.2");
    int endpoint = world_start(world, world_add_container(world, "web", network), network, "172.18.0.3");
    world_wait(world, 1 * SECONDS);
    assert_int_equal(world->n_flows, flows);
    strcpy(world->containers[db].name, "no-db");
    world_container_event(world, DOCKER_RENAME, db);
    world_pump(world);
    assert_int_equal(world->n_flows, flows + 1); /* it is no longer what web may connect to */
    brain_load_policies(world->brain, world_policies(by_label), world->now);
    world_pump(world);
    assert_int_equal(world->n_flows, flows + 2);
    world_stop(world, endpoint);
    world_wait(world, 1 * SECONDS);
    assert_int_equal(world->n_flows, flows + 3);
    world_free(world);
}

/* With unknown_endpoints: internet, who had the address before need not have been known. */
static void a_start_ends_connections_of_strangers(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    world->brain->options.unknown_endpoints = UNKNOWN_INTERNET;
    world_wait(world, 1 * SECONDS);
    size_t flows = world->n_flows;
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.2");
    assert_true(world->n_flows > flows);
    flows = world->n_flows;
    world_wait(world, 300 * SECONDS); /* and then it is as it was */
    assert_int_equal(world->n_flows, flows);
    world_free(world);
}

static void start_does_not_wait_for_ever(void **state)
{
    struct world *world = world_new_on(world_tables(), shop, NULL);
    int network = world_add_network(world, "backend", "br-backend");

    (void)state;
    world_add_container(world, "db", network);
    world->hold[FETCH_INSPECT] = true;
    world_pump(world);
    world_wait(world, 9 * SECONDS);
    assert_int_equal(world->n_applied[APPLY_FULL], 0);
    world_wait(world, 2 * SECONDS);
    assert_int_equal(world->n_applied[APPLY_FULL], 1);
    assert_true(world->ready);
    world_free(world);
}

static void without_engine_and_tables_the_empty_rules_are_loaded(void **state)
{
    struct world *world = world_new(shop, NULL);

    (void)state;
    world->engine_there = false;
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_FULL], 1);
    assert_true(world->ready);
    world_free(world);
}

static void without_engine_tables_that_stand_are_left_alone(void **state)
{
    struct world *world = world_new_on(world_tables(), shop, NULL);

    (void)state;
    world->engine_there = false;
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_FULL], 0);
    assert_true(world->ready);
    world_add_network(world, "backend", "br-backend");
    world_wait(world, 30 * SECONDS);
    assert_int_equal(world->n_applied[APPLY_FULL], 0);
    world->engine_there = true;
    world_wait(world, 6 * SECONDS);
    assert_int_equal(world->n_applied[APPLY_FULL], 1);
    world_check_fresh(world, true);
    world_free(world);
}

static void an_engine_that_hangs_does_not_hold_up_the_boot(void **state)
{
    struct world *world = world_new(shop, NULL);

    (void)state;
    action_free(brain_pop(world->brain)); /* ACTION_CONNECT, never answered */
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_FULL], 1);
    assert_true(world->ready);
    world_free(world);
}

static void bridges_of_the_last_run_are_closed_before_the_engine_answers(void **state)
{
    static const char last[] =
        "{\"format_version\": \"1.0\", \"bridges\": [{\"name\": \"br-backend\", \"changed\": true}]}";
    struct world *world = world_new(shop, last);

    (void)state;
    world->engine_there = false;
    int network = world_add_network(world, "backend", "br-backend");
    unsigned port = world_add_link(world, "veth1", world->networks[network].bridge_index, false);
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_FULL], 1);
    assert_true(world_link(world, world->networks[network].bridge_index)->link.switches.nf_call_iptables);
    const struct compile_options options = {.mark = MARK_DEFAULT, .log_group = 64, .log_rate = 100};
    struct compiler *fresh = compiler_new(brain_policies(world->brain), &options);
    _cleanup_delta_ struct delta delta = {0};
    compiler_add_bridge(fresh, "br-backend", NULL);
    compiler_add_port(fresh, "veth1", NULL);
    delta_between(compiler_ruleset(world->brain->compiler), compiler_ruleset(fresh), &delta);
    assert_int_equal(delta_count(&delta), 0);
    compiler_free(fresh);
    world_remove_link(world, port);
    world->engine_there = true;
    world_wait(world, 6 * SECONDS);
    world_check_fresh(world, true);
    world_free(world);
}

static bool is_closed(const struct world *world, const char *bridge)
{
    uint8_t key[KEY_BYTES_MAX] = {0};

    memcpy(key, bridge, strlen(bridge));
    return set_find(table_set(&world->kernel->tables[TABLE_INET], "bridges"), key);
}

/* One made while no daemon ran is open until we know of it: so we do not wait until the Engine tells. */
static void what_looks_like_the_engines_bridge_is_closed_until_the_networks_are_listed(void **state)
{
    struct world *world = world_new(shop, NULL);

    (void)state;
    world->engine_there = false;
    int network = world_add_network(world, "backend", "br-0123456789ab");
    world_add_link(world, "br-ba987654321f", 0, true); /* another Engine's */
    world_add_link(world, "docker0", 0, true);
    world_add_link(world, "br-lan", 0, true);
    world_add_link(world, "br-0123456789a", 0, true);
    world_add_link(world, "br-0123456789ax", 0, true);
    world_pump(world);
    assert_true(is_closed(world, "br-0123456789ab"));
    assert_true(is_closed(world, "br-ba987654321f"));
    assert_true(is_closed(world, "docker0"));
    assert_false(is_closed(world, "br-lan"));
    assert_false(is_closed(world, "br-0123456789a"));
    assert_false(is_closed(world, "br-0123456789ax"));
    assert_int_equal(world->n_nf_calls, 0); /* it may be none of ours */
    world->engine_there = true;
    world_wait(world, 6 * SECONDS);
    assert_true(is_closed(world, "br-0123456789ab"));
    assert_false(is_closed(world, "br-ba987654321f"));
    assert_false(is_closed(world, "docker0"));
    assert_int_equal(world->n_nf_calls, 1);
    assert_true(world_link(world, world->networks[network].bridge_index)->link.switches.nf_call_iptables);

    /* what was found to be somebody else's is left alone by the next daemon too */
    assert_non_null(strstr(world->state, "br-ba987654321f"));
    world->engine_there = false;
    world->kernel = ruleset_free(world->kernel);
    world_restart(world, shop);
    world_pump(world);
    assert_true(is_closed(world, "br-0123456789ab"));
    assert_false(is_closed(world, "br-ba987654321f"));
    world_wait(world, 6 * SECONDS);
    unsigned late = world_add_link(world, "br-eeeeeeeeeeee", 0, true);
    world_pump(world);
    assert_true(is_closed(world, "br-eeeeeeeeeeee"));
    world_remove_link(world, late);
    world->engine_there = true;
    world_wait(world, 6 * SECONDS);
    assert_false(is_closed(world, "br-eeeeeeeeeeee"));

    /* but not under other settings, by which it may be a managed network's */
    world->engine_there = false;
    world->kernel = ruleset_free(world->kernel);
    *ARRAY_ADD(world->settings->unmanaged, world->settings->n_unmanaged) = xstrdup("lab");
    world_restart(world, shop);
    world_pump(world);
    assert_true(is_closed(world, "br-ba987654321f"));
    world->engine_there = true;
    world_wait(world, 6 * SECONDS);
    assert_false(is_closed(world, "br-ba987654321f"));
    world_check_fresh(world, true);
    world_free(world);
}

/* ---- a container's life ------------------------------------------------------------------------------- */

static void a_start_is_only_elements(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);

    (void)state;
    world_container_event(world, DOCKER_CREATE, db);
    world_pump(world);
    assert_non_null(world_known(world, db));
    assert_false(world_known(world, db)->running);
    size_t prepared = world->n_applied[APPLY_ELEMENTS];
    int endpoint = world_start(world, db, network, "172.18.0.2");
    assert_true(world->n_applied[APPLY_ELEMENTS] > prepared);
    assert_true(world->only_elements);
    assert_true(world_known(world, db)->running);
    assert_true(world_address_live(world, "172.18.0.2"));
    assert_true(world_known_endpoint(world, endpoint)->port[0]);
    world_check_fresh(world, true);

    world_stop(world, endpoint);
    assert_true(world->only_elements);
    assert_false(world_address_live(world, "172.18.0.2"));
    assert_false(world_known(world, db)->running);
    assert_non_null(world_known(world, db));
    world_check_fresh(world, true);
    assert_int_equal(world->n_applied[APPLY_FULL], 1);
    world_free(world);
}

static void live_before_inspection_and_list_say_so(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);

    (void)state;
    world->hold[FETCH_INSPECT] = true; /* as the Engine does while the container starts */
    world_container_event(world, DOCKER_CREATE, db);
    world_pump(world);
    world_add_endpoint(world, db, network, "172.18.0.2");
    world_network_event(world, DOCKER_CONNECT, network, db);
    world_pump(world);
    assert_true(world_address_live(world, "172.18.0.2"));
    assert_true(world_known(world, db)->running);
    assert_false(world_known(world, db)->dns_known);
    world_release(world, FETCH_INSPECT);
    assert_true(world_known(world, db)->dns_known);
    world_check_fresh(world, true);
    world_free(world);
}

static void an_unknown_container_on_a_network_is_looked_up(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);

    (void)state;
    world_add_endpoint(world, db, network, "172.18.0.2");
    world_network_event(world, DOCKER_CONNECT, network, db); /* the event of its creation was lost */
    world_pump(world);
    assert_true(world_address_live(world, "172.18.0.2"));
    world_free(world);
}

/* Docker 28 and later: the port is there, and its endpoint listed as nobody's, before the container joins. */
static void an_endpoint_keeps_its_port_when_its_container_joins(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);
    int endpoint = world_add_endpoint(world, db, network, "172.18.0.2");

    (void)state;
    world->endpoints[endpoint].joining = true;
    unsigned port = world_add_link(world, "veth1", world->networks[network].bridge_index, false);
    world_link(world, port)->peer = world->endpoints[endpoint].mac;
    world_link(world, port)->has_peer = true;
    world_report_link(world, port);
    world_pump(world);
    assert_false(world_address_live(world, "172.18.0.2"));
    assert_false(world_bound(world, port, "172.18.0.2"));
    world->endpoints[endpoint].joining = false;
    world_network_event(world, DOCKER_CONNECT, network, db); /* and the event of its creation was lost */
    world_pump(world);
    assert_true(world_address_live(world, "172.18.0.2"));
    assert_true(world_bound(world, port, "172.18.0.2"));
    assert_int_equal(world_known_endpoint(world, endpoint)->port_index, port);
    world_check_fresh(world, true);

    /* from now on the port is that container's and nobody else's */
    int web = world_add_container(world, "web", network);
    world->endpoints[endpoint].live = false;
    int heir = world_add_endpoint(world, web, network, "172.18.0.2");
    world_network_event(world, DOCKER_CONNECT, network, web);
    world_pump(world);
    assert_string_equal(world_known_endpoint(world, heir)->port, "");
    assert_false(world_bound(world, port, "172.18.0.2"));
    world_free(world);
}

/* Docker 23 and later: the network goes first, `die` comes last. */
static void die_after_cleanup(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);
    int endpoint = world_start(world, db, network, "172.18.0.2");

    (void)state;
    world_remove_link(world, world_known_endpoint(world, endpoint)->port_index);
    world->hold[FETCH_NETWORK] = true; /* the Engine is slow: the port alone ends it */
    world_pump(world);
    assert_false(world_address_live(world, "172.18.0.2"));
    world->endpoints[endpoint].live = false;
    world_release(world, FETCH_NETWORK);
    world_network_event(world, DOCKER_DISCONNECT, network, db);
    world_pump(world);
    world->containers[db].listed_running = false;
    world_container_event(world, DOCKER_DIE, db);
    world_pump(world);
    world->containers[db].exists = false;
    world_container_event(world, DOCKER_DESTROY, db);
    world_pump(world);
    assert_null(world_known(world, db));
    world_check_fresh(world, false);
    world_free(world);
}

/* The Engine still lists an endpoint whose port is gone: it stays ended. */
static void an_ended_endpoint_stays_ended(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);
    int endpoint = world_start(world, db, network, "172.18.0.2");

    (void)state;
    world_remove_link(world, world_known_endpoint(world, endpoint)->port_index);
    world_pump(world);
    world_wait(world, 130 * SECONDS);
    assert_false(world_address_live(world, "172.18.0.2"));
    assert_null(world_known_endpoint(world, endpoint)->id);
    world_free(world);
}

/* Docker gives the address to the next container before it says that the former owner has left. */
static void a_late_disconnect_does_not_touch_the_next_owner(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int web = world_add_container(world, "web", network), db = world_add_container(world, "db", network);
    int first = world_start(world, web, network, "172.18.0.2");

    (void)state;
    world_remove_link(world, world_known_endpoint(world, first)->port_index);
    world->endpoints[first].live = false;
    world_pump(world);
    assert_false(world_address_live(world, "172.18.0.2"));
    int second = world_start(world, db, network, "172.18.0.2");
    assert_true(world_address_live(world, "172.18.0.2"));
    assert_string_equal(world_known_endpoint(world, second)->id, world->endpoints[second].id);
    size_t n_ops = world->n_ops;
    world_network_event(world, DOCKER_DISCONNECT, network, web);
    world_container_event(world, DOCKER_DIE, web);
    world_pump(world);
    assert_true(world_address_live(world, "172.18.0.2"));
    assert_true(world_bound(world, world_known_endpoint(world, second)->port_index, "172.18.0.2"));
    assert_int_equal(world->n_ops, n_ops);
    world_check_fresh(world, true);
    world_free(world);
}

/* The same, when the port's end was not seen and one answer shows the new owner in place of the old. */
static void an_address_passes_to_its_next_owner_in_one_change(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int web = world_add_container(world, "web", network), db = world_add_container(world, "db", network);

    (void)state;
    world->endpoints[world_start(world, web, network, "172.18.0.2")].live = false;
    int second = world_add_endpoint(world, db, network, "172.18.0.2");
    size_t before = world->n_applied[APPLY_ELEMENTS];
    world_container_event(world, DOCKER_CREATE, db);
    world_network_event(world, DOCKER_CONNECT, network, db);
    world_pump(world);
    assert_true(world->n_applied[APPLY_ELEMENTS] > before);
    assert_true(world_address_live(world, "172.18.0.2"));
    /* the old port was the former owner's: the same MAC behind it proves nothing */
    assert_string_equal(world_known_endpoint(world, second)->port, "");
    world_check_fresh(world, true);
    world_free(world);
}

static void rename_changes_who_is_selected(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "0123456789ab_db", network);

    (void)state;
    world_start(world, db, network, "172.18.0.2");
    size_t before = world->n_applied[APPLY_ELEMENTS];
    strcpy(world->containers[db].name, "db");
    world_container_event(world, DOCKER_RENAME, db);
    world_pump(world);
    assert_string_equal(world_known(world, db)->name, "db");
    assert_true(world->n_applied[APPLY_ELEMENTS] > before);
    world_check_fresh(world, false);
    world_free(world);
}

static void network_connect_and_disconnect_at_run_time(void **state)
{
    int backend;
    struct world *world = started(shop, &backend);
    int front = world_add_network(world, "front", "br-front");
    int web = world_add_container(world, "web", backend);

    (void)state;
    world_network_event(world, DOCKER_CREATE, front, -1);
    world_pump(world);
    world_start(world, web, backend, "172.18.0.2");
    int second =
        world_start(world, web, front, "172.19.0.2"); /* not in its settings until it is listed again */
    assert_true(world_address_live(world, "172.18.0.2"));
    assert_true(world_address_live(world, "172.19.0.2"));
    world_check_fresh(world, true);
    world_remove_link(world, world_known_endpoint(world, second)->port_index);
    world->endpoints[second].live = false;
    world_network_event(world, DOCKER_DISCONNECT, front, web);
    world_network_event(world, DOCKER_DISCONNECT, front, web);
    world_pump(world);
    assert_true(world_address_live(world, "172.18.0.2"));
    assert_false(world_address_live(world, "172.19.0.2"));
    world->networks[front].exists = false;
    world_remove_link(world, world->networks[front].bridge_index);
    world_network_event(world, DOCKER_DESTROY, front, -1);
    world_pump(world);
    world_check_fresh(world, false);
    world_free(world);
}

/* `docker network disconnect none` and `connect backend`: the Engine goes on saying `none`. */
static void a_container_that_leaves_none_has_a_network(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", -1);

    (void)state;
    world->containers[db].none_mode = true;
    world_container_event(world, DOCKER_CREATE, db);
    world_pump(world);
    assert_int_equal(world_known(world, db)->mode, NETMODE_NONE);
    world->containers[db].networks[0] = network;
    int endpoint = world_start(world, db, network, "172.18.0.2");
    assert_int_equal(world_known(world, db)->mode, NETMODE_BRIDGE);
    world_wait(world, 61 * SECONDS);
    assert_int_equal(world_known(world, db)->mode, NETMODE_BRIDGE);
    world_stop(world, endpoint);
    assert_int_equal(world_known(world, db)->mode, NETMODE_NONE);
    world_free(world);
}

/* ---- labels ------------------------------------------------------------------------------------------- */

/* The Engine tells of it before the old name is gone. */
static void a_rename_is_followed_though_the_old_name_is_still_there(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);

    (void)state;
    world_start(world, db, network, "172.18.0.2");
    world->containers[db].two_names = true;
    world_container_event(world, DOCKER_RENAME, db);
    world_pump(world);
    size_t fetches = world->n_fetches;
    world_wait(world, 50 * SECONDS); /* it may never go: no reason to ask all the time */
    assert_in_range(world->n_fetches - fetches, 5, 20);
    world_container_event(world, DOCKER_RENAME, db);
    world->containers[db].two_names = false;
    world_pump(world);
    world->containers[db].two_names = true;
    world_container_event(world, DOCKER_RENAME, db);
    world_pump(world);
    strcpy(world->containers[db].name, "other");
    world->containers[db].two_names = false;
    world_wait(world, SECONDS / 10);
    assert_string_equal(world_known(world, db)->name, "other");
    world_check_fresh(world, false);
    world_free(world);
}

static void labels_count_once_the_image_is_known(void **state)
{
    int network;
    struct world *world = started(by_label, &network);
    int db = world_add_container(world, "db", network);

    (void)state;
    world->containers[db].label_key = "role";
    world->containers[db].label_value = "db";
    world->hold[FETCH_IMAGE] = true;
    world_container_event(world, DOCKER_CREATE, db);
    world_start(world, db, network, "172.18.0.2");
    assert_true(world_address_live(world, "172.18.0.2"));
    assert_null(container_label(world_known(world, db), "role"));
    world_check_fresh(world, true);
    world_release(world, FETCH_IMAGE);
    assert_string_equal(container_label(world_known(world, db), "role"), "db");
    world_check_fresh(world, false);
    world_free(world);
}

/* Whom a policy denies something by a label has nothing before the labels are known, and keeps no connection. */
static void what_labels_deny_is_never_granted(void **state)
{
    static const char policies[] = "policy: all\n"
                                   "select: {all: true}\n"
                                   "ingress:\n"
                                   "  - from: [host]\n"
                                   "---\n"
                                   "policy: not-db\n"
                                   "select: {labels: {role: db}}\n"
                                   "ingress:\n"
                                   "  - from: [host]\n"
                                   "    deny: true\n";
    int network;
    struct world *world = started(policies, &network);
    int db = world_add_container(world, "db", network);

    (void)state;
    world->containers[db].label_key = "role";
    world->containers[db].label_value = "db";
    world->hold[FETCH_IMAGE] = true;
    world_container_event(world, DOCKER_CREATE, db);
    world_start(world, db, network, "172.18.0.2");
    assert_false(world_address_live(world, "172.18.0.2"));
    size_t flows = world->n_flows;
    world_wait(world, 5 * SECONDS);
    assert_int_equal(world->n_flows, flows);
    brain_load_policies(world->brain, world_policies(policies), world->now);
    world_pump(world);
    assert_false(world_address_live(world, "172.18.0.2"));
    world_release(world, FETCH_IMAGE);
    assert_true(world_address_live(world, "172.18.0.2"));
    world_check_fresh(world, false);
    world_free(world);
}

/* An image that cannot be read has no container wait for ever, and what its labels turn out to deny ends. */
static void what_labels_deny_late_ends(void **state)
{
    int network;
    struct world *world = started(by_label, &network);
    int db = world_add_container(world, "db", network);

    (void)state;
    world->settings->default_mode = world->brain->options.default_mode = MODE_AUDIT;
    brain_load_policies(world->brain, world_policies(by_label), world->now);
    world_pump(world);
    world->containers[db].label_key = "role";
    world->containers[db].label_value = "db";
    world->image_error = -EIO;
    world_start(world, db, network, "172.18.0.2");
    assert_true(world_address_live(world, "172.18.0.2"));
    size_t flows = world->n_flows;
    world->image_error = 0;
    world_wait(world, 40 * SECONDS);
    assert_true(world_known(world, db)->labels_known);
    assert_true(world->n_flows > flows);
    world_free(world);
}

static void labels_of_the_image_never_count(void **state)
{
    int network;
    struct world *world = started(by_label, &network);
    int db = world_add_container(world, "db", network);

    (void)state;
    world->containers[db].label_key = world->image_label_key = "role";
    world->containers[db].label_value = world->image_label_value = "db";
    world_start(world, db, network, "172.18.0.2");
    assert_true(world_known(world, db)->labels_known);
    assert_null(container_label(world_known(world, db), "role"));
    world_wait(world, 130 * SECONDS);
    assert_null(container_label(world_known(world, db), "role"));
    world_check_fresh(world, true);
    world_free(world);
}

static void labels_of_an_unreadable_image_are_not_trusted(void **state)
{
    int network;
    struct world *world = started(by_label, &network);
    int db = world_add_container(world, "db", network);

    (void)state;
    world->image_error = -ENOENT;
    world->containers[db].label_key = "role";
    world->containers[db].label_value = "db";
    world_start(world, db, network, "172.18.0.2");
    assert_null(container_label(world_known(world, db), "role"));
    assert_true(has_problem(world, "labels of container db do not count"));
    world->image_error = 0;
    world_wait(world, 61 * SECONDS);
    assert_string_equal(container_label(world_known(world, db), "role"), "db");
    assert_false(has_problem(world, "labels of container db"));
    world_free(world);
}

static void trust_asks_no_image(void **state)
{
    struct world *world = world_new(by_label, NULL);

    (void)state;
    world->settings->trust_image_labels = true;
    world->hold[FETCH_IMAGE] = true;
    int db = world_add_container(world, "db", world_add_network(world, "backend", "br-backend"));
    world->containers[db].label_key = "role";
    world->containers[db].label_value = "db";
    world_pump(world);
    assert_int_equal(world->n_held, 0);
    assert_string_equal(container_label(world_known(world, db), "role"), "db");
    world_free(world);
}

/* ---- ports -------------------------------------------------------------------------------------------- */

static void a_port_whose_mac_comes_late_is_asked_again(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);
    unsigned port = world_add_link(world, "veth1", world->networks[network].bridge_index, false);

    (void)state;
    world_pump(world);
    world_check_fresh(world, true); /* closed at once, whoever it is */
    int endpoint = world_add_endpoint(world, db, network, "172.18.0.2");
    world_network_event(world, DOCKER_CONNECT, network, db);
    world_pump(world);
    assert_string_equal(world_known_endpoint(world, endpoint)->port, "");
    assert_true(has_problem(world, "no port found for container db"));
    assert_false(world_bound(world, port, "172.18.0.2"));
    world_link(world, port)->peer = world->endpoints[endpoint].mac;
    world_link(world, port)->has_peer = true;
    world_wait(world, 1 * SECONDS); /* no notification: time alone */
    assert_string_equal(world_known_endpoint(world, endpoint)->port, "veth1");
    assert_true(world_bound(world, port, "172.18.0.2"));
    assert_false(has_problem(world, "no port found"));
    world_check_fresh(world, true);
    world_free(world);
}

static void asking_has_a_bound(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);

    (void)state;
    world_add_link(world, "veth1", world->networks[network].bridge_index, false);
    world_add_endpoint(world, db, network, "172.18.0.2");
    world_network_event(world, DOCKER_CONNECT, network, db);
    world_pump(world);
    world_wait(world, 300 * SECONDS);
    size_t n = world->n_peer_queries;
    assert_in_range(n, 20, 60);
    world_wait(world, 600 * SECONDS);
    assert_in_range(world->n_peer_queries - n, 1, 40); /* with each resync */
    world_free(world);
}

/* A container that may change its MAC address cannot become another one. */
static void a_found_port_is_never_another_containers(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int web = world_add_container(world, "web", network), db = world_add_container(world, "db", network);
    int first = world_start(world, web, network, "172.18.0.2");
    unsigned port = world_known_endpoint(world, first)->port_index;

    (void)state;
    int second = world_add_endpoint(world, db, network, "172.18.0.3");
    world_link(world, port)->peer = world->endpoints[second].mac;
    world_report_link(world, port);
    world_pump(world);
    world_network_event(world, DOCKER_CONNECT, network, db);
    world_pump(world);
    assert_int_equal(world_known_endpoint(world, first)->port_index, port);
    assert_string_equal(world_known_endpoint(world, second)->port, "");
    assert_false(world_bound(world, port, "172.18.0.3"));
    assert_true(world_bound(world, port, "172.18.0.2"));
    world_free(world);
}

static void two_ports_with_one_mac_are_nobodys(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);
    int endpoint = world_add_endpoint(world, db, network, "172.18.0.2");

    (void)state;
    for (int i = 0; i < 2; i++) {
        unsigned port =
            world_add_link(world, i ? "veth2" : "veth1", world->networks[network].bridge_index, false);
        world_link(world, port)->peer = world->endpoints[endpoint].mac;
        world_link(world, port)->has_peer = true;
    }
    world_network_event(world, DOCKER_CONNECT, network, db);
    world_pump(world);
    assert_string_equal(world_known_endpoint(world, endpoint)->port, "");
    world_free(world);
}

static void an_old_port_is_not_a_new_endpoints(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);
    unsigned port = world_add_link(world, "veth1", world->networks[network].bridge_index, false);

    (void)state;
    world_wait(world, 100 * SECONDS);
    int endpoint = world_add_endpoint(world, db, network, "172.18.0.2");
    world_link(world, port)->peer = world->endpoints[endpoint].mac;
    world_link(world, port)->has_peer = true;
    world_report_link(world, port);
    world_network_event(world, DOCKER_CONNECT, network, db);
    world_pump(world);
    assert_string_equal(world_known_endpoint(world, endpoint)->port, "");
    world_free(world);
}

/* The next owner of the address has the same MAC; its port is not its predecessor's, whose end is not known
 * yet. */
static void a_new_port_is_not_an_old_endpoints(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int web = world_add_container(world, "web", network), db = world_add_container(world, "db", network);
    int first = world_add_endpoint(world, web, network, "172.18.0.2");

    (void)state;
    world_network_event(world, DOCKER_CONNECT, network, web);
    world_pump(world);
    assert_string_equal(world_known_endpoint(world, first)->port, "");
    world_wait(world, 10 * SECONDS);
    world->hold[FETCH_NETWORK] = true;
    unsigned port = world_add_link(world, "veth2", world->networks[network].bridge_index, false);
    world_link(world, port)->peer = world->endpoints[first].mac;
    world_link(world, port)->has_peer = true;
    world_report_link(world, port);
    world_pump(world);
    assert_string_equal(world_known_endpoint(world, first)->port, "");
    world->endpoints[first].live = false;
    int second = world_add_endpoint(world, db, network, "172.18.0.2");
    world_release(world, FETCH_NETWORK);
    assert_string_equal(world_known_endpoint(world, second)->port, "veth2");
    world_check_fresh(world, false);
    world_free(world);
}

/* Its first endpoint is gone for seconds and it is still there: then it never was that endpoint's. */
static void a_port_found_by_mistake_is_given_up(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int web = world_add_container(world, "web", network), db = world_add_container(world, "db", network);
    int first = world_start(world, web, network, "172.18.0.2");

    (void)state;
    world->endpoints[first].live = false;
    int second = world_add_endpoint(world, db, network, "172.18.0.2");
    world_network_event(world, DOCKER_CONNECT, network, db);
    world_pump(world);
    assert_string_equal(world_known_endpoint(world, second)->port, "");
    world_wait(world, 1 * SECONDS);
    assert_string_equal(world_known_endpoint(world, second)->port, "");
    world_wait(world, 2 * SECONDS);
    assert_string_not_equal(world_known_endpoint(world, second)->port, "");
    world_check_fresh(world, true);
    world_free(world);
}

static void a_port_that_leaves_its_bridge_is_bound_to_nothing(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);
    int endpoint = world_start(world, db, network, "172.18.0.2");
    unsigned port = world_known_endpoint(world, endpoint)->port_index;

    (void)state;
    size_t flows = world->n_flows;
    world_link(world, port)->link.master = 0;
    world_report_link(world, port);
    world_wait(world, 1 * SECONDS);
    assert_false(world_bound(world, port, "172.18.0.2"));
    assert_false(world_address_live(world, "172.18.0.2"));
    assert_int_equal(world->n_flows, flows + 1);
    world_check_fresh(world, true);
    world_link(world, port)->link.master = world->networks[network].bridge_index;
    world_report_link(world, port);
    world_pump(world);
    assert_true(world_bound(world, port, "172.18.0.2"));
    world_check_fresh(world, true);
    world_free(world);
}

static bool is_known_port(struct world *world, unsigned port)
{
    return ruleset_has_port(world->kernel, world_link(world, port)->link.name);
}

/* What a container sends when its bridge is gone is routed, if at all, as if from outside. */
static void a_port_without_its_bridge_is_no_stranger(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int endpoint = world_start(world, world_add_container(world, "db", network), network, "172.18.0.2");
    unsigned port = world_known_endpoint(world, endpoint)->port_index;
    unsigned other = world_add_link(world, "br-other", 0, true),
             plain = world_add_link(world, "veth-x", 0, false);

    (void)state;
    world_link(world, port)->link.master = 0;
    world_report_link(world, port);
    world_pump(world);
    assert_true(is_known_port(world, port));
    assert_false(is_known_port(world, plain));
    world_restart(world, shop);
    world_pump(world);
    assert_true(is_known_port(world, port));
    assert_false(is_known_port(world, plain));
    strcpy(world_link(world, port)->link.name, "renamed");
    world_report_link(world, port);
    world_pump(world);
    assert_true(is_known_port(world, port));
    world_link(world, port)->link.master = other; /* somebody gave it to another bridge: theirs */
    world_report_link(world, port);
    world_pump(world);
    assert_false(is_known_port(world, port));
    world_free(world);
}

/* The Engine was killed, and something holds its containers' network namespaces. */
static void a_port_that_was_left_behind_claims_nothing(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);
    int first = world_start(world, db, network, "172.18.0.2");
    unsigned old = world_known_endpoint(world, first)->port_index;

    (void)state;
    world_engine_down(world);
    world->endpoints[first].live = false;
    world_wait(world, 5 * SECONDS);
    world->engine_there = true;
    world_wait(world, 10 * SECONDS);
    assert_true(world_link(world, old)->exists);
    int second = world_start(world, db, network, "172.18.0.2"); /* the same MAC address */
    world_wait(world, 1 * SECONDS);
    const struct endpoint *known = world_known_endpoint(world, second);
    assert_string_not_equal(known->port, "");
    assert_int_not_equal(known->port_index, old);
    world_check_fresh(world, true);
    world_free(world);
}

static void lost_notifications_are_made_up_for(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);
    int endpoint = world_start(world, db, network, "172.18.0.2");
    unsigned port = world_known_endpoint(world, endpoint)->port_index;

    (void)state;
    brain_link_reset(world->brain);
    world_report_link(world, world->networks[network].bridge_index);
    world_link(world, port)->exists = false; /* gone, and nobody said so */
    brain_link_reset_done(world->brain, world->now);
    world_pump(world);
    assert_false(world_address_live(world, "172.18.0.2"));
    world_check_fresh(world, true);
    world_free(world);
}

/* ---- bridges ------------------------------------------------------------------------------------------ */

static void bridged_packets_are_switched_on_and_kept_on(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    struct world_link *bridge = world_link(world, world->networks[network].bridge_index);

    (void)state;
    assert_true(bridge->link.switches.nf_call_iptables && bridge->link.switches.nf_call_ip6tables);
    assert_int_equal(world->n_nf_calls, 1);
    assert_false(world_logged(world, "somebody has turned"));
    bridge->link.switches.nf_call_ip6tables = false;
    world_report_link(world, bridge->link.index);
    world_pump(world);
    assert_true(bridge->link.switches.nf_call_ip6tables);
    assert_true(
        world_logged(world, "somebody has turned the filtering of bridged packets off on br-backend"));
    assert_int_equal(world->n_applied[APPLY_POLICIES], 0);
    world_free(world);
}

/* Frames that pass no hook of the bridge's: nobody shall lead another's there with them. */
static void a_bridge_learns_nothing_from_link_local_frames(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    struct world_link *bridge = world_link(world, world->networks[network].bridge_index);

    (void)state;
    assert_true(bridge->link.switches.no_linklocal_learn);
    bridge->link.switches.no_linklocal_learn = false;
    world_report_link(world, bridge->link.index);
    world_pump(world);
    assert_true(bridge->link.switches.no_linklocal_learn);
    assert_true(world_logged(world, "somebody has turned no_linklocal_learn off on br-backend"));
    assert_false(world_logged(world, "somebody has turned the filtering"));
    brain_teardown(world->brain, world->now);
    world_pump(world);
    assert_false(bridge->link.switches.no_linklocal_learn);
    world_free(world);
}

static void a_kernel_whose_bridges_learn_is_a_problem_and_no_failure(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    struct world_link *bridge = world_link(world, world->networks[network].bridge_index);
    int n_calls = world->n_nf_calls;

    (void)state;
    assert_false(has_problem(world, "no_linklocal_learn"));
    bridge->link.switches.no_linklocal_learn = bridge->link.has_no_linklocal_learn = false;
    world_report_link(world, bridge->link.index);
    world_pump(world);
    assert_int_equal(world->n_nf_calls, n_calls);
    assert_true(has_problem(world, "this kernel's bridges have no switch no_linklocal_learn (Linux 5.0)"));
    assert_true(all_enforced(world));
    world_free(world);
}

static void a_fight_over_the_switch_is_slowed_down(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    struct world_link *bridge = world_link(world, world->networks[network].bridge_index);

    (void)state;
    for (int i = 0; i < 100; i++) {
        bridge->link.switches.nf_call_iptables = false;
        world_report_link(world, bridge->link.index);
        world_pump(world);
    }
    assert_in_range(world->n_nf_calls, 5, 20);
    assert_false(bridge->link.switches.nf_call_iptables);
    world_wait(world, 2 * SECONDS);
    assert_true(bridge->link.switches.nf_call_iptables);
    world_free(world);
}

/* The rules themselves drop what they do not see: nothing about them changes, but it must be said. */
static void a_switch_that_cannot_be_set_is_said_loudly(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    struct world_link *bridge = world_link(world, world->networks[network].bridge_index);

    (void)state;
    assert_true(all_enforced(world));
    world->nf_call_error = -EPERM;
    bridge->link.switches.nf_call_ip6tables = false;
    world_report_link(world, bridge->link.index);
    world_pump(world);
    assert_true(world_logged(world, "cannot turn the filtering of bridged packets on for br-backend"));
    assert_true(has_problem(world,
                            "cannot turn the filtering of bridged packets on for br-backend (Operation "
                            "not permitted): all packets between its containers are dropped"));
    assert_false(all_enforced(world));
    assert_int_equal(world->n_applied[APPLY_POLICIES], 0);
    assert_int_equal(world->n_applied[APPLY_FULL], 1);
    world->nf_call_error = 0;
    world_wait(world, 6 * SECONDS);
    assert_false(has_problem(world, "filtering of bridged packets"));
    assert_true(all_enforced(world));
    world_free(world);
}

/* While it is put off, because it happens all the time, the bridge is closed too. */
static void a_switch_that_is_off_is_said_loudly(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    struct world_link *bridge = world_link(world, world->networks[network].bridge_index);

    (void)state;
    for (int i = 0; i < 100; i++) {
        bridge->link.switches.nf_call_iptables = false;
        world_report_link(world, bridge->link.index);
        world_pump(world);
    }
    assert_false(bridge->link.switches.nf_call_iptables);
    assert_true(has_problem(world, "the filtering of bridged packets is off on br-backend"));
    assert_false(all_enforced(world));
    world_wait(world, 2 * SECONDS);
    assert_false(has_problem(world, "filtering of bridged packets"));
    assert_true(all_enforced(world));
    world_free(world);
}

static void a_kernel_without_br_netfilter_is_said_loudly(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    world->brain->br_netfilter = false;
    assert_true(
        has_problem(world, "no br_netfilter: all packets between containers on one bridge are dropped"));
    assert_false(all_enforced(world));
    world_free(world);
}

static void bridges_that_are_gone_are_forgotten(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    for (int i = 0; i < 50; i++) {
        char name[IFNAMSIZ];
        snprintf(name, sizeof(name), "virbr%d", i);
        unsigned other = world_add_link(world, name, 0, true); /* somebody else's */
        snprintf(name, sizeof(name), "br-%d", i);
        int managed = world_add_network(world, name, name);
        world_network_event(world, DOCKER_CREATE, managed, -1);
        world_pump(world);
        assert_int_equal(HASH_COUNT(world->brain->bridges), 3);
        world->networks[managed].exists = false;
        if (i % 2)
            world_remove_link(world, world->networks[managed].bridge_index);
        world_network_event(world, DOCKER_DESTROY, managed, -1);
        world_pump(world);
        if (i % 2 == 0)
            world_remove_link(world, world->networks[managed].bridge_index);
        world_remove_link(world, other);
        world_pump(world);
        assert_int_equal(HASH_COUNT(world->brain->bridges), 1);
    }
    world_check_fresh(world, true);
    /* one whose network is still there is remembered: its ports must be closed when it comes back */
    world_remove_link(world, world->networks[network].bridge_index);
    world_pump(world);
    assert_int_equal(HASH_COUNT(world->brain->bridges), 1);
    assert_non_null(strstr(world->state, "br-backend"));
    world_free(world);
}

static void teardown_restores_what_was_changed(void **state)
{
    struct world *world = world_new(shop, NULL);
    int one = world_add_network(world, "one", "br-one"), two = world_add_network(world, "two", "br-two");

    (void)state;
    world_link(world, world->networks[two].bridge_index)->link.switches.nf_call_iptables = true;
    world_link(world, world->networks[two].bridge_index)->link.switches.nf_call_ip6tables = true;
    world_report_link(world, world->networks[two].bridge_index);
    world_pump(world);
    assert_true(world_link(world, world->networks[one].bridge_index)->link.switches.nf_call_iptables);
    brain_teardown(world->brain, world->now);
    world_pump(world);
    assert_true(brain_torn_down(world->brain));
    assert_int_equal(world->n_applied[APPLY_TEARDOWN], 1);
    assert_false(world_link(world, world->networks[one].bridge_index)->link.switches.nf_call_iptables);
    assert_false(world_link(world, world->networks[one].bridge_index)->link.switches.nf_call_ip6tables);
    assert_true(world_link(world, world->networks[two].bridge_index)->link.switches.nf_call_iptables);
    assert_null(strstr(world->state, "br-"));
    size_t n_ops = world->n_ops;
    world_start(world, world_add_container(world, "db", one), one, "172.18.0.2");
    assert_int_equal(world->n_ops, n_ops);
    world_wait(world, 100 * SECONDS); /* until the daemon ends, nothing is ever due */
    world_free(world);
}

static void a_teardown_that_is_refused_changes_nothing(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    world->apply_error = -EPERM;
    brain_teardown(world->brain, world->now);
    world_pump(world);
    assert_false(brain_torn_down(world->brain));
    assert_true(world_link(world, world->networks[network].bridge_index)->link.switches.nf_call_iptables);
    assert_non_null(strstr(world->state, "br-backend"));
    world_free(world);
}

/* ---- the Engine's coming and going -------------------------------------------------------------------- */

static void a_resync_without_news_changes_nothing(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.2");
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.3");
    world_add_container(world, "idle", network);
    world_wait(world, 61 * SECONDS);
    size_t n_ops = world->n_ops, n_saves = world->n_saves, n_fetches = world->n_fetches;
    char *log = xstrdup(world->log);
    world_wait(world, 300 * SECONDS);
    assert_int_equal(world->n_ops, n_ops);
    assert_int_equal(world->n_saves, n_saves);
    assert_string_equal(world->log, log);
    /* two lists and one network, five times */
    assert_int_equal(world->n_fetches - n_fetches, 15);
    free(log);
    world_free(world);
}

static void a_resync_finds_what_events_did_not_tell(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int web = world_add_container(world, "web", network), db = world_add_container(world, "db", network);

    (void)state;
    world->endpoints[world_start(world, web, network, "172.18.0.2")].live = false;
    world->containers[web].exists = false;
    world_add_endpoint(world, db, network, "172.18.0.3");
    world_wait(world, 61 * SECONDS);
    assert_null(world_known(world, web));
    assert_false(world_address_live(world, "172.18.0.2"));
    assert_true(world_address_live(world, "172.18.0.3"));
    world_check_fresh(world, false);
    world_free(world);
}

/* As after a restart of the container, whose ports the Engine may choose anew. */
static void published_ports_are_those_of_the_last_list(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int web = world_add_container(world, "web", network);

    (void)state;
    world_start(world, web, network, "172.18.0.2");
    world->containers[web].published = 8080;
    world_wait(world, 61 * SECONDS);
    assert_int_equal(world_known(world, web)->n_published, 1);
    assert_int_equal(world_known(world, web)->published[0].outer, 8080);
    world->containers[web].published = 8081;
    world_wait(world, 61 * SECONDS);
    assert_int_equal(world_known(world, web)->published[0].outer, 8081);
    world_check_fresh(world, false);
    world_free(world);
}

static void an_engine_that_goes_changes_nothing(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);
    int endpoint = world_start(world, db, network, "172.18.0.2");

    (void)state;
    size_t n_ops = world->n_ops, n_connects = world->n_connects;
    world_engine_down(world);
    world_wait(world, 60 * SECONDS);
    assert_int_equal(world->n_ops, n_ops);
    assert_true(world_address_live(world, "172.18.0.2"));
    /* 0.1 s, doubling to 5 s: for ever, but not faster */
    assert_in_range(world->n_connects - n_connects, 12, 20);
    /* what the kernel tells still counts */
    world_remove_link(world, world_known_endpoint(world, endpoint)->port_index);
    world_pump(world);
    assert_false(world_address_live(world, "172.18.0.2"));
    world_free(world);
}

static void an_engine_that_comes_back_unchanged_changes_nothing(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.2");
    size_t n_ops = world->n_ops;
    world_engine_down(world);
    world_wait(world, 10 * SECONDS);
    world->engine_there = true;
    world_wait(world, 10 * SECONDS);
    assert_true(world->brain->connected);
    assert_int_equal(world->n_ops, n_ops);
    world_check_fresh(world, true);
    world_free(world);
}

/* dockerd restarts: its default network gets another ID, and the containers come back with each other's
 * addresses. */
static void an_engine_that_comes_back_with_swapped_addresses(void **state)
{
    struct world *world = world_new(shop, NULL);
    int network = world_add_network(world, "bridge", "docker0");
    int web = world_add_container(world, "web", network), db = world_add_container(world, "db", network);

    (void)state;
    world_pump(world);
    int a = world_start(world, web, network, "172.17.0.2"), b = world_start(world, db, network, "172.17.0.3");
    world_engine_down(world);
    world_remove_link(world, world_known_endpoint(world, a)->port_index);
    world_remove_link(world, world_known_endpoint(world, b)->port_index);
    world_pump(world);
    assert_false(world_address_live(world, "172.17.0.2"));
    assert_false(world_address_live(world, "172.17.0.3"));
    world->endpoints[a].live = world->endpoints[b].live = false;
    strcpy(world->networks[network].id, "b" /* another */);
    memset(world->networks[network].id + 1, '0', 63);
    a = world_add_endpoint(world, web, network, "172.17.0.3");
    b = world_add_endpoint(world, db, network, "172.17.0.2");
    for (int i = 0; i < 2; i++) {
        unsigned port =
            world_add_link(world, i ? "veth91" : "veth90", world->networks[network].bridge_index, false);
        world_link(world, port)->peer = world->endpoints[i ? b : a].mac;
        world_link(world, port)->has_peer = true;
    }
    world_pump(world);
    assert_false(world_address_live(world, "172.17.0.2"));
    world->engine_there = true;
    world_wait(world, 6 * SECONDS);
    assert_true(world_address_live(world, "172.17.0.2"));
    assert_string_equal(world_known_endpoint(world, a)->port, "veth90");
    assert_string_equal(world_known_endpoint(world, b)->port, "veth91");
    world_check_fresh(world, false);
    world_free(world);
}

/* A list that was made before a container's creation arrives after the answer about that container. */
static void a_late_list_does_not_undo_newer_answers(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    struct container_list early = {0};
    int db;

    (void)state;
    world->hold[FETCH_CONTAINERS] = true;
    brain_resync(world->brain, world->now);
    world_pump(world);
    db = world_add_container(world, "db", network);
    world_start(world, db, network, "172.18.0.2");
    assert_true(world_address_live(world, "172.18.0.2"));
    brain_containers(world->brain, &early, world->now); /* empty */
    world_pump(world);
    assert_true(world_address_live(world, "172.18.0.2"));
    assert_non_null(world_known(world, db));
    world_free(world);
}

/* An event that comes while its network is being read has it read again. */
static void an_event_during_an_answer_asks_again(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    struct network_detail stale = {0};
    int db = world_add_container(world, "db", network);

    (void)state;
    world->hold[FETCH_NETWORK] = true;
    world_network_event(world, DOCKER_CONNECT, network, db);
    world_pump(world);
    assert_int_equal(world->n_held, 1);
    world_add_endpoint(world, db, network, "172.18.0.2");
    world_network_event(world, DOCKER_CONNECT, network, db);
    world_pump(world);
    assert_int_equal(world->n_held, 1); /* not two at once */
    stale.network = network_new();
    stale.network->id = xstrdup(world->networks[network].id);
    stale.network->name = xstrdup("backend");
    stale.network->driver = xstrdup("bridge");
    stale.network->scope = xstrdup("local");
    stale.network->bridge = xstrdup("br-backend");
    brain_network(world->brain, world->networks[network].id, &stale, world->now);
    free(world->held[0].id);
    world->n_held = 0;
    world->hold[FETCH_NETWORK] = false;
    world_pump(world);
    assert_true(world_address_live(world, "172.18.0.2"));
    world_free(world);
}

/* ---- policies and the kernel -------------------------------------------------------------------------- */

static void a_reload_is_one_change_to_the_new_policies(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    size_t changes;

    (void)state;
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.2");
    brain_load_policies(world->brain, world_policies(by_label), world->now);
    world_pump(world);
    assert_int_equal(brain_policies_result(world->brain, &changes, NULL), 0);
    assert_true(changes > 0);
    assert_int_equal(world->n_applied[APPLY_POLICIES], 1);
    assert_int_equal(world->n_applied[APPLY_FULL], 1);
    assert_string_equal(brain_policies(world->brain)->policies[0].name, "labelled");
    world_check_fresh(world, true);

    brain_load_policies(world->brain, world_policies(by_label), world->now);
    world_pump(world);
    assert_int_equal(brain_policies_result(world->brain, &changes, NULL), 0);
    assert_int_equal(changes, 0);
    assert_int_equal(world->n_applied[APPLY_POLICIES], 1);
    world_free(world);
}

static void a_reload_that_the_kernel_refuses_leaves_the_old_policies(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    const char *message;
    size_t changes;

    (void)state;
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.2");
    world->apply_refuses_policies = true;
    brain_load_policies(world->brain, world_policies(by_label), world->now);
    world_pump(world);
    assert_int_equal(brain_policies_result(world->brain, &changes, &message), -EINVAL);
    assert_string_equal(message, "the kernel says no");
    assert_int_equal(brain_policies(world->brain)->n_policies, 2);
    world_check_fresh(world, true);
    world_start(world, world_add_container(world, "web", network), network,
                "172.18.0.3"); /* goes on as before */
    world_check_fresh(world, true);
    world_free(world);
}

/* What is in force is what the kernel has taken, not what the brain was told last. */
static void policies_are_in_force_when_the_kernel_holds_them(void **state)
{
    struct world *world = world_new(shop, NULL);

    (void)state;
    assert_false(brain_policies_in_force(world->brain));
    int network = world_add_network(world, "backend", "br-backend");
    world_pump(world);
    assert_true(brain_policies_in_force(world->brain));
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.2");
    world->apply_refuses_policies = true;
    brain_load_policies(world->brain, world_policies(by_label), world->now);
    assert_false(brain_policies_in_force(world->brain));
    world_pump(world);
    assert_true(brain_policies_in_force(world->brain)); /* those before */
    assert_string_equal(brain_policies(world->brain)->policies[0].name, "db");
    world->apply_refuses_policies = false;

    world->apply_always = -ENOMEM;
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.3");
    assert_false(brain_policies_in_force(world->brain)); /* a part may have gone in */
    world->apply_always = 0;
    world_wait(world, 60 * SECONDS);
    assert_true(brain_policies_in_force(world->brain));
    brain_teardown(world->brain, world->now);
    world_pump(world);
    assert_false(brain_policies_in_force(world->brain));
    world_free(world);
}

/* With rules of an earlier daemon's in the kernel, and an Engine that does not answer. */
static void policies_that_wait_for_the_engine_are_not_in_force(void **state)
{
    struct world *world = world_new_on(world_tables(), shop, NULL);

    (void)state;
    world->engine_there = false;
    world_pump(world);
    world_wait(world, 60 * SECONDS);
    assert_true(world->ready);
    assert_false(brain_policies_in_force(world->brain));
    brain_load_policies(world->brain, world_policies(by_label), world->now);
    world_pump(world);
    assert_false(brain_policies_in_force(world->brain));
    world->engine_there = true;
    world_wait(world, 60 * SECONDS);
    assert_true(brain_policies_in_force(world->brain));
    assert_string_equal(brain_policies(world->brain)->policies[0].name, "labelled");
    world_free(world);
}

/* The kernel takes no rules but those that deny all: the set in force is none that was read. */
static void the_policies_that_deny_all_were_never_read(void **state)
{
    struct world *world = world_new(shop, NULL);

    (void)state;
    assert_true(brain_policies(world->brain)->finished);
    world->apply_error = -EINVAL;
    world_pump(world);
    assert_true(brain_policies_in_force(world->brain));
    assert_int_equal(brain_policies(world->brain)->n_policies, 0);
    assert_false(brain_policies(world->brain)->finished);
    world_free(world);
}

static void tables_that_somebody_changed_are_loaded_again(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    static const int errors[] = {-ENOENT, -EEXIST};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        world->apply_error = errors[i];
        world_start(world, world_add_container(world, i ? "web" : "db", network), network,
                    i ? "172.18.0.3" : "172.18.0.2");
        assert_int_equal(world->n_applied[APPLY_FULL], 2 + i);
    }
    assert_true(world_logged(world, "all rules are loaded again"));
    world_check_fresh(world, true);

    world->apply_error = -ENOENT; /* the same at a reload */
    brain_load_policies(world->brain, world_policies(by_label), world->now);
    world_pump(world);
    assert_int_equal(brain_policies_result(world->brain, NULL, NULL), 0);
    assert_int_equal(world->n_applied[APPLY_POLICIES], 2); /* what changes, and then all there is */
    assert_int_equal(world->n_applied[APPLY_FULL], 3);
    assert_string_equal(brain_policies(world->brain)->policies[0].name, "labelled");
    world_check_fresh(world, true);
    world_free(world);
}

/* Of a delta in several transactions, some may have gone in: nothing but what is read back is sure. */
static void whatever_fails_has_everything_read_again(void **state)
{
    static const int errors[] = {-EINVAL, -ENOMEM, -EMLINK, -ENOBUFS, -EIO, -EBUSY};
    int network;
    struct world *world = started(shop, &network);
    const char *message;

    (void)state;
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.2");
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        char name[16], ip[16];
        snprintf(name, sizeof(name), "web%zu", i);
        snprintf(ip, sizeof(ip), "172.18.0.%zu", i + 3);
        size_t n = world->n_applied[APPLY_FULL];
        world->apply_error = errors[i];
        world_start(world, world_add_container(world, name, network), network, ip);
        assert_int_equal(world->n_applied[APPLY_FULL], n + 1);
        world_check_fresh(world, true);

        world->apply_error = errors[i];
        brain_load_policies(world->brain, world_policies(by_label), world->now);
        world_pump(world);
        assert_int_equal(brain_policies_result(world->brain, NULL, &message), errors[i]);
        assert_string_equal(message, "the kernel says no");
        assert_int_equal(world->n_applied[APPLY_FULL], n + 1); /* what stands was read, and is right */
        assert_string_equal(brain_policies(world->brain)->policies[0].name, "db");
        world_check_fresh(world, true);
    }
    assert_true(world_logged(world, "those in force stay in force"));
    world_free(world);
}

/* What is swept are chains and sets of containers that are gone. */
static void a_refused_sweep_goes_in_with_all_the_rest(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);

    (void)state;
    world_stop(world, world_start(world, db, network, "172.18.0.2"));
    world->containers[db].exists = false;
    world_container_event(world, DOCKER_DESTROY, db);
    world_pump(world);
    world->brain->n_removed = SWEEP_AFTER;
    world->apply_error = -EINVAL;
    brain_resync(world->brain, world->now);
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_POLICIES], 1);
    assert_int_equal(world->n_applied[APPLY_FULL], 2);
    assert_false(world->brain->need_full);
    world_check_fresh(world, true);
    world_free(world);
}

static void policies_behind_a_load_that_fails_are_not_kept_for_later(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    world->apply_always = -ENOMEM;
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.2");
    assert_true(world->brain->need_full);
    brain_load_policies(world->brain, world_policies(by_label), world->now);
    world_pump(world);
    assert_int_equal(brain_policies_result(world->brain, NULL, NULL), -ENOMEM);
    assert_int_equal(world->n_applied[APPLY_POLICIES], 1);
    assert_string_equal(brain_policies(world->brain)->policies[0].name, "db");
    world->apply_always = 0;
    world_wait(world, 60 * SECONDS);
    assert_false(world->brain->need_full);
    assert_string_equal(brain_policies(world->brain)->policies[0].name, "db");
    assert_int_equal(world->n_applied[APPLY_POLICIES], 1);
    world_check_fresh(world, true);

    /* and those that come when the kernel has recovered are not made to wait */
    world->apply_always = -ENOMEM;
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.3");
    world->apply_always = 0;
    brain_load_policies(world->brain, world_policies(by_label), world->now);
    world_pump(world);
    assert_int_equal(brain_policies_result(world->brain, NULL, NULL), 0);
    assert_false(world->brain->need_full);
    assert_string_equal(brain_policies(world->brain)->policies[0].name, "labelled");
    world_check_fresh(world, true);
    world_free(world);
}

/* ---- others ------------------------------------------------------------------------------------------- */

static const struct nft_change by_nft = {.process = "nft", .pid = 123};

static void take_bridges(struct world *world)
{
    struct set *bridges = table_set(&world->kernel->tables[TABLE_INET], "bridges");

    if (bridges->elements)
        set_remove(bridges, bridges->elements->key);
}

static void tamper(struct world *world)
{
    take_bridges(world);
    brain_tables_changed(world->brain, &by_nft, world->now);
}

/* Carries out what comes before the next ACTION_APPLY, which the caller frees. */
static struct action *until_apply(struct world *world)
{
    for (int i = 0; i < 100; i++) {
        struct action *action = brain_pop(world->brain);
        if (action && action->kind == ACTION_APPLY)
            return action;
        if (action)
            world_act(world, action);
        else
            brain_flush(world->brain, world->now);
    }
    fail_msg("nothing is applied");
    return NULL;
}

static void what_others_change_is_loaded_again_at_once(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    bool enforced;

    (void)state;
    assert_false(has_problem(world, "another program"));
    assert_false(brain_has_repairs(world->brain));
    tamper(world);
    assert_true(brain_has_repairs(world->brain));
    json_decref(status(world, &enforced));
    assert_false(enforced);
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_FULL], 2);
    assert_false(world->replaced);
    assert_false(brain_has_repairs(world->brain));
    world_check_fresh(world, true);
    assert_true(world_logged(
        world, "another program (nft, pid 123) has changed Cofferdam's rules; what differs is put right"));
    json_decref(status(world, &enforced));
    assert_true(enforced);
    assert_true(has_problem(world, "has changed Cofferdam's rules 1 time since"));
    world_wait(world, 5 * SECONDS);
    size_t reads = world->n_reads;
    brain_tables_changed(world->brain, &(struct nft_change){.lost = true}, world->now);
    world_wait(world, 1000);
    assert_int_equal(world->n_reads, reads + 1); /* perhaps ours: it was looked at, and is right */
    assert_int_equal(world->n_applied[APPLY_FULL], 2);
    take_bridges(world);
    brain_tables_changed(world->brain, &(struct nft_change){.lost = true}, world->now);
    world_wait(world, 1000);
    assert_int_equal(world->n_applied[APPLY_FULL], 3);
    assert_true(has_problem(world, "has changed Cofferdam's rules 2 times since"));
    world->unmendable = true;
    brain_tables_changed(world->brain, &by_nft, world->now);
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_FULL], 4);
    assert_true(world->replaced);
    world_wait(world, 50 * SECONDS);
    assert_int_equal(world->n_applied[APPLY_FULL], 4);
    world_check_fresh(world, true);
    world_free(world);
}

/* Whatever is wrong with mending them, replacing them is tried. */
static void tables_that_cannot_be_mended_are_replaced(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    tamper(world);
    world->apply_error = -EBUSY;
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_FULL], 3);
    assert_true(world->replaced);
    assert_true(world_logged(world, "cannot be mended"));
    world_check_fresh(world, true);
    world->read_error = -EAGAIN;
    tamper(world);
    world_wait(world, 1 * SECONDS);
    assert_true(world_logged(world, "cannot be read"));
    assert_true(world->replaced);
    world_check_fresh(world, true);
    size_t n = world->n_applied[APPLY_FULL];
    world_wait(world, 130 * SECONDS); /* the minute's check fails: that alone is no reason */
    assert_int_equal(world->n_applied[APPLY_FULL], n);
    world->read_error = 0;
    world_wait(world, 70 * SECONDS);
    assert_int_equal(world->n_applied[APPLY_FULL], n);
    world_free(world);
}

/* Containers start by the dozen, and with each the Engine changes tables of its own. */
static void changes_of_other_tables_have_nothing_replaced(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.2");
    world_restart(world, by_label);
    world->reads_interrupted = 5;
    world_wait(world, 1 * SECONDS);
    assert_false(world->replaced);
    assert_int_equal(world->n_flows_left, 1);
    assert_int_equal(world->n_reads, 7); /* the first at the start of all, where nothing stood */
    world->reads_interrupted = 5;
    world_wait(world, 65 * SECONDS); /* the minute's check */
    assert_int_equal(world->n_reads, 13);
    world->reads_interrupted = 5;
    size_t n = world->n_applied[APPLY_FULL];
    tamper(world);
    world_wait(world, 1 * SECONDS);
    assert_int_equal(world->n_applied[APPLY_FULL], n + 1);
    assert_false(world->replaced);
    assert_false(world_logged(world, "cannot be read"));
    world_check_fresh(world, true);
    world_free(world);
}

static bool has_standby(const struct world *world)
{
    return world->kernel->tables[TABLE_INET].standby || world->kernel->tables[TABLE_BRIDGE].standby;
}

/* The kernel takes the standby and not what it stands for: it is tried again, and then the standby goes. */
static void a_standby_goes_when_the_tables_are_in_line(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    world->unmendable = true;
    world->apply_error = -ENOMEM;
    world->apply_phases = PHASE_SWITCH;
    brain_tables_changed(world->brain, &by_nft, world->now);
    struct action *action = until_apply(world);
    world_act(world, action);
    assert_true(has_standby(world));
    world_wait(world, 2 * SECONDS);
    assert_false(has_standby(world));
    assert_false(world->unmendable);
    world_check_fresh(world, true);

    size_t n_ops = world->n_ops;
    world->kernel->tables[TABLE_BRIDGE].standby = true; /* another daemon was killed before it could */
    world_restart(world, shop);
    world_wait(world, 2 * SECONDS);
    assert_false(has_standby(world));
    assert_false(world->replaced);
    assert_int_equal(world->n_ops, n_ops + 2); /* the two tables, and nothing else */
    world_restart(world, shop);
    world_wait(world, 2 * SECONDS);
    assert_int_equal(world->n_ops, n_ops + 2);

    world->kernel->tables[TABLE_INET].standby = true; /* the minute's check finds it too */
    world_wait(world, 61 * SECONDS);
    assert_false(has_standby(world));
    world_free(world);
}

/* New policies while the tables are to be loaded anew: what they leave when they fail is known of. */
static void a_standby_of_policies_that_fail_goes(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    tamper(world);
    world->apply_error = -EBUSY;
    struct action *action = until_apply(world);
    world_act(world, action); /* mending it fails */
    brain_load_policies(world->brain, world_policies(by_label), world->now);
    world->apply_error = -EINVAL;
    world->apply_phases = PHASE_SWITCH;
    action = until_apply(world);
    assert_int_equal(action->apply, APPLY_POLICIES);
    world_act(world, action);
    assert_true(has_standby(world));
    world_wait(world, 40 * SECONDS);
    assert_false(has_standby(world));
    world_check_fresh(world, true);
    world_free(world);
}

/* It comes to our knowledge while our own change is under way. */
static void what_others_change_meanwhile_is_loaded_again(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    struct action *action;

    (void)state;
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.2");
    tamper(world);
    action = until_apply(world);
    assert_int_equal(action->apply, APPLY_FULL);
    tamper(world); /* after the tables were read: this load does not mend it */
    brain_applied(world->brain, 0, NULL, world->now);
    action_free(action);
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_FULL], 2); /* not counting the one above */

    brain_load_policies(world->brain, world_policies(by_label), world->now);
    brain_flush(world->brain, world->now);
    action = brain_pop(world->brain);
    assert_int_equal(action->apply, APPLY_POLICIES);
    tamper(world);
    kernel_apply(world->kernel, action->delta);
    brain_applied(world->brain, 0, NULL, world->now); /* that is no cure */
    action_free(action);
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_FULL], 3);
    world_check_fresh(world, true);
    assert_string_equal(brain_policies(world->brain)->policies[0].name, "labelled");
    world_free(world);
}

static size_t count_in(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *at = text; at && (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void a_fight_over_the_tables_is_slowed_down(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    for (int i = 0; i < 1000; i++) { /* one second: as fast as we repair */
        tamper(world);
        world_wait(world, 1000);
    }
    assert_in_range(world->n_applied[APPLY_FULL] - 1, 10, 11);
    assert_in_range(count_in(world->log, "has changed Cofferdam's rules"), 1, 2);
    size_t n = world->n_applied[APPLY_FULL];
    for (int i = 0; i < 10000; i++) {
        tamper(world);
        world_wait(world, 1000);
    }
    assert_in_range(world->n_applied[APPLY_FULL] - n, 9, 11);
    assert_in_range(count_in(world->log, "has changed Cofferdam's rules"), 10, 12);
    assert_true(world_logged(world, "(1000 times since this was last said)"));
    assert_true(has_problem(world, "has changed Cofferdam's rules 11000 times"));
    world_wait(world, 3 * SECONDS);
    n = world->n_applied[APPLY_FULL];
    assert_false(world->brain->need_full);
    tamper(world); /* peace: at once again */
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_FULL], n + 1);
    world_free(world);
}

static void the_tables_are_looked_at_every_minute(void **state)
{
    int network;
    struct world *world = started(shop, &network);

    (void)state;
    world->kernel = ruleset_free(world->kernel);
    world_wait(world, 61 * SECONDS);
    assert_non_null(world->kernel);
    assert_int_equal(world->n_applied[APPLY_FULL], 2);
    assert_true(world_logged(world, "Cofferdam's tables are gone; what differs is put right"));
    world_wait(world, 61 * SECONDS);
    assert_int_equal(world->n_applied[APPLY_FULL], 2);
    world_free(world);
}

static void tables_that_go_before_the_engine_answers_are_replaced(void **state)
{
    struct world *world = world_new_on(world_tables(), shop, NULL);

    (void)state;
    world->engine_there = false;
    world_add_network(world, "backend", "br-backend");
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_FULL], 0);
    world->kernel = ruleset_free(world->kernel);
    brain_tables_changed(world->brain, &by_nft, world->now);
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_FULL], 1);
    assert_true(has_problem(world, "rules without any container are in force"));
    world->engine_there = true;
    world_wait(world, 6 * SECONDS);
    assert_false(has_problem(world, "not known yet"));
    world_check_fresh(world, true);
    world_free(world);

    world = world_new(shop, NULL); /* nothing of ours is there yet */
    brain_tables_changed(world->brain, &by_nft, world->now);
    assert_false(has_problem(world, "another program"));
    world_free(world);
}

static bool says_in_force(const struct world *world)
{
    bool enforced;
    json_t *document = status(world, &enforced);
    bool said = json_is_true(json_object_get(json_object_get(document, "daemon"), "policies_in_force"));

    json_decref(document);
    return said;
}

static void policies_wait_while_the_engine_is_away(void **state)
{
    struct world *world = world_new_on(world_tables(), shop, NULL);
    const char *message;
    bool enforced;

    (void)state;
    world->engine_there = false;
    world_add_network(world, "backend", "br-backend");
    world_pump(world);
    json_decref(status(world, &enforced));
    assert_false(enforced);
    assert_false(says_in_force(world));
    assert_false(brain_inventory_known(world->brain));
    assert_true(has_problem(world, "the containers are not known yet"));
    assert_true(has_problem(world, "the rules that stand in the kernel stay in force"));
    assert_false(has_problem(world, "selects no container"));
    brain_load_policies(world->brain, world_policies(by_label), world->now);
    world_pump(world);
    assert_int_equal(brain_policies_result(world->brain, NULL, &message), -EINPROGRESS);
    assert_non_null(strstr(message, "will be in force when the Docker Engine answers"));
    assert_int_equal(world->n_ops, 0);
    world->engine_there = true;
    world_wait(world, 6 * SECONDS);
    assert_int_equal(world->n_applied[APPLY_FULL], 1);
    assert_int_equal(brain_policies_result(world->brain, NULL, &message), 0);
    assert_null(message);
    assert_string_equal(brain_policies(world->brain)->policies[0].name, "labelled");
    world_check_fresh(world, true);
    json_decref(status(world, &enforced));
    assert_true(enforced);
    assert_true(says_in_force(world));
    assert_true(has_problem(world, "policy labelled selects no container"));
    /* an Engine that goes later is another matter: what is known is known */
    world_engine_down(world);
    assert_true(brain_inventory_known(world->brain));
    world_free(world);
}

static void policies_that_the_kernel_refuses_at_start_leave_everything_denied(void **state)
{
    struct world *world = world_new(shop, NULL);
    size_t changes;

    (void)state;
    world_add_network(world, "backend", "br-backend");
    world->apply_error = -EINVAL;
    world_pump(world);
    assert_int_equal(world->n_applied[APPLY_FULL], 2);
    assert_true(world->ready);
    assert_int_equal(brain_policies(world->brain)->n_policies, 0);
    assert_true(world_logged(world, "everything is denied"));
    brain_load_policies(world->brain, world_policies(shop), world->now);
    world_pump(world);
    assert_int_equal(brain_policies_result(world->brain, &changes, NULL), 0);
    world_check_fresh(world, true);
    world_free(world);
}

static void a_kernel_that_refuses_everything_is_asked_again_and_again(void **state)
{
    struct world *world = world_new(NULL, NULL);
    bool enforced;

    (void)state;
    world_add_network(world, "backend", "br-backend");
    world->apply_error = -ENOMEM;
    world_pump(world);
    assert_false(world->ready);
    json_decref(status(world, &enforced));
    assert_false(enforced);
    assert_true(has_problem(world, "the kernel refuses the rules"));
    world_wait(world, 2 * SECONDS);
    assert_int_equal(world->n_applied[APPLY_FULL], 2);
    assert_true(world->ready);
    json_decref(status(world, &enforced));
    assert_true(enforced);
    world_free(world);
}

/* ---- status ------------------------------------------------------------------------------------------- */

static void status_tells_who_is_not_enforced(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network), host = world_add_container(world, "agent", -1);
    bool enforced;

    (void)state;
    world_start(world, db, network, "172.18.0.2");
    json_t *document = status(world, &enforced);
    assert_true(enforced);
    const json_t *first = json_array_get(json_object_get(document, "containers"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "db");
    assert_true(json_is_true(json_object_get(first, "enforced")));
    const json_t *policy = json_array_get(json_object_get(first, "policies"), 0);
    assert_string_equal(json_string_value(json_object_get(policy, "name")), "db");
    const json_t *endpoint = json_array_get(json_object_get(first, "endpoints"), 0);
    assert_string_equal(json_string_value(json_object_get(endpoint, "ipv4")), "172.18.0.2");
    assert_string_equal(json_string_value(json_object_get(endpoint, "bridge")), "br-backend");
    assert_true(json_is_null(json_object_get(endpoint, "reason")));
    json_decref(document);
    assert_true(has_problem(world, "policy web selects no container"));

    world->containers[host].host_mode = world->containers[host].listed_running = true;
    world_container_event(world, DOCKER_CREATE, host);
    world_pump(world);
    document = status(world, &enforced);
    assert_false(enforced);
    first = json_array_get(json_object_get(document, "containers"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "agent");
    assert_non_null(strstr(json_string_value(json_object_get(first, "reason")), "host"));
    json_decref(document);
    world_free(world);
}

static bool names_reason(const struct world *world, const char *text)
{
    bool enforced, found = false;
    json_t *document = status(world, &enforced), *container;
    size_t i;

    json_array_foreach (json_object_get(document, "containers"), i, container) {
        const char *reason = json_string_value(json_object_get(container, "reason"));
        found = found || (reason && strstr(reason, text));
    }
    json_decref(document);
    return found;
}

/* An inspection is asked for once; what it told stays. */
static void status_tells_of_privileges(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int agent = world_add_container(world, "agent", -1);

    (void)state;
    world->containers[agent].host_mode = world->containers[agent].listed_running = true;
    world->containers[agent].net_admin = true;
    world_container_event(world, DOCKER_CREATE, agent);
    world_pump(world);
    assert_true(names_reason(world, "CAP_NET_ADMIN"));
    strcpy(world->containers[agent].name, "renamed");
    world_container_event(world, DOCKER_RENAME, agent);
    world_pump(world);
    assert_true(names_reason(world, "CAP_NET_ADMIN"));
    world_free(world);
}

static void status_tells_of_a_rootless_engine(void **state)
{
    struct world *world = world_new(shop, NULL);

    (void)state;
    world->engine_there = world->rootless = true;
    world_pump(world);
    assert_false(all_enforced(world));
    assert_true(has_problem(world, "the Docker Engine is rootless"));
    assert_true(world_logged(world, "this Docker Engine is rootless"));
    world_engine_down(world);
    world->rootless = false; /* another one at the same socket */
    world->engine_there = true;
    world_wait(world, 20 * SECONDS);
    assert_true(all_enforced(world));
    assert_false(has_problem(world, "rootless"));
    world_free(world);
}

static bool lookups_by_engine(const struct world *world)
{
    return brain_inventory(world->brain)->lookups_by_engine;
}

static void lookups_past_the_rules_are_known_by_engine_and_host(void **state)
{
    struct docker_version newer = {.engine = (char[]){"28.0.1"}, .api_minor = 48};
    int network;
    struct world *world = started(shop, &network);
    int db = world_add_container(world, "db", network);
    struct ip server;

    (void)state;
    world_start(world, db, network, "172.18.0.2");
    assert_false(lookups_by_engine(world) || has_problem(world, "lookups are not filtered"));
    brain_set_name_servers(world->brain, NULL, 0, true);
    assert_true(lookups_by_engine(world) && has_problem(world, "lookups are not filtered"));
    assert_int_equal(ip_parse("192.0.2.53", &server), 0);
    brain_set_name_servers(world->brain, &server, 1, false);
    assert_false(lookups_by_engine(world));
    brain_engine_up(world->brain, &newer, world->now);
    assert_true(lookups_by_engine(world) && has_problem(world, "lookups are not filtered"));
    world_free(world);
}

static bool is_open(const struct world *world, int network)
{
    return inventory_network(brain_inventory(world->brain), world->networks[network].id)->ipv6_open;
}

static void old_engines_leave_ipv6_open(void **state)
{
    struct docker_version old = {.engine = (char[]){"26.1.5"}, .api_minor = 45};
    struct docker_version newer = {.engine = (char[]){"27.0.3"}, .api_minor = 46};
    int first, both, inner;
    struct world *world = started(shop, &first);

    (void)state;
    both = world_add_network(world, "both", "br-both");
    inner = world_add_network(world, "inner", "br-inner");
    world->networks[both].ipv6 = world->networks[inner].ipv6 = world->networks[inner].internal = true;
    brain_engine_up(world->brain, &old, world->now);
    world_pump(world);
    assert_true(is_open(world, both));
    assert_false(is_open(world, first) || is_open(world, inner));
    brain_engine_up(world->brain, &newer, world->now);
    world_pump(world);
    assert_false(is_open(world, both));
    world_free(world);
}

/* The rules depend on the rest alone. */
static void an_engine_that_hangs_over_itself_holds_nothing_up(void **state)
{
    struct world *world = world_new_on(world_tables(), shop, NULL);

    (void)state;
    world->engine_there = world->hold[FETCH_INFO] = true;
    world_pump(world);
    assert_true(world->ready);
    assert_true(brain_inventory_known(world->brain));
    world_free(world);
}

static void status_tells_of_a_bridge_that_is_not_here(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int web = world_add_container(world, "web", network);

    (void)state;
    world->containers[web].listed_running = true;
    world_remove_link(world, world->networks[network].bridge_index);
    world_pump(world);
    assert_true(all_enforced(world)); /* nobody is on it */
    world_add_endpoint(world, web, network, "172.18.0.2");
    world_network_event(world, DOCKER_CONNECT, network, web);
    world_container_event(world, DOCKER_START, web);
    world_wait(world, 61 * SECONDS);
    assert_false(all_enforced(world));
    bool enforced;
    json_t *document = status(world, &enforced);
    const json_t *first = json_array_get(json_object_get(document, "containers"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "reason")),
                        "is on network backend: its bridge br-backend is not in this network namespace");
    json_decref(document);
    world_add_link(world, "br-backend", 0, true);
    world_pump(world);
    assert_true(all_enforced(world));
    world_free(world);
}

static void status_tells_of_another_engine(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    unsigned bridge = world_add_link(world, "br-ba987654321f", 0, true);

    (void)state;
    world_pump(world);
    assert_true(all_enforced(world)); /* nothing is on it: one that was left behind */
    unsigned port = world_add_link(world, "veth1", bridge, false);
    world_pump(world);
    assert_false(all_enforced(world));
    assert_true(has_problem(world, "bridge br-ba987654321f looks like a Docker Engine's"));
    world_remove_link(world, port);
    world_pump(world);
    assert_true(all_enforced(world));
    world_free(world);
}

/* So can the policies in force, from the very files: `plan --inventory` compares with them. */
static void the_policies_of_the_status_read_back(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    _cleanup_diags_ struct diags diags = {};
    _cleanup_policy_changes_ struct policy_changes changes = {};
    bool enforced;

    (void)state;
    json_t *document = status(world, &enforced), *files = json_object_get(document, "policy_files");
    char *printed = json_dumps(files, 0);
    json_t *read = json_loads(printed, JSON_REJECT_DUPLICATES, NULL);
    struct policy_set *set = policy_files_from_json(read, &diags);
    assert_non_null(set);
    assert_int_equal(diags.n, 0);
    assert_int_equal(json_array_size(files), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(files, 0), "text")), shop);
    policy_sets_compare(brain_policies(world->brain), set, &changes);
    assert_int_equal(changes.n, 0);
    assert_int_equal(changes.n_same, brain_policies(world->brain)->n_policies);
    assert_true(changes.n_same > 0);
    policy_set_free(set);
    json_decref(read);
    json_decref(document);
    free(printed);
    world_free(world);
}

/* What `status --json` prints can be read back: `check --inventory` lives by it. */
static void the_inventory_of_the_status_reads_back(void **state)
{
    int network;
    struct world *world = started(shop, &network);
    int labelled = world_add_container(world, "labelled", network);
    _cleanup_(inventory_freep) struct inventory *inventory = NULL;
    _cleanup_diags_ struct diags diags = {};
    bool enforced;

    (void)state;
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.3");
    world->containers[labelled].label_key = "role";
    world->containers[labelled].label_value = "db";
    world_start(world, labelled, network, "172.18.0.4");
    world->containers[world_add_container(world, "agent", network)].host_mode = true;
    world_pump(world);
    json_t *document = status(world, &enforced);
    char *printed = json_dumps(document, JSON_INDENT(2));
    json_t *read = json_loads(printed, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(inventory_from_json(json_object_get(read, "inventory"), &inventory, &diags), 0);
    assert_int_equal(HASH_COUNT(inventory->containers), HASH_COUNT(world->brain->inventory->containers));
    json_t *again = inventory_to_json(inventory);
    json_object_set_new(again, "lockdowns", json_array());
    assert_true(json_equal(again, json_object_get(document, "inventory")));
    json_decref(again);
    json_decref(read);
    json_decref(document);
    free(printed);
    world_free(world);
}

#define TEST(function) cmocka_unit_test(function)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(start_loads_everything_at_once),
        TEST(the_policies_of_the_status_read_back),
        TEST(the_inventory_of_the_status_reads_back),
        TEST(what_looks_like_the_engines_bridge_is_closed_until_the_networks_are_listed),
        TEST(a_restart_writes_nothing),
        TEST(an_address_changes_hands_without_its_connections),
        TEST(a_start_ends_no_connections),
        TEST(an_address_that_changed_hands_unseen_has_no_connections),
        TEST(a_replacement_ends_no_connections),
        TEST(looking_for_connections_leaves_time_for_the_rest),
        TEST(late_events_have_everything_listed_again),
        TEST(a_start_ends_connections_of_strangers),
        TEST(start_does_not_wait_for_ever),
        TEST(without_engine_and_tables_the_empty_rules_are_loaded),
        TEST(without_engine_tables_that_stand_are_left_alone),
        TEST(an_engine_that_hangs_does_not_hold_up_the_boot),
        TEST(bridges_of_the_last_run_are_closed_before_the_engine_answers),
        TEST(a_start_is_only_elements),
        TEST(live_before_inspection_and_list_say_so),
        TEST(an_unknown_container_on_a_network_is_looked_up),
        TEST(an_endpoint_keeps_its_port_when_its_container_joins),
        TEST(die_after_cleanup),
        TEST(an_ended_endpoint_stays_ended),
        TEST(a_late_disconnect_does_not_touch_the_next_owner),
        TEST(an_address_passes_to_its_next_owner_in_one_change),
        TEST(rename_changes_who_is_selected),
        TEST(network_connect_and_disconnect_at_run_time),
        TEST(a_container_that_leaves_none_has_a_network),
        TEST(a_rename_is_followed_though_the_old_name_is_still_there),
        TEST(labels_count_once_the_image_is_known),
        TEST(what_labels_deny_is_never_granted),
        TEST(what_labels_deny_late_ends),
        TEST(labels_of_the_image_never_count),
        TEST(labels_of_an_unreadable_image_are_not_trusted),
        TEST(trust_asks_no_image),
        TEST(a_port_whose_mac_comes_late_is_asked_again),
        TEST(asking_has_a_bound),
        TEST(a_found_port_is_never_another_containers),
        TEST(two_ports_with_one_mac_are_nobodys),
        TEST(an_old_port_is_not_a_new_endpoints),
        TEST(a_new_port_is_not_an_old_endpoints),
        TEST(a_port_found_by_mistake_is_given_up),
        TEST(a_port_that_leaves_its_bridge_is_bound_to_nothing),
        TEST(a_port_without_its_bridge_is_no_stranger),
        TEST(a_port_that_was_left_behind_claims_nothing),
        TEST(lost_notifications_are_made_up_for),
        TEST(bridged_packets_are_switched_on_and_kept_on),
        TEST(a_bridge_learns_nothing_from_link_local_frames),
        TEST(a_kernel_whose_bridges_learn_is_a_problem_and_no_failure),
        TEST(a_fight_over_the_switch_is_slowed_down),
        TEST(a_switch_that_cannot_be_set_is_said_loudly),
        TEST(a_switch_that_is_off_is_said_loudly),
        TEST(a_kernel_without_br_netfilter_is_said_loudly),
        TEST(bridges_that_are_gone_are_forgotten),
        TEST(teardown_restores_what_was_changed),
        TEST(a_teardown_that_is_refused_changes_nothing),
        TEST(a_resync_without_news_changes_nothing),
        TEST(a_resync_finds_what_events_did_not_tell),
        TEST(published_ports_are_those_of_the_last_list),
        TEST(an_engine_that_goes_changes_nothing),
        TEST(an_engine_that_comes_back_unchanged_changes_nothing),
        TEST(an_engine_that_comes_back_with_swapped_addresses),
        TEST(a_late_list_does_not_undo_newer_answers),
        TEST(an_event_during_an_answer_asks_again),
        TEST(a_reload_is_one_change_to_the_new_policies),
        TEST(a_reload_that_the_kernel_refuses_leaves_the_old_policies),
        TEST(policies_are_in_force_when_the_kernel_holds_them),
        TEST(policies_that_wait_for_the_engine_are_not_in_force),
        TEST(the_policies_that_deny_all_were_never_read),
        TEST(tables_that_somebody_changed_are_loaded_again),
        TEST(whatever_fails_has_everything_read_again),
        TEST(a_refused_sweep_goes_in_with_all_the_rest),
        TEST(policies_behind_a_load_that_fails_are_not_kept_for_later),
        TEST(what_others_change_is_loaded_again_at_once),
        TEST(tables_that_cannot_be_mended_are_replaced),
        TEST(changes_of_other_tables_have_nothing_replaced),
        TEST(a_standby_goes_when_the_tables_are_in_line),
        TEST(a_standby_of_policies_that_fail_goes),
        TEST(what_others_change_meanwhile_is_loaded_again),
        TEST(a_fight_over_the_tables_is_slowed_down),
        TEST(the_tables_are_looked_at_every_minute),
        TEST(tables_that_go_before_the_engine_answers_are_replaced),
        TEST(policies_wait_while_the_engine_is_away),
        TEST(policies_that_the_kernel_refuses_at_start_leave_everything_denied),
        TEST(a_kernel_that_refuses_everything_is_asked_again_and_again),
        TEST(status_tells_who_is_not_enforced),
        TEST(status_tells_of_privileges),
        TEST(status_tells_of_a_rootless_engine),
        TEST(lookups_past_the_rules_are_known_by_engine_and_host),
        TEST(old_engines_leave_ipv6_open),
        TEST(an_engine_that_hangs_over_itself_holds_nothing_up),
        TEST(status_tells_of_a_bridge_that_is_not_here),
        TEST(status_tells_of_another_engine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
