/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

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
