/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t min = a < b ? a : b;

    return min < c ? min : c;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

size_t edit_distance(const char *a, const char *b)
{
    size_t rows[3][TEXT_WORD_MAX + 1], la = strlen(a), lb = strlen(b);
    size_t *before = rows[0], *last = rows[1], *now = rows[2];

    if (la > TEXT_WORD_MAX || lb > TEXT_WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= lb; j++)
        last[j] = j;
    for (size_t i = 1; i <= la; i++) {
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t change = same_letter(a[i - 1], b[j - 1]) ? 0 : 1;

            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + change);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]) &&
                before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        size_t *spare = before;

        before = last;
        last = now;
        now = spare;
    }
    return last[lb];
}

const char *nearest_word(const char *word, const char *const *words)
{
    size_t len = strlen(word), best_distance = len < 4 ? 2 : len < 7 ? 3 : 4; /* one more than is accepted */
    const char *best = NULL;

    for (; *words; words++) {
        size_t distance = edit_distance(word, *words);

        /* Nothing of the word is left: that is another word. */
        if (distance >= best_distance || distance >= strlen(*words) || distance >= len)
            continue;
        best_distance = distance;
        best = *words;
    }
    return best;
}

static size_t utf8_length(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first < 0xe0)
        return 2;
    if (first >= 0xe0 && first < 0xf0)
        return 3;
    return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

size_t utf8_decode(const char *bytes, size_t len, uint32_t *ret)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t n = len ? utf8_length((unsigned char)bytes[0]) : 0;
    uint32_t character;

    if (!n || n > len)
        return 0;
    character = (unsigned char)bytes[0] & mask[n];
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)bytes[i] & 0xc0) != 0x80)
            return 0;
        character = character << 6 | ((unsigned char)bytes[i] & 0x3f);
    }
    if (character < smallest[n] || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
        return 0;
    *ret = character;
    return n;
}

/* C0 and C1 controls, marks of writing direction, line and paragraph separators, invisible joiners. */
static bool is_trick(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c ||
           (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

char *text_escape(const char *text, bool keep_newlines)
{
    size_t left = strlen(text);
    char *escaped = xcalloc(left + 1, 4), *out = escaped;

    while (left > 0) {
        uint32_t code;
        size_t len = utf8_decode(text, left, &code);
        if (len > 0 && (!is_trick(code) || (code == '\n' && keep_newlines))) {
            memcpy(out, text, len);
            out += len;
        } else {
            len = len ?: 1;
            for (size_t i = 0; i < len; i++)
                out += sprintf(out, "\\x%02x", (unsigned char)text[i]);
        }
        text += len;
        left -= len;
    }
    *out = '\0';
    return escaped;
}
