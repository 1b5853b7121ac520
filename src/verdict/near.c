/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules that almost allow what is denied, and why they do not. */
#include "near.h"

#define DNS_PORT 53
#define LISTED 4 /* peers or ports of a rule; the rest is counted */

void near_rules_clear(struct near_rules *rules)
{
    free(rules->v);
    *rules = (struct near_rules){};
}

/* ---- finding ------------------------------------------------------------------------------------------ */

/* One side of a way, as its rules are asked about it. */
struct asked {
    const struct explanation *x;
    const struct explain_way *way;
    enum direction direction;
    bool by_deny_rule; /* one decides this side */
    struct near_rules *found;
};

static bool peers_match(const struct asked *asked, const struct rule *rule)
{
    return rule_peers_match(&asked->x->with, rule, side_party(asked->way, asked->direction),
                            side_peer(asked->way, asked->direction), &asked->way->traffic);
}

static bool matches(const struct asked *asked, const struct rule *rule)
{
    return rule_ports_match(rule, &asked->way->traffic) && peers_match(asked, rule);
}

static bool peer_address(const struct asked *asked, struct ip *ret)
{
    const struct party *peer = side_peer(asked->way, asked->direction);
    enum ip_family family = asked->way->family;

    *ret = peer->kind == PARTY_ENDPOINT ? peer->endpoint->ip[family] : peer->ip;
    return peer->kind == PARTY_ENDPOINT ? peer->endpoint->has_ip[family] : peer->has_ip;
}

static const struct cidr *excepting(const struct peer *peer, struct ip ip)
{
    for (size_t i = 0; i < peer->n_except; i++)
        if (cidr_contains(&peer->except[i], ip))
            return &peer->except[i];
    return NULL;
}

/* A network that has the address, and why this does not count. */
static bool find_network(const struct asked *asked, struct near_rule *near)
{
    bool outside = side_peer(asked->way, asked->direction)->kind == PARTY_OUTSIDE;
    struct ip ip;

    if (!peer_address(asked, &ip))
        return false;
    for (size_t i = 0; i < near->rule->n_peers; i++) {
        const struct peer *peer = &near->rule->peers[i];

        if (peer->kind != PEER_CIDR || !cidr_contains(&peer->cidr, ip))
            continue;
        near->miss = outside ? NEAR_EXCEPT : NEAR_INSIDE;
        near->peer = peer;
        near->except = excepting(peer, ip);
        return true;
    }
    return false;
}

/* The peer dns means port 53 alone: to another one, a rule for it is not near. */
static bool is_for_lookups_only(const struct asked *asked, const struct rule *rule)
{
    bool only = rule->n_peers > 0 && asked->way->traffic.port != DNS_PORT;

    for (size_t i = 0; only && i < rule->n_peers; i++)
        only = rule->peers[i].kind == PEER_DNS;
    return only;
}

/* How an allow rule of a policy in force misses; false: by port and by peer. */
static bool find_miss(const struct asked *asked, struct near_rule *near)
{
    bool port = rule_ports_match(near->rule, &asked->way->traffic), peer = peers_match(asked, near->rule);

    if (port && peer) {
        near->miss = NEAR_DENIED;
        return true;
    }
    if (asked->by_deny_rule || (!port && !peer) || is_for_lookups_only(asked, near->rule))
        return false;
    near->miss = peer ? NEAR_PORT : NEAR_PEER;
    if (!peer)
        find_network(asked, near);
    return true;
}

static void add_rules(const struct asked *asked, const struct policy *policy)
{
    for (size_t i = 0; i < policy->n_rules[asked->direction]; i++) {
        struct near_rule near = {.policy = policy, .rule = &policy->rules[asked->direction][i]};

        if (!near.rule->deny && find_miss(asked, &near))
            *ARRAY_ADD(asked->found->v, asked->found->n) = near;
    }
}

/* The rule by which a staged policy would allow it, if no rule of its own denies it. */
static void add_staged(const struct asked *asked, const struct policy *policy)
{
    const struct rule *allowing = NULL;

    for (size_t i = 0; i < policy->n_rules[asked->direction]; i++) {
        const struct rule *rule = &policy->rules[asked->direction][i];

        if (!matches(asked, rule))
            continue;
        if (rule->deny)
            return;
        allowing = allowing ?: rule;
    }
    if (allowing)
        *ARRAY_ADD(asked->found->v, asked->found->n) =
            (struct near_rule){.miss = NEAR_STAGED, .policy = policy, .rule = allowing};
}

static int compare_near(const void *a, const void *b)
{
    const struct near_rule *x = a, *y = b;

    if (x->miss != y->miss)
        return x->miss < y->miss ? -1 : 1;
    if (x->policy != y->policy)
        return x->policy < y->policy ? -1 : 1;
    return x->rule < y->rule ? -1 : x->rule > y->rule;
}

void near_rules_find(const struct explanation *x, const struct explain_way *way, enum direction direction,
                     struct near_rules *ret)
{
    const struct side_verdict *side = side_verdict(way, direction);
    const struct asked asked = {x, way, direction, side->reason == REASON_DENY_RULE, ret};

    if (side->verdict == VERDICT_ALLOW)
        return;
    for (size_t i = 0; i < x->with.policies->n_policies; i++) {
        const struct policy *policy = &x->with.policies->policies[i];

        if (!policy_selects(policy, side_party(way, direction)))
            continue;
        if (policy->mode == MODE_ENFORCE)
            add_rules(&asked, policy);
        else if (!asked.by_deny_rule)
            add_staged(&asked, policy);
    }
    if (ret->n > 1)
        qsort(ret->v, ret->n, sizeof(*ret->v), compare_near);
}

void near_rules_denying(const struct explanation *x, const struct explain_way *way, enum direction direction,
                        struct near_rules *ret)
{
    const struct asked asked = {.x = x, .way = way, .direction = direction};

    for (size_t i = 0; i < x->with.policies->n_policies; i++) {
        const struct policy *policy = &x->with.policies->policies[i];

        if (policy->mode != MODE_ENFORCE || !policy_selects(policy, side_party(way, direction)))
            continue;
        for (size_t r = 0; r < policy->n_rules[direction]; r++) {
            const struct rule *rule = &policy->rules[direction][r];

            if (rule->deny && matches(&asked, rule))
                *ARRAY_ADD(ret->v, ret->n) = (struct near_rule){.policy = policy, .rule = rule};
        }
    }
}

/* ---- saying ------------------------------------------------------------------------------------------- */

void write_rule(const struct policy *policy, enum direction direction, const struct rule *rule, FILE *out)
{
    _cleanup_free_ char *text = rule_text(policy, direction, rule);

    fputs(text, out);
    if (rule->pos.file)
        fprintf(out, " (%s:%u)", rule->pos.file, rule->pos.line);
}

static void write_ports(const struct rule *rule, FILE *out)
{
    for (size_t i = 0; i < rule->n_ports && i < LISTED; i++) {
        _cleanup_free_ char *text = port_text(&rule->ports[i]);
        fprintf(out, "%s%s", i ? ", " : "", text);
    }
    if (rule->n_ports > LISTED)
        fprintf(out, " and %zu more", rule->n_ports - LISTED);
}

static void write_peers(const struct rule *rule, FILE *out)
{
    for (size_t i = 0; i < rule->n_peers && i < LISTED; i++) {
        _cleanup_free_ char *text = peer_text(&rule->peers[i]);
        fprintf(out, "%s%s", i ? ", " : "", text);
    }
    if (rule->n_peers > LISTED)
        fprintf(out, " and %zu more", rule->n_peers - LISTED);
}

static void write_network(const struct near_rule *near, FILE *out)
{
    char network[CIDR_TEXT_MAX], except[CIDR_TEXT_MAX];

    cidr_format(&near->peer->cidr, network);
    if (near->miss == NEAR_EXCEPT)
        fprintf(out, " allows %s, but its except takes %s out", network, cidr_format(near->except, except));
    else
        fprintf(out, " allows %s, but a cidr never means a container or the host", network);
}

static void write_miss(const struct near_rule *near, enum direction direction, FILE *out)
{
    switch (near->miss) {
    case NEAR_DENIED:
        fputs(" would allow it, but a deny rule beats every allow", out);
        break;
    case NEAR_STAGED:
        fputs(" would allow it, but is only staged", out);
        break;
    case NEAR_EXCEPT:
    case NEAR_INSIDE:
        write_network(near, out);
        break;
    case NEAR_PORT:
        fprintf(out, " allows %s peer, but only ", near->rule->n_peers ? "this" : "every");
        write_ports(near->rule, out);
        break;
    case NEAR_PEER:
        fprintf(out, " allows %s port, but only %s ", near->rule->n_ports ? "this" : "every",
                direction == EGRESS ? "to" : "from");
        write_peers(near->rule, out);
        break;
    case NEAR_MISSES:
        break;
    }
}

const char *near_miss_name(enum near_miss miss)
{
    static const char *const names[NEAR_MISSES] = {"deny-rule", "staged", "except", "cidr", "port", "peer"};

    return names[miss];
}

char *near_rule_text(const struct near_rule *near, enum direction direction)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return xstrdup("");
    write_rule(near->policy, direction, near->rule, out);
    write_miss(near, direction, out);
    fclose(out);
    return text;
}
