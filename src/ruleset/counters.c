// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset/counters.h"

void table_counters_clear(struct table_counters *counters)
{
    for (size_t i = 0; i < counters->n; i++) {
        free(counters->chains[i].name);
        free(counters->chains[i].rules);
    }
    free(counters->chains);
    *counters = (struct table_counters){0};
}
