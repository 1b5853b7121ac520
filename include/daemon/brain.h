/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's brain: state + event + now -> actions. It opens nothing, reads no clock and prints nothing.
 * Each function below that takes `now` is an event; what follows from it is queued as actions, which the edge
 * pops and carries out. brain_flush() turns all changes since the last time into one delta.
 *
 * The kernel's content is never assumed: at the start, after a refusal, when another program has changed our tables
 * and once a minute they are read back, and only what differs is written.
 *
 * Where the truth is: which endpoints are live, in the networks' details (GET /networks/ID), which answer at
 * once while a container starts; names, labels and modes in the list of containers; when an endpoint ends, in
 * whichever comes first of its network's detail and its port's disappearance. Endpoints are told apart by
 * container ID and endpoint ID, so what is late about an old one never touches its successor at the same
 * address.
 *
 * All times are microseconds of one monotonic clock that starts above 0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "daemon/labels.h"
#include "docker/decode.h"
#include "inventory/inventory.h"
#include "link/link.h"
#include "nft/notice.h"
#include "policy/model.h"
#include "policy/settings.h"
#include "ruleset/compile.h"
#include "ruleset/delta.h"
#include "util/diag.h"
#include "verdict/lock.h"

struct brain;
struct flow;
struct metrics;

/* What is asked of the Engine. */
enum fetch_kind {
    FETCH_CONTAINERS, /* the list of all containers */
    FETCH_CONTAINER,  /* the list, filtered by this ID: empty when there is no such container */
    FETCH_INSPECT,    /* one container in full; blocks while it starts */
    FETCH_NETWORKS,
    FETCH_NETWORK, /* one network with its live endpoints */
    FETCH_INFO,    /* about the Engine itself */
    FETCH_IMAGE,   /* an image's labels */
};

enum action_kind {
    ACTION_CONNECT,      /* to the Engine; then brain_engine_up() or brain_engine_down() */
    ACTION_FETCH,        /* fetch, id */
    ACTION_QUERY_PEER,   /* link; then brain_peer_mac() */
    ACTION_SET_SWITCHES, /* link.index and link.switches; then brain_switches_set() */
    ACTION_SAVE_STATE,   /* text: the new content of the state file */
    ACTION_APPLY,        /* delta, why; then brain_applied(), before any event but brain_tables_changed() */
    ACTION_READ_TABLES,  /* then brain_tables_read() */
    ACTION_END_FLOWS, /* those of conntrack's for which brain_flow_must_end() says so; then brain_flows_ended() */
    ACTION_READY,     /* the rules are in force: tell the service manager */
    ACTION_LOG,       /* priority (syslog(3)), text */
};

enum apply_kind {
    APPLY_ELEMENTS, /* what containers and links changed */
    APPLY_FULL,     /* whatever differs between the kernel and what should be there */
    APPLY_POLICIES, /* from one policy set to another */
    APPLY_TEARDOWN,
};

struct action {
    enum action_kind kind;
    enum fetch_kind fetch;
    char *id;
    struct link link;
    enum apply_kind apply;
    const struct delta *delta; /* the brain's, valid until brain_applied() */
    int priority;
    char *text;
    struct action *next;
};

struct action *action_free(struct action *action);
DEFINE_CLEANUP(struct action *, action_free);

struct brain_config {
    const struct settings *settings; /* borrowed */
    bool br_netfilter;               /* it is there */
    bool tables_exist;               /* our tables stand in the kernel already */
    const char *state;               /* the state file's content, or NULL */
    struct lock_list *locks;         /* the lockdowns that hold, which become the brain's; NULL: none */
    /* They could not be read, and locks stands for them: those that the kernel's tables tell of take its place. */
    bool locks_lost;
    /* They are a copy's, which may be one change behind: then those that the kernel's tables tell of join them. */
    bool locks_behind;
    struct given_labels *labels; /* given to containers, which become the brain's; NULL: none */
    uint64_t labels_lost; /* they could not be read, at that time (seconds since 1970); 0: they could */
};

/* The policies become the brain's. Queues ACTION_CONNECT. */
struct brain *brain_new(const struct brain_config *config, struct policy_set *policies, uint64_t now);
struct brain *brain_free(struct brain *brain);
DEFINE_CLEANUP(struct brain *, brain_free);

/* The next action, or NULL. The caller frees it. */
struct action *brain_pop(struct brain *brain);
/* Queues ACTION_APPLY when the kernel needs a change. At most one is under way at a time: call it again after
 * brain_applied(). */
void brain_flush(struct brain *brain, uint64_t now);
/* When brain_tick() is due at the latest; UINT64_MAX: never. */
uint64_t brain_deadline(const struct brain *brain);
void brain_tick(struct brain *brain, uint64_t now);

/* ---- the Engine --------------------------------------------------------------------------------------- */

/* Connected, and the event stream is open. */
void brain_engine_up(struct brain *brain, const struct docker_version *version, uint64_t now);
/* The connection failed or ended. Answers to what was asked before must not come any more. */
void brain_engine_down(struct brain *brain, const char *why, uint64_t now);
void brain_docker_event(struct brain *brain, const struct docker_event *event, uint64_t now);
/* An event could not be read: list everything again. */
void brain_resync(struct brain *brain, uint64_t now);
/* Events arrive long after they happened, because we slept or the Engine is slow. It drops those that are not read in
 * time, and says nothing: everything is listed again a second later. */
void brain_behind(struct brain *brain, uint64_t now);

/* Answers. What the brain keeps is moved out of them. */
void brain_containers(struct brain *brain, struct container_list *list, uint64_t now);
void brain_container(struct brain *brain, const char *id, struct container_list *list, uint64_t now);
void brain_inspected(struct brain *brain, const char *id, struct container *container, uint64_t now);
void brain_networks(struct brain *brain, struct network_list *list, uint64_t now);
void brain_network(struct brain *brain, const char *id, struct network_detail *detail, uint64_t now);
void brain_info(struct brain *brain, const struct docker_info *info);
void brain_image(struct brain *brain, const char *id, struct label_list *labels, uint64_t now);
/* error: -ENOENT: there is no such thing; anything else: asked again later. */
void brain_fetch_failed(struct brain *brain, enum fetch_kind kind, const char *id, int error,
                        const char *message, uint64_t now);

/* ---- the kernel --------------------------------------------------------------------------------------- */

void brain_link(struct brain *brain, const struct link *link, uint64_t now);
void brain_link_gone(struct brain *brain, const struct link *link, uint64_t now);
/* Notifications were lost; all links are reported again, and then brain_link_reset_done() is called. */
void brain_link_reset(struct brain *brain);
void brain_link_reset_done(struct brain *brain, uint64_t now);
/* error 0: mac is the address behind the port of this index. */
void brain_peer_mac(struct brain *brain, unsigned index, int error, const struct mac *mac, uint64_t now);
void brain_switches_set(struct brain *brain, unsigned index, int error, uint64_t now);
/* The result of ACTION_APPLY; message says what failed, for people. */
void brain_applied(struct brain *brain, int error, const char *message, uint64_t now);
/* Another program has changed our tables. */
void brain_tables_changed(struct brain *brain, const struct nft_change *change, uint64_t now);
/*
 * What the kernel holds, which becomes the brain's; odd tables are those that can only be replaced as a whole. error: it
 * could not be read, and kernel is NULL; -EAGAIN: as others changed theirs all the time.
 */
void brain_tables_read(struct brain *brain, int error, struct ruleset *kernel, uint64_t now);

/* Has the kernel compared soon, and what differs put right. */
void brain_check(struct brain *brain, uint64_t now);
/* What others have changed in the tables is still to be put right. */
bool brain_has_repairs(const struct brain *brain);

/* ---- connections -------------------------------------------------------------------------------------- */

/* Called before the flows of ACTION_END_FLOWS are asked about, and afterwards. */
void brain_begin_flows(struct brain *brain);
/* Those that had to end were ended, as far as is known. */
bool brain_flows_settled(const struct brain *brain);
/* Is it a flow of an identity that has ended, or one that the policies no longer allow? */
bool brain_flow_must_end(struct brain *brain, const struct flow *flow);
/* How many were ended; or why conntrack could not be asked. */
void brain_flows_ended(struct brain *brain, int error, size_t ended, uint64_t now);
/* How many were ended since the start. */
size_t brain_flow_count(const struct brain *brain);

/* ---- the operator ------------------------------------------------------------------------------------- */

/*
 * New policies, which become the brain's. They are in force, or refused, when all actions that follow have
 * been carried out (brain_flush() and brain_pop() until neither has anything): brain_policies_result() then
 * says which.
 */
void brain_load_policies(struct brain *brain, struct policy_set *policies, uint64_t now);
/* 0; or the kernel's error and its message (valid until the next load), and the former policies are in force;
 * or -EINPROGRESS: they wait for the first inventory (the message says so to people).
 * *ret_changes: operations in the kernel. */
int brain_policies_result(const struct brain *brain, size_t *ret_changes, const char **ret_message);
/* Does the kernel hold the rules of brain_policies(), as far as is known? */
bool brain_policies_in_force(const struct brain *brain);
/* Removes our tables and restores the bridges. Result: whether the last brain_applied() had an error. */
void brain_teardown(struct brain *brain, uint64_t now);
bool brain_torn_down(const struct brain *brain);
/* ---- lockdowns ---------------------------------------------------------------------------------------- */

/* The lockdowns that hold from the next brain_flush() on; the list (NULL: none) becomes the brain's. */
void brain_set_locks(struct brain *brain, struct lock_list *locks, uint64_t now);
const struct lock_list *brain_locks(const struct brain *brain); /* or NULL */
/* As locks_to_json() has them. A new reference. */
json_t *brain_locks_to_json(const struct brain *brain);
/* Does the kernel hold them, as far as is known? */
bool brain_locks_in_force(const struct brain *brain);
/* What they do to a connection; called between brain_begin_lock_flows() and the next change. */
void brain_begin_lock_flows(struct brain *brain);
enum lock_fate brain_lock_fate(const struct brain *brain, const struct flow *flow);
/*
 * Whom these lock tables cut and no lock does is locked down from the next brain_flush() on: the command that made them could
 * not write it down. ended (may be NULL): locks that the tables may still hold, but that are over. wall: seconds since 1970.
 * True: there is such a one. Call it where the containers are known.
 */
bool brain_adopt_locks(struct brain *brain, const struct ruleset *tables, const struct lock_list *ended,
                       uint64_t wall, uint64_t now);
/* Was a list that could not be read made up from the kernel's, since this was asked last? */
bool brain_locks_recovered(struct brain *brain);

/* ---- labels ------------------------------------------------------------------------------------------- */

/* The labels that hold from the next brain_flush() on; the list (NULL: none) becomes the brain's. */
void brain_set_labels(struct brain *brain, struct given_labels *labels, uint64_t now);
const struct given_labels *brain_labels(const struct brain *brain); /* or NULL */
/* As long as they are lost, every list of lockdowns gets one that means everybody: this one. */
bool brain_labels_lost(const struct brain *brain);
bool is_label_hold(const struct lock *lock);
/* They are known to be none. */
void brain_forget_lost_labels(struct brain *brain, uint64_t now);

/* The host's name servers and addresses, copied. */
void brain_set_name_servers(struct brain *brain, const struct ip *ip, size_t n, bool loopback_only);
void brain_set_host_addresses(struct brain *brain, const struct ip *ip, size_t n);
/* What containers listen on (see inventory_set_listening()); who has set it for a while sets it to NULL again, as nothing
 * tells when it changes. */
void brain_set_listening(struct brain *brain, const json_t *listening);

/* ---- what is known ------------------------------------------------------------------------------------ */

const struct inventory *brain_inventory(const struct brain *brain);
/* How often it has changed; now and then it is counted though it has not. */
uint64_t brain_inventory_changes(const struct brain *brain);
/* All containers and networks were listed at least once. */
bool brain_inventory_known(const struct brain *brain);
/* And all that was asked about them was answered, or the time for that is over. */
bool brain_inventory_complete(const struct brain *brain);
/* Whose an address is, or was: who has it, or else who had it last when the packet came. */
struct whose {
    struct ip ip;
    bool has_ip;
    unsigned port; /* index of the bridge's port that a frame came by: then that alone counts; 0: none */
    bool has_mac;  /* of the sender: whoever has another one is not meant */
    struct mac mac;
    uint64_t at; /* when the packet came */
};
/* What is found is valid until the next event. */
bool brain_whose(const struct brain *brain, const struct whose *whose, const struct container **ret_container,
                 const struct endpoint **ret_endpoint);
/* The addresses of endpoints that have ended since this was asked last. The caller frees the list. */
size_t brain_take_ended(struct brain *brain, struct ip **ret);
const struct policy_set *brain_policies(const struct brain *brain);
/* The ruleset that the kernel should hold now. */
const struct ruleset *brain_ruleset(const struct brain *brain);

/* What the edge knows and the brain does not, for the status document. */
struct status_facts {
    const char *version, *started, *policies_loaded; /* times: RFC 3339 */
    const char *policies_dir, *last_load_error;      /* the latter NULL: none */
    bool policies_kept;     /* those in force are the last good ones, as the files had errors at the start */
    const char *keep_error; /* why the policies in force could not be saved; NULL: they are */
    size_t expectations_failed; /* of the policies in force, when they were loaded or could first be tested */
    const char *expectation_error; /* the first of them, in words */
    const char *history_error;     /* why what is in force could not be recorded; NULL: it is */
    const char *audit_error;       /* what is not in the audit log, and why; NULL: all is */
    const json_t *trial, *held;    /* as status has them, or null; borrowed */
    const char *lock_tables;       /* why they stand, for people; NULL: they do not */
    const char *textfile_error;    /* why the metrics are not in their file; NULL: nothing is wrong */
    bool trial_left;               /* the file of a trial that is over cannot be removed */
    const char *engine_socket;
    bool tables_protected, tables_kept; /* the latter: their owner outlives the daemon */
    const char *unprotected_reason;     /* NULL: they are */
    int pid;
    const json_t *log; /* denied_log_status(); borrowed */
    uint64_t generation;
};

/*
 * The status document (control/protocol.h's verb "status"), a new reference. *ret_enforced: no running
 * container is without enforcement.
 */
json_t *brain_status(const struct brain *brain, const struct status_facts *facts, bool *ret_enforced);
/* Fills in what the brain knows of the metrics, and how many problems status would list. */
void brain_figures(const struct brain *brain, const struct status_facts *facts, struct metrics *metrics);
