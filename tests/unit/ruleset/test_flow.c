// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random flows in random worlds: what the judge says of one must be what the compiled rules would do to its first
 * packet. The interfaces, which a flow does not tell, are those that its addresses have in such a world.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ruleset/compile.h"
#include "util/mem.h"
#include "verdict/flow.h"
#include "world.h"

#define WORLDS 300
#define FLOWS 400

enum side { SIDE_ENDPOINT, SIDE_UNKNOWN, SIDE_HOST, SIDE_OUTSIDE, SIDE_LINK_LOCAL, SIDE_GROUP, SIDES };

struct spot {
    enum side side;
    struct ip ip;
    const char *bridge; /* SIDE_ENDPOINT, SIDE_UNKNOWN, and the broadcast address of a managed network */
};

struct tally {
    size_t n[3];
};

#define PICK(seed, array) ((array)[world_random((seed), (unsigned)ARRAY_SIZE(array))])

static struct ip address(const char *text)
{
    struct ip ip;

    assert_int_equal(ip_parse(text, &ip), 0);
    return ip;
}

/* Some containers stop, and each network has IPv6. */
static void prepare(struct world *world, unsigned *seed)
{
    for (struct network *network = world->inventory->networks; network; network = network->hh.next) {
        bool second = network->id[strlen(network->id) - 1] == '1';

        assert_int_equal(cidr_parse(second ? "fd00:1::/64" : "fd00:0::/64",
                                    ARRAY_ADD(network->subnets, network->n_subnets)),
                         0);
    }
    for (struct container *c = world->inventory->containers; c; c = c->hh.next) {
        c->running = world_random(seed, 8) != 0;
        for (size_t i = 0; !c->running && i < c->n_endpoints; i++) {
            free(c->endpoints[i].id);
            c->endpoints[i].id = NULL;
        }
    }
}

static struct spot random_endpoint(const struct world *world, unsigned *seed, enum ip_family family)
{
    for (;;) {
        const struct container *c = world->inventory->containers;

        for (unsigned i = world_random(seed, 6); i; i--)
            c = c->hh.next;
        const struct endpoint *endpoint = &c->endpoints[world_random(seed, (unsigned)c->n_endpoints)];
        if (!endpoint->has_ip[family])
            continue;
        return (struct spot){endpoint->id ? SIDE_ENDPOINT : SIDE_UNKNOWN, endpoint->ip[family],
                             inventory_network(world->inventory, endpoint->network_id)->bridge};
    }
}

static struct spot random_spot(const struct world *world, unsigned *seed, enum ip_family family)
{
    static const char *const outside[IP_FAMILIES][7] = {
        {"10.20.0.5", "10.20.99.1", "8.8.8.8", "169.254.169.254", "203.0.113.1", "10.21.0.0", "1.0.0.0"},
        {"fd00:9::1", "2a00::1", "2a01::1", "2001:4860:4860::8888", "2001:db8::1", "3fff::1", "2a00:ffff::"}};
    static const char *const unknown[IP_FAMILIES][2] = {{"172.30.0.200", "172.31.255.254"},
                                                        {"fd00:0::200", "fd00:1::ffff"}};
    static const char *const broadcast[] = {"172.30.255.255", "172.31.255.255"};
    static const char *const host[IP_FAMILIES][2] = {{"192.0.2.1", "127.0.0.1"}, {"fd00:99::1", "::1"}};
    unsigned which = world_random(seed, 2);

    switch (world_random(seed, 10)) {
    case 0:
        return (struct spot){SIDE_UNKNOWN, address(unknown[family][which]), which ? "br1" : "br0"};
    case 1:
    case 2:
        return (struct spot){SIDE_HOST, address(host[family][which]), NULL};
    case 3:
        if (family == IP4)
            return (struct spot){SIDE_GROUP, address(broadcast[which]), which ? "br1" : "br0"};
        return (struct spot){SIDE_LINK_LOCAL, address("fe80::5"), NULL};
    case 4:
    case 5:
    case 6:
        return (struct spot){SIDE_OUTSIDE, address(PICK(seed, outside[family])), NULL};
    default:
        return random_endpoint(world, seed, family);
    }
}

static void random_traffic(unsigned *seed, struct flow *flow)
{
    static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP, 47};
    static const uint16_t ports[] = {1, 9, 52, 53, 54, 79, 80, 81, 443, 444, 5432, 65535};
    static const uint16_t source_ports[] = {50000, 50001, 67, 547};
    static const uint8_t types[IP_FAMILIES][3] = {{8, 13, 17}, {128, 129, 139}};

    flow->proto = PICK(seed, protos);
    if (flow->proto == IPPROTO_ICMP) {
        flow->proto = flow->family == IP4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
        flow->icmp_type = PICK(seed, types[flow->family]);
    } else if (flow->proto != 47) {
        flow->has_ports = true;
        flow->original.source_port = PICK(seed, source_ports);
        flow->reply.source_port = PICK(seed, ports);
        flow->original.destination_port = flow->reply.source_port;
        flow->reply.destination_port = flow->original.source_port;
    }
}

static bool is_loopback(struct ip ip)
{
    return ip_equal(ip, address(ip.family == IP4 ? "127.0.0.1" : "::1"));
}

static struct flow flow_between(unsigned *seed, const struct spot *from, const struct spot *to)
{
    struct flow flow = {.family = from->ip.family, .confirmed = true};

    flow.original.source = flow.reply.destination = from->ip;
    flow.original.destination = flow.reply.source = to->ip;
    random_traffic(seed, &flow);
    /* published: what the client asked for does not matter, unless it is a loopback address */
    if (world_random(seed, 3) == 0 && !is_loopback(to->ip)) {
        flow.dnat = true;
        flow.original.destination = address(flow.family == IP4 ? "192.0.2.1" : "fd00:99::1");
        flow.original.destination_port = 8080;
    }
    if (world_random(seed, 3) == 0) { /* masqueraded: nor does what the server sees */
        flow.snat = true;
        flow.reply.destination = address(flow.family == IP4 ? "192.0.2.1" : "fd00:99::1");
        flow.reply.destination_port = 40000;
    }
    return flow;
}

/* Where it is unknown which link an address is on, it is the other end's. */
static struct packet first_packet(const struct flow *flow, const struct spot *from, const struct spot *to)
{
    bool link_local = from->side == SIDE_LINK_LOCAL || to->side == SIDE_LINK_LOCAL;
    const char *in = from->bridge, *out = to->bridge;
    struct packet packet = {.hook = HOOK_FORWARD,
                            .source = from->ip,
                            .destination = to->ip,
                            .proto = flow->proto,
                            .port = flow->has_ports ? flow->reply.source_port : flow->icmp_type,
                            .source_port = flow->original.source_port};

    if (link_local && !in)
        in = out;
    if (link_local && !out)
        out = in;
    packet.iif = in ? in : "eth0";
    packet.oif = out ? out : "eth0";
    if (from->side == SIDE_HOST) {
        packet.hook = HOOK_OUTPUT;
        packet.iif = "";
    } else if (to->side == SIDE_HOST || to->side == SIDE_GROUP) {
        packet.hook = HOOK_INPUT;
        packet.oif = "";
    }
    return packet;
}

static bool is_managed(const struct spot *spot)
{
    return spot->side == SIDE_ENDPOINT || spot->side == SIDE_UNKNOWN;
}

static void compare(struct flow_judge *judge, const struct ruleset *ruleset, const struct flow *flow,
                    const struct spot *from, const struct spot *to, unsigned world, struct tally *tally)
{
    struct packet packet = first_packet(flow, from, to);
    bool passes = kernel_passes(ruleset, &packet, NULL);
    bool ours = is_managed(from) || is_managed(to) || (from->side == SIDE_HOST && to->side == SIDE_GROUP);
    enum flow_fate fate = flow_judge(judge, flow), expected = !ours    ? FLOW_FOREIGN
                                                              : passes ? FLOW_ALLOWED
                                                                       : FLOW_DENIED;
    char source[IP_TEXT_MAX], destination[IP_TEXT_MAX];

    if (fate != expected || (!ours && !passes))
        fail_msg("world %u: %s -> %s protocol %u port %u from %u: the judge says %d, the rules %d", world,
                 ip_format(from->ip, source), ip_format(to->ip, destination), flow->proto, packet.port,
                 packet.source_port, (int)fate, passes);
    tally->n[fate]++;
}

static void judge_world(unsigned number, struct tally *tally)
{
    struct compile_options options = {number % 5 ? MODE_ENFORCE : MODE_AUDIT,
                                      number % 3 ? UNKNOWN_DENY : UNKNOWN_INTERNET, true, 64, 100};
    unsigned seed = number;
    struct world world = world_make(number);
    struct settings *settings = settings_new();
    struct evaluation with = {world.policies, world.inventory, settings, NULL};
    struct compiler *compiler = compiler_new(world.policies, &options);
    struct flow_judge *judge;

    prepare(&world, &seed);
    settings->default_mode = options.default_mode;
    settings->unknown_endpoints = options.unknown_endpoints;
    compiler_load(compiler, world.inventory);
    judge = flow_judge_new(&with);
    for (size_t i = 0; i < FLOWS; i++) {
        enum ip_family family = world_random(&seed, 2) ? IP4 : IP6;
        struct spot from = random_spot(&world, &seed, family), to = random_spot(&world, &seed, family);
        struct flow flow = flow_between(&seed, &from, &to);

        if (from.side == SIDE_GROUP) /* never a source */
            continue;
        compare(judge, compiler_ruleset(compiler), &flow, &from, &to, number, tally);
    }
    flow_judge_free(judge);
    compiler_free(compiler);
    settings_free(settings);
    world_clear(&world);
}

static void the_judge_says_what_the_rules_do(void **state)
{
    struct tally tally = {0};

    (void)state;
    for (unsigned number = 1; number <= WORLDS; number++)
        judge_world(number, &tally);
    assert_true(tally.n[FLOW_FOREIGN] > FLOWS * WORLDS / 20);
    assert_true(tally.n[FLOW_ALLOWED] > FLOWS * WORLDS / 50);
    assert_true(tally.n[FLOW_DENIED] > FLOWS * WORLDS / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_judge_says_what_the_rules_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
