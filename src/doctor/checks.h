/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside the judgement: what the checks are made of. */
#pragma once

#include "doctor/doctor.h"

typedef void (*check_judge)(const struct host_facts *facts, struct finding *finding);

#define FOUND_LINES_MAX 12 /* of one finding; the rest is counted */

/* Adds a line to what was found, and raises the level to this one at least. */
void finding_say(struct finding *finding, enum finding_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "not looked at": why, from a negative errno. */
void finding_unchecked(struct finding *finding, const char *what, int error);
/* What the findings above ok mean, and how to mend them; the last word counts. */
void finding_advise(struct finding *finding, const char *means, const char *mend);

static inline const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* Is this interface the bridge of a network that Cofferdam manages? */
bool is_managed_bridge(const struct host_facts *facts, const char *name);
/* Is it a port of one? */
bool is_managed_port(const struct host_facts *facts, const struct link *link);
/* Do Cofferdam's tables stand? False also where that could not be looked at. */
bool tables_stand(const struct host_facts *facts);

/* src/doctor/engine.c */
void judge_engine(const struct host_facts *facts, struct finding *finding);
void judge_engine_tcp(const struct host_facts *facts, struct finding *finding);
void judge_engine_socket(const struct host_facts *facts, struct finding *finding);
void judge_privileged(const struct host_facts *facts, struct finding *finding);
void judge_host_powers(const struct host_facts *facts, struct finding *finding);
void judge_engines(const struct host_facts *facts, struct finding *finding);
void judge_icc(const struct host_facts *facts, struct finding *finding);
void judge_userland_proxy(const struct host_facts *facts, struct finding *finding);
void judge_live_restore(const struct host_facts *facts, struct finding *finding);
void judge_docker_rules(const struct host_facts *facts, struct finding *finding);
void judge_docker_dns(const struct host_facts *facts, struct finding *finding);
void judge_rootless(const struct host_facts *facts, struct finding *finding);
void judge_swarm(const struct host_facts *facts, struct finding *finding);
void judge_userns(const struct host_facts *facts, struct finding *finding);

/* src/doctor/kernel.c */
void judge_kernel_rules(const struct host_facts *facts, struct finding *finding);
void judge_table_owner(const struct host_facts *facts, struct finding *finding);
void judge_br_netfilter(const struct host_facts *facts, struct finding *finding);
void judge_bridge_calls(const struct host_facts *facts, struct finding *finding);
void judge_bridge_filtering(const struct host_facts *facts, struct finding *finding);
void judge_linklocal(const struct host_facts *facts, struct finding *finding);
void judge_route_localnet(const struct host_facts *facts, struct finding *finding);
void judge_source_route(const struct host_facts *facts, struct finding *finding);
void judge_accept_ra(const struct host_facts *facts, struct finding *finding);
void judge_proxy_arp(const struct host_facts *facts, struct finding *finding);
void judge_rp_filter(const struct host_facts *facts, struct finding *finding);
void judge_ip_forward(const struct host_facts *facts, struct finding *finding);
void judge_tcp_loose(const struct host_facts *facts, struct finding *finding);
void judge_conntrack_room(const struct host_facts *facts, struct finding *finding);
void judge_conntrack_helper(const struct host_facts *facts, struct finding *finding);
void judge_conntrack_events(const struct host_facts *facts, struct finding *finding);

/* src/doctor/firewall.c */
void judge_flowtables(const struct host_facts *facts, struct finding *finding);
void judge_netdev_hooks(const struct host_facts *facts, struct finding *finding);
void judge_xdp(const struct host_facts *facts, struct finding *finding);
void judge_same_priority(const struct host_facts *facts, struct finding *finding);
void judge_untracked(const struct host_facts *facts, struct finding *finding);
void judge_translation(const struct host_facts *facts, struct finding *finding);
void judge_other_firewalls(const struct host_facts *facts, struct finding *finding);
void judge_legacy(const struct host_facts *facts, struct finding *finding);
void judge_mark_bit(const struct host_facts *facts, struct finding *finding);

/* src/doctor/self.c */
void judge_daemon(const struct host_facts *facts, struct finding *finding);
void judge_tables(const struct host_facts *facts, struct finding *finding);
void judge_settings(const struct host_facts *facts, struct finding *finding);
void judge_policies(const struct host_facts *facts, struct finding *finding);
void judge_permissions(const struct host_facts *facts, struct finding *finding);
void judge_default_mode(const struct host_facts *facts, struct finding *finding);
void judge_unknown_endpoints(const struct host_facts *facts, struct finding *finding);
void judge_unenforced(const struct host_facts *facts, struct finding *finding);
void judge_problems(const struct host_facts *facts, struct finding *finding);
void judge_service(const struct host_facts *facts, struct finding *finding);
