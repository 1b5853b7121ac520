/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The labels that were given to containers, as JSON: in the state directory (LABEL_STATE_FILE), so that they survive the
 * daemon and the host, and in answers to people. A codec: text in and out.
 *
 * {"format_version": "1.0", "checksum": "a430d84680aabd0b",
 *  "labels": [{"id", "name", "project", "service", "number", "key", "value", "follow": BOOL, "reason", "since", "ended",
 *              "who": as in daemon/change.h}]}
 *
 * since and ended are seconds since 1970, ended 0 where it has not; texts that are not there are null. A label may grant
 * or deny: whoever cannot read it must not take it for an empty list.
 */
#pragma once

#include <jansson.h>

#include "daemon/labels.h"

#define LABEL_STATE_FILE "labels.json"
#define LABEL_STATE_MAX (16 * 1024 * 1024) /* bytes */

/* For people: {"container": its name, "id", "key", "value", "follow", "reason", "since", "ended" (null: it has not), "by"}.
 * A new reference. */
json_t *given_label_to_json(const struct given_label *label);
/* The caller frees the text. */
char *label_state_format(const struct given_labels *list);
/* 0, or -EBADMSG: damaged, or a later version's; *ret is then unchanged. */
int label_state_parse(const char *text, size_t len, struct given_labels **ret);
