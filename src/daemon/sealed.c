/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/sealed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "util/hash.h"
#include "util/mem.h"

#define FLAGS (JSON_INDENT(1) | JSON_SORT_KEYS)

/* Of a document without a checksum. */
static int seal(json_t *document, char **ret)
{
    char *text = json_dumps(document, FLAGS);

    if (!text)
        return -EILSEQ;
    _cleanup_free_ char *sum = xasprintf("%016" PRIx64, hash_bytes(HASH_START, text, strlen(text)));
    free(text);
    json_object_set_new(document, "checksum", json_string(sum));
    text = json_dumps(document, FLAGS);
    if (!text)
        return -EILSEQ;
    *ret = text;
    return 0;
}

int sealed_format(json_t *document, size_t max, char **ret)
{
    char *text = NULL;
    int r = document ? seal(document, &text) : -EILSEQ;

    json_decref(document);
    if (r == 0 && strlen(text) > max) {
        free(text);
        return -EFBIG;
    }
    if (r == 0)
        *ret = text;
    return r;
}

json_t *sealed_parse(const char *text, size_t len, const char *format_version)
{
    json_t *document = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    const char *version = json_string_value(json_object_get(document, "format_version"));
    _cleanup_free_ char *again = NULL;
    bool whole = version && strcmp(version, format_version) == 0;

    if (whole) {
        json_object_del(document, "checksum");
        whole = seal(document, &again) == 0 && strlen(again) == len && memcmp(text, again, len) == 0;
    }
    if (whole)
        return document;
    json_decref(document);
    return NULL;
}
