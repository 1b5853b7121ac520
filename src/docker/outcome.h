/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside the client: what became of a request, as an errno and in words. */
#pragma once

#include <curl/curl.h>

#include "docker/client.h"

/* What a request was, for the words. */
struct attempt {
    const char *socket;
    const char *path;
    unsigned timeout_ms;
};

struct outcome {
    int error; /* as in struct docker_reply */
    unsigned status;
    char *message; /* NULL when error is 0 */
};

/* body: what came so far. too_large: it was cut off by us. */
struct outcome outcome_of(const struct attempt *attempt, CURL *easy, CURLcode code, const char *body,
                          size_t len, bool too_large);
struct outcome outcome_timed_out(const struct attempt *attempt);
void outcome_clear(struct outcome *outcome);
