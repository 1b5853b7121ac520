/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "world.h"

#include "brain_private.h"
#include "kernel_tables.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/parse.h"
#include "ruleset/print.h"

/* ---- the Engine's answers ----------------------------------------------------------------------------- */

static void make_id(struct world *world, char id[65])
{
    world->next_id++;
    snprintf(id, 65, "%08x%056u", world->next_id * 2654435761u, world->next_id);
}

static struct endpoint settings_endpoint(const struct world_network *network)
{
    return (struct endpoint){.network_id = xstrdup(network->id), .network_name = xstrdup(network->name)};
}

static struct container *list_entry(struct world *world, int number)
{
    const struct world_container *from = &world->containers[number];
    struct container *container = container_new();

    container->id = xstrdup(from->id);
    container->name = xstrdup(from->name);
    container->name_unsure = from->two_names;
    container->image = xstrdup(from->image);
    container->image_id = xstrdup(from->image_id);
    container->running = from->listed_running;
    container->mode = from->host_mode ? NETMODE_HOST : from->none_mode ? NETMODE_NONE : NETMODE_BRIDGE;
    if (from->label_key) {
        struct label *label = ARRAY_ADD(container->labels, container->n_labels);
        label->key = xstrdup(from->label_key);
        label->value = xstrdup(from->label_value);
    }
    if (from->published)
        *ARRAY_ADD(container->published, container->n_published) =
            (struct published_port){.kind = PORT_TCP, .outer = from->published, .inner = 80};
    for (int i = 0; i < 4 && from->networks[i] >= 0; i++)
        *ARRAY_ADD(container->endpoints, container->n_endpoints) =
            settings_endpoint(&world->networks[from->networks[i]]);
    return container;
}

static struct network *network_entry(const struct world_network *from)
{
    struct network *network = network_new();

    network->id = xstrdup(from->id);
    network->name = xstrdup(from->name);
    network->driver = xstrdup("bridge");
    network->scope = xstrdup("local");
    network->bridge = xstrdup(from->bridge);
    network->ipv6 = from->ipv6;
    network->internal = from->internal;
    return network;
}

static void answer_containers(struct world *world, const char *id)
{
    struct container_list list = {0};

    for (int i = 0; i < WORLD_MAX; i++)
        if (world->containers[i].exists && (!id || strcmp(world->containers[i].id, id) == 0))
            *ARRAY_ADD(list.v, list.n) = list_entry(world, i);
    if (id)
        brain_container(world->brain, id, &list, world->now);
    else
        brain_containers(world->brain, &list, world->now);
    container_list_clear(&list);
}

static void answer_networks(struct world *world)
{
    struct network_list list = {0};

    for (int i = 0; i < WORLD_MAX; i++)
        if (world->networks[i].exists)
            *ARRAY_ADD(list.v, list.n) = network_entry(&world->networks[i]);
    brain_networks(world->brain, &list, world->now);
    network_list_clear(&list);
}

static void add_to_detail(struct world *world, const struct world_endpoint *from,
                          struct network_detail *detail)
{
    struct live_endpoint *live = ARRAY_ADD(detail->v, detail->n);

    live->container_id =
        from->joining ? xasprintf("ep-%s", from->id) : xstrdup(world->containers[from->container].id);
    live->endpoint = settings_endpoint(&world->networks[from->network]);
    live->endpoint.id = xstrdup(from->id);
    live->endpoint.mac = from->mac;
    live->endpoint.has_mac = true;
    live->endpoint.ip[from->ip.family] = from->ip;
    live->endpoint.has_ip[from->ip.family] = true;
}

static void answer_network(struct world *world, const char *id)
{
    struct network_detail detail = {0};

    for (int i = 0; i < WORLD_MAX; i++)
        if (world->networks[i].exists && strcmp(world->networks[i].id, id) == 0)
            detail.network = network_entry(&world->networks[i]);
    if (!detail.network) {
        brain_fetch_failed(world->brain, FETCH_NETWORK, id, -ENOENT, "no such network", world->now);
        return;
    }
    for (int i = 0; i < WORLD_MAX; i++)
        if (world->endpoints[i].live && strcmp(world->networks[world->endpoints[i].network].id, id) == 0)
            add_to_detail(world, &world->endpoints[i], &detail);
    brain_network(world->brain, id, &detail, world->now);
    network_detail_clear(&detail);
}

static void answer_inspect(struct world *world, const char *id)
{
    for (int i = 0; i < WORLD_MAX; i++)
        if (world->containers[i].exists && strcmp(world->containers[i].id, id) == 0) {
            struct container *container = list_entry(world, i);
            container->dns_known = true;
            container->net_admin = world->containers[i].net_admin;
            brain_inspected(world->brain, id, container, world->now);
            container_free(container);
            return;
        }
    brain_fetch_failed(world->brain, FETCH_INSPECT, id, -ENOENT, "no such container", world->now);
}

static void answer_image(struct world *world, const char *id)
{
    struct label_list labels = {0};

    if (world->image_error) {
        brain_fetch_failed(world->brain, FETCH_IMAGE, id, world->image_error, "no such image", world->now);
        return;
    }
    if (world->image_label_key) {
        struct label *label = ARRAY_ADD(labels.v, labels.n);
        label->key = xstrdup(world->image_label_key);
        label->value = xstrdup(world->image_label_value);
    }
    brain_image(world->brain, id, &labels, world->now);
    label_list_clear(&labels);
}

static void answer(struct world *world, enum fetch_kind kind, const char *id)
{
    switch (kind) {
    case FETCH_CONTAINERS:
        answer_containers(world, NULL);
        break;
    case FETCH_CONTAINER:
        answer_containers(world, id);
        break;
    case FETCH_INSPECT:
        answer_inspect(world, id);
        break;
    case FETCH_NETWORKS:
        answer_networks(world);
        break;
    case FETCH_NETWORK:
        answer_network(world, id);
        break;
    case FETCH_INFO:
        brain_info(world->brain, &(struct docker_info){.rootless = world->rootless});
        break;
    case FETCH_IMAGE:
        answer_image(world, id);
        break;
    }
}

static void fetch(struct world *world, const struct action *action)
{
    assert_true(world->engine_there);
    world->n_fetches++;
    if (!world->hold[action->fetch]) {
        answer(world, action->fetch, action->id);
        return;
    }
    assert_true(world->n_held < ARRAY_SIZE(world->held));
    world->held[world->n_held++] = (struct world_fetch){action->fetch, xstrdup_null(action->id)};
}

void world_release(struct world *world, enum fetch_kind kind)
{
    struct world_fetch held[ARRAY_SIZE(world->held)];
    size_t n = world->n_held;

    memcpy(held, world->held, sizeof(held));
    world->n_held = 0;
    world->hold[kind] = false;
    for (size_t i = 0; i < n; i++) {
        if (held[i].kind != kind) {
            world->held[world->n_held++] = held[i];
            continue;
        }
        answer(world, kind, held[i].id);
        free(held[i].id);
    }
    world_pump(world);
}

/* ---- actions ------------------------------------------------------------------------------------------ */

static void engine_connect(struct world *world)
{
    struct docker_version version = {.engine = (char[]){"20.10.24"}, .api_minor = 41};

    world->n_connects++;
    if (world->engine_there)
        brain_engine_up(world->brain, &version, world->now);
    else
        brain_engine_down(world->brain, "nobody listens", world->now);
}

/*
 * Whoever is live has connections at once, and they outlive it: nobody else may be live at the address before they are
 * ended.
 */
static void note_flow(struct world *world, struct ip ip, const char *endpoint)
{
    for (size_t i = 0; i < world->n_flows_left; i++) {
        if (!ip_equal(world->flows[i].ip, ip))
            continue;
        if (strcmp(world->flows[i].endpoint, endpoint) != 0)
            fail_msg("endpoint %s is live among the connections of %s", endpoint, world->flows[i].endpoint);
        return;
    }
    assert_true(world->n_flows_left < ARRAY_SIZE(world->flows));
    struct world_flow *flow = &world->flows[world->n_flows_left++];
    flow->ip = ip;
    snprintf(flow->endpoint, sizeof(flow->endpoint), "%s", endpoint);
}

/* By what the kernel holds, not by what the brain believes: a bound port, and who is behind it. */
static void note_flows(struct world *world)
{
    const struct set *bindings = table_set(&world->kernel->tables[TABLE_BRIDGE], "bindings4");

    for (int i = 0; i < WORLD_MAX; i++) {
        const struct world_endpoint *endpoint = &world->endpoints[i];
        for (int l = 0; l < WORLD_MAX && endpoint->live; l++) {
            const struct world_link *link = &world->links[l];
            uint8_t key[KEY_BYTES_MAX] = {0};

            memcpy(key, link->link.name, IFNAMSIZ);
            memcpy(key + IFNAMSIZ, endpoint->mac.bytes, sizeof(endpoint->mac.bytes));
            ip_to_bytes(endpoint->ip, key + IFNAMSIZ + 8);
            if (link->exists && link->has_peer &&
                memcmp(&link->peer, &endpoint->mac, sizeof(link->peer)) == 0 && bindings &&
                set_find(bindings, key))
                note_flow(world, endpoint->ip, endpoint->id);
        }
    }
}

/* Of those whose addresses have changed hands, and of those that nobody has. */
static void forget_flows(struct world *world)
{
    size_t kept = 0;

    for (size_t i = 0; i < world->n_flows_left; i++) {
        char text[IP_TEXT_MAX];
        bool ended = !world_address_live(world, ip_format(world->flows[i].ip, text));
        for (size_t e = 0; e < world->brain->n_ended; e++)
            ended = ended || ip_equal(world->brain->ended[e], world->flows[i].ip);
        if (!ended)
            world->flows[kept++] = world->flows[i];
    }
    world->n_flows_left = kept;
}

static bool delta_replaces(const struct delta *delta)
{
    for (size_t i = 0; i < delta->phases[PHASE_SWITCH].n; i++)
        if (delta->phases[PHASE_SWITCH].v[i].kind == OP_REMOVE_TABLE)
            return true;
    return false;
}

/* What the kernel does of it, though it may fail in the end. */
static void kernel_takes(struct world *world, const struct action *action, size_t phases)
{
    if (!world->kernel) {
        world->kernel = ruleset_new();
        for (size_t i = 0; i < TABLES; i++)
            world->kernel->tables[i].absent = true;
    }
    kernel_apply_phases(world->kernel, action->delta, phases);
    if (phases > PHASE_SWITCH && delta_replaces(action->delta))
        world->unmendable = false;
    if (ruleset_stands(world->kernel))
        note_flows(world);
}

static void apply(struct world *world, const struct action *action)
{
    int error = world->apply_error;

    assert_true(delta_count(action->delta) > 0);
    world->apply_error = 0;
    if (world->apply_always)
        error = world->apply_always;
    if (action->apply == APPLY_POLICIES && world->apply_refuses_policies)
        error = -EINVAL;
    world->n_applied[action->apply]++;
    if (error == 0)
        world->n_ops += delta_count(action->delta);
    kernel_takes(world, action, error ? world->apply_phases : PHASES);
    world->apply_phases = 0;
    if (action->apply == APPLY_FULL)
        world->replaced = delta_replaces(action->delta);
    if (error == 0 && action->apply == APPLY_TEARDOWN)
        world->kernel = ruleset_free(world->kernel);
    if (action->apply == APPLY_ELEMENTS)
        world->only_elements = delta_is_elements_only(action->delta);
    brain_applied(world->brain, error, error ? "the kernel says no" : NULL, world->now);
}

/* As nft_read() tells it. */
static struct ruleset *tables_read(const struct world *world)
{
    struct ruleset *tables = world->kernel ? kernel_copy(world->kernel) : ruleset_new();

    for (size_t i = 0; i < TABLES; i++) {
        if (!world->kernel)
            tables->tables[i].absent = true;
        else if (world->unmendable)
            table_add_odd(&tables->tables[i], "flags dormant");
    }
    return tables;
}

static void read_tables(struct world *world)
{
    int error = world->reads_interrupted > 0 ? -EAGAIN : world->read_error;

    world->n_reads++;
    if (world->reads_interrupted > 0)
        world->reads_interrupted--;
    brain_tables_read(world->brain, error, error ? NULL : tables_read(world), world->now);
}

static void end_flows(struct world *world)
{
    world->n_flows++;
    if (!world->flows_error)
        forget_flows(world);
    world->now += world->flows_take;
    brain_flows_ended(world->brain, world->flows_error, 0, world->now);
}

static void set_nf_call(struct world *world, const struct action *action)
{
    struct world_link *link = world_link(world, action->link.index);

    world->n_nf_calls++;
    brain_switches_set(world->brain, action->link.index, world->nf_call_error, world->now);
    if (world->nf_call_error)
        return;
    link->link.switches = action->link.switches;
    world_report_link(world, action->link.index);
}

static void query_peer(struct world *world, const struct action *action)
{
    struct mac none = {0}, *peer = NULL;

    world->n_peer_queries++;
    for (int i = 0; i < WORLD_MAX; i++)
        if (world->links[i].exists && world->links[i].link.index == action->link.index &&
            world->links[i].has_peer)
            peer = &world->links[i].peer;
    brain_peer_mac(world->brain, action->link.index, peer ? 0 : -ENODEV, peer ? peer : &none, world->now);
}

static void add_log(struct world *world, const char *text)
{
    char *log = xasprintf("%s%s\n", world->log ? world->log : "", text);

    free(world->log);
    world->log = log;
}

void world_act(struct world *world, struct action *action)
{
    switch (action->kind) {
    case ACTION_CONNECT:
        engine_connect(world);
        break;
    case ACTION_FETCH:
        fetch(world, action);
        break;
    case ACTION_QUERY_PEER:
        query_peer(world, action);
        break;
    case ACTION_SET_SWITCHES:
        set_nf_call(world, action);
        break;
    case ACTION_SAVE_STATE:
        free(world->state);
        world->state = xstrdup(action->text);
        world->n_saves++;
        break;
    case ACTION_APPLY:
        apply(world, action);
        break;
    case ACTION_READ_TABLES:
        read_tables(world);
        break;
    case ACTION_END_FLOWS:
        end_flows(world);
        break;
    case ACTION_READY:
        world->ready = true;
        break;
    case ACTION_LOG:
        add_log(world, action->text);
        break;
    }
    action_free(action);
}

void world_pump(struct world *world)
{
    struct action *action;
    unsigned steps = 0;

    do {
        while ((action = brain_pop(world->brain))) {
            world_act(world, action);
            assert_true(++steps < 100000);
        }
        brain_flush(world->brain, world->now);
        action = brain_pop(world->brain);
        if (action)
            world_act(world, action);
    } while (action);
}

void world_wait(struct world *world, uint64_t usec)
{
    uint64_t end = world->now + usec;
    unsigned steps = 0;

    brain_tick(world->brain, world->now); /* what is overdue */
    world_pump(world);
    while (world->now < end) {
        uint64_t next = brain_deadline(world->brain);
        assert_true(next > world->now); /* a deadline in the past would be a busy loop */
        world->now = next < end ? next : end;
        brain_tick(world->brain, world->now);
        world_pump(world);
        assert_true(++steps < 100000);
    }
}

/* ---- making ------------------------------------------------------------------------------------------- */

struct policy_set *world_policies(const char *yaml)
{
    struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    if (yaml)
        policy_parse(set, "test.yaml", yaml, strlen(yaml), &diags);
    policy_set_finish(set, &diags);
    if (diags.n_errors > 0)
        fail_msg("the test's policies are wrong: %s", diags.v[0].message);
    return set;
}

struct world *world_new(const char *policies, const char *state)
{
    return world_new_on(NULL, policies, state);
}

struct world *world_new_on(struct ruleset *kernel, const char *policies, const char *state)
{
    struct world *world = xnew(struct world);

    world->kernel = kernel;
    world->now = 1000000;
    world->next_index = 2;
    world->engine_there = true;
    world->settings = settings_new();
    const struct brain_config config = {
        .settings = world->settings, .br_netfilter = true, .tables_exist = kernel != NULL, .state = state};
    world->brain = brain_new(&config, world_policies(policies), world->now);
    return world;
}

void world_restart(struct world *world, const char *policies)
{
    const struct brain_config config = {.settings = world->settings,
                                        .br_netfilter = true,
                                        .tables_exist = world->kernel != NULL,
                                        .state = world->state};

    for (size_t i = 0; i < world->n_held; i++)
        free(world->held[i].id);
    world->n_held = 0;
    brain_free(world->brain);
    world->brain = brain_new(&config, world_policies(policies), world->now);
    for (int i = 0; i < WORLD_MAX; i++)
        if (world->links[i].exists)
            brain_link(world->brain, &world->links[i].link, world->now);
}

struct ruleset *world_tables(void)
{
    const struct compile_options options = {
        .default_mode = MODE_ENFORCE, .mark = MARK_DEFAULT, .log_group = 64, .log_rate = 100};
    struct policy_set *none = policy_set_new();
    struct compiler *compiler = compiler_new(none, &options);
    struct ruleset *tables = kernel_copy(compiler_ruleset(compiler));

    compiler_free(compiler);
    policy_set_free(none);
    return tables;
}

void world_free(struct world *world)
{
    brain_free(world->brain);
    settings_free(world->settings);
    for (size_t i = 0; i < world->n_held; i++)
        free(world->held[i].id);
    ruleset_free(world->kernel);
    free(world->state);
    free(world->log);
    free(world);
}

/* ---- the kernel --------------------------------------------------------------------------------------- */

struct world_link *world_link(struct world *world, unsigned index)
{
    for (int i = 0; i < WORLD_MAX; i++)
        if (world->links[i].link.index == index)
            return &world->links[i];
    fail_msg("no link %u", index);
    return NULL;
}

void world_report_link(struct world *world, unsigned index)
{
    struct world_link *link = world_link(world, index);

    link->was_port = link->was_port || link->link.master;
    brain_link(world->brain, &link->link, world->now);
}

unsigned world_add_link(struct world *world, const char *name, unsigned master, bool is_bridge)
{
    int i = 0;

    while (i < WORLD_MAX && world->links[i].exists)
        i++;
    assert_true(i < WORLD_MAX);
    world->links[i] = (struct world_link){.exists = true};
    struct link *link = &world->links[i].link;
    link->index = world->next_index++;
    link->master = master;
    link->is_bridge = is_bridge;
    link->has_no_linklocal_learn = is_bridge;
    link->is_veth = !is_bridge;
    link->peer_netns = -1;
    snprintf(link->name, sizeof(link->name), "%s", name);
    world_report_link(world, link->index);
    return link->index;
}

void world_remove_link(struct world *world, unsigned index)
{
    struct world_link *link = world_link(world, index);

    link->exists = false;
    brain_link_gone(world->brain, &link->link, world->now);
}

/* ---- the Engine --------------------------------------------------------------------------------------- */

int world_add_network(struct world *world, const char *name, const char *bridge)
{
    int i = 0;

    while (i < WORLD_MAX && world->networks[i].exists)
        i++;
    assert_true(i < WORLD_MAX);
    struct world_network *network = &world->networks[i];
    *network = (struct world_network){.exists = true};
    make_id(world, network->id);
    snprintf(network->name, sizeof(network->name), "%s", name);
    snprintf(network->bridge, sizeof(network->bridge), "%s", bridge);
    network->bridge_index = world_add_link(world, bridge, 0, true);
    return i;
}

int world_add_container(struct world *world, const char *name, int network)
{
    int i = 0;

    while (i < WORLD_MAX && world->containers[i].exists)
        i++;
    assert_true(i < WORLD_MAX);
    struct world_container *container = &world->containers[i];
    *container = (struct world_container){.exists = true, .networks = {network, -1, -1, -1}};
    make_id(world, container->id);
    snprintf(container->name, sizeof(container->name), "%s", name);
    strcpy(container->image, "busybox");
    strcpy(container->image_id, "sha256:5eed");
    return i;
}

int world_add_endpoint(struct world *world, int container, int network, const char *ip)
{
    int i = 0;

    while (i < WORLD_MAX && world->endpoints[i].live)
        i++;
    assert_true(i < WORLD_MAX);
    struct world_endpoint *endpoint = &world->endpoints[i];
    *endpoint = (struct world_endpoint){.live = true, .container = container, .network = network};
    make_id(world, endpoint->id);
    assert_int_equal(ip_parse(ip, &endpoint->ip), 0);
    /* as Docker up to 27 does it: the next owner of the address has the same MAC */
    endpoint->mac = (struct mac){{0x02, 0x42}};
    for (int b = 0; b < 4; b++)
        endpoint->mac.bytes[2 + b] = (uint8_t)(endpoint->ip.num >> (24 - 8 * b));
    return i;
}

void world_engine_down(struct world *world)
{
    world->engine_there = false;
    for (size_t i = 0; i < world->n_held; i++)
        free(world->held[i].id);
    world->n_held = 0;
    brain_engine_down(world->brain, "the stream has ended", world->now);
    world_pump(world);
}

void world_container_event(struct world *world, enum docker_action action, int container)
{
    const struct docker_event event = {
        .type = DOCKER_CONTAINER, .action = action, .id = world->containers[container].id};

    brain_docker_event(world->brain, &event, world->now);
}

void world_network_event(struct world *world, enum docker_action action, int network, int container)
{
    const struct docker_event event = {.type = DOCKER_NETWORK,
                                       .action = action,
                                       .id = world->networks[network].id,
                                       .container_id =
                                           container >= 0 ? world->containers[container].id : NULL};

    brain_docker_event(world->brain, &event, world->now);
}

int world_start(struct world *world, int container, int network, const char *ip)
{
    char name[IFNAMSIZ];
    int endpoint = world_add_endpoint(world, container, network, ip);

    snprintf(name, sizeof(name), "veth%x", world->next_index);
    unsigned port = world_add_link(world, name, world->networks[network].bridge_index, false);
    world_pump(world);
    world_network_event(world, DOCKER_CONNECT, network, container);
    world_pump(world);
    world_link(world, port)->peer = world->endpoints[endpoint].mac;
    world_link(world, port)->has_peer = true;
    world_report_link(world, port); /* it gets a carrier */
    world_pump(world);
    world->containers[container].listed_running = true;
    world_container_event(world, DOCKER_START, container);
    world_pump(world);
    return endpoint;
}

/* The port that has the endpoint's MAC behind it. */
static unsigned port_of(const struct world *world, int endpoint)
{
    for (int i = 0; i < WORLD_MAX; i++)
        if (world->links[i].exists && world->links[i].has_peer &&
            memcmp(&world->links[i].peer, &world->endpoints[endpoint].mac, sizeof(struct mac)) == 0)
            return world->links[i].link.index;
    return 0;
}

void world_stop(struct world *world, int endpoint)
{
    struct world_endpoint *end = &world->endpoints[endpoint];

    world->containers[end->container].listed_running = false;
    world_container_event(world, DOCKER_DIE, end->container);
    world_pump(world);
    world_remove_link(world, port_of(world, endpoint));
    world_pump(world);
    end->live = false;
    world_network_event(world, DOCKER_DISCONNECT, end->network, end->container);
    world_network_event(world, DOCKER_DISCONNECT, end->network, end->container);
    world_pump(world);
}

/* ---- looking ------------------------------------------------------------------------------------------ */

const struct container *world_known(const struct world *world, int container)
{
    return inventory_container(brain_inventory(world->brain), world->containers[container].id);
}

const struct endpoint *world_known_endpoint(const struct world *world, int endpoint)
{
    const struct world_endpoint *from = &world->endpoints[endpoint];
    const struct container *container = world_known(world, from->container);

    for (size_t i = 0; container && i < container->n_endpoints; i++)
        if (strcmp(container->endpoints[i].network_id, world->networks[from->network].id) == 0)
            return &container->endpoints[i];
    return NULL;
}

static char *element_text(const struct set *set, const struct element *element)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    element_print(set, element, out);
    fclose(out);
    return text;
}

static bool set_holds(const struct world *world, enum table_id table, const char *name, const char *a,
                      const char *b)
{
    const struct ruleset *ruleset = compiler_ruleset(world->brain->compiler);
    const struct set *set = table_set(&ruleset->tables[table], name);
    bool found = false;

    assert_non_null(set);
    for (const struct element *element = set->elements; element && !found; element = element->hh.next) {
        char *text = element_text(set, element);
        found = strstr(text, a) && strstr(text, b);
        free(text);
    }
    return found;
}

bool world_address_live(const struct world *world, const char *ip)
{
    return set_holds(world, TABLE_INET, strchr(ip, ':') ? "live6" : "live4", ip, "");
}

bool world_bound(const struct world *world, unsigned index, const char *ip)
{
    for (int i = 0; i < WORLD_MAX; i++)
        if (world->links[i].link.index == index)
            return set_holds(world, TABLE_BRIDGE, strchr(ip, ':') ? "bindings6" : "bindings4",
                             world->links[i].link.name, ip);
    return false;
}

/* Without a bridge it still is one. */
static bool is_managed_port(const struct world *world, const struct link *link, bool was_port)
{
    if (!link->master)
        return was_port;
    for (int i = 0; i < WORLD_MAX; i++)
        if (world->networks[i].exists && world->networks[i].bridge_index == link->master)
            return true;
    return false;
}

static char *ruleset_text(const struct ruleset *ruleset)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    ruleset_print(ruleset, out);
    fclose(out);
    return text;
}

static void fail_with_difference(const struct ruleset *now, const struct ruleset *fresh,
                                 const struct delta *delta)
{
    for (int phase = 0; phase < PHASES; phase++)
        for (size_t i = 0; i < delta->phases[phase].n; i++) {
            char *text = op_text(&delta->phases[phase].v[i]);
            print_message("missing: %s\n", text);
            free(text);
        }
    char *a = ruleset_text(now), *b = ruleset_text(fresh);
    print_message("incremental:\n%s\nfresh:\n%s\n", a, b);
    free(a);
    free(b);
    fail_msg("the incremental ruleset is not what a fresh compiler makes");
}

void world_check_fresh(const struct world *world, bool exact)
{
    const struct compile_options options = {
        .default_mode = MODE_ENFORCE, .mark = MARK_DEFAULT, .log_group = 64, .log_rate = 100};
    struct compiler *fresh = compiler_new(brain_policies(world->brain), &options);
    const struct ruleset *now = compiler_ruleset(world->brain->compiler);
    _cleanup_delta_ struct delta delta = {0};

    if (world->kernel && !world->brain->need_full) {
        _cleanup_delta_ struct delta drift = {0};
        delta_between(world->kernel, now, &drift);
        assert_int_equal(delta_count(&drift), 0);
    }
    compiler_set_locks(fresh, brain_locks(world->brain));
    compiler_load(fresh, brain_inventory(world->brain));
    for (int i = 0; i < WORLD_MAX; i++)
        if (world->links[i].exists && is_managed_port(world, &world->links[i].link, world->links[i].was_port))
            compiler_add_port(fresh, world->links[i].link.name, NULL);
    delta_between(now, compiler_ruleset(fresh), &delta);
    bool same = delta.phases[PHASE_PREPARE].n == 0 && delta.phases[PHASE_SWITCH].n == 0;
    for (size_t i = 0; i < delta.phases[PHASE_SWEEP].n; i++) {
        enum op_kind kind = delta.phases[PHASE_SWEEP].v[i].kind;
        same = same && !exact && (kind == OP_DELETE_CHAIN || kind == OP_DELETE_SET || kind == OP_FLUSH_CHAIN);
    }
    if (!same)
        fail_with_difference(now, compiler_ruleset(fresh), &delta);
    if (exact) {
        char *a = ruleset_text(now), *b = ruleset_text(compiler_ruleset(fresh));
        assert_string_equal(a, b);
        free(a);
        free(b);
    }
    compiler_free(fresh);
}

bool world_logged(const struct world *world, const char *text)
{
    return world->log && strstr(world->log, text);
}
