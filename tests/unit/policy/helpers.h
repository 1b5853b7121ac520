/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the policy language share. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/codes.h"
#include "policy/parse.h"

/* Parses text that must be good, as one file; the caller frees the set. */
__attribute__((unused)) static struct policy_set *parse_good(const char *text)
{
    struct policy_set *set = policy_set_new();
    struct diags diags = {0};
    int r = policy_parse(set, "test.yaml", text, strlen(text), &diags);

    if (r < 0)
        diags_print(&diags, stderr, false);
    assert_int_equal(r, 0);
    assert_int_equal(policy_set_finish(set, &diags), 0);
    assert_int_equal(diags.n_errors, 0);
    diags_clear(&diags);
    return set;
}

/* Parses one policy with this text behind its name and selector. */
__attribute__((unused)) static struct policy_set *parse_rules(const char *rules)
{
    _cleanup_free_ char *text = xasprintf("policy: p\nselect: {all: true}\n%s", rules);

    return parse_good(text);
}

/* The codes of what is said about a file, in order: "C020 C022". The caller frees it. */
__attribute__((unused)) static char *codes_of(const char *text, size_t len)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};
    int r = policy_parse(set, "test.yaml", text, len, &diags);
    char *codes = xstrdup("");

    assert_int_equal(r, diags.n_errors ? -EBADMSG : 0);
    for (size_t i = 0; i < diags.n; i++) {
        char *longer = xasprintf("%s%s%s", codes, i ? " " : "", diags.v[i].code);

        free(codes);
        codes = longer;
    }
    return codes;
}

#define assert_codes(text, expected)                                                                         \
    do {                                                                                                     \
        _cleanup_free_ char *codes_ = codes_of((text), strlen(text));                                        \
        assert_string_equal(codes_, (expected));                                                             \
    } while (0)
