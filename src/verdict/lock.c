/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verdict/lock.h"

#include <errno.h>
#include <string.h>

#include <net/if.h>

#include "inventory/match.h"
#include "policy/parse.h"
#include "util/mem.h"
#include "verdict/verdict.h"

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"
#define COMPOSE_NUMBER "com.docker.compose.container-number"

/* ---- life --------------------------------------------------------------------------------------------- */

struct lock *lock_new(void)
{
    struct lock *lock = xnew(struct lock);

    lock->cut = CUT_BOTH;
    return lock;
}

static void texts_free(char **v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(v[i]);
    free(v);
}

struct lock *lock_free(struct lock *lock)
{
    if (!lock)
        return NULL;
    free(lock->id);
    free(lock->name);
    free(lock->project);
    free(lock->service);
    free(lock->number);
    free(lock->select_text);
    selector_clear(&lock->select);
    texts_free(lock->except, lock->n_except);
    free(lock->address);
    free(lock->interface);
    texts_free(lock->allow, lock->n_allow);
    policy_set_free(lock->exceptions);
    free(lock->reason);
    free(lock->by);
    free(lock->boot);
    free(lock->request);
    free(lock);
    return NULL;
}

struct lock_list *lock_list_new(void)
{
    return xnew(struct lock_list);
}

struct lock_list *lock_list_free(struct lock_list *list)
{
    if (!list)
        return NULL;
    for (size_t i = 0; i < list->n; i++)
        lock_free(list->v[i]);
    free(list->v);
    texts_free(list->requests, list->n_requests);
    free(list);
    return NULL;
}

void lock_list_add(struct lock_list *list, struct lock *lock)
{
    *ARRAY_ADD(list->v, list->n) = lock;
}

struct lock_list *lock_list_copy(const struct lock_list *list,
                                 bool (*keep)(const struct lock *lock, const void *userdata),
                                 const void *userdata)
{
    struct lock_list *copy = lock_list_new();

    for (size_t i = 0; list && i < list->n; i++)
        if (!keep || keep(list->v[i], userdata))
            lock_list_add(copy, lock_copy(list->v[i]));
    for (size_t i = 0; list && i < list->n_requests; i++)
        *ARRAY_ADD(copy->requests, copy->n_requests) = xstrdup(list->requests[i]);
    return copy;
}

struct lock *lock_copy(const struct lock *lock)
{
    struct lock *copy = lock_new();
    const char *why;

    copy->id = xstrdup_null(lock->id);
    copy->name = xstrdup_null(lock->name);
    copy->project = xstrdup_null(lock->project);
    copy->service = xstrdup_null(lock->service);
    copy->number = xstrdup_null(lock->number);
    if (lock->select_text)
        (void)lock_select(copy, lock->select_text, &why);
    for (size_t i = 0; i < lock->n_except; i++)
        *ARRAY_ADD(copy->except, copy->n_except) = xstrdup(lock->except[i]);
    copy->address = xstrdup_null(lock->address);
    copy->interface = xstrdup_null(lock->interface);
    copy->cut = lock->cut;
    for (size_t i = 0; i < lock->n_allow; i++)
        (void)lock_allow(copy, lock->allow[i], &why);
    copy->reason = xstrdup_null(lock->reason);
    copy->by = xstrdup_null(lock->by);
    copy->since = lock->since;
    copy->until = lock->until;
    copy->boot = xstrdup_null(lock->boot);
    copy->boot_until = lock->boot_until;
    copy->request = xstrdup_null(lock->request);
    copy->stands_in = lock->stands_in;
    return copy;
}

/* ---- what people write -------------------------------------------------------------------------------- */

/* The label's value whether or not labels of its kind count for policies. */
static const char *raw_label(const struct container *container, const char *key)
{
    for (size_t i = 0; i < container->n_overlay; i++)
        if (strcmp(container->overlay[i].key, key) == 0)
            return container->overlay[i].value;
    for (size_t i = 0; i < container->n_labels; i++)
        if (strcmp(container->labels[i].key, key) == 0)
            return container->labels[i].value;
    return NULL;
}

void lock_name(struct lock *lock, const struct container *container)
{
    lock->id = xstrdup(container->id);
    lock->name = xstrdup_null(container->name);
    lock->project = xstrdup_null(raw_label(container, COMPOSE_PROJECT));
    lock->service = xstrdup_null(raw_label(container, COMPOSE_SERVICE));
    lock->number = xstrdup_null(raw_label(container, COMPOSE_NUMBER));
}

static void select_compose(struct selector *select, const char *value)
{
    const char *slash = strchr(value, '/');

    select->compose_project = slash ? xstrndup(value, (size_t)(slash - value)) : xstrdup(value);
    select->compose_service = slash ? xstrdup(slash + 1) : NULL;
}

static bool select_label(struct selector *select, const char *value)
{
    const char *equals = strchr(value, '=');

    if (!equals || equals == value)
        return false;
    *ARRAY_ADD(select->labels, select->n_labels) = (struct label_match){
        .key = xstrndup(value, (size_t)(equals - value)), .value = xstrdup(equals + 1), .literal = false};
    return true;
}

int lock_select(struct lock *lock, const char *text, const char **ret_why)
{
    const char *equals = strchr(text, '=');
    bool good = strcmp(text, "all") == 0;

    *ret_why = "write compose=PROJECT/SERVICE, label=KEY=VALUE, name=GLOB or all";
    if (good) {
        lock->select.all = true;
    } else if (equals && equals[1]) {
        size_t len = (size_t)(equals - text);

        good = true;
        if (len == 7 && strncmp(text, "compose", len) == 0 && equals[1] != '/')
            select_compose(&lock->select, equals + 1);
        else if (len == 4 && strncmp(text, "name", len) == 0)
            lock->select.name = xstrdup(equals + 1);
        else
            good = len == 5 && strncmp(text, "label", len) == 0 && select_label(&lock->select, equals + 1);
    }
    if (good)
        lock->select_text = xstrdup(text);
    return good ? 0 : -EINVAL;
}

char *lock_peer_word(const char *text, const char **ret_port)
{
    const char *colon = strrchr(text, ':'), *bracket = text[0] == '[' ? strchr(text, ']') : NULL;

    if (bracket) {
        *ret_port = bracket + 1;
        return xstrndup(text + 1, (size_t)(bracket - text - 1));
    }
    /* The colons of an IPv6 address without brackets are all its own. */
    if (strchr(text, ':') != colon)
        colon = NULL;
    *ret_port = colon ? colon : text + strlen(text);
    return xstrndup(text, (size_t)(*ret_port - text));
}

static bool parse_cidr(const char *word, struct cidr *ret)
{
    struct ip ip;

    if (strchr(word, '/'))
        return cidr_parse(word, ret) == 0;
    if (ip_parse(word, &ip) < 0)
        return false;
    *ret = (struct cidr){ip, ip_bits(ip.family)};
    return true;
}

/* Names as the Engine gives them, which are no globs either. */
static bool is_container_name(const char *word)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

    return *word && strspn(word, letters) == strlen(word);
}

static int parse_peer(const char *word, struct peer *ret)
{
    if (strcmp(word, "host") == 0) {
        ret->kind = PEER_HOST;
    } else if (parse_cidr(word, &ret->cidr)) {
        ret->kind = PEER_CIDR;
    } else if (is_container_name(word)) {
        ret->kind = PEER_SELECTOR;
        ret->selector.name = xstrdup(word);
    } else {
        return -EINVAL;
    }
    return 0;
}

static struct policy *exceptions_of(struct lock *lock)
{
    if (!lock->exceptions) {
        lock->exceptions = policy_set_new();
        struct policy *policy = ARRAY_ADD(lock->exceptions->policies, lock->exceptions->n_policies);

        policy->name = xstrdup("lockdown");
        policy->version = 1;
    }
    return &lock->exceptions->policies[0];
}

int lock_allow(struct lock *lock, const char *text, const char **ret_why)
{
    enum direction direction = lock->cut & CUT_IN ? INGRESS : EGRESS;
    struct peer peer = {0};
    struct port port;
    const char *port_part;
    _cleanup_free_ char *word = lock_peer_word(text, &port_part);
    bool has_port = *port_part;

    *ret_why =
        "write a container's name, host, or an address or block such as 192.0.2.0/24; then, if wanted, "
        "a port: 192.0.2.7:22/tcp, [2001:db8::7]:22/tcp";
    if (has_port && (*port_part != ':' || port_parse(port_part + 1, &port, ret_why) < 0))
        return -EINVAL;
    if (parse_peer(word, &peer) < 0)
        return -EINVAL;
    struct policy *policy = exceptions_of(lock);
    struct rule *rule = ARRAY_ADD(policy->rules[direction], policy->n_rules[direction]);

    rule->name = xstrdup(text);
    rule->index = (unsigned)policy->n_rules[direction];
    *ARRAY_ADD(rule->peers, rule->n_peers) = peer;
    if (has_port)
        *ARRAY_ADD(rule->ports, rule->n_ports) = port;
    *ARRAY_ADD(lock->allow, lock->n_allow) = xstrdup(text);
    return 0;
}

static bool is_multicast(struct ip ip)
{
    return ip.family == IP4 ? ip.num >> 28 == 0xe : ip.num >> 120 == 0xff;
}

int lock_by_address(struct lock *lock, const char *text, const char **ret_why)
{
    char canonical[IP_TEXT_MAX];
    struct ip ip;

    *ret_why = "write an address that a container has, such as 172.17.0.2";
    if (ip_parse(text, &ip) < 0 || ip.num == 0 || ip.num == ip_max(ip.family) || ip_is_loopback(ip) ||
        is_multicast(ip))
        return -EINVAL;
    lock->address = xstrdup(ip_format(ip, canonical));
    return 0;
}

int lock_by_interface(struct lock *lock, const char *text, const char **ret_why)
{
    *ret_why = "write the host's end of a container's link, such as veth1a2b3c4; `bridge link` lists them";
    if (!*text || strlen(text) >= IFNAMSIZ || strpbrk(text, "/ \t\n") || strcmp(text, ".") == 0 ||
        strcmp(text, "..") == 0)
        return -EINVAL;
    lock->interface = xstrdup(text);
    return 0;
}

bool lock_is_nameless(const struct lock *lock)
{
    return !lock->select_text && !lock->id && !lock->name && (lock->address || lock->interface);
}

bool lock_has_address(const struct lock *lock, struct ip *ret)
{
    return lock_is_nameless(lock) && lock->address && ip_parse(lock->address, ret) == 0;
}

const char *lock_text(const struct lock *lock)
{
    return lock->select_text ? lock->select_text
           : lock->name      ? lock->name
           : lock->id        ? lock->id
           : lock->address   ? lock->address
                             : lock->interface;
}

static const struct {
    const char *name;
    unsigned cut;
} cuts[] = {{"in", CUT_IN}, {"out", CUT_OUT}, {"both", CUT_BOTH}};

const char *lock_cut_name(unsigned cut)
{
    for (size_t i = 0; i < ARRAY_SIZE(cuts); i++)
        if (cuts[i].cut == cut)
            return cuts[i].name;
    return "none";
}

unsigned lock_cut_parse(const char *text)
{
    for (size_t i = 0; i < ARRAY_SIZE(cuts); i++)
        if (strcmp(cuts[i].name, text) == 0)
            return cuts[i].cut;
    return 0;
}

char *lock_limits_text(unsigned cut, const struct lock *exceptions)
{
    char *text = xstrdup(cut == CUT_IN    ? " (connections to it)"
                         : cut == CUT_OUT ? " (connections that it opens)"
                                          : "");

    for (size_t i = 0; exceptions && i < exceptions->n_allow; i++) {
        char *longer = xasprintf("%s%s%s", text, i ? ", " : ", but for ", exceptions->allow[i]);

        free(text);
        text = longer;
    }
    return text;
}

/* ---- how long ----------------------------------------------------------------------------------------- */

#define USEC ((uint64_t)1000000)

void lock_limit(struct lock *lock, uint64_t usec, const char *boot, uint64_t boot_now)
{
    lock->until = lock->since + (usec + USEC - 1) / USEC;
    free(lock->boot);
    lock->boot = xstrdup_null(boot);
    lock->boot_until = boot_now + usec;
}

uint64_t lock_left(const struct lock *lock, const char *boot, uint64_t boot_now, uint64_t wall_now)
{
    uint64_t whole = lock->until > lock->since ? lock->until - lock->since : 0;

    if (!lock->until)
        return LOCK_FOREVER;
    if (lock->boot && boot && strcmp(lock->boot, boot) == 0)
        return lock->boot_until > boot_now ? lock->boot_until - boot_now : 0;
    if (wall_now >= lock->until)
        return 0;
    return (wall_now < lock->since ? whole : lock->until - wall_now) * USEC;
}

/* ---- who is meant ------------------------------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static bool is_successor(const struct lock *lock, const struct container *container)
{
    if (same(lock->name, container->name))
        return true;
    if (!lock->project || !lock->service || !same(lock->project, raw_label(container, COMPOSE_PROJECT)) ||
        !same(lock->service, raw_label(container, COMPOSE_SERVICE)))
        return false;
    return !lock->number || same(lock->number, raw_label(container, COMPOSE_NUMBER));
}

/* As selector_matches(), by labels that do not count otherwise. */
static bool selector_suspects(const struct selector *select, const struct container *container)
{
    if (select->all)
        return true;
    if (select->name)
        return container->name && glob_match(select->name, container->name);
    if (select->compose_project)
        return same(select->compose_project, raw_label(container, COMPOSE_PROJECT)) &&
               (!select->compose_service ||
                same(select->compose_service, raw_label(container, COMPOSE_SERVICE)));
    for (size_t i = 0; i < select->n_labels; i++) {
        const char *own = raw_label(container, select->labels[i].key);

        if (!own || !glob_match(select->labels[i].value, own))
            return false;
    }
    return select->n_labels > 0;
}

/* Of the live endpoint that has it now. */
static bool has_endpoint(const struct lock *lock, const struct container *container)
{
    struct ip ip;
    bool by_address = lock_has_address(lock, &ip);

    for (size_t i = 0; i < container->n_endpoints; i++) {
        const struct endpoint *endpoint = &container->endpoints[i];

        if (!endpoint->id)
            continue;
        if (by_address && endpoint->has_ip[ip.family] && ip_equal(endpoint->ip[ip.family], ip))
            return true;
        if (lock->interface && strcmp(endpoint->port, lock->interface) == 0)
            return true;
    }
    return false;
}

bool lock_means(const struct lock *lock, const struct container *container)
{
    if (lock_is_nameless(lock))
        return has_endpoint(lock, container);
    if (!lock->select_text)
        return same(lock->id, container->id) || is_successor(lock, container);
    for (size_t i = 0; i < lock->n_except; i++)
        if (same(lock->except[i], container->name))
            return false;
    return selector_suspects(&lock->select, container);
}

static void add_effect(const struct lock_list *list, const struct container *container,
                       struct lock_effect *effect)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct lock *lock = list->v[i];

        if (!lock_means(lock, container) || lock == effect->first)
            continue;
        effect->cut |= lock->cut;
        effect->exceptions = effect->first ? NULL : lock;
        effect->first = effect->first ? effect->first : lock;
    }
}

static bool shares_network_of(const struct container *container, const struct container *owner)
{
    return container->mode == NETMODE_CONTAINER && container->mode_target &&
           (same(container->mode_target, owner->id) || same(container->mode_target, owner->name));
}

struct lock_effect lock_effect(const struct lock_list *list, const struct inventory *inventory,
                               const struct container *container)
{
    struct lock_effect effect = {0};

    if (!list || list->n == 0)
        return effect;
    add_effect(list, container, &effect);
    for (const struct container *other = inventory->containers; other; other = other->hh.next)
        if (shares_network_of(other, container))
            add_effect(list, other, &effect);
    return effect;
}

char *lock_effect_text(const struct lock_effect *effect)
{
    _cleanup_free_ char *limits = lock_limits_text(effect->cut, effect->exceptions);

    return xasprintf("locked down%s", limits);
}

/* ---- connections -------------------------------------------------------------------------------------- */

static struct party party_at(const struct inventory *inventory, struct ip ip)
{
    struct party party = {.kind = PARTY_OUTSIDE, .ip = ip, .has_ip = true};

    if (inventory_owner(inventory, ip, &party.container, &party.endpoint)) {
        party.kind = PARTY_ENDPOINT;
        return party;
    }
    if (ip_is_loopback(ip))
        party.kind = PARTY_HOST;
    for (size_t i = 0; i < inventory->n_host_addresses; i++)
        if (ip_equal(inventory->host_addresses[i], ip))
            party.kind = PARTY_HOST;
    return party;
}

static bool is_exempt(const struct lock_effect *effect, const struct inventory *inventory,
                      enum direction direction, const struct party *subject, const struct party *other,
                      const struct traffic *traffic)
{
    const struct policy_set *set = effect->exceptions ? effect->exceptions->exceptions : NULL;
    const struct evaluation with = {.policies = set, .inventory = inventory};

    for (size_t i = 0; set && i < set->policies[0].n_rules[direction]; i++) {
        const struct rule *rule = &set->policies[0].rules[direction][i];

        if (rule_ports_match(rule, traffic) && rule_peers_match(&with, rule, subject, other, traffic))
            return true;
    }
    return false;
}

enum lock_fate lock_end_fate(const struct lock_list *list, const struct inventory *inventory,
                             enum direction direction, const struct party *subject, const struct party *other,
                             const struct traffic *traffic)
{
    struct lock_effect effect = {0};

    if (subject->kind == PARTY_ENDPOINT)
        effect = lock_effect(list, inventory, subject->container);
    if (!(effect.cut & (direction == INGRESS ? CUT_IN : CUT_OUT)))
        return LOCK_SILENT;
    return is_exempt(&effect, inventory, direction, subject, other, traffic) ? LOCK_EXEMPT : LOCK_CUTS;
}

enum lock_fate lock_fate(const struct lock_list *list, const struct inventory *inventory,
                         const struct party *from, const struct party *to, const struct traffic *traffic)
{
    enum lock_fate out = lock_end_fate(list, inventory, EGRESS, from, to, traffic),
                   in = lock_end_fate(list, inventory, INGRESS, to, from, traffic);

    if (out == LOCK_CUTS || in == LOCK_CUTS)
        return LOCK_CUTS;
    return out == LOCK_EXEMPT || in == LOCK_EXEMPT ? LOCK_EXEMPT : LOCK_SILENT;
}

/* Of an address that is a lock itself nobody need know more. */
static bool is_locked_address(const struct lock_list *list, const struct party *party)
{
    struct ip ip;

    for (size_t i = 0; list && party->kind == PARTY_OUTSIDE && i < list->n; i++)
        if (lock_has_address(list->v[i], &ip) && ip_equal(ip, party->ip))
            return true;
    return false;
}

/* The destination is that after translation, and its port the one that the container knows. */
enum lock_fate lock_flow_fate(const struct lock_list *list, const struct inventory *inventory,
                              const struct flow *flow)
{
    const struct party from = party_at(inventory, flow->original.source),
                       to = party_at(inventory, flow->reply.source);
    const struct traffic traffic = {.family = flow->family,
                                    .proto = flow->proto,
                                    .port = flow->has_ports ? flow->reply.source_port : flow->icmp_type};

    if (is_locked_address(list, &from) || is_locked_address(list, &to))
        return LOCK_CUTS;
    return lock_fate(list, inventory, &from, &to, &traffic);
}

size_t lock_addresses(const struct lock_list *list, const struct inventory *inventory, struct ip **ret)
{
    struct ip ip;
    size_t n = 0;

    *ret = NULL;
    for (size_t i = 0; list && i < list->n; i++)
        if (lock_has_address(list->v[i], &ip))
            *ARRAY_ADD(*ret, n) = ip;
    for (const struct container *container = inventory->containers; list && list->n && container;
         container = container->hh.next) {
        if (!lock_effect(list, inventory, container).cut)
            continue;
        for (size_t i = 0; i < container->n_endpoints; i++)
            for (int family = 0; family < IP_FAMILIES; family++)
                if (container->endpoints[i].id && container->endpoints[i].has_ip[family])
                    *ARRAY_ADD(*ret, n) = container->endpoints[i].ip[family];
    }
    ip_sort(*ret, n);
    return n;
}
