/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policy files and the settings file, read from disk: capped, and only from regular files. What is wrong with
 * a file or its permissions is added to diags like what is wrong in it.
 */
#pragma once

#include "policy/parse.h"
#include "policy/settings.h"

/*
 * Reads a whole file. *ret has a NUL behind its *ret_len bytes (ret_len may be NULL); the caller frees it. Returns
 * 0; -EFBIG when it has more than max bytes; another negative errno.
 */
int files_read(const char *path, size_t max, char **ret, size_t *ret_len);
/* The same for what can be read from a descriptor, which stays the caller's. */
int files_read_fd(int fd, size_t max, char **ret, size_t *ret_len);

/*
 * The same for a file of our own, which is believed: -EPERM when it is none but a regular file that only root, or the
 * user who asks, may write. A symbolic link is none (-ELOOP).
 */
int files_read_own(const char *path, size_t max, char **ret, size_t *ret_len);

#define POLICY_FILES_MAX 4096 /* in one directory */

/*
 * Reads a file, or every *.yaml and *.yml file of a directory (sorted by name; those whose name begins with a
 * dot are left out), into the set. Call policy_set_finish() after the last path. Returns 0, or -EBADMSG when
 * anything was an error: the set is then not to be enforced.
 */
int files_load_policies(const char *path, struct policy_set *set, struct diags *diags);

/*
 * Reads the settings file over what settings holds. With `optional`, a file that is not there is no error.
 * Returns 0 or -EBADMSG; then settings may hold a part of the file and are not to be used.
 */
int files_load_settings(const char *path, bool optional, struct settings *settings, struct diags *diags);
