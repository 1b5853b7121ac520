/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What somebody meant who wrote something else.
 */
#pragma once

#include <stddef.h>

#define TEXT_WORD_MAX 40 /* longer words are nobody's misspelling of ours */

/*
 * Edit distance in which swapping two neighbours counts once (optimal string alignment), upper case like lower.
 * SIZE_MAX when a word is longer than TEXT_WORD_MAX.
 */
size_t edit_distance(const char *a, const char *b);

/* The one of these words (the last is NULL) that was probably meant; NULL when none is close enough. */
const char *nearest_word(const char *word, const char *const *words);
