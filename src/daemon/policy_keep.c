/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policies in force stay in force across a restart too: a set that has come into force is saved in the state
 * directory, and a start at which the policy files have errors goes on with it. An older set must never come back in
 * its place, as it may grant what was taken away since: when a set cannot be saved, the one saved before goes.
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

static struct policy_set *parse_saved(const struct policy_state *saved, struct diags *diags)
{
    _cleanup_(policy_set_freep) struct policy_set *policies = policy_set_new();
    int r = 0;

    for (size_t i = 0; i < saved->n_files; i++)
        if (policy_parse(policies, saved->files[i].path, saved->files[i].text, saved->files[i].len, diags) <
            0)
            r = -EBADMSG;
    if (policy_set_finish(policies, diags) < 0 || r < 0)
        return NULL;
    return STEAL(policies);
}

struct policy_set *policy_keep_restore(struct daemon *daemon)
{
    struct policy_keep *keep = &daemon->keep;
    _cleanup_diags_ struct diags diags = {0};
    struct policy_set *policies;

    if (!keep->saved.saved)
        return NULL;
    policies = parse_saved(&keep->saved, &diags);
    if (!policies) {
        log_text(LOG_ERR, "the policies saved at %s cannot be used: this cofferdamd finds errors in them",
                 keep->saved.saved);
        log_diags(&diags);
        return NULL;
    }
    log_text(
        LOG_ERR,
        "the policy files have errors (%s): the last set without errors, of %s, stays in force, and changes made "
        "since are not; mend the files, then run `cofferdam check` and `cofferdam apply`",
        daemon->last_load_error, keep->saved.saved);
    free(daemon->policies_loaded);
    daemon->policies_loaded = xstrdup(keep->saved.saved);
    keep->used = true;
    return policies;
}

static int save(struct daemon *daemon, const struct policy_state *state)
{
    _cleanup_free_ char *text = NULL;
    int r = policy_state_format(state, &text);

    return r < 0 ? r : state_save(daemon->settings->state, POLICY_STATE_FILE, text);
}

static void save_failed(struct daemon *daemon, int error)
{
    struct policy_keep *keep = &daemon->keep;
    int removed = state_remove(daemon->settings->state, POLICY_STATE_FILE);

    if (error != keep->error)
        log_text(
            LOG_ERR,
            "the policies in force cannot be saved in %s: %s%s; should cofferdamd start while the policy files "
            "have errors, %s",
            daemon->settings->state, strerror(-error),
            error == -EILSEQ ? " (the name of a policy file is not UTF-8)" : "",
            removed < 0 ? "older policies, which cannot be removed, will be in force"
                        : "everything is denied");
    policy_state_clear(&keep->saved);
    keep->error = error;
    keep->retry_at = daemon_now() + RETRY_USEC;
}

static void save_set(struct daemon *daemon, const struct policy_set *policies)
{
    _cleanup_(policy_state_clear) struct policy_state next = {0};
    _cleanup_free_ char *now = daemon_wall_clock();
    struct policy_keep *keep = &daemon->keep;

    policy_state_set(&next, now, policies->files, policies->n_files);
    int r = save(daemon, &next);
    if (r < 0) {
        save_failed(daemon, r);
        return;
    }
    policy_state_clear(&keep->saved);
    keep->saved = next;
    next = (struct policy_state){0};
    keep->error = 0;
    keep->due = false;
}

void policy_keep_update(struct daemon *daemon)
{
    const struct policy_set *policies = brain_policies(daemon->brain);
    struct policy_keep *keep = &daemon->keep;

    /* The empty set that takes the place of one that cannot be had was never read. */
    if (!keep->due || !policies->finished || !brain_policies_in_force(daemon->brain) ||
        (keep->error < 0 && daemon_now() < keep->retry_at))
        return;
    if (policy_state_same(&keep->saved, policies->files, policies->n_files)) {
        keep->due = false;
        keep->error = 0;
    } else {
        save_set(daemon, policies);
    }
}

void policy_keep_clear(struct policy_keep *keep)
{
    policy_state_clear(&keep->saved);
}
