/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lockdowns in the state directory, and those that end by themselves. An end is kept twice: on the clock that nobody can
 * set, for as long as this kernel runs, and on the wall's for the next.
 */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "control/protocol.h"
#include "files/boot.h"
#include "files/lock_files.h"
#include "files/lock_store.h"
#include "inventory/json.h"
#include "verdict/lock_json.h"

/* ---- ends --------------------------------------------------------------------------------------------- */

/* From here on it goes by this kernel's clock, whichever one knew it first. */
static void carry_over(struct lock *lock, const char *boot)
{
    uint64_t now = boot_now(), left = lock_left(lock, boot, now, (uint64_t)time(NULL));

    if (left == LOCK_FOREVER)
        return;
    free(lock->boot);
    lock->boot = xstrdup_null(boot);
    lock->boot_until = now + left;
}

static bool holds(const struct lock *lock, const void *now)
{
    return !lock->until || lock->boot_until > *(const uint64_t *)now;
}

/* On record, where any has. */
static void record_ended(struct daemon *daemon, const struct lock_list *list, uint64_t now)
{
    json_t *released = json_array(), *lockdowns = json_array();

    for (size_t i = 0; i < list->n; i++) {
        if (holds(list->v[i], &now))
            continue;
        takeover_ended(daemon, list->v[i]);
        json_t *lockdown = lock_to_json(list->v[i], true), *text = json_text_or_null(lock_text(list->v[i]));

        json_object_set(lockdown, "text", text);
        json_array_append_new(released, text);
        json_array_append_new(lockdowns, lockdown);
    }
    if (json_array_size(released))
        audit_event(daemon, "lockdown-end", NULL,
                    control_answer(STATUS_OK, json_pack("{s:O}", "released", released)), lockdowns);
    json_decref(released);
    json_decref(lockdowns);
}

static int on_end(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct daemon *daemon = userdata;
    uint64_t now = boot_now();

    (void)source, (void)usec;
    const struct lock_list *old = brain_locks(daemon->brain);
    struct lock_list *list = lock_list_copy(old, holds, &now);

    if (old && list->n < old->n) {
        (void)lockdown_save(daemon, list); /* what cannot be saved ends at the next start again */
        record_ended(daemon, old, now);
        brain_set_locks(daemon->brain, STEAL(list), daemon_now());
        daemon_touch(daemon);
    }
    lock_list_free(list);
    lockdown_arm(daemon);
    return 0;
}

void lockdown_arm(struct daemon *daemon)
{
    const struct lock_list *list = brain_locks(daemon->brain);
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; list && i < list->n; i++)
        if (list->v[i]->until && list->v[i]->boot_until < next)
            next = list->v[i]->boot_until;
    if (!daemon->release) {
        if (next == UINT64_MAX)
            return;
        int r =
            sd_event_add_time(daemon->event, &daemon->release, CLOCK_BOOTTIME, next, 1000, on_end, daemon);
        if (r < 0)
            log_text(LOG_ERR, "lockdowns will not end by themselves: %s", strerror(-r));
        return;
    }
    sd_event_source_set_time(daemon->release, next);
    sd_event_source_set_enabled(daemon->release, next == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* ---- the file ----------------------------------------------------------------------------------------- */

int lockdown_save(struct daemon *daemon, const struct lock_list *list)
{
    int copy, r = lock_store_save(daemon->settings->state, list, &copy);

    daemon->takeover.unsaved = r < 0;
    takeover_changed(daemon);
    if (r < 0)
        log_text(LOG_ERR,
                 "the list of lockdowns cannot be saved in %s: %s; the next cofferdamd will not know it",
                 daemon->settings->state, strerror(-r));
    else if (copy < 0)
        log_text(LOG_WARNING,
                 "the second copy of the list of lockdowns, %s/" LOCK_STATE_COPY ", cannot be saved: %s",
                 daemon->settings->state, strerror(-copy));
    return r;
}

void lockdown_update(struct daemon *daemon)
{
    if (brain_locks_recovered(daemon->brain))
        (void)lockdown_save(daemon, brain_locks(daemon->brain));
}

/* Nobody knows whom it meant: then it means all. */
struct lock *lock_everybody(const char *reason)
{
    struct lock *lock = lock_new();
    const char *why;

    (void)lock_select(lock, "all", &why);
    lock->reason = xstrdup(reason);
    lock->by = xstrdup("cofferdamd");
    lock->since = (uint64_t)time(NULL);
    return lock;
}

struct lock_list *lockdown_current(struct daemon *daemon, const struct lock_list *list)
{
    _cleanup_(lock_list_freep) struct lock_list *carried = lock_list_copy(list, NULL, NULL);
    _cleanup_free_ char *boot = boot_id();
    uint64_t now = boot_now();

    for (size_t i = 0; i < carried->n; i++)
        carry_over(carried->v[i], boot);
    record_ended(daemon, carried, now);
    return lock_list_copy(carried, holds, &now);
}

static void take_over(struct daemon *daemon, struct lock_list *list, struct brain_config *config)
{
    config->locks = lockdown_current(daemon, list);
    if (config->locks->n > 0)
        log_text(LOG_WARNING, "%zu lockdown%s in force; `cofferdam lockdown --list` shows them",
                 config->locks->n, config->locks->n == 1 ? " is" : "s are");
    (void)lockdown_save(daemon, config->locks);
}

static const char *load_error(int error)
{
    return error == -EBADMSG  ? "it is damaged"
           : error == -EPERM  ? "others than root may write it"
           : error == -ENOENT ? "it is not there"
                              : strerror(-error);
}

/* One of the two files can be used. */
static void open_list(struct daemon *daemon, struct lock_list *list, const struct lock_store_state *state,
                      struct brain_config *config)
{
    config->locks_behind = state->error < 0;
    config->locks_lost = config->locks_behind && config->tables_exist;
    if (config->locks_behind)
        log_text(LOG_ERR,
                 "the list of lockdowns, %s/" LOCK_STATE_FILE
                 ", cannot be used (%s): its copy, " LOCK_STATE_COPY
                 ", and what the kernel's rules lock down take its place",
                 daemon->settings->state, load_error(state->error));
    take_over(daemon, list, config);
}

void lockdown_open(struct daemon *daemon, struct brain_config *config)
{
    _cleanup_(lock_list_freep) struct lock_list *list = NULL;
    struct lock_store_state state;
    int r = lock_store_load(daemon->settings->state, &list, &state);

    if (r == 0) {
        open_list(daemon, list, &state, config);
        return;
    }
    config->locks_lost = config->tables_exist;
    if (r == -ENOENT) {
        config->locks = lock_list_new();
        return;
    }
    config->locks = lock_list_new();
    struct lock *all =
        lock_everybody("the list of lockdowns is damaged, and nobody knows who was locked down");
    all->stands_in = true;
    lock_list_add(config->locks, all);
    log_text(LOG_CRIT,
             "the list of lockdowns, %s/" LOCK_STATE_FILE
             ", cannot be used (%s), nor its copy, " LOCK_STATE_COPY
             " (%s): who is locked down in the kernel stays so, and where the kernel does not know it, every "
             "container is locked down; `cofferdam release --all` ends it",
             daemon->settings->state, load_error(state.error), load_error(state.copy_error));
}
