/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What would allow what is denied: advice, and a piece of YAML to copy. */
#include <stdio.h>
#include <string.h>

#include "inventory/match.h"
#include "near.h"
#include "policy/scalar.h"

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"

/* The selector that fits best: a Compose service outlives its containers, a name at least one of them. */
static void write_selector(const struct container *container, FILE *out)
{
    const char *project = container_label(container, COMPOSE_PROJECT);
    const char *service = container_label(container, COMPOSE_SERVICE);

    if (project && service) {
        _cleanup_free_ char *both = xasprintf("%s/%s", project, service), *value = yaml_scalar(both);
        fprintf(out, "{compose: %s}", value);
    } else {
        _cleanup_free_ char *value = yaml_scalar(container->name);
        fprintf(out, "{name: %s}", value);
    }
}

static bool is_name_server(const struct explanation *x, const struct explain_way *way)
{
    if (way->to.kind == PARTY_ENDPOINT || !way->to.has_ip || way->from.kind != PARTY_ENDPOINT || !x->port ||
        strncmp(x->port, "53/", 3) != 0)
        return false;

    _cleanup_free_ struct ip *servers = NULL;
    size_t n = container_name_servers(x->with.inventory, way->from.container, &servers);
    for (size_t i = 0; i < n; i++)
        if (ip_equal(servers[i], way->to.ip))
            return true;
    return false;
}

static void write_peer(const struct explanation *x, const struct explain_way *way, enum direction direction,
                       FILE *out)
{
    const struct party *peer = direction == EGRESS ? &way->to : &way->from;
    const struct container *asked = direction == EGRESS ? x->to.container : x->from.container;
    char address[IP_TEXT_MAX];

    if (direction == EGRESS && is_name_server(x, way)) {
        fputs("dns", out);
        return;
    }
    switch (peer->kind) {
    case PARTY_ENDPOINT:
        write_selector(peer->container, out);
        break;
    case PARTY_HOST:
        fputs("host", out);
        break;
    case PARTY_OUTSIDE:
        /* Out of reach until it is on a network of the other's, where it is no address outside. */
        if (asked && way->docker_blocks) {
            write_selector(asked, out);
            break;
        }
        fprintf(out, "{cidr: '%s/%u'}", ip_format(peer->ip, address), ip_bits(peer->ip.family));
        break;
    }
}

static void write_snippet(const struct explanation *x, const struct explain_way *way,
                          enum direction direction, const char *indent, FILE *out)
{
    fprintf(out, "%s- %s: [", indent, direction == EGRESS ? "to" : "from");
    write_peer(x, way, direction, out);
    fputs("]\n", out);
    if (x->any_port && !x->port)
        fprintf(out, "%s  ports: [80/tcp] # for example\n", indent);
    else
        fprintf(out, "%s  ports: [%s]\n", indent, x->port);
}

/* The same container, or one that write_selector() selects with it. */
static bool is_same_service(const struct container *a, const struct container *b)
{
    const char *project = container_label(a, COMPOSE_PROJECT), *service = container_label(a, COMPOSE_SERVICE);
    const char *project_b = container_label(b, COMPOSE_PROJECT),
               *service_b = container_label(b, COMPOSE_SERVICE);

    if (!project || !service || !project_b || !service_b)
        return a == b;
    return strcmp(project, project_b) == 0 && strcmp(service, service_b) == 0;
}

/* Does it select this container, or the containers of its service, and nobody else? */
static bool is_its_own(const struct explanation *x, const struct policy *policy, const struct party *party)
{
    const struct container *container, *next;
    bool alone = policy->mode == MODE_ENFORCE && policy_selects(policy, party);

    HASH_ITER (hh, x->with.inventory->containers, container, next) {
        if (!alone)
            break;
        if (is_same_service(container, party->container))
            continue;
        for (size_t e = 0; alone && e < container->n_endpoints; e++)
            alone = !selector_matches(&policy->select, container, &container->endpoints[e]);
    }
    return alone;
}

static bool allows_something(const struct policy *policy, enum direction direction)
{
    for (size_t i = 0; i < policy->n_rules[direction]; i++)
        if (!policy->rules[direction][i].deny)
            return true;
    return false;
}

/* The first policy that is its own and allows something: in this direction (asked is true), or in any. */
static const struct policy *find_own(const struct explanation *x, const struct party *party,
                                     enum direction direction, bool asked)
{
    const struct policy_set *set = x->with.policies;

    for (size_t i = 0; i < set->n_policies; i++) {
        const struct policy *policy = &set->policies[i];

        if ((allows_something(policy, direction) ||
             (!asked && allows_something(policy, direction == EGRESS ? INGRESS : EGRESS))) &&
            is_its_own(x, policy, party))
            return policy;
    }
    return NULL;
}

/*
 * A policy to which the rule can be added without giving it to anybody else: the one of the rule that comes nearest, else
 * one that allows something already, so not one that is there to forbid.
 */
static const struct policy *policy_of_its_own(const struct explanation *x, const struct explain_way *way,
                                              enum direction direction)
{
    const struct party *party = side_party(way, direction);
    _cleanup_(near_rules_clear) struct near_rules near = {};

    near_rules_find(x, way, direction, &near);
    for (size_t i = 0; i < near.n; i++)
        if (is_its_own(x, near.v[i].policy, party))
            return near.v[i].policy;
    return find_own(x, party, direction, true) ?: find_own(x, party, direction, false);
}

static bool name_taken(const struct policy_set *set, const char *name)
{
    for (size_t i = 0; i < set->n_policies; i++)
        if (strcmp(set->policies[i].name, name) == 0)
            return true;
    return false;
}

/* A name for a new policy: the container's, as far as a policy's name may look like it, with a number if need
 * be. */
static char *new_policy_name(const struct policy_set *set, const struct container *container)
{
    char base[48] = "";
    size_t len = 0;

    for (const char *c = container->name; *c && len < sizeof(base) - 1; c++) {
        char low = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
        bool word = (low >= 'a' && low <= 'z') || (low >= '0' && low <= '9');
        if (word || (len > 0 && base[len - 1] != '-'))
            base[len++] = word ? low : '-';
    }
    while (len > 0 && base[len - 1] == '-')
        len--;
    base[len] = '\0';
    char *name = xstrdup(len ? base : "new");
    for (unsigned i = 2; name_taken(set, name); i++) {
        free(name);
        name = xasprintf("%s-%u", len ? base : "new", i);
    }
    return name;
}

/* The rule to add, and where. */
static void write_addition(const struct explanation *x, const struct explain_way *way,
                           enum direction direction, const char *intro, FILE *out)
{
    const struct party *party = side_party(way, direction);
    const struct policy *policy = policy_of_its_own(x, way, direction);

    if (policy) {
        fprintf(out, "%s, add to policy %s", intro, policy->name);
        if (policy->pos.file)
            fprintf(out, " (%s:%u)", policy->pos.file, policy->pos.line);
        fprintf(out, ", under %s:\n", direction_name(direction));
        write_snippet(x, way, direction, "    ", out);
        return;
    }
    _cleanup_free_ char *name = new_policy_name(x->with.policies, party->container);
    fprintf(out, "%s, add this policy:\n    policy: %s\n    select: ", intro, name);
    write_selector(party->container, out);
    fprintf(out, "\n    %s:\n", direction_name(direction));
    write_snippet(x, way, direction, "      ", out);
}

/* All of them: one that is left denies it still. */
static void write_removal(const struct near_rules *denying, enum direction direction, const char *intro,
                          FILE *out)
{
    fprintf(out, "%s, remove or narrow the deny rule%s ", intro, denying->n == 1 ? "" : "s");
    for (size_t i = 0; i < denying->n; i++) {
        fputs(i == 0 ? "" : i + 1 == denying->n ? " and " : ", ", out);
        write_rule(denying->v[i].policy, direction, denying->v[i].rule, out);
    }
    fputs(": a deny rule beats every allow.\n", out);
}

static void write_staged(const struct near_rules *near, FILE *out)
{
    for (size_t i = 0; i < near->n; i++) {
        const struct policy *policy = near->v[i].policy;

        if (near->v[i].miss != NEAR_STAGED)
            continue;
        fprintf(out, "Or put policy %s in force, with all its rules: take its `mode: audit` out",
                policy->name);
        if (policy->pos.file)
            fprintf(out, " (%s:%u)", policy->pos.file, policy->pos.line);
        fputs(".\n", out);
        return;
    }
}

static void write_side_hint(const struct explanation *x, const struct explain_way *way,
                            enum direction direction, const char *intro, FILE *out)
{
    _cleanup_(near_rules_clear) struct near_rules near = {}, denying = {};

    if (side_verdict(way, direction)->reason != REASON_DENY_RULE) {
        write_addition(x, way, direction, intro, out);
        near_rules_find(x, way, direction, &near);
        write_staged(&near, out);
        return;
    }
    near_rules_denying(x, way, direction, &denying);
    write_removal(&denying, direction, intro, out);
    near_rules_find(x, way, direction, &near);
    if (near.n == 0)
        write_addition(x, way, direction, "No rule allows it either: besides", out);
}

/* What has to change for this way; what Docker blocks, policies cannot open. */
static int lacks(const struct explain_way *way)
{
    return 4 * way->docker_blocks + (way->decision.egress.verdict == VERDICT_DENY) +
           (way->decision.ingress.verdict == VERDICT_DENY);
}

static const struct explain_way *nearest_way(const struct explanation *x)
{
    const struct explain_way *nearest = &x->ways[0];

    for (size_t i = 1; i < x->n_ways; i++)
        if (lacks(&x->ways[i]) < lacks(nearest))
            nearest = &x->ways[i];
    return nearest;
}

char *explain_hint(const struct explanation *x)
{
    char *text = NULL;
    size_t len;

    if (x->verdict == VERDICT_ALLOW || x->n_ways == 0)
        return NULL;
    /* Another port than the one asked about is meant: this one need not be opened. */
    if (x->published && !x->followed && x->to.kind == PARTY_ENDPOINT)
        return NULL;
    const struct explain_way *way = nearest_way(x);
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    bool egress = way->decision.egress.verdict == VERDICT_DENY;
    bool ingress = way->decision.ingress.verdict == VERDICT_DENY;
    if (egress)
        write_side_hint(x, way, EGRESS, "To allow it", out);
    if (ingress)
        write_side_hint(x, way, INGRESS, egress ? "For the other side" : "To allow it", out);
    fclose(out);
    return text;
}
