/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "documents.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "util/mem.h"

json_t *document_made(const char *verb, json_t *document)
{
    const char *folder = getenv("COFFERDAM_DOCUMENTS");

    if (!folder)
        return document;
    _cleanup_free_ char *path = xasprintf("%s/%s.jsonl", folder, verb);
    FILE *file = fopen(path, "a");

    assert_non_null(file);
    assert_int_equal(json_dumpf(document, file, JSON_COMPACT), 0);
    assert_int_not_equal(fputc('\n', file), EOF);
    assert_int_equal(fclose(file), 0);
    return document;
}
