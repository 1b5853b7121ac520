/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "files/boot.h"

#include <string.h>
#include <time.h>

#include "files/files.h"

#define USEC ((uint64_t)1000000)
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX 64

uint64_t boot_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * USEC + (uint64_t)now.tv_nsec / 1000;
}

char *boot_id(void)
{
    char *text = NULL;

    if (files_read(BOOT_ID, BOOT_ID_MAX, &text, NULL) < 0)
        return NULL;
    text[strcspn(text, "\n")] = '\0';
    return text;
}
