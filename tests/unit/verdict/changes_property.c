/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * On random worlds and pairs of policy sets: the changes that are found are exactly those that appear when every pair of
 * parties is tried on many ports, by asking the evaluator twice; and likewise what is the same in both sets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "policy/parse.h"
#include "verdict/changes.h"
#include "world.h"

#define WORLDS 120
#define LINES_MAX 4096

/* ---- who, and what ------------------------------------------------------------------------------------ */

/* On both sides of every bound that the worlds' policies have; none a container's, the host's or nobody's. */
static const char *const outside[] = {
    "8.8.8.7",   "8.8.8.8",        "8.8.8.9",      "9.255.255.255", "10.0.0.0",     "10.19.255.255",
    "10.20.0.0", "10.20.0.5",      "10.20.98.255", "10.20.99.0",    "10.20.99.255", "10.20.100.0",
    "10.21.0.0", "10.255.255.255", "11.0.0.0",     "192.0.2.2",     "203.0.113.1",  "169.254.169.254",
    "224.0.0.1", "1.0.0.0",        "29ff::1",      "2a00::",        "2a00:ffff::1", "2a01::",
    "fd00:9::1", "ff02::1",        "::2",          "4000::",
};

struct crowd {
    struct party v[64];
    size_t n;
};

static void add_address(struct crowd *crowd, enum party_kind kind, struct ip ip)
{
    assert_true(crowd->n < 64);
    crowd->v[crowd->n++] = (struct party){.kind = kind, .ip = ip, .has_ip = true};
}

static struct crowd everybody(const struct inventory *inventory, unsigned *seed)
{
    struct crowd crowd = {.v = {{.kind = PARTY_HOST}}, .n = 1};
    struct ip ip;

    for (const struct container *c = inventory->containers; c; c = c->hh.next)
        for (size_t i = 0; i < c->n_endpoints; i++)
            crowd.v[crowd.n++] =
                (struct party){.kind = PARTY_ENDPOINT, .container = c, .endpoint = &c->endpoints[i]};
    for (size_t i = 0; i < inventory->n_host_addresses; i++)
        add_address(&crowd, PARTY_HOST, inventory->host_addresses[i]);
    for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
        assert_int_equal(ip_parse(outside[i], &ip), 0);
        add_address(&crowd, PARTY_OUTSIDE, ip);
    }
    add_address(&crowd, PARTY_OUTSIDE,
                (struct ip){(1 + world_random(seed, 126)) << 24 | world_random(seed, 1 << 24), IP4});
    add_address(&crowd, PARTY_OUTSIDE, (struct ip){(ipnum)(0x2000 + world_random(seed, 0x2000)) << 112, IP6});
    return crowd;
}

static bool has_family(const struct party *party, enum ip_family family)
{
    if (party->kind == PARTY_ENDPOINT)
        return party->endpoint->has_ip[family];
    return !party->has_ip || party->ip.family == family;
}

struct attempts {
    struct traffic v[256];
    size_t n;
};

static void add_attempt(struct attempts *attempts, uint8_t proto, unsigned port)
{
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        assert_true(attempts->n < ARRAY_SIZE(attempts->v));
        attempts->v[attempts->n++] = (struct traffic){family, proto, (uint16_t)port};
    }
}

static struct attempts attempts_of(unsigned *seed)
{
    static const unsigned ports[] = {1, 8, 9, 10, 52, 53, 54, 79, 80, 81, 442, 443, 444, 65535};
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
    static const unsigned types[] = {0, 8, 13, 128, 129, 255};
    struct attempts attempts = {.n = 0};

    for (size_t p = 0; p < ARRAY_SIZE(protocols); p++) {
        for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
            add_attempt(&attempts, protocols[p], ports[i]);
        add_attempt(&attempts, protocols[p], 1 + world_random(seed, 65535));
    }
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        attempts.v[attempts.n++] = (struct traffic){IP4, IPPROTO_ICMP, (uint16_t)types[i]};
        attempts.v[attempts.n++] = (struct traffic){IP6, IPPROTO_ICMPV6, (uint16_t)types[i]};
    }
    add_attempt(&attempts, 47, 0);
    add_attempt(&attempts, 200, 53);
    return attempts;
}

/* ---- what a line says --------------------------------------------------------------------------------- */

static bool port_text_means(const char *text, const struct traffic *traffic)
{
    bool icmp = traffic->proto == IPPROTO_ICMP || traffic->proto == IPPROTO_ICMPV6;
    const char *why, *except = strstr(text, " except ");
    struct port port;

    if (strcmp(text, "other protocols") == 0)
        return !icmp && traffic->proto != IPPROTO_TCP && traffic->proto != IPPROTO_UDP &&
               traffic->proto != IPPROTO_SCTP;
    if (except) /* of these worlds, only this one has a name in rules */
        return icmp && strcmp(except, " except echo-request") == 0 &&
               traffic->port != (traffic->proto == IPPROTO_ICMP ? 8 : 128);
    assert_int_equal(port_parse(text, &port, &why), 0);
    return port_matches(&port, traffic);
}

static bool line_has_traffic(const struct change *line, const struct traffic *traffic)
{
    bool found = false;

    for (size_t i = 0; i < line->n_ports; i++)
        if (port_text_means(line->ports[i], traffic)) {
            assert_false(found);
            found = true;
        }
    assert_true(found || !line->all_ports);
    return found && (!line->one_family || line->family == traffic->family);
}

static bool party_has(const struct change_party *set, const struct party *party)
{
    bool listed = false;

    switch (party->kind) {
    case PARTY_ENDPOINT:
        for (size_t i = 0; i < set->n_members; i++)
            if (set->members[i].endpoint == party->endpoint)
                return true;
        return false;
    case PARTY_HOST:
        for (size_t i = 0; i < set->n_host_addresses; i++)
            listed = listed || (party->has_ip && ip_equal(set->host_addresses[i], party->ip));
        return set->host != listed;
    case PARTY_OUTSIDE:
        return ip_ranges_contain(&set->outside[party->ip.family], party->ip.num);
    }
    return false;
}

/* ---- trying everything -------------------------------------------------------------------------------- */

struct trial {
    unsigned number;
    struct evaluation with[2];
    const struct changes *changes;
    const struct change *lines[LINES_MAX]; /* about the pair that is tried */
    size_t n_lines, n_changed;
    bool with_rest; /* the changes are changes_and_rest() */
};

static void check_cause(const struct change *line, enum direction d, const struct side_verdict *old,
                        const struct side_verdict *new)
{
    const struct change_cause *cause = &line->causes[d];
    bool turned = old->verdict != new->verdict &&new->verdict == line->verdict;

    assert_int_equal(cause->reason != CHANGE_NONE, turned);
    if (cause->reason == CHANGE_RULE)
        assert_ptr_equal(cause->rule, new->rule);
    if (cause->reason == CHANGE_RULE_GONE)
        assert_ptr_equal(cause->rule, old->rule);
    if (cause->reason == CHANGE_SELECTED || cause->reason == CHANGE_UNSELECTED)
        assert_int_not_equal(old->reason == REASON_DEFAULT_AUDIT, new->reason == REASON_DEFAULT_AUDIT);
}

static void check_line(const struct change *line, const struct party *from, const struct party *to,
                       const struct connection_verdict *verdicts, bool with_rest)
{
    assert_int_equal(line->old_verdict, verdicts[0].verdict);
    assert_int_equal(line->verdict, verdicts[1].verdict);
    if (!with_rest) {
        check_cause(line, EGRESS, &verdicts[0].egress, &verdicts[1].egress);
        check_cause(line, INGRESS, &verdicts[0].ingress, &verdicts[1].ingress);
    }
    if (from->kind == PARTY_ENDPOINT && to->kind == PARTY_ENDPOINT)
        assert_int_equal(line->docker_blocks,
                         strcmp(from->endpoint->network_id, to->endpoint->network_id) != 0);
    else
        assert_false(line->docker_blocks); /* no network of these worlds is internal */
}

/* Who it is in that inventory. */
static struct party party_in(const struct inventory *inventory, const struct party *party)
{
    struct party there = *party;

    if (party->kind == PARTY_ENDPOINT) {
        there.container = inventory_container(inventory, party->container->id);
        there.endpoint = &there.container->endpoints[party->endpoint - party->container->endpoints];
    }
    return there;
}

static void try(struct trial *trial, const struct party *from, const struct party *to,
                const struct traffic *traffic)
{
    struct connection_verdict verdicts[2];
    const struct change *line = NULL;
    size_t found = 0;
    bool changes;

    for (int i = 0; i < 2; i++) {
        const struct party ends[] = {party_in(trial->with[i].inventory, from),
                                     party_in(trial->with[i].inventory, to)};

        verdicts[i] = evaluate(&trial->with[i], &ends[0], &ends[1], traffic);
    }
    changes = verdicts[0].verdict != verdicts[1].verdict ||
              (trial->with_rest && verdicts[1].verdict == VERDICT_ALLOW);
    for (size_t i = 0; i < trial->n_lines; i++)
        if (line_has_traffic(trial->lines[i], traffic)) {
            line = trial->lines[i];
            found++;
        }
    if (found != changes) {
        _cleanup_free_ char *text = changes_text(trial->changes, true);

        fail_msg("world %u: %s -> %s, IPv%c protocol %u port %u: %s, but it is in %zu lines of\n%s",
                 trial->number, from->container ? from->container->name : "-",
                 to->container ? to->container->name : "-", traffic->family == IP4 ? '4' : '6',
                 traffic->proto, traffic->port, changes ? "changes" : "does not", found, text);
    }
    if (found)
        check_line(line, from, to, verdicts, trial->with_rest);
    trial->n_changed += changes;
}

static void try_pair(struct trial *trial, const struct party *from, const struct party *to,
                     const struct attempts *attempts)
{
    trial->n_lines = 0;
    for (size_t i = 0; i < trial->changes->n; i++)
        if (party_has(&trial->changes->v[i].from, from) && party_has(&trial->changes->v[i].to, to)) {
            assert_true(trial->n_lines < LINES_MAX);
            trial->lines[trial->n_lines++] = &trial->changes->v[i];
        }
    for (size_t i = 0; i < attempts->n; i++) {
        const struct traffic *traffic = &attempts->v[i];

        if (has_family(from, traffic->family) && has_family(to, traffic->family))
            try(trial, from, to, traffic);
    }
}

static void try_everything(struct trial *trial, unsigned *seed)
{
    struct crowd crowd = everybody(trial->with[1].inventory, seed);
    struct attempts attempts = attempts_of(seed);

    for (size_t i = 0; i < crowd.n; i++)
        for (size_t j = 0; j < crowd.n; j++) {
            const struct party *from = &crowd.v[i], *to = &crowd.v[j];

            if (from->kind != PARTY_ENDPOINT && to->kind != PARTY_ENDPOINT)
                continue;
            if (from->kind != PARTY_ENDPOINT || to->kind != PARTY_ENDPOINT ||
                from->container != to->container)
                try_pair(trial, from, to, &attempts);
        }
}

static bool is_named(const struct change_party *set)
{
    return set->n_names > 0 && (set->n_members || set->host || set->n_host_addresses || set->outside[IP4].n ||
                                set->outside[IP6].n);
}

/* No line is about nothing. */
static void check_lines(const struct changes *changes)
{
    for (size_t i = 0; i < changes->n; i++) {
        const struct change *line = &changes->v[i];

        assert_true(line->n_pairs > 0);
        assert_true(line->n_ports > 0);
        assert_true(is_named(&line->from) && is_named(&line->to));
    }
}

/* ---- pairs of sets ------------------------------------------------------------------------------------ */

static size_t compare_all(unsigned number, const struct inventory *const inventories[2],
                          const struct policy_set *before, const struct policy_set *after)
{
    struct settings *settings[2] = {settings_new(), settings_new()};
    struct trial trial = {.number = number};
    struct changes *changes;
    unsigned seed = number;

    settings[0]->default_mode = number % 3 == 0 ? MODE_AUDIT : MODE_ENFORCE;
    settings[1]->default_mode = number % 5 == 0 ? MODE_AUDIT : MODE_ENFORCE;
    trial.with[0] = (struct evaluation){before, inventories[0], settings[0], NULL};
    trial.with[1] = (struct evaluation){after, inventories[1], settings[1], NULL};
    changes = changes_find(&trial.with[0], &trial.with[1]);
    trial.changes = changes;
    check_lines(changes);
    try_everything(&trial, &seed);
    changes_free(changes);
    trial.with_rest = true;
    changes = changes_and_rest(&trial.with[0], &trial.with[1]);
    trial.changes = changes;
    check_lines(changes);
    try_everything(&trial, &seed);
    changes_free(changes);
    for (int i = 0; i < 2; i++)
        settings_free(settings[i]);
    return trial.n_changed;
}

static size_t compare(unsigned number, const struct inventory *inventory, const struct policy_set *before,
                      const struct policy_set *after)
{
    return compare_all(number, (const struct inventory *const[]){inventory, inventory}, before, after);
}

/* So that only networks, addresses and name servers tell the containers apart. */
static void make_alike(struct inventory *inventory)
{
    unsigned number = 0;

    for (struct container *c = inventory->containers; c; c = c->hh.next) {
        for (size_t i = 0; i < c->n_labels; i++) {
            free(c->labels[i].key);
            free(c->labels[i].value);
        }
        c->n_labels = 0;
        c->labels_known = true;
        free(c->name);
        c->name = xasprintf("web-1%u-1", number++);
        free(c->image);
        c->image = xstrdup("img:a");
    }
}

static void two_sets(void **state)
{
    size_t n = 0;

    (void)state;
    for (unsigned seed = 1; seed <= WORLDS; seed++) {
        struct world before = world_make(seed), after = world_make(seed + 10000);

        if (seed % 2)
            make_alike(before.inventory);
        n += compare(seed, before.inventory, before.policies, after.policies);
        world_clear(&before);
        world_clear(&after);
    }
    assert_true(n > WORLDS * 100);
}

/* The same set, but for one policy, which is one of another world's. */
static void one_policy(void **state)
{
    size_t n = 0;

    (void)state;
    for (unsigned seed = 1; seed <= WORLDS; seed++) {
        struct world before = world_make(seed), after = world_make(seed), other = world_make(seed + 20000);
        struct policy *a = &after.policies->policies[seed % after.policies->n_policies];
        struct policy *b = &other.policies->policies[seed % other.policies->n_policies], swapped = *a;

        *a = *b;
        *b = swapped;
        n += compare(seed * 15 + 1, before.inventory, before.policies, after.policies);
        world_clear(&before);
        world_clear(&after);
        world_clear(&other);
    }
    assert_true(n > WORLDS * 20);
}

static void give_labels(struct inventory *inventory, unsigned seed)
{
    static const char *const keys[] = {"role", "tier"}, *const values[] = {"a", "b", "x"};

    for (struct container *c = inventory->containers; c; c = c->hh.next)
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
            if (world_random(&seed, 3) == 0)
                *ARRAY_ADD(c->overlay, c->n_overlay) =
                    (struct label){.key = xstrdup(keys[i]), .value = xstrdup(values[world_random(&seed, 3)])};
}

/* The same containers with other labels, under the same policies or others. */
static void other_labels(void **state)
{
    size_t n = 0;

    (void)state;
    for (unsigned seed = 1; seed <= WORLDS; seed++) {
        struct world before = world_make(seed), after = world_make(seed), other = world_make(seed + 10000);
        const struct inventory *inventories[] = {before.inventory, after.inventory};

        give_labels(before.inventory, seed + 30000);
        give_labels(after.inventory, seed + 40000);
        n += compare_all(seed * 15 + 1, inventories, before.policies,
                         seed % 4 ? before.policies : other.policies);
        world_clear(&before);
        world_clear(&after);
        world_clear(&other);
    }
    assert_true(n > WORLDS * 20);
}

static void order_changes_nothing(void **state)
{
    (void)state;
    for (unsigned number = 1; number <= 10 * WORLDS; number++) {
        struct world before = world_make(number), after = world_make(number);
        struct settings *settings = settings_new();
        struct evaluation old = {before.policies, before.inventory, settings, NULL};
        struct evaluation new = {after.policies, before.inventory, settings, NULL};
        struct changes *changes;
        unsigned seed = number;

        world_shuffle(after.policies, &seed);
        changes = changes_find(&old, &new);
        assert_int_equal(changes->n, 0);
        changes_free(changes);
        settings_free(settings);
        world_clear(&before);
        world_clear(&after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_sets),
        cmocka_unit_test(one_policy),
        cmocka_unit_test(other_labels),
        cmocka_unit_test(order_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
