// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void *or_die(void *memory)
{
    if (!memory) {
        static const char message[] = "cofferdam: out of memory; the rules in the kernel stay as they are\n";

        fwrite(message, 1, sizeof(message) - 1, stderr);
        abort();
    }
    return memory;
}

void *xcalloc(size_t n, size_t size)
{
    return or_die(calloc(n ? n : 1, size ? size : 1));
}

void *xreallocarray(void *old, size_t n, size_t size)
{
    return or_die(reallocarray(old, n ? n : 1, size ? size : 1));
}

char *xstrdup(const char *text)
{
    return or_die(strdup(text));
}

char *xstrndup(const char *text, size_t len)
{
    return or_die(strndup(text, len));
}

char *xvasprintf(const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    return or_die(text);
}

char *xasprintf(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = xvasprintf(format, args);
    va_end(args);
    return text;
}

void *array_grow(void *array, size_t n, size_t item_size)
{
    if (n == 0)
        array = xreallocarray(array, 4, item_size);
    else if (n >= 4 && (n & (n - 1)) == 0)
        array = xreallocarray(array, n * 2, item_size);
    memset((char *)array + n * item_size, 0, item_size);
    return array;
}
