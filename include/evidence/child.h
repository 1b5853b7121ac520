/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Work that is given a time, and left to itself when that is over. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* Does the work; each object that it tells (child_tell()) is with its parent even if the rest never comes. */
typedef void (*child_work)(int pipe, void *userdata);
void child_tell(int pipe, json_t *object /* stolen */);

/*
 * Runs the work in a child process for at most so many milliseconds, then kills it, without waiting for its end. Returns
 * what it has told, a new reference to an array; *ret_whole: it came to its end.
 */
json_t *child_run(child_work work, void *userdata, int ms, bool *ret_whole);
