// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/mem.h"
#include "world.h"

#define PICK(seed, array) ((array)[world_random((seed), (unsigned)ARRAY_SIZE(array))])

unsigned world_random(unsigned *seed, unsigned below)
{
    return (unsigned)rand_r(seed) % below;
}

/* ---- policies ----------------------------------------------------------------------------------------- */

static const char *const projects[] = {"p", "q"};
static const char *const services[] = {"s", "t"};
static const char *const names[] = {"web-*", "*-1", "db?", "[wd]*"};
static const char *const images[] = {"img:a", "*:b"};
static const char *const networks[] = {"net0", "net1"};
static const char *const label_keys[] = {"role", "tier"};
static const char *const label_values[] = {"a", "b", "*"};
static const char *const blocks[] = {"10.20.0.0/16", "0.0.0.0/0", "::/0",
                                     "8.8.8.8",      "2a00::/16", "10.0.0.0/8"};

static struct selector random_selector(unsigned *seed)
{
    struct selector selector = {0};

    switch (world_random(seed, 7)) {
    case 0:
        selector.all = true;
        break;
    case 1:
        selector.compose_project = xstrdup(PICK(seed, projects));
        break;
    case 2:
        selector.compose_project = xstrdup(PICK(seed, projects));
        selector.compose_service = xstrdup(PICK(seed, services));
        break;
    case 3:
        selector.name = xstrdup(PICK(seed, names));
        break;
    case 4:
        selector.image = xstrdup(PICK(seed, images));
        break;
    case 5:
        selector.network = xstrdup(PICK(seed, networks));
        break;
    case 6:
        *ARRAY_ADD(selector.labels, selector.n_labels) =
            (struct label_match){.key = xstrdup(PICK(seed, label_keys)),
                                 .value = world_random(seed, 4) ? xstrdup(PICK(seed, label_values)) : NULL};
        break;
    }
    return selector;
}

static struct peer random_peer(unsigned *seed, enum direction direction, bool deny)
{
    static const enum peer_kind words[] = {PEER_ANY,  PEER_INTERNET,   PEER_OUTSIDE,
                                           PEER_HOST, PEER_CONTAINERS, PEER_DNS};
    struct peer peer = {0};

    switch (world_random(seed, 6)) {
    case 0:
        peer.kind = PEER_CIDR;
        cidr_parse(PICK(seed, blocks), &peer.cidr);
        if (peer.cidr.net.family == IP4 && peer.cidr.len <= 16) {
            struct cidr *except = ARRAY_ADD(peer.except, peer.n_except);

            cidr_parse(peer.cidr.len == 16 ? "10.20.99.0/24" : "10.20.0.0/16", except);
        }
        break;
    case 1:
        peer.kind = PEER_SAME;
        peer.same = xstrdup(PICK(seed, label_keys));
        break;
    case 2:
        peer.kind = PICK(seed, words);
        if (peer.kind == PEER_DNS && (direction == INGRESS || deny))
            peer.kind = PEER_HOST;
        break;
    default:
        peer.kind = PEER_SELECTOR;
        peer.selector = random_selector(seed);
        break;
    }
    return peer;
}

static struct port random_port(unsigned *seed)
{
    static const struct port ports[] = {
        {.kind = PORT_TCP, .first = 80, .last = 80},
        {.kind = PORT_TCP, .first = 80, .last = 443},
        {.kind = PORT_TCP, .first = 0, .last = 65535},
        {.kind = PORT_UDP, .first = 53, .last = 53},
        {.kind = PORT_SCTP, .first = 9, .last = 9},
        {.kind = PORT_ICMP, .icmp4_type = -1, .icmp6_type = -1},
        {.kind = PORT_ICMP, .icmp_name = "echo-request", .icmp4_type = 8, .icmp6_type = 128},
    };

    return PICK(seed, ports);
}

static void add_random_rule(unsigned *seed, struct policy *policy, enum direction direction)
{
    struct rule *rule = ARRAY_ADD(policy->rules[direction], policy->n_rules[direction]);

    rule->index = (unsigned)policy->n_rules[direction];
    rule->deny = world_random(seed, 4) == 0;
    rule->pos = (struct source_pos){"random.yaml", 1, 1, 1};
    for (unsigned i = world_random(seed, 4); i; i--)
        *ARRAY_ADD(rule->peers, rule->n_peers) = random_peer(seed, direction, rule->deny);
    for (unsigned i = world_random(seed, 3); i; i--)
        *ARRAY_ADD(rule->ports, rule->n_ports) = random_port(seed);
}

static struct policy_set *random_policies(unsigned *seed)
{
    struct policy_set *set = policy_set_new();
    unsigned n = 1 + world_random(seed, 5);

    for (unsigned i = 0; i < n; i++) {
        struct policy *policy = ARRAY_ADD(set->policies, set->n_policies);

        policy->name = xasprintf("policy-%u", i);
        policy->version = 1;
        policy->mode = world_random(seed, 6) ? MODE_ENFORCE : MODE_AUDIT;
        policy->reject = policy->mode == MODE_ENFORCE && world_random(seed, 6) == 0;
        policy->select = random_selector(seed);
        for (unsigned direction = 0; direction < DIRECTIONS; direction++) {
            for (unsigned j = world_random(seed, 4); j; j--)
                add_random_rule(seed, policy, (enum direction)direction);
        }
    }
    return set;
}

/* ---- containers --------------------------------------------------------------------------------------- */

static void add_label(struct container *container, const char *key, const char *value, bool from_image)
{
    *ARRAY_ADD(container->labels, container->n_labels) =
        (struct label){xstrdup(key), xstrdup(value), from_image};
}

static void add_endpoint(struct container *container, unsigned network, unsigned host)
{
    struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);
    char text[IP_TEXT_MAX];

    endpoint->network_id = xasprintf("netid%u", network);
    endpoint->network_name = xasprintf("net%u", network);
    endpoint->id = xasprintf("endpoint-%u-%u", network, host);
    snprintf(text, sizeof(text), "172.3%u.0.%u", network, host);
    endpoint->has_ip[IP4] = ip_parse(text, &endpoint->ip[IP4]) == 0;
    snprintf(text, sizeof(text), "fd00:%u::%u", network, host);
    endpoint->has_ip[IP6] = ip_parse(text, &endpoint->ip[IP6]) == 0 && (network == 0 || host % 2);
    endpoint->mac = (struct mac){{2, 0, 0, 0, (uint8_t)network, (uint8_t)host}};
    endpoint->has_mac = true;
    snprintf(endpoint->port, sizeof(endpoint->port), "veth%u-%u", network, host);
}

static void add_random_dns(unsigned *seed, struct container *container)
{
    static const char *const servers[] = {"172.30.0.2", "172.30.0.3", "192.0.2.1", "8.8.8.8", "10.20.0.5"};

    container->dns_known = world_random(seed, 8) != 0;
    if (world_random(seed, 2))
        assert_int_equal(ip_parse(PICK(seed, servers), ARRAY_ADD(container->dns, container->n_dns)), 0);
}

static struct container *random_container(unsigned *seed, unsigned number)
{
    struct container *container = container_new();

    container->id = xasprintf("%064u", number);
    switch (world_random(seed, 3)) {
    case 0:
        container->name = xasprintf("web-%u", number);
        break;
    case 1:
        container->name = xasprintf("db%u", number);
        break;
    default:
        container->name = xasprintf("x-%u", number);
        break;
    }
    container->image = xstrdup(world_random(seed, 2) ? "img:a" : "other:b");
    container->running = true;
    container->labels_known = world_random(seed, 10) != 0;
    if (world_random(seed, 2)) {
        add_label(container, "com.docker.compose.project", PICK(seed, projects), false);
        add_label(container, "com.docker.compose.service", PICK(seed, services), false);
    }
    for (size_t i = 0; i < ARRAY_SIZE(label_keys); i++) {
        if (world_random(seed, 2))
            add_label(container, label_keys[i], label_values[world_random(seed, 2)],
                      world_random(seed, 5) == 0);
    }
    add_random_dns(seed, container);
    for (unsigned network = 0; network < 2; network++) {
        if (world_random(seed, 3) || (network == 1 && container->n_endpoints == 0))
            add_endpoint(container, network, number + 2);
    }
    return container;
}

static void add_address(struct ip **list, size_t *n, const char *text)
{
    assert_int_equal(ip_parse(text, ARRAY_ADD(*list, *n)), 0);
}

static struct inventory *random_inventory(unsigned *seed)
{
    struct inventory *inventory = inventory_new();

    for (unsigned i = 0; i < 2; i++) {
        struct network *network = network_new();
        char text[CIDR_TEXT_MAX];

        network->id = xasprintf("netid%u", i);
        network->name = xasprintf("net%u", i);
        network->driver = xstrdup("bridge");
        network->scope = xstrdup("local");
        network->bridge = xasprintf("br%u", i);
        network->managed = true;
        snprintf(text, sizeof(text), "172.3%u.0.0/16", i);
        assert_int_equal(cidr_parse(text, ARRAY_ADD(network->subnets, network->n_subnets)), 0);
        inventory_put_network(inventory, network);
    }
    for (unsigned i = 0; i < 6; i++)
        inventory_put_container(inventory, random_container(seed, i));
    add_address(&inventory->name_servers, &inventory->n_name_servers, "10.20.0.5");
    add_address(&inventory->name_servers, &inventory->n_name_servers, "192.0.2.1");
    add_address(&inventory->host_addresses, &inventory->n_host_addresses, "192.0.2.1");
    add_address(&inventory->host_addresses, &inventory->n_host_addresses, "fd00:99::1");
    return inventory;
}

struct world world_make(unsigned seed)
{
    struct world world;

    world.policies = random_policies(&seed);
    world.inventory = random_inventory(&seed);
    return world;
}

void world_clear(struct world *world)
{
    world->policies = policy_set_free(world->policies);
    world->inventory = inventory_free(world->inventory);
}

/* ---- the same, written otherwise ---------------------------------------------------------------------- */

static void swap(void *a, void *b, size_t size)
{
    char held[512];

    assert_true(size <= sizeof(held));
    memcpy(held, a, size);
    memmove(a, b, size);
    memcpy(b, held, size);
}

static void shuffle(void *array, size_t n, size_t size, unsigned *seed)
{
    char *bytes = array;

    for (size_t i = n; i > 1; i--)
        swap(bytes + (i - 1) * size, bytes + world_random(seed, (unsigned)i) * size, size);
}

void world_shuffle(struct policy_set *set, unsigned *seed)
{
    shuffle(set->policies, set->n_policies, sizeof(*set->policies), seed);
    for (size_t p = 0; p < set->n_policies; p++)
        for (enum direction d = 0; d < DIRECTIONS; d++) {
            struct policy *policy = &set->policies[p];

            shuffle(policy->rules[d], policy->n_rules[d], sizeof(struct rule), seed);
            for (size_t r = 0; r < policy->n_rules[d]; r++) {
                struct rule *rule = &policy->rules[d][r];

                shuffle(rule->peers, rule->n_peers, sizeof(*rule->peers), seed);
                shuffle(rule->ports, rule->n_ports, sizeof(*rule->ports), seed);
            }
        }
}
