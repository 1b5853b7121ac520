/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ruleset/lock_tables.h"

#include <netinet/in.h>
#include <string.h>

#include "build.h"
#include "deny_log.h"
#include "lockdown.h"
#include "util/mem.h"

#define ETHER_ARP 0x0806u
#define LOCKED_DOWN "locked down"
#define SET_SEALED_MACS "sealed_macs"
#define SET_SEALED4 "sealed4"
#define SET_SEALED6 "sealed6"

static const char *const locked_sets[IP_FAMILIES] = {SET_LOCKED4, SET_LOCKED6};
static const char *const sealed_sets[IP_FAMILIES] = {SET_SEALED4, SET_SEALED6};
static const char *const same_sets[IP_FAMILIES] = {SET_SAME4, SET_SAME6};

/* ---- whoever is sealed -------------------------------------------------------------------------------- */

static void put(struct ruleset *ruleset, enum table_id table, const char *set, const void *bytes, size_t len)
{
    struct element element = {0};

    memcpy(element.key, bytes, len);
    set_insert(table_set(&ruleset->tables[table], set), &element);
}

static void seal_address(struct ruleset *ruleset, struct ip ip)
{
    uint8_t bytes[16];

    ip_to_bytes(ip, bytes);
    put(ruleset, TABLE_INET, locked_sets[ip.family], bytes, ip_size(ip.family));
    put(ruleset, TABLE_BRIDGE, sealed_sets[ip.family], bytes, ip_size(ip.family));
}

static void seal_port(struct ruleset *ruleset, const char *port)
{
    size_t len = strnlen(port, IFNAMSIZ - 1);

    if (len == 0)
        return;
    put(ruleset, TABLE_BRIDGE, SET_SEALED, port, len);
    put(ruleset, TABLE_INET, SET_SEALED, port, len);
}

static void seal_endpoint(struct ruleset *ruleset, const struct endpoint *endpoint)
{
    seal_port(ruleset, endpoint->port);
    if (endpoint->has_mac)
        put(ruleset, TABLE_BRIDGE, SET_SEALED_MACS, endpoint->mac.bytes, sizeof(endpoint->mac.bytes));
    for (size_t family = 0; family < IP_FAMILIES; family++)
        if (endpoint->has_ip[family])
            seal_address(ruleset, endpoint->ip[family]);
}

static bool is_managed(const struct inventory *inventory, const struct endpoint *endpoint)
{
    const struct network *network = inventory_network(inventory, endpoint->network_id);

    return endpoint->id && network && network->managed;
}

static void seal_all(struct ruleset *ruleset, const struct lock_list *locks,
                     const struct inventory *inventory)
{
    struct ip ip;

    for (size_t i = 0; i < locks->n; i++) {
        if (lock_has_address(locks->v[i], &ip))
            seal_address(ruleset, ip);
        else if (lock_is_nameless(locks->v[i]))
            seal_port(ruleset, locks->v[i]->interface);
    }
    for (const struct container *c = inventory->containers; c; c = c->hh.next) {
        const struct lock_effect effect = lock_effect(locks, inventory, c);

        for (size_t i = 0; effect.cut && lock_is_sealed(&effect) && i < c->n_endpoints; i++)
            if (is_managed(inventory, &c->endpoints[i]))
                seal_endpoint(ruleset, &c->endpoints[i]);
    }
}

/* ---- copies of what the compiler makes ---------------------------------------------------------------- */

struct copying {
    const struct table *from;
    enum table_id table;
    struct ruleset *to;
};

static struct set *copy_empty_set(const struct copying *copying, const struct set *set)
{
    struct set *copy = table_set(&copying->to->tables[copying->table], set->name);

    if (copy)
        return copy;
    copy = ruleset_add_set(copying->to, copying->table, set->name, set->n_key, set->key);
    copy->map = set->map;
    copy->interval = set->interval;
    copy->meter = set->meter;
    return copy;
}

/* Each address beside itself: those of others are of no interest here. */
static bool is_wanted(const struct copying *copying, const struct set *set, const struct element *element)
{
    for (size_t family = 0; family < IP_FAMILIES; family++)
        if (strcmp(set->name, same_sets[family]) == 0)
            return set_find(table_set(copying->from, locked_sets[family]), element->key);
    return true;
}

static void copy_chain(const struct copying *copying, const char *name);

/* Without what a map leads to otherwise: a miss ends in the chain that asked. */
static void copy_set(const struct copying *copying, const char *name)
{
    const struct set *set = table_set(copying->from, name);
    struct set *copy = copy_empty_set(copying, set);

    for (const struct element *element = set->elements; element; element = element->hh.next) {
        struct element own = *element;

        if (!is_wanted(copying, set, element))
            continue;
        memset(&own.hh, 0, sizeof(own.hh));
        if (own.target) {
            copy_chain(copying, own.target);
            own.target = ruleset_intern(copying->to, own.target);
        }
        set_insert(copy, &own);
    }
}

static void copy_rule(const struct copying *copying, const struct rule_stmt *rule, struct chain *chain)
{
    struct rule_stmt *copy = chain_add_rule(chain);

    *copy = *rule;
    copy->matches = NULL;
    copy->n_matches = 0;
    copy->comment = xstrdup_null(rule->comment);
    copy->origin = xstrdup_null(rule->origin);
    copy->source = (struct rule_source){0};
    copy->target = rule->target ? ruleset_intern(copying->to, rule->target) : NULL;
    copy->log_prefix = rule->log_prefix ? ruleset_intern(copying->to, rule->log_prefix) : NULL;
    for (size_t i = 0; i < rule->n_matches; i++) {
        struct match *match = rule_add_match(copy);

        *match = rule->matches[i];
        match->set = match->set ? ruleset_intern(copying->to, match->set) : NULL;
    }
}

/* With all that it needs: the chains of locks ask sets, and go on to chains of their exceptions. */
static void copy_chain(const struct copying *copying, const char *name)
{
    const struct chain *chain = table_chain(copying->from, name);
    struct chain *copy;

    if (table_chain(&copying->to->tables[copying->table], name))
        return;
    for (size_t i = 0; i < chain->n_rules; i++) {
        const struct rule_stmt *rule = &chain->rules[i];

        for (size_t j = 0; j < rule->n_matches; j++)
            if (rule->matches[j].set &&
                !table_set(&copying->to->tables[copying->table], rule->matches[j].set))
                copy_set(copying, rule->matches[j].set);
        if (rule->target)
            copy_chain(copying, rule->target);
    }
    copy = ruleset_add_chain(copying->to, copying->table, name);
    for (size_t i = 0; i < chain->n_rules; i++)
        copy_rule(copying, &chain->rules[i], copy);
}

/* What logs, where the compiler was told to: the drops are led there in the end. */
static void copy_log(const struct copying *copying)
{
    const char *name = deny_log_chain(DENY_LOCKED);

    if (table_chain(copying->from, name))
        copy_chain(copying, name);
}

/* ---- table inet --------------------------------------------------------------------------------------- */

static struct chain *add_base_chain(struct ruleset *ruleset, enum table_id table, enum chain_hook hook,
                                    int priority)
{
    struct chain *chain = ruleset_add_chain(ruleset, table, hook_name(hook));

    chain->hook = hook;
    chain->priority = priority - PRIORITY_LOCK_LEAD;
    return chain;
}

static void drop(struct rule_stmt *rule)
{
    denied(comment(rule, LOCKED_DOWN), DENY_LOCKED);
}

/* Neighbour discovery is the bridge's to judge, which knows the ports. Who is in no map is sealed. */
static void build_lock_chain(struct ruleset *ruleset, enum dispatch dispatch)
{
    struct chain *chain = ruleset_add_chain(ruleset, TABLE_INET, lock_chain_name(dispatch));
    struct rule_stmt *rule = chain_add_rule(chain);

    on_set(rule, FIELD_ICMPV6_TYPE, false, SET_NEIGHBOUR_DISCOVERY);
    verdict(rule, V_RETURN, NULL);
    for (size_t family = 0; family < IP_FAMILIES; family++)
        vmap(chain_add_rule(chain),
             dispatch_is_egress(dispatch) ? source_field(family) : destination_field(family),
             lock_map_name(dispatch, family));
    drop(chain_add_rule(chain));
}

static void ask_lock(struct chain *chain, enum dispatch dispatch)
{
    for (size_t family = 0; family < IP_FAMILIES; family++) {
        struct rule_stmt *rule = chain_add_rule(chain);

        on_set(rule, dispatch_is_egress(dispatch) ? source_field(family) : destination_field(family), false,
               locked_sets[family]);
        verdict(rule, V_JUMP, lock_chain_name(dispatch));
    }
}

static void build_inet(struct ruleset *ruleset, const struct table *from)
{
    const struct copying copying = {from, TABLE_INET, ruleset};
    struct chain *forward, *input, *output;

    copy_log(&copying);
    add_set(ruleset, TABLE_INET, SET_SEALED, KEY_IFNAME);
    add_neighbour_discovery(ruleset, TABLE_INET);
    for (size_t family = 0; family < IP_FAMILIES; family++) {
        copy_set(&copying, locked_sets[family]);
        for (size_t i = 0; i < DISPATCHES; i++)
            copy_set(&copying, lock_map_name((enum dispatch)i, family));
    }
    for (size_t i = 0; i < DISPATCHES; i++)
        build_lock_chain(ruleset, (enum dispatch)i);
    forward = add_base_chain(ruleset, TABLE_INET, HOOK_FORWARD, PRIORITY_INET);
    ask_lock(forward, DISPATCH_EGRESS);
    ask_lock(forward, DISPATCH_INGRESS);
    input = add_base_chain(ruleset, TABLE_INET, HOOK_INPUT, PRIORITY_INET);
    /* Frames to 01:80:c2:00:00:0x skip the bridge and reach the host with the port as their interface. */
    lockdown_refuse_sealed(input, FIELD_IIFNAME);
    ask_lock(input, DISPATCH_HOST_EGRESS);
    output = add_base_chain(ruleset, TABLE_INET, HOOK_OUTPUT, PRIORITY_INET);
    ask_lock(output, DISPATCH_HOST_INGRESS);
}

/* ---- table bridge ------------------------------------------------------------------------------------- */

static void refuse(struct chain *chain, enum field field, const char *set)
{
    struct rule_stmt *rule = chain_add_rule(chain);

    on_set(rule, field, false, set);
    drop(rule);
}

static void refuse_sources(struct chain *chain)
{
    lockdown_refuse_sealed(chain, FIELD_IIFNAME);
    refuse(chain, FIELD_ETHER_SADDR, SET_SEALED_MACS);
    refuse(chain, FIELD_IP_SADDR, SET_SEALED4);
    refuse(chain, FIELD_IP6_SADDR, SET_SEALED6);
    refuse(chain, FIELD_ARP_SADDR_IP, SET_SEALED4);
}

static void refuse_destinations(struct chain *chain)
{
    lockdown_refuse_sealed(chain, FIELD_OIFNAME);
    refuse(chain, FIELD_ETHER_DADDR, SET_SEALED_MACS);
    refuse(chain, FIELD_IP_DADDR, SET_SEALED4);
    refuse(chain, FIELD_IP6_DADDR, SET_SEALED6);
}

static void ask_neighbours(struct chain *chain, enum field field, uint32_t value)
{
    struct rule_stmt *rule = chain_add_rule(chain);

    on_value(rule, field, false, value);
    verdict(rule, V_JUMP, "neighbours");
}

static void build_bridge(struct ruleset *ruleset, const struct table *from)
{
    const struct copying copying = {from, TABLE_BRIDGE, ruleset};
    struct chain *forward;

    copy_log(&copying);
    add_set(ruleset, TABLE_BRIDGE, SET_SEALED, KEY_IFNAME);
    add_set(ruleset, TABLE_BRIDGE, SET_SEALED_MACS, KEY_ETHER_ADDR);
    add_set(ruleset, TABLE_BRIDGE, SET_SEALED4, KEY_IPV4_ADDR);
    add_set(ruleset, TABLE_BRIDGE, SET_SEALED6, KEY_IPV6_ADDR);
    copy_set(&copying, SET_RESTRICTED);
    copy_set(&copying, SET_RESTRICTED_PAIRS);
    lockdown_refuse_neighbours(ruleset_add_chain(ruleset, TABLE_BRIDGE, "neighbours"));
    refuse_sources(add_base_chain(ruleset, TABLE_BRIDGE, HOOK_PREROUTING, PRIORITY_BRIDGE_IN));
    forward = add_base_chain(ruleset, TABLE_BRIDGE, HOOK_FORWARD, PRIORITY_BRIDGE_OUT);
    refuse_destinations(forward);
    ask_neighbours(forward, FIELD_ETHER_TYPE, ETHER_ARP);
    ask_neighbours(forward, FIELD_L4PROTO, IPPROTO_ICMPV6);
    refuse_destinations(add_base_chain(ruleset, TABLE_BRIDGE, HOOK_OUTPUT, PRIORITY_BRIDGE_OUT));
}

struct ruleset *lock_tables_compile(const struct lock_list *locks, const struct inventory *inventory,
                                    const struct compile_options *log)
{
    const struct compile_options options = {
        .mark = MARK_DEFAULT, .log_group = log ? log->log_group : 0, .log_rate = log ? log->log_rate : 0};
    _cleanup_(policy_set_freep) struct policy_set *none = policy_set_new();
    _cleanup_(compiler_freep) struct compiler *compiler = compiler_new(none, &options);
    struct ruleset *ruleset = ruleset_new();

    ruleset->pair = PAIR_LOCK;
    compiler_set_locks(compiler, locks);
    compiler_load(compiler, inventory);
    build_bridge(ruleset, &compiler_ruleset(compiler)->tables[TABLE_BRIDGE]);
    build_inet(ruleset, &compiler_ruleset(compiler)->tables[TABLE_INET]);
    seal_all(ruleset, locks, inventory);
    deny_log_divert_all(ruleset);
    return ruleset;
}

/* ---- what stands -------------------------------------------------------------------------------------- */

static bool endpoint_has(const struct endpoint *endpoint, enum key_type type, const uint8_t *key)
{
    uint8_t address[16];
    enum ip_family family = type == KEY_IPV4_ADDR ? IP4 : IP6;

    if (!endpoint->id)
        return false;
    if (type == KEY_IFNAME)
        return endpoint->port[0] && strncmp(endpoint->port, (const char *)key, IFNAMSIZ) == 0;
    if (type == KEY_ETHER_ADDR)
        return endpoint->has_mac && memcmp(endpoint->mac.bytes, key, sizeof(endpoint->mac.bytes)) == 0;
    if (!endpoint->has_ip[family])
        return false;
    ip_to_bytes(endpoint->ip[family], address);
    return memcmp(address, key, ip_size(family)) == 0;
}

static bool inventory_has(const struct inventory *inventory, enum key_type type, const uint8_t *key)
{
    for (const struct container *c = inventory->containers; c; c = c->hh.next)
        for (size_t i = 0; i < c->n_endpoints; i++)
            if (endpoint_has(&c->endpoints[i], type, key))
                return true;
    return false;
}

/* Sets whose elements alone cut. */
static const struct {
    enum table_id table;
    const char *name;
} cutting[] = {{TABLE_INET, SET_SEALED},        {TABLE_INET, SET_LOCKED4},     {TABLE_INET, SET_LOCKED6},
               {TABLE_BRIDGE, SET_SEALED},      {TABLE_BRIDGE, SET_SEALED4},   {TABLE_BRIDGE, SET_SEALED6},
               {TABLE_BRIDGE, SET_SEALED_MACS}, {TABLE_BRIDGE, SET_RESTRICTED}};

static struct set *cutting_set(const struct ruleset *ruleset, size_t i)
{
    return table_set(&ruleset->tables[cutting[i].table], cutting[i].name);
}

static size_t keep_elements(struct set *set, const struct set *old,
                            bool (*known)(const struct set *set, const uint8_t *key, const void *userdata),
                            const void *userdata)
{
    size_t kept = 0;

    if (!old || !set_same_type(old, set))
        return 0;
    for (const struct element *element = old->elements; element; element = element->hh.next) {
        struct element copy = {0};

        memcpy(copy.key, element->key, set->key_len);
        if (!known(set, copy.key, userdata))
            kept += set_insert(set, &copy);
    }
    return kept;
}

static bool known_to_inventory(const struct set *set, const uint8_t *key, const void *inventory)
{
    return inventory_has(inventory, set->key[0], key);
}

void lock_tables_keep(struct ruleset *ruleset, const struct ruleset *standing,
                      const struct inventory *inventory)
{
    for (size_t i = 0; i < ARRAY_SIZE(cutting); i++)
        (void)keep_elements(cutting_set(ruleset, i), cutting_set(standing, i), known_to_inventory, inventory);
}

static bool is_in(const struct set *set, const uint8_t *key, const void *known)
{
    (void)set;
    return set_find(known, key);
}

size_t lock_tables_keep_unknown(struct ruleset *ruleset, const struct ruleset *standing,
                                const struct ruleset *known)
{
    size_t kept = 0;

    for (size_t i = 0; i < ARRAY_SIZE(cutting); i++)
        kept +=
            keep_elements(cutting_set(ruleset, i), cutting_set(standing, i), is_in, cutting_set(known, i));
    return kept;
}

/* ---- who stands in them ------------------------------------------------------------------------------- */

bool ruleset_locks(const struct ruleset *kernel, const struct container *container)
{
    for (size_t i = 0; i < container->n_endpoints; i++)
        for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
            if (container->endpoints[i].id && container->endpoints[i].has_ip[family] &&
                ruleset_has_locked(kernel, container->endpoints[i].ip[family]))
                return true;
    return false;
}

void lock_list_add_standing(struct lock_list *list, const struct lock_list *known,
                            const struct ruleset *standing, const struct inventory *inventory, uint64_t wall)
{
    for (const struct container *c = inventory->containers; c; c = c->hh.next) {
        struct lock *lock;

        if (!ruleset_locks(standing, c) || lock_effect(list, inventory, c).cut ||
            lock_effect(known, inventory, c).cut)
            continue;
        lock = lock_new();
        lock_name(lock, c);
        lock->reason =
            xstrdup("a command cut it off while cofferdamd did not answer, and could not write that down");
        lock->by = xstrdup("cofferdamd");
        lock->since = wall;
        lock_list_add(list, lock);
    }
}

/* ---- what is bound to each other ---------------------------------------------------------------------- */

struct binding {
    char port[IFNAMSIZ];
    struct ip ip;
};

static bool bindings_read(const struct ruleset *rules, enum ip_family family, struct binding **v, size_t *n)
{
    const struct set *set =
        table_set(&rules->tables[TABLE_BRIDGE], family == IP4 ? SET_BINDINGS4 : SET_BINDINGS6);

    if (!set || set->foreign || set->n_key != 3 || set->key[0] != KEY_IFNAME ||
        set->key[2] != (family == IP4 ? KEY_IPV4_ADDR : KEY_IPV6_ADDR))
        return false;
    for (const struct element *element = set->elements; element; element = element->hh.next) {
        struct binding *binding = ARRAY_ADD(*v, *n);

        memcpy(binding->port, element->key, IFNAMSIZ - 1);
        binding->ip = ip_from_bytes(family, element->key + set->key_len - ip_size(family));
    }
    return true;
}

static bool has_nameless(const struct lock_list *list, const char *address, const char *interface)
{
    for (size_t i = 0; i < list->n; i++)
        if ((address && list->v[i]->address && strcmp(list->v[i]->address, address) == 0) ||
            (interface && list->v[i]->interface && strcmp(list->v[i]->interface, interface) == 0))
            return true;
    return false;
}

/* Unspecified and link-local addresses are many containers'. */
static void add_address(struct lock_list *list, struct ip ip)
{
    char text[IP_TEXT_MAX];
    const char *why;
    struct lock *lock;

    if (ip.num == 0 || (ip.family == IP6 && ip.num >> 118 == 0xfe80u >> 6) ||
        has_nameless(list, ip_format(ip, text), NULL))
        return;
    lock = lock_new();
    if (lock_by_address(lock, text, &why) == 0)
        lock_list_add(list, STEAL(lock));
    lock_free(lock);
}

static void add_interface(struct lock_list *list, const char *port)
{
    struct lock *lock;
    const char *why;

    if (has_nameless(list, NULL, port))
        return;
    lock = lock_new();
    if (lock_by_interface(lock, port, &why) == 0)
        lock_list_add(list, STEAL(lock));
    lock_free(lock);
}

void lock_list_add_bound(struct lock_list *list, const struct ruleset *rules)
{
    struct binding *bindings = NULL;
    size_t n = 0;

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        (void)bindings_read(rules, family, &bindings, &n);
    /* What is added is looked at as well: from an address to the port, and on to its other addresses. */
    for (size_t i = 0; i < list->n; i++) {
        const struct lock lock = *list->v[i];
        struct ip ip;
        bool by_address = lock_has_address(&lock, &ip);

        for (size_t j = 0; lock_is_nameless(&lock) && j < n; j++) {
            if (by_address && ip_equal(ip, bindings[j].ip))
                add_interface(list, bindings[j].port);
            if (lock.interface && strcmp(lock.interface, bindings[j].port) == 0)
                add_address(list, bindings[j].ip);
        }
    }
    free(bindings);
}
