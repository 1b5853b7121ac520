/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What commands have done while no daemon answered: a file of operations (daemon/lock_pending.h), and the lock tables, in
 * which they cut by themselves. The daemon takes it over in steps, of which each can be repeated: the operations go into its
 * list, that onto the disk, into the brain and into the kernel, and only when the kernel was read back and holds it, the file
 * goes, and then the tables. Whoever is killed in between leaves both, and nothing open.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "files/lock_files.h"
#include "nft/lock_tables.h"
#include "nft/read.h"
#include "ruleset/compare.h"
#include "ruleset/lock_tables.h"
#include "util/fd.h"
#include "util/text.h"
#include "util/utc.h"
#include "verdict/lock_list.h"

#define RETRY_USEC 1000000ULL /* after what did not succeed */
#define BUSY_USEC 100000ULL   /* while a command holds the file */
#define ASIDE_TRIES 100

static bool stands(struct daemon *daemon)
{
    bool exist = false;

    /* What cannot be looked at may be there. */
    return lock_tables_exist(daemon->nft, &exist) < 0 || exist;
}

/* Tables that stood before this daemon looked, or were made since, may hold what is on no list. */
static void look_for_tables(struct daemon *daemon)
{
    bool stood = daemon->takeover.tables;

    daemon->takeover.tables = stands(daemon);
    if (daemon->takeover.tables && !stood)
        daemon->takeover.adopt = true;
}

/* ---- damage ------------------------------------------------------------------------------------------- */

/* Under a name that no other file has. */
static int put_aside(const char *directory, const char *name)
{
    int r = -EEXIST;

    for (unsigned i = 0; i < ASIDE_TRIES && r == -EEXIST; i++) {
        _cleanup_free_ char *aside =
            xasprintf("%s.%lld%s%.0u", LOCK_PENDING_ASIDE, (long long)time(NULL), i ? "-" : "", i);

        r = state_rename(directory, name, aside);
    }
    return r;
}

/* The first that is damaged counts until all is released; of more than one, the others are only kept. */
static int keep_damaged(struct daemon *daemon)
{
    const char *directory = daemon->settings->state;
    int r = state_rename(directory, LOCK_PENDING_FILE, LOCK_PENDING_ASIDE);

    return r == -EEXIST ? put_aside(directory, LOCK_PENDING_FILE) : r;
}

static bool has_aside(const struct daemon *daemon)
{
    _cleanup_free_ char *path = xasprintf("%s/" LOCK_PENDING_ASIDE, daemon->settings->state);

    return access(path, F_OK) == 0 || errno != ENOENT;
}

/* In whole, and until it is released. */
static bool means_everybody(const struct lock *lock)
{
    return lock->select.all && lock->cut == CUT_BOTH && !lock->n_except && !lock->n_allow && !lock->until &&
           !lock->stands_in;
}

/* Where no tables hold what the file said, nobody knows whom it meant. */
static void lock_unknown(struct daemon *daemon, struct lock_list *list)
{
    struct lock *lock;

    for (size_t i = 0; i < list->n; i++)
        if (means_everybody(list->v[i]))
            return;
    if (daemon->takeover.tables)
        return;
    lock = lock_everybody("a list of what was locked down while cofferdamd did not answer is damaged, and "
                          "nobody knows whom it meant");
    lock_list_add(list, lock);
    log_text(LOG_CRIT, "every container is locked down, as nothing else says whom the damaged list meant; "
                       "`cofferdam release --all` ends it");
}

static void say_damaged(struct daemon *daemon, const struct lock_pending *pending, int error)
{
    if (daemon->takeover.said_damaged)
        return;
    daemon->takeover.said_damaged = true;
    log_text(LOG_CRIT,
             "%s/" LOCK_PENDING_FILE
             ", what was locked down while cofferdamd did not answer, is damaged (%s): "
             "%zu operation%s of it can be read and hold%s; it is kept as " LOCK_PENDING_ASIDE
             ", and what was cut then stays cut until `cofferdam release --all`",
             daemon->settings->state, error < 0 ? strerror(-error) : "its checksums are wrong", pending->n,
             pending->n == 1 ? "" : "s", pending->n == 1 ? "s" : "");
}

void takeover_released_all(struct daemon *daemon)
{
    if (!daemon->takeover.damaged)
        return;
    int r = put_aside(daemon->settings->state, LOCK_PENDING_ASIDE);
    if (r < 0) {
        log_text(LOG_ERR, "%s/" LOCK_PENDING_ASIDE " cannot be renamed (%s): it goes on to count",
                 daemon->settings->state, strerror(-r));
        return;
    }
    daemon->takeover.damaged = false;
    daemon->takeover.due = true;
}

/* ---- the file is read --------------------------------------------------------------------------------- */

static void log_op(const struct lock_op *op)
{
    _cleanup_free_ char *by = text_escape(op->by ? op->by : "?", false);
    _cleanup_free_ char *when = utc_text(op->time);

    switch (op->kind) {
    case LOCK_OP_LOCK:
        for (size_t i = 0; i < op->locks->n; i++) {
            _cleanup_free_ char *who = text_escape(lock_text(op->locks->v[i]), false);

            log_text(LOG_WARNING, "%s was locked down at %s by %s, while cofferdamd did not answer", who,
                     when, by);
        }
        break;
    case LOCK_OP_RELEASE:
        for (size_t i = 0; i < op->n_words; i++) {
            _cleanup_free_ char *who = text_escape(op->words[i], false);

            log_text(LOG_WARNING, "%s was released at %s by %s, while cofferdamd did not answer", who, when,
                     by);
        }
        break;
    case LOCK_OP_RELEASE_ALL:
        log_text(LOG_WARNING, "all lockdowns were released at %s by %s, while cofferdamd did not answer",
                 when, by);
        break;
    }
}

static bool all_known(const struct lock_list *list, const struct lock_pending *pending)
{
    for (size_t i = 0; i < pending->n; i++)
        if (!lock_list_knows(list, pending->v[i].request))
            return false;
    return true;
}

/*
 * What holds with the operations of the file. 0; -ENOENT: there is none, and *ret is NULL, as it is where the list knows them
 * all; -EIO: it is damaged, and all that it still says is in *ret. It is held.
 */
static int read_pending(struct daemon *daemon, const struct lock_list *list,
                        const struct inventory *inventory, struct lock_list **ret)
{
    _cleanup_pending_ struct lock_pending pending = {0};
    int r = lock_pending_load(daemon->settings->state, &pending);

    *ret = NULL;
    if (r == -ENOENT)
        return r;
    if (r < 0 || pending.damaged)
        say_damaged(daemon, &pending, r);
    for (size_t i = 0; i < pending.n; i++)
        if (!lock_list_knows(list, pending.v[i].request))
            log_op(&pending.v[i]);
    if (!all_known(list, &pending))
        *ret = lock_pending_merge(list, &pending, inventory);
    return r < 0 || pending.damaged ? -EIO : 0;
}

/*
 * Merges the file into the list: what holds now, or NULL where nothing of it is new. With what is damaged nothing more can be
 * done later, so that it is put aside at once.
 */
static struct lock_list *merge(struct daemon *daemon, const struct lock_list *list,
                               const struct inventory *inventory)
{
    struct lock_list *merged = NULL;
    int r = read_pending(daemon, list, inventory, &merged);

    daemon->takeover.file = r == 0;
    daemon->takeover.due = daemon->takeover.due || r != -ENOENT;
    if (r != -EIO)
        return merged;
    if (!merged && !daemon->takeover.damaged)
        merged = lock_list_copy(list, NULL, NULL);
    daemon->takeover.damaged = true;
    if (merged)
        lock_unknown(daemon, merged);
    if (merged && lockdown_save(daemon, merged) < 0)
        return merged;
    r = keep_damaged(daemon);
    if (r < 0)
        log_text(LOG_ERR, "%s/" LOCK_PENDING_FILE " cannot be put aside: %s", daemon->settings->state,
                 strerror(-r));
    daemon->takeover.said_damaged = r < 0;
    return merged;
}

/* ---- taking over -------------------------------------------------------------------------------------- */

void takeover_begin(struct daemon *daemon, struct brain_config *config)
{
    _cleanup_(inventory_freep) struct inventory *inventory = NULL;
    struct inventory_age age;

    look_for_tables(daemon);
    daemon->takeover.due = daemon->takeover.tables;
    daemon->takeover.damaged = has_aside(daemon);
    if (daemon->takeover.tables)
        log_text(LOG_WARNING, "lock tables stand, made while no cofferdamd answered: they go once its own "
                              "rules hold what they do");
    if (inventory_state_load(daemon->settings->state, &inventory, &age) < 0)
        inventory = inventory_new();
    struct lock_list *merged = merge(daemon, config->locks, inventory);
    if (daemon->takeover.damaged) {
        merged = merged ? merged : lock_list_copy(config->locks, NULL, NULL);
        lock_unknown(daemon, merged);
    }
    if (!merged)
        return;
    lock_list_free(config->locks);
    config->locks = lockdown_current(daemon, merged);
    lock_list_free(merged);
    (void)lockdown_save(daemon, config->locks);
}

static void set_locks(struct daemon *daemon, const struct lock_list *merged)
{
    struct lock_list *list = lockdown_current(daemon, merged);

    (void)lockdown_save(daemon, list);
    brain_set_locks(daemon->brain, list, daemon_now());
    daemon->takeover.changed = true;
    lockdown_arm(daemon);
    daemon_touch(daemon);
}

static void take(struct daemon *daemon)
{
    _cleanup_(lock_list_freep) struct lock_list *merged =
        merge(daemon, brain_locks(daemon->brain), brain_inventory(daemon->brain));

    if (merged)
        set_locks(daemon, merged);
}

void takeover_take(struct daemon *daemon)
{
    if (!brain_torn_down(daemon->brain))
        take(daemon);
}

/* ---- and letting go ----------------------------------------------------------------------------------- */

static void why(struct daemon *daemon, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void why(struct daemon *daemon, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    free(daemon->takeover.why);
    daemon->takeover.why = xvasprintf(format, args);
    va_end(args);
}

/* Does the kernel hold, in our own tables, all that the brain's list says? */
static bool is_held(struct daemon *daemon)
{
    _cleanup_differences_ struct differences differences = {0};
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    int r;

    if (!brain_inventory_known(daemon->brain)) {
        why(daemon, "the Docker Engine has not answered since cofferdamd started");
        return false;
    }
    if (!brain_locks_in_force(daemon->brain)) {
        why(daemon, "cofferdamd's own rules are not in force");
        return false;
    }
    r = kernel_tables(daemon, &tables);
    if (r == 0)
        ruleset_compare(tables.ruleset, brain_ruleset(daemon->brain), 1, &differences);
    if (r < 0)
        why(daemon, "the kernel's rules cannot be read (%s)", strerror(-r));
    else if (differences.n > 0)
        why(daemon, "the kernel does not hold what it should");
    return r == 0 && differences.n == 0;
}

static bool is_nameless(const struct lock *lock, const void *userdata)
{
    (void)userdata;
    return lock_is_nameless(lock);
}

/* What no container is known to have, our own rules do not hold. */
static int shrink_tables(struct daemon *daemon, struct diags *diags)
{
    _cleanup_(lock_list_freep) struct lock_list *left =
        lock_list_copy(brain_locks(daemon->brain), is_nameless, NULL);

    if (left->n == 0)
        return lock_tables_remove(daemon->nft, diags);
    const struct compile_options options = compile_options_of(daemon->settings);
    _cleanup_(ruleset_freep) struct ruleset *ruleset =
        lock_tables_compile(left, brain_inventory(daemon->brain), &options);
    why(daemon, "%s is locked down, and no container is known to have it", lock_text(left->v[0]));
    return lock_tables_apply(daemon->nft, ruleset, diags);
}

static int let_go(struct daemon *daemon)
{
    _cleanup_diags_ struct diags diags = {0};
    int r = daemon->takeover.file ? state_remove(daemon->settings->state, LOCK_PENDING_FILE) : 0;

    if (r < 0) {
        why(daemon, LOCK_PENDING_FILE " cannot be removed (%s)", strerror(-r));
        return r;
    }
    if (daemon->takeover.file)
        log_text(LOG_NOTICE, "what was done while cofferdamd did not answer is taken over");
    daemon->takeover.file = false;
    if (!daemon->takeover.tables)
        return 0;
    if (daemon->takeover.damaged) {
        why(daemon,
            "a list of lockdowns, " LOCK_PENDING_ASIDE ", is damaged: `cofferdam release --all` ends it");
        return 0;
    }
    r = shrink_tables(daemon, &diags);
    daemon->takeover.tables = stands(daemon);
    if (r == 0 && !daemon->takeover.tables)
        log_text(LOG_NOTICE, "the lock tables are removed: cofferdamd's own rules hold what they did");
    if (r < 0) {
        log_diags(&diags);
        why(daemon, "the kernel refuses to change them (%s)", strerror(-r));
    }
    return r;
}

/* Whoever is cut off and on no list is put on it. 0; -EAGAIN: there was one, and first the brain acts on that. */
static int adopt(struct daemon *daemon)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    int r;

    if (!daemon->takeover.adopt || !daemon->takeover.tables || !brain_inventory_known(daemon->brain))
        return 0;
    if (brain_labels_lost(daemon->brain)) { /* everybody is locked down, and then those would be free */
        why(daemon, "the labels are lost: `cofferdam label --reset` ends that");
        return -EBUSY;
    }
    r = nft_read_pair(daemon->nft, PAIR_LOCK, &tables);
    if (r < 0) {
        why(daemon, "they cannot be read (%s)", strerror(-r));
        return r;
    }
    bool adopted = brain_adopt_locks(daemon->brain, tables.ruleset, daemon->takeover.ended,
                                     (uint64_t)time(NULL), daemon_now());
    daemon->takeover.adopt = false;
    daemon->takeover.ended = lock_list_free(daemon->takeover.ended);
    if (!adopted)
        return 0;
    daemon_touch(daemon);
    return -EAGAIN;
}

/* Nobody else adds to the file, or makes tables, between the look at both and their end. */
static int finish(struct daemon *daemon)
{
    _cleanup_close_ int hold = -1;
    int r = lock_pending_hold(daemon->settings->state, 0, &hold);

    if (r == -EWOULDBLOCK) {
        why(daemon, "a command is just adding to them");
        return r;
    }
    take(daemon);                 /* where it cannot be held at all, nobody else can write either */
    if (daemon->takeover.changed) /* there was something new: first the brain acts on it */
        return -EAGAIN;
    if (daemon->takeover.unsaved) {
        why(daemon, "the list of lockdowns cannot be saved in %s", daemon->settings->state);
        r = lockdown_save(daemon, brain_locks(daemon->brain));
        if (r < 0)
            return r;
    }
    look_for_tables(daemon);
    if (!daemon->takeover.tables && !daemon->takeover.file)
        return 0;
    r = adopt(daemon);
    if (r < 0)
        return r;
    return is_held(daemon) ? let_go(daemon) : -EBUSY;
}

/* An address or a port is its container's, once that is known. */
static void identify(struct daemon *daemon)
{
    const struct lock_list *locks = brain_locks(daemon->brain);
    bool nameless = false;

    for (size_t i = 0; locks && i < locks->n; i++)
        nameless = nameless || lock_is_nameless(locks->v[i]);
    if (!nameless)
        return;
    _cleanup_(lock_list_freep) struct lock_list *list = lock_list_copy(locks, NULL, NULL);
    if (lock_list_identify(list, brain_inventory(daemon->brain)))
        set_locks(daemon, list);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    daemon_touch(userdata);
    return 0;
}

static void again(struct daemon *daemon, uint64_t usec)
{
    struct takeover *takeover = &daemon->takeover;
    uint64_t at = daemon_now() + usec;

    takeover->due = true;
    takeover->try_at = at;
    if (!takeover->timer) {
        (void)sd_event_add_time(daemon->event, &takeover->timer, CLOCK_MONOTONIC, at, 1000, on_timer, daemon);
        return;
    }
    sd_event_source_set_time(takeover->timer, at);
    sd_event_source_set_enabled(takeover->timer, SD_EVENT_ONESHOT);
}

void takeover_update(struct daemon *daemon)
{
    struct takeover *takeover = &daemon->takeover;
    uint64_t now = daemon_now();
    int r;

    if (brain_torn_down(daemon->brain))
        return;
    takeover->changed = false;
    identify(daemon);
    if (!takeover->due && !takeover->tables)
        takeover->ended = lock_list_free(takeover->ended);
    if (!takeover->due || takeover->changed || now < takeover->try_at)
        return;
    takeover->due = false;
    r = finish(daemon);
    if (r == 0 && !takeover->tables)
        free(STEAL(takeover->why));
    if (r < 0)
        again(daemon, r == -EAGAIN ? 0 : r == -EWOULDBLOCK ? BUSY_USEC : RETRY_USEC);
}

/* ---- when it is told --------------------------------------------------------------------------------- */

static int on_file(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    struct daemon *daemon = userdata;

    (void)source;
    if (event->mask & IN_Q_OVERFLOW || (event->len && strcmp(event->name, LOCK_PENDING_FILE) == 0))
        takeover_take(daemon);
    return 0;
}

void takeover_watch(struct daemon *daemon)
{
    int r = sd_event_add_inotify(daemon->event, &daemon->takeover.watch, daemon->settings->state,
                                 IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR, on_file, daemon);

    if (r < 0)
        log_text(LOG_WARNING,
                 "%s cannot be watched (%s): what a command does while cofferdamd does not answer is taken "
                 "over at the next command or start only",
                 daemon->settings->state, strerror(-r));
}

void takeover_ended(struct daemon *daemon, const struct lock *lock)
{
    if (!daemon->takeover.ended)
        daemon->takeover.ended = lock_list_new();
    lock_list_add(daemon->takeover.ended, lock_copy(lock));
}

void takeover_changed(struct daemon *daemon)
{
    daemon->takeover.due = daemon->takeover.due || daemon->takeover.tables || daemon->takeover.file;
    daemon->takeover.try_at = 0;
}

const char *takeover_tables(struct daemon *daemon)
{
    struct takeover *takeover = &daemon->takeover;
    bool stood = takeover->tables;

    look_for_tables(daemon);
    if (!takeover->tables)
        return NULL;
    if (!stood) { /* nobody but a command can have made them */
        takeover->due = true;
        daemon_touch(daemon);
    }
    return takeover->why ? takeover->why : "cofferdamd is taking over what they hold";
}

bool takeover_is_unfinished(const struct daemon *daemon)
{
    return daemon->takeover.tables && (daemon->takeover.due || daemon->takeover.damaged);
}

int takeover_remove_tables(struct daemon *daemon)
{
    _cleanup_diags_ struct diags diags = {0};
    int r = lock_tables_remove(daemon->nft, &diags);

    log_diags(&diags);
    daemon->takeover.tables = stands(daemon);
    return r;
}

void takeover_close(struct daemon *daemon)
{
    sd_event_source_unref(daemon->takeover.watch);
    sd_event_source_unref(daemon->takeover.timer);
    free(daemon->takeover.why);
    lock_list_free(daemon->takeover.ended);
    daemon->takeover = (struct takeover){0};
}
