/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The eyes of `cofferdam doctor`: reads /proc, netlink, the Docker Engine's API, the daemon's control socket and files.
 * It decides nothing and changes nothing: what it sends to nf_tables are transactions without an end, which the kernel
 * checks and drops. What cannot be read is noted in the facts as such.
 */
#pragma once

#include "doctor/facts.h"

/*
 * Fills the facts. settings: the host's, taken over; settings_error: what was wrong with their file (then settings are
 * the defaults), taken over, may be NULL; settings_path: the file's. Takes at most some 30 s: 5 for each answer.
 * Returns 0, or -ENOENT where there is no /proc to look at: then there are no facts but those handed in.
 */
int doctor_collect(struct settings *settings, char *settings_error, const char *settings_path,
                   struct host_facts *ret);

/* Its parts, for tests. */
void collect_kernel(struct fact_kernel *ret);
void collect_firewall(struct fact_firewall *ret);
void collect_engine(const struct settings *settings, struct fact_engine *ret);
void collect_processes(struct fact_engine *engine); /* dockerd and docker-proxy, in /proc */
/* settings and settings_error stand in *self already */
void collect_self(const char *settings_path, struct fact_self *self);
