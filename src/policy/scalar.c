// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/scalar.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "util/mem.h"

char *yaml_scalar(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on", "off"};
    size_t len = strlen(text);
    char *quoted, *end;
    bool plain = *text &&
                 strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") == len &&
                 !strchr("0123456789.-", *text);

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        plain = plain && strcasecmp(text, words[i]) != 0;
    if (plain)
        return xstrdup(text);
    end = quoted = xcalloc(1, 2 * len + 3);
    *end++ = '\'';
    for (; *text; text++) {
        if (*text == '\'')
            *end++ = '\'';
        *end++ = *text;
    }
    *end = '\'';
    return quoted;
}
