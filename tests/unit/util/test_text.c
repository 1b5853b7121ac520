/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

#include "util/fd.h"
#include "util/text.h"

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(edit_distance("", ""), 0);
    assert_int_equal(edit_distance("", "abc"), 3);
    assert_int_equal(edit_distance("abc", ""), 3);
    assert_int_equal(edit_distance("status", "Status"), 0);
    assert_int_equal(edit_distance("statsu", "status"), 1); /* neighbours swapped */
    assert_int_equal(edit_distance("kitten", "sitting"), 3);
    assert_int_equal(edit_distance("sitting", "kitten"), 3);
    assert_int_equal(edit_distance("ca", "abc"), 3); /* what was swapped is not changed again */
}

/* Words at the limit are measured, longer ones are not. */
static void test_distance_limit(void **state)
{
    char a[TEXT_WORD_MAX + 2] = {}, b[TEXT_WORD_MAX + 2] = {};

    (void)state;
    memset(a, 'a', TEXT_WORD_MAX);
    memset(b, 'b', TEXT_WORD_MAX);
    assert_int_equal(edit_distance(a, b), TEXT_WORD_MAX);
    a[TEXT_WORD_MAX] = 'a';
    assert_true(edit_distance(a, b) == SIZE_MAX);
    assert_true(edit_distance(b, a) == SIZE_MAX);
}

static void test_nearest(void **state)
{
    static const char *const words[] = {"check", "apply", "status", "to", NULL};

    (void)state;
    assert_string_equal(nearest_word("statsu", words), "status");
    assert_string_equal(nearest_word("chck", words), "check");
    assert_string_equal(nearest_word("ot", words), "to");
    assert_null(nearest_word("frobnicate", words));
    assert_null(nearest_word("", words));
    assert_null(nearest_word("xy", words)); /* nothing of it is left */
    assert_null(nearest_word("a-word-much-longer-than-any-of-the-words-in-the-list", words));
}

static void test_close(void **state)
{
    int kept, none = -1;

    (void)state;
    {
        _cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        kept = fd;
    }
    assert_int_equal(fcntl(kept, F_GETFD), -1);
    close_fdp(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_distance_limit),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
