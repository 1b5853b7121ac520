/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's edge: what the brain wants done, on an event loop. It decides nothing. */
#pragma once

#include <systemd/sd-event.h>

#include "audit/audit.h"
#include "audit/audit_log.h"
#include "control/server.h"
#include "daemon/brain.h"
#include "daemon/history.h"
#include "daemon/policy_state.h"
#include "daemon/rule_counters.h"
#include "daemon/trial.h"
#include "daemon/who.h"
#include "denial/reader.h"
#include "denial/table.h"
#include "docker/client.h"
#include "files/append.h"
#include "files/state_files.h"
#include "flow/events.h"
#include "flow/socket.h"
#include "learn/learn_state.h"
#include "link/link.h"
#include "lockdown/report.h"
#include "metrics/metrics.h"
#include "nft/decode.h"
#include "nft/meter.h"
#include "nft/monitor.h"
#include "nft/socket.h"
#include "plan/plan_basis.h"
#include "policy/settings.h"

struct request; /* to the Engine */

/* The policies in force, for a start at which their files have errors, or are not to be loaded (policy_keep.c). */
struct policy_keep {
    struct policy_state saved; /* what the state directory holds */
    struct held held;          /* of the set in force */
    bool due;                  /* a policy set was read, and is saved once it is in force */
    bool unrecorded;           /* and goes into the history then, with this change */
    struct change change;
    bool used;         /* the set in force is the saved one, as the files had errors at the start */
    uint64_t retry_at; /* after an error */
    int error;         /* of saving; 0 or a negative errno */
};

/* The sets that were in force (history_io.c). */
struct history {
    unsigned in_force; /* the number of the set in force; 0: it is not in it */
    int error;         /* of writing the last one; 0 or a negative errno */
};

/* Policies on trial (trial_io.c). */
struct trial_run {
    bool running;
    struct policy_trial trial; /* while it runs */
    bool ending;               /* the former set is being brought back */
    struct change end;         /* why */
    bool left;                 /* the file of a trial that is over cannot be removed ... */
    uint64_t remove_at;        /* ... and is tried again then, */
    bool needed;               /* unless the former set is saved nowhere else */
    bool refused;              /* it was logged that the kernel refuses the former set */
    sd_event_source *timer;    /* NULL before the first trial */
};

/* How policies are loaded. */
struct load_request {
    const char *only; /* the ID of the plan that was agreed to; NULL: whatever the files hold now */
    bool force;       /* even where expectations fail, or cannot be tested yet */
};

struct load_result {
    size_t changes;          /* operations in the kernel */
    size_t n_failed;         /* expectations */
    bool untested;           /* there are some, and the containers are not known yet */
    struct diags overridden; /* with force: what would have been the reason to refuse; for diags_clear() */
};

/* How the policies in force stand to their own expectations: when they were loaded, or once the containers were known. */
struct expectations {
    bool due; /* not tested yet */
    size_t n_failed;
    char *first; /* the first that fails, in words; NULL: none */
};

/* What commands have done while no daemon answered (lock_takeover.c). */
struct takeover {
    bool due;                /* there is something to be done about it */
    bool tables;             /* lock tables stand */
    bool adopt;              /* and were not compared with the brain's list since that was seen */
    struct lock_list *ended; /* by their time, until then; NULL: none */
    bool file;               /* the pending file is in the brain's list, and is still there */
    bool damaged;            /* a damaged one counts, until all is released */
    bool unsaved;            /* the brain's list is not on the disk */
    bool said_damaged;
    bool changed;    /* the brain was given another list, and has not acted on it yet */
    uint64_t try_at; /* not before */
    char *why;       /* the tables still stand, for people; or NULL */
    sd_event_source *watch, *timer;
};

/* The containers as they are known, on disk (inventory_io.c). */
struct inventory_keep {
    uint64_t seen, written;          /* how often they had changed when that was noticed last, and written */
    uint64_t changed_at;             /* the first time since it was written; 0: they have not */
    struct inventory_writer *writer; /* while it is written; else NULL */
    sd_event_source *timer;          /* NULL before the first time */
    int error;                       /* of the last time; 0 or a negative errno */
};

/* Where records go (records.c). */
struct records {
    struct append_file file;
    int file_error; /* 0 or a negative errno */
    uint64_t n_written, unwritten;
    uint64_t lost_said, said_at; /* when a loss was logged last, and how much it was */
    char *hostname;
};

/* What was denied within the last hour (denied_hour.c). Times are microseconds since 1970. */
struct denied_keep {
    struct denied_hour *hour;
    uint64_t started;
    uint64_t since; /* all that was denied since then, and recorded, is in it */
    bool read_back; /* what an earlier daemon has written */
};

/* What is denied (denials_io.c). */
struct denied_log {
    struct denial_reader *reader; /* NULL: it is off, or cannot be had */
    struct meter_socket *meters;  /* NULL: not open yet */
    struct denials *denials;      /* NULL: it is off */
    sd_event_source *timer;
    uint64_t timer_at;
    int reader_error; /* 0 or a negative errno */
};

/* What is allowed, as long as somebody wants to know (allowed_io.c). */
struct allowed_log {
    bool wanted;
    struct flow_events *events;  /* NULL: not wanted, or they cannot be had */
    struct denials *connections; /* NULL: not wanted */
    sd_event_source *timer, *unwanted;
    uint64_t timer_at;
    int error;            /* of opening them; 0 or a negative errno */
    uint64_t lost_before; /* when they were wanted before */
};

/* How often the rules of the policies have let something pass (rules_io.c). */
struct rule_watch {
    struct rule_counters *counters;
    char *where;                       /* this kernel and network namespace */
    const struct policy_set *policies; /* that were learned last, with this ruleset; only ever compared */
    const struct ruleset *ruleset;
    size_t n_chains;
    bool unsaved;               /* the counts have changed since they were saved */
    uint64_t every, save_at;    /* microseconds between two readings; they are not saved before */
    int read_error, save_error; /* of the last time; 0 or a negative errno */
    sd_event_source *timer;
};

/* What containers are seen doing (learn_io.c). */
struct learn_keep {
    struct learnings *list; /* NULL: not read yet */
    sd_event_source *timer;
    bool changed; /* and not saved yet */
    int error;    /* of saving; 0 or a negative errno */
};

/* What is counted as it happens (metrics_io.c). */
struct measured {
    struct durations applies;
    uint64_t apply_failures, textfile_failures;
    uint64_t denied[DENY_POINTS];
    struct verdict_counts *verdicts; /* that deny; NULL: none yet */
    int textfile_error;              /* 0 or a negative errno */
    sd_event_source *timer;          /* NULL: there is to be no file */
};

/* What is staged (staged_io.c). */
struct staged {
    struct staged_tally *tally;    /* of what was seen since these policies ... */
    struct policy_set *of;         /* ... are in force: a copy */
    const struct policy_set *seen; /* the brain's when that was looked at last, ... */
    uint64_t changes;              /* ... and how often the containers had changed */
    bool standing;                 /* the connections that stand already are still to be looked at */
    bool watched;                  /* something staged is about some running container */
    char *since;                   /* RFC 3339 */
    uint64_t began;                /* the same, monotonic */
};

struct daemon {
    struct settings *settings;
    sd_event *event;
    sd_event_source *run, *timer, *refresh;
    uint64_t touched; /* since when the brain has something new; 0: it has not */

    struct brain *brain;
    struct docker_client *docker;
    struct request *requests;
    struct link_monitor *links;
    bool links_reset; /* being listed again */
    struct nft_socket *nft;
    bool can_protect;            /* the kernel knows tables with an owner that outlive it */
    bool protects;               /* and we make such */
    bool socket_kept;            /* by the service manager */
    struct nft_monitor *changes; /* of our tables by others */
    struct flow_socket *flows;   /* NULL: not open yet */
    struct control_server *control;
    sd_event_source *release; /* when the next lockdown ends by itself */
    struct cut_log *cut;      /* while a lockdown is made; else NULL */
    uint64_t applied_at;      /* the kernel has taken a change last */

    struct records records;
    struct watcher *watchers; /* who follows them (watch.c) */
    struct denied_log denied;
    struct learn_keep learn;
    struct measured measured;
    struct allowed_log allowed;
    struct denied_keep hour;
    struct staged staged;
    int state_lock, namespace_lock;
    char *docker_socket;
    char *started, *policies_loaded; /* RFC 3339 */
    char *last_load_error;           /* NULL: the policies were read without an error */
    struct policy_keep keep;
    struct plan_memory plans; /* that were asked for */
    struct expectations expectations;
    struct history history;
    struct trial_run trial;
    struct inventory_keep inventory_keep;
    struct takeover takeover;
    struct rule_watch rules;
    struct audit_log *audit;
    struct audit_limit refusals;
    bool audit_complained; /* that it cannot be written */
    bool exit_when_idle;   /* after teardown: once its answer is sent */
};

/* daemon.c */
uint64_t daemon_now(void); /* microseconds, monotonic */
/* Of seconds since 1970; and now: "2026-11-20T15:04:05Z". The caller frees it. */
char *daemon_wall_clock(void);
/* The brain has learned something: have it act, soon, together with what else comes until then. */
void daemon_touch(struct daemon *daemon);
/* Carries out what the brain wants now, until it wants nothing more. */
void daemon_run(struct daemon *daemon);
/* 0 or a negative errno; what went wrong was logged. */
int daemon_start(struct daemon *daemon);
void daemon_clear(struct daemon *daemon);
/* Acts on all that is known, and asks the host again what it is. */
void daemon_settle(struct daemon *daemon);

/* policy_load.c: from files into the brain */
/* The policies of the settings. 0; or a negative errno, diags says what is wrong, and it was logged and is remembered. */
int policies_read(struct daemon *daemon, struct policy_set **ret, struct diags *diags);
/* The policies of files that were kept. NULL: this daemon finds errors in them, and diags says which. */
struct policy_set *policies_parse(const struct policy_file *files, size_t n, struct diags *diags);
/*
 * May they be loaded? Nothing must come between this and that. 0; -ESTALE: it is not what the plan said, or that cannot
 * be told; -ECANCELED: an expectation fails or cannot be tested. diags says what is wrong, and it was logged. *result,
 * which must be zeroed, is filled in as far as it came.
 */
int policies_check(struct daemon *daemon, const struct policy_set *policies,
                   const struct load_request *request, struct load_result *result, struct diags *diags);
/*
 * Has policies (which become the brain's) compiled and applied. 0; -EINPROGRESS: they wait for the Engine's answer;
 * otherwise the kernel's error, and those before stay in force. diags says what is wrong.
 */
int policies_load(struct daemon *daemon, struct policy_set *policies, struct load_result *result,
                  struct diags *diags);
/*
 * The same for good: what comes into force is saved with its mark (NULL: it is not held), and recorded. The change is
 * moved from.
 */
int policies_apply(struct daemon *daemon, struct policy_set *policies, struct change *change,
                   const struct held *held, struct load_result *result, struct diags *diags);
/* SIGHUP. */
void policies_hangup(struct daemon *daemon, pid_t pid, uid_t uid);
/* What a start puts in force: what cannot be read leaves what was before, or, where nothing was, grants nothing. */
struct policy_set *policies_first(struct daemon *daemon);
/* Others are in force now, whose expectations are tested as soon as that can be. */
void policies_changed(struct daemon *daemon);

/* apply_gate.c: what policies must pass before they are loaded */
/* 0, -ESTALE or -ECANCELED, as above. */
int apply_gate(struct daemon *daemon, const struct policy_set *policies, const struct load_request *request,
               struct load_result *result, struct diags *diags);
/* The policies with that result are in force. */
void expectations_set(struct expectations *expectations, const struct load_result *result);
/* Tests those of the policies in force where that was due, and could not be done before. */
void expectations_update(struct daemon *daemon);

/* kernel_io.c: the socket to nf_tables and who owns our tables */
/* Takes back the socket that the service manager kept or opens one, and claims our tables. 0 or a negative
 * errno; diags may say more. */
int kernel_open(struct daemon *daemon, struct diags *diags);
/* Nothing of ours is in the kernel any more: the service manager need not keep the socket. */
void kernel_forget(struct daemon *daemon);
/* Our tables as they stand, of which those that are not protected as they should be count as odd. 0 or a negative errno.
 */
int kernel_tables(struct daemon *daemon, struct nft_tables *ret);
/* Carries ACTION_READ_TABLES out. */
void kernel_read(struct daemon *daemon);
/* What an error of that means to people: static, or until the next call. */
const char *kernel_read_error(int error);
/* Do all of our tables stand? 0 or a negative errno. */
int kernel_tables_exist(struct daemon *daemon, bool *ret);
/* Fills in what status says of it. */
void kernel_protection(struct daemon *daemon, struct status_facts *facts);

/* engine_io.c: connection and questions */
int engine_open(struct daemon *daemon, struct diags *diags);
void engine_connect(struct daemon *daemon);
void engine_fetch(struct daemon *daemon, enum fetch_kind kind, const char *id);
void engine_close(struct daemon *daemon);

/* policy_keep.c: the policies in force, on disk */
/* Reads what an earlier daemon has saved. */
void policy_keep_open(struct daemon *daemon);
/* The saved set, parsed again, or NULL when there is none that can be used; what is wrong with it is logged. */
struct policy_set *policy_keep_restore(struct daemon *daemon);
/* The brain was given a set: once it is in force, it is saved with this mark, and recorded as this change (moved). */
void policy_keep_due(struct daemon *daemon, struct change *change, const struct held *held);
/* Saves the policies when a set that was read has come into force since the last time, and is not the saved one. */
void policy_keep_update(struct daemon *daemon);
/* Saves this set now, which is moved from. 0, or a negative errno, and what was saved before stays. */
int policy_keep_save(struct daemon *daemon, struct policy_state *next);
/* Nothing is saved any more. */
void policy_keep_remove(struct daemon *daemon);
void policy_keep_clear(struct policy_keep *keep);

/* history_io.c */
/* A change that happens now. */
struct change change_now(enum change_kind kind, const struct who *who /* NULL: nobody */);
/* The policies in force came there by this change. What goes wrong is logged and remembered: it holds nothing up. */
void history_record(struct daemon *daemon, const struct change *change);
/* All of them, newest first, without the sets. The caller frees them. 0 or a negative errno. */
int history_list(const struct daemon *daemon, struct history_entry **ret, struct history_item **ret_items,
                 size_t *ret_n);
void history_entries_free(struct history_entry *entries, size_t n);
/* 0; -ENOENT: there is none of this number; -EBADMSG: it is damaged; another negative errno. */
int history_load(const struct daemon *daemon, unsigned number, struct history_entry *ret);

/* trial_io.c: policies on trial */
/*
 * At a start: was there a trial? Then *ret is the set to begin with (which is the caller's), and what there is to be done
 * about the trial will be.
 */
bool trial_open(struct daemon *daemon, struct policy_set **ret);
void trial_close(struct daemon *daemon);
/* Why policies cannot be loaded now, for people; NULL: they can. The caller frees it. */
char *trial_blocks(struct daemon *daemon);
/*
 * Puts policies (which become the brain's) in force for this long. 0, or a negative errno, and nothing has changed. The
 * change is moved from.
 */
int trial_begin(struct daemon *daemon, struct policy_set *policies, struct change *change, uint64_t span,
                struct load_result *result, struct diags *diags);
/* 0, or a negative errno, and the trial goes on as it did; diags says why. The change is moved from. */
int trial_confirm(struct daemon *daemon, struct change *change, struct diags *diags);
int trial_extend(struct daemon *daemon, uint64_t span, struct diags *diags);
/* Brings the former set back. 0; or a negative errno: it is tried again until it succeeds. */
int trial_roll_back(struct daemon *daemon, struct change *change, struct diags *diags);
/* Goes on with the end of a trial. */
void trial_update(struct daemon *daemon);
/* The rules are gone, and with them the trial: the next start has the former set. */
void trial_drop(struct daemon *daemon);
void trial_say_stop(struct daemon *daemon);
/* For status; a new reference, null where none runs. */
json_t *trial_to_json(const struct daemon *daemon);
/* "until 2026-11-20 16:04:05 CET (1m from now)"; the caller frees it. */
char *trial_until(const struct daemon *daemon);

/* inventory_io.c */
/* After each run of the brain: has it written, soon, when it has changed. */
void inventory_keep_update(struct daemon *daemon);
/* Writes at once what is to be written. */
void inventory_keep_close(struct daemon *daemon);

/* audit_io.c: what is done, and what is refused, on record (audit/audit.h) */
/*
 * Completes the facts and records them, in the journal or on stderr as well: what was asked for by a change is told there by
 * nobody else. 0, or a negative errno: it is not in the file, which was logged, and is tried again.
 */
int audit_record(struct daemon *daemon, struct audit_facts *facts);
/* The same for what no request has asked for. answer, as control_answer() and control_error() make it, is taken over; who
 * and lockdowns may be NULL. */
void audit_event(struct daemon *daemon, const char *action, const struct who *who, json_t *answer,
                 const json_t *lockdowns);
/* An attempt that is refused: unless the user has made very many. */
void audit_refused(struct daemon *daemon, const char *action, const struct control_peer *peer,
                   const json_t *request, const json_t *answer);
/* What could not be recorded before, once in a while. */
void audit_update(struct daemon *daemon);
/* The daemon stops, as who has asked for: what was only counted until now is recorded as well. */
void audit_stop(struct daemon *daemon, const struct who *who);
/* Why something is not on record; NULL: all is. The caller frees it. */
char *audit_problem(const struct daemon *daemon);

/* verbs.c: the control socket's verbs */
json_t *daemon_verb(const json_t *request, const struct control_peer *peer, void *userdata);
/* A request that is none. */
void daemon_refused(const char *error, const struct control_peer *peer, void *userdata);

/* lockdown.c: the lockdowns in the state directory, and their ends */
/* Reads them; what is wrong with them is logged. */
void lockdown_open(struct daemon *daemon, struct brain_config *config);
/* Has the brain's list end in time. */
void lockdown_arm(struct daemon *daemon);
/* 0 or a negative errno, which was logged. */
int lockdown_save(struct daemon *daemon, const struct lock_list *list);
/* After each run of the brain: saves a list that it has made up. */
void lockdown_update(struct daemon *daemon);

/* A new list of those that go on now, on this kernel's clock. */
struct lock_list *lockdown_current(struct daemon *daemon, const struct lock_list *list);
/* A lock that means all, as this is the reason. */
struct lock *lock_everybody(const char *reason);

/* lock_takeover.c: what commands did while no daemon answered */
/* At a start, before the first rules: config's list becomes the one that holds with all that. */
void takeover_begin(struct daemon *daemon, struct brain_config *config);
/* Has the file noticed that a command writes. */
void takeover_watch(struct daemon *daemon);
void takeover_close(struct daemon *daemon);
/* The brain's list becomes the one that holds with what commands have done until now. */
void takeover_take(struct daemon *daemon);
/* After each run of the brain: removes the file, and the lock tables, once the kernel holds what they say. */
void takeover_update(struct daemon *daemon);
/* A lock is over, though lock tables may still hold it. */
void takeover_ended(struct daemon *daemon, const struct lock *lock);
/* The brain is given another list. */
void takeover_changed(struct daemon *daemon);
/* All lockdowns were released: also those that a damaged file told of. */
void takeover_released_all(struct daemon *daemon);
/* Do lock tables hold more than they should, or what nobody knows? */
bool takeover_is_unfinished(const struct daemon *daemon);
/* Why lock tables stand, for people, until the next call; NULL: they do not. */
const char *takeover_tables(struct daemon *daemon);
/* 0 or a negative errno, which was logged. */
int takeover_remove_tables(struct daemon *daemon);

/* verbs_lockdown.c */
json_t *verb_lockdown(struct daemon *daemon, const json_t *request, const struct control_peer *peer);
json_t *verb_release(struct daemon *daemon, const json_t *request, const struct control_peer *peer);
json_t *verb_lockdown_list(struct daemon *daemon, const json_t *request, const struct control_peer *peer);

/* labels_io.c: the labels given to containers, in the state directory */
/* Reads them; what is wrong with them is logged. */
void labels_open(struct daemon *daemon, struct brain_config *config);
/* 0 or a negative errno, and what was saved before stays. */
int labels_save(struct daemon *daemon, const struct given_labels *list);
/* After each run of the brain: labels of containers that are gone end. */
void labels_update(struct daemon *daemon);

/* state_io.c: files */
int state_lock(const char *directory, int *ret_fd, struct diags *diags);
/* Keeps any other daemon out of this network namespace, as long as *ret_fd (unchanged where the lock cannot be
 * had for another reason) is open. 0 or a negative errno. */
int namespace_lock(int *ret_fd, struct diags *diags);
/* The state file's content, or NULL when there is none. The caller frees it. */
char *state_load(const char *directory);
/* Tells the brain of the host's name servers and addresses. */
void host_refresh(struct daemon *daemon);

/* flow_io.c: carries ACTION_END_FLOWS out */
void flows_end(struct daemon *daemon);

/* records.c */
/*
 * A record of a connection (docs/log.md), for all who want it: when it is opened, with a count of 1 and who the ends are as
 * far as that is known by then; and when it is final. Its fields but for those of its times and count may have changed in
 * between, where somebody turned out to be another.
 */
void records_publish(struct daemon *daemon, const json_t *record, bool final);
/* Judges who its ends are, now, and publishes it; again with its count and times, which it must have by then. */
void record_begin(struct daemon *daemon, struct denial *denial, uint64_t now);
void record_end(struct daemon *daemon, struct denial *denial);
/* Brings its count and times up to date. */
void record_complete(struct denial *denial);
/* Is one of its ends one of these addresses, and not by its port alone? */
bool record_is_of(const struct denial *denial, const struct ip *ips, size_t n);
/* Is it denied at a port that it only passes by? */
bool record_is_of_bystander(const struct daemon *daemon, const struct denied_packet *packet);
/* Connections that are in no record, or whose record could not be written. */
uint64_t records_lost(const struct daemon *daemon);
/* Logs it where there are more of them, but not too often. */
void records_say_lost(struct daemon *daemon, uint64_t now);
/* Those that are open, with what was counted until now. */
void records_each_open(const struct daemon *daemon, void (*handle)(const json_t *record, void *userdata),
                       void *userdata);
void records_open(struct daemon *daemon);
void records_close(struct records *records);

/* denied_hour.c */
void denied_hour_open(struct daemon *daemon);
void denied_hour_close(struct daemon *daemon);
/* Of records_publish(). */
void denied_hour_record(struct daemon *daemon, const json_t *record, bool final);
/* As status has it; a new reference, null where nothing is recorded. */
json_t *denied_hour_status(struct daemon *daemon);

/* denials_io.c: what is denied, as records */
/* Before the rules are made. Where the kernel cannot log, the settings say afterwards that nothing is to be. */
void denied_log_open(struct daemon *daemon);
/* Whose addresses others may have from now on: what was denied them is written, and forgotten. */
void denied_log_update(struct daemon *daemon);
/* Other policies are in force: what is open was of those before, and is written. */
void denied_log_end_open(struct daemon *daemon);
/* Writes what is open. The brain must be there still. */
void denied_log_close(struct daemon *daemon);
/* As status has it. A new reference. */
json_t *denied_log_status(const struct daemon *daemon);
uint64_t denied_log_lost(const struct daemon *daemon);

/* allowed_io.c: what is allowed, as records */
/* Somebody wants to know of allowed connections, or nobody does any more: to be called where that may have changed. */
void flow_events_update(struct daemon *daemon);
/* Whose addresses others may have from now on. */
void allowed_log_ended(struct daemon *daemon, const struct ip *ended, size_t n);
/* Other policies are in force: what is open was of those before, and is written. */
void allowed_log_end_open(struct daemon *daemon);
/* Takes up the connections that stand already, if anybody wants to know what is allowed. */
void allowed_log_standing(struct daemon *daemon);
/* Writes what is open. The brain must be there still. */
void allowed_log_close(struct daemon *daemon);
/* Why it cannot be known what is allowed, for people; NULL: it can, or nobody wants to. The caller frees it. */
char *allowed_log_error(const struct daemon *daemon);
size_t allowed_log_open_records(const struct daemon *daemon);
uint64_t allowed_log_lost(const struct daemon *daemon);

/* rules_io.c */
/* Once the kernel can be asked, before it is changed. */
void rules_open(struct daemon *daemon);
/* Reads and saves what there is. */
void rules_close(struct daemon *daemon);
/* After each run of the brain: whose the rules in the kernel are now. */
void rules_update(struct daemon *daemon);
/* A record of the log: what a deny rule has denied. */
void rules_record(struct daemon *daemon, const json_t *record, bool final);
/* As the kernel has it now; as rule_counters_list(). */
size_t rules_list(struct daemon *daemon, struct rule_count **ret);
/* As status has it with "rules". A new reference. */
json_t *rules_to_json(struct daemon *daemon);

/* watch.c: who follows records on the control socket */
void watch_record(struct daemon *daemon, const json_t *record, bool final);
/* Does anybody follow what is allowed? */
bool watch_wants_allowed(const struct daemon *daemon);

/* learn_io.c: what containers are seen doing, in the state directory */
/* Reads it; what is wrong with it is logged. */
void learn_open(struct daemon *daemon);
/* Saves it. After the last record. */
void learn_close(struct daemon *daemon);
void learn_record(struct daemon *daemon, const json_t *record, bool final);
/* Is anybody watched? */
bool learn_wants_allowed(const struct daemon *daemon);
/* Others are watched, or for another time: ends those whose time is over. */
void learn_update(struct daemon *daemon);
/* 0 or a negative errno, which was logged; then it is tried again. */
int learn_save(struct daemon *daemon);
/* metrics_io.c */
/* The kernel took so long for a change of the rules; error: 0 or a negative errno. */
void metrics_applied(struct daemon *daemon, uint64_t usec, int error);
/* A record that is final. */
void metrics_record(struct daemon *daemon, const json_t *record);
/* Has the file written, where there is to be one. 0 or a negative errno. */
int metrics_open(struct daemon *daemon);
void metrics_close(struct daemon *daemon);
/* Why the file cannot be written; NULL: it can, or is not to be. The caller frees it. */
char *metrics_problem(const struct daemon *daemon);

/* staged_io.c: what enforcing what is staged would change */
/* After each run of the brain. */
void staged_update(struct daemon *daemon);
/* See records_publish(). */
void staged_record(struct daemon *daemon, const json_t *record, bool final);
/* Is something staged of which allowed connections tell? */
bool staged_wants_allowed(const struct daemon *daemon);
/* As `cofferdam status --staged` has it, a new reference; *ret_changes: it would change something. */
json_t *staged_to_json(struct daemon *daemon, bool *ret_changes);
void staged_close(struct staged *staged);

/* log.c */
void log_open(void);
/* Does what is logged go to the journal? */
bool log_is_journal(void);
void log_text(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_diags(const struct diags *diags);
/* An entry of the audit log. */
void log_audit(const json_t *entry);
/* One diagnostic on one line; the caller frees it. */
char *diag_line(const struct diag *diag);
