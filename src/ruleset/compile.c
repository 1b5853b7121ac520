// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset/compile.h"

#include <stdio.h>
#include <string.h>

#include "build.h"
#include "classes.h"
#include "inventory/match.h"
#include "lockdown.h"
#include "skeleton.h"
#include "util/diag.h"
#include "util/mem.h"
#include "verdict/lock.h"
#include "verdict/verdict.h"

/* One element that an endpoint's being live puts into the ruleset. */
struct contribution {
    enum table_id table;
    struct set *set;
    struct element element;
};

struct contributions {
    struct contribution *v;
    size_t n;
};

/* A live endpoint, with a copy of what rules can ask about it. */
struct member {
    char *key; /* container ID, blank, network ID */
    struct container *facts;
    struct endpoint *endpoint; /* the one of facts */
    const struct class *class;
    unsigned cut;             /* enum lock_cut, 0: it is not locked down */
    const struct class *lock; /* then: what its lock grants, and lets pass; NULL: it is sealed */
    struct contributions elements;
    UT_hash_handle hh; /* by key */
};

/* Which member an address belongs to: an address has one owner, the one named last. */
struct owner {
    struct ip_key address;
    struct member *member;
    UT_hash_handle hh; /* by address */
};

/* What a policy's rules ask about the subject itself. */
struct dependency {
    const char **same; /* label keys of `same:` peers, borrowed */
    size_t n_same;
    bool dns;
};

struct compiler {
    const struct policy_set *policies;
    struct dependency *dependencies; /* one for each policy */
    struct compile_options options;
    struct ruleset *ruleset;
    struct class *classes;
    struct peer_set *peer_sets;
    struct member *members;
    struct owner *owners;
    const struct lock_list *locks;
    size_t n_restricted; /* members whose neighbours their lock names */
    struct diags problems;
};

/* ---- making and freeing ------------------------------------------------------------------------------- */

static void depend_on_peers(struct dependency *dependency, const struct rule *rule)
{
    for (size_t i = 0; i < rule->n_peers; i++) {
        if (rule->peers[i].kind == PEER_SAME)
            *ARRAY_ADD(dependency->same, dependency->n_same) = rule->peers[i].same;
        if (rule->peers[i].kind == PEER_DNS)
            dependency->dns = true;
    }
}

static struct dependency dependency_of(const struct policy *policy)
{
    struct dependency dependency = {0};

    for (size_t direction = 0; direction < DIRECTIONS; direction++) {
        for (size_t i = 0; i < policy->n_rules[direction]; i++)
            depend_on_peers(&dependency, &policy->rules[direction][i]);
    }
    return dependency;
}

struct compile_options compile_options_of(const struct settings *settings)
{
    return (struct compile_options){
        .default_mode = settings->default_mode,
        .unknown_endpoints = settings->unknown_endpoints,
        .mark = settings->mark,
        .log_group = settings->log.denied ? (uint16_t)settings->log.group : 0,
        .log_rate = settings->log.rate,
    };
}

struct compiler *compiler_new(const struct policy_set *policies, const struct compile_options *options)
{
    struct compiler *compiler = xnew(struct compiler);

    compiler->policies = policies;
    compiler->options = *options;
    compiler->ruleset = ruleset_new();
    compiler->dependencies = xcalloc(policies->n_policies, sizeof(*compiler->dependencies));
    for (size_t i = 0; i < policies->n_policies; i++)
        compiler->dependencies[i] = dependency_of(&policies->policies[i]);
    skeleton_build(compiler->ruleset, options);
    return compiler;
}

static struct member *member_free(struct member *member)
{
    if (!member)
        return NULL;
    free(member->key);
    container_free(member->facts);
    free(member->elements.v);
    free(member);
    return NULL;
}

static void classes_free(struct class **classes)
{
    struct class *class, *next;

    HASH_ITER (hh, *classes, class, next) {
        HASH_DEL(*classes, class);
        for (size_t i = 0; i < class->n_peers; i++)
            free(class->peers[i]);
        free(class->peers);
        free(class->key);
        free(class);
    }
}

struct compiler *compiler_free(struct compiler *compiler)
{
    struct peer_set *peer_set, *next_set;
    struct member *member, *next_member;
    struct owner *owner, *next_owner;

    if (!compiler)
        return NULL;
    HASH_ITER (hh, compiler->owners, owner, next_owner) {
        HASH_DEL(compiler->owners, owner);
        free(owner);
    }
    HASH_ITER (hh, compiler->members, member, next_member) {
        HASH_DEL(compiler->members, member);
        member_free(member);
    }
    HASH_ITER (hh, compiler->peer_sets, peer_set, next_set) {
        HASH_DEL(compiler->peer_sets, peer_set);
        peer_set_free(peer_set);
    }
    classes_free(&compiler->classes);
    for (size_t i = 0; i < compiler->policies->n_policies; i++)
        free(compiler->dependencies[i].same);
    free(compiler->dependencies);
    ruleset_free(compiler->ruleset);
    diags_clear(&compiler->problems);
    free(compiler);
    return NULL;
}

const struct ruleset *compiler_ruleset(const struct compiler *compiler)
{
    return compiler->ruleset;
}

const struct diags *compiler_problems(const struct compiler *compiler)
{
    return &compiler->problems;
}

/* ---- elements ----------------------------------------------------------------------------------------- */

static struct set *fixed_set(const struct compiler *compiler, enum table_id table, const char *name)
{
    return table_set(&compiler->ruleset->tables[table], name);
}

static void insert(const struct contribution *what, struct delta *delta)
{
    if (set_insert(what->set, &what->element) && delta)
        delta_add_element(delta, PHASE_SWITCH, what->table, what->set, &what->element);
}

static void withdraw(const struct contribution *what, struct delta *delta)
{
    if (set_remove(what->set, what->element.key) && delta)
        delta_delete_element(delta, what->table, what->set, &what->element);
}

static bool contribution_equal(const struct contribution *a, const struct contribution *b)
{
    return a->set == b->set && element_equal(a->set, &a->element, &b->element);
}

static bool contributes(const struct contributions *list, const struct contribution *what)
{
    for (size_t i = 0; i < list->n; i++) {
        if (contribution_equal(&list->v[i], what))
            return true;
    }
    return false;
}

/* From what an endpoint put in before to what it puts in now; what stays the same is not touched. */
static void replace_contributions(struct contributions *old, struct contributions *new, struct delta *delta)
{
    for (size_t i = 0; i < old->n; i++) {
        if (!contributes(new, &old->v[i]))
            withdraw(&old->v[i], delta);
    }
    for (size_t i = 0; i < new->n; i++) {
        if (!contributes(old, &new->v[i]))
            insert(&new->v[i], delta);
    }
    free(old->v);
    *old = *new;
    *new = (struct contributions){0};
}

static struct contribution *contribute(struct contributions *list, enum table_id table, struct set *set)
{
    struct contribution *what = ARRAY_ADD(list->v, list->n);

    what->table = table;
    what->set = set;
    return what;
}

static void contribute_address(struct contributions *list, enum table_id table, struct set *set, struct ip ip)
{
    ip_to_bytes(ip, contribute(list, table, set)->element.key);
}

/* The rest of the key is zero already; a name that the kernel could not have is cut. */
static void put_ifname(uint8_t *key, const char *name)
{
    memcpy(key, name, strnlen(name, IFNAMSIZ - 1));
}

static struct contribution name_element(enum table_id table, struct set *set, const char *name)
{
    struct contribution what = {.table = table, .set = set};

    put_ifname(what.element.key, name);
    return what;
}

/* ---- bridges and ports -------------------------------------------------------------------------------- */

static struct contribution from_element(const struct compiler *compiler, const char *bridge)
{
    struct contribution what = name_element(TABLE_INET, fixed_set(compiler, TABLE_INET, MAP_FROM), bridge);

    what.element.verdict = V_JUMP;
    what.element.target = "from_managed";
    return what;
}

static struct contribution bridge_element(const struct compiler *compiler, const char *bridge)
{
    return name_element(TABLE_INET, fixed_set(compiler, TABLE_INET, SET_BRIDGES), bridge);
}

/* From the bridge and to the bridge. */
static struct contribution same_bridge_element(const struct compiler *compiler, const char *bridge)
{
    struct contribution what =
        name_element(TABLE_INET, fixed_set(compiler, TABLE_INET, SET_SAME_BRIDGE), bridge);

    put_ifname(what.element.key + key_type_padded(KEY_IFNAME), bridge);
    return what;
}

void compiler_add_bridge(struct compiler *compiler, const char *bridge, struct delta *delta)
{
    struct contribution from = from_element(compiler, bridge), listed = bridge_element(compiler, bridge);
    struct contribution same = same_bridge_element(compiler, bridge);

    insert(&from, delta);
    insert(&listed, delta);
    insert(&same, delta);
}

void compiler_drop_bridge(struct compiler *compiler, const char *bridge, struct delta *delta)
{
    struct contribution from = from_element(compiler, bridge), listed = bridge_element(compiler, bridge);
    struct contribution same = same_bridge_element(compiler, bridge);

    withdraw(&from, delta);
    withdraw(&listed, delta);
    withdraw(&same, delta);
}

static struct contribution port_element(const struct compiler *compiler, enum table_id table, const char *set,
                                        const char *port)
{
    return name_element(table, fixed_set(compiler, table, set), port);
}

static bool port_is_bound(const struct compiler *compiler, const char *port)
{
    for (const struct member *member = compiler->members; member; member = member->hh.next) {
        if (strcmp(member->endpoint->port, port) == 0)
            return true;
    }
    return false;
}

/* Only with unknown_endpoints: internet: ports that no endpoint has are kept in a set of their own. */
static void update_free_port(struct compiler *compiler, const char *port, struct delta *delta)
{
    struct contribution listed, vacant;

    if (compiler->options.unknown_endpoints != UNKNOWN_INTERNET || !*port)
        return;
    listed = port_element(compiler, TABLE_BRIDGE, SET_PORTS, port);
    vacant = port_element(compiler, TABLE_BRIDGE, SET_FREE_PORTS, port);
    if (set_find(listed.set, listed.element.key) && !port_is_bound(compiler, port))
        insert(&vacant, delta);
    else
        withdraw(&vacant, delta);
}

void compiler_add_port(struct compiler *compiler, const char *port, struct delta *delta)
{
    struct contribution bridge = port_element(compiler, TABLE_BRIDGE, SET_PORTS, port),
                        inet = port_element(compiler, TABLE_INET, SET_PORTS, port);

    insert(&bridge, delta);
    insert(&inet, delta);
    update_free_port(compiler, port, delta);
}

void compiler_drop_port(struct compiler *compiler, const char *port, struct delta *delta)
{
    struct contribution bridge = port_element(compiler, TABLE_BRIDGE, SET_PORTS, port),
                        inet = port_element(compiler, TABLE_INET, SET_PORTS, port);

    withdraw(&bridge, delta);
    withdraw(&inet, delta);
    update_free_port(compiler, port, delta);
}

/* ---- classes ------------------------------------------------------------------------------------------ */

/* The servers' regions decide in which chain the rule for them stands. */
static enum region region_of(const struct inventory *inventory, struct ip ip)
{
    for (size_t i = 0; i < inventory->n_host_addresses; i++) {
        if (ip_equal(inventory->host_addresses[i], ip))
            return REGION_HOST;
    }
    for (const struct network *network = inventory->networks; network; network = network->hh.next) {
        for (size_t i = 0; network->managed && i < network->n_subnets; i++) {
            if (cidr_contains(&network->subnets[i], ip))
                return REGION_CONTAINERS;
        }
    }
    return REGION_OUTSIDE;
}

struct servers {
    struct ip *addresses;
    enum region *regions;
    size_t n;
};

static struct servers servers_of(const struct inventory *inventory, const struct container *container)
{
    struct servers servers = {0};

    servers.n = container_name_servers(inventory, container, &servers.addresses);
    servers.regions = xcalloc(servers.n, sizeof(*servers.regions));
    for (size_t i = 0; i < servers.n; i++)
        servers.regions[i] = region_of(inventory, servers.addresses[i]);
    return servers;
}

static void servers_clear(struct servers *servers)
{
    free(servers->addresses);
    free(servers->regions);
}

static bool selected(const struct policy *policy, const struct container *container,
                     const struct endpoint *endpoint)
{
    return policy->mode == MODE_ENFORCE && selector_matches(&policy->select, container, endpoint);
}

static void put_dependency(const struct dependency *dependency, const struct container *container,
                           const struct servers *servers, FILE *out)
{
    char text[IP_TEXT_MAX];

    for (size_t i = 0; i < dependency->n_same; i++) {
        const char *value = container_label(container, dependency->same[i]);

        fprintf(out, value ? "=%zu:%s" : "-", value ? strlen(value) : 0, value ? value : "");
    }
    for (size_t i = 0; dependency->dns && i < servers->n; i++)
        fprintf(out, "@%s %d", ip_format(servers->addresses[i], text), (int)servers->regions[i]);
}

/*
 * The families that an endpoint has, or will have: those of its network. Rules of another family would only
 * make the kernel walk further each time it checks the table.
 */
static void families_of(const struct inventory *inventory, const struct endpoint *endpoint, bool *families)
{
    const struct network *network = inventory_network(inventory, endpoint->network_id);

    for (size_t family = 0; family < IP_FAMILIES; family++)
        families[family] = endpoint->has_ip[family] || !network || network->n_subnets == 0;
    for (size_t i = 0; network && i < network->n_subnets; i++)
        families[network->subnets[i].net.family] = true;
}

/* Two endpoints with the same key have exactly the same rules. */
static char *class_key(const struct compiler *compiler, const struct container *container,
                       const struct endpoint *endpoint, const struct servers *servers, const bool *families)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        abort();
    fprintf(out, "%s%s ", families[IP4] ? "4" : "", families[IP6] ? "6" : "");
    for (size_t i = 0; i < compiler->policies->n_policies; i++) {
        if (!selected(&compiler->policies->policies[i], container, endpoint))
            continue;
        fprintf(out, "%zu;", i);
        put_dependency(&compiler->dependencies[i], container, servers, out);
    }
    if (fclose(out) != 0)
        abort();
    return text;
}

static void fill_peer_set(struct peer_set *set, void *userdata)
{
    const struct compiler *compiler = userdata;

    for (struct member *member = compiler->members; member; member = member->hh.next) {
        if ((member->cut && !member->lock) || !expression_matches(&set->who, member->facts, member->endpoint))
            continue;
        for (size_t family = 0; family < IP_FAMILIES; family++) {
            if (!member->endpoint->has_ip[family])
                continue;
            contribute_address(&member->elements, TABLE_INET, set->sets[family],
                               member->endpoint->ip[family]);
            set_insert(set->sets[family], &member->elements.v[member->elements.n - 1].element);
        }
    }
}

static void report_too_many(struct compiler *compiler, const struct subject *subject)
{
    const struct policy *policy = subject->policies[0];
    struct diag *diag =
        diag_add(&compiler->problems, DIAG_ERROR, NULL, &policy->pos,
                 "the rules of policy \"%s\" and %zu more that select the same containers expand "
                 "to more than %d rules; these containers are granted nothing",
                 policy->name, subject->n_policies - 1, GRANTS_MAX);

    diag_help(diag, "name fewer ports, or narrow the deny rules: each splits every allow rule it overlaps");
}

static struct class *class_new(struct compiler *compiler, const struct container *container,
                               const struct endpoint *endpoint, const struct servers *servers,
                               const bool *families, struct delta *delta)
{
    struct class_context context = {compiler->ruleset, &compiler->peer_sets, delta, fill_peer_set, compiler};
    struct subject subject = {.container = container,
                              .name_servers = servers->addresses,
                              .name_server_regions = servers->regions,
                              .n_name_servers = servers->n,
                              .families = {families[IP4], families[IP6]}};
    struct class *class = xnew(struct class);

    for (size_t i = 0; i < compiler->policies->n_policies; i++) {
        if (selected(&compiler->policies->policies[i], container, endpoint))
            *ARRAY_ADD(subject.policies, subject.n_policies) = &compiler->policies->policies[i];
    }
    if (!class_build(&context, &subject,
                     subject.n_policies == 0 && compiler->options.default_mode == MODE_AUDIT, class))
        report_too_many(compiler, &subject);
    subject_clear(&subject);
    return class;
}

static const struct class *class_of(struct compiler *compiler, const struct inventory *inventory,
                                    const struct container *container, const struct endpoint *endpoint,
                                    struct delta *delta)
{
    struct servers servers = servers_of(inventory, container);
    bool families[IP_FAMILIES];
    struct class *class;
    char *key;

    families_of(inventory, endpoint, families);
    key = class_key(compiler, container, endpoint, &servers, families);

    HASH_FIND_STR(compiler->classes, key, class);
    if (class) {
        free(key);
    } else {
        class = class_new(compiler, container, endpoint, &servers, families, delta);
        class->key = key;
        HASH_ADD_KEYPTR(hh, compiler->classes, class->key, strlen(class->key), class);
    }
    servers_clear(&servers);
    return class;
}

/* ---- lockdowns ---------------------------------------------------------------------------------------- */

void compiler_set_locks(struct compiler *compiler, const struct lock_list *locks)
{
    compiler->locks = locks;
}

static const struct class *lock_class_of(struct compiler *compiler, const struct inventory *inventory,
                                         const struct container *container, const struct endpoint *endpoint,
                                         const struct lock_effect *effect, struct delta *delta)
{
    bool families[IP_FAMILIES];
    struct class *class;
    char *key;

    families_of(inventory, endpoint, families);
    key = lock_class_key(effect, families);
    HASH_FIND_STR(compiler->classes, key, class);
    if (class) {
        free(key);
        return class;
    }
    struct class_context context = {compiler->ruleset, &compiler->peer_sets, delta, fill_peer_set, compiler};
    class = lock_class_new(&context, container, effect, families);
    class->key = key;
    HASH_ADD_KEYPTR(hh, compiler->classes, class->key, strlen(class->key), class);
    return class;
}

/* It may speak with some of its neighbours alone. */
static bool is_restricted(const struct member *member)
{
    return member->cut == CUT_BOTH && member->lock;
}

/* ---- endpoints ---------------------------------------------------------------------------------------- */

/* Port and MAC; where in the key the next field begins. */
static uint8_t *contribute_port(struct contributions *list, struct set *set, const struct endpoint *endpoint)
{
    uint8_t *key = contribute(list, TABLE_BRIDGE, set)->element.key;

    put_ifname(key, endpoint->port);
    key += key_type_padded(KEY_IFNAME);
    memcpy(key, endpoint->mac.bytes, sizeof(endpoint->mac.bytes));
    return key + key_type_padded(KEY_ETHER_ADDR);
}

static void contribute_binding(struct contributions *list, struct set *set, const struct endpoint *endpoint,
                               struct ip ip)
{
    ip_to_bytes(ip, contribute_port(list, set, endpoint));
}

/* What nobody else may say of itself, whether or not it may be said at all. */
static void contribute_claims(const struct compiler *compiler, const struct endpoint *endpoint,
                              struct contributions *list)
{
    if (endpoint->has_ip[IP4])
        contribute_address(list, TABLE_BRIDGE, fixed_set(compiler, TABLE_BRIDGE, SET_LIVE4),
                           endpoint->ip[IP4]);
    if (!endpoint->has_ip[IP6])
        return;
    contribute_address(list, TABLE_BRIDGE, fixed_set(compiler, TABLE_BRIDGE, SET_LIVE6), endpoint->ip[IP6]);
    if (endpoint->port[0] && endpoint->has_mac)
        contribute_address(list, TABLE_BRIDGE, fixed_set(compiler, TABLE_BRIDGE, SET_TAKEN6),
                           endpoint->ip[IP6]);
}

/* What its neighbour discovery may name. */
static void contribute_discovery(const struct compiler *compiler, const struct endpoint *endpoint,
                                 struct contributions *list)
{
    struct set *targets = fixed_set(compiler, TABLE_BRIDGE, SET_TARGETS6);

    contribute_binding(list, targets, endpoint, endpoint->ip[IP6]);
    contribute_binding(list, targets, endpoint, mac_link_local(&endpoint->mac));
    contribute_port(list, fixed_set(compiler, TABLE_BRIDGE, SET_OPTION_MACS6), endpoint);
}

/* An endpoint with IPv6 also speaks from its link-local address and, before it has any, from the unspecified
 * one. */
static void contribute_bindings(const struct compiler *compiler, const struct endpoint *endpoint,
                                struct contributions *list)
{
    struct set *set4 = fixed_set(compiler, TABLE_BRIDGE, SET_BINDINGS4),
               *set6 = fixed_set(compiler, TABLE_BRIDGE, SET_BINDINGS6);

    if (!endpoint->port[0] || !endpoint->has_mac)
        return;
    if (endpoint->has_ip[IP4])
        contribute_binding(list, set4, endpoint, endpoint->ip[IP4]);
    if (endpoint->has_ip[IP6]) {
        contribute_binding(list, set6, endpoint, endpoint->ip[IP6]);
        contribute_binding(list, set6, endpoint, mac_link_local(&endpoint->mac));
        contribute_binding(list, set6, endpoint, (struct ip){.num = 0, .family = IP6});
        contribute_discovery(compiler, endpoint, list);
    }
}

static void contribute_jump(const struct compiler *compiler, const char *map, struct ip ip,
                            enum table_verdict how, const struct chain *chain, struct contributions *list)
{
    struct contribution *what = contribute(list, TABLE_INET, fixed_set(compiler, TABLE_INET, map));

    ip_to_bytes(ip, what->element.key);
    what->element.verdict = how;
    what->element.target = chain->name;
}

/* What a lock cuts, its exceptions decide, and all else the policies. */
static const struct chain *class_chain(const struct member *member, enum dispatch dispatch)
{
    bool cut = member->cut & (dispatch_is_egress(dispatch) ? CUT_OUT : CUT_IN);

    return cut ? member->lock->chains[dispatch] : member->class->chains[dispatch];
}

static void contribute_dispatch(const struct compiler *compiler, const struct member *member, struct ip ip,
                                struct contributions *list)
{
    for (size_t i = 0; i < DISPATCHES; i++) {
        enum dispatch dispatch = (enum dispatch)i;
        const struct chain *chain = class_chain(member, dispatch);

        if (chain)
            contribute_jump(compiler, dispatch_map_name(dispatch, ip.family), ip, V_JUMP, chain, list);
        if (member->lock)
            contribute_jump(compiler, lock_map_name(dispatch, ip.family), ip, V_GOTO,
                            member->lock->locks[dispatch], list);
    }
}

/* An address beside itself: skeleton.c, accept_errors() */
static void contribute_pair(struct contributions *list, struct set *set, struct ip ip)
{
    uint8_t *key = contribute(list, TABLE_INET, set)->element.key;

    ip_to_bytes(ip, key);
    ip_to_bytes(ip, key + ip_size(ip.family));
}

static void contribute_family(const struct compiler *compiler, const struct member *member,
                              enum ip_family family, struct contributions *list)
{
    struct ip ip = member->endpoint->ip[family];

    if (!member->cut)
        contribute_address(list, TABLE_INET,
                           fixed_set(compiler, TABLE_INET, family == IP4 ? SET_LIVE4 : SET_LIVE6), ip);
    contribute_pair(list, fixed_set(compiler, TABLE_INET, family == IP4 ? SET_SAME4 : SET_SAME6), ip);
    contribute_dispatch(compiler, member, ip, list);
    for (const struct peer_set *set = compiler->peer_sets; set; set = set->hh.next) {
        if (expression_matches(&set->who, member->facts, member->endpoint))
            contribute_address(list, TABLE_INET, set->sets[family], ip);
    }
}

static void contribute_port_name(const struct compiler *compiler, const char *set,
                                 const struct endpoint *endpoint, struct contributions *list)
{
    if (endpoint->port[0])
        put_ifname(contribute(list, TABLE_BRIDGE, fixed_set(compiler, TABLE_BRIDGE, set))->element.key,
                   endpoint->port);
}

static bool names_peer(const struct class *lock, const struct member *peer)
{
    for (size_t i = 0; i < lock->n_peers; i++)
        if (peer->facts->name && strcmp(lock->peers[i], peer->facts->name) == 0)
            return true;
    return false;
}

/* The neighbours that it may speak with, each way. */
static void contribute_neighbours(const struct compiler *compiler, const struct member *member,
                                  struct contributions *list)
{
    struct set *pairs = fixed_set(compiler, TABLE_BRIDGE, SET_RESTRICTED_PAIRS);
    const char *port = member->endpoint->port;

    for (const struct member *peer = compiler->members; *port && peer; peer = peer->hh.next) {
        const char *ends[] = {port, peer->endpoint->port};

        if (peer == member || !*ends[1] || !names_peer(member->lock, peer))
            continue;
        /* Two locks must both name the other; then one of them has the pair. */
        if (is_restricted(peer) && (!names_peer(peer->lock, member) || strcmp(member->key, peer->key) > 0))
            continue;
        for (size_t i = 0; i < 2; i++) {
            uint8_t *key = contribute(list, TABLE_BRIDGE, pairs)->element.key;

            put_ifname(key, ends[i]);
            put_ifname(key + key_type_padded(KEY_IFNAME), ends[1 - i]);
        }
    }
}

static void contribute_lock(const struct compiler *compiler, const struct member *member,
                            struct contributions *list)
{
    for (int family = 0; family < IP_FAMILIES; family++)
        if (member->endpoint->has_ip[family])
            contribute_address(list, TABLE_INET,
                               fixed_set(compiler, TABLE_INET, family == IP4 ? SET_LOCKED4 : SET_LOCKED6),
                               member->endpoint->ip[family]);
    if (!member->lock)
        contribute_port_name(compiler, SET_SEALED, member->endpoint, list);
    if (is_restricted(member)) {
        contribute_port_name(compiler, SET_RESTRICTED, member->endpoint, list);
        contribute_neighbours(compiler, member, list);
    }
}

static struct contributions contributions_of(const struct compiler *compiler, const struct member *member)
{
    struct contributions list = {0};
    bool sealed = member->cut && !member->lock;

    if (member->cut)
        contribute_lock(compiler, member, &list);
    contribute_claims(compiler, member->endpoint, &list);
    if (!sealed)
        contribute_bindings(compiler, member->endpoint, &list);
    for (size_t family = 0; family < IP_FAMILIES && !sealed; family++) {
        if (member->endpoint->has_ip[family])
            contribute_family(compiler, member, (enum ip_family)family, &list);
    }
    return list;
}

/* Whom a lock lets its endpoint speak with depends on who is there. */
static void update_restricted(struct compiler *compiler, struct delta *delta)
{
    for (struct member *member = compiler->members; compiler->n_restricted && member;
         member = member->hh.next) {
        struct contributions now;

        if (!is_restricted(member))
            continue;
        now = contributions_of(compiler, member);
        replace_contributions(&member->elements, &now, delta);
    }
}

/* Only what selectors and rules ask about; the rest of a container is not ours to keep. */
static struct container *facts_copy(const struct container *container, const struct endpoint *endpoint)
{
    struct container *facts = container_new();

    facts->id = xstrdup(container->id);
    facts->name = xstrdup_null(container->name);
    facts->image = xstrdup_null(container->image);
    facts->labels_known = container->labels_known;
    facts->labels = labels_copy(container->labels, container->n_labels);
    facts->n_labels = container->n_labels;
    facts->overlay = labels_copy(container->overlay, container->n_overlay);
    facts->n_overlay = container->n_overlay;
    *ARRAY_ADD(facts->endpoints, facts->n_endpoints) = endpoint_copy(endpoint);
    return facts;
}

static struct owner *find_owner(const struct compiler *compiler, struct ip ip)
{
    struct ip_key key = ip_key(ip);
    struct owner *owner;

    HASH_FIND(hh, compiler->owners, &key, sizeof(key), owner);
    return owner;
}

static void disown(struct compiler *compiler, const struct member *member)
{
    for (size_t family = 0; family < IP_FAMILIES; family++) {
        struct owner *owner;

        if (!member->endpoint->has_ip[family])
            continue;
        owner = find_owner(compiler, member->endpoint->ip[family]);
        if (owner && owner->member == member) {
            HASH_DEL(compiler->owners, owner);
            free(owner);
        }
    }
}

static void own(struct compiler *compiler, struct member *member)
{
    for (size_t family = 0; family < IP_FAMILIES; family++) {
        struct owner *owner;

        if (!member->endpoint->has_ip[family])
            continue;
        owner = xnew(struct owner);
        owner->address = ip_key(member->endpoint->ip[family]);
        owner->member = member;
        HASH_ADD(hh, compiler->owners, address, sizeof(owner->address), owner);
    }
}

static void member_drop(struct compiler *compiler, struct member *member, struct delta *delta)
{
    struct contributions none = {0};

    replace_contributions(&member->elements, &none, delta);
    disown(compiler, member);
    HASH_DEL(compiler->members, member);
    compiler->n_restricted -= is_restricted(member);
    update_free_port(compiler, member->endpoint->port, delta);
    member_free(member);
    update_restricted(compiler, delta);
}

/* An address belongs to whom the Engine named last: whoever else still stands with it has ended unnoticed. */
static void evict_others(struct compiler *compiler, const struct endpoint *endpoint, const struct member *but,
                         struct delta *delta)
{
    for (size_t family = 0; family < IP_FAMILIES; family++) {
        struct owner *owner;

        if (!endpoint->has_ip[family])
            continue;
        owner = find_owner(compiler, endpoint->ip[family]);
        if (owner && owner->member != but)
            member_drop(compiler, owner->member, delta);
    }
}

static struct member *find_member(const struct compiler *compiler, const char *key)
{
    struct member *member;

    HASH_FIND_STR(compiler->members, key, member);
    return member;
}

static void set_lock(struct compiler *compiler, const struct inventory *inventory, struct member *member,
                     const struct lock_effect *effect, const struct container *container,
                     const struct endpoint *endpoint, struct delta *delta)
{
    compiler->n_restricted -= is_restricted(member);
    member->cut = effect->cut;
    member->lock = !effect->cut || lock_is_sealed(effect)
                       ? NULL
                       : lock_class_of(compiler, inventory, container, endpoint, effect, delta);
    compiler->n_restricted += is_restricted(member);
}

void compiler_set_endpoint(struct compiler *compiler, const struct inventory *inventory,
                           const struct container *container, const struct endpoint *endpoint,
                           struct delta *delta)
{
    _cleanup_free_ char *key = xasprintf("%s %s", container->id, endpoint->network_id);
    const struct lock_effect effect = lock_effect(compiler->locks, inventory, container);
    struct member *member = find_member(compiler, key);
    char old_port[IFNAMSIZ] = "";
    struct contributions now;

    evict_others(compiler, endpoint, member, delta);
    /* The class first: new peer sets are filled with the members there are, this one's old self included. */
    const struct class *class = class_of(compiler, inventory, container, endpoint, delta);

    if (member) {
        memcpy(old_port, member->endpoint->port, sizeof(old_port));
        disown(compiler, member);
        container_free(member->facts);
    } else {
        member = xnew(struct member);
        member->key = STEAL(key);
        HASH_ADD_KEYPTR(hh, compiler->members, member->key, strlen(member->key), member);
    }
    member->facts = facts_copy(container, endpoint);
    member->endpoint = &member->facts->endpoints[0];
    member->class = class;
    set_lock(compiler, inventory, member, &effect, container, endpoint, delta);
    own(compiler, member);
    now = contributions_of(compiler, member);
    replace_contributions(&member->elements, &now, delta);
    update_free_port(compiler, old_port, delta);
    update_free_port(compiler, member->endpoint->port, delta);
    update_restricted(compiler, delta);
}

void compiler_drop_endpoint(struct compiler *compiler, const char *container_id, const char *network_id,
                            struct delta *delta)
{
    _cleanup_free_ char *key = xasprintf("%s %s", container_id, network_id);
    struct member *member = find_member(compiler, key);

    if (member)
        member_drop(compiler, member, delta);
}

void compiler_prepare_endpoint(struct compiler *compiler, const struct inventory *inventory,
                               const struct container *container, const struct endpoint *endpoint,
                               struct delta *delta)
{
    class_of(compiler, inventory, container, endpoint, delta);
}

/* ---- everything --------------------------------------------------------------------------------------- */

static void load_endpoint(struct compiler *compiler, const struct inventory *inventory,
                          const struct container *container, const struct endpoint *endpoint)
{
    const struct network *network = inventory_network(inventory, endpoint->network_id);

    if (!network || !network->managed)
        return;
    if (!endpoint->id) {
        compiler_prepare_endpoint(compiler, inventory, container, endpoint, NULL);
        return;
    }
    if (endpoint->port[0])
        compiler_add_port(compiler, endpoint->port, NULL);
    compiler_set_endpoint(compiler, inventory, container, endpoint, NULL);
}

void compiler_load(struct compiler *compiler, const struct inventory *inventory)
{
    for (const struct network *network = inventory->networks; network; network = network->hh.next) {
        if (network->managed && network->bridge)
            compiler_add_bridge(compiler, network->bridge, NULL);
    }
    for (const struct container *container = inventory->containers; container;
         container = container->hh.next) {
        for (size_t i = 0; i < container->n_endpoints; i++)
            load_endpoint(compiler, inventory, container, &container->endpoints[i]);
    }
}
