/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

#include "util/fd.h"
#include "util/mem.h"
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

static void assert_escaped(const char *text, bool keep_newlines, const char *expected)
{
    _cleanup_free_ char *escaped = text_escape(text, keep_newlines);
    assert_string_equal(escaped, expected);
}

static void test_escape(void **state)
{
    (void)state;
    assert_escaped("web-1", false, "web-1");
    assert_escaped("", false, "");
    assert_escaped("größe 容器 🙂", false, "größe 容器 🙂");
    assert_escaped("a\033[2Jb", false, "a\\x1b[2Jb");
    assert_escaped("a\nb\r\tc", false, "a\\x0ab\\x0d\\x09c");
    assert_escaped("a\nb\r", true, "a\nb\\x0d");
    assert_escaped("\x7f", false, "\\x7f");
    assert_escaped("\xc2\x9b", false, "\\xc2\\x9b"); /* CSI as a C1 control */
    assert_escaped("\xe2\x80\xae"
                   "x",
                   false, "\\xe2\\x80\\xaex"); /* right-to-left override */
    assert_escaped("\xe2\x81\xa6"
                   "x",
                   false, "\\xe2\\x81\\xa6x"); /* left-to-right isolate */
    assert_escaped("\xef\xbb\xbf"
                   "x",
                   false, "\\xef\\xbb\\xbfx"); /* byte order mark */
    assert_escaped("\xff"
                   "a\x80",
                   false, "\\xffa\\x80");                              /* no UTF-8 */
    assert_escaped("\xc0\xaf", false, "\\xc0\\xaf");                   /* overlong */
    assert_escaped("\xed\xa0\x80", false, "\\xed\\xa0\\x80");          /* surrogate */
    assert_escaped("\xf4\x90\x80\x80", false, "\\xf4\\x90\\x80\\x80"); /* over U+10FFFF */
    assert_escaped("\xe5\xae", false, "\\xe5\\xae");                   /* cut off */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance), cmocka_unit_test(test_distance_limit),
        cmocka_unit_test(test_nearest),  cmocka_unit_test(test_close),
        cmocka_unit_test(test_escape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
