/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "files/lock_store.h"

#include <errno.h>
#include <string.h>

#include "files/files.h"
#include "files/state_files.h"
#include "util/mem.h"
#include "util/text.h"

static int load(const char *directory, const char *name, struct lock_list **ret)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name), *text = NULL;
    size_t len = 0;
    int r = files_read_own(path, LOCK_STATE_MAX, &text, &len);

    return r < 0 ? r : lock_state_parse(text, len, ret);
}

int lock_store_load(const char *directory, struct lock_list **ret, struct lock_store_state *state)
{
    state->copy_error = 0;
    state->error = load(directory, LOCK_STATE_FILE, ret);
    if (state->error == 0)
        return 0;
    state->copy_error = load(directory, LOCK_STATE_COPY, ret);
    if (state->copy_error == 0)
        return 0;
    return state->error == -ENOENT ? state->copy_error : state->error;
}

int lock_store_save(const char *directory, const struct lock_list *list, int *ret_copy_error)
{
    _cleanup_free_ char *text = lock_state_format(list);
    int r = list->n > LOCKS_MAX || strlen(text) > LOCK_STATE_MAX
                ? -EFBIG
                : state_save(directory, LOCK_STATE_FILE, text);

    *ret_copy_error = 0;
    if (r < 0)
        return r;
    *ret_copy_error = state_save(directory, LOCK_STATE_COPY, text);
    if (*ret_copy_error < 0)
        (void)state_remove(directory, LOCK_STATE_COPY);
    return 0;
}
