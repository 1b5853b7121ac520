/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy model: what the policy files say, after parsing and checking and before any container is looked
 * at. A policy set is a plain value. The parser makes it; the compiler, the evaluator and the commands read
 * it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"
#include "util/diag.h"

/* ---- ports -------------------------------------------------------------------------------------------- */

/*
 * Traffic classes as an operator names them. A list of them is a union; an empty list with `all` set in the
 * rule means every protocol and port.
 */
enum port_kind {
    PORT_TCP,  /* first..last */
    PORT_UDP,  /* first..last */
    PORT_SCTP, /* first..last */
    PORT_ICMP, /* ICMP and ICMPv6: every type, or the one named type */
};

struct port {
    enum port_kind kind;
    uint16_t first, last;       /* 0..65535 when the protocol stands alone ("tcp"); unused for PORT_ICMP */
    const char *icmp_name;      /* static; NULL: every type */
    int icmp4_type, icmp6_type; /* -1: this family has no such type */
};

/* ---- who ---------------------------------------------------------------------------------------------- */

#define LABEL_KEY_MAX 255    /* bytes */
#define LABEL_VALUE_MAX 1024 /* bytes */

/* label equals glob; value NULL: the container has no such label */
struct label_match {
    char *key;
    char *value;
    bool literal; /* value is compared as it is (made from `same:`), not as a glob */
};

/* Every part that is set must match (AND). At least one is. */
struct selector {
    bool all;
    char *compose_project;
    char *compose_service;      /* NULL: every service of the project */
    char *name;                 /* glob */
    char *image;                /* glob */
    char *network;              /* exact name; only the endpoint on it is meant */
    struct label_match *labels; /* by key */
    size_t n_labels;
    struct source_pos pos;
};

enum peer_kind {
    PEER_SELECTOR, /* containers */
    PEER_SAME,     /* containers with the subject's own value of label `same` */
    PEER_CIDR,     /* addresses outside the containers and the host */
    PEER_ANY,
    PEER_INTERNET,
    PEER_OUTSIDE,
    PEER_HOST,
    PEER_CONTAINERS,
    PEER_DNS, /* egress, allow only */
};

struct peer {
    enum peer_kind kind;
    struct selector selector; /* PEER_SELECTOR */
    char *same;               /* PEER_SAME */
    struct cidr cidr;         /* PEER_CIDR */
    struct cidr *except;      /* PEER_CIDR, each within cidr; by address */
    size_t n_except;
    struct source_pos pos;
};

/* ---- policies ----------------------------------------------------------------------------------------- */

enum direction { INGRESS, EGRESS, DIRECTIONS };

struct rule {
    char *name;     /* may be NULL */
    unsigned index; /* from 1, within its policy and direction */
    bool deny;
    struct peer *peers; /* n_peers 0: any peer at all */
    size_t n_peers;
    struct port *ports; /* n_ports 0: every protocol and port */
    size_t n_ports;
    struct source_pos pos;
};

enum policy_mode { MODE_ENFORCE, MODE_AUDIT };

struct policy {
    char *name;
    char *description; /* may be NULL */
    unsigned version;
    enum policy_mode mode;
    bool reject;
    struct selector select;
    struct rule *rules[DIRECTIONS];
    size_t n_rules[DIRECTIONS];
    struct source_pos pos;
};

/* One line of an `expect` document: each of from to each of to, on each of ports, must have that verdict. */
struct expectation {
    bool allowed;
    struct peer *from, *to; /* never PEER_SAME or PEER_DNS */
    size_t n_from, n_to;
    struct port *ports; /* n_ports 0: on any port (allowed: on every port; denied: on none) */
    size_t n_ports;
    struct source_pos pos;
};

struct expect {
    char *name;
    struct expectation *v;
    size_t n;
    struct source_pos pos;
};

/* A file that was read, exactly as it was. */
struct policy_file {
    char *path;
    char *text; /* with a NUL behind its bytes */
    size_t len;
};

struct policy_set {
    struct policy *policies; /* sorted by name after policy_set_finish() */
    size_t n_policies;
    struct expect *expects;
    size_t n_expects;
    struct policy_file *files; /* own the paths that every source_pos borrows */
    size_t n_files;
    bool finished;          /* policy_set_finish() found no error in it */
    struct seen_name *seen; /* the parser's: every policy name met, those of policies with errors included */
};

struct policy_set *policy_set_new(void);
struct policy_set *policy_set_free(struct policy_set *set); /* NULL-safe; returns NULL */
DEFINE_CLEANUP(struct policy_set *, policy_set_free);

void policy_files_free(struct policy_file *files, size_t n);
void selector_clear(struct selector *selector);
void peer_clear(struct peer *peer);
struct selector selector_copy(const struct selector *selector);

/* "compose: shop/web, name: web-*": the selector as it would be written on one line. The caller frees it. */
char *selector_text(const struct selector *selector);
/* The peer as it would be written on one line: "host", "cidr: 10.0.0.0/8 except 10.1.0.0/16", "compose:
 * shop". */
char *peer_text(const struct peer *peer);
/* "5432/tcp", "9000-9010/udp", "tcp", "icmp", "icmp/echo-request". The caller frees it. */
char *port_text(const struct port *port);
/* "shop-db egress 2", or "shop-db egress no-metadata" where the rule has a name. The caller frees it. */
char *rule_text(const struct policy *policy, enum direction direction, const struct rule *rule);
const char *direction_name(enum direction direction);
