/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/record.h"

#include <string.h>

const json_t *record_at(const json_t *record, const char *path)
{
    while (record) {
        const char *end = strchrnul(path, '.');
        char key[64];

        if ((size_t)(end - path) >= sizeof(key))
            return NULL;
        *(char *)mempcpy(key, path, (size_t)(end - path)) = '\0';
        record = json_object_get(record, key);
        if (!*end)
            break;
        path = end + 1;
    }
    return record;
}

const char *record_text(const json_t *record, const char *path)
{
    const char *text = json_string_value(record_at(record, path));

    return text ? text : "";
}

enum record_verdict record_verdict(const json_t *record)
{
    if (strcmp(record_text(record, "cofferdam.verdict"), "allow") != 0)
        return RECORD_DENIED;
    return strcmp(record_text(record, "cofferdam.staged.verdict"), "deny") == 0 ||
                   strcmp(record_text(record, "event.action"), "audited") == 0
               ? RECORD_AUDITED
               : RECORD_ALLOWED;
}

bool record_end_tells_more(const json_t *record)
{
    if (json_integer_value(record_at(record, "cofferdam.count")) > RECORD_TRIES)
        return true;
    return strcmp(record_text(record, "cofferdam.point"), "unknown") == 0 &&
           strcmp(record_text(record, "cofferdam.source.kind"), "unknown") != 0 &&
           strcmp(record_text(record, "cofferdam.destination.kind"), "unknown") != 0;
}

const char *record_verdict_name(enum record_verdict verdict)
{
    switch (verdict) {
    case RECORD_DENIED:
        return "denied";
    case RECORD_ALLOWED:
        return "allowed";
    case RECORD_AUDITED:
        return "audited";
    case RECORD_VERDICTS:
        break;
    }
    return "?";
}
