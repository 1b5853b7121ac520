/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world for the brain: an Engine and a kernel made of structs, whose parts change as a test says, and a
 * pump that carries the brain's actions out against it.
 */
#pragma once

#include "daemon/brain.h"

#define WORLD_MAX 64

struct world_container {
    bool two_names; /* its name is the first of them */
    bool exists;
    char id[65];
    char name[64];
    char image[64], image_id[64];
    const char *label_key, *label_value; /* one label, or none */
    bool listed_running;
    uint16_t published; /* on the host, for port 80; 0: none */
    bool host_mode, none_mode;
    bool net_admin;  /* which only an inspection tells */
    int networks[4]; /* of its settings; -1: none */
};

struct world_network {
    bool exists;
    char id[65];
    char name[32], bridge[IFNAMSIZ];
    unsigned bridge_index;
    bool ipv6, internal;
};

struct world_endpoint {
    bool live;
    bool joining; /* not joined yet: the Engine (28 and later) lists it under a key that is no container's */
    int container, network;
    char id[65];
    struct mac mac;
    struct ip ip;
};

struct world_link {
    bool exists;
    struct link link;
    struct mac peer;
    bool has_peer;
    bool was_port; /* of a network's bridge */
};

struct world_fetch {
    enum fetch_kind kind;
    char *id;
};

/* Somebody had connections at this address. */
struct world_flow {
    struct ip ip;
    char endpoint[65];
};

struct world {
    struct brain *brain;
    struct settings *settings;
    uint64_t now;

    bool engine_there, rootless;
    struct world_container containers[WORLD_MAX];
    struct world_network networks[WORLD_MAX];
    struct world_endpoint endpoints[WORLD_MAX];
    struct world_link links[WORLD_MAX];
    unsigned next_index, next_id;
    const char *image_label_key, *image_label_value; /* of every image */

    bool hold[FETCH_IMAGE + 1]; /* answers of this kind wait for world_release() */
    struct world_fetch held[256];
    size_t n_held;
    int image_error;
    int nf_call_error;
    int read_error, flows_error; /* of every ACTION_READ_TABLES and ACTION_END_FLOWS */
    int reads_interrupted;       /* so many more */
    uint64_t flows_take;         /* time */
    struct ruleset *kernel;      /* what is in force; NULL: no tables of ours */
    bool unmendable;             /* it holds what only a replacement can mend */
    struct world_flow flows[WORLD_MAX];
    size_t n_flows_left;

    /* What the brain did. */
    int apply_error;             /* the kernel's answer to the next ACTION_APPLY; then 0 again */
    size_t apply_phases;         /* it takes these before it fails, and then 0 again */
    int apply_always;            /* the same, until it is set to 0 */
    bool apply_refuses_policies; /* APPLY_POLICIES always fails */
    size_t n_applied[APPLY_TEARDOWN + 1];
    size_t n_ops;       /* in the kernel, all in all */
    bool only_elements; /* the last APPLY_ELEMENTS had nothing else */
    size_t n_fetches, n_connects, n_saves, n_nf_calls, n_peer_queries, n_reads, n_flows;
    bool replaced; /* the last APPLY_FULL began with the tables' removal */
    bool ready;
    char *state;
    char *log; /* all lines */
};

/* A brain with these policies (YAML, NULL: none), not started: its first action waits. */
struct world *world_new(const char *policies, const char *state);
/* The same, where tables stand: a kernel's content, which becomes the world's. */
struct world *world_new_on(struct ruleset *kernel, const char *policies, const char *state);
/* Tables of an earlier daemon that knew no policies and no containers. */
struct ruleset *world_tables(void);
/* The daemon dies, and the next one starts on what it left. */
void world_restart(struct world *world, const char *policies);
void world_free(struct world *world);
struct policy_set *world_policies(const char *yaml);

/* Carries out actions and flushes until there are none. */
void world_pump(struct world *world);
/* Carries out one action and frees it. */
void world_act(struct world *world, struct action *action);
/* Lets time pass and the brain act on it, in steps of at most what it asks for. */
void world_wait(struct world *world, uint64_t usec);
void world_release(struct world *world, enum fetch_kind kind);

/* The kernel. Links are reported to the brain at once. */
unsigned world_add_link(struct world *world, const char *name, unsigned master, bool is_bridge);
void world_remove_link(struct world *world, unsigned index);
struct world_link *world_link(struct world *world, unsigned index);
void world_report_link(struct world *world, unsigned index);

/* The Engine. These change what it answers; no event is sent. */
int world_add_network(struct world *world, const char *name, const char *bridge);
int world_add_container(struct world *world, const char *name, int network);
int world_add_endpoint(struct world *world, int container, int network, const char *ip);
void world_engine_down(struct world *world);

/* Events. */
void world_container_event(struct world *world, enum docker_action action, int container);
void world_network_event(struct world *world, enum docker_action action, int network, int container);

/* All of a start and an end in the order of Docker 20.10, pumped in between. The endpoint's number. */
int world_start(struct world *world, int container, int network, const char *ip);
void world_stop(struct world *world, int endpoint);

const struct container *world_known(const struct world *world, int container);
const struct endpoint *world_known_endpoint(const struct world *world, int endpoint);
/* Is this address in the set of the inet table in the ruleset that the kernel should hold? */
bool world_address_live(const struct world *world, const char *ip);
/* Is there a bridge binding of the port and address? */
bool world_bound(const struct world *world, unsigned index, const char *ip);
/* The incremental ruleset is what a fresh compiler makes of the same inventory; fails the test if not. With
 * `exact` the texts are the same; without, it may still hold what only containers that are gone needed. */
void world_check_fresh(const struct world *world, bool exact);
bool world_logged(const struct world *world, const char *text);
