/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/utc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/mem.h"

#define FORM "0000-00-00T00:00:00Z"
#define LAST 253402300799ULL /* the end of the year 9999 */

char *utc_text(uint64_t seconds)
{
    char text[sizeof(FORM)] = "";
    time_t time = (time_t)seconds;
    struct tm tm;

    if (seconds <= LAST && gmtime_r(&time, &tm))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return xstrdup(text);
}

static bool has_form(const char *text)
{
    if (strlen(text) != strlen(FORM))
        return false;
    for (size_t i = 0; i < strlen(FORM); i++)
        if (FORM[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != FORM[i])
            return false;
    return true;
}

static int number(const char *digits, int n)
{
    int value = 0;

    for (int i = 0; i < n; i++)
        value = value * 10 + (digits[i] - '0');
    return value;
}

int utc_parse(const char *text, uint64_t *ret)
{
    if (!has_form(text))
        return -EINVAL;
    struct tm tm = {.tm_year = number(text, 4) - 1900,
                    .tm_mon = number(text + 5, 2) - 1,
                    .tm_mday = number(text + 8, 2),
                    .tm_hour = number(text + 11, 2),
                    .tm_min = number(text + 14, 2),
                    .tm_sec = number(text + 17, 2)};
    time_t seconds = timegm(&tm);
    if (seconds < 0)
        return -EINVAL;
    /* timegm() takes a 31st of February for a day in March. */
    _cleanup_free_ char *same = utc_text((uint64_t)seconds);

    if (strcmp(same, text) != 0)
        return -EINVAL;
    *ret = (uint64_t)seconds;
    return 0;
}
