/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A folder of evidence on the disk. Names that come from containers never become paths as they are, no link is followed,
 * and nothing that is there is written over.
 */
#pragma once

#include <sha2.h>
#include <stddef.h>

#define FOLDER_NAME_MAX 64

/* What is left of a text that can stand in a path: letters, digits, and - _ . within; never empty. The caller frees it. */
char *folder_name(const char *text);

/*
 * Makes the folder (0700), or takes the one that is there where it is empty and only its owner's, or else makes one
 * in it that is called by the time (seconds since 1970) and what. *ret_path is the caller's. 0; -ELOOP: a link; or
 * another negative errno.
 */
int folder_open(const char *path, const char *what, long long time, int *ret_fd, char **ret_path);

/*
 * Writes a new file (0600), whose digest is of what came to be in it even where that is not all. *ret_len, how much that
 * is. 0 or a negative errno; -EEXIST where there is one.
 */
int folder_write(int folder, const char *name, const void *bytes, size_t len,
                 char ret_digest[static SHA256_DIGEST_STRING_LENGTH], size_t *ret_len);
/* Makes a folder in it. 0, also where there is one, or a negative errno. */
int folder_make(int folder, const char *name);
/* Has what is called so in it, or the folder itself (NULL), on the disk. */
int folder_sync(int folder, const char *name);
