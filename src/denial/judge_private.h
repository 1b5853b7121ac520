/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a record is made of, between the two files that make it. */
#pragma once

#include "denial/judge.h"

enum end_kind { END_CONTAINER, END_HOST, END_OUTSIDE, END_UNKNOWN };

struct end {
    enum end_kind kind;
    const struct container *container;
    const struct endpoint *endpoint;
    bool managed; /* the endpoint is on a managed network */
    struct ip ip;
    bool has_ip;
};

struct judged {
    const struct denied_packet *packet;
    const struct denial_context *context;
    struct end source, destination;
    const struct end *subject; /* who is denied something; NULL: nobody that is known */
    bool by_policy;            /* its policies deny it, in this direction */
    enum direction direction;
    struct side_verdict side;
    struct {
        struct side_verdict verdict;
        enum lock_fate fate; /* what lockdowns say of it */
    } sides[DIRECTIONS];     /* of what was allowed */
    json_t *staged;          /* staged_judge() of it */
};

/* judge.c */
/* Escaped, as names come from others; nothing for NULL. */
void judge_put(json_t *object, const char *key, const char *text);
json_t *judge_child(json_t *object, const char *key);
struct party judge_party(const struct end *end);
struct traffic judge_traffic(const struct denied_packet *packet);
/* By its name, or as "egress 2". The caller frees it. */
char *judge_rule_name(const struct rule *rule, enum direction direction);

/* allowed.c: of what was allowed */
/* What both of its ends say to it. Its subject is the source if that is a container, else the destination. */
void judge_sides(struct judged *judged);
/* Those that select either end: a new reference. */
json_t *judge_both_policies(const struct judged *judged);
void judge_put_rule(json_t *rule, const struct judged *judged);
void judge_put_sides(json_t *own, const struct judged *judged);
/* The caller frees it. */
char *judge_allowed_reason(const struct judged *judged);
