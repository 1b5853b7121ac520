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

/* ".123456789": microseconds, further digits are left out. Returns what stands behind it. */
static const char *parse_fraction(const char *text, uint64_t *ret_usec)
{
    uint64_t usec = 0, unit = 100000;

    for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
        usec += (uint64_t)(*text - '0') * unit;
    *ret_usec = usec;
    return text;
}

/* "Z" or "+01:00": seconds to be added for UTC. */
static int parse_offset(const char *text, int64_t *ret)
{
    int hours, minutes;

    if (strcmp(text, "Z") == 0) {
        *ret = 0;
        return 0;
    }
    if ((*text != '+' && *text != '-') || strlen(text) != strlen("+00:00") || text[3] != ':' ||
        strspn(text + 1, "0123456789") != 2 || strspn(text + 4, "0123456789") != 2)
        return -EINVAL;
    hours = number(text + 1, 2);
    minutes = number(text + 4, 2);
    if (hours > 23 || minutes > 59)
        return -EINVAL;
    *ret = (*text == '+' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return 0;
}

int utc_parse_usec(const char *text, uint64_t *ret)
{
    const size_t len = strlen(FORM) - 1;
    uint64_t seconds, usec = 0;
    int64_t offset;

    if (strlen(text) <= len)
        return -EINVAL;
    _cleanup_free_ char *date = xasprintf("%.*sZ", (int)len, text);
    const char *rest = text + len;
    if (*rest == '.')
        rest = rest[1] >= '0' && rest[1] <= '9' ? parse_fraction(rest, &usec) : "";
    if (utc_parse(date, &seconds) < 0 || parse_offset(rest, &offset) < 0 || (int64_t)seconds + offset < 0)
        return -EINVAL;
    *ret = (uint64_t)((int64_t)seconds + offset) * 1000000 + usec;
    return 0;
}
