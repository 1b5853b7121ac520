// SPDX-License-Identifier: GPL-2.0-or-later
#include "doctor/collect.h"

#include <errno.h>
#include <unistd.h>

int doctor_collect(struct settings *settings, char *settings_error, const char *settings_path,
                   struct host_facts *ret)
{
    *ret = (struct host_facts){0};
    ret->self.settings = settings;
    ret->self.settings_error = settings_error;
    if (access("/proc/sys/net", F_OK) < 0)
        return -ENOENT;
    collect_kernel(&ret->kernel);
    collect_firewall(&ret->firewall);
    collect_engine(settings, &ret->engine);
    collect_processes(&ret->engine);
    collect_self(settings_path, &ret->self);
    return 0;
}
