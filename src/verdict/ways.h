/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways that a connection can take: each pair of ends of the two who talk, in each family. Shared by `explain` and
 * by the test of expectations.
 */
#pragma once

#include "verdict/explain.h"

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

void ends_clear(struct ends *ends);

/* The container in whose network this one is, which may be itself; NULL when that is nobody's. */
const struct container *container_network_owner(const struct inventory *inventory,
                                                const struct container *container);

/* Managed, and where the rules are. network may be NULL. */
bool network_is_enforced(const struct inventory *inventory, const struct network *network);

/*
 * Adds the ends of one endpoint in this family, if it has any. A network that Cofferdam does not manage is like the
 * rest of the world: its addresses are outside.
 */
void ends_add_endpoint(const struct inventory *inventory, const struct container *container,
                       const struct endpoint *endpoint, enum ip_family family, struct ends *ends);

/* From one end to another of the same family, without a decision yet. */
struct explain_way way_between(const struct end *from, const struct end *to);

/* ---- what is tried on a way --------------------------------------------------------------------------- */

/* One protocol and port, or ICMP type, which has a number in each family. */
struct probe {
    uint8_t proto[IP_FAMILIES];
    int port[IP_FAMILIES]; /* -1: nothing to try in this family */
};

struct probe probe_of_port(const struct port *port);
struct traffic probe_traffic(const struct probe *probe, enum ip_family family);
struct connection_verdict probe_way(const struct evaluation *with, const struct explain_way *way,
                                    const struct probe *probe);
bool probe_applies(const struct explain_way *way, const struct probe *probe);

/*
 * Ports that no policy of the set tells apart, so that one of them stands for all. Only the ports that some rule names
 * can differ from their neighbours, so each protocol is cut at these.
 */
struct piece {
    struct port port; /* PORT_ICMP without a name: every type that no rule names */
    bool other;       /* every protocol that has no name here; port means nothing then */
    struct probe probe;
};

struct pieces {
    struct piece *v; /* in the order tcp, udp, sctp, icmp, other; ports ascend */
    size_t n;
};

void pieces_clear(struct pieces *pieces);
/* Does one of its rules have the peer `dns`? */
bool policy_asks_dns(const struct policy *policy);
/* "5432/tcp", "1-442/tcp", "icmp/echo-request", "other protocols". The caller frees it. */
char *piece_text(const struct piece *piece);
/*
 * asked: a port, a range or a protocol; NULL: everything. way: only what can be told apart on this one, whose parties
 * know the policies that select them; NULL: on any.
 */
void pieces_find(const struct policy_set *policies, const struct explain_way *way, const struct port *asked,
                 struct pieces *ret);
/* All ports, told apart by these rules alone; lookups: and port 53, which some of them mean without naming it. */
void pieces_of_rules(const struct rule *const *rules, size_t n, bool lookups, struct pieces *ret);
