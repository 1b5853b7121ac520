/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the brain share. */
#pragma once

#include "daemon/brain.h"

#include <uthash.h>

#include "daemon/label_state.h"
#include "verdict/flow.h"

#define MSEC ((uint64_t)1000)
#define SEC (1000 * MSEC)

#define RESYNC_INTERVAL (60 * SEC)
#define CHECK_INTERVAL (60 * SEC)
#define BEHIND_CALM (1 * SEC)
#define START_WAIT (10 * SEC) /* for the first complete inventory */
#define CONNECT_BACKOFF_MIN (100 * MSEC)
#define CONNECT_BACKOFF_MAX (5 * SEC)
#define FETCH_RETRY (1 * SEC)    /* doubling to 32 seconds */
#define RENAME_RETRY (10 * MSEC) /* doubling to 10 seconds */
#define LOAD_RETRY_MIN (1 * SEC)
#define LOAD_RETRY_MAX (30 * SEC)
#define READ_TRIES 10 /* of the tables, while other programs change theirs */
#define READ_PAUSE (20 * MSEC)
#define FLOWS_SHARE 20          /* of the time that is left to everything else, where nobody waits */
#define FLOWS_CALM (500 * MSEC) /* after an identity's end, unless somebody waits for its address */
#define FLOWS_RETRY_MIN (1 * SEC)
#define FLOWS_RETRY_MAX (30 * SEC)
#define REPAIRS_AT_ONCE 10    /* of tables that others change; from then on one a second ... */
#define REPAIR_CALM (2 * SEC) /* ... until nothing has happened for this time */
#define SWEEP_AFTER 64        /* containers removed */
#define PEER_ASKS_MAX 24      /* of one port, after each notification: about 80 seconds */
#define PEER_ASK_MIN (10 * MSEC)
#define PEER_ASK_MAX (5 * SEC)
/* A port may be this much older than the first sight of the endpoint behind it, and this much newer. */
#define PORT_OLDER_MAX (RESYNC_INTERVAL + 10 * SEC)
#define PORT_NEWER_MAX (5 * SEC)
/* Its own end is long since reported when a port that lost its endpoint is still there after this. */
#define PORT_FREE_AFTER (2 * SEC)
#define ENDED_FOR_GOOD (10 * SEC) /* unless the Engine still knows it by then, and another port fits */

/* An endpoint that is live in the compiler. */
struct applied {
    char *network_id, *endpoint_id;
    bool has_ip[IP_FAMILIES];
    struct ip ip[IP_FAMILIES];
};

/* A container as the Engine's list told; the inventory has it with its endpoints as they are now. */
struct fact_container {
    char *id;
    struct endpoint *settings; /* one per network in its settings, as the list gave them */
    size_t n_settings;
    enum network_mode mode;  /* the same */
    bool running;            /* according to the list, which is late */
    struct applied *applied; /* at most one per network */
    size_t n_applied;
    bool complete;    /* when it was applied last, nothing was missing that can only grant more */
    bool waits;       /* for an address whose former owner's flows have not been ended yet */
    unsigned unsure;  /* answers in a row in which it had two names */
    uint64_t serial;  /* of the last answer about it */
    bool dirty, gone; /* gone: to be removed from compiler and inventory */
    UT_hash_handle hh;
};

/* An endpoint in a network's detail. */
struct live {
    char *container_id;
    struct endpoint endpoint; /* without port */
    uint64_t appeared;        /* when we saw it first */
    bool was_there;           /* before we looked */
    unsigned port;            /* index of the port that was found for it, 0: none */
    bool ended;               /* its port is gone: not live, whatever the Engine still says */
    uint64_t ended_at;
};

struct fact_network {
    char *id;
    struct live *live; /* sorted by container_id, which is there once at most */
    size_t n_live;
    bool has_detail;
    uint64_t serial;
    UT_hash_handle hh;
};

struct fact_image {
    char *id;
    struct label_list labels;
    bool known, failed;
    UT_hash_handle hh;
};

struct fact_link {
    unsigned index;
    struct link link;
    uint64_t first_seen;
    bool has_mac;
    struct mac mac;
    bool asking;
    unsigned asks;
    uint64_t next_ask; /* UINT64_MAX: not before the next notification */
    char *owner;       /* ID of the container it was found to belong to: it cannot be another's */
    char *owner_endpoint;
    uint64_t free_at; /* unless that was a mistake: its endpoint has ended, and it is still there at this
                          time; 0: no */
    bool in_use;      /* some live endpoint has it */
    bool was_port;    /* of a managed bridge */
    char compiled[IFNAMSIZ]; /* the name by which the compiler knows it as a port; "": not */
    bool stale;              /* not reported again since a reset */
    UT_hash_handle hh;
};

struct port_name {
    char name[IFNAMSIZ];
};

struct fact_bridge {
    char name[IFNAMSIZ];
    bool managed, compiled;
    bool
        unlisted; /* named as the Engine names its bridges, and the networks were not listed since it appeared: it is
                      managed until they are */
    bool foreign;    /* they were, and it is none of a managed network */
    uint64_t serial; /* when it appeared */
    unsigned index;  /* 0: no such link */
    bool changed;    /* we switched something on; what it was before: */
    struct bridge_switches former;
    bool setting;        /* under way */
    bool switched;       /* once on, on this index: whatever turns it off again is somebody else */
    unsigned n_switches; /* within the second that began at switches_from */
    uint64_t switches_from;
    int error;
    uint64_t next_try; /* 0: none due */
    UT_hash_handle hh;
};

struct fetch {
    char *key;
    enum fetch_kind kind;
    char *id;
    bool in_flight, again;
    unsigned failures;
    uint64_t retry_at; /* 0: none */
    uint64_t serial;   /* of the brain, when it was asked */
    UT_hash_handle hh;
};

/* An endpoint that has ended. */
struct past {
    struct container *container; /* with that endpoint alone */
    uint64_t until;
    bool taken; /* by brain_take_ended() */
};

struct brain {
    const struct settings *settings;
    struct compile_options options;
    struct policy_set *policies;
    struct compiler *compiler;

    /* A policy set on trial: replaces the above when the kernel takes it. */
    struct policy_set *next_policies; /* NULL: the same policies, compiled anew */
    struct compiler *next_compiler;
    bool has_next;
    bool next_whole;       /* it replaces everything that stands */
    bool policies_waiting; /* those in use wait for the first full load */
    int policies_error;
    char *policies_message;
    size_t policies_changes;

    struct inventory *inventory;
    uint64_t inventory_changes; /* how often it has changed */
    struct fact_container *containers;
    struct fact_network *networks;
    struct fact_image *images;
    struct fact_link *links;
    struct fact_bridge *bridges;
    struct port_name *gone_ports; /* for the compiler to forget */
    size_t n_gone_ports;
    struct fetch *fetches;
    uint64_t serial;
    size_t n_removed; /* containers, since everything was compiled last */
    bool loopback_name_servers;
    bool br_netfilter;

    bool connected, connecting;
    char *engine_version, *engine_error;
    unsigned engine_api;
    uint64_t backoff, connect_at; /* connect_at 0: not waiting */
    uint64_t resync_at;
    bool behind;                             /* events may have been lost; until the next resync */
    bool listed_containers, listed_networks; /* since the connection was made */
    bool networks_known;                     /* listed at least once */
    bool synced;                             /* everything was complete once since then */
    bool was_synced;                         /* the same, since the start */
    bool inventory_known;                    /* all was listed at least once */

    /* What must be brought in line by the next flush. */
    bool containers_dirty, networks_dirty, bridges_dirty, ports_dirty, match_dirty;

    bool hold;        /* the kernel keeps what it has until the inventory is complete */
    bool keep_tables; /* while held: our tables stand already */
    uint64_t start_deadline;
    bool late; /* it has passed */
    bool ready;
    bool need_full;
    bool replace;           /* in whole, whatever stands: mending it was refused */
    bool has_kernel;        /* the tables were read for the load */
    struct ruleset *kernel; /* what was read; NULL: it could not be */
    unsigned n_unread;      /* reads in a row in which others got */
    uint64_t full_at, full_backoff;
    uint64_t check_at;  /* when the kernel is compared next */
    char *kernel_error; /* the last load failed */
    bool applying;
    enum apply_kind apply_kind;
    struct delta delta;
    bool loaded; /* our rules were in force at least once */
    bool torn_down;

    struct past *past; /* endpoints that have ended not long ago, the oldest first: see past.c */
    size_t n_past;
    bool past_changed; /* since brain_take_ended() */

    /* Connections: see flows.c. */
    struct ip *ended; /* addresses of identities that have ended, until their flows are ended too */
    size_t n_ended;
    bool distrust; /* an earlier daemon may have left flows at addresses that are free now */
    bool flows_due, judge_due;
    uint64_t flows_at, flows_backoff;
    uint64_t flows_began, flows_calm; /* the next time, unless somebody waits, is so long after an end */
    char *flows_error;
    size_t n_flows_ended; /* since the start */
    struct flow_judge *judge;

    /* Lockdowns: see locks.c. */
    struct lock_list *locks; /* or NULL */
    struct ip *locked;       /* the addresses concerned, while flows are asked about */
    size_t n_locked;
    bool locks_lost, locks_behind, locks_recovered;

    /* Labels: see brain_labels.c. */
    struct given_labels *labels; /* or NULL */
    uint64_t labels_lost;        /* since when, in seconds since 1970; 0: they are not */

    /* What others do to our tables. */
    bool changed_by_others; /* and not loaded again yet */
    size_t n_changes;       /* since the start */
    char *changed_by;       /* the last one; NULL: not known */
    unsigned n_repairs;     /* full loads for that since it was calm */
    uint64_t repaired_at;   /* the last of them is or was due */
    size_t n_unlogged;
    uint64_t change_logged_at; /* 0: never */

    struct action *first, **last;
};

/* brain.c */
struct action *brain_push(struct brain *brain, enum action_kind kind);
void brain_unpush(struct brain *brain, enum action_kind kind); /* forgets those not popped yet */
void brain_log(struct brain *brain, int priority, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void brain_sweep(struct brain *brain);

/* engine.c: facts from the Engine */
void brain_want(struct brain *brain, enum fetch_kind kind, const char *id, uint64_t now);
void brain_engine_tick(struct brain *brain, uint64_t now);
uint64_t brain_engine_deadline(const struct brain *brain);
void brain_want_bridge_networks(struct brain *brain, const char *bridge, uint64_t now);
bool brain_labels_pending(struct brain *brain, const struct container *container);
struct live *brain_find_live(const struct fact_network *fact, const char *container_id);
void brain_engine_clear(struct brain *brain);

/* ports.c: facts from the kernel's links */
void brain_ports_tick(struct brain *brain, uint64_t now);
uint64_t brain_ports_deadline(const struct brain *brain);
void brain_match_ports(struct brain *brain, uint64_t now);
void brain_release_port(struct brain *brain, struct live *live, uint64_t now);
struct fact_link *brain_find_link(const struct brain *brain, unsigned index);
struct fact_bridge *brain_bridge_of(struct brain *brain, const struct fact_link *link);
struct fact_bridge *brain_find_bridge(struct brain *brain, const char *name, bool make);
void brain_decide_bridges(struct brain *brain, uint64_t now);
void brain_ask_unmatched(struct brain *brain, uint64_t now);
void brain_ports_clear(struct brain *brain);
void brain_find_elsewhere(struct brain *brain);
void brain_bridges_listed(struct brain *brain, uint64_t asked);
void brain_restore_bridges(struct brain *brain);
void brain_forget_bridges(struct brain *brain);
int brain_take_state(struct brain *brain, const char *text); /* 0 or -EBADMSG */
bool brain_peers_asked(const struct brain *brain);

/* reconcile.c: facts -> inventory -> compiler */
void brain_mark(struct brain *brain, const char *container_id);
/* Who asks the name servers, after the Engine or the host's resolv.conf has changed. */
void brain_judge_lookups(struct brain *brain);
void brain_containers_clear(struct brain *brain);
void brain_derive(struct brain *brain, uint64_t now);
void brain_reconcile(struct brain *brain, struct delta *delta, uint64_t now);
void brain_compile_all(const struct brain *brain, struct compiler *compiler);
void brain_drop_waiting(struct brain *brain);
void brain_adopt_ports(struct brain *brain, const struct ruleset *kernel);

/* past.c: endpoints that have ended */
void brain_remember(struct brain *brain, const struct container *container, const struct endpoint *endpoint,
                    uint64_t now);
void brain_remember_all(struct brain *brain, const struct container *container, uint64_t now);
void brain_past_clear(struct brain *brain);

/* flows.c: connections that must end */
void brain_end_address(struct brain *brain, struct ip ip);
void brain_end_addresses(struct brain *brain, const bool has_ip[IP_FAMILIES],
                         const struct ip ip[IP_FAMILIES]);
bool brain_has_ended(const struct brain *brain, const struct endpoint *endpoint);
bool brain_must_wait(const struct brain *brain, const struct endpoint *endpoint);
void brain_flows_due(struct brain *brain, uint64_t at);
void brain_ended_due(struct brain *brain, uint64_t at);
void brain_end_moved(struct brain *brain, const struct ruleset *kernel, const struct ruleset *wanted);
bool brain_end_flows(struct brain *brain, uint64_t now); /* true: an action was queued */
uint64_t brain_flows_deadline(const struct brain *brain);

/* locks.c: lockdowns */
void brain_mark_joined(struct brain *brain, const struct container *container);
void brain_recover_locks(struct brain *brain, const struct ruleset *kernel, uint64_t now);

/* status.c */
/* Why nothing at all is enforced, or NULL. */
const char *brain_not_in_force(const struct brain *brain);
/* Is all enforced but for single containers? */
bool brain_can_enforce(const struct brain *brain);
/* Texts for people. A new reference. */
json_t *brain_problems(const struct brain *brain, const struct status_facts *facts);

/* brain_labels.c: labels that containers were given */
void brain_overlay(struct brain *brain, struct container *container);
/* Has the list (NULL: none) lock down everybody as long as the labels are lost, and no longer. Returns the list. */
struct lock_list *brain_hold_for_labels(const struct brain *brain, struct lock_list *locks);
/* Those given to it that count; and those that its predecessor had, and it has not. New references. */
json_t *brain_labels_of(const struct brain *brain, const struct container *container);
json_t *brain_labels_ended(const struct brain *brain, const struct container *container);

struct network *brain_network_of(const struct brain *brain, const struct endpoint *endpoint);
