/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policies in force stay in force across a restart too: a set that has come into force is saved in the state
 * directory, and a start at which the policy files have errors goes on with it, as does one at which the saved set is
 * held. An older set must never come back in its place, as it may grant what was taken away since: when a set cannot be
 * saved, the one saved before goes.
 */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "files/files.h"

#define RETRY_USEC (60 * 1000000ULL)

/* It is replaced when the next set comes into force. */
static int read_saved(const char *directory, struct policy_state *ret)
{
    _cleanup_free_ char *path = xasprintf("%s/" POLICY_STATE_FILE, directory), *text = NULL;
    size_t len = 0;
    int r = files_read_own(path, POLICY_STATE_MAX, &text, &len);

    return r < 0 ? r : policy_state_parse(text, len, ret);
}

void policy_keep_open(struct daemon *daemon)
{
    int r = read_saved(daemon->settings->state, &daemon->keep.saved);

    if (r < 0 && r != -ENOENT)
        log_text(LOG_ERR, "the policies saved in %s cannot be used: %s", daemon->settings->state,
                 r == -EBADMSG ? "the file is damaged"
                 : r == -EPERM ? "others than root may write the file"
                               : strerror(-r));
}

/* ---- going on with it --------------------------------------------------------------------------------- */

static void say_held(const struct daemon *daemon)
{
    const struct policy_state *saved = &daemon->keep.saved;

    log_text(
        LOG_WARNING,
        "the policies in force are those of %s, %s; the files in %s are not in force until `cofferdam apply`",
        saved->saved,
        saved->held.reason == HELD_ROLLBACK ? "which were rolled back to" : "from before the last trial",
        daemon->settings->policies);
}

static void say_kept(const struct daemon *daemon)
{
    log_text(
        LOG_ERR,
        "the policy files have errors (%s): the last set without errors, of %s, stays in force, and changes made "
        "since are not; mend the files, then run `cofferdam check` and `cofferdam apply`",
        daemon->last_load_error, daemon->keep.saved.saved);
}

struct policy_set *policy_keep_restore(struct daemon *daemon)
{
    struct policy_keep *keep = &daemon->keep;
    _cleanup_diags_ struct diags diags = {0};
    struct policy_set *policies;

    held_clear(&keep->held);
    keep->held = held_copy(&keep->saved.held);
    if (!keep->saved.saved || keep->saved.nothing)
        return NULL;
    policies = policies_parse(keep->saved.files, keep->saved.n_files, &diags);
    if (!policies) {
        log_text(LOG_ERR, "the policies saved at %s cannot be used: this cofferdamd finds errors in them",
                 keep->saved.saved);
        log_diags(&diags);
        return NULL;
    }
    if (keep->held.reason)
        say_held(daemon);
    else
        say_kept(daemon);
    free(daemon->policies_loaded);
    daemon->policies_loaded = xstrdup(keep->saved.saved);
    keep->used = !keep->held.reason;
    return policies;
}

/* ---- saving ------------------------------------------------------------------------------------------- */

int policy_keep_save(struct daemon *daemon, struct policy_state *next)
{
    struct policy_keep *keep = &daemon->keep;
    _cleanup_free_ char *text = NULL;
    int r = policy_state_format(next, &text);

    if (r == 0)
        r = state_save(daemon->settings->state, POLICY_STATE_FILE, text);
    if (r == 0) {
        policy_state_clear(&keep->saved);
        keep->saved = *next;
        *next = (struct policy_state){0};
        keep->error = 0;
    }
    return r;
}

void policy_keep_remove(struct daemon *daemon)
{
    int r = state_remove(daemon->settings->state, POLICY_STATE_FILE);

    if (r < 0)
        log_text(LOG_ERR, "the policies saved in %s cannot be removed: %s", daemon->settings->state,
                 strerror(-r));
    else
        policy_state_clear(&daemon->keep.saved);
}

/* What a start would do, as the set in force is not saved. */
static const char *next_start(const struct policy_keep *keep, bool same_set, int removed)
{
    if (same_set)
        return keep->held.reason
                   ? "should cofferdamd start, the policy files are loaded instead"
                   : "should cofferdamd start, changes of the policy files since are not loaded";
    return removed < 0
               ? "should cofferdamd start while the policy files have errors, older policies, which cannot "
                 "be removed, will be in force"
               : "should cofferdamd start while the policy files have errors, everything is denied";
}

/* Where the set is saved, but not whether it is held, that is better than nothing. */
static void save_failed(struct daemon *daemon, int error, bool same_set)
{
    struct policy_keep *keep = &daemon->keep;
    int removed = same_set ? 0 : state_remove(daemon->settings->state, POLICY_STATE_FILE);

    if (error != keep->error)
        log_text(LOG_ERR, "the policies in force cannot be saved in %s: %s%s; %s", daemon->settings->state,
                 strerror(-error), error == -EILSEQ ? " (the name of a policy file is not UTF-8)" : "",
                 next_start(keep, same_set, removed));
    if (!same_set)
        policy_state_clear(&keep->saved);
    keep->error = error;
    keep->retry_at = daemon_now() + RETRY_USEC;
}

static void save_set(struct daemon *daemon, const struct policy_set *policies, bool same_set)
{
    _cleanup_(policy_state_clear) struct policy_state next = {0};
    _cleanup_free_ char *now = daemon_wall_clock();
    struct policy_keep *keep = &daemon->keep;

    policy_state_set(&next, same_set ? keep->saved.saved : now, policies->files, policies->n_files);
    next.held = held_copy(&keep->held);
    int r = policy_keep_save(daemon, &next);
    if (r < 0)
        save_failed(daemon, r, same_set);
    else
        keep->due = false;
}

void policy_keep_due(struct daemon *daemon, struct change *change, const struct held *held)
{
    struct policy_keep *keep = &daemon->keep;
    struct held copy = held ? held_copy(held) : (struct held){0};

    held_clear(&keep->held);
    keep->held = copy;
    change_clear(&keep->change);
    keep->change = *change;
    *change = (struct change){0};
    keep->due = keep->unrecorded = true;
    keep->retry_at = 0; /* what is saved is another set: it must not stay */
}

void policy_keep_update(struct daemon *daemon)
{
    const struct policy_set *policies = brain_policies(daemon->brain);
    struct policy_keep *keep = &daemon->keep;

    /* The empty set that takes the place of one that cannot be had was never read. */
    if (!keep->due || !policies->finished || !brain_policies_in_force(daemon->brain))
        return;
    bool same_set = policy_state_same(&keep->saved, policies->files, policies->n_files);
    if (same_set && held_same(&keep->saved.held, &keep->held)) {
        keep->due = false;
        keep->error = 0;
    } else if (keep->error == 0 || daemon_now() >= keep->retry_at) {
        save_set(daemon, policies, same_set);
    }
    if (keep->unrecorded)
        history_record(daemon, &keep->change);
    keep->unrecorded = false;
}

void policy_keep_clear(struct policy_keep *keep)
{
    policy_state_clear(&keep->saved);
    held_clear(&keep->held);
    change_clear(&keep->change);
}
