// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Three ways to the same answer, on random worlds: the evaluator, which reads the policies; the compiled
 * rules, run packet by packet; and the compiler fed one endpoint at a time.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/parse.h"
#include "ruleset/compare.h"
#include "ruleset/compile.h"
#include "ruleset/lock_tables.h"
#include "util/mem.h"
#include "verdict/lock.h"
#include "verdict/verdict.h"
#include "world.h"

#define WORLDS 300

#define OTHERS_MARK (0xcafe1234u & ~MARK_DEFAULT)

static const struct compile_options enforce = {MODE_ENFORCE, UNKNOWN_DENY, MARK_DEFAULT, 64, 100};
static const struct compile_options audit = {MODE_AUDIT, UNKNOWN_DENY, MARK_DEFAULT, 0, 0};

static const struct traffic all_traffic[] = {
    {IP4, IPPROTO_TCP, 80}, {IP4, IPPROTO_TCP, 443},    {IP4, IPPROTO_TCP, 5432},   {IP4, IPPROTO_UDP, 53},
    {IP4, IPPROTO_TCP, 53}, {IP4, IPPROTO_SCTP, 9},     {IP4, IPPROTO_ICMP, 8},     {IP4, IPPROTO_ICMP, 13},
    {IP4, 47, 0},           {IP6, IPPROTO_TCP, 80},     {IP6, IPPROTO_TCP, 444},    {IP6, IPPROTO_UDP, 53},
    {IP6, IPPROTO_SCTP, 9}, {IP6, IPPROTO_ICMPV6, 128}, {IP6, IPPROTO_ICMPV6, 129},
};

static const char *const outside[] = {"10.20.0.5",   "10.20.99.1", "8.8.8.8", "169.254.169.254",
                                      "203.0.113.1", "fd00:9::1",  "2a00::1", "2a01::1"};

static const struct lock_list *locks_in_force;

/* Up to two lockdowns of containers of the world, or of a selector. */
static struct lock_list *random_locks(const struct world *world, unsigned *seed)
{
    static const char *const selectors[] = {"name=web-*", "name=db?", "name=x-*"};
    static const char *const allows[] = {"host",         "10.20.0.0/16:443/tcp", "web-1",
                                         "db1:5432/tcp", "8.8.8.8:53/udp",       "[2a00::1]:icmp",
                                         "0.0.0.0/0",    "host:80/tcp"};
    struct lock_list *list = lock_list_new();

    for (unsigned n = 1 + world_random(seed, 2); n; n--) {
        struct lock *lock = lock_new();
        const struct container *container = world->inventory->containers;
        const char *why;

        for (unsigned i = world_random(seed, HASH_COUNT(world->inventory->containers)); i; i--)
            container = container->hh.next;
        if (world_random(seed, 4) == 0)
            assert_int_equal(lock_select(lock, selectors[world_random(seed, 3)], &why), 0);
        else
            lock_name(lock, container);
        lock->cut = 1 + world_random(seed, 3);
        for (unsigned i = world_random(seed, 3); i; i--)
            assert_int_equal(lock_allow(lock, allows[world_random(seed, ARRAY_SIZE(allows))], &why), 0);
        lock_list_add(list, lock);
    }
    return list;
}

static struct party endpoint_party(const struct container *container, const struct endpoint *endpoint)
{
    return (struct party){.kind = PARTY_ENDPOINT, .container = container, .endpoint = endpoint};
}

static const char *bridge_of(const struct inventory *inventory, const struct party *party)
{
    return inventory_network(inventory, party->endpoint->network_id)->bridge;
}

static struct ip address_of(const struct party *party, enum ip_family family)
{
    return party->kind == PARTY_ENDPOINT ? party->endpoint->ip[family] : party->ip;
}

static bool has_family(const struct party *party, enum ip_family family)
{
    return party->kind == PARTY_ENDPOINT ? party->endpoint->has_ip[family] : party->ip.family == family;
}

static bool compiled_verdict(const struct world *world, const struct ruleset *ruleset,
                             const struct party *from, const struct party *to, const struct traffic *traffic)
{
    struct packet packet = {.iif = "eth0",
                            .oif = "eth0",
                            .source = address_of(from, traffic->family),
                            .destination = address_of(to, traffic->family),
                            .proto = traffic->proto,
                            .port = traffic->port,
                            .hook = HOOK_FORWARD,
                            .mark = OTHERS_MARK};
    uint32_t mark;
    bool passes;

    if (from->kind == PARTY_ENDPOINT)
        packet.iif = bridge_of(world->inventory, from);
    if (to->kind == PARTY_ENDPOINT)
        packet.oif = bridge_of(world->inventory, to);
    if (from->kind == PARTY_HOST) {
        packet.hook = HOOK_OUTPUT;
        packet.iif = "";
    } else if (to->kind == PARTY_HOST) {
        packet.hook = HOOK_INPUT;
        packet.oif = "";
    }
    passes = kernel_passes(ruleset, &packet, &mark);
    /* what stays within a bridge must be marked, or is lost there; nothing else may be, nor may by lock tables */
    assert_int_equal(mark, ruleset->pair == PAIR_RULES && packet.hook == HOOK_FORWARD &&
                                   strcmp(packet.iif, packet.oif) == 0
                               ? OTHERS_MARK | MARK_DEFAULT
                               : OTHERS_MARK);
    return passes;
}

static bool is_excepted(const struct evaluation *with, const struct lock_effect *effect,
                        enum direction direction, const struct party *subject, const struct party *other,
                        const struct traffic *traffic)
{
    const struct policy_set *set = effect->exceptions ? effect->exceptions->exceptions : NULL;

    for (size_t i = 0; set && i < set->policies[0].n_rules[direction]; i++) {
        const struct rule *rule = &set->policies[0].rules[direction][i];

        if (rule_ports_match(rule, traffic) && rule_peers_match(with, rule, subject, other, traffic))
            return true;
    }
    return false;
}

/* One side of it: what a lock cuts, its exceptions decide. */
static bool side_allows(const struct evaluation *with, enum direction direction, const struct party *subject,
                        const struct party *other, const struct traffic *traffic, bool policies_allow)
{
    struct lock_effect effect = {0};

    if (subject->kind == PARTY_ENDPOINT)
        effect = lock_effect(locks_in_force, with->inventory, subject->container);
    if (!(effect.cut & (direction == INGRESS ? CUT_IN : CUT_OUT)))
        return policies_allow;
    return is_excepted(with, &effect, direction, subject, other, traffic);
}

/* Lock tables cut, and leave the policies to others. */
static bool expected_verdict(const struct evaluation *with, enum table_pair pair, const struct party *from,
                             const struct party *to, const struct traffic *traffic)
{
    struct connection_verdict verdict = evaluate(with, from, to, traffic);
    bool only_locks = pair == PAIR_LOCK;

    return side_allows(with, EGRESS, from, to, traffic,
                       only_locks || verdict.egress.verdict == VERDICT_ALLOW) &&
           side_allows(with, INGRESS, to, from, traffic,
                       only_locks || verdict.ingress.verdict == VERDICT_ALLOW);
}

static void compare(const struct world *world, const struct evaluation *with, const struct ruleset *ruleset,
                    const struct party *from, const struct party *to, unsigned seed)
{
    for (size_t i = 0; i < ARRAY_SIZE(all_traffic); i++) {
        const struct traffic *traffic = &all_traffic[i];
        char source[IP_TEXT_MAX], destination[IP_TEXT_MAX];
        bool expected, compiled;

        if (!has_family(from, traffic->family) || !has_family(to, traffic->family))
            continue;
        expected = expected_verdict(with, ruleset->pair, from, to, traffic);
        compiled = compiled_verdict(world, ruleset, from, to, traffic);
        if (expected != compiled)
            fail_msg("world %u: %s -> %s protocol %u port %u: the policies say %d, the rules %d", seed,
                     ip_format(address_of(from, traffic->family), source),
                     ip_format(address_of(to, traffic->family), destination), traffic->proto, traffic->port,
                     expected, compiled);
    }
}

/* Both ways between one container's endpoint and everybody who is none. */
static void compare_with_others(const struct world *world, const struct evaluation *with,
                                const struct ruleset *ruleset, const struct party *party, unsigned seed)
{
    for (size_t i = 0; i < ARRAY_SIZE(outside) + world->inventory->n_host_addresses; i++) {
        struct party other = {.kind = PARTY_OUTSIDE, .has_ip = true};

        if (i < ARRAY_SIZE(outside)) {
            assert_int_equal(ip_parse(outside[i], &other.ip), 0);
        } else {
            other.kind = PARTY_HOST;
            other.ip = world->inventory->host_addresses[i - ARRAY_SIZE(outside)];
        }
        compare(world, with, ruleset, party, &other, seed);
        compare(world, with, ruleset, &other, party, seed);
    }
}

static size_t all_endpoints(const struct world *world, struct party *parties)
{
    size_t n = 0;

    for (const struct container *c = world->inventory->containers; c; c = c->hh.next) {
        for (size_t i = 0; i < c->n_endpoints; i++)
            parties[n++] = endpoint_party(c, &c->endpoints[i]);
    }
    return n;
}

static void compare_all(const struct world *world, const struct evaluation *with,
                        const struct ruleset *ruleset, const struct party *parties, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            if (parties[i].container != parties[j].container)
                compare(world, with, ruleset, &parties[i], &parties[j], seed);
        }
        compare_with_others(world, with, ruleset, &parties[i], seed);
    }
}

static void compare_world(unsigned seed, const struct compile_options *options, bool locked)
{
    struct world world = world_make(seed);
    struct settings *settings = settings_new();
    struct evaluation with = {world.policies, world.inventory, settings, NULL};
    struct compiler *compiler = compiler_new(world.policies, options);
    struct party parties[16];
    size_t n = all_endpoints(&world, parties);

    _cleanup_(lock_list_freep) struct lock_list *locks = locked ? random_locks(&world, &seed) : NULL;

    locks_in_force = locks;
    settings->default_mode = options->default_mode;
    compiler_set_locks(compiler, locks);
    compiler_load(compiler, world.inventory);
    compare_all(&world, &with, compiler_ruleset(compiler), parties, n, seed);
    if (locks) {
        _cleanup_(ruleset_freep) struct ruleset *alone = lock_tables_compile(locks, world.inventory, options);

        compare_all(&world, &with, alone, parties, n, seed);
    }
    compiler_free(compiler);
    settings_free(settings);
    world_clear(&world);
}

static void rules_do_what_policies_say(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= WORLDS; seed++)
        compare_world(seed, seed % 5 ? &enforce : &audit, false);
}

static void rules_do_what_locks_say(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= WORLDS; seed++)
        compare_world(seed, seed % 5 ? &enforce : &audit, true);
}

/* A rename concerns every endpoint of the container. */
static void rename_container(const struct world *world, struct compiler *compiler, const bool *live,
                             const struct party *parties, size_t n, size_t i, struct delta *delta)
{
    struct container *container = (struct container *)parties[i].container;

    container->name[0] = container->name[0] == 'w' ? 'd' : 'w';
    for (size_t j = 0; j < n; j++) {
        if (live[j] && parties[j].container == container)
            compiler_set_endpoint(compiler, world->inventory, container, parties[j].endpoint, delta);
    }
}

/* Other locks hold, or none. */
static void change_locks(const struct world *world, struct compiler *compiler, const bool *live,
                         const struct party *parties, size_t n, unsigned *seed, struct delta *delta)
{
    struct lock_list *old = (struct lock_list *)locks_in_force;

    locks_in_force = world_random(seed, 2) ? random_locks(world, seed) : NULL;
    compiler_set_locks(compiler, locks_in_force);
    for (size_t j = 0; j < n; j++)
        if (live[j])
            compiler_set_endpoint(compiler, world->inventory, parties[j].container, parties[j].endpoint,
                                  delta);
    lock_list_free(old);
}

/* Random starts, stops, renames and lockdowns; after each, the deltas so far must have led exactly to the compiler's
 * ruleset. */
static void step(const struct world *world, struct compiler *compiler, struct ruleset *kernel, bool *live,
                 const struct party *parties, size_t n, unsigned *seed)
{
    size_t i = world_random(seed, (unsigned)n);
    const struct container *container = parties[i].container;
    const struct endpoint *endpoint = parties[i].endpoint;
    _cleanup_delta_ struct delta delta = {0};

    if (world_random(seed, 6) == 0) {
        change_locks(world, compiler, live, parties, n, seed, &delta);
    } else if (live[i] && world_random(seed, 2)) {
        compiler_drop_endpoint(compiler, container->id, endpoint->network_id, &delta);
        compiler_drop_port(compiler, endpoint->port, &delta);
        assert_true(delta_is_elements_only(&delta));
        live[i] = false;
    } else if (live[i]) {
        rename_container(world, compiler, live, parties, n, i, &delta);
    } else {
        compiler_add_port(compiler, endpoint->port, &delta);
        compiler_set_endpoint(compiler, world->inventory, container, endpoint, &delta);
        live[i] = true;
    }
    kernel_apply(kernel, &delta);
    assert_contains(kernel, compiler_ruleset(compiler));
    assert_contains(compiler_ruleset(compiler), kernel);
}

/* What a compiler makes of the live endpoints alone, from scratch. */
static struct compiler *from_scratch(const struct world *world, const struct compile_options *options,
                                     const bool *live, const struct party *parties, size_t n)
{
    struct compiler *compiler = compiler_new(world->policies, options);

    compiler_set_locks(compiler, locks_in_force);
    compiler_add_bridge(compiler, "br0", NULL);
    compiler_add_bridge(compiler, "br1", NULL);
    for (size_t i = n; i-- > 0;) {
        if (!live[i])
            continue;
        compiler_add_port(compiler, parties[i].endpoint->port, NULL);
        compiler_set_endpoint(compiler, world->inventory, parties[i].container, parties[i].endpoint, NULL);
    }
    return compiler;
}

static void walk_world(unsigned seed, const struct compile_options *options)
{
    struct world world = world_make(seed);
    struct compiler *compiler = compiler_new(world.policies, options), *fresh;
    struct ruleset *kernel = ruleset_new();
    _cleanup_delta_ struct delta load = {0};
    struct party parties[16];
    size_t n = all_endpoints(&world, parties);
    bool live[16] = {false};

    locks_in_force = NULL;
    compiler_add_bridge(compiler, "br0", NULL);
    compiler_add_bridge(compiler, "br1", NULL);
    delta_load(compiler_ruleset(compiler), &load);
    kernel_apply(kernel, &load);
    for (unsigned i = 0; i < 40; i++)
        step(&world, compiler, kernel, live, parties, n, &seed);
    fresh = from_scratch(&world, options, live, parties, n);
    assert_contains(compiler_ruleset(compiler), compiler_ruleset(fresh));
    compiler_free(fresh);
    compiler_free(compiler);
    lock_list_free((struct lock_list *)locks_in_force);
    locks_in_force = NULL;
    ruleset_free(kernel);
    world_clear(&world);
}

static void deltas_lead_to_the_same_ruleset(void **state)
{
    static const struct compile_options lenient = {MODE_ENFORCE, UNKNOWN_INTERNET, MARK_DEFAULT, 0, 0};

    (void)state;
    for (unsigned seed = 1; seed <= WORLDS; seed++)
        walk_world(seed, seed % 3 ? &enforce : &lenient);
}

static void a_prepared_start_adds_elements_only(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= WORLDS; seed++) {
        struct world world = world_make(seed);
        struct compiler *compiler = compiler_new(world.policies, &enforce);
        struct party parties[16];
        size_t n = all_endpoints(&world, parties);

        for (size_t i = 0; i < n; i++)
            compiler_prepare_endpoint(compiler, world.inventory, parties[i].container, parties[i].endpoint,
                                      NULL);
        for (size_t i = 0; i < n; i++) {
            _cleanup_delta_ struct delta delta = {0};

            compiler_set_endpoint(compiler, world.inventory, parties[i].container, parties[i].endpoint,
                                  &delta);
            assert_true(delta_is_elements_only(&delta));
            assert_int_not_equal(delta_count(&delta), 0);
        }
        compiler_free(compiler);
        world_clear(&world);
    }
}

static size_t compare_orders(unsigned number, const struct compile_options *options)
{
    struct world world = world_make(number), other = world_make(number);
    const bool live[16] = {true, true, true, true, true, true, true, true};
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_differences_ struct differences differences = {0};
    struct party parties[16], same[16];
    size_t n = all_endpoints(&world, parties), objects;
    struct compiler *compilers[2];
    unsigned seed = number;

    assert_int_equal(all_endpoints(&other, same), n);
    world_shuffle(other.policies, &seed);
    assert_int_equal(policy_set_finish(other.policies, &diags), 0);
    compilers[0] = from_scratch(&world, options, live, parties, n);
    compilers[1] = from_scratch(&other, options, live, same, n);
    ruleset_diff(compiler_ruleset(compilers[0]), compiler_ruleset(compilers[1]), 10, &differences);
    for (size_t i = 0; i < differences.n; i++)
        print_message("%s: %s\n", differences.v[i].name, differences.v[i].text);
    if (differences.n)
        fail_msg("world %u", number);
    objects = differences.n_objects;
    for (size_t i = 0; i < 2; i++)
        compiler_free(compilers[i]);
    world_clear(&world);
    world_clear(&other);
    return objects;
}

/* Of policies, rules, peers and ports. */
static void order_changes_no_rule(void **state)
{
    (void)state;
    for (unsigned number = 1; number <= 10 * WORLDS; number++)
        assert_true(compare_orders(number, number % 3 ? &enforce : &audit) > 50);
}

/* The address's new owner takes it over whole, and the old one's late end does not touch it. */
static void an_address_has_one_owner(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= WORLDS; seed++) {
        struct world world = world_make(seed);
        struct compiler *compiler = compiler_new(world.policies, &enforce),
                        *fresh = compiler_new(world.policies, &enforce);
        struct party parties[16];
        size_t n = all_endpoints(&world, parties), last = n - 1;
        struct endpoint taken = *parties[0].endpoint;

        taken.network_id = parties[last].endpoint->network_id;
        taken.network_name = parties[last].endpoint->network_name;
        compiler_set_endpoint(compiler, world.inventory, parties[0].container, parties[0].endpoint, NULL);
        compiler_set_endpoint(compiler, world.inventory, parties[last].container, &taken, NULL);
        compiler_drop_endpoint(compiler, parties[0].container->id, parties[0].endpoint->network_id, NULL);
        compiler_set_endpoint(fresh, world.inventory, parties[last].container, &taken, NULL);
        if (parties[0].container != parties[last].container ||
            strcmp(parties[0].endpoint->network_id, taken.network_id) != 0)
            assert_contains(compiler_ruleset(compiler), compiler_ruleset(fresh));
        compiler_free(compiler);
        compiler_free(fresh);
        world_clear(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_do_what_policies_say),
        cmocka_unit_test(rules_do_what_locks_say),
        cmocka_unit_test(deltas_lead_to_the_same_ruleset),
        cmocka_unit_test(a_prepared_start_adds_elements_only),
        cmocka_unit_test(order_changes_no_rule),
        cmocka_unit_test(an_address_has_one_owner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
