/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Within a learning: many addresses or ports become one observation. */
#pragma once

#include "learn/learn.h"

/* Where its like was folded before, it becomes a part of that: its peer and ports change. */
void fold_into(struct learning *learning, struct observation *seen);
/* It is the learning's now, and was not before: folds it and its like where they are too many. It may be gone afterwards. */
void fold_after(struct learning *learning, const struct observation *added);

/* observe.c */
void observation_merge(struct observation *into, const struct observation *from);
