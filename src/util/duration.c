/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/duration.h"

#include <ctype.h>
#include <errno.h>

#include "util/mem.h"

#define SECOND 1000000ULL

static const struct {
    char name;
    uint64_t usec;
} units[] = {{'d', 24 * 60 * 60 * SECOND}, {'h', 60 * 60 * SECOND}, {'m', 60 * SECOND}, {'s', SECOND}};

/* More than any span may have of its unit counts as that many. */
static uint64_t parse_number(const char **text)
{
    uint64_t number = 0;

    for (; isdigit((unsigned char)**text); (*text)++)
        if (number <= DURATION_MAX / SECOND)
            number = number * 10 + (uint64_t)(**text - '0');
    return number;
}

int duration_parse(const char *text, uint64_t *ret)
{
    uint64_t total = 0;
    size_t unit = 0;

    if (!*text)
        return -EINVAL;
    while (*text) {
        if (!isdigit((unsigned char)*text))
            return -EINVAL;
        uint64_t number = parse_number(&text);
        while (unit < ARRAY_SIZE(units) && units[unit].name != *text)
            unit++;
        if (unit == ARRAY_SIZE(units))
            return -EINVAL;
        number = number <= DURATION_MAX / units[unit].usec ? number * units[unit].usec : DURATION_MAX + 1;
        total = total + number <= DURATION_MAX ? total + number : DURATION_MAX + 1;
        unit++;
        text++;
    }
    if (total == 0 || total > DURATION_MAX)
        return -ERANGE;
    *ret = total;
    return 0;
}

char *duration_text(uint64_t usec)
{
    uint64_t rest = usec / SECOND * SECOND + (usec % SECOND ? SECOND : 0);
    char *text = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        uint64_t n = rest / units[i].usec;

        rest %= units[i].usec;
        if (n == 0)
            continue;
        char *longer = xasprintf("%s%llu%c", text ?: "", (unsigned long long)n, units[i].name);
        free(text);
        text = longer;
    }
    return text ?: xstrdup("0s");
}
