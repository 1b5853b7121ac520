/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The status document: what is known, what is enforced, and what is not as it should be. */
#include "brain_private.h"

#include <stdarg.h>
#include <string.h>

#include "control/policy_files.h"
#include "control/protocol.h"
#include "inventory/json.h"
#include "inventory/match.h"

static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, json_text_or_null(text));
}

static void add_problem(json_t *problems, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_problem(json_t *problems, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    json_array_append_new(problems, json_text_or_null(text));
}

/* Why nothing at all is enforced, or NULL. */
const char *brain_not_in_force(const struct brain *brain)
{
    if (brain->torn_down)
        return "the rules were removed";
    if (brain->kernel_error && !brain->loaded)
        return "the kernel refused the rules";
    if (!brain->loaded && !brain->keep_tables)
        return "the rules are not loaded yet";
    if (brain->changed_by_others)
        return "another program has changed the rules, and they are not loaded again yet";
    return NULL;
}

static bool is_unfiltered(const struct brain *brain, const struct fact_bridge *bridge)
{
    const struct fact_link *link = bridge->index ? brain_find_link(brain, bridge->index) : NULL;

    return link && !(link->link.switches.nf_call_iptables && link->link.switches.nf_call_ip6tables);
}

/* The rules drop everything between the containers of some managed bridge. */
static bool some_bridge_is_closed(const struct brain *brain)
{
    if (!brain->br_netfilter)
        return true;
    for (const struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next)
        if (bridge->managed && (bridge->error < 0 || is_unfiltered(brain, bridge)))
            return true;
    return false;
}

/* A bridge that looks like an Engine's and is no network's of this one: another Engine's, if anything is on it. */
static bool is_another_engines(const struct brain *brain, const struct fact_bridge *bridge)
{
    if (!bridge->foreign || !brain->networks_known)
        return false;
    for (const struct network *network = brain->inventory->networks; network; network = network->hh.next)
        if (network->bridge && strcmp(network->bridge, bridge->name) == 0)
            return false;
    for (const struct fact_link *link = brain->links; link; link = link->hh.next)
        if (link->link.master == bridge->index)
            return true;
    return false;
}

static bool is_a_bridge_sat_on(const struct brain *brain)
{
    for (const struct network *network = brain->inventory->networks; network; network = network->hh.next)
        if (network_sits_on(brain->inventory, network))
            return true;
    return false;
}

static bool is_another_engine_there(const struct brain *brain)
{
    for (const struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next)
        if (is_another_engines(brain, bridge))
            return true;
    return false;
}

/* ---- daemon and engine -------------------------------------------------------------------------------- */

static json_t *daemon_status(const struct brain *brain, const struct status_facts *facts)
{
    json_t *daemon = json_object();

    set_text(daemon, "version", facts->version);
    json_object_set_new(daemon, "pid", json_integer(facts->pid));
    set_text(daemon, "started", facts->started);
    set_text(daemon, "policies_dir", facts->policies_dir);
    json_object_set_new(daemon, "policies", json_integer((json_int_t)brain->policies->n_policies));
    json_object_set_new(daemon, "policies_in_force", json_boolean(brain_policies_in_force(brain)));
    set_text(daemon, "policies_loaded", facts->policies_loaded);
    json_object_set_new(daemon, "policies_kept", json_boolean(facts->policies_kept));
    set_text(daemon, "last_load_error", facts->last_load_error);
    json_object_set_new(daemon, "expectations_failed", json_integer((json_int_t)facts->expectations_failed));
    set_text(daemon, "expectation_error", facts->expectation_error);
    set_text(daemon, "audit_error", facts->audit_error);
    set_text(daemon, "default_mode", brain->options.default_mode == MODE_AUDIT ? "audit" : "enforce");
    json_object_set_new(daemon, "generation", json_integer((json_int_t)facts->generation));
    json_object_set_new(daemon, "trial", facts->trial ? json_deep_copy(facts->trial) : json_null());
    json_object_set_new(daemon, "held", facts->held ? json_deep_copy(facts->held) : json_null());
    return daemon;
}

static json_t *tables_status(const struct status_facts *facts)
{
    json_t *tables = json_object();

    json_object_set_new(tables, "protected", json_boolean(facts->tables_protected));
    json_object_set_new(tables, "kept", json_boolean(facts->tables_kept));
    set_text(tables, "reason", facts->unprotected_reason);
    return tables;
}

static json_t *engine_status(const struct brain *brain, const struct status_facts *facts)
{
    json_t *engine = json_object();
    _cleanup_free_ char *api = brain->engine_version ? xasprintf("1.%u", brain->engine_api) : NULL;

    json_object_set_new(engine, "connected", json_boolean(brain->connected));
    set_text(engine, "version", brain->engine_version);
    set_text(engine, "api", api);
    set_text(engine, "socket", facts->engine_socket);
    set_text(engine, "error", brain->connected ? NULL : brain->engine_error);
    return engine;
}

/* ---- networks ----------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const char *x = json_string_value(json_object_get(*(json_t *const *)a, "name"));
    const char *y = json_string_value(json_object_get(*(json_t *const *)b, "name"));

    return strcmp(x ? x : "", y ? y : "");
}

/* Steals the array. */
static json_t *sorted_by_name(json_t *array)
{
    size_t n = json_array_size(array);
    json_t *sorted = json_array();
    json_t **items = xcalloc(n ? n : 1, sizeof(*items));

    for (size_t i = 0; i < n; i++)
        items[i] = json_array_get(array, i);
    qsort(items, n, sizeof(*items), by_name);
    for (size_t i = 0; i < n; i++)
        json_array_append(sorted, items[i]);
    free(items);
    json_decref(array);
    return sorted;
}

static json_t *networks_status(const struct brain *brain)
{
    json_t *networks = json_array();

    for (const struct network *network = brain->inventory->networks; network; network = network->hh.next) {
        _cleanup_free_ char *unenforced = network_unenforced_reason(brain->inventory, network);
        const char *reason = unenforced ? unenforced : brain_not_in_force(brain);
        json_t *object = json_object();
        set_text(object, "id", network->id);
        set_text(object, "name", network->name);
        set_text(object, "bridge", network->bridge);
        json_object_set_new(object, "managed", json_boolean(network->managed));
        json_object_set_new(object, "enforced", json_boolean(!reason));
        set_text(object, "reason", reason);
        json_array_append_new(networks, object);
    }
    return sorted_by_name(networks);
}

/* ---- containers --------------------------------------------------------------------------------------- */

static bool policy_selects(const struct policy *policy, const struct container *container)
{
    return selector_means(&policy->select, container);
}

static const char *mode_name(enum policy_mode mode)
{
    switch (mode) {
    case MODE_ENFORCE:
        return "enforce";
    case MODE_AUDIT:
        return "audit";
    }
    return "";
}

static json_t *policies_of(const struct brain *brain, const struct container *container)
{
    json_t *array = json_array();

    for (size_t i = 0; i < brain->policies->n_policies; i++) {
        const struct policy *policy = &brain->policies->policies[i];
        if (policy_selects(policy, container))
            json_array_append_new(array, json_pack("{s:o, s:s}", "name", json_text_or_null(policy->name),
                                                   "mode", mode_name(policy->mode)));
    }
    return array;
}

static json_t *ignored_labels(const struct container *container)
{
    json_t *array = json_array();

    for (size_t i = 0; i < container->n_labels; i++)
        if (!container->labels_known || container->labels[i].from_image)
            json_array_append_new(array, json_text_or_null(container->labels[i].key));
    return array;
}

static bool endpoint_managed(const struct brain *brain, const struct endpoint *endpoint)
{
    const struct network *network = brain_network_of(brain, endpoint);

    return network && network->managed;
}

static const char *endpoint_reason(const struct brain *brain, const struct endpoint *endpoint)
{
    if (!endpoint_managed(brain, endpoint))
        return "the network is not managed";
    if (endpoint->id && !endpoint->port[0])
        return "no port found: nothing passes until it is";
    return NULL;
}

static json_t *endpoint_status(const struct brain *brain, const struct endpoint *endpoint)
{
    const struct network *network = brain_network_of(brain, endpoint);
    char ip[IP_FAMILIES][IP_TEXT_MAX];
    json_t *object = json_object();

    for (int f = 0; f < IP_FAMILIES; f++)
        if (endpoint->has_ip[f])
            ip_format(endpoint->ip[f], ip[f]);
    set_text(object, "network", endpoint->network_name);
    set_text(object, "bridge", network ? network->bridge : NULL);
    set_text(object, "port", endpoint->port[0] ? endpoint->port : NULL);
    set_text(object, "ipv4", endpoint->has_ip[IP4] ? ip[IP4] : NULL);
    set_text(object, "ipv6", endpoint->has_ip[IP6] ? ip[IP6] : NULL);
    json_object_set_new(object, "live", json_boolean(endpoint->id != NULL));
    set_text(object, "reason", endpoint_reason(brain, endpoint));
    return object;
}

static json_t *container_status(const struct brain *brain, const struct container *container, bool *enforced)
{
    _cleanup_free_ char *unenforced = container_unenforced_reason(brain->inventory, container);
    _cleanup_free_ char *caution = container_caution(brain->inventory, container);
    const char *reason = unenforced ? unenforced : brain_not_in_force(brain);
    json_t *object = json_object(), *endpoints = json_array();

    for (size_t i = 0; i < container->n_endpoints; i++)
        json_array_append_new(endpoints, endpoint_status(brain, &container->endpoints[i]));
    set_text(object, "id", container->id);
    set_text(object, "name", container->name);
    json_object_set_new(object, "running", json_boolean(container->running));
    json_object_set_new(object, "enforced", json_boolean(!reason));
    set_text(object, "reason", reason);
    set_text(object, "caution", caution);
    json_object_set_new(object, "policies", policies_of(brain, container));
    json_object_set_new(object, "ignored_labels", ignored_labels(container));
    json_object_set_new(object, "overlay_labels", brain_labels_of(brain, container));
    json_object_set_new(object, "ended_labels", brain_labels_ended(brain, container));
    json_object_set_new(object, "endpoints", endpoints);
    if (reason && container->running)
        *enforced = false;
    return object;
}

static json_t *containers_status(const struct brain *brain, bool *enforced)
{
    json_t *containers = json_array();

    for (const struct container *c = brain->inventory->containers; c; c = c->hh.next)
        json_array_append_new(containers, container_status(brain, c, enforced));
    return sorted_by_name(containers);
}

/* ---- policies ----------------------------------------------------------------------------------------- */

/* That run. */
static size_t count_selected(const struct brain *brain, const struct policy *policy)
{
    size_t n = 0;

    for (const struct container *c = brain->inventory->containers; c; c = c->hh.next)
        n += c->running && policy_selects(policy, c);
    return n;
}

static json_t *policies_status(const struct brain *brain)
{
    json_t *policies = json_array();

    for (size_t i = 0; i < brain->policies->n_policies; i++) {
        const struct policy *policy = &brain->policies->policies[i];
        json_t *object = json_object();
        set_text(object, "name", policy->name);
        set_text(object, "mode", mode_name(policy->mode));
        set_text(object, "file", policy->pos.file);
        json_object_set_new(object, "line", json_integer(policy->pos.line));
        json_object_set_new(object, "containers", json_integer((json_int_t)count_selected(brain, policy)));
        json_array_append_new(policies, object);
    }
    return policies;
}

/* More than a plan could be made of would make the answer too long: then null. */
static json_t *policy_files(const struct policy_set *set)
{
    size_t size = 0;

    for (size_t i = 0; i < set->n_files; i++)
        size += strlen(set->files[i].path) + set->files[i].len;
    return size > CONTROL_REQUEST_MAX ? json_null() : policy_files_to_json(set);
}

/* ---- problems ----------------------------------------------------------------------------------------- */

static void kernel_problems(const struct brain *brain, json_t *problems)
{
    if (brain->n_changes > 0)
        add_problem(problems,
                    "another program has changed Cofferdam's rules %zu time%s since cofferdamd started%s%s; "
                    "each time they are loaded again",
                    brain->n_changes, brain->n_changes == 1 ? "" : "s", brain->changed_by ? ", last " : "",
                    brain->changed_by ? brain->changed_by : "");
    if (brain->kernel_error)
        add_problem(problems, "the kernel refuses the rules: %s", brain->kernel_error);
    if (brain->flows_error)
        add_problem(
            problems,
            "connections that are no longer allowed cannot be ended (%s); containers at addresses that others may "
            "have had before get no network until they can",
            brain->flows_error);
}

static bool some_bridge_learns(const struct brain *brain)
{
    for (const struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next) {
        const struct fact_link *link = bridge->index ? brain_find_link(brain, bridge->index) : NULL;

        if (bridge->managed && link && !link->link.has_no_linklocal_learn)
            return true;
    }
    return false;
}

/* Why nothing passes between the containers of a bridge, whatever the policies say; and what does. */
static void bridge_problems(const struct brain *brain, json_t *problems)
{
    if (brain->torn_down)
        return;
    if (!brain->br_netfilter) {
        add_problem(problems,
                    "this kernel has no br_netfilter: all packets between containers on one bridge are "
                    "dropped, whatever the policies say");
        return;
    }
    if (some_bridge_learns(brain))
        add_problem(
            problems,
            "this kernel's bridges have no switch no_linklocal_learn (Linux 5.0): a container can make its "
            "bridge send it the frames of its neighbours");
    for (const struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next)
        if (bridge->managed && bridge->error < 0)
            add_problem(
                problems,
                "cannot turn the filtering of bridged packets on for %s (%s): all packets between its "
                "containers are dropped, whatever the policies say",
                bridge->name, strerror(-bridge->error));
        else if (bridge->managed && is_unfiltered(brain, bridge))
            add_problem(problems,
                        "the filtering of bridged packets is off on %s: until it is turned on again, all "
                        "packets between its containers are dropped, whatever the policies say",
                        bridge->name);
}

static void inventory_problems(const struct brain *brain, json_t *problems)
{
    const char *meanwhile = "no rules are in force yet";

    if (brain->inventory_known)
        return;
    if (brain->loaded)
        meanwhile =
            "rules without any container are in force, so every connection of every container is denied";
    else if (brain->keep_tables)
        meanwhile = "the rules that stand in the kernel stay in force";
    add_problem(problems, "the containers are not known yet, as the Docker Engine has not answered; %s",
                meanwhile);
}

/* Only joined containers: none of its own network is there for its rules. */
static bool is_joined(const struct brain *brain, const struct container *container)
{
    (void)brain;
    return container->mode == NETMODE_CONTAINER;
}

static bool is_unenforced(const struct brain *brain, const struct container *container)
{
    _cleanup_free_ char *reason = container_unenforced_reason(brain->inventory, container);

    return reason;
}

static bool selects_only(const struct brain *brain, const struct policy *policy,
                         bool (*is_such)(const struct brain *, const struct container *))
{
    for (const struct container *c = brain->inventory->containers; c; c = c->hh.next)
        if (policy_selects(policy, c) && !is_such(brain, c))
            return false;
    return true;
}

static bool selects_any(const struct brain *brain, const struct policy *policy)
{
    for (const struct container *c = brain->inventory->containers; c; c = c->hh.next)
        if (policy_selects(policy, c))
            return true;
    return false;
}

static void policy_problems(const struct brain *brain, json_t *problems)
{
    const struct diags *compiled = compiler_problems(brain->compiler);

    for (size_t i = 0; i < brain->policies->n_policies; i++) {
        const struct policy *policy = &brain->policies->policies[i];
        if (!brain->inventory_known)
            break;
        if (!selects_any(brain, policy))
            add_problem(problems, "policy %s selects no container", policy->name);
        else if (selects_only(brain, policy, is_joined))
            add_problem(
                problems,
                "policy %s has no effect: it selects only containers that share another one's network",
                policy->name);
        else if (selects_only(brain, policy, is_unenforced))
            add_problem(problems, "policy %s has no effect: it selects only containers that are not enforced",
                        policy->name);
    }
    for (size_t i = 0; compiled && i < compiled->n; i++)
        add_problem(problems, "%s", compiled->v[i].message);
}

static void engine_problems(const struct brain *brain, json_t *problems)
{
    if (brain->inventory->rootless)
        add_problem(
            problems,
            "the Docker Engine is rootless: its bridges are in a network namespace of its own, and none of "
            "its containers is restricted, whatever the policies say");
    for (const struct fact_bridge *bridge = brain->bridges; bridge; bridge = bridge->hh.next)
        if (is_another_engines(brain, bridge))
            add_problem(
                problems,
                "bridge %s looks like a Docker Engine's and is none of this one's: if another Engine runs "
                "on this host, its containers are not restricted",
                bridge->name);
}

static void parent_problems(const struct brain *brain, json_t *problems)
{
    for (const struct network *network = brain->inventory->networks; network; network = network->hh.next) {
        const struct network *under = network_sits_on(brain->inventory, network);
        if (under)
            add_problem(
                problems,
                "network %s (%s) sits on %s, the bridge of network %s: their containers reach each other past "
                "the rules, whatever the policies say",
                network->name, network->driver ? network->driver : "?", network->parent, under->name);
    }
}

static bool any_endpoint_managed(const struct brain *brain, const struct container *container)
{
    for (size_t i = 0; i < container->n_endpoints; i++)
        if (endpoint_managed(brain, &container->endpoints[i]))
            return true;
    return false;
}

static void lookup_problems(const struct brain *brain, json_t *problems)
{
    size_t n = 0;

    for (const struct container *c = brain->inventory->containers; c; c = c->hh.next)
        n += c->running && any_endpoint_managed(brain, c) && container_lookups_by_engine(brain->inventory, c);
    if (n > 0)
        add_problem(
            problems,
            "lookups are not filtered: the Docker Engine sends the name queries of %zu container%s from the "
            "host itself",
            n, n == 1 ? "" : "s");
}

static void container_problems(const struct brain *brain, const struct container *container, json_t *problems)
{
    struct fact_image *image = NULL;

    if (container->image_id)
        HASH_FIND_STR(brain->images, container->image_id, image);
    if (!container->labels_known && container->n_labels > 0)
        add_problem(problems, "the labels of container %s do not count: those of its image %s",
                    container->name, image && image->failed ? "cannot be read" : "are not known yet");
    for (size_t i = 0; i < container->n_endpoints; i++)
        if (container->endpoints[i].id && endpoint_managed(brain, &container->endpoints[i]) &&
            !container->endpoints[i].port[0])
            add_problem(problems, "no port found for container %s on network %s: nothing passes until it is",
                        container->name, container->endpoints[i].network_name);
}

static void load_problems(const struct brain *brain, const struct status_facts *facts, json_t *problems)
{
    if (facts->last_load_error && facts->policies_kept)
        add_problem(
            problems,
            "the policy files have errors, as they had when cofferdamd started; the last set without errors, of "
            "%s, stays in force",
            facts->policies_loaded);
    else if (facts->last_load_error)
        add_problem(problems, "the policy files have errors; %s",
                    brain->policies->n_policies > 0 ? "those read before stay in force"
                                                    : "everything is denied, without any policy");
    if (facts->expectations_failed)
        add_problem(problems, "%zu expectation%s of the policies in force failed when they were tested: %s%s",
                    facts->expectations_failed, facts->expectations_failed == 1 ? "" : "s",
                    facts->expectation_error, facts->expectations_failed == 1 ? "" : "; and others");
    if (facts->keep_error)
        add_problem(
            problems,
            "the policies in force cannot be saved (%s): a start at which the policy files have errors denies "
            "everything",
            facts->keep_error);
}

static void history_problems(const struct status_facts *facts, json_t *problems)
{
    if (facts->history_error)
        add_problem(problems, "the policies in force are not in the history, which cannot be written: %s",
                    facts->history_error);
    if (facts->audit_error)
        add_problem(problems, "%s", facts->audit_error);
    if (facts->textfile_error)
        add_problem(problems, "the metrics cannot be written: %s", facts->textfile_error);
    if (facts->trial_left)
        add_problem(
            problems,
            "the state directory cannot be written: the next start goes back to the policies before the last "
            "trial");
}

json_t *brain_problems(const struct brain *brain, const struct status_facts *facts)
{
    json_t *problems = json_array();

    load_problems(brain, facts, problems);
    history_problems(facts, problems);
    kernel_problems(brain, problems);
    bridge_problems(brain, problems);
    engine_problems(brain, problems);
    parent_problems(brain, problems);
    inventory_problems(brain, problems);
    policy_problems(brain, problems);
    lookup_problems(brain, problems);
    for (const struct container *c = brain->inventory->containers; c; c = c->hh.next)
        container_problems(brain, c, problems);
    return problems;
}

bool brain_can_enforce(const struct brain *brain)
{
    return brain_not_in_force(brain) == NULL && brain->inventory_known && !some_bridge_is_closed(brain) &&
           !brain->inventory->rootless && !is_another_engine_there(brain) && !is_a_bridge_sat_on(brain);
}

/* With what else `--inventory` needs, by itself or as a part of this. */
static json_t *inventory_of(const struct brain *brain)
{
    json_t *inventory = inventory_to_json(brain->inventory);

    json_object_set_new(inventory, "lockdowns", brain_locks_to_json(brain));
    return inventory;
}

json_t *brain_status(const struct brain *brain, const struct status_facts *facts, bool *ret_enforced)
{
    json_t *status = json_object();
    bool enforced = brain_can_enforce(brain);
    json_t *containers = containers_status(brain, &enforced);

    json_object_set_new(status, "format_version", json_string("1.0"));
    json_object_set_new(status, "enforced", json_boolean(enforced));
    json_object_set_new(status, "lockdowns", brain_locks_to_json(brain));
    json_object_set_new(status, "lock_tables", json_text_or_null(facts->lock_tables));
    json_object_set_new(status, "daemon", daemon_status(brain, facts));
    json_object_set_new(status, "tables", tables_status(facts));
    json_object_set_new(status, "log", facts->log ? json_deep_copy(facts->log) : json_null());
    json_object_set_new(status, "engine", engine_status(brain, facts));
    json_object_set_new(status, "networks", networks_status(brain));
    json_object_set_new(status, "containers", containers);
    json_object_set_new(status, "policies", policies_status(brain));
    json_object_set_new(status, "policy_files", policy_files(brain->policies));
    json_object_set_new(status, "problems", brain_problems(brain, facts));
    json_object_set_new(status, "inventory", inventory_of(brain));
    *ret_enforced = enforced;
    return status;
}
