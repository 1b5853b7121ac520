/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts as YAML has them, for who writes policies. */
#pragma once

/* Plain where nobody could misread it, in single quotes else. The text must hold no control characters. The caller frees
 * it. */
char *yaml_scalar(const char *text);
