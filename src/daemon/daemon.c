/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event loop's side of the brain: events in, actions out. */
#include "daemon.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "control/protocol.h"
#include "daemon/state.h"
#include "util/utc.h"

#define TOUCH_MAX 5000                 /* microseconds that changes are collected for while others come */
#define REFRESH_USEC (60 * 1000000ULL) /* of what the host says of itself */

uint64_t daemon_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

char *daemon_wall_clock(void)
{
    return utc_text((uint64_t)time(NULL));
}

/* ---- actions ------------------------------------------------------------------------------------------ */

static void act_apply(struct daemon *daemon, const struct action *action)
{
    _cleanup_diags_ struct diags diags = {0};
    uint64_t begun = daemon_now();
    int r = nft_apply(daemon->nft, action->delta, &diags);

    daemon->applied_at = daemon_now();
    metrics_applied(daemon, daemon->applied_at - begun, r);
    _cleanup_free_ char *message = diags.n > 0 ? diag_line(&diags.v[0]) : NULL;

    brain_applied(daemon->brain, r, message, daemon_now());
}

static void act_query_peer(struct daemon *daemon, const struct action *action)
{
    struct mac mac = {0};
    int r = link_peer_mac(daemon->links, &action->link, &mac);

    brain_peer_mac(daemon->brain, action->link.index, r, &mac, daemon_now());
}

static void act_set_switches(struct daemon *daemon, const struct action *action)
{
    const struct link *link = &action->link;
    int r = link_set_switches(daemon->links, link->index, &link->switches);

    brain_switches_set(daemon->brain, link->index, r, daemon_now());
}

static void act_save_state(struct daemon *daemon, const struct action *action)
{
    int r = state_save(daemon->settings->state, STATE_FILE, action->text);

    if (r < 0)
        log_text(LOG_ERR, "cannot write the state file in %s: %s", daemon->settings->state, strerror(-r));
}

static void act(struct daemon *daemon, const struct action *action)
{
    switch (action->kind) {
    case ACTION_CONNECT:
        engine_connect(daemon);
        break;
    case ACTION_FETCH:
        engine_fetch(daemon, action->fetch, action->id);
        break;
    case ACTION_QUERY_PEER:
        act_query_peer(daemon, action);
        break;
    case ACTION_SET_SWITCHES:
        act_set_switches(daemon, action);
        break;
    case ACTION_SAVE_STATE:
        act_save_state(daemon, action);
        break;
    case ACTION_APPLY:
        act_apply(daemon, action);
        break;
    case ACTION_READ_TABLES:
        kernel_read(daemon);
        break;
    case ACTION_END_FLOWS:
        flows_end(daemon);
        break;
    case ACTION_READY:
        sd_notify(0, "READY=1\nSTATUS=The rules are in force.");
        break;
    case ACTION_LOG:
        log_text(action->priority, "%s", action->text);
        break;
    }
}

static void act_all(struct daemon *daemon)
{
    for (;;) {
        _cleanup_(action_freep) struct action *action = brain_pop(daemon->brain);
        if (!action)
            return;
        act(daemon, action);
    }
}

/* ---- the loop ----------------------------------------------------------------------------------------- */

static bool brain_has_more(struct daemon *daemon, uint64_t now)
{
    brain_flush(daemon->brain, now);
    struct action *action = brain_pop(daemon->brain);
    if (!action)
        return false;
    act(daemon, action);
    action_free(action);
    return true;
}

void daemon_run(struct daemon *daemon)
{
    uint64_t deadline;

    if (daemon->links_reset) /* they have all been reported again by now */
        brain_link_reset_done(daemon->brain, daemon_now());
    daemon->links_reset = false;
    brain_tick(daemon->brain, daemon_now());
    do
        act_all(daemon);
    while (brain_has_more(daemon, daemon_now()));
    trial_update(daemon);
    policy_keep_update(daemon);
    expectations_update(daemon);
    lockdown_update(daemon);
    takeover_update(daemon);
    inventory_keep_update(daemon);
    labels_update(daemon);
    denied_log_update(daemon);
    staged_update(daemon);
    rules_update(daemon);
    deadline = brain_deadline(daemon->brain);
    sd_event_source_set_time(daemon->timer, deadline);
    sd_event_source_set_enabled(daemon->timer, deadline == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

void daemon_settle(struct daemon *daemon)
{
    host_refresh(daemon);
    daemon_run(daemon);
}

static void maybe_exit(struct daemon *daemon)
{
    if (!daemon->exit_when_idle)
        return;
    if (control_server_busy(daemon->control))
        sd_event_source_set_time_relative(daemon->refresh, 10000);
    else
        sd_event_exit(daemon->event, EXIT_SUCCESS);
}

static int on_run(sd_event_source *source, void *userdata)
{
    struct daemon *daemon = userdata;

    (void)source;
    daemon->touched = 0;
    daemon_run(daemon);
    maybe_exit(daemon);
    return 0;
}

/*
 * The brain acts when nothing else is waiting to be read, so that what comes together is applied together;
 * but when there is no end to that, it goes first.
 */
void daemon_touch(struct daemon *daemon)
{
    uint64_t now = daemon_now();

    if (!daemon->touched) {
        daemon->touched = now;
        sd_event_source_set_priority(daemon->run, SD_EVENT_PRIORITY_IDLE);
        sd_event_source_set_enabled(daemon->run, SD_EVENT_ONESHOT);
    } else if (now - daemon->touched > TOUCH_MAX) {
        sd_event_source_set_priority(daemon->run, SD_EVENT_PRIORITY_IMPORTANT);
    }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    daemon_touch(userdata);
    return 0;
}

static int on_refresh(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct daemon *daemon = userdata;

    (void)usec;
    sd_event_source_set_time_relative(source, REFRESH_USEC);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    host_refresh(daemon);
    audit_update(daemon);
    daemon_touch(daemon);
    return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    struct daemon *daemon = userdata;

    (void)source;
    log_text(LOG_NOTICE, "stopping; the rules stay in force");
    struct who who = who_of((pid_t)info->ssi_pid, (uid_t)info->ssi_uid);
    audit_stop(daemon, &who);
    who_clear(&who);
    trial_say_stop(daemon);
    sd_notify(0, "STOPPING=1");
    return sd_event_exit(daemon->event, EXIT_SUCCESS);
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    struct daemon *daemon = userdata;

    (void)source;
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)daemon_now());
    policies_hangup(daemon, (pid_t)info->ssi_pid, (uid_t)info->ssi_uid);
    sd_notify(0, "READY=1");
    return 0;
}

/* Another daemon asks whose the lock is; that it could connect says it. */
static int on_lock_asked(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    (void)source, (void)revents, (void)userdata;
    if (client >= 0)
        close(client);
    return 0;
}

static int lock_namespace(struct daemon *daemon, struct diags *diags)
{
    int r = namespace_lock(&daemon->namespace_lock, diags);

    if (r < 0 || daemon->namespace_lock < 0)
        return r;
    return sd_event_add_io(daemon->event, NULL, daemon->namespace_lock, EPOLLIN, on_lock_asked, NULL);
}

static void on_link(const struct link *link, bool gone, void *userdata)
{
    struct daemon *daemon = userdata;

    if (gone)
        brain_link_gone(daemon->brain, link, daemon_now());
    else
        brain_link(daemon->brain, link, daemon_now());
    daemon_touch(daemon);
}

static void on_link_reset(void *userdata)
{
    struct daemon *daemon = userdata;

    log_text(LOG_WARNING, "notifications about network interfaces were lost: all are listed again");
    brain_link_reset(daemon->brain);
    daemon->links_reset = true;
    daemon_touch(daemon);
}

static void on_change(const struct nft_change *change, void *userdata)
{
    struct daemon *daemon = userdata;

    brain_tables_changed(daemon->brain, change, daemon_now());
    daemon_touch(daemon);
}

/* ---- start and end ------------------------------------------------------------------------------------ */

static int open_kernel(struct daemon *daemon, bool *ret_tables, struct diags *diags)
{
    int r = kernel_open(daemon, diags);

    if (r == 0) /* before we look what stands: no change is missed between the two */
        r = nft_monitor_open(daemon->event, daemon->nft, NFT_MONITOR_ROOM, on_change, daemon,
                             &daemon->changes);
    if (r == 0)
        r = kernel_tables_exist(daemon, ret_tables);
    if (r < 0 && diags->n_errors == 0)
        diag_add(diags, DIAG_ERROR, NULL, NULL, "cannot speak with nf_tables: %s%s", strerror(-r),
                 r == -EPERM ? "; root or CAP_NET_ADMIN is needed" : "");
    return r;
}

static int make_brain(struct daemon *daemon, struct diags *diags)
{
    _cleanup_free_ char *state = state_load(daemon->settings->state);
    struct brain_config config = {.settings = daemon->settings, .br_netfilter = true, .state = state};
    int r = open_kernel(daemon, &config.tables_exist, diags);

    if (r < 0)
        return r;
    r = link_require_br_netfilter();
    if (r < 0) {
        config.br_netfilter = false;
        log_text(LOG_WARNING,
                 "br_netfilter cannot be had (%s): packets between containers on one bridge cannot be "
                 "filtered and are "
                 "all dropped",
                 strerror(-r));
    }
    rules_open(daemon);
    records_open(daemon);
    denied_hour_open(daemon);
    denied_log_open(daemon);
    lockdown_open(daemon, &config);
    takeover_watch(daemon); /* before it is read: nothing is missed in between */
    takeover_begin(daemon, &config);
    labels_open(daemon, &config);
    daemon->brain = brain_new(&config, policies_first(daemon), daemon_now());
    lockdown_arm(daemon);
    flow_events_update(daemon);
    return 0;
}

static int add_sources(struct daemon *daemon)
{
    int r = sd_event_add_defer(daemon->event, &daemon->run, on_run, daemon);

    if (r >= 0)
        r = sd_event_add_time(daemon->event, &daemon->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_timer,
                              daemon);
    if (r >= 0)
        r = sd_event_add_time_relative(daemon->event, &daemon->refresh, CLOCK_MONOTONIC, REFRESH_USEC, 0,
                                       on_refresh, daemon);
    if (r >= 0)
        r = sd_event_add_signal(daemon->event, NULL, SIGTERM, on_stop, daemon);
    if (r >= 0)
        r = sd_event_add_signal(daemon->event, NULL, SIGINT, on_stop, daemon);
    if (r >= 0)
        r = sd_event_add_signal(daemon->event, NULL, SIGHUP, on_hangup, daemon);
    return r;
}

static int open_links(struct daemon *daemon, struct diags *diags)
{
    int r = link_monitor_open(daemon->event, on_link, on_link_reset, daemon, &daemon->links);

    if (r < 0)
        diag_add(diags, DIAG_ERROR, NULL, NULL, "cannot follow the network interfaces: %s", strerror(-r));
    return r;
}

/* A name that nobody knows lets nobody in. */
static void find_group(const struct settings *settings, struct control_service *service)
{
    const struct group *group = settings->control_group ? getgrnam(settings->control_group) : NULL;

    service->has_group = group != NULL;
    if (group)
        service->group = group->gr_gid;
    else if (settings->control_group)
        log_text(
            LOG_ERR,
            "control_group: there is no group '%s': only root may use the control socket until it is there, "
            "and cofferdamd is restarted",
            settings->control_group);
}

static int serve(struct daemon *daemon, struct diags *diags)
{
    struct control_service service = {.handle = daemon_verb, .refused = daemon_refused, .userdata = daemon};

    find_group(daemon->settings, &service);
    return control_server_open(daemon->event, daemon->settings->control, &service, &daemon->control, diags);
}

static int start(struct daemon *daemon, struct diags *diags)
{
    int r = state_lock(daemon->settings->state, &daemon->state_lock, diags);

    if (r >= 0)
        r = lock_namespace(daemon, diags);
    if (r >= 0)
        r = serve(daemon, diags);
    if (r >= 0)
        r = engine_open(daemon, diags);
    if (r >= 0)
        r = make_brain(daemon, diags);
    if (r >= 0)
        r = open_links(daemon, diags);
    if (r >= 0)
        r = metrics_open(daemon);
    if (r >= 0)
        host_refresh(daemon);
    if (r >= 0)
        learn_open(daemon);
    return r;
}

int daemon_start(struct daemon *daemon)
{
    _cleanup_diags_ struct diags diags = {0};
    sigset_t signals;
    int r;

    daemon->state_lock = daemon->namespace_lock = daemon->records.file.fd = -1;
    daemon->started = daemon_wall_clock();
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    r = sd_event_new(&daemon->event);
    if (r >= 0)
        r = add_sources(daemon);
    if (r >= 0)
        sd_event_set_watchdog(daemon->event, true);
    daemon->audit = audit_log_new(daemon->settings->audit);
    if (r >= 0)
        r = start(daemon, &diags);
    if (r < 0 && diags.n == 0)
        diag_add(&diags, DIAG_ERROR, NULL, NULL, "cannot start: %s", strerror(-r));
    log_diags(&diags);
    audit_event(daemon, "start", NULL,
                r < 0 ? control_error(STATUS_ERROR, "cofferdamd cannot start", NULL, &diags)
                      : control_answer(STATUS_OK, NULL),
                NULL);
    return r;
}

void daemon_clear(struct daemon *daemon)
{
    daemon->control = control_server_close(daemon->control);
    inventory_keep_close(daemon);
    takeover_close(daemon);
    engine_close(daemon);
    denied_log_close(daemon);
    metrics_close(daemon);
    allowed_log_close(daemon);
    denied_hour_close(daemon);
    records_close(&daemon->records);
    staged_close(&daemon->staged);
    learn_close(daemon);
    rules_close(daemon);
    daemon->links = link_monitor_close(daemon->links);
    daemon->changes = nft_monitor_close(daemon->changes);
    daemon->nft = nft_socket_close(daemon->nft);
    daemon->flows = flow_socket_close(daemon->flows);
    daemon->brain = brain_free(daemon->brain);
    sd_event_source_unref(daemon->run);
    sd_event_source_unref(daemon->timer);
    sd_event_source_unref(daemon->refresh);
    sd_event_source_unref(daemon->release);
    trial_close(daemon);
    sd_event_unref(daemon->event);
    if (daemon->state_lock >= 0)
        close(daemon->state_lock);
    if (daemon->namespace_lock >= 0)
        close(daemon->namespace_lock);
    free(daemon->started);
    free(daemon->policies_loaded);
    free(daemon->last_load_error);
    policy_keep_clear(&daemon->keep);
    plan_memory_clear(&daemon->plans);
    free(daemon->expectations.first);
    audit_log_free(daemon->audit);
    settings_free(daemon->settings);
    *daemon = (struct daemon){.state_lock = -1, .namespace_lock = -1, .records.file.fd = -1};
}
