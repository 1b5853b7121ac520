/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which ports must be tried so that none is left out. */
#include <netinet/in.h>
#include <string.h>

#include "ways.h"

#define DNS_PORT 53
#define OTHER_PROTOCOL 253 /* for experiments (RFC 3692): stands for every protocol that has no name here */

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

static struct probe probe_number(enum port_kind kind, int port4, int port6)
{
    return (struct probe){.proto = {port_proto(kind, IP4), port_proto(kind, IP6)}, .port = {port4, port6}};
}

struct probe probe_of_port(const struct port *port)
{
    return port->kind == PORT_ICMP ? probe_number(PORT_ICMP, port->icmp4_type, port->icmp6_type)
                                   : probe_number(port->kind, port->first, port->first);
}

struct traffic probe_traffic(const struct probe *probe, enum ip_family family)
{
    return (struct traffic){
        .family = family, .proto = probe->proto[family], .port = (uint16_t)probe->port[family]};
}

struct connection_verdict probe_way(const struct evaluation *with, const struct explain_way *way,
                                    const struct probe *probe)
{
    struct traffic traffic = probe_traffic(probe, way->family);

    return evaluate(with, &way->from, &way->to, &traffic);
}

bool probe_applies(const struct explain_way *way, const struct probe *probe)
{
    return probe->port[way->family] >= 0;
}

/* ---- numbers ------------------------------------------------------------------------------------------ */

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

/* Whose rules may tell ports apart: those of all policies, those that judge one way, or just these. */
struct judges {
    const struct policy_set *policies;
    const struct explain_way *way;   /* NULL: all policies */
    bool lookups;                    /* they say `dns`, which means port 53 without naming it */
    const struct rule *const *rules; /* instead of the policies */
    size_t n_rules;
};

static void visit_rule(const struct rule *rule, port_visitor visit, void *userdata)
{
    for (size_t i = 0; i < rule->n_ports; i++)
        visit(&rule->ports[i], userdata);
}

static void visit_rules(const struct policy *policy, enum direction direction, port_visitor visit,
                        void *userdata)
{
    for (size_t r = 0; r < policy->n_rules[direction]; r++)
        visit_rule(&policy->rules[direction][r], visit, userdata);
}

static void visit_side(const struct judges *judges, enum direction direction, port_visitor visit,
                       void *userdata)
{
    const struct party *party = direction == EGRESS ? &judges->way->from : &judges->way->to;

    for (size_t i = 0; party->selection && i < party->selection->n; i++)
        visit_rules(party->selection->v[i], direction, visit, userdata);
}

static void visit_ports(const struct judges *judges, port_visitor visit, void *userdata)
{
    for (size_t i = 0; i < judges->n_rules; i++)
        visit_rule(judges->rules[i], visit, userdata);
    for (enum direction d = 0; d < DIRECTIONS; d++) {
        if (judges->way)
            visit_side(judges, d, visit, userdata);
        for (size_t p = 0; judges->policies && !judges->way && p < judges->policies->n_policies; p++)
            visit_rules(&judges->policies->policies[p], d, visit, userdata);
    }
}

bool policy_asks_dns(const struct policy *policy)
{
    for (size_t r = 0; r < policy->n_rules[EGRESS]; r++)
        for (size_t i = 0; i < policy->rules[EGRESS][r].n_peers; i++)
            if (policy->rules[EGRESS][r].peers[i].kind == PEER_DNS)
                return true;
    return false;
}

static bool may_ask_dns(const struct judges *judges)
{
    const struct selection *selection = judges->way ? judges->way->from.selection : NULL;

    for (size_t i = 0; selection && i < selection->n; i++)
        if (policy_asks_dns(selection->v[i]))
            return true;
    for (size_t i = 0; !judges->way && i < judges->policies->n_policies; i++)
        if (policy_asks_dns(&judges->policies->policies[i]))
            return true;
    return false;
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

/* Where one port may be decided otherwise than the one before it; sorted. */
static void find_cuts(const struct judges *judges, const struct port *within, struct cuts *ret)
{
    struct cut_search search = {ret, within};
    const struct port lookups = {.kind = within->kind, .first = DNS_PORT, .last = DNS_PORT};

    *ARRAY_ADD(ret->v, ret->n) = within->first;
    if (judges->lookups)
        add_cuts(&lookups, &search);
    visit_ports(judges, add_cuts, &search);
    qsort(ret->v, ret->n, sizeof(*ret->v), compare_unsigned);
}

static void add_piece(struct pieces *pieces, struct port port)
{
    *ARRAY_ADD(pieces->v, pieces->n) = (struct piece){.port = port, .probe = probe_of_port(&port)};
}

static void cut_range(const struct judges *judges, const struct port *within, struct pieces *pieces)
{
    _cleanup_(cuts_clear) struct cuts cuts = {};

    find_cuts(judges, within, &cuts);
    for (size_t i = 0; i < cuts.n; i++) {
        struct port port = *within;

        if (i > 0 && cuts.v[i] == cuts.v[i - 1])
            continue;
        port.first = (uint16_t)cuts.v[i];
        for (size_t next = i + 1; next < cuts.n && port.last == within->last; next++)
            if (cuts.v[next] != cuts.v[i])
                port.last = (uint16_t)(cuts.v[next] - 1);
        add_piece(pieces, port);
    }
}

/* ---- ICMP types: by the names that rules use, and all others as one ------------------------------------ */

struct icmp_search {
    struct pieces *pieces;
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

static void add_icmp(const struct port *port, void *userdata)
{
    struct icmp_search *search = userdata;

    if (port->kind != PORT_ICMP || !port->icmp_name)
        return;
    for (size_t i = 0; i < search->pieces->n; i++) {
        const struct port *known = &search->pieces->v[i].port;

        if (known->kind == PORT_ICMP && known->icmp_name && strcmp(known->icmp_name, port->icmp_name) == 0)
            return;
    }
    add_piece(search->pieces, *port);
}

static int unused_type(const bool used[static 256])
{
    for (int type = 255; type >= 0; type--)
        if (!used[type])
            return type;
    return -1;
}

static void cut_icmp(const struct judges *judges, struct pieces *pieces)
{
    struct icmp_search search = {.pieces = pieces};

    visit_ports(judges, mark_icmp, &search);
    *ARRAY_ADD(pieces->v, pieces->n) = (struct piece){
        .port = {.kind = PORT_ICMP, .icmp4_type = -1, .icmp6_type = -1},
        .probe = probe_number(PORT_ICMP, unused_type(search.used[IP4]), unused_type(search.used[IP6]))};
    visit_ports(judges, add_icmp, &search);
}

char *piece_text(const struct piece *piece)
{
    struct port port = piece->port;

    if (piece->other)
        return xstrdup("other protocols");
    if (port.kind != PORT_ICMP && port.first == 0 && port.last < 65535)
        port.first = 1;
    return port_text(&port);
}

/* ---- all together ------------------------------------------------------------------------------------- */

void pieces_clear(struct pieces *pieces)
{
    free(pieces->v);
    *pieces = (struct pieces){};
}

static void find_all(const struct judges *judges, struct pieces *ret)
{
    static const enum port_kind kinds[] = {PORT_TCP, PORT_UDP, PORT_SCTP};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        cut_range(judges, &(struct port){.kind = kinds[i], .last = 65535}, ret);
    cut_icmp(judges, ret);
    *ARRAY_ADD(ret->v, ret->n) =
        (struct piece){.other = true, .probe = {.proto = {OTHER_PROTOCOL, OTHER_PROTOCOL}}};
}

void pieces_of_rules(const struct rule *const *rules, size_t n, bool lookups, struct pieces *ret)
{
    const struct judges judges = {.rules = rules, .n_rules = n, .lookups = lookups};

    *ret = (struct pieces){};
    find_all(&judges, ret);
}

void pieces_find(const struct policy_set *policies, const struct explain_way *way, const struct port *asked,
                 struct pieces *ret)
{
    struct judges judges = {.policies = policies, .way = way};

    judges.lookups = may_ask_dns(&judges);
    *ret = (struct pieces){};
    if (asked && asked->kind == PORT_ICMP && asked->icmp_name)
        add_piece(ret, *asked);
    else if (asked && asked->kind == PORT_ICMP)
        cut_icmp(&judges, ret);
    else if (asked)
        cut_range(&judges, asked, ret);
    else
        find_all(&judges, ret);
}
