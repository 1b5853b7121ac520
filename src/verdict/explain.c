/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decision behind `cofferdam explain`: who is meant by two words, which ways lead from one to the other,
 * and what the evaluator says of each. The wording is in explain_text.c.
 */
#include "verdict/explain.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "inventory/match.h"
#include "policy/parse.h"

#define SHARED_NETWORK_HOPS                                                                                  \
    8 /* container:x whose x is container:y; a longer chain is a mistake or a loop                           \
       */
#define DNS_PORT 53
#define OTHER_PROTOCOL 253 /* for experiments (RFC 3692): stands for every protocol that has no name here */

/* ---- who is meant ------------------------------------------------------------------------------------- */

/* What a word means: one party, or the endpoints of a container. */
struct target {
    const struct container *container; /* whose endpoints are meant; NULL: the party itself */
    const struct endpoint *endpoint;   /* only this one of them, in the family of party.ip */
    struct party party;
};

static bool is_loopback(struct ip ip)
{
    return ip.family == IP4 ? ip.num >> 24 == 127 : ip.num == 1;
}

static bool is_host_address(const struct inventory *inventory, struct ip ip)
{
    for (size_t i = 0; i < inventory->n_host_addresses; i++)
        if (ip_equal(inventory->host_addresses[i], ip))
            return true;
    return is_loopback(ip);
}

/* The container in whose network this one is; NULL (and a note) when that is nobody's. */
static const struct container *network_owner(const struct inventory *inventory,
                                             const struct container *container, struct explain_party *who)
{
    const struct container *owner = container;

    for (int hops = 0; owner->mode == NETMODE_CONTAINER; hops++)
        if (hops == SHARED_NETWORK_HOPS || !owner->mode_target ||
            inventory_find(inventory, owner->mode_target, &owner) < 0) {
            who->note = xasprintf("%s shares the network of a container that is not there", container->name);
            return NULL;
        }
    if (owner != container)
        who->note = xasprintf("%s has no network of its own: it shares that of %s, whose policies count",
                              container->name, owner->name);
    return owner;
}

static void target_container(const struct inventory *inventory, const struct container *container,
                             struct explain_party *who, struct target *ret)
{
    const struct container *owner = network_owner(inventory, container, who);

    who->container = container;
    who->label = xstrdup(container->name);
    who->kind = PARTY_ENDPOINT;
    ret->container = owner ?: container;
    ret->party = (struct party){.kind = PARTY_ENDPOINT, .container = ret->container};
    if (owner && owner->mode == NETMODE_HOST) {
        free(who->note);
        who->note =
            xasprintf("%s uses the host's network: nothing is enforced for it, and to others it is the host",
                      container->name);
        who->kind = PARTY_HOST;
        ret->container = NULL;
        ret->party = (struct party){.kind = PARTY_HOST};
    } else if (owner && owner->mode == NETMODE_NONE && !who->note) {
        who->note = xasprintf("%s has no network", container->name);
    } else if (!container->running && !who->note) {
        who->note = xasprintf("%s does not run; this is what will hold when it does", container->name);
    }
}

static void target_address(const struct inventory *inventory, const char *word, struct ip ip,
                           struct explain_party *who, struct target *ret)
{
    const struct container *container;
    const struct endpoint *endpoint;

    if (inventory_owner(inventory, ip, &container, &endpoint)) {
        target_container(inventory, container, who, ret);
        free(who->label);
        who->label = xasprintf("%s (%s)", container->name, word);
        ret->endpoint = endpoint;
        ret->party.ip = ip;
        ret->party.has_ip = true;
        return;
    }
    bool host = is_host_address(inventory, ip);
    who->kind = host ? PARTY_HOST : PARTY_OUTSIDE;
    who->label = host ? xasprintf("host (%s)", word) : xstrdup(word);
    ret->party = (struct party){.kind = who->kind, .ip = ip, .has_ip = true};
}

static int resolve(const struct inventory *inventory, const char *word, struct explain_party *who,
                   struct target *ret, struct diags *diags)
{
    const struct container *container;
    struct ip ip;
    int r = strlen(word) > EXPLAIN_WORD_MAX ? -ENOENT : -EAGAIN;

    if (strcmp(word, "host") == 0) {
        who->kind = PARTY_HOST;
        who->label = xstrdup("host");
        ret->party = (struct party){.kind = PARTY_HOST};
        return 0;
    }
    if (r == -EAGAIN && *word)
        r = inventory_find(inventory, word, &container);
    if (r == 0) {
        target_container(inventory, container, who, ret);
        return 0;
    }
    if (ip_parse(word, &ip) == 0) {
        target_address(inventory, word, ip, who, ret);
        return 0;
    }
    if (r == -ENOTUNIQ) {
        diag_help(diag_add(diags, DIAG_ERROR, NULL, NULL, "several containers have an ID that begins with %s",
                           word),
                  "give more of the ID, or the name");
        return r;
    }
    diag_help(diag_add(diags, DIAG_ERROR, NULL, NULL, "no such container: %.*s", EXPLAIN_WORD_MAX, word),
              "give a container's name or ID, an IPv4 or IPv6 address, or `host`");
    return -ENOENT;
}

/* ---- the ways ----------------------------------------------------------------------------------------- */

/* One end of a way. */
struct end {
    struct party party;
    enum ip_family family;
    const struct network *network; /* NULL for host and outside */
};

struct ends {
    struct end *v;
    size_t n;
};

static void ends_clear(struct ends *ends)
{
    free(ends->v);
}

/* By ID; a container that never ran may name its networks without one. */
static const struct network *network_of(const struct inventory *inventory, const struct endpoint *endpoint)
{
    const struct network *network, *next;

    if (endpoint->network_id && *endpoint->network_id)
        return inventory_network(inventory, endpoint->network_id);
    HASH_ITER (hh, inventory->networks, network, next) {
        if (network->name && endpoint->network_name && strcmp(network->name, endpoint->network_name) == 0)
            return network;
    }
    return NULL;
}

/* A network that Cofferdam does not manage is like the rest of the world: its addresses are outside. */
static void add_endpoint(const struct inventory *inventory, const struct container *container,
                         const struct endpoint *endpoint, enum ip_family family, struct ends *ends)
{
    const struct network *network = network_of(inventory, endpoint);
    bool expected = !endpoint->id && (family == IP4 || (network && network->ipv6));
    struct end end = {.family = family, .network = network};

    if (!endpoint->has_ip[family] && !expected)
        return;
    if (network && network->managed)
        end.party = (struct party){.kind = PARTY_ENDPOINT, .container = container, .endpoint = endpoint};
    else if (endpoint->has_ip[family])
        end.party = (struct party){.kind = PARTY_OUTSIDE};
    else
        return;
    end.party.ip = endpoint->ip[family];
    end.party.has_ip = endpoint->has_ip[family];
    *ARRAY_ADD(ends->v, ends->n) = end;
}

static void target_ends(const struct inventory *inventory, const struct target *target, struct ends *ret)
{
    const struct container *container = target->container;

    if (!container) {
        for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
            if (!target->party.has_ip || target->party.ip.family == family)
                *ARRAY_ADD(ret->v, ret->n) = (struct end){.party = target->party, .family = family};
        return;
    }
    for (size_t i = 0; i < container->n_endpoints; i++) {
        const struct endpoint *endpoint = &container->endpoints[i];
        if (target->endpoint && target->endpoint != endpoint)
            continue;
        for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
            if (!target->endpoint || target->party.ip.family == family)
                add_endpoint(inventory, container, endpoint, family, ret);
    }
}

/* Docker's own rules: no traffic between its networks, none between an internal network and the outside. */
static bool docker_blocks(const struct explain_way *way)
{
    if (way->network_from && way->network_to)
        return !way->shared;
    return (way->from.kind == PARTY_OUTSIDE && way->network_to && way->network_to->internal) ||
           (way->to.kind == PARTY_OUTSIDE && way->network_from && way->network_from->internal);
}

static void drop_unshared(struct explanation *x)
{
    size_t kept = 0;

    for (size_t i = 0; i < x->n_ways; i++)
        if (x->ways[i].shared)
            x->ways[kept++] = x->ways[i];
    if (kept)
        x->n_ways = kept;
}

static void add_way(struct explanation *x, const struct end *source, const struct end *destination)
{
    struct explain_way way = {.from = source->party, .to = destination->party, .family = source->family};

    if (way.from.kind == PARTY_ENDPOINT)
        way.network_from = source->network;
    if (way.to.kind == PARTY_ENDPOINT)
        way.network_to = destination->network;
    way.shared = way.network_from && way.network_from == way.network_to;
    way.docker_blocks = docker_blocks(&way);
    *ARRAY_ADD(x->ways, x->n_ways) = way;
}

static void find_ways(struct explanation *x, const struct target *from, const struct target *to)
{
    _cleanup_(ends_clear) struct ends sources = {}, destinations = {};
    bool managed = false;

    target_ends(x->with.inventory, from, &sources);
    target_ends(x->with.inventory, to, &destinations);
    for (size_t i = 0; i < sources.n; i++)
        for (size_t j = 0; j < destinations.n; j++) {
            const struct end *source = &sources.v[i], *destination = &destinations.v[j];
            bool ours = source->party.kind == PARTY_ENDPOINT || destination->party.kind == PARTY_ENDPOINT;
            managed = managed || ours;
            if (!ours && source->network && source->network == destination->network)
                x->unenforced_network = source->network->name;
            if (ours && source->family == destination->family)
                add_way(x, source, destination);
        }
    drop_unshared(x);
    if (x->n_ways == 0)
        x->state = sources.n == 0 || destinations.n == 0 ? EXPLAIN_NO_NETWORK
                   : managed                             ? EXPLAIN_NO_FAMILY
                                                         : EXPLAIN_UNENFORCED;
}

/* ---- one port ----------------------------------------------------------------------------------------- */

/* What is tried on every way: one protocol and port, or ICMP type, which has a number in each family. */
struct probe {
    uint8_t proto[IP_FAMILIES];
    int port[IP_FAMILIES]; /* -1: nothing to try in this family */
};

static uint8_t port_proto(enum port_kind kind, enum ip_family family)
{
    switch (kind) {
    case PORT_TCP:
        return IPPROTO_TCP;
    case PORT_UDP:
        return IPPROTO_UDP;
    case PORT_SCTP:
        return IPPROTO_SCTP;
    case PORT_ICMP:
        return family == IP4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    }
    return OTHER_PROTOCOL;
}

static struct probe probe_port(enum port_kind kind, int port4, int port6)
{
    return (struct probe){.proto = {port_proto(kind, IP4), port_proto(kind, IP6)}, .port = {port4, port6}};
}

static struct connection_verdict probe_way(const struct explanation *x, const struct explain_way *way,
                                           const struct probe *probe)
{
    struct traffic traffic = {.family = way->family,
                              .proto = probe->proto[way->family],
                              .port = (uint16_t)probe->port[way->family]};

    return evaluate(&x->with, &way->from, &way->to, &traffic);
}

static bool probe_applies(const struct explain_way *way, const struct probe *probe)
{
    return probe->port[way->family] >= 0;
}

/* Does any way let it pass? *ret_sides: the most sides (0 to 2) of one way that allow it. */
static bool probe_all(const struct explanation *x, const struct probe *probe, int *ret_sides)
{
    *ret_sides = 0;
    for (size_t i = 0; i < x->n_ways; i++) {
        if (!probe_applies(&x->ways[i], probe))
            continue;
        struct connection_verdict decision = probe_way(x, &x->ways[i], probe);
        int sides = (decision.egress.verdict == VERDICT_ALLOW) + (decision.ingress.verdict == VERDICT_ALLOW);
        if (decision.verdict == VERDICT_ALLOW)
            sides = 2;
        if (sides > *ret_sides)
            *ret_sides = sides;
    }
    return *ret_sides == 2;
}

/* Keeps the ways to which the probe applies, with their decisions. */
static void decide(struct explanation *x, const struct probe *probe)
{
    size_t kept = 0;

    x->docker_blocks = true;
    for (size_t i = 0; i < x->n_ways; i++) {
        struct explain_way way = x->ways[i];
        if (!probe_applies(&way, probe))
            continue;
        way.decision = probe_way(x, &way, probe);
        if (way.decision.verdict == VERDICT_ALLOW) {
            x->verdict = VERDICT_ALLOW;
            x->docker_blocks = x->docker_blocks && way.docker_blocks;
        }
        x->ways[kept++] = way;
    }
    x->n_ways = kept;
    if (x->verdict != VERDICT_ALLOW)
        x->docker_blocks = kept > 0 && x->ways[0].docker_blocks;
}

/* ---- any port ----------------------------------------------------------------------------------------- */

/*
 * Which ports are allowed? Only the ports that some rule names can differ from their neighbours, so each
 * protocol is cut at these and one port of each piece is tried.
 */
struct survey {
    struct explanation *x;
    struct probe best;
    char *best_name;
    int best_sides;
};

struct cuts {
    unsigned *v;
    size_t n;
};

static void cuts_clear(struct cuts *cuts)
{
    free(cuts->v);
}

static int compare_unsigned(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

typedef void (*port_visitor)(const struct port *port, void *userdata);

static void visit_ports(const struct policy_set *set, port_visitor visit, void *userdata)
{
    for (size_t p = 0; p < set->n_policies; p++)
        for (enum direction d = 0; d < DIRECTIONS; d++)
            for (size_t r = 0; r < set->policies[p].n_rules[d]; r++)
                for (size_t i = 0; i < set->policies[p].rules[d][r].n_ports; i++)
                    visit(&set->policies[p].rules[d][r].ports[i], userdata);
}

struct cut_search {
    struct cuts *cuts;
    const struct port *within;
};

static void add_cuts(const struct port *port, void *userdata)
{
    struct cut_search *search = userdata;
    const struct port *within = search->within;

    if (port->kind != within->kind)
        return;
    if (port->first > within->first && port->first <= within->last)
        *ARRAY_ADD(search->cuts->v, search->cuts->n) = port->first;
    if (port->last >= within->first && port->last < within->last)
        *ARRAY_ADD(search->cuts->v, search->cuts->n) = port->last + 1u;
}

/* Takes note of a probe that comes nearer to passing than those before; takes over name. */
static bool survey_try(struct survey *survey, struct probe probe, char *name)
{
    int sides;
    bool allowed = probe_all(survey->x, &probe, &sides);

    if (sides > survey->best_sides) {
        free(survey->best_name);
        survey->best_sides = sides;
        survey->best = probe;
        survey->best_name = name;
    } else {
        free(name);
    }
    return allowed;
}

static void add_allowed(struct survey *survey, char *text)
{
    struct explain_ports *ports = &survey->x->allowed_ports;
    *ARRAY_ADD(ports->v, ports->n) = text;
}

static void add_allowed_range(struct survey *survey, enum port_kind kind, unsigned first, unsigned last)
{
    /* Port 0 is none that a policy could write. */
    struct port port = {.kind = kind, .first = (uint16_t)first, .last = (uint16_t)last};
    if (first == 0 && last < 65535)
        port.first = 1;
    if (last > 0)
        add_allowed(survey, port_text(&port));
}

/* Where one port may be decided otherwise than the one before it; sorted. */
static void find_cuts(const struct policy_set *policies, const struct port *within, struct cuts *ret)
{
    struct cut_search search = {ret, within};
    const struct port lookups = {
        .kind = within->kind, .first = DNS_PORT, .last = DNS_PORT}; /* of the peer `dns` */

    *ARRAY_ADD(ret->v, ret->n) = within->first;
    add_cuts(&lookups, &search);
    visit_ports(policies, add_cuts, &search);
    qsort(ret->v, ret->n, sizeof(*ret->v), compare_unsigned);
}

static void survey_range(struct survey *survey, const struct port *within)
{
    _cleanup_(cuts_clear) struct cuts cuts = {};
    bool open = false;
    unsigned since = 0;

    find_cuts(survey->x->with.policies, within, &cuts);
    for (size_t i = 0; i < cuts.n; i++) {
        if (i > 0 && cuts.v[i] == cuts.v[i - 1])
            continue;
        struct port one = {.kind = within->kind, .first = (uint16_t)cuts.v[i], .last = (uint16_t)cuts.v[i]};
        bool allowed = survey_try(survey, probe_port(within->kind, (int)cuts.v[i], (int)cuts.v[i]),
                                  cuts.v[i] ? port_text(&one) : NULL);
        if (allowed && !open)
            since = cuts.v[i];
        if (!allowed && open)
            add_allowed_range(survey, within->kind, since, cuts.v[i] - 1);
        open = allowed;
    }
    if (open)
        add_allowed_range(survey, within->kind, since, within->last);
}

/* ICMP types by the names that rules use, and all others as one. */
struct icmp_search {
    struct survey *survey;
    bool others; /* a type that no rule names is allowed */
    bool used[IP_FAMILIES][256];
};

static void mark_icmp(const struct port *port, void *userdata)
{
    struct icmp_search *search = userdata;
    if (port->kind != PORT_ICMP || !port->icmp_name)
        return;
    if (port->icmp4_type >= 0)
        search->used[IP4][port->icmp4_type & 0xff] = true;
    if (port->icmp6_type >= 0)
        search->used[IP6][port->icmp6_type & 0xff] = true;
}

static void try_icmp(const struct port *port, void *userdata)
{
    struct icmp_search *search = userdata;
    if (port->kind != PORT_ICMP || !port->icmp_name)
        return;

    _cleanup_free_ char *name = port_text(port);
    struct explain_ports *ports = &search->survey->x->allowed_ports;
    for (size_t i = 0; i < ports->n; i++)
        if (strcmp(ports->v[i], name) == 0)
            return;
    if (survey_try(search->survey, probe_port(PORT_ICMP, port->icmp4_type, port->icmp6_type),
                   xstrdup(name)) &&
        !search->others)
        add_allowed(search->survey, STEAL(name));
}

static int unused_type(const bool used[static 256])
{
    for (int type = 255; type >= 0; type--)
        if (!used[type])
            return type;
    return -1;
}

static void survey_icmp(struct survey *survey)
{
    struct icmp_search search = {.survey = survey};

    visit_ports(survey->x->with.policies, mark_icmp, &search);
    struct probe probe = probe_port(PORT_ICMP, unused_type(search.used[IP4]), unused_type(search.used[IP6]));
    search.others = survey_try(survey, probe, xstrdup("icmp"));
    if (search.others)
        add_allowed(survey, xstrdup("icmp"));
    visit_ports(survey->x->with.policies, try_icmp, &search);
}

/* asked: the range or protocol asked about, or NULL for everything. */
static void survey_ports(struct explanation *x, const struct port *asked)
{
    static const enum port_kind kinds[] = {PORT_TCP, PORT_UDP, PORT_SCTP};
    struct survey survey = {.x = x, .best_sides = -1};

    if (asked && asked->kind != PORT_ICMP) {
        survey_range(&survey, asked);
    } else if (asked) {
        survey_icmp(&survey);
    } else {
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
            survey_range(&survey, &(struct port){.kind = kinds[i], .first = 0, .last = 65535});
        survey_icmp(&survey);
        struct probe other = {.proto = {OTHER_PROTOCOL, OTHER_PROTOCOL}};
        if (survey_try(&survey, other, NULL))
            add_allowed(&survey, xstrdup("other protocols"));
    }
    x->any_port = true;
    x->probe = survey.best_name;
    decide(x, &survey.best);
}

/* ---- all together ------------------------------------------------------------------------------------- */

static bool is_single(const struct port *port)
{
    return port->kind == PORT_ICMP ? port->icmp_name != NULL : port->first == port->last;
}

static int parse_port(const char *text, struct port *ret, struct diags *diags)
{
    const char *why = NULL;

    if (port_parse(text, ret, &why) == 0)
        return 0;
    diag_help(diag_add(diags, DIAG_ERROR, NULL, NULL, "%s is no port: %s", text, why ?: "not understood"),
              "write it as 5432/tcp, 53/udp or icmp/echo-request");
    return -EINVAL;
}

/* The two ends are one container: its traffic to itself never leaves it. */
static bool is_itself(const struct target *from, const struct target *to)
{
    return from->container && from->container == to->container;
}

static void answer(struct explanation *x, const struct target *from, const struct target *to,
                   const struct port *port)
{
    if (is_itself(from, to))
        x->state = EXPLAIN_ITSELF;
    else
        find_ways(x, from, to);

    if (x->state != EXPLAIN_DECIDED) {
        x->verdict =
            x->state == EXPLAIN_ITSELF || x->state == EXPLAIN_UNENFORCED ? VERDICT_ALLOW : VERDICT_DENY;
    } else if (port && is_single(port)) {
        struct probe probe = port->kind == PORT_ICMP
                                 ? probe_port(PORT_ICMP, port->icmp4_type, port->icmp6_type)
                                 : probe_port(port->kind, port->first, port->first);
        decide(x, &probe);
    } else {
        survey_ports(x, port);
    }
    if (x->unenforced_network)
        x->verdict = VERDICT_ALLOW;
}

int explain(const struct evaluation *with, const char *from, const char *to, const char *port,
            struct explanation **ret, struct diags *diags)
{
    _cleanup_(explanation_freep) struct explanation *x = xnew(struct explanation);
    struct target source = {}, destination = {};
    struct port parsed;

    x->with = *with;
    x->port = xstrdup_null(port);
    /* All three are checked, so that one run shows every mistake. */
    int r = resolve(with->inventory, from, &x->from, &source, diags);
    int r2 = resolve(with->inventory, to, &x->to, &destination, diags);
    int r3 = port ? parse_port(port, &parsed, diags) : 0;
    if (r < 0 || r2 < 0 || r3 < 0)
        return r < 0 ? r : r2 < 0 ? r2 : r3;

    answer(x, &source, &destination, port ? &parsed : NULL);
    x->hint = explain_hint(x);
    *ret = STEAL(x);
    return 0;
}

static void explain_party_clear(struct explain_party *party)
{
    free(party->label);
    free(party->note);
}

struct explanation *explanation_free(struct explanation *explanation)
{
    if (!explanation)
        return NULL;
    explain_party_clear(&explanation->from);
    explain_party_clear(&explanation->to);
    for (size_t i = 0; i < explanation->allowed_ports.n; i++)
        free(explanation->allowed_ports.v[i]);
    free(explanation->allowed_ports.v);
    free(explanation->port);
    free(explanation->probe);
    free(explanation->ways);
    free(explanation->hint);
    free(explanation);
    return NULL;
}
