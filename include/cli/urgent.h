/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests about lockdowns, which do not wait for a daemon that does not answer. */
#pragma once

#include <jansson.h>

#include "daemon/lock_pending.h"
#include "policy/settings.h"

#define URGENT_MS 1000 /* a daemon that has not answered by then hangs */

enum absence {
    ABSENCE_NONE, /* it has answered */
    ABSENCE_DEAD,
    ABSENCE_HUNG,
};

/* "dead", "hung"; NULL for ABSENCE_NONE. */
const char *absence_name(enum absence absence);

struct urgent {
    char request[LOCK_REQUEST_SIZE]; /* what the request is called */
    enum absence absence;
    json_t *answer; /* ABSENCE_NONE */
};

/*
 * Asks the daemon: the request gets "expires" and "request". 0; or a negative errno and why was said on stderr: this user may
 * not, or what is there is no daemon. The answer is the caller's.
 */
int cli_call_urgent(const struct settings *settings, json_t *request, struct urgent *ret);
