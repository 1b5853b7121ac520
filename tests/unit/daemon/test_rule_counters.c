/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The counts of policies' rules: whose each rule of the kernel is, and that nothing is lost or counted twice. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/rule_counters.h"
#include "policy/parse.h"
#include "ruleset/compile.h"

#define WHERE "boot 1 netns 1"

/* Policies, what is compiled from them, and a kernel that holds it. */
struct world {
    struct inventory *inventory;
    struct policy_set *policies;
    struct compiler *compiler;
    struct table_counters kernel;
    uint64_t handle;
    struct rule_counters *counters;
};

static void add_container(struct inventory *inventory, const char *name, uint8_t number)
{
    struct container *container = container_new();
    struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);

    container->id = xasprintf("id-%s", name);
    container->name = xstrdup(name);
    container->running = container->labels_known = true;
    endpoint->network_id = xstrdup("n");
    endpoint->network_name = xstrdup("n");
    endpoint->id = xasprintf("endpoint-%s", name);
    endpoint->mac = (struct mac){{2, 0, 0, 0, 0, number}};
    endpoint->ip[IP4] = (struct ip){.num = 0x0a000000u + number, .family = IP4};
    endpoint->has_mac = endpoint->has_ip[IP4] = true;
    snprintf(endpoint->port, sizeof(endpoint->port), "veth-%s", name);
    inventory_put_container(inventory, container);
}

static void compile(struct world *world, const char *yaml)
{
    static const struct compile_options options = {.mark = 0x2000};
    struct diags diags = {0};

    compiler_free(world->compiler);
    policy_set_free(world->policies);
    world->policies = policy_set_new();
    assert_int_equal(policy_parse(world->policies, "p.yaml", yaml, strlen(yaml), &diags), 0);
    assert_int_equal(policy_set_finish(world->policies, &diags), 0);
    diags_clear(&diags);
    world->compiler = compiler_new(world->policies, &options);
    compiler_load(world->compiler, world->inventory);
}

static struct chain_counters *kernel_chain(struct table_counters *kernel, const char *name)
{
    for (size_t i = 0; i < kernel->n; i++)
        if (strcmp(kernel->chains[i].name, name) == 0)
            return &kernel->chains[i];
    return NULL;
}

/* As the daemon has it: what stands stays, what is new comes, what is not wanted any more goes. */
static void apply(struct world *world)
{
    struct table_counters next = {.table = world->kernel.table};

    for (const struct chain *chain = compiler_ruleset(world->compiler)->tables[TABLE_INET].chains; chain;
         chain = chain->hh.next) {
        struct chain_counters *old = kernel_chain(&world->kernel, chain->name);
        struct chain_counters *new = ARRAY_ADD(next.chains, next.n);

        new->name = xstrdup(chain->name);
        for (size_t i = 0; i < chain->n_rules; i++)
            *ARRAY_ADD(new->rules, new->n) =
                old ? old->rules[i] : (struct rule_counter){.handle = ++world->handle};
    }
    table_counters_clear(&world->kernel);
    world->kernel = next;
}

static void learn(struct world *world, uint64_t now)
{
    rule_counters_learn(world->counters, world->policies, compiler_ruleset(world->compiler), now);
}

static struct world *world_new(const char *yaml)
{
    struct world *world = xnew(struct world);
    struct network *network = network_new();

    world->inventory = inventory_new();
    network->id = xstrdup("n");
    network->name = xstrdup("n");
    network->driver = xstrdup("bridge");
    network->bridge = xstrdup("br");
    network->managed = true;
    *ARRAY_ADD(network->subnets, network->n_subnets) =
        (struct cidr){.net = {.num = 0x0a000000u, .family = IP4}, .len = 24};
    inventory_put_network(world->inventory, network);
    add_container(world->inventory, "web", 2);
    add_container(world->inventory, "db", 3);
    add_container(world->inventory, "job", 4);
    world->counters = rule_counters_new();
    world->kernel.table = 1;
    compile(world, yaml);
    apply(world);
    learn(world, 100);
    return world;
}

static void world_free(struct world **world)
{
    rule_counters_free((*world)->counters);
    compiler_free((*world)->compiler);
    policy_set_free((*world)->policies);
    inventory_free((*world)->inventory);
    table_counters_clear(&(*world)->kernel);
    free(*world);
}
#define _cleanup_world_ _cleanup_(world_free)

/* So many packets of 60 bytes meet all rules of the kernel that stand for this rule of the policy: how many rules that are. */
static size_t hit(struct world *world, const char *policy, enum direction direction, unsigned index,
                  uint64_t packets)
{
    size_t n = 0;

    for (const struct chain *chain = compiler_ruleset(world->compiler)->tables[TABLE_INET].chains; chain;
         chain = chain->hh.next)
        for (size_t i = 0; i < chain->n_rules; i++) {
            const struct rule_source *source = &chain->rules[i].source;
            struct chain_counters *is = kernel_chain(&world->kernel, chain->name);

            if (!source->policy || strcmp(source->policy, policy) != 0 || source->direction != direction)
                continue;
            for (size_t j = 0; j < source->n; j++)
                if (source->indices[j] == index) {
                    is->rules[i].packets += packets;
                    is->rules[i].bytes += 60 * packets;
                    n++;
                }
        }
    return n;
}

static bool read_kernel(struct world *world, uint64_t now)
{
    return rule_counters_read(world->counters, WHERE, &world->kernel, now);
}

static struct rule_count count_of(const struct world *world, const char *policy, enum direction direction,
                                  unsigned index)
{
    _cleanup_free_ struct rule_count *list = NULL;
    size_t n = rule_counters_list(world->counters, &list);

    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].policy, policy) == 0 && list[i].direction == direction && list[i].index == index)
            return list[i];
    fail_msg("no rule %s %d %u", policy, (int)direction, index);
    return (struct rule_count){0};
}

static uint64_t hits_of(const struct world *world, const char *policy, enum direction direction,
                        unsigned index)
{
    return count_of(world, policy, direction, index).hits;
}

#define SHOP                                                                                                 \
    "policy: db\n"                                                                                           \
    "select: {name: db}\n"                                                                                   \
    "ingress:\n"                                                                                             \
    "  - from: [{name: web}]\n"                                                                              \
    "    ports: [5432/tcp]\n"                                                                                \
    "  - name: icmp\n"                                                                                       \
    "    from: [containers]\n"                                                                               \
    "    ports: [icmp/echo-request]\n"
#define EVERYBODY                                                                                            \
    "---\n"                                                                                                  \
    "policy: everybody\n"                                                                                    \
    "select: {all: true}\n"                                                                                  \
    "egress:\n"                                                                                              \
    "  - to: [containers]\n"                                                                                 \
    "    ports: [tcp]\n"                                                                                     \
    "  - name: no-metadata\n"                                                                                \
    "    deny: true\n"                                                                                       \
    "    to: [{cidr: 169.254.169.254/32}]\n"

static void a_rule_has_what_its_kernel_rules_have(void **state)
{
    _cleanup_world_ struct world *world = world_new(SHOP EVERYBODY);
    struct rule_count count;

    (void)state;
    assert_int_equal(hit(world, "db", INGRESS, 1, 3), 1);
    assert_true(read_kernel(world, 200));
    count = count_of(world, "db", INGRESS, 1);
    assert_int_equal(count.hits, 3);
    assert_int_equal(count.bytes, 180);
    assert_int_equal(count.last_hit, 200);
    assert_int_equal(count.since, 100);
    assert_int_equal(count.n_kernel, 1);
    assert_null(count.name);
    assert_false(count.shared);
    assert_false(read_kernel(world, 300)); /* nothing has been added */
    assert_int_equal(count_of(world, "db", INGRESS, 1).last_hit, 200);
    hit(world, "db", INGRESS, 1, 2);
    assert_true(read_kernel(world, 400));
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 5);
    assert_int_equal(hits_of(world, "db", INGRESS, 2), 0);
    assert_string_equal(count_of(world, "db", INGRESS, 2).name, "icmp");
}

/* db has a policy of its own besides, so it is of another class: the rule is in the kernel twice. */
static void classes_are_added_up(void **state)
{
    _cleanup_world_ struct world *world = world_new(SHOP "egress: [{to: [{name: job}]}]\n" EVERYBODY);

    (void)state;
    assert_int_equal(hit(world, "everybody", EGRESS, 1, 5), 2);
    read_kernel(world, 200);
    assert_int_equal(hits_of(world, "everybody", EGRESS, 1), 10);
    assert_int_equal(count_of(world, "everybody", EGRESS, 1).n_kernel, 2);
}

static void a_deny_rule_is_not_in_the_kernel(void **state)
{
    _cleanup_world_ struct world *world = world_new(SHOP EVERYBODY);
    struct rule_count count;

    (void)state;
    assert_int_equal(hit(world, "everybody", EGRESS, 2, 1), 0);
    rule_counters_denied(world->counters, "everybody", EGRESS, "no-metadata", 4, 250);
    rule_counters_denied(world->counters, "everybody", INGRESS, "no-metadata", 1, 260);
    rule_counters_denied(world->counters, "everybody", EGRESS, "egress 2", 1, 260); /* it has a name */
    rule_counters_denied(world->counters, "everybody", EGRESS, "egress 1", 1, 260); /* it allows */
    rule_counters_denied(world->counters, "nobody", EGRESS, "no-metadata", 1, 260);
    count = count_of(world, "everybody", EGRESS, 2);
    assert_true(count.deny);
    assert_int_equal(count.n_kernel, 0);
    assert_int_equal(count.hits, 0);
    assert_int_equal(count.denied, 4);
    assert_int_equal(count.last_hit, 250);
}

/* Two rules of one policy without names that say the same of web: the kernel has one. */
static void rules_that_look_alike_share(void **state)
{
    _cleanup_world_ struct world *world = world_new("policy: db\n"
                                                    "select: {name: db}\n"
                                                    "ingress:\n"
                                                    "  - from: [{name: web}, {name: job}]\n"
                                                    "  - from: [{name: web}]\n");

    (void)state;
    assert_int_equal(hit(world, "db", INGRESS, 2, 1), 1);
    read_kernel(world, 200);
    assert_int_equal(hits_of(world, "db", INGRESS, 2), 1);
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 1);
    assert_true(count_of(world, "db", INGRESS, 1).shared);
    assert_true(count_of(world, "db", INGRESS, 2).shared);
    assert_int_equal(count_of(world, "db", INGRESS, 1).n_kernel, 2);
    assert_int_equal(count_of(world, "db", INGRESS, 2).n_kernel, 1);
}

/* "Every container" and "everything outside" become one rule of the kernel. */
static void rules_that_are_joined_share(void **state)
{
    _cleanup_world_ struct world *world = world_new("policy: db\n"
                                                    "select: {name: db}\n"
                                                    "egress:\n"
                                                    "  - {to: [containers], ports: [443/tcp]}\n"
                                                    "  - {to: [outside], ports: [443/tcp]}\n");

    (void)state;
    assert_int_equal(hit(world, "db", EGRESS, 1, 1), 1);
    read_kernel(world, 200);
    assert_int_equal(hits_of(world, "db", EGRESS, 1), 1);
    assert_int_equal(hits_of(world, "db", EGRESS, 2), 1);
}

static void a_rule_written_twice_is_one(void **state)
{
    _cleanup_world_ struct world *world =
        world_new("policy: db\nselect: {name: db}\ningress: [{from: [host]}, {from: [host]}]\n");
    _cleanup_free_ struct rule_count *list = NULL;

    (void)state;
    assert_int_equal(rule_counters_list(world->counters, &list), 1);
    assert_false(list[0].shared);
}

/* The chains of the policy that changes go, and those of the other stay. */
static void a_reload_keeps_what_does_not_change(void **state)
{
    _cleanup_world_ struct world *world = world_new(SHOP EVERYBODY);

    (void)state;
    hit(world, "db", INGRESS, 1, 3);
    hit(world, "db", INGRESS, 2, 4);
    hit(world, "everybody", EGRESS, 1, 5); /* db's and the others' */
    read_kernel(world, 200);
    hit(world, "db", INGRESS, 2, 1);
    read_kernel(world, 290); /* before what goes is gone */
    compile(world, "policy: db\n"
                   "select: {name: db}\n"
                   "ingress:\n"
                   "  - name: icmp\n" /* it stands elsewhere, and says the same */
                   "    from: [containers]\n"
                   "    ports: [icmp/echo-request]\n"
                   "  - from: [{name: web}]\n"
                   "    ports: [5433/tcp]\n" EVERYBODY);
    apply(world);
    learn(world, 300);
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 5);
    assert_int_equal(count_of(world, "db", INGRESS, 1).since, 100);
    assert_int_equal(hits_of(world, "db", INGRESS, 2), 0); /* another rule */
    assert_int_equal(count_of(world, "db", INGRESS, 2).since, 300);
    assert_int_equal(hits_of(world, "everybody", EGRESS, 1), 10);
    hit(world, "db", INGRESS, 1, 2);
    hit(world, "db", INGRESS, 2, 6);
    read_kernel(world, 400);
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 7);
    assert_int_equal(hits_of(world, "db", INGRESS, 2), 6);
    compile(world, SHOP EVERYBODY); /* and back */
    apply(world);
    learn(world, 500);
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 3);
    assert_int_equal(hits_of(world, "db", INGRESS, 2), 7);
}

static void a_day_is_remembered(void **state)
{
    _cleanup_world_ struct world *world = world_new(SHOP);

    (void)state;
    hit(world, "db", INGRESS, 1, 3);
    read_kernel(world, 200);
    compile(world, EVERYBODY);
    apply(world);
    learn(world, 300);
    read_kernel(world, 300); /* its chain is seen to be gone */
    learn(world, 300 + RULE_REMEMBERED);
    compile(world, SHOP);
    apply(world);
    learn(world, 400 + RULE_REMEMBERED);
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 0);
    assert_int_equal(count_of(world, "db", INGRESS, 1).since, 400 + RULE_REMEMBERED);
}

/* What new chains count before they are learned is theirs all the same. */
static void nothing_is_lost_before_it_is_learned(void **state)
{
    _cleanup_world_ struct world *world = world_new(EVERYBODY);

    (void)state;
    compile(world, SHOP EVERYBODY);
    apply(world);
    hit(world, "db", INGRESS, 1, 3);
    read_kernel(world, 200);
    learn(world, 300);
    read_kernel(world, 400);
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 3);
}

/* Somebody has deleted the tables, and they were loaded again: the handles begin anew. */
static void new_tables_count_from_the_start(void **state)
{
    _cleanup_world_ struct world *world = world_new(SHOP);

    (void)state;
    hit(world, "db", INGRESS, 1, 3);
    read_kernel(world, 200);
    for (size_t i = 0; i < world->kernel.n; i++)
        for (size_t j = 0; j < world->kernel.chains[i].n; j++)
            world->kernel.chains[i].rules[j].packets = world->kernel.chains[i].rules[j].bytes = 0;
    world->kernel.table = 2;
    hit(world, "db", INGRESS, 1, 4); /* more than before: that alone would not show it */
    read_kernel(world, 300);
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 7);
    rule_counters_read(world->counters, "boot 2 netns 1", &world->kernel, 400); /* another kernel */
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 11);
}

static void a_chain_that_somebody_changed_is_left_alone(void **state)
{
    _cleanup_world_ struct world *world = world_new(SHOP);

    (void)state;
    hit(world, "db", INGRESS, 1, 3);
    for (size_t i = 0; i < world->kernel.n; i++)
        *ARRAY_ADD(world->kernel.chains[i].rules, world->kernel.chains[i].n) =
            (struct rule_counter){.handle = ++world->handle, .packets = 50};
    assert_false(read_kernel(world, 200));
    for (size_t i = 0; i < world->kernel.n; i++)
        world->kernel.chains[i].n--;
    read_kernel(world, 300);
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 3);
}

static void a_staged_policy_counts_nothing(void **state)
{
    _cleanup_world_ struct world *world = world_new(SHOP "mode: audit\n");

    (void)state;
    assert_true(count_of(world, "db", INGRESS, 1).staged);
    assert_int_equal(count_of(world, "db", INGRESS, 1).n_kernel, 0);
    compile(world, SHOP);
    apply(world);
    learn(world, 700);
    assert_false(count_of(world, "db", INGRESS, 1).staged);
    assert_int_equal(count_of(world, "db", INGRESS, 1).since, 700);
}

static void restart(struct world *world)
{
    _cleanup_free_ char *text = rule_counters_save(world->counters);

    rule_counters_free(world->counters);
    world->counters = rule_counters_new();
    assert_int_equal(rule_counters_restore(world->counters, text), 0);
}

/* While no daemon runs the kernel goes on counting; and what was not saved is counted again from what was. */
static void a_restart_goes_on(void **state)
{
    _cleanup_world_ struct world *world = world_new(SHOP EVERYBODY);
    _cleanup_free_ struct rule_count *list = NULL;

    (void)state;
    hit(world, "db", INGRESS, 1, 3);
    rule_counters_denied(world->counters, "everybody", EGRESS, "no-metadata", 4, 150);
    read_kernel(world, 200);
    hit(world, "db", INGRESS, 1, 2);
    restart(world);
    assert_int_equal(rule_counters_list(world->counters, &list), 0);
    read_kernel(world, 300); /* before anything is learned: whose they are is known */
    learn(world, 400);
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 5);
    assert_int_equal(count_of(world, "db", INGRESS, 1).bytes, 300);
    assert_int_equal(count_of(world, "db", INGRESS, 1).since, 100);
    assert_int_equal(count_of(world, "everybody", EGRESS, 2).denied, 4);
    hit(world, "db", INGRESS, 1, 1);
    read_kernel(world, 500);
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 6);
}

/* The policies were changed while no daemon ran: what its rules counted is read before they go. */
static void a_restart_with_other_policies_loses_nothing(void **state)
{
    _cleanup_world_ struct world *world = world_new(SHOP);

    (void)state;
    hit(world, "db", INGRESS, 2, 3);
    restart(world);
    compile(world, "policy: db\nselect: {name: db}\ningress:\n"
                   "  - {name: icmp, from: [containers], ports: [icmp/echo-request]}\n");
    learn(world, 200);
    read_kernel(world, 250);
    apply(world);
    read_kernel(world, 300);
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 3);
}

static void a_first_start_knows_nothing_of_before(void **state)
{
    _cleanup_world_ struct world *world = world_new(SHOP);

    (void)state;
    hit(world, "db", INGRESS, 1, 3);
    rule_counters_free(world->counters);
    world->counters = rule_counters_new();
    rule_counters_begin(world->counters, WHERE, &world->kernel);
    learn(world, 200);
    hit(world, "db", INGRESS, 1, 2);
    read_kernel(world, 300);
    assert_int_equal(hits_of(world, "db", INGRESS, 1), 2);
    assert_int_equal(count_of(world, "db", INGRESS, 1).since, 200);
}

static void what_is_damaged_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "{\"format_version\":\"2.0\",\"table\":1,\"rules\":[],\"chains\":{}}",
        "{\"format_version\":\"1.0\",\"table\":-1,\"rules\":[],\"chains\":{}}",
        "{\"format_version\":\"1.0\",\"table\":1,\"rules\":[{}],\"chains\":{}}",
        "{\"format_version\":\"1.0\",\"table\":1,\"rules\":[],\"chains\":{\"c\":[[1,2]]}}",
        "{\"format_version\":\"1.0\",\"table\":1,\"rules\":[],\"chains\":{\"c\":[[1,2,3,0]]}}",
        "{\"format_version\":\"1.0\",\"table\":1,\"rules\":[],\"chains\":{\"c\":5}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_(rule_counters_freep) struct rule_counters *counters = rule_counters_new();
        _cleanup_free_ char *text = NULL;

        assert_int_equal(rule_counters_restore(counters, texts[i]), -EBADMSG);
        text = rule_counters_save(counters);
        assert_non_null(strstr(text, "\"rules\":[],\"chains\":{}"));
    }
}

/* A text that is cut anywhere is refused, or all of it is read. */
static void what_is_cut_is_refused(void **state)
{
    _cleanup_world_ struct world *world = world_new(SHOP EVERYBODY);
    _cleanup_free_ char *text = NULL;

    (void)state;
    read_kernel(world, 200);
    text = rule_counters_save(world->counters);
    for (size_t len = 0; len < strlen(text); len += 7) {
        _cleanup_(rule_counters_freep) struct rule_counters *counters = rule_counters_new();
        _cleanup_free_ char *part = xstrndup(text, len);

        assert_int_equal(rule_counters_restore(counters, part), -EBADMSG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_has_what_its_kernel_rules_have),
        cmocka_unit_test(classes_are_added_up),
        cmocka_unit_test(a_deny_rule_is_not_in_the_kernel),
        cmocka_unit_test(rules_that_look_alike_share),
        cmocka_unit_test(rules_that_are_joined_share),
        cmocka_unit_test(a_rule_written_twice_is_one),
        cmocka_unit_test(a_reload_keeps_what_does_not_change),
        cmocka_unit_test(a_day_is_remembered),
        cmocka_unit_test(nothing_is_lost_before_it_is_learned),
        cmocka_unit_test(new_tables_count_from_the_start),
        cmocka_unit_test(a_chain_that_somebody_changed_is_left_alone),
        cmocka_unit_test(a_staged_policy_counts_nothing),
        cmocka_unit_test(a_restart_goes_on),
        cmocka_unit_test(a_restart_with_other_policies_loses_nothing),
        cmocka_unit_test(a_first_start_knows_nothing_of_before),
        cmocka_unit_test(what_is_damaged_is_refused),
        cmocka_unit_test(what_is_cut_is_refused),
    };

    return cmocka_run_group_tests_name("rule counters", tests, NULL, NULL);
}
