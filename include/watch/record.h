/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A record of the log, read: packaging/schemas/verdict.schema.json has its keys. What comes from a file may be any JSON
 * object: what is absent or of another type is NULL, or says the least. Pure.
 */
#pragma once

#include <stdbool.h>

#include <jansson.h>

/* What stands at a path such as "cofferdam.source.kind"; borrowed, or NULL. */
const json_t *record_at(const json_t *record, const char *path);
/* The same where it is a text, and "" where it is none: borrowed. */
const char *record_text(const json_t *record, const char *path);

enum record_verdict {
    RECORD_DENIED,
    RECORD_ALLOWED,
    RECORD_AUDITED, /* allowed, though it is denied once what is staged is enforced */
    RECORD_VERDICTS,
};

enum record_verdict record_verdict(const json_t *record);
/* Where a record that was shown when it was opened has ended: is it worth to be shown again? It had more packets than
 * the few tries of a connection, or it has turned out only since whose they are. */
#define RECORD_TRIES 10
bool record_end_tells_more(const json_t *record);
const char *record_verdict_name(enum record_verdict verdict);
