/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the control socket's verbs share. */
#pragma once

#include <jansson.h>

#include "control/server.h"
#include "util/diag.h"

struct daemon;

/* An error whose first line is the first error among the diagnostics. */
json_t *verb_error_of(const struct diags *diags, const char *otherwise);

/* verbs_apply.c */
json_t *verb_apply(struct daemon *daemon, const json_t *request, const struct control_peer *peer);
