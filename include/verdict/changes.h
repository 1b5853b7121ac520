/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which connections two policy sets decide differently, over the same inventory or over two that differ in nothing but the
 * containers' labels. Pure, and exact: what is not listed is
 * decided as before, and what is listed changes for each pair of its two sides, on each of its ports.
 *
 * The parties are those that the rules know: each live endpoint of a managed network, the host, and every address
 * outside (where containers of unmanaged networks are). Nobody is asked about connections to himself: where both sides
 * name one container, its own are not meant. Addresses of managed networks that are nobody's are not looked at.
 *
 * Connections that a lockdown cuts, by its exceptions or not, are no changes and are not allowed, whatever the sets say;
 * both have the same lockdowns.
 */
#pragma once

#include "verdict/verdict.h"

/* Why one side of a connection, the source's egress or the destination's ingress, says something else than before. */
enum change_reason {
    CHANGE_NONE,      /* it does not */
    CHANGE_RULE,      /* rule, of the new set, allows it, or denies it */
    CHANGE_RULE_GONE, /* rule, of the old set, did */
    CHANGE_SELECTED, /* policy, of the new set, selects the container, which default_mode: audit let pass before */
    CHANGE_UNSELECTED, /* policy, of the old set, did; none does now, and default_mode: audit lets it pass */
    CHANGE_DEFAULT_MODE, /* no policy selects it, and default_mode is another */
};

struct change_cause {
    enum change_reason reason;
    const struct policy *policy; /* NULL for CHANGE_DEFAULT_MODE */
    const struct rule *rule;     /* NULL unless it is about one */
};

struct change_member {
    const struct container *container;
    const struct endpoint *endpoint;
    const struct network *network;
};

/* One side of a change: all of these together. */
struct change_party {
    struct change_member *members; /* by name */
    size_t n_members;
    bool host; /* the host, but for host_addresses; else these of its addresses alone */
    struct ip *host_addresses;
    size_t n_host_addresses;
    struct ip_ranges outside[IP_FAMILIES];
    char **names; /* as people say it: "web", "compose shop/web (40)", "host", "internet", "10.0.0.0/8" */
    size_t n_names;
    size_t first_outside; /* of names: from here on they are those of the outside */
};

/* Every member of `from` to every member of `to`. */
struct change {
    size_t theme; /* lines with the same number differ in their sides only */
    struct change_party from, to;
    char **ports; /* "5432/tcp", "9000-9010/udp", "icmp", "other protocols"; together all that change alike */
    size_t n_ports;
    bool all_ports;  /* these are every protocol and port there is */
    bool one_family; /* both ends have both families, and only the connections of `family` change like this */
    enum ip_family family;             /* one_family */
    enum verdict old_verdict, verdict; /* the same only for changes_and_rest() */
    bool docker_blocks;                /* Docker itself lets none of them pass, whatever the policies say */
    size_t n_pairs; /* of endpoints, and of endpoints with the host or the outside, which count as one each */
    struct change_cause causes[DIRECTIONS];
};

struct changes {
    struct change *v; /* those that Docker blocks last; else by the names of their sides */
    size_t n;
    const struct container **held; /* by name: a lockdown keeps what changes for them from coming to pass */
    size_t n_held;
};

/* The sets are finished, and with their inventories outlive the changes. */
struct changes *changes_find(const struct evaluation *before, const struct evaluation *after);
/*
 * Everything that the set allows, in the fewest lines: what it changes where nothing is allowed to any container. All
 * verdicts are VERDICT_ALLOW, and no line has causes.
 */
struct changes *changes_from_nothing(const struct evaluation *with);
/* Everything that either set allows, or both do. No line has causes. */
struct changes *changes_and_rest(const struct evaluation *before, const struct evaluation *after);
struct changes *changes_free(struct changes *changes);
DEFINE_CLEANUP(struct changes *, changes_free);

/*
 * One line for each change, aligned:
 *
 *   + web -> db  5432/tcp  denied -> allowed  policies/shop.yaml:12 (shop-db ingress 1)
 *
 * Without full, long lists of names and ports, and of lines that differ in their sides only, end in "and 37 more", and
 * what Docker blocks is only counted; those whom lockdowns hold are named last. Empty when nothing changes. Characters that could play tricks are escaped. The
 * caller frees it.
 */
char *changes_text(const struct changes *changes, bool full);

/* Where the rule or policy stands that is the cause; NULL for CHANGE_DEFAULT_MODE. */
const struct source_pos *change_cause_pos(const struct change_cause *cause);
/* Why a side changed: "policies/shop.yaml:12 (shop-db ingress 1)", not escaped. The caller frees it. */
char *change_cause_text(const struct change_cause *cause, enum direction direction);
