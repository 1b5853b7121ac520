/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of `cofferdam status` share. */
#pragma once

#include "cli/cli.h"

int status_fill(const struct cli_options *options, const struct settings *settings, json_t *request);
/* With --watch. Returns only where it cannot go on, with an exit status. */
int status_watch(const struct cli_options *options);
