/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * On random worlds: the rules of which it is said that nothing passes by them are exactly those by which nothing does when
 * every pair of parties is tried on many ports, and the reason is the one that the connection met that got farthest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "inventory/match.h"
#include "policy/covers.h"
#include "verdict/lint.h"
#include "world.h"

#define WORLDS 400

/* On both sides of every bound that the worlds' policies have; none a container's, the host's or nobody's. */
static const char *const outside[] = {
    "8.8.8.7",    "8.8.8.8",    "8.8.8.9",      "9.255.255.255", "10.0.0.0",  "10.20.0.0", "10.20.0.5",
    "10.20.99.0", "10.20.99.1", "10.20.100.0",  "10.21.0.0",     "11.0.0.0",  "192.0.2.2", "169.254.169.254",
    "224.0.0.1",  "29ff::1",    "2a00:ffff::1", "2a01::",        "fd00:9::1", "ff02::1",   "4000::",
};

enum fate { UNKNOWN, DENIED, HALF, BLOCKED, PASSES };

struct parties {
    struct party v[64];
    size_t n;
};

/* One peer of a rule, or a rule without peers. */
struct grant {
    const struct evaluation *with;
    const struct policy *policy;
    const struct rule *rule;
    struct rule alone; /* the rule with this peer only */
    enum direction direction;
    enum fate fate;
};

static struct parties everybody(const struct inventory *inventory)
{
    struct parties all = {.v = {{.kind = PARTY_HOST}}, .n = 1};

    for (const struct container *c = inventory->containers; c; c = c->hh.next)
        for (size_t i = 0; i < c->n_endpoints; i++)
            all.v[all.n++] =
                (struct party){.kind = PARTY_ENDPOINT, .container = c, .endpoint = &c->endpoints[i]};
    for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
        struct party *party = &all.v[all.n++];

        *party = (struct party){.kind = PARTY_OUTSIDE, .has_ip = true};
        assert_int_equal(ip_parse(outside[i], &party->ip), 0);
    }
    assert_true(all.n <= ARRAY_SIZE(all.v));
    return all;
}

static bool has_family(const struct party *party, enum ip_family family)
{
    return party->kind == PARTY_ENDPOINT ? party->endpoint->has_ip[family]
                                         : !party->has_ip || party->ip.family == family;
}

static bool docker_blocks(const struct party *a, const struct party *b)
{
    return a->kind == PARTY_ENDPOINT && b->kind == PARTY_ENDPOINT &&
           strcmp(a->endpoint->network_id, b->endpoint->network_id) != 0;
}

static void try_one(struct grant *grant, const struct party *subject, const struct party *other,
                    const struct traffic *traffic)
{
    bool egress = grant->direction == EGRESS;
    struct connection_verdict verdict =
        evaluate(grant->with, egress ? subject : other, egress ? other : subject, traffic);
    enum verdict own = egress ? verdict.egress.verdict : verdict.ingress.verdict;
    enum fate fate = own == VERDICT_DENY               ? DENIED
                     : verdict.verdict == VERDICT_DENY ? HALF
                     : docker_blocks(subject, other)   ? BLOCKED
                                                       : PASSES;

    if (fate > grant->fate)
        grant->fate = fate;
}

static void try_pair(struct grant *grant, const struct party *subject, const struct party *other)
{
    static const unsigned ports[] = {1, 8, 9, 10, 53, 80, 81, 443, 444, 13, 128};
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP, 47};

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        for (size_t p = 0; p < ARRAY_SIZE(protocols); p++)
            for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
                bool icmp = protocols[p] == IPPROTO_ICMP;
                struct traffic traffic = {family, icmp && family == IP6 ? IPPROTO_ICMPV6 : protocols[p],
                                          (uint16_t)ports[i]};

                if (has_family(subject, family) && has_family(other, family) &&
                    rule_ports_match(&grant->alone, &traffic) &&
                    rule_peers_match(grant->with, &grant->alone, subject, other, &traffic))
                    try_one(grant, subject, other, &traffic);
            }
}

static void try_everybody(struct grant *grant)
{
    struct parties all = everybody(grant->with->inventory);

    for (size_t s = 0; s < all.n; s++)
        for (size_t o = 0; o < all.n; o++)
            if (all.v[s].kind == PARTY_ENDPOINT && all.v[s].container != all.v[o].container &&
                selector_matches(&grant->policy->select, all.v[s].container, all.v[s].endpoint))
                try_pair(grant, &all.v[s], &all.v[o]);
}

/* ---- against what is said ----------------------------------------------------------------------------- */

static const char *said_at(const struct diags *diags, const struct source_pos *pos)
{
    for (size_t i = 0; i < diags->n; i++)
        if (diags->v[i].line == pos->line && strcmp(diags->v[i].code, "C116") >= 0)
            return diags->v[i].code;
    return "";
}

static bool means_everybody(const struct grant *grant)
{
    enum peer_kind kind = grant->alone.n_peers ? grant->alone.peers[0].kind : PEER_ANY;

    return kind == PEER_ANY || kind == PEER_OUTSIDE || kind == PEER_CONTAINERS;
}

/* The policy itself shows it: then it was said when it was read. */
static bool is_void(const struct grant *grant)
{
    for (size_t i = 0; i < grant->policy->n_rules[grant->direction]; i++) {
        const struct rule *rule = &grant->policy->rules[grant->direction][i];

        if (rule->deny && rule_covers(rule, grant->rule))
            return true;
    }
    return false;
}

static void check(const struct grant *grant, const struct diags *diags, unsigned seed, size_t *n)
{
    static const char *const codes[] = {"", "C116", "C117", "C118", ""};
    const char *want = grant->fate > DENIED && means_everybody(grant) ? "" : codes[grant->fate];
    const char *said =
        said_at(diags, grant->rule->n_peers > 1 ? &grant->alone.peers[0].pos : &grant->rule->pos);

    if (grant->fate == DENIED && !*said)
        said = said_at(diags, &grant->rule->pos);
    if (grant->fate == DENIED && !*said && is_void(grant))
        return;
    if (strcmp(said, want) != 0)
        fail_msg("world %u, line %u: '%s' is said, '%s' is so", seed, grant->rule->pos.line, said, want);
    *n += *want != '\0';
}

static void check_rule(struct grant grant, const struct diags *diags, unsigned seed, size_t *n)
{
    grant.alone = *grant.rule;
    for (size_t i = 0; i < (grant.rule->n_peers ?: 1); i++) {
        if (grant.rule->n_peers) {
            grant.alone.peers = &grant.rule->peers[i];
            grant.alone.n_peers = 1;
            if (grant.rule->peers[i].kind == PEER_DNS)
                continue;
        }
        grant.fate = UNKNOWN;
        try_everybody(&grant);
        check(&grant, diags, seed, n);
    }
}

/* Each rule and each peer gets a line of its own. */
static void number_places(struct policy_set *set)
{
    unsigned line = 0;

    for (size_t p = 0; p < set->n_policies; p++)
        for (enum direction d = 0; d < DIRECTIONS; d++)
            for (size_t r = 0; r < set->policies[p].n_rules[d]; r++) {
                struct rule *rule = &set->policies[p].rules[d][r];

                rule->pos.line = ++line;
                for (size_t i = 0; i < rule->n_peers; i++)
                    rule->peers[i].pos = (struct source_pos){"random.yaml", ++line, 1, 1};
            }
}

static void check_world(unsigned seed, size_t *n)
{
    struct world world = world_make(seed);
    struct settings *settings = settings_new();
    const struct evaluation with = {world.policies, world.inventory, settings, NULL};
    struct diags diags = {};

    settings->default_mode = seed % 4 == 0 ? MODE_AUDIT : MODE_ENFORCE;
    number_places(world.policies);
    inventory_lint(&with, &diags);
    for (size_t p = 0; p < world.policies->n_policies; p++) {
        const struct policy *policy = &world.policies->policies[p];

        for (enum direction d = 0; d < DIRECTIONS && policy->mode == MODE_ENFORCE; d++)
            for (size_t r = 0; r < policy->n_rules[d]; r++)
                if (!policy->rules[d][r].deny)
                    check_rule(
                        (struct grant){
                            .with = &with, .policy = policy, .rule = &policy->rules[d][r], .direction = d},
                        &diags, seed, n);
    }
    diags_clear(&diags);
    settings_free(settings);
    world_clear(&world);
}

static void what_is_said_is_so(void **state)
{
    size_t n = 0;

    (void)state;
    for (unsigned seed = 1; seed <= WORLDS; seed++)
        check_world(seed, &n);
    assert_true(n > WORLDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_said_is_so)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
