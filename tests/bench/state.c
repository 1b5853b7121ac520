/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What it costs to write down, and to read, what is known of a thousand containers: build/release/tests/bench/cofferdam-bench-state */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "daemon/inventory_state.h"
#include "files/state_files.h"
#include "util/mem.h"

#define CONTAINERS 1000
#define STEP 50 /* of the daemon */
#define RUNS 25
#define MANY 20 /* labels of one container, as Compose gives them */

static void add_labels(struct inventory *inventory)
{
    for (struct container *c = inventory->containers; c; c = c->hh.next) {
        while (c->n_labels < MANY) {
            char *key = xasprintf("com.example.label-%02zu", c->n_labels);

            *ARRAY_ADD(c->labels, c->n_labels) =
                (struct label){.key = key, .value = xstrdup("0123456789012345678901234567890123456789")};
        }
        labels_sort(c->labels, c->n_labels);
    }
}

static double since_ms(uint64_t start)
{
    return (double)(now_ns() - start) / 1e6;
}

int main(void)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory(CONTAINERS, true);
    double format[RUNS], step[RUNS], save[RUNS], parse[RUNS];
    char directory[] = "/tmp/cofferdam-bench-XXXXXX";
    size_t len = 0;

    print_machine();
    add_labels(inventory);
    if (!mkdtemp(directory))
        die("mkdtemp", -errno, NULL);
    for (size_t i = 0; i < RUNS; i++) {
        struct inventory_age age;
        struct inventory *read = NULL;
        uint64_t start = now_ns();
        _cleanup_(inventory_writer_freep) struct inventory_writer *writer =
            inventory_writer_new(inventory, 1700000000, "boot");

        step[i] = format[i] = 0;
        for (bool more = true; more;) {
            more = inventory_writer_step(writer, inventory, STEP);
            step[i] = since_ms(start) > step[i] ? since_ms(start) : step[i];
            format[i] += since_ms(start);
            start = now_ns();
        }
        _cleanup_free_ char *text = inventory_writer_finish(writer);
        len = strlen(text);
        start = now_ns();
        int r = state_save_soon(directory, INVENTORY_STATE_FILE, text);
        save[i] = since_ms(start);
        start = now_ns();
        if (r == 0)
            r = inventory_state_parse(text, len, "boot", &read, &age);
        parse[i] = since_ms(start);
        if (r < 0)
            die("saving", r, NULL);
        inventory_free(read);
    }
    printf(
        "%d containers with %d labels, %zu KiB: formatted in %.1f ms, at most %.1f ms at a time, written in %.1f ms, read in %.1f ms\n",
        CONTAINERS, MANY, len >> 10, median(format, RUNS), median(step, RUNS), median(save, RUNS),
        median(parse, RUNS));
    state_remove(directory, INVENTORY_STATE_FILE);
    return rmdir(directory) < 0;
}
