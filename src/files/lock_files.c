/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "files/lock_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/lock_state.h"
#include "files/boot.h"
#include "files/files.h"
#include "files/lock_store.h"
#include "files/state_files.h"

static int read_own(const char *directory, const char *name, size_t max, char **ret, size_t *ret_len)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);

    return files_read_own(path, max, ret, ret_len);
}

int inventory_state_load(const char *directory, struct inventory **ret, struct inventory_age *ret_age)
{
    _cleanup_free_ char *text = NULL, *boot = boot_id();
    size_t len = 0;
    int r = read_own(directory, INVENTORY_STATE_FILE, INVENTORY_STATE_MAX, &text, &len);

    return r < 0 ? r : inventory_state_parse(text, len, boot, ret, ret_age);
}

int lock_list_load(const char *directory, struct lock_list **ret)
{
    struct lock_store_state state;

    return lock_store_load(directory, ret, &state);
}

/* ---- what is pending ---------------------------------------------------------------------------------- */

int lock_pending_hold(const char *directory, unsigned wait_ms, int *ret_fd)
{
    return state_hold(directory, LOCK_PENDING_LOCK, wait_ms, ret_fd);
}

int lock_pending_load(const char *directory, struct lock_pending *ret)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    int r = read_own(directory, LOCK_PENDING_FILE, LOCK_PENDING_MAX, &text, &len);

    if (r == 0)
        lock_pending_parse(text, len, ret);
    return r;
}

static size_t count_lines(const char *text, size_t len)
{
    size_t n = 0;

    for (const char *c = text; c < text + len; c++)
        n += *c == '\n' || c + 1 == text + len;
    return n;
}

int lock_pending_append(const char *directory, const struct lock_op *op)
{
    _cleanup_free_ char *before = NULL;
    size_t len = 0, n;
    int r = read_own(directory, LOCK_PENDING_FILE, LOCK_PENDING_MAX, &before, &len);

    if (r < 0 && r != -ENOENT)
        return r;
    if (r == 0 && strlen(before) != len) /* a text could not hold what is behind it */
        return -EBADMSG;
    n = count_lines(before, len);
    if (n >= LOCK_OPS_MAX)
        return -E2BIG;
    _cleanup_free_ char *line = lock_op_format(op, n + 1);
    _cleanup_free_ char *text =
        xasprintf("%s%s%s", before ? before : "", len > 0 && before[len - 1] != '\n' ? "\n" : "", line);
    return strlen(text) > LOCK_PENDING_MAX ? -EFBIG : state_save(directory, LOCK_PENDING_FILE, text);
}

void lock_record_clear(struct lock_record *record)
{
    lock_list_free(record->list);
    lock_list_free(record->merged);
    *record = (struct lock_record){0};
}

void lock_record_load(const char *directory, const struct inventory *inventory, struct lock_record *ret)
{
    _cleanup_pending_ struct lock_pending pending = {0};
    _cleanup_free_ char *aside = xasprintf("%s/" LOCK_PENDING_ASIDE, directory);
    int r = lock_list_load(directory, &ret->list), pending_r = lock_pending_load(directory, &pending);

    ret->list_error = r == -ENOENT ? 0 : r;
    ret->pending_error = pending_r == -ENOENT ? 0
                         : pending_r < 0      ? pending_r
                         : pending.damaged    ? -EBADMSG
                                              : 0;
    ret->aside = access(aside, F_OK) == 0;
    if (!ret->list)
        ret->list = lock_list_new();
    ret->merged = lock_pending_merge(ret->list, &pending, inventory);
}

bool lock_record_is_whole(const struct lock_record *record)
{
    return !record->list_error && !record->pending_error && !record->aside;
}

int lock_request_new(char ret[static LOCK_REQUEST_SIZE])
{
    uint8_t bytes[(LOCK_REQUEST_SIZE - 1) / 2];

    if (getentropy(bytes, sizeof(bytes)) < 0)
        return -errno;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}
