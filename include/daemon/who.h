/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who asks: what /proc and the user database say of a process. */
#pragma once

#include "daemon/change.h"

/* Quickly: names of users are those of /etc/passwd alone, as who keeps users elsewhere may keep us waiting. */
struct who who_of_process(pid_t pid, uid_t uid);
/* Asks for the names that are missing whoever else knows users (nsswitch.conf(5)): that can take its time. */
void who_find_names(struct who *who);
/* Both. */
struct who who_of(pid_t pid, uid_t uid);
