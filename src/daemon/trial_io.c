/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies on trial. What the state directory holds at each moment:
 *
 *   before     policies.json: what is in force
 *   begun      trial.json: both sets, "begun". policies.json: the former set, held. Now the kernel is given the new one.
 *   in force   trial.json: both sets, "in-force". Now whoever asked is told.
 *   confirmed  policies.json: the new set. trial.json goes. Now whoever confirms is told.
 *   over       the kernel was given the former set. trial.json goes: that needs no room on the disk, and what is left is
 *              the former set, held.
 */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "control/protocol.h"
#include "files/files.h"
#include "ruleset/compare.h"
#include "util/duration.h"

#define RETRY_USEC 1000000         /* after the kernel has refused the former set */
#define REMOVE_USEC (60 * 1000000) /* after the file could not be removed */
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define DIFFERENCES_MAX 1 /* only how many matters */

/* ---- clock and files ---------------------------------------------------------------------------------- */

static uint64_t boottime_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int read_boot_id(char ret[static BOOT_ID_SIZE])
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    int r = files_read(BOOT_ID_FILE, BOOT_ID_SIZE, &text, &len);

    if (r < 0 || len < BOOT_ID_SIZE - 1)
        return r < 0 ? r : -EBADMSG;
    memcpy(ret, text, BOOT_ID_SIZE - 1);
    ret[BOOT_ID_SIZE - 1] = '\0';
    return 0;
}

static int save_trial(const struct daemon *daemon)
{
    _cleanup_free_ char *text = NULL;
    int r = trial_format(&daemon->trial.trial, &text);

    return r < 0 ? r : state_save(daemon->settings->state, TRIAL_FILE, text);
}

static int read_trial(const struct daemon *daemon, struct policy_trial *ret)
{
    _cleanup_free_ char *path = xasprintf("%s/" TRIAL_FILE, daemon->settings->state), *text = NULL;
    size_t len = 0;
    int r = files_read_own(path, TRIAL_MAX, &text, &len);

    return r < 0 ? r : trial_parse(text, len, ret);
}

/* A trial that is over must not be found by the next start. */
static int remove_file(struct daemon *daemon)
{
    struct trial_run *run = &daemon->trial;
    int r = state_remove(daemon->settings->state, TRIAL_FILE);

    if (r < 0 && !run->left)
        log_text(LOG_ERR, "the trial is over, but %s/" TRIAL_FILE " cannot be removed: %s; remove it",
                 daemon->settings->state, strerror(-r));
    run->left = r < 0;
    run->remove_at = daemon_now() + REMOVE_USEC;
    return r;
}

/* As long as the former set is nowhere else, the file is what a start goes on with. */
static bool may_remove_left(const struct daemon *daemon)
{
    const struct trial_run *run = &daemon->trial;

    return run->left && !run->running && (!run->needed || daemon->keep.error == 0);
}

/* ---- the timer ---------------------------------------------------------------------------------------- */

static void end(struct daemon *daemon, struct change *change);
static void bring_back(struct daemon *daemon);

static void expire(struct daemon *daemon)
{
    struct change change = change_now(CHANGE_EXPIRED, NULL);
    _cleanup_free_ char *who = who_text(&daemon->trial.trial.change.who);

    log_text(LOG_WARNING,
             "the policies on trial, applied by %s, were not confirmed in time: those before them come back",
             who);
    end(daemon, &change);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct daemon *daemon = userdata;

    (void)source, (void)usec;
    if (!daemon->trial.running)
        return 0;
    if (daemon->trial.ending)
        bring_back(daemon);
    else
        expire(daemon);
    return 0;
}

static int arm(struct daemon *daemon, uint64_t at)
{
    struct trial_run *run = &daemon->trial;
    int r = 0;

    if (!run->timer)
        r = sd_event_add_time(daemon->event, &run->timer, CLOCK_BOOTTIME, at, 1000, on_timer, daemon);
    if (r >= 0)
        r = sd_event_source_set_time(run->timer, at);
    return r < 0 ? r : sd_event_source_set_enabled(run->timer, SD_EVENT_ONESHOT);
}

static void disarm(struct daemon *daemon)
{
    if (daemon->trial.timer)
        sd_event_source_set_enabled(daemon->trial.timer, SD_EVENT_OFF);
}

void trial_close(struct daemon *daemon)
{
    sd_event_source_unref(daemon->trial.timer);
    trial_clear(&daemon->trial.trial);
    change_clear(&daemon->trial.end);
}

/* ---- the end ------------------------------------------------------------------------------------------ */

static void forget(struct daemon *daemon)
{
    struct trial_run *run = &daemon->trial;

    disarm(daemon);
    trial_clear(&run->trial);
    change_clear(&run->end);
    run->running = run->ending = run->refused = false;
}

/* Where nothing could be read before the trial, and where a newer daemon finds errors in what was, all is denied. */
static struct policy_set *former_set(struct daemon *daemon)
{
    const struct trial_set *former = &daemon->trial.trial.former;
    _cleanup_diags_ struct diags diags = {0};
    struct policy_set *policies =
        former->nothing ? NULL : policies_parse(former->files, former->n_files, &diags);

    if (policies)
        return policies;
    log_diags(&diags);
    log_text(
        LOG_CRIT,
        "there are no policies from before the trial that can be used: every connection of every container is "
        "denied until `cofferdam apply` succeeds");
    return policy_set_new();
}

static bool is_set(const struct policy_set *policies, const struct trial_set *set)
{
    return policies->finished && !set->nothing &&
           policy_files_same(policies->files, policies->n_files, set->files, set->n_files);
}

/* The former set, or the empty one in its place. */
static bool is_former(const struct daemon *daemon)
{
    const struct policy_set *policies = brain_policies(daemon->brain);

    return !policies->finished || is_set(policies, &daemon->trial.trial.former);
}

static int save_former(struct daemon *daemon, enum held_reason reason)
{
    const struct policy_trial *trial = &daemon->trial.trial;
    _cleanup_(policy_state_clear) struct policy_state next = {0};
    _cleanup_free_ char *now = daemon_wall_clock();
    const struct policy_state *saved = &daemon->keep.saved;
    bool same =
        !trial->former.nothing && policy_state_same(saved, trial->former.files, trial->former.n_files);

    policy_state_set(&next, same ? saved->saved : now, trial->former.files, trial->former.n_files);
    next.nothing = trial->former.nothing;
    next.held = (struct held){reason, trial->former_number, xstrdup(now)};
    return policy_keep_save(daemon, &next);
}

/* What the kernel holds is read back: that it took the change is not all that there is to be known. */
static void check_kernel(struct daemon *daemon)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    _cleanup_differences_ struct differences differences = {0};
    int r = kernel_tables(daemon, &tables);

    if (r == 0)
        ruleset_compare(tables.ruleset, brain_ruleset(daemon->brain), DIFFERENCES_MAX, &differences);
    if (r < 0)
        log_text(LOG_WARNING,
                 "the rules from before the trial are in force; they cannot be read back now: %s",
                 strerror(-r));
    else if (differences.n == 0)
        log_text(
            LOG_NOTICE,
            "the policies from before the trial are in force again: the kernel holds their rules (%zu objects)",
            differences.n_objects);
    else
        log_text(
            LOG_ERR,
            "the policies from before the trial are in force again, but the kernel does not hold all of their "
            "rules: what differs is put right");
    if (differences.n || r < 0)
        brain_check(daemon->brain, daemon_now());
}

/* With whatever mark: then the next start goes on with it. */
static bool is_former_saved(const struct daemon *daemon)
{
    const struct trial_set *former = &daemon->trial.trial.former;
    const struct policy_state *saved = &daemon->keep.saved;

    return saved->saved && saved->held.reason &&
           (former->nothing ? saved->nothing : policy_state_same(saved, former->files, former->n_files));
}

static json_t *ended(const struct daemon *daemon)
{
    return control_answer(STATUS_OK, json_pack("{s:I}", "number", (json_int_t)daemon->history.in_force));
}

static void finish(struct daemon *daemon)
{
    struct trial_run *run = &daemon->trial;
    struct policy_keep *keep = &daemon->keep;
    enum held_reason reason = run->end.kind == CHANGE_ROLLBACK ? HELD_ROLLBACK : HELD_EXPIRED;

    check_kernel(daemon);
    held_clear(&keep->held);
    keep->held = (struct held){reason, run->trial.former_number, daemon_wall_clock()};
    bool saved = save_former(daemon, reason) == 0;
    run->end.from = run->trial.former_number;
    history_record(daemon, &run->end);
    if (run->end.kind == CHANGE_EXPIRED) /* else a verb, or the failure of one, has ended it */
        audit_event(daemon, "trial-end", NULL, ended(daemon), NULL);
    run->needed = !saved && !is_former_saved(daemon);
    if (run->needed)
        run->left = true;
    else
        remove_file(daemon);
    forget(daemon);
    policies_changed(daemon);
    keep->due = !saved; /* it is tried again */
    keep->unrecorded = false;
}

void trial_update(struct daemon *daemon)
{
    struct trial_run *run = &daemon->trial;
    const char *message = NULL;

    if (may_remove_left(daemon) && daemon_now() >= run->remove_at)
        remove_file(daemon);
    if (!run->ending)
        return;
    if (is_former(daemon) && brain_policies_in_force(daemon->brain)) {
        finish(daemon);
        return;
    }
    int r = brain_policies_result(daemon->brain, NULL, &message);
    if (r == 0 || r == -EINPROGRESS)
        return;
    if (!run->refused)
        log_text(LOG_CRIT, "the kernel refuses the policies from before the trial: %s; it is tried again",
                 message ? message : strerror(-r));
    run->refused = true;
    arm(daemon, boottime_now() + RETRY_USEC);
}

static void bring_back(struct daemon *daemon)
{
    brain_load_policies(daemon->brain, former_set(daemon), daemon_now());
    daemon_run(daemon);
}

/* The change is moved from. */
static void end(struct daemon *daemon, struct change *change)
{
    struct trial_run *run = &daemon->trial;

    disarm(daemon);
    change_clear(&run->end);
    run->end = *change;
    *change = (struct change){0};
    run->ending = true;
    bring_back(daemon);
}

/* ---- the start of a daemon ---------------------------------------------------------------------------- */

/* The set confirmed last goes on, as if it was held, whatever the files say. */
static void take_damaged(struct daemon *daemon, int error)
{
    struct policy_state *saved = &daemon->keep.saved, next = *saved;

    log_text(LOG_ERR, "%s/" TRIAL_FILE " cannot be used: %s; the policies that were confirmed last go on",
             daemon->settings->state,
             error == -EBADMSG ? "it is damaged"
             : error == -EPERM ? "others than root may write it"
                               : strerror(-error));
    *saved = (struct policy_state){0};
    if (!next.saved)
        next = (struct policy_state){.saved = daemon_wall_clock(), .nothing = true};
    if (!next.held.reason)
        next.held = (struct held){HELD_EXPIRED, 0, daemon_wall_clock()};
    if (policy_keep_save(daemon, &next) == 0) {
        remove_file(daemon);
        return;
    }
    *saved = next;
    daemon->trial.left = daemon->trial.needed = true;
}

/* NULL: this daemon finds errors in it. */
static struct policy_set *trial_set(const struct policy_trial *trial)
{
    _cleanup_diags_ struct diags diags = {0};
    struct policy_set *policies = policies_parse(trial->new.files, trial->new.n_files, &diags);

    log_diags(&diags);
    return policies;
}

static struct policy_set *take_trial(struct daemon *daemon)
{
    struct trial_run *run = &daemon->trial;
    struct policy_set *policies = NULL;
    char boot_id[BOOT_ID_SIZE] = "";

    read_boot_id(boot_id);
    enum trial_fate fate = trial_fate(&run->trial, boottime_now(), boot_id);
    run->running = true;
    if (fate == TRIAL_GOES_ON && arm(daemon, run->trial.deadline) >= 0)
        policies = trial_set(&run->trial);
    if (policies) {
        _cleanup_free_ char *until = trial_until(daemon);
        log_text(LOG_WARNING, "policies are on trial %s, and are gone then unless somebody confirms them",
                 until);
        daemon->history.in_force = run->trial.number;
        return policies;
    }
    log_text(LOG_WARNING, "%s: the policies before it come back", trial_fate_text(fate));
    disarm(daemon);
    run->end = change_now(CHANGE_EXPIRED, NULL);
    run->ending = true;
    return former_set(daemon);
}

bool trial_open(struct daemon *daemon, struct policy_set **ret)
{
    int r = read_trial(daemon, &daemon->trial.trial);

    if (r == 0)
        *ret = take_trial(daemon);
    else if (r != -ENOENT)
        take_damaged(daemon, r);
    return r == 0;
}

/* ---- the start of a trial ----------------------------------------------------------------------------- */

static void set_files(struct trial_set *set, const struct policy_set *policies)
{
    set->files = policy_files_copy(policies->files, policies->n_files);
    set->n_files = policies->n_files;
    set->nothing = !policies->finished;
}

static int cannot_begin(struct diags *diags, const struct daemon *daemon, int error)
{
    diag_help(diag_add(diags, DIAG_ERROR, NULL, NULL, "the trial cannot be written to %s: %s",
                       daemon->settings->state, strerror(-error)),
              "without that nobody would know what to go back to, so nothing was applied");
    return error;
}

/* Writes down what is there to go back to. */
static int prepare(struct daemon *daemon, const struct policy_set *policies, struct change *change,
                   uint64_t span)
{
    struct policy_trial *trial = &daemon->trial.trial;
    int r = read_boot_id(trial->boot_id);

    trial->change = *change;
    *change = (struct change){0};
    trial->former_number = daemon->history.in_force;
    trial->deadline = boottime_now() + span;
    set_files(&trial->former, brain_policies(daemon->brain));
    set_files(&trial->new, policies);
    if (r == 0)
        r = arm(daemon, trial->deadline);
    if (r >= 0)
        r = save_trial(daemon);
    if (r == 0)
        r = save_former(daemon, HELD_TRIAL);
    return r;
}

/* Nothing was changed, or it was undone. */
static void undo(struct daemon *daemon, bool due)
{
    struct policy_keep *keep = &daemon->keep;
    bool nothing = daemon->trial.trial.former.nothing;

    remove_file(daemon);
    forget(daemon);
    if (nothing && keep->saved.nothing)
        policy_keep_remove(daemon);
    keep->due = due || keep->saved.held.reason == HELD_TRIAL;
    policy_keep_update(daemon);
}

/* It is in force: now it counts. */
static int put_in_force(struct daemon *daemon, uint64_t span)
{
    struct policy_trial *trial = &daemon->trial.trial;

    history_record(daemon, &trial->change);
    trial->number = daemon->history.in_force;
    trial->stage = TRIAL_IN_FORCE;
    trial->deadline = boottime_now() + span;
    int r = save_trial(daemon);
    return r < 0 ? r : arm(daemon, trial->deadline);
}

int trial_begin(struct daemon *daemon, struct policy_set *policies, struct change *change, uint64_t span,
                struct load_result *result, struct diags *diags)
{
    struct trial_run *run = &daemon->trial;
    bool due = daemon->keep.due;
    int r = prepare(daemon, policies, change, span);

    if (r < 0) {
        policy_set_free(policies);
        undo(daemon, due);
        return cannot_begin(diags, daemon, r);
    }
    run->running = true;
    daemon->keep.due = false;
    r = policies_load(daemon, policies, result, diags);
    if (r < 0 && r != -EINPROGRESS) { /* those before are in force */
        undo(daemon, due);
        return r;
    }
    if (r == 0)
        r = put_in_force(daemon, span);
    if (r < 0) { /* it may be in the kernel, or wait for the Engine */
        struct change back = change_now(CHANGE_ROLLBACK, &run->trial.change.who);
        if (r != -EINPROGRESS)
            cannot_begin(diags, daemon, r);
        end(daemon, &back);
        return r;
    }
    return 0;
}

/* ---- while it runs ------------------------------------------------------------------------------------ */

static char *local_time(uint64_t after)
{
    char text[sizeof("2026-11-20 15:04:05 ") + 40] = "";
    time_t then = time(NULL) + (time_t)((after + 500000) / 1000000);
    struct tm tm;

    if (localtime_r(&then, &tm))
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %Z", &tm);
    return xstrdup(text);
}

static uint64_t left_of(const struct policy_trial *trial)
{
    uint64_t now = boottime_now();

    return now < trial->deadline ? trial->deadline - now : 0;
}

char *trial_until(const struct daemon *daemon)
{
    uint64_t left = left_of(&daemon->trial.trial);
    _cleanup_free_ char *time = local_time(left), *span = duration_text(left);

    return xasprintf("until %s (%s from now)", time, span);
}

char *trial_blocks(struct daemon *daemon)
{
    struct trial_run *run = &daemon->trial;

    if (may_remove_left(daemon))
        remove_file(daemon);
    if (run->left && !run->running)
        return xasprintf("%s/" TRIAL_FILE
                         " of a trial that is over cannot be removed, and the next start would go "
                         "back to the policies before it",
                         daemon->settings->state);
    if (!run->running)
        return NULL;
    if (run->ending)
        return xstrdup("a trial of policies is over, and the policies before it are being brought back");
    _cleanup_free_ char *until = trial_until(daemon);
    return xasprintf("policies are on trial %s", until);
}

/* Past its deadline it is over, even if the timer has not said so yet. */
static int check_running(const struct daemon *daemon, struct diags *diags)
{
    const struct trial_run *run = &daemon->trial;

    if (!run->running)
        diag_help(diag_add(diags, DIAG_ERROR, NULL, NULL, "no policies are on trial"), "%s",
                  daemon->keep.held.reason == HELD_EXPIRED
                      ? "they were not confirmed in time: see `cofferdam history`"
                      : "`cofferdam apply --confirm-within 60s` begins a trial");
    else if (run->ending || left_of(&run->trial) == 0)
        diag_help(diag_add(diags, DIAG_ERROR, NULL, NULL, "the time is over"),
                  "the policies from before the trial come back: see `cofferdam status`");
    return diags->n_errors ? -ESRCH : 0;
}

static int say_kept_on(struct diags *diags, const struct daemon *daemon, int error)
{
    _cleanup_free_ char *until = trial_until(daemon);

    diag_help(diag_add(diags, DIAG_ERROR, NULL, NULL, "that cannot be written to %s: %s",
                       daemon->settings->state, strerror(-error)),
              "the policies stay on trial %s", until);
    return error;
}

/* A trial of what was rolled back to stays what it is: newer files are not loaded. */
static struct policy_state confirmed_state(const struct policy_trial *trial)
{
    _cleanup_free_ char *now = daemon_wall_clock();
    struct policy_state state = {0};

    policy_state_set(&state, now, trial->new.files, trial->new.n_files);
    if (trial->change.from)
        state.held = (struct held){HELD_ROLLBACK, trial->change.from, xstrdup(now)};
    return state;
}

int trial_confirm(struct daemon *daemon, struct change *change, struct diags *diags)
{
    struct trial_run *run = &daemon->trial;
    struct policy_keep *keep = &daemon->keep;
    _cleanup_(policy_state_clear) struct policy_state next = {0};
    int r = check_running(daemon, diags);

    if (r < 0)
        return r;
    next = confirmed_state(&run->trial);
    change->from = run->trial.change.from;
    r = policy_keep_save(daemon, &next);
    if (r < 0)
        return say_kept_on(diags, daemon, r);
    history_record(daemon, change);
    r = state_remove(daemon->settings->state, TRIAL_FILE);
    if (r < 0) {
        save_former(daemon, HELD_TRIAL);
        return say_kept_on(diags, daemon, r);
    }
    held_clear(&keep->held);
    keep->held = held_copy(&keep->saved.held);
    forget(daemon);
    log_text(LOG_NOTICE, "the policies on trial are confirmed");
    return 0;
}

int trial_extend(struct daemon *daemon, uint64_t span, struct diags *diags)
{
    struct policy_trial *trial = &daemon->trial.trial;
    uint64_t former = trial->deadline;
    int r = check_running(daemon, diags);

    if (r < 0)
        return r;
    if (left_of(trial) + span > TRIAL_SPAN_MAX) {
        diag_add(diags, DIAG_ERROR, NULL, NULL, "a trial cannot last longer than 24h from now");
        return -ERANGE;
    }
    trial->deadline += span;
    r = save_trial(daemon);
    if (r >= 0)
        r = arm(daemon, trial->deadline);
    if (r < 0) {
        trial->deadline = former;
        return say_kept_on(diags, daemon, r);
    }
    _cleanup_free_ char *until = trial_until(daemon);
    log_text(LOG_NOTICE, "the policies stay on trial %s", until);
    return 0;
}

int trial_roll_back(struct daemon *daemon, struct change *change, struct diags *diags)
{
    struct trial_run *run = &daemon->trial;

    if (!run->ending)
        end(daemon, change);
    if (run->running) {
        diag_help(diag_add(diags, DIAG_ERROR, NULL, NULL,
                           "the policies from before the trial are not in force yet"),
                  "it is tried until they are: see `cofferdam status`");
        return -EINPROGRESS;
    }
    return 0;
}

void trial_drop(struct daemon *daemon)
{
    if (!daemon->trial.running)
        return;
    log_text(LOG_WARNING, "the trial of policies is over: the next start goes on with those before it");
    remove_file(daemon);
    forget(daemon);
}

void trial_say_stop(struct daemon *daemon)
{
    _cleanup_free_ char *blocked = trial_blocks(daemon);

    if (blocked)
        log_text(
            LOG_WARNING,
            "%s: they stay in force until cofferdamd starts again, and are gone then if their time is over",
            blocked);
}

json_t *trial_to_json(const struct daemon *daemon)
{
    const struct trial_run *run = &daemon->trial;
    const struct policy_trial *trial = &run->trial;

    if (!run->running)
        return json_null();
    _cleanup_free_ char *until = trial_until(daemon), *by = who_text(&trial->change.who);
    return json_pack("{s:b, s:I, s:s, s:s, s:I, s:I, s:o}", "ending", run->ending, "seconds_left",
                     (json_int_t)(left_of(trial) / 1000000), "until", until, "by", by, "number",
                     (json_int_t)trial->number, "former_number", (json_int_t)trial->former_number, "change",
                     change_to_json(&trial->change));
}
