/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Within a proposal: the policies before they are text. */
#pragma once

#include "learn/propose.h"
#include "policy/settings.h"

/* One peer, with the ports; danger NULL: granted. */
struct draft_rule {
    enum direction direction;
    const char *danger;
    const struct observation **v; /* at least one */
    size_t n;
};

/* One policy. Its rules are sorted: those that are granted stand in the text in the same order. */
struct subject {
    struct learn_who who;
    char *name; /* of the policy */
    struct draft_rule *v;
    size_t n;
};

struct draft {
    struct subject *v;
    size_t n;
};

/* The text becomes the list's, unless it is in it already. */
void texts_add(struct proposal_texts *texts, char *text);
/* "it allows 100 % of what was seen; and 4 things that were not". The caller frees it. */
char *proposal_coverage(const struct proposal *proposal);
void texts_clear(struct proposal_texts *texts);
/* The policies for those observations that filter wants, a line each of which goes to kinds; "" without any. The caller frees
 * it. */
typedef bool (*observation_filter)(const struct observation *observation, const void *userdata);
char *proposal_body(const struct proposal_context *context, observation_filter filter, const void *userdata,
                    struct proposal_texts *kinds);

/* check.c */
/* "shop/web -> shop/db 5432/tcp". The caller frees it. */
char *observation_text(const struct observation *observation);
/* Would the set, which must be enforcing, allow it, as far as the subject's side goes? */
bool proposal_allows(const struct proposal_context *context, const struct policy_set *set,
                     const struct settings *settings, const struct observation *observation);
/* Each rule of the subject's side that is about it. */
void proposal_each_rule(const struct proposal_context *context, const struct policy_set *set,
                        const struct observation *observation,
                        void (*found)(const struct rule *rule, void *userdata), void *userdata);
/* Fills in what the body comes to. */
void proposal_check(const struct proposal_context *context, const struct draft *draft, const char *body,
                    struct proposal *proposal);
