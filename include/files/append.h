/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file that lines are appended to, for logs. It is never renamed or cut off here, so that it may be append-only (chattr
 * +a); when somebody has moved it away, a new one is begun. A line that somebody has begun and not ended is ended first.
 */
#pragma once

#include <sys/types.h>

/* Of a regular file that nobody but root (or whoever this is) may write: others could write lines of their own. */
struct append_file {
    int fd; /* -1: not open */
};

/*
 * Appends a line, given with its end, in one write(2) where that is possible; makes the file with that mode, and its
 * folder, where they are missing. It need not be on the disk yet. 0; -EPERM: others may write the file, or it is no
 * regular one; another negative errno.
 */
int append_line(struct append_file *file, const char *path, mode_t mode, const char *line);
/* What was appended is on the disk: 0, or a negative errno. */
int append_sync(const struct append_file *file);
void append_close(struct append_file *file);
/* What such an error means to people: static, or until the next call. */
const char *append_why(int error);
