/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What it costs to know how often each rule is used, with a hundred policies and a thousand containers:
 * build/release/tests/bench/cofferdam-bench-rules */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "daemon/rule_counters.h"
#include "nft/counters.h"
#include "ruleset/compile.h"

#define CONTAINERS 1000
#define RUNS 25

static double since_ms(uint64_t start)
{
    return (double)(now_ns() - start) / 1e6;
}

static void measure(struct nft_socket *socket, const struct policy_set *policies,
                    const struct ruleset *ruleset)
{
    _cleanup_(rule_counters_freep) struct rule_counters *counters = rule_counters_new();
    double dump[RUNS], learn[RUNS], add[RUNS], save[RUNS];
    size_t n = 0, len = 0;

    for (size_t i = 0; i < RUNS; i++) {
        _cleanup_table_counters_ struct table_counters kernel = {0};
        uint64_t start = now_ns();
        int r = nft_counters_read(socket, &kernel);

        if (r < 0)
            die("nft_counters_read", r, NULL);
        dump[i] = since_ms(start);
        start = now_ns();
        rule_counters_learn(counters, policies, ruleset, i + 1);
        learn[i] = since_ms(start);
        start = now_ns();
        rule_counters_read(counters, "bench", &kernel, i + 1);
        add[i] = since_ms(start);
        start = now_ns();
        _cleanup_free_ char *text = rule_counters_save(counters);
        save[i] = since_ms(start);
        len = strlen(text);
        n = 0;
        for (size_t j = 0; j < kernel.n; j++)
            n += kernel.chains[j].n;
    }
    printf(
        "%zu rules in the kernel: read in %.2f ms, added up in %.2f ms; learned in %.2f ms; %zu KiB formatted in %.2f ms\n",
        n, median(dump, RUNS), median(add, RUNS), median(learn, RUNS), len >> 10, median(save, RUNS));
}

int main(void)
{
    static const struct compile_options options = {.mark = MARK_DEFAULT, .log_group = 4242, .log_rate = 100};
    _cleanup_(nft_socket_closep) struct nft_socket *socket = NULL;
    _cleanup_(policy_set_freep) struct policy_set *policies = make_policies();
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory(CONTAINERS, true);
    _cleanup_(compiler_freep) struct compiler *compiler = NULL;
    _cleanup_delta_ struct delta delta = {0};
    _cleanup_diags_ struct diags diags = {0};
    int r;

    if (unshare(CLONE_NEWNET) < 0)
        die("a network namespace of its own (root is needed)", -errno, NULL);
    print_machine();
    compiler = compiler_new(policies, &options);
    compiler_load(compiler, inventory);
    delta_load(compiler_ruleset(compiler), &delta);
    r = nft_socket_open(&socket);
    if (r == 0)
        r = nft_apply(socket, &delta, &diags);
    if (r < 0)
        die("loading", r, &diags);
    measure(socket, policies, compiler_ruleset(compiler));
    return 0;
}
