/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections that locks cut, in the kernel's connection tracking table. I/O. */
#pragma once

#include "flow/socket.h"
#include "lockdown/report.h"

/*
 * Ends those that are cut and adds them to the log (may be NULL), and looks again, some times: a packet that was on its way
 * when the rules changed may put its entry into the table only now. *ret_left: how many came back the last time. 0 or a
 * negative errno.
 */
int lock_flows_cut(struct flow_socket *socket, const struct lock_list *locks,
                   const struct inventory *inventory, struct cut_log *log, size_t *ret_left);
/* Only looks, for those of the new locks' endpoints. */
int lock_flows_find(struct flow_socket *socket, const struct lock_list *locks, const struct lock_list *new,
                    const struct inventory *inventory, struct cut_log *log);
/* Says what lock_flows_cut() returned where connections may be left; true: none are. */
bool lock_report_cut(struct lock_report *report, int error, size_t left);
