/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the children do. They tell their parent, as each thing happens:
 *
 *   {"path": TEXT}                                          where the folder is
 *   {"container": {"name", "id", "folder"}}                 whom it is about
 *   {"file": {"name", "what", "container", "size", "sha256", "taken", "whole"}}
 *   {"missing": {"what", "container", "why"}}
 */
#pragma once

#include <jansson.h>

#include "policy/settings.h"

struct collecting {
    const struct settings *settings;
    const char *directory;
    const json_t *request;
};

/* child_work, of a struct collecting. */
void collect(int pipe, void *userdata);

struct finishing {
    const char *path;
    const json_t *result; /* or NULL */
    json_t *manifest;     /* changed: the last files are added */
};

/* child_work, of a struct finishing. */
void finish(int pipe, void *userdata);

/* "2026-11-21T04:22:00.123Z", now. The caller frees it. */
char *stamp_now(void);
