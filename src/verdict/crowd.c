/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "crowd.h"

#include <string.h>

#include "inventory/match.h"
#include "verdict/lock.h"

/* What the enforcing policies of both sets ask about, each once. */
struct questions {
    const struct selector **selectors; /* subjects and peers */
    size_t n_selectors;
    const char **labels; /* of `same:` */
    size_t n_labels;
    struct ip_ranges (*blocks)[IP_FAMILIES]; /* of `cidr` and `internet` */
    size_t n_blocks;
    struct ip *servers; /* that `dns` may mean for somebody; sorted */
    size_t n_servers;
    struct interned *seen_selectors, *seen_labels, *seen_peers;
};

/* What makes kinds and classes; needed only while the crowd is sorted. */
struct sorter {
    struct crowd *crowd;
    struct questions ask;
    struct interned *rules, *values, *kinds, *classes;
    struct numbers
        *lists[POLICY_SETS][DIRECTIONS]; /* of each policy: its rules; those that are alike have one number */
};

/* ---- what is asked ------------------------------------------------------------------------------------ */

static bool is_new(struct interned **seen, const char *text)
{
    size_t before = intern_count(*seen);

    return intern(seen, text, strlen(text)) == before;
}

static void ask_selector(struct questions *ask, const struct selector *selector)
{
    _cleanup_free_ char *text = selector_text(selector);

    if (is_new(&ask->seen_selectors, text))
        *ARRAY_ADD(ask->selectors, ask->n_selectors) = selector;
}

static void ask_block(struct questions *ask, const struct roll *roll, const struct peer *peer)
{
    _cleanup_free_ char *text = peer_text(peer);

    if (!is_new(&ask->seen_peers, text))
        return;
    struct ip_ranges *blocks = *ARRAY_ADD(ask->blocks, ask->n_blocks);
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        blocks[family] = peer_outside(roll, peer, family);
}

static void ask_peer(struct questions *ask, const struct roll *roll, const struct peer *peer)
{
    switch (peer->kind) {
    case PEER_SELECTOR:
        ask_selector(ask, &peer->selector);
        break;
    case PEER_SAME:
        if (is_new(&ask->seen_labels, peer->same))
            *ARRAY_ADD(ask->labels, ask->n_labels) = peer->same;
        break;
    case PEER_CIDR:
    case PEER_INTERNET:
        ask_block(ask, roll, peer);
        break;
    case PEER_ANY:
    case PEER_OUTSIDE:
    case PEER_HOST:
    case PEER_CONTAINERS:
    case PEER_DNS:
        break;
    }
}

static void ask_policy(struct questions *ask, const struct roll *roll, const struct policy *policy)
{
    if (policy->mode != MODE_ENFORCE)
        return;
    ask_selector(ask, &policy->select);
    for (enum direction d = 0; d < DIRECTIONS; d++)
        for (size_t r = 0; r < policy->n_rules[d]; r++)
            for (size_t i = 0; i < policy->rules[d][r].n_peers; i++)
                ask_peer(ask, roll, &policy->rules[d][r].peers[i]);
}

/* Only where a policy that selects it says `dns` do a container's name servers make a difference. */
static bool asks_dns(const struct resident *resident)
{
    for (size_t s = 0; s < POLICY_SETS; s++)
        for (size_t i = 0; i < resident->selection[s]->n; i++)
            if (policy_asks_dns(resident->selection[s]->v[i]))
                return true;
    return false;
}

static void ask_servers(struct questions *ask, const struct crowd *crowd)
{
    struct interned *seen = NULL;

    for (size_t r = 0; r < crowd->n_residents; r++) {
        _cleanup_free_ struct ip *servers = NULL;
        size_t n = 0;

        if (asks_dns(&crowd->residents[r]))
            n = container_name_servers(crowd->with[SET_NEW].inventory, crowd->residents[r].container,
                                       &servers);
        for (size_t i = 0; i < n; i++) {
            struct ip_key key = ip_key(servers[i]);
            size_t before = intern_count(seen);

            if (intern(&seen, &key, sizeof(key)) == before)
                *ARRAY_ADD(ask->servers, ask->n_servers) = servers[i];
        }
    }
    if (ask->n_servers)
        ip_sort(ask->servers, ask->n_servers);
    intern_clear(&seen);
}

static void ask_everything(struct sorter *sorter)
{
    const struct crowd *crowd = sorter->crowd;

    for (size_t s = 0; s < POLICY_SETS; s++)
        for (size_t p = 0; p < crowd->with[s].policies->n_policies; p++)
            ask_policy(&sorter->ask, &crowd->rolls[s], &crowd->with[s].policies->policies[p]);
    ask_servers(&sorter->ask, crowd);
}

static bool is_server(const struct questions *ask, struct ip ip)
{
    return ask->n_servers && bsearch(&ip, ask->servers, ask->n_servers, sizeof(*ask->servers), ip_compare);
}

/* ---- rules that are alike ----------------------------------------------------------------------------- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_sorted(struct bytes *bytes, char **texts, size_t n)
{
    if (n)
        qsort(texts, n, sizeof(*texts), compare_texts);
    for (size_t i = 0; i < n; i++) {
        bytes_add(bytes, texts[i], strlen(texts[i]) + 1);
        free(texts[i]);
    }
    bytes_add(bytes, "", 1);
    free(texts);
}

/* Rules are alike that grant or deny the same to the same, wherever they stand and whatever they are called. */
static size_t rule_number(struct sorter *sorter, const struct rule *rule)
{
    char **peers = NULL, **ports = NULL;
    size_t n_peers = 0, n_ports = 0, number;
    _cleanup_(bytes_clear) struct bytes bytes = {};

    for (size_t i = 0; i < rule->n_peers; i++)
        *ARRAY_ADD(peers, n_peers) = peer_text(&rule->peers[i]);
    for (size_t i = 0; i < rule->n_ports; i++)
        *ARRAY_ADD(ports, n_ports) = port_text(&rule->ports[i]);
    bytes_add(&bytes, rule->deny ? "-" : "+", 1);
    add_sorted(&bytes, peers, n_peers);
    add_sorted(&bytes, ports, n_ports);
    number = intern(&sorter->rules, bytes.v, bytes.n);
    return number;
}

static void number_rules(struct sorter *sorter)
{
    for (size_t s = 0; s < POLICY_SETS; s++) {
        const struct policy_set *set = sorter->crowd->with[s].policies;

        for (enum direction d = 0; d < DIRECTIONS; d++) {
            sorter->lists[s][d] = xcalloc(set->n_policies, sizeof(*sorter->lists[s][d]));
            for (size_t p = 0; p < set->n_policies; p++)
                for (size_t r = 0; r < set->policies[p].n_rules[d]; r++)
                    *ARRAY_ADD(sorter->lists[s][d][p].v, sorter->lists[s][d][p].n) =
                        rule_number(sorter, &set->policies[p].rules[d][r]);
        }
    }
}

static int compare_sizes(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return (x > y) - (x < y);
}

/* The rules for which this selection makes somebody a subject, each once. */
static struct numbers rules_of(const struct sorter *sorter, enum which_set s, enum direction d,
                               const struct selection *selection)
{
    struct numbers all = {};
    size_t kept = 0;

    for (size_t i = 0; i < selection->n; i++) {
        size_t position = (size_t)(selection->v[i] - sorter->crowd->with[s].policies->policies);
        const struct numbers *list = &sorter->lists[s][d][position];

        for (size_t j = 0; j < list->n; j++)
            *ARRAY_ADD(all.v, all.n) = list->v[j];
    }
    if (all.n)
        qsort(all.v, all.n, sizeof(*all.v), compare_sizes);
    for (size_t i = 0; i < all.n; i++)
        if (!kept || all.v[i] != all.v[kept - 1])
            all.v[kept++] = all.v[i];
    all.n = kept;
    return all;
}

static bool passes_unselected(const struct crowd *crowd, enum which_set s, const struct selection *selection)
{
    return selection->n == 0 && crowd->with[s].settings->default_mode == MODE_AUDIT;
}

static bool rules_differ(const struct sorter *sorter, const struct resident *resident, enum direction d)
{
    const struct selection *const *of = resident->selection;
    struct numbers before = rules_of(sorter, SET_OLD, d, of[SET_OLD]);
    struct numbers after = rules_of(sorter, SET_NEW, d, of[SET_NEW]);
    bool differ = before.n != after.n ||
                  (before.n && memcmp(before.v, after.v, before.n * sizeof(*before.v)) != 0) ||
                  passes_unselected(sorter->crowd, SET_OLD, of[SET_OLD]) !=
                      passes_unselected(sorter->crowd, SET_NEW, of[SET_NEW]);

    free(before.v);
    free(after.v);
    return differ;
}

/* ---- classes ------------------------------------------------------------------------------------------ */

/* The class of this kind, network and values (may be NULL: none); made when it is the first. */
static struct class *get_class(struct sorter *sorter, size_t kind, const struct network *network,
                               const size_t *values)
{
    _cleanup_(bytes_clear) struct bytes bytes = {};
    struct crowd *crowd = sorter->crowd;
    size_t size = crowd->n_values * sizeof(*values), number;
    struct class *class;

    bytes_add(&bytes, &kind, sizeof(kind));
    bytes_add(&bytes, &network, sizeof(network));
    if (values)
        bytes_add(&bytes, values, size);
    number = intern(&sorter->classes, bytes.v, bytes.n);
    if (number < crowd->n_classes)
        return &crowd->classes[number];
    class = ARRAY_ADD(crowd->classes, crowd->n_classes);
    *class =
        (struct class){.kind = kind, .network = network, .values = xcalloc(crowd->n_values, sizeof(*values))};
    if (values && size)
        memcpy(class->values, values, size);
    return class;
}

/* A new kind is zeroed but for its families. */
static size_t get_kind(struct sorter *sorter, const struct bytes *bytes, unsigned families)
{
    struct crowd *crowd = sorter->crowd;
    size_t number = intern(&sorter->kinds, bytes->v, bytes->n);

    if (number == crowd->n_kinds)
        *ARRAY_ADD(crowd->kinds, crowd->n_kinds) = (struct kind){.families = families};
    return number;
}

void crowd_add_servers(const struct crowd *crowd, const struct container *container, struct bytes *bytes)
{
    _cleanup_free_ struct ip *servers = NULL;
    size_t n = container_name_servers(crowd->with[SET_NEW].inventory, container, &servers);

    if (n)
        ip_sort(servers, n);
    for (size_t i = 0; i < n; i++) {
        struct ip_key key = ip_key(servers[i]);

        bytes_add(bytes, &key, sizeof(key));
    }
}

static unsigned cut_of(const struct crowd *crowd, const struct resident *resident)
{
    const struct evaluation *with = &crowd->with[SET_NEW];

    return lock_effect(with->locks, with->inventory, resident->container).cut;
}

static bool has_two_inventories(const struct crowd *crowd)
{
    return crowd->with[SET_OLD].inventory != crowd->with[SET_NEW].inventory;
}

/* Every answer that both sets can get to a question about this endpoint. Returns whether they get different ones. */
static bool add_answers(const struct sorter *sorter, const struct resident *resident, struct bytes *bytes)
{
    const struct questions *ask = &sorter->ask;
    const struct endpoint *endpoint = resident->endpoint;
    bool moved = false;

    bytes_add(bytes, "e", 1);
    for (size_t i = 0; i < ask->n_selectors; i++) {
        bool is = selector_matches(ask->selectors[i], resident->container, endpoint), was = is;

        if (has_two_inventories(sorter->crowd))
            was = selector_matches(ask->selectors[i], resident->former, endpoint);
        bytes_add(bytes, is ? "1" : "0", 1);
        bytes_add(bytes, was ? "1" : "0", 1);
        moved = moved || is != was;
    }
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        bool served = endpoint->has_ip[family] && is_server(ask, endpoint->ip[family]);
        struct ip_key key = ip_key(endpoint->ip[family]);

        bytes_add(bytes, endpoint->has_ip[family] ? "1" : "0", 1);
        bytes_add(bytes, served ? "1" : "0", 1);
        if (served)
            bytes_add(bytes, &key, sizeof(key));
    }
    if (asks_dns(resident))
        crowd_add_servers(sorter->crowd, resident->container, bytes);
    bytes_add(bytes, &(const char){(char)cut_of(sorter->crowd, resident)}, 1);
    return moved;
}

static unsigned families_of(const struct endpoint *endpoint)
{
    return (endpoint->has_ip[IP4] ? 1u << IP4 : 0) | (endpoint->has_ip[IP6] ? 1u << IP6 : 0);
}

static void fill_kind(const struct sorter *sorter, struct kind *kind, const struct resident *resident)
{
    for (enum direction d = 0; d < DIRECTIONS; d++)
        kind->differs[d] = rules_differ(sorter, resident, d);
    kind->cut = cut_of(sorter->crowd, resident);
}

static size_t label_number(struct sorter *sorter, const struct container *container, const char *label)
{
    const char *value = container_label(container, label);

    return value ? intern(&sorter->values, value, strlen(value)) + 1 : 0;
}

/* Returns whether some label has another value in the old inventory. */
static bool number_labels(struct sorter *sorter, const struct resident *resident, size_t *values)
{
    const struct questions *ask = &sorter->ask;
    bool moved = false;

    for (size_t i = 0; i < ask->n_labels; i++) {
        values[i] = label_number(sorter, resident->container, ask->labels[i]);
        if (!has_two_inventories(sorter->crowd))
            continue;
        values[ask->n_labels + i] = label_number(sorter, resident->former, ask->labels[i]);
        moved = moved || values[i] != values[ask->n_labels + i];
    }
    return moved;
}

static void sort_resident(struct sorter *sorter, size_t position)
{
    struct crowd *crowd = sorter->crowd;
    const struct resident *resident = &crowd->residents[position];
    _cleanup_free_ size_t *values = xcalloc(crowd->n_values, sizeof(*values));
    _cleanup_(bytes_clear) struct bytes bytes = {};
    size_t kind, n_kinds = crowd->n_kinds,
                 number = (size_t)(resident->endpoint - resident->container->endpoints);
    bool moved = number_labels(sorter, resident, values);
    struct class *class;

    moved = add_answers(sorter, resident, &bytes) || moved;
    kind = get_kind(sorter, &bytes, families_of(resident->endpoint));
    if (crowd->n_kinds > n_kinds)
        fill_kind(sorter, &crowd->kinds[kind], resident);
    class = get_class(sorter, kind, resident->network, values);
    class->moved = moved;
    for (size_t s = 0; s < POLICY_SETS && !class->n_residents; s++) {
        const struct container *container = s == SET_OLD ? resident->former : resident->container;

        class->party[s] = (struct party){.kind = PARTY_ENDPOINT,
                                         .container = container,
                                         .endpoint = &container->endpoints[number],
                                         .selection = resident->selection[s]};
    }
    *ARRAY_ADD(class->residents, class->n_residents) = position;
}

static struct class *get_stranger(struct sorter *sorter, const struct bytes *bytes, unsigned families,
                                  struct party party)
{
    struct class *class = get_class(sorter, get_kind(sorter, bytes, families), NULL, NULL);

    class->party[SET_OLD] = class->party[SET_NEW] = party;
    return class;
}

/* The host as such, and each of its addresses where somebody's lookups go. */
static void sort_host(struct sorter *sorter)
{
    const struct inventory *inventory = sorter->crowd->with[SET_NEW].inventory;
    struct bytes plain = {.v = (char[]){'h'}, .n = 1};

    get_stranger(sorter, &plain, BOTH_FAMILIES, (struct party){.kind = PARTY_HOST});
    for (size_t i = 0; i < inventory->n_host_addresses; i++) {
        struct ip ip = inventory->host_addresses[i];
        struct ip_key key = ip_key(ip);
        _cleanup_(bytes_clear) struct bytes bytes = {};

        if (!is_server(&sorter->ask, ip))
            continue;
        bytes_add(&bytes, "h", 1);
        bytes_add(&bytes, &key, sizeof(key));
        get_stranger(sorter, &bytes, 1u << ip.family,
                     (struct party){.kind = PARTY_HOST, .ip = ip, .has_ip = true});
    }
}

/* Addresses that lie between two cuts. */
static void sort_stretch(struct sorter *sorter, enum ip_family family, struct ip_range range)
{
    struct ip ip = {.num = range.first, .family = family};
    struct ip_key key = ip_key(ip);
    _cleanup_(bytes_clear) struct bytes bytes = {};
    struct class *class;

    bytes_add(&bytes, family == IP4 ? "o4" : "o6", 2);
    for (size_t i = 0; i < sorter->ask.n_blocks; i++)
        bytes_add(&bytes, ip_ranges_contain(&sorter->ask.blocks[i][family], ip.num) ? "1" : "0", 1);
    if (is_server(&sorter->ask, ip))
        bytes_add(&bytes, &key, sizeof(key));
    class = get_stranger(sorter, &bytes, 1u << family,
                         (struct party){.kind = PARTY_OUTSIDE, .ip = ip, .has_ip = true});
    ip_ranges_add(&class->outside, range);
}

static void sort_between(struct sorter *sorter, enum ip_family family, struct ip_range range,
                         const ipnum *cuts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (cuts[i] <= range.first || cuts[i] > range.last)
            continue;
        sort_stretch(sorter, family, (struct ip_range){range.first, cuts[i] - 1});
        range.first = cuts[i];
    }
    sort_stretch(sorter, family, range);
}

static int compare_numbers(const void *a, const void *b)
{
    ipnum x = *(const ipnum *)a, y = *(const ipnum *)b;

    return (x > y) - (x < y);
}

static void sort_outside(struct sorter *sorter, enum ip_family family)
{
    const struct roll *rolls = sorter->crowd->rolls;
    struct ip_ranges all = peer_outside(&rolls[SET_NEW], &(struct peer){.kind = PEER_OUTSIDE}, family);
    ipnum *cuts = NULL;
    size_t n = 0;

    for (size_t s = 0; s < POLICY_SETS; s++)
        for (size_t i = 0; i < rolls[s].n_cuts[family]; i++)
            *ARRAY_ADD(cuts, n) = rolls[s].cuts[family][i];
    if (n)
        qsort(cuts, n, sizeof(*cuts), compare_numbers);
    for (size_t i = 0; i < all.n; i++)
        sort_between(sorter, family, all.v[i], cuts, n);
    ip_ranges_clear(&all);
    free(cuts);
}

/* ---- the crowd ---------------------------------------------------------------------------------------- */

static void add_resident(struct crowd *crowd, const struct container *container, size_t position)
{
    const struct container *former = has_two_inventories(crowd)
                                         ? inventory_container(crowd->with[SET_OLD].inventory, container->id)
                                         : container;
    const struct endpoint *endpoint = &container->endpoints[position];
    struct ends ends = {};

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        ends_add_endpoint(crowd->with[SET_NEW].inventory, container, endpoint, family, &ends);
    if (ends.n && ends.v[0].party.kind == PARTY_ENDPOINT) {
        struct resident *resident = ARRAY_ADD(crowd->residents, crowd->n_residents);

        *resident = (struct resident){container, former, endpoint, ends.v[0].network, {}};
        resident->selection[SET_OLD] = roll_selection(&crowd->rolls[SET_OLD], former, position);
        resident->selection[SET_NEW] = roll_selection(&crowd->rolls[SET_NEW], container, position);
    }
    ends_clear(&ends);
}

static void find_residents(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->rolls[SET_NEW].n_containers; i++) {
        const struct container *container = crowd->rolls[SET_NEW].containers[i];

        for (size_t e = 0; container->running && e < container->n_endpoints; e++)
            if (container->endpoints[e].id)
                add_resident(crowd, container, e);
    }
}

static void sorter_clear(struct sorter *sorter)
{
    struct questions *ask = &sorter->ask;

    for (size_t s = 0; s < POLICY_SETS; s++)
        for (enum direction d = 0; d < DIRECTIONS; d++) {
            for (size_t p = 0; p < sorter->crowd->with[s].policies->n_policies; p++)
                free(sorter->lists[s][d][p].v);
            free(sorter->lists[s][d]);
        }
    for (size_t i = 0; i < ask->n_blocks; i++)
        for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
            ip_ranges_clear(&ask->blocks[i][family]);
    free(ask->selectors);
    free(ask->labels);
    free(ask->blocks);
    free(ask->servers);
    intern_clear(&ask->seen_selectors);
    intern_clear(&ask->seen_labels);
    intern_clear(&ask->seen_peers);
    intern_clear(&sorter->rules);
    intern_clear(&sorter->values);
    intern_clear(&sorter->kinds);
    intern_clear(&sorter->classes);
}

void crowd_init(struct crowd *crowd, const struct evaluation *before, const struct evaluation *after)
{
    struct sorter sorter = {.crowd = crowd};

    *crowd = (struct crowd){.with = {*before, *after}};
    for (size_t s = 0; s < POLICY_SETS; s++)
        roll_init(&crowd->rolls[s], &crowd->with[s]);
    find_residents(crowd);
    ask_everything(&sorter);
    crowd->n_values = sorter.ask.n_labels * (has_two_inventories(crowd) ? POLICY_SETS : 1);
    number_rules(&sorter);
    for (size_t i = 0; i < crowd->n_residents; i++)
        sort_resident(&sorter, i);
    sort_host(&sorter);
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        sort_outside(&sorter, family);
    sorter_clear(&sorter);
}

void crowd_clear(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->n_classes; i++) {
        free(crowd->classes[i].values);
        free(crowd->classes[i].residents);
        ip_ranges_clear(&crowd->classes[i].outside);
    }
    free(crowd->kinds);
    free(crowd->classes);
    free(crowd->residents);
    for (size_t s = 0; s < POLICY_SETS; s++)
        roll_clear(&crowd->rolls[s]);
}
