/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Learnings on disk (LEARN_STATE_FILE), so that they survive the daemon and the host. A codec: text in and out.
 *
 * {"format_version": "1.0", "checksum": "a430d84680aabd0b", "saved": N, "learnings": [{"targets": [LOCK], "by": TEXT | null,
 *  "since", "until", "ended", "new_at", "blind", "left_out": N, "observations": [OBSERVATION]}]}
 *
 * Times are seconds since 1970; a LOCK is one as lock_to_json() has it.
 */
#pragma once

#include "learn/learn.h"

#define LEARN_STATE_FILE "learn.json"
#define LEARN_STATE_MAX (64 * 1024 * 1024) /* bytes */

struct learnings {
    struct learning **v;
    size_t n;
};

struct learnings *learnings_new(void);
struct learnings *learnings_free(struct learnings *list);
DEFINE_CLEANUP(struct learnings *, learnings_free);
void learnings_add(struct learnings *list, struct learning *learning);
/* The one of this title, or NULL. */
struct learning *learnings_find(const struct learnings *list, const char *title);
/* Frees it, too. */
void learnings_remove(struct learnings *list, struct learning *learning);

/* saved: now. The caller frees the text. */
char *learn_state_format(const struct learnings *list, uint64_t saved);
/*
 * now: the time since which it was saved counts as blind for those that went on. 0, or -EBADMSG: damaged, or a later
 * version's; *ret is then unchanged.
 */
int learn_state_parse(const char *text, size_t len, uint64_t now, struct learnings **ret);

/* One observation, as `cofferdam learn --json` has it as well. A new reference. */
json_t *observation_to_json(const struct observation *observation);
/* The words of the JSON: "compose", "egress". */
const char *learn_kind_name(enum learn_kind kind);
