/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `cofferdam doctor` has seen of the host: a plain value, filled by the collector (doctor/collect.h), judged by
 * the core (doctor/doctor.h). Nothing in it is believed: texts may be an attacker's.
 *
 * An `error` in a group of facts is 0 where the group was looked at, else the negative errno why it was not; then the
 * rest of the group says nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "docker/decode.h"
#include "docker/host.h"
#include "inventory/inventory.h"
#include "link/link.h"
#include "nft/socket.h"
#include "nft/survey.h"
#include "policy/settings.h"

struct fact_number {
    int error; /* -ENOENT: this kernel has no such thing */
    long long value;
};

/* /proc/sys/net of an interface, of "all" and of the host: Documentation/networking/ip-sysctl.rst. */
enum device_sysctl {
    DEV_ROUTE_LOCALNET,
    DEV_SOURCE_ROUTE,
    DEV_SEG6,
    DEV_PROXY_ARP,
    DEV_RP_FILTER,
    DEV_ACCEPT_RA,
    DEV_FORWARDING6,
    DEVICE_SYSCTLS,
};

enum host_sysctl {
    HOST_IP_FORWARD,
    HOST_CALL_IPTABLES, /* bridge-nf-call-iptables */
    HOST_CALL_IP6TABLES,
    HOST_CALL_ARPTABLES,
    HOST_CT_TCP_LOOSE,
    HOST_CT_TCP_LIBERAL,
    HOST_CT_MAX,
    HOST_CT_COUNT,
    HOST_CT_BUCKETS,
    HOST_CT_HELPER,
    HOST_CT_EVENTS,
    HOST_SYSCTLS,
};

struct fact_device {
    struct link link;
    struct fact_number sysctl[DEVICE_SYSCTLS];
};

struct fact_kernel {
    struct fact_number sysctl[HOST_SYSCTLS];
    struct fact_number all[DEVICE_SYSCTLS]; /* of the pseudo interface "all" */
    char *forward_file; /* the sysctl.d file that turns net.ipv4.ip_forward on; NULL: none does */
    int devices_error;
    struct fact_device *devices;
    size_t n_devices;
    char *legacy_tables; /* iptables-legacy's of this namespace, "filter nat"; NULL: none */
    char *legacy_ebtables;
    int legacy_error;
};

struct fact_firewall {
    int error;
    struct nft_survey survey;
    /* Cofferdam's rules for a host without containers, tried in a transaction that is never committed. */
    int trial_error;                  /* why it could not be tried; says nothing of the kernel */
    char *trial_refused, *trial_help; /* what the kernel says against them; NULL: nothing */
    bool can_protect;                 /* tables with an owner that outlive it; tried in the same way */
};

struct fact_powers {
    char *name;
    struct docker_powers powers;
};

/* A process of that name. */
struct fact_dockerd {
    pid_t pid;
    bool here; /* in this network namespace; where that is not known, yes */
    int error; /* its command line or its files could not be read */
    struct dockerd_options options;
    char *config; /* the path of its daemon.json; NULL where there is none */
    char *config_error;
    struct listener *listeners; /* TCP sockets on which it listens */
    size_t n_listeners;
    int listeners_error;
};

struct fact_engine {
    char *socket;
    char *error;   /* why it was not asked: one line; NULL: it answered */
    char *version; /* "20.10.24" */
    unsigned api_minor;
    bool info_known;
    struct docker_info info;
    bool networks_known;
    struct network_list networks; /* with `managed` decided as the settings say */
    bool containers_known;
    struct fact_powers *powers; /* of running containers */
    size_t n_powers;
    size_t n_unread; /* running containers that were not looked at */
    int processes_error;
    struct fact_dockerd *dockerds;
    size_t n_dockerds;
    size_t n_proxies; /* docker-proxy processes in this network namespace */
};

struct fact_file {
    char *path;
    int error;
    unsigned mode; /* with its kind: st_mode */
    unsigned uid, gid;
};

struct fact_unenforced {
    char *name, *reason;
};

struct fact_self {
    struct settings *settings; /* never NULL: the defaults where the file cannot be used */
    int access_error;          /* the settings or some of the policies may not be read by this user */
    char *settings_error;      /* one line */
    char *policies_error;      /* the first mistake, one line */
    size_t n_policy_errors, n_policies;
    struct fact_file *files; /* settings, folders, policies */
    size_t n_files;
    struct nft_table_state tables[TABLES];
    int tables_error;
    int daemon_error;     /* of the question to the control socket */
    char *daemon_refused; /* it answers, but not to this; NULL */
    char *daemon_version;
    bool tables_protected, tables_kept;
    bool engine_connected;
    struct fact_unenforced *unenforced; /* running containers */
    size_t n_unenforced, n_containers;
    char **problems;
    size_t n_problems;
    bool systemd; /* the host was booted with it */
    bool unit_found, unit_enabled;
    unsigned systemd_version; /* 0: not known */
};

struct host_facts {
    struct fact_engine engine;
    struct fact_kernel kernel;
    struct fact_firewall firewall;
    struct fact_self self;
};

/* Frees what the facts hold, not the facts themselves. */
void host_facts_clear(struct host_facts *facts);
