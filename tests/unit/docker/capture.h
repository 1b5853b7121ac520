/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads captured answers of real Engines (captures/capture.sh makes them). */
#pragma once

#include <stdio.h>

#include "util/mem.h"

#define CAPTURES TEST_SOURCE_DIR "/tests/unit/docker/captures"

/* The file's bytes, with a NUL behind them; the caller frees them. Ends the program when there is no such
 * file. */
static inline char *capture_read(const char *version, const char *name, size_t *ret_len)
{
    _cleanup_free_ char *path = xasprintf(CAPTURES "/%s/%s", version, name);
    FILE *file = fopen(path, "re");
    char *bytes = NULL;
    size_t len = 0, n;

    if (!file) {
        perror(path);
        abort();
    }
    do {
        bytes = xreallocarray(bytes, len + 65537, 1);
        n = fread(bytes + len, 1, 65536, file);
        len += n;
    } while (n > 0);
    bytes[len] = '\0';
    fclose(file);
    *ret_len = len;
    return bytes;
}
