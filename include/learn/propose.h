/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A proposal: policies in `mode: audit` that would allow what a learning has seen. Pure.
 *
 * What no policy should grant only because it happened (the reasons are in src/learn/danger.c) is in it as a comment, with
 * the reason: it is *held back*. The text is then parsed, and every observation evaluated against it, as the daemon would
 * do; what it grants beyond them is listed.
 */
#pragma once

#include "learn/learn.h"

#define PROPOSAL_UNSEEN_MAX 100 /* things that were not seen; more are counted */

struct proposal_context {
    const struct learning *learning;
    const struct inventory *inventory;
    const struct policy_set *taken;      /* whose names cannot be used again; may be NULL */
    const struct policy_set *also_taken; /* the same */
    uint64_t now;                        /* seconds since 1970 */
};

struct proposal_texts {
    char **v;
    size_t n;
    size_t more; /* than are listed */
};

struct proposal {
    char *text; /* of a policy file; where nothing was seen and nobody is meant, comments alone */
    size_t n_policies;
    size_t kinds;                              /* observations */
    size_t allowed;                            /* that the text allows */
    size_t held;                               /* that it holds back */
    uint64_t connections, connections_allowed; /* or denied packets, as far as they are all there is */
    struct proposal_texts unseen;              /* what it grants, and was not seen */
    struct proposal_texts reasons; /* one for each that is held back: "shop/web -> the host 22/tcp: ..." */
    struct proposal_texts others;  /* peers that are not watched: their policies must allow it, too */
};

/* Never NULL. */
struct proposal *proposal_new(const struct proposal_context *context);
struct proposal *proposal_free(struct proposal *proposal);
DEFINE_CLEANUP(struct proposal *, proposal_free);

/* Why it should not be granted, static; NULL: nothing speaks against it. src/learn/danger.c */
const char *observation_danger(const struct observation *observation);

/* The learning and its proposal, as packaging/schemas/learn.schema.json has it. A new reference. */
json_t *proposal_to_json(const struct proposal_context *context, const struct proposal *proposal);
/* The learning alone, as in a list. A new reference. */
json_t *learning_summary_to_json(const struct learning *learning, uint64_t now);

/* ---- an existing file (src/learn/update.c) ------------------------------------------------------------ */

#define LEARN_UNUSED_SECONDS (24 * 60 * 60) /* a rule that nothing has used for so long is taken out */

struct learn_update {
    char *diff;                    /* unified; "" where nothing is to be changed */
    struct proposal_texts missing; /* kinds of connections that the file does not allow */
    struct proposal_texts unused;  /* rules: "shop-db egress 2 (shop.yaml:12)" */
};

/*
 * What would have the file, of policies enforced or staged, allow what was seen and is not held back, and little else. 0, or
 * -EBADMSG: it has mistakes, which are in diags. *ret must be zeroed, and is to be cleared in either case.
 */
int learning_update(const struct proposal_context *context, const char *path, const char *text, size_t len,
                    struct learn_update *ret, struct diags *diags);
void learn_update_clear(struct learn_update *update);
json_t *learn_update_to_json(const struct learn_update *update);
