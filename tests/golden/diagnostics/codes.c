/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every code of the table is in some golden case's expected text, and in the manual; and no other code is. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/codes.h"
#include "util/mem.h"

#define MANUAL_MAX (256 * 1024) /* bytes */

static void append(FILE *out, const char *path)
{
    FILE *file = fopen(path, "r");
    int c;

    assert_non_null(file);
    while ((c = fgetc(file)) != EOF)
        fputc(c, out);
    fclose(file);
}

static char *read_cases(void)
{
    DIR *dir = opendir(CASES_DIR);
    struct dirent *entry;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        _cleanup_free_ char *path = xasprintf(CASES_DIR "/%s", entry->d_name);
        const char *end = strstr(entry->d_name, ".expected");

        if (end && !end[strlen(".expected")])
            append(out, path);
    }
    closedir(dir);
    fclose(out);
    return text;
}

static char *read_manual(void)
{
    FILE *file = fopen(MANUAL, "r");
    char *text = xcalloc(1, MANUAL_MAX + 1);

    assert_non_null(file);
    assert_in_range(fread(text, 1, MANUAL_MAX, file), 1, MANUAL_MAX - 1);
    fclose(file);
    return text;
}

static void test_cases(void **state)
{
    _cleanup_free_ char *text = read_cases();

    (void)state;
    for (int i = 0; i < POLICY_CODES; i++) {
        _cleanup_free_ char *shown = xasprintf("[%s]", policy_code_id((enum policy_code)i));

        if (!strstr(text, shown))
            fail_msg("no golden case provokes %s (%s)", shown, policy_code_title((enum policy_code)i));
    }
}

static void test_manual(void **state)
{
    _cleanup_free_ char *text = read_manual();

    (void)state;
    for (int i = 0; i < POLICY_CODES; i++) {
        /* As the manual's list writes them: "*C012* tag". */
        _cleanup_free_ char *entry =
            xasprintf("*%s* %s", policy_code_id((enum policy_code)i), policy_code_title((enum policy_code)i));

        if (!strstr(text, entry))
            fail_msg("the manual does not say: %s", entry);
    }
}

static bool is_known(const char *id)
{
    for (int i = 0; i < POLICY_CODES; i++)
        if (strncmp(policy_code_id((enum policy_code)i), id, 4) == 0)
            return true;
    return false;
}

/* The next "*C123*" from there on, or NULL. */
static const char *next_code(const char *from)
{
    const char *code = strstr(from, "*C");

    while (code && (strspn(code + 2, "0123456789") != 3 || code[5] != '*'))
        code = strstr(code + 1, "*C");
    return code;
}

static void test_manual_has_no_other(void **state)
{
    char *text = read_manual();
    size_t n = 0;

    (void)state;
    for (const char *code = next_code(text); code; code = next_code(code + 1), n++) {
        if (!is_known(code + 1))
            fail_msg("the manual explains %.4s, which is no code", code + 1);
    }
    assert_true(n >= POLICY_CODES);
    free(text);
}

static void test_ids_are_unique(void **state)
{
    (void)state;
    for (int i = 0; i < POLICY_CODES; i++) {
        const char *id = policy_code_id((enum policy_code)i);

        assert_non_null(id);
        assert_int_equal(strlen(id), 4);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(id, policy_code_id((enum policy_code)j));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_manual),
        cmocka_unit_test(test_manual_has_no_other),
        cmocka_unit_test(test_ids_are_unique),
    };

    return cmocka_run_group_tests_name("diagnostic codes", tests, NULL, NULL);
}
