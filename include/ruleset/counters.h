/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the rules of "inet cofferdam" have counted, as read from the kernel. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/mem.h"

struct rule_counter {
    uint64_t handle;         /* the kernel's name for the rule, never used twice in a table */
    uint64_t packets, bytes; /* 0 where the rule counts nothing */
};

struct chain_counters {
    char *name;
    struct rule_counter *rules; /* all of the chain's, in their order */
    size_t n;
};

struct table_counters {
    uint64_t table; /* the table's handle, never used twice in a network namespace; 0: there is no table */
    struct chain_counters *chains;
    size_t n;
};

void table_counters_clear(struct table_counters *counters);
#define _cleanup_table_counters_ _cleanup_(table_counters_clear)
