/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "util/duration.h"
#include "util/mem.h"

#define SECOND 1000000ULL

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        uint64_t usec;
    } cases[] = {
        {"1s", SECOND},
        {"60s", 60 * SECOND},
        {"090s", 90 * SECOND},
        {"2h", 2 * 3600 * SECOND},
        {"1d12h", 36 * 3600 * SECOND},
        {"1h30m", 5400 * SECOND},
        {"1d1h1m1s", 90061 * SECOND},
        {"0h5m", 300 * SECOND},
        {"365d", DURATION_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t usec = 0;

        assert_int_equal(duration_parse(cases[i].text, &usec), 0);
        assert_true(usec == cases[i].usec);
    }
}

static void test_refused(void **state)
{
    static const char *const wrong[] = {"",    "s",    "60",   "60 s", " 60s",  "60s ", "-1s",  "+1s", "1.5h",
                                        "60S", "1s1m", "1h1h", "1hs",  "1h 1m", "1w",   "0x1s", "60ms"};
    static const char *const out_of_range[] = {
        "0s", "0h0m", "366d", "365d1s", "8761h", "99999999999999999999999999d", "18446744073709551616s"};
    uint64_t usec = 7;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(duration_parse(wrong[i], &usec), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(out_of_range); i++)
        assert_int_equal(duration_parse(out_of_range[i], &usec), -ERANGE);
    assert_true(usec == 7);
}

static void test_text(void **state)
{
    static const struct {
        uint64_t usec;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1s"},
        {SECOND, "1s"},
        {SECOND + 1, "2s"},
        {60 * SECOND, "1m"},
        {5400 * SECOND, "1h30m"},
        {90061 * SECOND, "1d1h1m1s"},
        {3600 * SECOND - 1, "1h"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = duration_text(cases[i].usec);

        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
