/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON documents with a checksum in them, so that a file of which a part was lost or changed is never taken for a whole
 * one. Pure: text in and out.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

/*
 * Adds the key "checksum" to the document, which is stolen (NULL: what was to be in it is no UTF-8). 0, and the caller
 * frees *ret; -EFBIG: it would have more than max bytes; -EILSEQ.
 */
int sealed_format(json_t *document, size_t max, char **ret);
/*
 * A new reference; NULL: the bytes are not, down to the last one, what sealed_format() makes of a document of this
 * "format_version".
 */
json_t *sealed_parse(const char *text, size_t len, const char *format_version);
