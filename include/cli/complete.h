/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shells' completion, by a command that is in no help: `cofferdam __complete -- WORD...`, with the words of a command
 * line that stand behind `cofferdam`, of which the last is to be completed and may be empty. A command that completes
 * its own line is asked as `VERB COMPLETE_WORD WORD...`.
 */
#pragma once

#include "cli/cli.h"

#define COMPLETE_WORD "--__complete"

/* The position of the verb's word before the last of n (at least 1) words, or -1. */
int cli_complete_verb(char **words, int n);
/* Prints what the last word could be; verb NULL: no verb stands before it. */
void cli_complete(const struct cli_verb *verb, char **words, int n);
/* Is it a command's word? cli_complete() leaves these to who has the table. */
bool cli_complete_wants_command(const struct cli_verb *verb, char **words, int n);
/* Prints the word if it starts so. */
void cli_complete_word(const char *start, const char *word, const char *summary);
