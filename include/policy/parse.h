/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policy files and the host's settings: bytes in, model and diagnostics out. Nothing here opens a file.
 */
#pragma once

#include "policy/codes.h"
#include "policy/model.h"

#define POLICY_FILE_MAX (256 * 1024) /* bytes */
#define YAML_DEPTH_MAX 32

/*
 * Parses one file's bytes and adds its documents, and a copy of the bytes, to the set. Every error that can be found is added to diags,
 * with file as the name shown. Returns 0, or -EBADMSG when anything was an error; the set is then not to be
 * enforced.
 */
int policy_parse(struct policy_set *set, const char *file, const char *bytes, size_t len,
                 struct diags *diags);

/*
 * Checks what only the whole set shows (policy names used twice) and sorts it. Call once, after the last
 * file, also after errors. Returns 0 or -EBADMSG.
 */
int policy_set_finish(struct policy_set *set, struct diags *diags);

/*
 * Adds a diagnostic about a place in one of the set's files, with its source line, and returns it as diag_add() does.
 * pos is one that the set's model holds. What the whole set, or an inventory, shows is reported with this.
 */
struct diag *policy_report(const struct policy_set *set, struct diags *diags, enum policy_code code,
                           const struct source_pos *pos, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Parses "5432/tcp", "icmp/echo-request" and so on as in `ports:`. 0, or -EINVAL with *ret_why (static) set.
 */
int port_parse(const char *text, struct port *ret, const char **ret_why);
/* The name of the ICMP type with this index; NULL after the last. */
const char *icmp_type_name(size_t index);
