/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "files/lock_files.h"

#include "files/boot.h"
#include "files/files.h"

int inventory_state_load(const char *directory, struct inventory **ret, struct inventory_age *ret_age)
{
    _cleanup_free_ char *path = xasprintf("%s/" INVENTORY_STATE_FILE, directory), *text = NULL,
                        *boot = boot_id();
    size_t len = 0;
    int r = files_read_own(path, INVENTORY_STATE_MAX, &text, &len);

    return r < 0 ? r : inventory_state_parse(text, len, boot, ret, ret_age);
}
