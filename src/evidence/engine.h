/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the Docker Engine says, as it says it. */
#pragma once

#include <stddef.h>

#include "policy/settings.h"

struct engine_question {
    const char *path; /* "/containers/json?all=1" */
    char *body;       /* the answer; NULL: none */
    size_t len;
    char *error; /* why there is none */
};

/* Asks all at once, for so many milliseconds in all. Fills in body or error of each, which the caller frees. */
void engine_ask(const struct settings *settings, struct engine_question *questions, size_t n, unsigned ms);
