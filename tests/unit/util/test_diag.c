// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/diag.h"

static char *printed(const struct diags *diags)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    diags_print(diags, out, false);
    fclose(out);
    return text;
}

static void prints_place_caret_and_help(void **state)
{
    _cleanup_diags_ struct diags diags = {0};
    struct source_pos pos = {"a.yaml", 3, 9, 4}, first = {"b.yaml", 1, 1, 1};
    struct diag *diag = diag_add(&diags, DIAG_ERROR, "C001", &pos, "unknown key \"%s\"", "fron");
    static const char line[] = "  \xc3\xa4\xc3\xb6: {fron: 1}";
    char *text;

    (void)state;
    diag_source_line(diag, line, strlen(line));
    diag_other(diag, &first, "first seen here");
    diag_help(diag, "did you mean \"from\"?");
    diag_add(&diags, DIAG_WARNING, NULL, NULL, "no place");
    assert_int_equal(diags.n_errors, 1);
    text = printed(&diags);
    assert_string_equal(text, "a.yaml:3:9: error[C001]: unknown key \"fron\"\n"
                              "      \xc3\xa4\xc3\xb6: {fron: 1}\n"
                              "            ^^^^\n"
                              "  b.yaml:1:1: note: first seen here\n"
                              "  help: did you mean \"from\"?\n"
                              "warning: no place\n");
    free(text);
}

static void escapes_control_characters(void **state)
{
    _cleanup_diags_ struct diags diags = {0};
    char *text;

    (void)state;
    diag_add(&diags, DIAG_NOTE, NULL, NULL, "container \"%s\"", "\033[2Jx\r");
    text = printed(&diags);
    assert_string_equal(text, "note: container \"\\x1b[2Jx\\x0d\"\n");
    free(text);
}

static void moves_lists(void **state)
{
    _cleanup_diags_ struct diags a = {0}, b = {0};

    (void)state;
    for (unsigned i = 0; i < 40; i++)
        diag_add(i % 2 ? &a : &b, i % 4 ? DIAG_ERROR : DIAG_NOTE, NULL, NULL, "%u", i);
    diags_move(&a, &b);
    assert_int_equal(a.n, 40);
    assert_int_equal(a.n_errors, 30);
    assert_int_equal(b.n, 0);
    assert_string_equal(a.v[39].message, "38");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_place_caret_and_help),
        cmocka_unit_test(escapes_control_characters),
        cmocka_unit_test(moves_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
