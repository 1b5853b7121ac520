/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Before the cut. First what goes first: connections, then who was where, then counters; what is the same a moment later
 * comes last, and what walks through all processes at the very end.
 */
#include "collect.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "control/client.h"
#include "control/protocol.h"
#include "daemon/inventory_state.h"
#include "docker/decode.h"
#include "engine.h"
#include "evidence/child.h"
#include "evidence/folder.h"
#include "evidence/json.h"
#include "files/boot.h"
#include "files/files.h"
#include "flow/socket.h"
#include "inventory/json.h"
#include "link/neighbour.h"
#include "nft/read.h"
#include "ruleset/print.h"
#include "sockets/sockets.h"
#include "util/fd.h"
#include "util/utc.h"
#include "verdict/flow.h"
#include "verdict/lock.h"

#define DAEMON_MS 500
#define ENGINE_MS 600
#define TARGETS_MAX 1000
#define FLOWS_MAX 200000 /* kept; more are counted */
#define HOPS_MAX 8       /* container:x whose x is container:y */

struct target {
    const struct container *container; /* who is meant */
    const struct container *network;   /* whose network it has: itself, but for container:x */
    char *prefix;                      /* of its files: "", or "web-0123456789ab/" */
};

struct collector {
    int pipe, folder;
    const struct collecting *asked;
    json_t *status; /* the daemon's; NULL: it did not answer */
    struct inventory *inventory;
    struct target *targets;
    size_t n_targets;
};

/* ---- telling ------------------------------------------------------------------------------------------ */

char *stamp_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    _cleanup_free_ char *text = utc_text((uint64_t)now.tv_sec);
    size_t len = strlen(text);
    return len ? xasprintf("%.*s.%03ldZ", (int)len - 1, text, now.tv_nsec / 1000000) : xstrdup("");
}

static json_t *name_json(const struct target *target)
{
    return target ? json_text_or_null(target->container->name ?: target->container->id) : json_null();
}

static void missing(struct collector *c, const struct target *target, const char *what, const char *why)
{
    child_tell(c->pipe, json_pack("{s:{s:s, s:o, s:o}}", "missing", "what", what, "container",
                                  name_json(target), "why", json_text_or_null(why)));
}

static void save(struct collector *c, const struct target *target, const char *name, const char *what,
                 const void *bytes, size_t len)
{
    _cleanup_free_ char *path = xasprintf("%s%s", target ? target->prefix : "", name), *taken = stamp_now();
    char digest[SHA256_DIGEST_STRING_LENGTH];
    size_t done = 0;
    int r = folder_write(c->folder, path, bytes, len, digest, &done);

    if (r == 0 || done > 0)
        child_tell(c->pipe, json_pack("{s:{s:s, s:s, s:o, s:I, s:s, s:s, s:b}}", "file", "name", path, "what",
                                      what, "container", name_json(target), "size", (json_int_t)done,
                                      "sha256", digest, "taken", taken, "whole", r == 0));
    if (r < 0) {
        _cleanup_free_ char *why = xasprintf("%s cannot be written: %s", path, strerror(-r));

        missing(c, target, what, why);
    }
}

static void save_json(struct collector *c, const struct target *target, const char *name, const char *what,
                      json_t *json /* stolen */)
{
    _cleanup_free_ char *text = json_dumps(json, JSON_INDENT(2));
    _cleanup_free_ char *line = text ? xasprintf("%s\n", text) : NULL;

    json_decref(json);
    if (line)
        save(c, target, name, what, line, strlen(line));
    else
        missing(c, target, what, "it is no UTF-8");
}

/* ---- the containers ----------------------------------------------------------------------------------- */

static void ask_daemon(struct collector *c)
{
    json_t *request = control_request("status"), *answer = NULL;
    int r = control_call(c->asked->settings->control, request, DAEMON_MS, &answer);

    json_decref(request);
    if (r < 0)
        missing(c, NULL, "daemon", r == -ETIMEDOUT ? "it did not answer in time" : strerror(-r));
    else if (!json_is_true(json_object_get(answer, "ok")))
        missing(c, NULL, "daemon", json_string_value(json_object_get(answer, "error")) ?: "it refused");
    else
        c->status = json_incref(json_object_get(answer, "result"));
    json_decref(answer);
}

/* What it does not know yet says nothing. */
static bool inventory_of_daemon(struct collector *c)
{
    struct inventory *inventory;

    if (!c->status || inventory_from_json(json_object_get(c->status, "inventory"), &inventory, NULL) < 0)
        return false;
    inventory_free(c->inventory);
    c->inventory = inventory;
    return inventory->containers != NULL;
}

static bool inventory_of_engine(struct collector *c)
{
    struct engine_question question = {.path = "/containers/json?all=1"};
    struct container_list list = {0};
    bool known;

    engine_ask(c->asked->settings, &question, 1, ENGINE_MS);
    known = question.body && docker_decode_containers(question.body, question.len, &list, NULL) == 0;
    for (size_t i = 0; i < list.n; i++)
        inventory_put_container(c->inventory, STEAL(list.v[i]));
    container_list_clear(&list);
    free(question.body);
    free(question.error);
    return known;
}

static bool inventory_of_file(struct collector *c)
{
    _cleanup_free_ char *path = xasprintf("%s/" INVENTORY_STATE_FILE, c->asked->settings->state),
                        *text = NULL;
    _cleanup_free_ char *boot = boot_id();
    struct inventory *inventory;
    struct inventory_age age;
    size_t len;

    if (files_read_own(path, INVENTORY_STATE_MAX, &text, &len) < 0 ||
        inventory_state_parse(text, len, boot, &inventory, &age) < 0)
        return false;
    inventory_free(c->inventory);
    c->inventory = inventory;
    return true;
}

static bool is_excepted(const json_t *except, const struct container *container)
{
    const json_t *item;
    size_t i;

    json_array_foreach (except, i, item)
        if (container->name && strcmp(container->name, json_string_value(item) ?: "") == 0)
            return true;
    return false;
}

static bool is_selected(const json_t *request, const struct container *container)
{
    const json_t *item;
    bool selected = false;
    const char *why;
    size_t i;

    json_array_foreach (json_object_get(request, "select"), i, item) {
        _cleanup_(lock_freep) struct lock *lock = lock_new();

        selected = selected || (lock_select(lock, json_string_value(item) ?: "", &why) == 0 &&
                                lock_means(lock, container));
    }
    return selected && !is_excepted(json_object_get(request, "except"), container);
}

static bool is_named(const struct inventory *inventory, const json_t *request,
                     const struct container *container)
{
    const struct container *found;
    const json_t *item;
    size_t i;

    json_array_foreach (json_object_get(request, "containers"), i, item)
        if (inventory_find(inventory, json_string_value(item) ?: "", &found) == 0 && found == container)
            return true;
    return false;
}

/* By an address or a port of its own. */
static bool is_placed(const json_t *request, const struct container *container)
{
    const json_t *item;
    struct ip ip;
    size_t i;

    for (size_t e = 0; e < container->n_endpoints; e++) {
        const struct endpoint *endpoint = &container->endpoints[e];

        json_array_foreach (json_object_get(request, "addresses"), i, item)
            if (ip_parse(json_string_value(item) ?: "", &ip) == 0 && endpoint->has_ip[ip.family] &&
                ip_equal(endpoint->ip[ip.family], ip))
                return true;
        json_array_foreach (json_object_get(request, "interfaces"), i, item)
            if (endpoint->port[0] && strcmp(endpoint->port, json_string_value(item) ?: "") == 0)
                return true;
    }
    return false;
}

static const struct container *network_owner(const struct inventory *inventory,
                                             const struct container *container)
{
    const struct container *next;

    for (int i = 0; i < HOPS_MAX && container->mode == NETMODE_CONTAINER && container->mode_target; i++) {
        if (inventory_find(inventory, container->mode_target, &next) < 0)
            break;
        container = next;
    }
    return container;
}

static void find_targets(struct collector *c)
{
    const json_t *request = c->asked->request;

    for (const struct container *container = c->inventory->containers; container;
         container = container->hh.next) {
        if (!is_named(c->inventory, request, container) && !is_placed(request, container) &&
            !is_selected(request, container))
            continue;
        if (c->n_targets == TARGETS_MAX) {
            missing(c, NULL, "containers", "more are meant than evidence is taken of");
            return;
        }
        *ARRAY_ADD(c->targets, c->n_targets) =
            (struct target){container, network_owner(c->inventory, container), xstrdup("")};
    }
}

/* Several have a folder each. */
static int make_folders(struct collector *c)
{
    int r = 0;

    for (size_t i = 0; i < c->n_targets; i++) {
        struct target *target = &c->targets[i];
        const struct container *container = target->container;

        if (c->n_targets > 1) {
            _cleanup_free_ char *name = folder_name(container->name ?: "container");
            _cleanup_free_ char *id = folder_name(container->id);
            _cleanup_free_ char *folder = xasprintf("%s-%.12s", name, id);

            r = folder_make(c->folder, folder);
            if (r < 0)
                return r;
            free(target->prefix);
            target->prefix = xasprintf("%s/", folder);
        }
        child_tell(c->pipe, json_pack("{s:{s:o, s:o, s:s}}", "container", "name", name_json(target), "id",
                                      json_text_or_null(container->id), "folder", target->prefix));
    }
    return r;
}

static int open_folder(struct collector *c)
{
    _cleanup_free_ char *path = NULL, *what = NULL;
    int r;

    what = c->n_targets == 1 ? folder_name(c->targets[0].container->name ?: c->targets[0].container->id)
                             : xasprintf("%zu-containers", c->n_targets);
    r = folder_open(c->asked->directory, what, (long long)time(NULL), &c->folder, &path);
    if (r < 0)
        return r;
    child_tell(c->pipe, json_pack("{s:o}", "path", json_text_or_null(path)));
    return make_folders(c);
}

/* ---- the kernel --------------------------------------------------------------------------------------- */

struct flows {
    struct flow *v;
    size_t n, more;
    struct ip *addresses; /* of all targets, sorted */
    size_t n_addresses;
};

static size_t addresses_of(const struct container *container, struct ip **v, size_t n)
{
    for (size_t i = 0; i < container->n_endpoints; i++)
        for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
            if (container->endpoints[i].has_ip[family])
                *ARRAY_ADD(*v, n) = container->endpoints[i].ip[family];
    ip_sort(*v, n);
    return n;
}

static int keep_flow(const struct flow *flow, void *userdata)
{
    struct flows *flows = userdata;

    if (!flow_touches(flow, flows->addresses, flows->n_addresses))
        return 0;
    if (flows->n == FLOWS_MAX)
        flows->more++;
    else
        *ARRAY_ADD(flows->v, flows->n) = *flow;
    return 0;
}

static void save_flows_of(struct collector *c, const struct target *target, const struct flows *all,
                          const char *taken)
{
    _cleanup_free_ struct ip *addresses = NULL;
    size_t n = addresses_of(target->network, &addresses, 0);
    json_t *list = json_array(), *own = json_array();

    for (size_t i = 0; i < n; i++) {
        char text[IP_TEXT_MAX];

        json_array_append_new(own, json_string(ip_format(addresses[i], text)));
    }
    for (size_t i = 0; i < all->n; i++)
        if (flow_touches(&all->v[i], addresses, n))
            json_array_append_new(list, evidence_flow_to_json(&all->v[i]));
    save_json(c, target, "flows.json", "flows",
              json_pack("{s:s, s:o, s:o}", "taken", taken, "addresses", own, "flows", list));
}

static int compare_flows(const void *a, const void *b)
{
    const struct flow *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

/* A dump that begins again tells some twice. */
static bool same_flow(const struct flow *a, const struct flow *b)
{
    return a->id == b->id && a->proto == b->proto && ip_equal(a->original.source, b->original.source) &&
           ip_equal(a->original.destination, b->original.destination) &&
           a->original.source_port == b->original.source_port &&
           a->original.destination_port == b->original.destination_port;
}

static void sort_flows(struct flows *flows)
{
    size_t n = 0;

    if (flows->n > 1)
        qsort(flows->v, flows->n, sizeof(*flows->v), compare_flows);
    for (size_t i = 0; i < flows->n; i++)
        if (i == 0 || !same_flow(&flows->v[i], &flows->v[n - 1]))
            flows->v[n++] = flows->v[i];
    flows->n = n;
}

static void take_flows(struct collector *c)
{
    _cleanup_(flow_socket_closep) struct flow_socket *socket = NULL;
    _cleanup_free_ char *taken = stamp_now();
    struct flows flows = {0};
    int r;

    for (size_t i = 0; i < c->n_targets; i++)
        flows.n_addresses = addresses_of(c->targets[i].network, &flows.addresses, flows.n_addresses);
    r = flow_socket_open(&socket);
    if (r == 0)
        r = flow_dump(socket, keep_flow, &flows);
    if (r < 0)
        missing(c, NULL, "flows", strerror(-r));
    if (flows.more)
        missing(c, NULL, "flows", "there are more connections than are kept");
    sort_flows(&flows);
    for (size_t i = 0; i < c->n_targets; i++)
        save_flows_of(c, &c->targets[i], &flows, taken);
    free(flows.v);
    free(flows.addresses);
}

static void save_neighbours_of(struct collector *c, const struct target *target,
                               const struct neighbours *neighbours, const char *taken)
{
    json_t *list = json_array();

    for (size_t i = 0; i < neighbours->n; i++) {
        const struct neighbour *neighbour = &neighbours->v[i];
        char name[IFNAMSIZ];
        const char *bridge = neighbour->master ? if_indextoname(neighbour->master, name) : NULL;

        if (evidence_is_neighbour_of(target->network, neighbour))
            json_array_append_new(list, evidence_neighbour_to_json(neighbour, bridge));
    }
    save_json(c, target, "neighbours.json", "neighbours",
              json_pack("{s:s, s:o}", "taken", taken, "neighbours", list));
}

static void take_neighbours(struct collector *c)
{
    _cleanup_free_ char *taken = stamp_now();
    struct neighbours neighbours = {0};
    int r = neighbours_read(&neighbours);

    if (r < 0)
        missing(c, NULL, "neighbours", strerror(-r));
    for (size_t i = 0; i < c->n_targets; i++)
        save_neighbours_of(c, &c->targets[i], &neighbours, taken);
    free(neighbours.v);
}

/* Of the policies that select the container, what the daemon says: which, and where they stand. */
static json_t *policies_of(const struct collector *c, const struct container *container)
{
    const json_t *item, *policy, *own = NULL;
    json_t *list = json_array();
    size_t i, j;

    json_array_foreach (json_object_get(c->status, "containers"), i, item)
        if (strcmp(json_string_value(json_object_get(item, "id")) ?: "", container->id) == 0)
            own = json_object_get(item, "policies");
    json_array_foreach (json_object_get(c->status, "policies"), i, policy)
        json_array_foreach (own, j, item)
            if (json_equal(json_object_get(item, "name"), json_object_get(policy, "name")))
                json_array_append(list, (json_t *)policy);
    return list;
}

static void save_policies_of(struct collector *c, const struct target *target, const struct nft_tables *pairs,
                             const char *taken)
{
    json_t *elements = json_array(), *rules = json_array();

    for (size_t i = 0; i < 2; i++)
        if (pairs[i].ruleset)
            evidence_put_rules(pairs[i].ruleset, target->network, elements, rules);
    save_json(c, target, "policies.json", "policies",
              json_pack("{s:s, s:o, s:o, s:o}", "taken", taken, "policies",
                        c->status ? policies_of(c, target->network) : json_null(), "elements", elements,
                        "rules", rules));
}

static void save_rules(struct collector *c, const struct nft_tables *pairs)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    for (size_t i = 0; i < 2 && out; i++)
        if (pairs[i].ruleset && ruleset_stands(pairs[i].ruleset))
            ruleset_print_counted(pairs[i].ruleset, out);
    if (!out || fclose(out) != 0)
        missing(c, NULL, "rules", strerror(errno));
    else
        save(c, NULL, "rules.nft", "rules", text, len);
    free(text);
}

static void take_rules(struct collector *c)
{
    static const enum table_pair which[2] = {PAIR_RULES, PAIR_LOCK};
    _cleanup_(nft_socket_closep) struct nft_socket *socket = NULL;
    _cleanup_free_ char *taken = stamp_now();
    struct nft_tables pairs[2] = {0};
    int r = nft_socket_open(&socket);

    for (size_t i = 0; i < 2 && r == 0; i++)
        r = nft_read_pair(socket, which[i], &pairs[i]);
    if (r < 0)
        missing(c, NULL, "rules", strerror(-r));
    if (pairs[0].ruleset)
        save_rules(c, pairs);
    for (size_t i = 0; i < c->n_targets; i++)
        save_policies_of(c, &c->targets[i], pairs, taken);
    for (size_t i = 0; i < 2; i++)
        nft_tables_clear(&pairs[i]);
}

/* ---- what stays the same for longer ------------------------------------------------------------------- */

static void save_answer(struct collector *c, const struct target *target, const char *name, const char *what,
                        struct engine_question *question)
{
    if (question->body)
        save(c, target, name, what, question->body, question->len);
    else
        missing(c, target, what, question->error);
    free(question->body);
    free(question->error);
}

static void take_engine(struct collector *c)
{
    static const struct {
        const char *path, *name;
    } all[] = {{"/containers/json?all=1", "engine-containers.json"},
               {"/networks", "engine-networks.json"},
               {"/info", "engine-info.json"},
               {"/version", "engine-version.json"}};
    size_t n = ARRAY_SIZE(all) + c->n_targets;
    _cleanup_free_ struct engine_question *questions = xcalloc(n, sizeof(*questions));
    _cleanup_free_ char **paths = xcalloc(c->n_targets + 1, sizeof(*paths));

    for (size_t i = 0; i < c->n_targets; i++) {
        paths[i] = xasprintf("/containers/%s/json", c->targets[i].container->id);
        questions[i].path = paths[i];
    }
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        questions[c->n_targets + i].path = all[i].path;
    engine_ask(c->asked->settings, questions, n, ENGINE_MS);
    for (size_t i = 0; i < c->n_targets; i++) {
        save_answer(c, &c->targets[i], "inspect.json", "inspect", &questions[i]);
        free(paths[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        save_answer(c, NULL, all[i].name, "engine", &questions[c->n_targets + i]);
}

static void take_sockets(struct collector *c)
{
    json_t *all = sockets_collect();

    for (size_t i = 0; i < c->n_targets; i++) {
        const struct container *container = c->targets[i].network;
        json_t *own = json_object_get(all, container->id);

        if (own)
            save_json(c, &c->targets[i], "sockets.json", "sockets", json_incref(own));
        else if (container->running)
            missing(c, &c->targets[i], "sockets", "its network namespace cannot be looked at");
    }
    json_decref(all);
}

static void take_all(struct collector *c)
{
    take_flows(c);
    take_neighbours(c);
    take_rules(c);
    if (c->status)
        save_json(c, NULL, "status.json", "daemon", json_incref(c->status));
    else
        save_json(c, NULL, "inventory.json", "inventory", inventory_to_json(c->inventory));
    take_engine(c);
    take_sockets(c);
}

void collect(int pipe, void *userdata)
{
    struct collector c = {.pipe = pipe, .folder = -1, .asked = userdata, .inventory = inventory_new()};
    bool known;
    int r = 0;

    ask_daemon(&c);
    known = inventory_of_daemon(&c) || inventory_of_engine(&c) || inventory_of_file(&c);
    find_targets(&c);
    if (!known)
        missing(&c, NULL, "containers", "neither the daemon nor the Docker Engine tells them");
    else if (c.n_targets == 0)
        missing(&c, NULL, "containers", "none that is known is meant");
    if (!known || c.n_targets > 0)
        r = open_folder(&c);
    if (r < 0) {
        _cleanup_free_ char *why =
            xasprintf("%s: %s", c.asked->directory, r == -ELOOP ? "it is a symbolic link" : strerror(-r));

        missing(&c, NULL, "folder", why);
    } else if (c.folder >= 0) {
        take_all(&c);
    }
}
