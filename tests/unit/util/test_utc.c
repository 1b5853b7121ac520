/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/utc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "util/mem.h"

static const struct {
    uint64_t seconds;
    const char *text;
} same[] = {{0, "1970-01-01T00:00:00Z"},          {951782399, "2000-02-28T23:59:59Z"},
            {951782400, "2000-02-29T00:00:00Z"},  {1700000000, "2023-11-14T22:13:20Z"},
            {4102444800, "2100-01-01T00:00:00Z"}, {253402300799, "9999-12-31T23:59:59Z"}};

static void test_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        _cleanup_free_ char *text = utc_text(same[i].seconds);
        uint64_t seconds = 1;

        assert_string_equal(text, same[i].text);
        assert_int_equal(utc_parse(text, &seconds), 0);
        assert_int_equal(seconds, same[i].seconds);
    }
}

static void test_no_moments(void **state)
{
    static const char *const texts[] = {"",
                                        "0",
                                        "2023-11-14",
                                        "2023-11-14T22:13:20",
                                        "2023-11-14T22:13:20z",
                                        "2023-11-14 22:13:20Z",
                                        "2023-11-14T22:13:20Z ",
                                        "2023-11-14T22:13:20+00:00",
                                        "2023-02-29T00:00:00Z",
                                        "2023-13-01T00:00:00Z",
                                        "2023-00-01T00:00:00Z",
                                        "2023-11-14T24:00:00Z",
                                        "2023-11-14T22:13:60Z",
                                        "1969-12-31T23:59:59Z",
                                        "+023-11-14T22:13:20Z"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        uint64_t seconds = 7;

        assert_int_equal(utc_parse(texts[i], &seconds), -EINVAL);
        assert_int_equal(seconds, 7);
    }
    _cleanup_free_ char *later = utc_text(253402300800), *never = utc_text(UINT64_MAX);
    assert_string_equal(later, "");
    assert_string_equal(never, "");
}

static void test_microseconds(void **state)
{
    static const struct {
        const char *text;
        uint64_t usec;
    } good[] = {
        {"2023-11-14T22:13:20Z", 1700000000000000},
        {"2023-11-14T22:13:20.5Z", 1700000000500000},
        {"2023-11-14T22:13:20.000001Z", 1700000000000001},
        {"2023-11-14T22:13:20.1234567Z", 1700000000123456},
        {"2023-11-14T23:43:20+01:30", 1700000000000000},
        {"2023-11-14T21:13:20.25-01:00", 1700000000250000},
        {"1970-01-01T00:00:00+00:00", 0},
    };
    static const char *const bad[] = {"",
                                      "now",
                                      "2023-11-14",
                                      "2023-11-14T22:13:20",
                                      "2023-11-14T22:13:20.",
                                      "2023-11-14T22:13:20.Z",
                                      "2023-11-14T22:13:20.5",
                                      "2023-11-14T22:13:20+1:00",
                                      "2023-11-14T22:13:20+24:00",
                                      "2023-11-14T22:13:20+01:60",
                                      "2023-11-14T22:13:20+01-00",
                                      "1970-01-01T00:00:00+00:01",
                                      "2023-02-29T22:13:20Z",
                                      "2023-11-14T22:13:20ZZ"};
    uint64_t usec;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(utc_parse_usec(good[i].text, &usec), 0);
        assert_int_equal(usec, good[i].usec);
    }
    usec = 7;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (utc_parse_usec(bad[i], &usec) != -EINVAL)
            fail_msg("%s", bad[i]);
    assert_int_equal(usec, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back),
                                       cmocka_unit_test(test_no_moments),
                                       cmocka_unit_test(test_microseconds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
