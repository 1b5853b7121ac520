/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What somebody meant who wrote something else, and what may be shown of what a stranger wrote.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_WORD_MAX 40 /* longer words are nobody's misspelling of ours */

/*
 * Edit distance in which swapping two neighbours counts once (optimal string alignment), upper case like lower.
 * SIZE_MAX when a word is longer than TEXT_WORD_MAX.
 */
size_t edit_distance(const char *a, const char *b);

/* The one of these words (the last is NULL) that was probably meant; NULL when none is close enough. */
const char *nearest_word(const char *word, const char *const *words);

/* The length of the character at the start of bytes, and the character; 0 when this is not UTF-8. */
size_t utf8_decode(const char *bytes, size_t len, uint32_t *ret);

/* The text with control characters, invalid UTF-8 and characters that change the direction of writing as
 * \xNN, so that a name cannot play tricks with a terminal or a log. keep_newlines leaves line ends alone. The caller
 * frees it. */
char *text_escape(const char *text, bool keep_newlines);
