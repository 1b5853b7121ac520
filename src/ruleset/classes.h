/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Class chains and peer sets: the part of the ruleset that follows from the policies.
 */
#pragma once

#include "grant.h"
#include "ruleset/delta.h"
#include "ruleset/ruleset.h"
#include "skeleton.h"

/* The live addresses of the containers that one expression means. */
struct peer_set {
    char *key;                     /* expression_key() */
    struct peer_expression who;    /* its selectors are owned by the set */
    struct set *sets[IP_FAMILIES]; /* in table inet; owned by the ruleset */
    UT_hash_handle hh;             /* by key */
};

/* What a class has for each dispatch map: a chain of the ruleset, or NULL where the map's drop says it all.
 */
struct class
{
    char *key;
    const struct chain *chains[DISPATCHES];
    const struct chain
        *locks[DISPATCHES]; /* of a lock's class: what is asked before anything else (lockdown.h) */
    char **peers;           /* the same: the containers that its exceptions name */
    size_t n_peers;
    bool too_many_rules; /* over GRANTS_MAX: nothing is granted */
    UT_hash_handle hh;   /* by key */
};

struct class_context {
    struct ruleset *ruleset;
    struct peer_set **peer_sets; /* the table of all, to which new ones are added */
    struct delta *delta;         /* NULL: the ruleset alone changes */
    /* Called for each new peer set, to put the members in that are live already. */
    void (*fill)(struct peer_set *set, void *userdata);
    void *userdata;
};

/* Makes the chains and peer sets that the subject's rules need; returns false over GRANTS_MAX. With allow_all
 * (no enforcing policy and default_mode audit) everything is granted. */
bool class_build(const struct class_context *context, struct subject *subject, bool allow_all,
                 struct class *ret);

/* What grants are written with, as rules of one chain. */
struct writer {
    const struct class_context *context;
    struct chain *chain;
    enum dispatch dispatch;
    enum table_verdict verdict;
    const bool *families;
    bool any_service;   /* whatever the grants' protocols and ports */
    unsigned ct_states; /* 0: of any state */
};

bool dispatch_is_egress(enum dispatch dispatch);
/* Those grants that are of the writer's dispatch. */
void write_grants(const struct writer *writer, const struct grants *grants);
/*
 * The chain of exactly this content: one that stands already, or a new one, named after its subject and content with
 * this word in front. The content is used up.
 */
const struct chain *chain_publish(const struct class_context *context, const struct subject *subject,
                                  const char *word, struct chain *content);

bool expression_matches(const struct peer_expression *who, const struct container *container,
                        const struct endpoint *endpoint);
struct peer_set *peer_set_free(struct peer_set *set);
