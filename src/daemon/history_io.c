/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of the history. Nothing waits for them: what must be enforced is, whether it can be recorded or not. */
#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "files/files.h"

#define HISTORY_FILES_MAX 10000 /* looked at: others than we may have put some there */

struct change change_now(enum change_kind kind, const struct who *who)
{
    struct change change = {.kind = kind, .time = daemon_wall_clock()};

    if (who)
        change.who = who_copy(who);
    return change;
}

static char *directory_of(const struct daemon *daemon)
{
    return xasprintf("%s/" HISTORY_DIRECTORY, daemon->settings->state);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

int history_load(const struct daemon *daemon, unsigned number, struct history_entry *ret)
{
    _cleanup_free_ char *directory = directory_of(daemon), *path = NULL, *text = NULL;
    char name[HISTORY_NAME_SIZE];
    size_t len = 0;

    history_name(number, name);
    path = xasprintf("%s/%s", directory, name);
    int r = files_read_own(path, HISTORY_ENTRY_MAX, &text, &len);
    return r < 0 ? r : history_parse(text, len, number, ret);
}

static int compare_items(const void *a, const void *b)
{
    const struct history_item *x = a, *y = b;

    return (x->number < y->number) - (x->number > y->number);
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* Numbers and sizes, newest first. A history that is not there yet is empty. */
static int list_items(const struct daemon *daemon, struct history_item **ret, size_t *ret_n)
{
    _cleanup_free_ char *directory = directory_of(daemon);
    _cleanup_free_ struct history_item *items = NULL;
    _cleanup_(close_dir) DIR *dir = opendir(directory);
    size_t n = 0;

    if (!dir && errno != ENOENT)
        return -errno;
    for (struct dirent *entry; dir && n < HISTORY_FILES_MAX && (entry = readdir(dir));) {
        unsigned number = history_number(entry->d_name);
        struct stat st;

        if (number && fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            *ARRAY_ADD(items, n) = (struct history_item){.number = number, .size = (size_t)st.st_size};
    }
    if (n)
        qsort(items, n, sizeof(*items), compare_items);
    *ret = STEAL(items);
    *ret_n = n;
    return 0;
}

static bool is_in_force(const struct daemon *daemon, const struct history_entry *entry)
{
    const struct policy_set *policies = brain_policies(daemon->brain);

    if (entry->nothing || !policies->finished)
        return entry->nothing && !policies->finished;
    return policy_files_same(entry->files, entry->n_files, policies->files, policies->n_files);
}

void history_entries_free(struct history_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++)
        history_entry_clear(&entries[i]);
    free(entries);
}

int history_list(const struct daemon *daemon, struct history_entry **ret, struct history_item **ret_items,
                 size_t *ret_n)
{
    struct history_item *items = NULL;
    size_t n = 0;
    int r = list_items(daemon, &items, &n);

    if (r < 0)
        return r;
    struct history_entry *entries = xcalloc(n + 1, sizeof(*entries));
    for (size_t i = 0; i < n; i++) {
        struct history_entry *entry = &entries[i];

        items[i].damaged = history_load(daemon, items[i].number, entry) < 0;
        items[i].kind = entry->change.kind;
        items[i].in_force = !items[i].damaged && is_in_force(daemon, entry);
        policy_files_free(STEAL(entry->files), entry->n_files);
        entry->n_files = 0;
    }
    *ret = entries;
    *ret_items = items;
    *ret_n = n;
    return 0;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

static void compare(struct history_entry *entry, const struct history_entry *last,
                    const struct policy_set *policies)
{
    _cleanup_policy_changes_ struct policy_changes changes = {0};
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_(policy_set_freep) struct policy_set *before =
        last->nothing ? policy_set_new() : policies_parse(last->files, last->n_files, &diags);

    if (!before) /* this cofferdamd finds errors in it */
        return;
    policy_sets_compare(before, policies, &changes);
    entry->compared = true;
    memcpy(entry->n_of, changes.n_of, sizeof(entry->n_of));
}

static struct history_entry entry_of(const struct daemon *daemon, const struct change *change,
                                     unsigned number)
{
    const struct policy_set *policies = brain_policies(daemon->brain);

    return (struct history_entry){
        .number = number,
        .change = change_copy(change),
        .n_policies = policies->n_policies,
        .files = policy_files_copy(policies->files, policies->n_files),
        .n_files = policies->n_files,
        .nothing = !policies->finished,
    };
}

static int write_entry(const struct daemon *daemon, const struct history_entry *entry)
{
    _cleanup_free_ char *directory = directory_of(daemon), *text = NULL;
    char name[HISTORY_NAME_SIZE];
    int r = history_format(entry, &text);

    history_name(entry->number, name);
    if (r == 0 && mkdir(directory, 0700) < 0 && errno != EEXIST)
        r = -errno;
    return r < 0 ? r : state_save(directory, name, text);
}

static void remove_oldest(const struct daemon *daemon)
{
    _cleanup_free_ char *directory = directory_of(daemon);
    _cleanup_free_ struct history_item *items = NULL;
    size_t n = 0;

    if (list_items(daemon, &items, &n) < 0)
        return;
    for (size_t i = history_keep(items, n, daemon->history.in_force); i < n; i++) {
        char name[HISTORY_NAME_SIZE];

        history_name(items[i].number, name);
        state_remove(directory, name);
    }
}

/* Nobody uses a number again that was once a file's. */
static unsigned next_number(const struct history_item *items, size_t n)
{
    return n ? items[0].number + 1 : 1;
}

/* *ret: the number of the set in force, 0 where it is in no entry. */
static int record(struct daemon *daemon, const struct change *change, unsigned *ret)
{
    _cleanup_free_ struct history_item *items = NULL;
    _cleanup_(history_entry_clear) struct history_entry last = {0}, entry = {0};
    size_t n = 0;
    int r = list_items(daemon, &items, &n);

    *ret = 0;
    if (r < 0)
        return r;
    bool has_last = n > 0 && history_load(daemon, items[0].number, &last) == 0;
    bool same = has_last && is_in_force(daemon, &last);
    if (!history_worth(change, same)) {
        *ret = last.number;
        return 0;
    }
    entry = entry_of(daemon, change, next_number(items, n));
    if (has_last || n == 0)
        compare(&entry, &last, brain_policies(daemon->brain));
    r = write_entry(daemon, &entry);
    if (r == 0)
        *ret = entry.number;
    return r;
}

void history_record(struct daemon *daemon, const struct change *change)
{
    struct history *history = &daemon->history;
    int r = record(daemon, change, &history->in_force);

    if (r < 0 && r != history->error)
        log_text(LOG_ERR, "what is in force now cannot be recorded in the history in %s: %s",
                 daemon->settings->state, strerror(-r));
    history->error = r;
    if (r == 0)
        remove_oldest(daemon);
}
