/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lockdowns in the state directory (LOCK_STATE_FILE), so that they survive the daemon and the host. A codec: text in
 * and out.
 *
 * {"format_version": "1.0", "checksum": "a430d84680aabd0b",
 *  "locks": [{"id", "name", "project", "service", "number", "select", "except": [TEXT], "address", "interface",
 *             "direction": "in"|"out"|"both", "allow": [TEXT], "reason", "by", "since", "until", "boot", "boot_until",
 *             "request"}],
 *  "requests": [TEXT], "requests_checksum"}
 *
 * requests are those that were carried out lately; both keys are absent where there are none. since and until are seconds
 * since 1970, boot_until microseconds of CLOCK_BOOTTIME; texts that are not there are null.
 * Whoever cannot read it must not take it for an empty list.
 */
#pragma once

#include "verdict/lock.h"

#define LOCK_STATE_FILE "lockdown.json"
#define LOCK_STATE_MAX (16 * 1024 * 1024) /* bytes */

/* The caller frees the text. */
char *lock_state_format(const struct lock_list *list);
/* 0, or -EBADMSG: damaged, or a later version's; *ret is then unchanged. */
int lock_state_parse(const char *text, size_t len, struct lock_list **ret);
