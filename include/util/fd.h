/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File descriptors that are closed at the end of their scope:  _cleanup_close_ int fd = open(...);
 */
#pragma once

#include <unistd.h>

#include "util/mem.h"

static inline void close_fdp(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define _cleanup_close_ _cleanup_(close_fdp)
