/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dry run, against a world of structs: what it says, and that it is what loading the policies then does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/protocol.h"
#include "daemon/gate.h"
#include "daemon/plan.h"
#include "documents.h"
#include "inventory/json.h"
#include "kernel_tables.h"
#include "world.h"

#define WEB "policy: web\nselect: {name: web}\negress:\n  - to: [{name: db}]\n    ports: [5432/tcp]\n"
#define DB "policy: db\nselect: {name: db}\ningress:\n  - from: [{name: web}]\n    ports: [5432/tcp]\n"
#define NEXT "---\n"

static const char shop[] = DB NEXT WEB;

/* web is 172.18.0.2, db is 172.18.0.3. */
static struct world *started(void)
{
    struct world *world = world_new(shop, NULL);
    int network = world_add_network(world, "backend", "br-backend");

    world_pump(world);
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.2");
    world_start(world, world_add_container(world, "db", network), network, "172.18.0.3");
    world_pump(world);
    return world;
}

struct asked {
    const struct flow *flows;
    size_t n_flows;
    struct plan_facts facts;
    int exit;
};

static json_t *ask(const struct world *world, const struct policy_set *policies, struct asked *asked)
{
    _cleanup_(plan_freep) struct plan *plan = plan_new(world->brain, policies, kernel_copy(world->kernel));

    assert_null(plan_impossible(world->brain));
    for (size_t i = 0; i < asked->n_flows; i++)
        plan_add_flow(plan, &asked->flows[i]);
    return document_made("plan", plan_to_json(plan, &asked->facts, &asked->exit));
}

static json_t *plan(const struct world *world, const char *yaml, int expected_exit)
{
    _cleanup_(policy_set_freep) struct policy_set *policies = world_policies(yaml);
    struct asked asked = {.facts = {.lines = true}};
    json_t *result = ask(world, policies, &asked);

    assert_int_equal(asked.exit, expected_exit);
    return result;
}

static json_int_t summary(const json_t *result, const char *key)
{
    const json_t *number = json_object_get(json_object_get(result, "summary"), key);

    assert_true(json_is_integer(number));
    return json_integer_value(number);
}

static bool changes(const json_t *result)
{
    return json_is_true(json_object_get(result, "changes"));
}

static const char *text_at(const json_t *list, size_t i, const char *key)
{
    return json_string_value(json_object_get(json_array_get(list, i), key));
}

/* ------------------------------------------------------------------------------------------------------- */

static void the_same_policies_change_nothing(void **state)
{
    static const char *const same[] = {shop, WEB NEXT DB, "# a comment\n" DB NEXT WEB};
    struct world *world = started();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        json_t *result = plan(world, same[i], STATUS_OK);

        assert_false(changes(result));
        assert_int_equal(summary(result, "policies_same"), 2);
        assert_int_equal(json_array_size(json_object_get(result, "policies")), 0);
        assert_int_equal(json_array_size(json_object_get(json_object_get(result, "rules"), "lines")), 0);
        json_decref(result);
    }
    world_free(world);
}

/* Not even one that the kernel never hears of passes for none. */
static void a_description_is_a_change(void **state)
{
    struct world *world = started();
    json_t *result = plan(world, DB "description: new\n" NEXT WEB, STATUS_CHANGES);

    (void)state;
    assert_true(changes(result));
    assert_int_equal(summary(result, "policies_changed"), 1);
    assert_int_equal(summary(result, "rules_added") + summary(result, "rules_removed"), 0);
    json_decref(result);
    world_free(world);
}

static void it_is_what_loading_then_does(void **state)
{
    static const char next[] =
        "policy: db\nmode: audit\nselect: {name: db}\n" NEXT
        "policy: new\nselect: {name: web}\ningress: [{from: [host], ports: [80/tcp]}]\n";
    struct world *world = started();
    size_t n_ops = world->n_ops;

    (void)state;
    json_t *result = plan(world, next, STATUS_CHANGES);
    const json_t *policies = json_object_get(result, "policies"), *rules = json_object_get(result, "rules");
    assert_true(changes(result));
    assert_int_equal(json_array_size(policies), 3);
    assert_string_equal(text_at(policies, 0, "name"), "db");
    assert_string_equal(text_at(policies, 0, "change"), "changed");
    assert_string_equal(text_at(policies, 0, "old_mode"), "enforce");
    assert_string_equal(text_at(policies, 0, "mode"), "audit");
    assert_string_equal(text_at(policies, 1, "change"), "added");
    assert_true(json_is_null(json_object_get(json_array_get(policies, 1), "old_place")));
    assert_string_equal(text_at(policies, 2, "change"), "removed");
    assert_true(json_is_null(json_object_get(json_array_get(policies, 2), "place")));
    const json_t *connections = json_object_get(result, "connections");
    assert_int_equal(summary(result, "connections_allowed"), 1);
    assert_int_equal(summary(result, "connections_denied"), 1);
    assert_int_equal(json_array_size(connections), 2);
    for (size_t i = 0; i < 2; i++) {
        bool allowed = strcmp(text_at(connections, i, "new"), "allowed") == 0;
        const json_t *ports = json_object_get(json_array_get(connections, i), "ports");

        assert_string_equal(json_string_value(json_array_get(ports, 0)), allowed ? "80/tcp" : "5432/tcp");
    }
    assert_non_null(strstr(json_string_value(json_object_get(result, "connections_text")), "-> db "));
    json_int_t operations = json_integer_value(json_object_get(rules, "operations"));
    assert_int_equal(json_array_size(json_object_get(rules, "lines")),
                     summary(result, "rules_added") + summary(result, "rules_removed"));
    /* planning has changed nothing */
    assert_int_equal(world->n_ops, n_ops);
    world_check_fresh(world, true);

    brain_load_policies(world->brain, world_policies(next), world->now);
    world_pump(world);
    assert_int_equal(world->n_ops - n_ops, operations);
    json_t *after = plan(world, next, STATUS_OK);
    assert_false(changes(after));
    assert_string_not_equal(json_string_value(json_object_get(after, "plan_id")),
                            json_string_value(json_object_get(result, "plan_id")));
    json_decref(after);
    json_decref(result);
    world_free(world);
}

static void what_somebody_took_out_is_put_back(void **state)
{
    struct world *world = started();
    struct chain *chain = table_chain(&world->kernel->tables[TABLE_INET], "forward");

    (void)state;
    chain->n_rules--; /* the last one */
    json_t *result = plan(world, shop, STATUS_CHANGES);
    const json_t *lines = json_object_get(json_object_get(result, "rules"), "lines");
    assert_int_equal(json_array_size(lines), 1);
    assert_string_equal(text_at(lines, 0, "change"), "+");
    assert_string_equal(text_at(lines, 0, "kind"), "rule");
    assert_string_equal(text_at(lines, 0, "name"), "forward");
    assert_int_equal(summary(result, "policies_same"), 2);
    json_decref(result);
    chain->n_rules++;
    world_free(world);
}

static struct flow tcp(const char *from, const char *to, uint16_t port, uint16_t own)
{
    struct flow flow = {.family = IP4, .proto = 6, .has_ports = true, .confirmed = true, .id = own};

    assert_int_equal(ip_parse(from, &flow.original.source), 0);
    assert_int_equal(ip_parse(to, &flow.original.destination), 0);
    flow.original.source_port = own;
    flow.original.destination_port = port;
    flow.reply = (struct flow_tuple){.source = flow.original.destination,
                                     .destination = flow.original.source,
                                     .source_port = port,
                                     .destination_port = own};
    return flow;
}

static void live_connections_that_end(void **state)
{
    static const char narrower[] = DB NEXT "policy: web\nselect: {name: web}\n";
    struct world *world = started();
    _cleanup_(policy_set_freep) struct policy_set *policies = world_policies(narrower);
    struct flow flows[] = {
        tcp("172.18.0.2", "172.18.0.3", 5432, 40001), /* ends */
        tcp("172.18.0.2", "172.18.0.3", 5432, 40000), /* ends */
        tcp("172.18.0.2", "172.18.0.3", 5432, 40001), /* told twice, as a dump may */
        tcp("172.18.0.2", "172.18.0.3", 80, 40002),   /* is not allowed now either */
        tcp("192.0.2.1", "192.0.2.2", 5432, 40003),   /* nobody's of ours */
    };
    struct asked asked = {.flows = flows, .n_flows = ARRAY_SIZE(flows)};

    (void)state;
    json_t *result = ask(world, policies, &asked);
    const json_t *live = json_object_get(result, "live_connections"), *cut = json_object_get(live, "cut");
    assert_int_equal(asked.exit, STATUS_CHANGES);
    assert_true(json_is_true(json_object_get(live, "known")));
    assert_int_equal(json_array_size(cut), 2);
    assert_int_equal(summary(result, "live_connections_cut"), 2);
    assert_string_equal(text_at(cut, 0, "from"), "web");
    assert_string_equal(text_at(cut, 0, "to"), "db");
    assert_string_equal(text_at(cut, 0, "port"), "5432/tcp");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(cut, 0), "from_port")), 40000);
    assert_true(json_is_null(json_object_get(json_array_get(cut, 0), "via")));
    assert_true(json_is_null(json_object_get(json_object_get(result, "rules"), "lines"))); /* not wanted */
    json_decref(result);
    world_free(world);
}

static bool has_problem(const json_t *result, const char *level, const char *text)
{
    const json_t *problems = json_object_get(result, "problems");
    bool found = false;

    for (size_t i = 0; i < json_array_size(problems); i++)
        found = found || (strcmp(text_at(problems, i, "level"), level) == 0 &&
                          strstr(text_at(problems, i, "message"), text));
    return found;
}

static void problems(void **state)
{
    struct world *world = started();
    int outlaw = world_add_container(world, "outlaw", -1);
    _cleanup_(policy_set_freep) struct policy_set *policies = world_policies(
        DB NEXT WEB NEXT
        "policy: nobody\nselect: {name: nobody}\n" NEXT
        "expect: no database\ndenied:\n  - {from: {name: web}, to: {name: db}, ports: [5432/tcp]}\n");
    _cleanup_diags_ struct diags kernel = {0};
    struct asked asked = {.facts = {.flows_error = -EPERM}};

    (void)state;
    world->containers[outlaw].host_mode = world->containers[outlaw].listed_running = true;
    brain_resync(world->brain, world->now);
    world_pump(world);
    json_t *result = ask(world, policies, &asked);
    assert_int_equal(asked.exit, STATUS_ERROR); /* the expectation */
    assert_true(has_problem(result, "error", "web"));
    assert_true(has_problem(result, "warning", "selects no container"));
    assert_true(has_problem(result, "warning", "outlaw is not enforced: uses the host's network"));
    assert_true(has_problem(result, "warning", "open connections cannot be looked at"));
    assert_false(json_is_true(json_object_get(json_object_get(result, "live_connections"), "known")));
    assert_true(json_is_true(json_object_get(json_object_get(result, "rules"), "validated")));
    json_decref(result);

    diag_add(&kernel, DIAG_ERROR, NULL, NULL, "add chain x: no");
    asked.facts = (struct plan_facts){.validation = -EINVAL, .validations = &kernel};
    result = ask(world, policies, &asked);
    assert_true(has_problem(result, "error", "the kernel would refuse this change"));
    assert_true(has_problem(result, "error", "add chain x: no"));
    assert_false(json_is_true(json_object_get(json_object_get(result, "rules"), "validated")));
    json_decref(result);
    world_free(world);
}

static void who_is_not_restricted(void **state)
{
    struct world *world = started();

    (void)state;
    world->settings->default_mode = MODE_AUDIT;
    json_t *result = plan(world, shop, STATUS_OK);
    assert_false(has_problem(result, "warning", "default_mode is audit"));
    json_decref(result);
    result = plan(world, DB, STATUS_CHANGES);
    assert_true(
        has_problem(result, "warning", "1 running container that no enforcing policy selects is not"));
    json_decref(result);
    world_free(world);
}

/* Through a published port, and of the host. */
static void connections_by_other_ways(void **state)
{
    struct world *world = started();
    struct ip host;
    assert_int_equal(ip_parse("203.0.113.1", &host), 0);
    brain_set_host_addresses(world->brain, &host, 1);
    brain_load_policies(world->brain, world_policies("policy: db\nselect: {name: db}\ningress: [{}]\n"),
                        world->now);
    world_pump(world);
    _cleanup_(policy_set_freep) struct policy_set *policies = world_policies(DB);
    struct flow flows[] = {
        tcp("198.51.100.7", "172.18.0.3", 80, 40000),
        tcp("203.0.113.1", "172.18.0.3", 80, 40000),
        tcp("198.51.100.7", "172.18.0.3", 80, 40001),
        tcp("203.0.113.1", "172.18.0.3", 80, 40002),
    };
    struct asked asked = {.flows = flows, .n_flows = ARRAY_SIZE(flows)};

    (void)state;
    flows[3].original.destination_port = 8081;
    flows[2].original.destination = host;
    flows[2].original.destination_port = 8080;
    json_t *result = ask(world, policies, &asked);
    const json_t *cut = json_object_get(json_object_get(result, "live_connections"), "cut");
    assert_int_equal(json_array_size(cut), 4);
    assert_string_equal(text_at(cut, 0, "from"), "198.51.100.7");
    assert_null(text_at(cut, 0, "via"));
    assert_string_equal(text_at(cut, 1, "from"), "198.51.100.7");
    assert_string_equal(text_at(cut, 1, "via"), "203.0.113.1:8080");
    assert_string_equal(text_at(cut, 1, "port"), "80/tcp");
    assert_string_equal(text_at(cut, 2, "from"), "host");
    assert_null(text_at(cut, 2, "via"));
    assert_string_equal(text_at(cut, 3, "via"), "172.18.0.3:8081");
    json_decref(result);
    world_free(world);
}

/* The plan for these policies, its ID and what it was made from. */
static struct plan_basis *basis_of(const struct world *world, const char *yaml, char **ret_id)
{
    _cleanup_(policy_set_freep) struct policy_set *policies = world_policies(yaml);
    _cleanup_(plan_freep) struct plan *made = plan_new(world->brain, policies, kernel_copy(world->kernel));
    struct plan_facts facts = {0};
    int status;
    json_t *result = plan_to_json(made, &facts, &status);
    struct plan_basis *basis = plan_take_basis(made);

    assert_string_equal(json_string_value(json_object_get(result, "plan_id")), plan_basis_id(basis));
    assert_true(plan_id_is_valid(plan_basis_id(basis)));
    if (ret_id)
        *ret_id = xstrdup(plan_basis_id(basis));
    json_decref(result);
    return basis;
}

/* What only a running daemon can know is taken out, after it was seen to be as it should. */
static void strip(json_t *result, bool offline)
{
    json_t *live = json_object_get(result, "live_connections"), *rules = json_object_get(result, "rules");

    assert_true(json_is_null(json_object_get(result, "plan_id")) == offline);
    assert_true(json_is_true(json_object_get(live, "known")) == !offline);
    assert_true(json_is_null(json_object_get(rules, "validated")) == offline);
    json_object_del(result, "plan_id");
    json_object_del(live, "known");
    json_object_del(rules, "validated");
}

/* From the inventory in the status document alone, the same comes out as from the kernel. */
static void offline_is_the_same(void **state)
{
    static const char next[] =
        "policy: db\nmode: audit\nselect: {name: db}\n" NEXT
        "policy: new\nselect: {name: web}\ningress: [{from: [host, {name: gone}], ports: [80/tcp]}]\n" NEXT
        "expect: what fails\nallowed: [{from: {name: web}, to: {name: db}}]\n";
    struct world *world = started();
    _cleanup_(inventory_freep) struct inventory *inventory = NULL;
    _cleanup_diags_ struct diags diags = {0};
    int status;

    (void)state;
    json_t *online = plan(world, next, STATUS_ERROR);
    json_t *json = inventory_to_json(brain_inventory(world->brain));
    assert_int_equal(inventory_from_json(json, &inventory, &diags), 0);
    _cleanup_(policy_set_freep) struct policy_set *policies = world_policies(next);
    struct plan *plan =
        plan_offline(&(struct evaluation){brain_policies(world->brain), inventory, world->settings, NULL},
                     &(struct evaluation){policies, inventory, world->settings, NULL});
    json_t *offline = plan_to_json(plan, &(struct plan_facts){.lines = true}, &status);
    assert_int_equal(status, STATUS_ERROR);
    strip(online, false);
    strip(offline, true);
    assert_true(json_equal(online, offline));
    json_decref(online);
    json_decref(offline);
    json_decref(json);
    plan_free(plan); /* it has borrowed the world's policies */
    world_free(world);
}

/* What has moved in the world since that plan for these policies: with its basis remembered, and without. */
static void assert_moved(const struct world *world, const struct plan_memory *memory, const char *id,
                         const char *yaml, const char *moved, const char *forgotten)
{
    static const struct plan_memory nothing;
    _cleanup_(policy_set_freep) struct policy_set *policies = world_policies(yaml);
    _cleanup_(plan_basis_freep) struct plan_basis *now =
        plan_basis_new(brain_policies(world->brain), policies, brain_inventory(world->brain), world->kernel);
    _cleanup_free_ char *by_name = plan_moved(memory, id, now), *by_part = plan_moved(&nothing, id, now);

    assert_string_equal(by_name ?: "", moved);
    assert_string_equal(by_part ?: "", forgotten);
    assert_int_equal(strcmp(id, plan_basis_id(now)) == 0, !*moved);
}

#define CONTAINERS_MOVED "containers, networks or the host's addresses have changed"
#define KERNEL_MOVED "Cofferdam's rules in the kernel have changed"

static void the_plan_is_the_same_or_what_moved_is_named(void **state)
{
    struct world *world = started();
    struct plan_memory memory = {0};
    _cleanup_free_ char *id = NULL;
    struct ip host;

    (void)state;
    plan_remember(&memory, basis_of(world, shop, &id));
    assert_moved(world, &memory, id, shop, "", "");
    assert_moved(world, &memory, id, WEB, "policy file test.yaml has changed",
                 "the policy files have changed");

    struct chain *chain = table_chain(&world->kernel->tables[TABLE_INET], "forward");
    chain->n_rules--;
    assert_moved(world, &memory, id, shop, "chain forward of table inet cofferdam has 1 rule fewer",
                 KERNEL_MOVED);
    chain->n_rules++;
    table_add_odd(&world->kernel->tables[TABLE_BRIDGE], "flags dormant");
    assert_moved(world, &memory, id, shop, "table bridge has changed", KERNEL_MOVED);
    world->kernel->tables[TABLE_BRIDGE].n_odd = 0;
    free(world->kernel->tables[TABLE_BRIDGE].odd[0]);
    struct set *set = table_set(&world->kernel->tables[TABLE_INET], "live4");
    uint8_t key[KEY_BYTES_MAX] = {192, 0, 2, 1};
    struct element element = {0};
    memcpy(element.key, key, sizeof(key));
    assert_true(set_insert(set, &element));
    assert_moved(world, &memory, id, shop, "set live4 of table inet cofferdam has 1 element more",
                 KERNEL_MOVED);
    assert_true(set_remove(set, key));
    assert_moved(world, &memory, id, shop, "", "");

    assert_int_equal(ip_parse("203.0.113.1", &host), 0);
    brain_set_host_addresses(world->brain, &host, 1);
    world_pump(world);
    assert_moved(world, &memory, id, shop, "the host's addresses or name servers have changed",
                 CONTAINERS_MOVED);
    /* what follows from a container is not told of: the host's address beside it, and rules */
    world_start(world, world_add_container(world, "third", 0), 0, "172.18.0.4");
    world_pump(world);
    assert_moved(world, &memory, id, shop, "container third is new", CONTAINERS_MOVED);
    assert_moved(world, &memory, id, WEB, "policy file test.yaml has changed; container third is new",
                 "the policy files have changed; " CONTAINERS_MOVED);
    plan_memory_clear(&memory);
    world_free(world);
}

static void policies_applied_since_are_named(void **state)
{
    struct world *world = started();
    struct plan_memory memory = {0};
    _cleanup_free_ char *id = NULL;

    (void)state;
    plan_remember(&memory, basis_of(world, WEB, &id));
    brain_load_policies(world->brain, world_policies(WEB), world->now);
    world_pump(world);
    assert_moved(world, &memory, id, WEB, "in force: policy file test.yaml has changed",
                 "other policies are in force");
    plan_memory_clear(&memory);
    world_free(world);
}

static void a_container_that_is_another_now(void **state)
{
    struct world *world = started();
    struct plan_memory memory = {0};
    _cleanup_free_ char *id = NULL;

    (void)state;
    plan_remember(&memory, basis_of(world, shop, &id));
    world_stop(world, 1); /* db */
    world_pump(world);
    assert_moved(world, &memory, id, shop, "container db has stopped", CONTAINERS_MOVED);
    world->containers[1].exists = false;
    world_container_event(world, DOCKER_DESTROY, 1);
    world_pump(world);
    assert_moved(world, &memory, id, shop, "container db is gone", CONTAINERS_MOVED);
    world_start(world, world_add_container(world, "db", 0), 0, "172.18.0.3");
    world_pump(world);
    assert_moved(world, &memory, id, shop, "container db was recreated", CONTAINERS_MOVED);
    strcpy(world->containers[0].name, "shop");
    brain_resync(world->brain, world->now);
    world_pump(world);
    assert_moved(world, &memory, id, shop, "container web is called shop now; container db was recreated",
                 CONTAINERS_MOVED);
    plan_memory_clear(&memory);
    world_free(world);
}

static void the_last_plans_are_remembered(void **state)
{
    struct world *world = started();
    struct plan_memory memory = {0};
    char *ids[PLANS_MAX + 1] = {0};

    (void)state;
    for (size_t i = 0; i <= PLANS_MAX; i++) {
        _cleanup_free_ char *yaml = xasprintf("%s# %zu\n", shop, i);

        plan_remember(&memory, basis_of(world, yaml, &ids[i]));
        /* one that is asked for again takes nobody's place */
        plan_remember(&memory, basis_of(world, yaml, NULL));
    }
    assert_moved(world, &memory, ids[0], WEB, "the policy files have changed",
                 "the policy files have changed");
    for (size_t i = 1; i <= PLANS_MAX; i++)
        assert_moved(world, &memory, ids[i], WEB, "policy file test.yaml has changed",
                     "the policy files have changed");
    for (size_t i = 0; i <= PLANS_MAX; i++)
        free(ids[i]);
    plan_memory_clear(&memory);
    world_free(world);
}

static void more_than_can_be_told(void **state)
{
    struct world *world = started();
    struct plan_memory memory = {0};
    _cleanup_free_ char *id = NULL;

    (void)state;
    plan_remember(&memory, basis_of(world, shop, &id));
    for (int i = 0; i < PLAN_MOVED_MAX + 2; i++) {
        _cleanup_free_ char *name = xasprintf("c%02d", i);

        world_add_container(world, name, 0);
    }
    brain_resync(world->brain, world->now);
    world_pump(world);
    assert_moved(
        world, &memory, id, shop,
        "container c00 is new; container c01 is new; container c02 is new; container c03 is new; "
        "container c04 is new; container c05 is new; container c06 is new; container c07 is new; and 2 more",
        CONTAINERS_MOVED);
    plan_memory_clear(&memory);
    world_free(world);
}

/* Part of an ID would leave out part of what must be the same. */
static void an_id_is_needed_in_full(void **state)
{
    char id[PLAN_ID_LEN + 2];

    (void)state;
    memset(id, 'a', sizeof(id));
    id[PLAN_ID_LEN] = '\0';
    assert_true(plan_id_is_valid(id));
    assert_false(plan_id_is_valid(id + 1));
    assert_false(plan_id_is_valid(""));
    assert_false(plan_id_is_valid(NULL));
    id[3] = 'A';
    assert_false(plan_id_is_valid(id));
    id[3] = 'a';
    id[PLAN_ID_LEN] = 'a';
    id[PLAN_ID_LEN + 1] = '\0';
    assert_false(plan_id_is_valid(id));
}

#define EXPECT "expect: no database\ndenied:\n  - {from: {name: web}, to: {name: db}, ports: [5432/tcp]}\n"

static int gate(const struct world *world, const char *yaml, bool known, size_t n_errors, size_t n_warnings)
{
    _cleanup_(policy_set_freep) struct policy_set *policies = world_policies(yaml);
    const struct evaluation with = {policies, brain_inventory(world->brain), world->settings, NULL};
    _cleanup_diags_ struct diags diags = {0};
    int r = gate_expectations(&with, known, &diags);

    assert_int_equal(diags.n_errors, n_errors);
    assert_int_equal(diags.n - diags.n_errors, n_warnings);
    return r;
}

static void what_policies_expect_of_themselves(void **state)
{
    struct world *world = started();

    (void)state;
    assert_int_equal(gate(world, shop, true, 0, 0), 0);
    assert_int_equal(gate(world, shop, false, 0, 0), 0);
    assert_int_equal(gate(world, DB NEXT EXPECT, true, 0, 0), 0);
    assert_int_equal(gate(world, DB NEXT WEB NEXT EXPECT, true, 1, 0), -EBADMSG);
    /* nobody knows the containers: not even what would hold is let through */
    assert_int_equal(gate(world, DB NEXT EXPECT, false, 1, 0), -EAGAIN);
    assert_int_equal(
        gate(world, DB NEXT "expect: x\ndenied: [{from: {name: nobody}, to: {name: db}}]\n", true, 0, 1), 0);
    world_free(world);
}

static void not_before_the_containers_are_known(void **state)
{
    struct world *world = world_new_on(world_tables(), shop, NULL);

    (void)state;
    assert_non_null(strstr(plan_impossible(world->brain), "not known yet"));
    world_add_network(world, "backend", "br-backend");
    world_pump(world);
    assert_null(plan_impossible(world->brain));
    brain_teardown(world->brain, world->now);
    world_pump(world);
    assert_non_null(strstr(plan_impossible(world->brain), "removed"));
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_policies_change_nothing),
        cmocka_unit_test(a_description_is_a_change),
        cmocka_unit_test(it_is_what_loading_then_does),
        cmocka_unit_test(what_somebody_took_out_is_put_back),
        cmocka_unit_test(live_connections_that_end),
        cmocka_unit_test(problems),
        cmocka_unit_test(who_is_not_restricted),
        cmocka_unit_test(connections_by_other_ways),
        cmocka_unit_test(offline_is_the_same),
        cmocka_unit_test(the_plan_is_the_same_or_what_moved_is_named),
        cmocka_unit_test(policies_applied_since_are_named),
        cmocka_unit_test(a_container_that_is_another_now),
        cmocka_unit_test(the_last_plans_are_remembered),
        cmocka_unit_test(more_than_can_be_told),
        cmocka_unit_test(an_id_is_needed_in_full),
        cmocka_unit_test(what_policies_expect_of_themselves),
        cmocka_unit_test(not_before_the_containers_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
