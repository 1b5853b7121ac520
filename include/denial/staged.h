/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What would become of a connection if what is only staged were enforced: policies with `mode: audit`, and containers that
 * only `default_mode: audit` lets through. Pure.
 */
#pragma once

#include <jansson.h>

#include "verdict/lock.h"
#include "verdict/verdict.h"

/* How default_mode is called among the names of policies, which have no underscore. */
#define STAGED_DEFAULT_MODE "default_mode"

/* A connection, and what became of it. Borrowed for the call. */
struct staged_question {
    const struct evaluation *with;
    const struct lock_list *locks; /* or NULL */
    struct party from, to;
    struct traffic traffic;
    enum verdict verdict;
    bool by_policy;           /* denied: policies have decided that, ... */
    enum direction direction; /* ... on this side */
};

/*
 * As the field cofferdam.staged of a record has it (docs/log.md), a new reference. NULL: nothing that is staged is about
 * its ends; or the policies have changed since, so that they do not decide any more as they did.
 */
json_t *staged_judge(const struct staged_question *question);

/* Would it be denied, and why? Of such an answer, which owns the text. */
bool staged_denies(const json_t *staged);
const char *staged_reason(const json_t *staged);
