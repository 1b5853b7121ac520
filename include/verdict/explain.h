/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `cofferdam explain`: may FROM open a connection to TO, and which rule, or the absence of one, decides it?
 * The decision (explain) and its wording (explanation_text) are separate; verdict/explain_json.h has it as
 * JSON.
 *
 * A connection can take several *ways*: each pair of endpoints of the two, in each family. Networks that both
 * are on come first, and where there is one, only these count: across networks Docker itself lets nothing
 * pass.
 */
#pragma once

#include "verdict/verdict.h"

#define EXPLAIN_WORD_MAX 256 /* bytes of FROM and TO that a message shows */

/* FROM or TO, after its word was looked up. */
struct explain_party {
    enum party_kind kind;
    const struct container
        *container; /* the container named, or whose address it is; may be set for PARTY_HOST */
    char *label;    /* as people say it: "web", "host", "192.0.2.7" */
    char *note;     /* what else must be said of it ("web shares the network of ..."); may be NULL */
};

struct explain_way {
    struct party from, to;
    const struct network *network_from, *network_to; /* of a PARTY_ENDPOINT, else NULL */
    enum ip_family family;
    bool shared;        /* both ends are on the same network */
    bool docker_blocks; /* whatever the policies say: across networks, or out of an internal one */
    struct traffic traffic; /* what was tried */
    struct connection_verdict decision;
};

/* Ports that are allowed, when no single port was asked about. */
struct explain_ports {
    char **v; /* "5432/tcp", "9000-9010/udp", "icmp" */
    size_t n;
};

enum explain_state {
    EXPLAIN_DECIDED,    /* the ways say it */
    EXPLAIN_ITSELF,     /* both ends are one container: what it sends itself never leaves it */
    EXPLAIN_UNENFORCED, /* no end is a container on a managed network */
    EXPLAIN_NO_NETWORK, /* one end has no network at all */
    EXPLAIN_LOOPBACK,   /* to a loopback address of the host: for this host alone, whatever the policies say */
    EXPLAIN_NO_FAMILY,  /* one end has only IPv4, the other only IPv6 */
};

struct explanation {
    enum explain_state state;
    struct explain_party from, to;
    char *port; /* as asked, or that of the container to which the port of the host leads; or NULL */
    const struct container *publisher; /* whose port is published at the one asked about, or NULL */
    const struct published_port *published;
    bool followed;        /* the question was changed to the publisher and its own port */
    char *published_note; /* what must be said of published ports; may be NULL */
    char *
        probe; /* any_port: the port whose decision the ways show, "5432/tcp"; NULL: one that no rule names */
    enum verdict verdict;     /* some way allows it */
    bool docker_blocks;       /* every allowed way is blocked by Docker itself */
    struct explain_way *ways; /* none unless EXPLAIN_DECIDED */
    size_t n_ways;
    const char *unenforced_network; /* both are on this unmanaged network as well, or NULL */
    bool any_port;                  /* no single port was asked about: allowed_ports is filled in */
    struct explain_ports allowed_ports;
    char *hint; /* what would allow it; NULL when it is allowed or nothing can */
    /* Borrowed from the caller, for the texts. */
    struct evaluation with;
};

/*
 * Looks up the words, evaluates every way. from and to: a container's name, ID or unique ID prefix, `host`,
 * or an address; port: "5432/tcp", "icmp/echo-request", a range or a protocol (then as for NULL: any port of
 * these), or NULL. Returns 0; -ENOENT: no such container; -ENOTUNIQ: the ID prefix fits several; -EINVAL: the
 * port is none. diags then says so. Everything in `with` must outlive the explanation.
 */
int explain(const struct evaluation *with, const char *from, const char *to, const char *port,
            struct explanation **ret, struct diags *diags);
struct explanation *explanation_free(struct explanation *explanation);
DEFINE_CLEANUP(struct explanation *, explanation_free);

/* What would allow what is denied: advice and a piece of YAML, several lines; or NULL. The caller frees it.
 */
char *explain_hint(const struct explanation *explanation);

/* The whole answer as text, several lines, without colour; names are as the inventory has them (not escaped).
 * The caller frees it. */
char *explanation_text(const struct explanation *explanation);

/* Why one side of a way is decided as it is, on one line: "allowed by shop-db ingress 1 (shop.yaml:12)". side
 * is the egress of the way's source or the ingress of its destination. The caller frees it. */
char *explain_side_text(const struct explanation *explanation, const struct explain_way *way,
                        enum direction direction);
