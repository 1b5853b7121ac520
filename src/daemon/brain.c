/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The brain's middle: actions, what is applied when, and what follows from the kernel's answer. */
#include "brain_private.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "inventory/json.h"
#include "verdict/flow.h"

/* ---- actions ------------------------------------------------------------------------------------------ */

struct action *brain_push(struct brain *brain, enum action_kind kind)
{
    struct action *action = xnew(struct action);

    action->kind = kind;
    *brain->last = action;
    brain->last = &action->next;
    return action;
}

struct action *brain_pop(struct brain *brain)
{
    struct action *action = brain->first;

    if (!action)
        return NULL;
    brain->first = action->next;
    if (!brain->first)
        brain->last = &brain->first;
    action->next = NULL;
    return action;
}

void brain_unpush(struct brain *brain, enum action_kind kind)
{
    struct action **at = &brain->first;

    while (*at) {
        struct action *action = *at;
        if (action->kind != kind) {
            at = &action->next;
            continue;
        }
        *at = action->next;
        action_free(action);
    }
    brain->last = at;
}

struct action *action_free(struct action *action)
{
    if (action) {
        free(action->id);
        free(action->text);
        free(action);
    }
    return NULL;
}

void brain_log(struct brain *brain, int priority, const char *format, ...)
{
    struct action *action = brain_push(brain, ACTION_LOG);
    va_list args;

    va_start(args, format);
    action->priority = priority;
    action->text = xvasprintf(format, args);
    va_end(args);
}

/* ---- life --------------------------------------------------------------------------------------------- */

struct brain *brain_new(const struct brain_config *config, struct policy_set *policies, uint64_t now)
{
    struct brain *brain = xnew(struct brain);

    brain->last = &brain->first;
    brain->settings = config->settings;
    brain->br_netfilter = config->br_netfilter;
    brain->options = compile_options_of(config->settings);
    brain->policies = policies;
    brain->compiler = compiler_new(policies, &brain->options);
    brain->inventory = inventory_new();
    brain->labels = config->labels;
    brain->labels_lost = config->labels_lost;
    brain->locks = brain_hold_for_labels(brain, config->locks);
    brain->locks_lost = config->locks_lost;
    brain->locks_behind = config->locks_behind;
    compiler_set_locks(brain->compiler, brain->locks);
    brain->hold = brain->keep_tables = brain->distrust = config->tables_exist;
    brain->need_full = !config->tables_exist;
    brain->check_at = now + CHECK_INTERVAL;
    brain->start_deadline = now + START_WAIT;
    brain->backoff = CONNECT_BACKOFF_MIN;
    brain->full_backoff = LOAD_RETRY_MIN;
    brain->flows_backoff = FLOWS_RETRY_MIN;
    brain->flows_calm = FLOWS_CALM;
    if (config->state && brain_take_state(brain, config->state) < 0)
        brain_log(brain, LOG_WARNING,
                  "the state file makes no sense and is not used; at teardown, the bridges' switches stay as "
                  "they are");
    brain->connecting = true;
    brain_push(brain, ACTION_CONNECT);
    return brain;
}

static void drop_next(struct brain *brain)
{
    brain->next_compiler = compiler_free(brain->next_compiler);
    brain->next_policies = policy_set_free(brain->next_policies);
    brain->has_next = false;
}

struct brain *brain_free(struct brain *brain)
{
    if (!brain)
        return NULL;
    delta_clear(&brain->delta);
    drop_next(brain);
    brain->compiler = compiler_free(brain->compiler);
    brain->policies = policy_set_free(brain->policies);
    brain_engine_clear(brain);
    brain_containers_clear(brain);
    brain_ports_clear(brain);
    brain_past_clear(brain);
    inventory_free(brain->inventory);
    ruleset_free(brain->kernel);
    free(brain->gone_ports);
    flow_judge_free(brain->judge);
    free(brain->ended);
    free(brain->locked);
    lock_list_free(brain->locks);
    given_labels_free(brain->labels);
    free(brain->flows_error);
    free(brain->policies_message);
    free(brain->engine_version);
    free(brain->engine_error);
    free(brain->kernel_error);
    free(brain->changed_by);
    for (struct action *action; (action = brain_pop(brain));)
        action_free(action);
    free(brain);
    return NULL;
}

/* ---- what is applied when ----------------------------------------------------------------------------- */

static void apply(struct brain *brain, enum apply_kind kind)
{
    struct action *action = brain_push(brain, ACTION_APPLY);

    brain->applying = true;
    brain->apply_kind = kind;
    action->apply = kind;
    action->delta = &brain->delta;
}

static void say_ready(struct brain *brain)
{
    if (!brain->ready)
        brain_push(brain, ACTION_READY);
    brain->ready = true;
}

static bool details_known(const struct brain *brain)
{
    if (!brain->listed_containers || !brain->listed_networks)
        return false;
    for (struct fact_network *fact = brain->networks; fact; fact = fact->hh.next) {
        const struct network *network = inventory_network(brain->inventory, fact->id);
        if (network && network->managed && !fact->has_detail)
            return false;
    }
    return true;
}

/* That the rules depend on. */
static bool nothing_in_flight(const struct brain *brain)
{
    for (struct fetch *fetch = brain->fetches; fetch; fetch = fetch->hh.next)
        if (fetch->in_flight && fetch->kind != FETCH_INFO)
            return false;
    return brain_peers_asked(brain);
}

/*
 * Where tables of an earlier daemon stand, the kernel keeps them until the first inventory is complete: to begin
 * with a part would cut containers that run. Where nothing stands, as at boot, rules go in at once, without any
 * container in them: better every connection denied for an instant than any open.
 */
static void decide_hold(struct brain *brain, uint64_t now)
{
    bool late = brain->late = now >= brain->start_deadline;

    if (brain->connected && details_known(brain)) {
        brain->inventory_known = true;
        brain->synced = brain->synced || nothing_in_flight(brain);
        brain->was_synced = brain->was_synced || brain->synced || late;
    }
    if (!brain->hold)
        return;
    if (brain->synced || (late && brain->connected && details_known(brain))) {
        brain->hold = false;
        brain->need_full = true;
    } else if (late || brain->engine_error) {
        say_ready(brain);
    }
}

static void take_next(struct brain *brain)
{
    compiler_free(brain->compiler);
    brain->compiler = STEAL(brain->next_compiler);
    if (brain->next_policies) {
        policy_set_free(brain->policies);
        brain->policies = STEAL(brain->next_policies);
    }
    drop_next(brain);
}

static void policies_wait(struct brain *brain)
{
    brain->policies_waiting = true;
    free(brain->policies_message);
    brain->policies_message = xstrdup(
        "the policies are read and will be in force when the Docker Engine answers; until then the rules "
        "that stand in the kernel stay in force");
}

/* What stands is read for mending only: where it was not, or could not be, something may stand. */
static void load_whole(struct brain *brain, const struct ruleset *wanted)
{
    if (brain->kernel && !ruleset_stands(brain->kernel))
        delta_between(brain->kernel, wanted, &brain->delta); /* nothing, or a standby alone */
    else
        delta_replace(wanted, &brain->delta);
}

/*
 * Compiled only now, from what is known now: nothing can have moved on between compiling and applying. While
 * the kernel keeps what it has, that is all; when it needs everything anew, new policies go in whole. But tables of
 * an earlier daemon are read first: they tell which addresses have changed hands.
 */
static void try_next(struct brain *brain)
{
    brain->next_compiler = compiler_free(brain->next_compiler);
    brain->next_compiler =
        compiler_new(brain->next_policies ? brain->next_policies : brain->policies, &brain->options);
    brain_compile_all(brain, brain->next_compiler);
    brain->next_whole = brain->need_full;
    bool adopts = brain->keep_tables && !brain->loaded && !brain->kernel_error;
    if (brain->hold || (brain->need_full && (adopts || !brain->next_policies))) {
        if (brain->next_policies)
            policies_wait(brain);
        take_next(brain); /* and the next full load brings it in */
        return;
    }
    if (brain->next_whole)
        load_whole(brain, compiler_ruleset(brain->next_compiler));
    else
        delta_between(compiler_ruleset(brain->compiler), compiler_ruleset(brain->next_compiler),
                      &brain->delta);
    brain->policies_changes = delta_count(&brain->delta);
    if (brain->policies_changes > 0)
        apply(brain, APPLY_POLICIES);
    else
        take_next(brain);
}

/* Of what was read of the kernel. */
static void forget_kernel(struct brain *brain)
{
    brain->kernel = ruleset_free(brain->kernel);
    brain->has_kernel = false;
}

static void loaded(struct brain *brain)
{
    forget_kernel(brain);
    brain->replace = false;
    if (brain->policies_waiting)
        free(STEAL(brain->policies_message));
    brain->policies_waiting = false;
    brain->changed_by_others = false;
    if (!brain->loaded)
        brain_log(brain, LOG_NOTICE, "the rules are in force: %zu policies, %u containers",
                  brain->policies->n_policies, HASH_COUNT(brain->inventory->containers));
    brain->loaded = true;
    brain->need_full = false;
    brain->full_backoff = LOAD_RETRY_MIN;
    free(STEAL(brain->kernel_error));
    say_ready(brain);
}

/*
 * What stands is read first, and only what differs is written: a full load would lose packets of connections that are
 * allowed. Only where nothing of ours stands, or nothing that can be mended, everything is loaded.
 */
static void bring_in_line(struct brain *brain, uint64_t now)
{
    const struct ruleset *wanted = compiler_ruleset(brain->compiler);

    brain->check_at = now + CHECK_INTERVAL;
    if (!brain->has_kernel) {
        brain_push(brain, ACTION_READ_TABLES);
        return;
    }
    if (brain->kernel && !brain->loaded)
        brain_adopt_ports(brain, brain->kernel);
    if (!brain->loaded && (brain->kernel ? ruleset_stands(brain->kernel) : brain->distrust))
        brain_end_moved(brain, brain->kernel, wanted);
    if (brain->kernel && !brain->replace)
        delta_between(brain->kernel, wanted, &brain->delta);
    else
        load_whole(brain, wanted);
    brain_flows_due(brain, now);
    if (delta_count(&brain->delta) > 0) {
        apply(brain, APPLY_FULL);
    } else {
        loaded(brain);
        brain_end_flows(brain, now);
    }
}

void brain_flush(struct brain *brain, uint64_t now)
{
    if (brain->torn_down || brain->applying)
        return;
    brain_match_ports(brain, now);
    brain_decide_bridges(brain, now);
    brain_find_elsewhere(brain);
    brain_derive(brain, now);
    decide_hold(brain, now);

    bool whole = brain->hold || brain->need_full;
    delta_clear(&brain->delta);
    brain_reconcile(brain, whole ? NULL : &brain->delta, now);
    if (delta_count(&brain->delta) > 0)
        apply(brain, APPLY_ELEMENTS);
    else if (brain_end_flows(brain, now))
        return;
    else if (brain->has_next)
        try_next(brain);
    if (brain->need_full && !brain->hold && !brain->applying && now >= brain->full_at)
        bring_in_line(brain, now);
}

/* ---- what follows from the kernel's answer ------------------------------------------------------------ */

static void load_again(struct brain *brain, uint64_t at)
{
    forget_kernel(brain);
    brain->need_full = true;
    brain->full_at = at;
}

static void use_no_policies(struct brain *brain)
{
    brain->next_policies = policy_set_new();
    brain->next_compiler = compiler_new(brain->next_policies, &brain->options);
    brain_compile_all(brain, brain->next_compiler);
    take_next(brain);
}

static void load_failed(struct brain *brain, int error, const char *message, uint64_t now)
{
    free(brain->kernel_error);
    brain->kernel_error = xstrdup(message);
    if (brain->policies_waiting) {
        brain->policies_waiting = false;
        brain->policies_error = error;
        free(brain->policies_message);
        brain->policies_message = xstrdup(message);
    }
    if (brain->kernel && ruleset_stands(brain->kernel) && !brain->replace) {
        brain_log(brain, LOG_WARNING, "the kernel's tables cannot be mended (%s): they are replaced",
                  message);
        brain->replace = true;
        brain->full_at = now;
        return;
    }
    if (!brain->loaded && !brain->keep_tables && brain->policies->n_policies > 0) {
        /* Nothing of ours stands. Better every connection denied than none. */
        brain_log(brain, LOG_CRIT,
                  "the kernel refuses the rules (%s): everything is denied, without any policy", message);
        use_no_policies(brain);
        brain->full_at = now;
        return;
    }
    brain_log(brain, LOG_CRIT, "the kernel refuses the rules: %s; trying again in %u s", message,
              (unsigned)(brain->full_backoff / SEC));
    forget_kernel(brain);
    brain->full_at = now + brain->full_backoff;
    brain->full_backoff *= 2;
    if (brain->full_backoff > LOAD_RETRY_MAX)
        brain->full_backoff = LOAD_RETRY_MAX;
}

/* No more of it can be believed to be in the kernel, nor that it is not: a part may have gone in. */
static void next_failed(struct brain *brain, int error, const char *message, uint64_t now)
{
    forget_kernel(brain);
    if (!brain->next_whole || !brain->kernel_error)
        load_again(brain, now);
    if (!brain->next_whole && (error == -ENOENT || error == -EEXIST)) {
        /* The kernel does not hold what we think it does: then they go in whole. */
        brain_log(brain, LOG_ERR, "a change was refused by the kernel (%s): all rules are loaded again",
                  message);
        return;
    }
    if (!brain->next_policies) {
        brain_log(brain, LOG_ERR, "a change was refused by the kernel (%s): all rules are loaded again",
                  message);
        take_next(brain);
        return;
    }
    brain->policies_error = error;
    brain->policies_message = xstrdup(message);
    brain_log(brain, LOG_ERR, "the kernel refuses the new policies: %s; those in force stay in force",
              message);
    drop_next(brain);
}

static void next_succeeded(struct brain *brain, uint64_t now)
{
    bool whole = brain->next_whole;

    take_next(brain);
    if (whole)
        loaded(brain);
    brain_flows_due(brain, now);
}

void brain_applied(struct brain *brain, int error, const char *message, uint64_t now)
{
    const char *why = message && message[0] ? message : strerror(error < 0 ? -error : 0);

    brain->applying = false;
    delta_clear(&brain->delta);
    switch (brain->apply_kind) {
    case APPLY_ELEMENTS:
        if (error < 0) {
            brain_log(brain, LOG_ERR, "a change was refused by the kernel (%s): all rules are loaded again",
                      why);
            load_again(brain, now);
        }
        break;
    case APPLY_FULL:
        if (error < 0)
            load_failed(brain, error, why, now);
        else if (brain->has_kernel) /* else it was changed again since it was read */
            loaded(brain);
        brain_flows_due(brain, now);
        break;
    case APPLY_POLICIES:
        if (error < 0)
            next_failed(brain, error, why, now);
        else
            next_succeeded(brain, now);
        break;
    case APPLY_TEARDOWN:
        brain->torn_down = error >= 0;
        if (error < 0)
            brain_log(brain, LOG_ERR, "the kernel refuses to remove the rules: %s", why);
        else
            brain_restore_bridges(brain);
        break;
    }
}

/* ---- what others do to our tables --------------------------------------------------------------------- */

/* At once, but two programs that fight over the tables shall not burn the host. */
static uint64_t repair_at(struct brain *brain, uint64_t now)
{
    uint64_t at = now;

    if (now >= brain->repaired_at + REPAIR_CALM)
        brain->n_repairs = 0;
    if (++brain->n_repairs > REPAIRS_AT_ONCE && brain->repaired_at + SEC > now)
        at = brain->repaired_at + SEC;
    brain->repaired_at = at;
    return at;
}

static void log_change(struct brain *brain, const char *what, uint64_t now)
{
    _cleanup_free_ char *times = NULL;

    brain->n_unlogged++;
    if (brain->change_logged_at && now < brain->change_logged_at + SEC)
        return;
    if (brain->n_unlogged > 1)
        times = xasprintf(" (%zu times since this was last said)", brain->n_unlogged);
    brain_log(brain, LOG_WARNING, "%s; what differs is put right%s", what, times ? times : "");
    brain->change_logged_at = now;
    brain->n_unlogged = 0;
}

static void repair(struct brain *brain, const char *what, uint64_t now)
{
    brain->n_changes++;
    log_change(brain, what, now);
    forget_kernel(brain);
    if (brain->hold) {
        /* What stood cannot be put back, as nobody knows the containers yet: then closed rather than open. */
        brain->hold = brain->keep_tables = false;
        load_again(brain, now);
    }
    if (brain->changed_by_others) /* it is under way */
        return;
    brain->changed_by_others = true;
    uint64_t at = repair_at(brain, now);
    if (!brain->need_full || at < brain->full_at)
        load_again(brain, at);
}

/* Nothing of ours is there to be changed. */
static bool has_no_tables(const struct brain *brain)
{
    return brain->torn_down || (!brain->loaded && !brain->keep_tables);
}

void brain_check(struct brain *brain, uint64_t now)
{
    brain->check_at = now;
}

void brain_tables_changed(struct brain *brain, const struct nft_change *change, uint64_t now)
{
    _cleanup_free_ char *what = NULL;

    if (has_no_tables(brain))
        return;
    if (change->lost && brain->loaded) {
        forget_kernel(brain);
        brain_check(brain, now);
        return;
    }
    free(STEAL(brain->changed_by));
    if (change->process[0] || change->pid)
        brain->changed_by = xasprintf("%s, pid %u", change->process, (unsigned)change->pid);
    what = xasprintf("another program%s%s%s has changed Cofferdam's rules", brain->changed_by ? " (" : "",
                     brain->changed_by ? brain->changed_by : "", brain->changed_by ? ")" : "");
    repair(brain, what, now);
}

bool brain_has_repairs(const struct brain *brain)
{
    return brain->changed_by_others;
}

/* Only asked for while nothing is to be loaded: the minute's check. */
static void compare(struct brain *brain, struct ruleset *kernel, uint64_t now)
{
    _cleanup_(ruleset_freep) struct ruleset *is = kernel;
    _cleanup_delta_ struct delta delta = {0};

    delta_between(is, compiler_ruleset(brain->compiler), &delta);
    if (delta_count(&delta) == 0)
        return;
    free(STEAL(brain->changed_by));
    repair(brain,
           ruleset_stands(is) ? "the rules in the kernel are not what they should be"
                              : "Cofferdam's tables are gone",
           now);
}

/* Other programs change tables of theirs in between, as the Engine does when many containers start: that passes. */
static bool read_again(struct brain *brain, int error, uint64_t now)
{
    if (error != -EAGAIN || brain->n_unread >= READ_TRIES) {
        brain->n_unread = 0;
        return false;
    }
    brain->n_unread++;
    if (brain->need_full)
        brain->full_at = now + READ_PAUSE;
    else
        brain->check_at = now + READ_PAUSE;
    return true;
}

void brain_tables_read(struct brain *brain, int error, struct ruleset *kernel, uint64_t now)
{
    if (brain->torn_down || brain->hold) {
        ruleset_free(kernel);
        return;
    }
    if (read_again(brain, error, now))
        return;
    if (!brain->need_full && error == 0) {
        compare(brain, kernel, now);
        return;
    }
    if (error < 0)
        brain_log(brain, LOG_ERR, "the kernel's rules cannot be read (%s)%s", strerror(-error),
                  brain->need_full ? ": they are replaced" : "");
    forget_kernel(brain);
    brain->has_kernel = true;
    brain->kernel = kernel;
    if (kernel)
        brain_recover_locks(brain, kernel, now);
}

/* ---- the operator ------------------------------------------------------------------------------------- */

void brain_load_policies(struct brain *brain, struct policy_set *policies, uint64_t now)
{
    (void)now;
    brain->policies_error = 0;
    brain->policies_changes = 0;
    brain->policies_waiting = false;
    free(STEAL(brain->policies_message));
    if (brain->torn_down) {
        brain->policies_error = -ESHUTDOWN;
        brain->policies_message = xstrdup("the rules were removed");
        policy_set_free(policies);
        return;
    }
    policy_set_free(brain->next_policies);
    brain->next_policies = policies;
    brain->has_next = true;
}

int brain_policies_result(const struct brain *brain, size_t *ret_changes, const char **ret_message)
{
    if (ret_message)
        *ret_message = brain->policies_message;
    if (ret_changes)
        *ret_changes = brain->policies_changes;
    if (brain->policies_error == 0 && brain->policies_waiting)
        return -EINPROGRESS;
    return brain->policies_error;
}

bool brain_policies_in_force(const struct brain *brain)
{
    return brain->loaded && !brain->torn_down && !brain->need_full && !brain->has_next &&
           !brain->policies_waiting;
}

/* The chains and sets of containers that no longer exist are swept now and then, by compiling everything
 * anew. */
void brain_sweep(struct brain *brain)
{
    if (brain->n_removed < SWEEP_AFTER || brain->has_next)
        return;
    brain->n_removed = 0;
    brain->has_next = true;
}

void brain_teardown(struct brain *brain, uint64_t now)
{
    (void)now;
    if (brain->applying)
        return;
    delta_clear(&brain->delta);
    delta_teardown(&brain->delta);
    brain->torn_down = true;
    apply(brain, APPLY_TEARDOWN);
}

bool brain_torn_down(const struct brain *brain)
{
    return brain->torn_down;
}

static bool same_addresses(const struct ip *a, size_t n_a, const struct ip *b, size_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (!ip_equal(a[i], b[i]))
            return false;
    return true;
}

static struct ip *copy_addresses(const struct ip *ip, size_t n)
{
    struct ip *copy = xcalloc(n ? n : 1, sizeof(*copy));

    if (n)
        memcpy(copy, ip, n * sizeof(*copy));
    return copy;
}

/* Rules for name servers depend on both lists. */
static void mark_all(struct brain *brain)
{
    for (struct fact_container *fact = brain->containers; fact; fact = fact->hh.next)
        brain_mark(brain, fact->id);
}

/* From release 28 on it asks from the host; older ones only servers that none but the host can reach. */
void brain_judge_lookups(struct brain *brain)
{
    unsigned major = brain->engine_version ? (unsigned)strtoul(brain->engine_version, NULL, 10) : 0;

    brain->inventory->lookups_by_engine = major >= 28 || brain->loopback_name_servers;
}

void brain_set_name_servers(struct brain *brain, const struct ip *ip, size_t n, bool loopback_only)
{
    struct inventory *inventory = brain->inventory;

    brain->loopback_name_servers = loopback_only;
    brain_judge_lookups(brain);
    if (same_addresses(inventory->name_servers, inventory->n_name_servers, ip, n))
        return;
    free(inventory->name_servers);
    inventory->name_servers = copy_addresses(ip, n);
    inventory->n_name_servers = n;
    mark_all(brain);
}

void brain_set_host_addresses(struct brain *brain, const struct ip *ip, size_t n)
{
    if (same_addresses(brain->inventory->host_addresses, brain->inventory->n_host_addresses, ip, n))
        return;
    mark_all(brain);
    free(brain->inventory->host_addresses);
    brain->inventory->host_addresses = copy_addresses(ip, n);
    brain->inventory->n_host_addresses = n;
}

void brain_set_listening(struct brain *brain, const json_t *listening)
{
    inventory_set_listening(brain->inventory, listening);
}

/* ---- time --------------------------------------------------------------------------------------------- */

static bool may_check(const struct brain *brain)
{
    return brain->loaded && !brain->need_full && !brain->torn_down;
}

uint64_t brain_deadline(const struct brain *brain)
{
    uint64_t next = brain_engine_deadline(brain), ports = brain_ports_deadline(brain);

    if (brain->torn_down)
        return UINT64_MAX;
    if (ports < next)
        next = ports;
    if (brain->hold && !brain->late && brain->start_deadline < next)
        next = brain->start_deadline;
    if (brain->need_full && !brain->hold && brain->full_at < next)
        next = brain->full_at;
    if (may_check(brain) && brain->check_at < next)
        next = brain->check_at;
    if (brain_flows_deadline(brain) < next)
        next = brain_flows_deadline(brain);
    return next;
}

void brain_tick(struct brain *brain, uint64_t now)
{
    if (brain->torn_down)
        return;
    brain_engine_tick(brain, now);
    brain_ports_tick(brain, now);
    if (!may_check(brain) || now < brain->check_at)
        return;
    brain->check_at = now + CHECK_INTERVAL;
    brain_push(brain, ACTION_READ_TABLES);
}

/* ---- what is known ------------------------------------------------------------------------------------ */

const struct inventory *brain_inventory(const struct brain *brain)
{
    return brain->inventory;
}

uint64_t brain_inventory_changes(const struct brain *brain)
{
    return brain->inventory_changes;
}

bool brain_inventory_known(const struct brain *brain)
{
    return brain->inventory_known;
}

bool brain_inventory_complete(const struct brain *brain)
{
    return brain->was_synced;
}

const struct policy_set *brain_policies(const struct brain *brain)
{
    return brain->policies;
}

const struct ruleset *brain_ruleset(const struct brain *brain)
{
    return compiler_ruleset(brain->compiler);
}
