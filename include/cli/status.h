/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of `cofferdam status` share. */
#pragma once

#include "cli/cli.h"

int status_fill(const struct cli_options *options, const struct settings *settings, json_t *request);
/* As text, of what was asked for. */
void status_show(const struct cli_options *options, const json_t *result, int exit_status, FILE *out);
/* With --watch. Returns only where it cannot go on, with an exit status. */
int status_watch(const struct cli_options *options);
