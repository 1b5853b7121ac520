/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Documents that tests make, for whoever looks at their form (tests/golden/schema/made.py): where the environment names a
 * directory in COFFERDAM_DOCUMENTS, each is a line of VERB.jsonl there.
 */
#pragma once

#include <jansson.h>

/* Returns the document. */
json_t *document_made(const char *verb, json_t *document);
