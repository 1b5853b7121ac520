// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cofferdam-bench: what a host with many containers costs.
 *
 * For 10, 100 and 1,000 simulated containers (addresses without anybody behind them) under 100 policies it
 * times, in a network namespace of its own: compiling everything, loading everything into the kernel, reading
 * it back, and one container's start and stop, which are elements only. Each is split into our own time and the
 * kernel's (from sendmsg() to its last answer). Then, without the kernel: which of 100,000 flows are still
 * allowed. Medians; the columns to compare are the ratios to 10 containers, made in the
 * same run.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "nft/read.h"
#include "ruleset/compile.h"
#include "util/mem.h"
#include "verdict/flow.h"

#define LOADS 7    /* repetitions of compiling and loading */
#define STARTS 301 /* repetitions of one start and stop */
#define FLOWS 100000

static const size_t sizes[] = {10, 100, 1000};

struct sample {
    double compile_ms, load_user_ms, load_kernel_ms, load_elements;
    double read_ms, compare_ms;
    double start_user_us, start_kernel_us, stop_user_us, stop_kernel_us, start_elements;
    double judge_ms, denied;
};

/* ---- measuring ---------------------------------------------------------------------------------------- */

static void apply(struct nft_socket *socket, const struct delta *delta, double *user_ns, double *kernel_ns)
{
    _cleanup_diags_ struct diags diags = {0};
    uint64_t before = now_ns();
    int r = nft_apply(socket, delta, &diags);
    double all = (double)(now_ns() - before);

    if (r < 0)
        die("nft_apply", r, &diags);
    *kernel_ns = (double)nft_last_kernel_ns(socket);
    *user_ns = all - *kernel_ns;
}

static struct compiler *measure_loads(struct nft_socket *socket, const struct policy_set *policies,
                                      const struct inventory *inventory, struct sample *sample)
{
    static const struct compile_options options = {MODE_ENFORCE, UNKNOWN_DENY, MARK_DEFAULT, 0, 0};
    double compile[LOADS], user[LOADS], kernel[LOADS];
    struct compiler *compiler = NULL;

    for (size_t i = 0; i < LOADS; i++) {
        _cleanup_delta_ struct delta delta = {0};
        uint64_t before;

        compiler_free(compiler);
        before = now_ns();
        compiler = compiler_new(policies, &options);
        compiler_load(compiler, inventory);
        compile[i] = (double)(now_ns() - before);
        delta_load(compiler_ruleset(compiler), &delta);
        sample->load_elements = (double)delta_count(&delta);
        apply(socket, &delta, &user[i], &kernel[i]);
    }
    sample->compile_ms = median(compile, LOADS) / 1e6;
    sample->load_user_ms = median(user, LOADS) / 1e6;
    sample->load_kernel_ms = median(kernel, LOADS) / 1e6;
    return compiler;
}

/* Reading everything back, and finding that nothing differs. */
static void measure_reads(struct nft_socket *socket, const struct ruleset *wanted, struct sample *sample)
{
    double read[LOADS], compare[LOADS];

    for (size_t i = 0; i < LOADS; i++) {
        _cleanup_nft_tables_ struct nft_tables tables = {0};
        _cleanup_delta_ struct delta delta = {0};
        uint64_t before = now_ns();
        int r = nft_read(socket, &tables);

        if (r < 0)
            die("nft_read", r, NULL);
        read[i] = (double)(now_ns() - before);
        before = now_ns();
        delta_between(tables.ruleset, wanted, &delta);
        compare[i] = (double)(now_ns() - before);
        if (delta_count(&delta))
            die("what is read back differs", -EINVAL, NULL);
    }
    sample->read_ms = median(read, LOADS) / 1e6;
    sample->compare_ms = median(compare, LOADS) / 1e6;
}

/* Containers are stopped and started in turn, so that neither the same class nor the same address is always
 * hot. */
static void measure_starts(struct nft_socket *socket, struct compiler *compiler,
                           const struct inventory *inventory, struct sample *sample)
{
    double stop_user[STARTS], stop_kernel[STARTS], start_user[STARTS], start_kernel[STARTS];
    const struct container *container = inventory->containers;

    for (size_t i = 0; i < STARTS; i++) {
        const struct endpoint *endpoint = &container->endpoints[0];
        _cleanup_delta_ struct delta stop = {0}, start = {0};
        uint64_t before = now_ns();
        double compile;

        compiler_drop_endpoint(compiler, container->id, endpoint->network_id, &stop);
        compiler_drop_port(compiler, endpoint->port, &stop);
        compile = (double)(now_ns() - before);
        apply(socket, &stop, &stop_user[i], &stop_kernel[i]);
        stop_user[i] += compile;

        before = now_ns();
        compiler_add_port(compiler, endpoint->port, &start);
        compiler_set_endpoint(compiler, inventory, container, endpoint, &start);
        compile = (double)(now_ns() - before);
        if (!delta_is_elements_only(&start))
            die("a start changed more than elements", -EINVAL, NULL);
        sample->start_elements = (double)delta_count(&start);
        apply(socket, &start, &start_user[i], &start_kernel[i]);
        start_user[i] += compile;
        container = container->hh.next ? container->hh.next : inventory->containers;
    }
    sample->start_user_us = median(start_user, STARTS) / 1e3;
    sample->start_kernel_us = median(start_kernel, STARTS) / 1e3;
    sample->stop_user_us = median(stop_user, STARTS) / 1e3;
    sample->stop_kernel_us = median(stop_kernel, STARTS) / 1e3;
}

/* Half between two containers, hardly a pair of them twice; half from outside, no client twice. */
static struct flow make_flow(const struct ip *addresses, size_t n, unsigned i, unsigned *seed)
{
    static const uint16_t ports[] = {443, 5432, 9100, 22};
    struct ip to = addresses[(size_t)rand_r(seed) % n];
    struct ip from =
        i % 2 ? addresses[(size_t)rand_r(seed) % n] : (struct ip){.num = 0xcb000000u + i * 7, .family = IP4};
    uint16_t port = ports[(size_t)rand_r(seed) % ARRAY_SIZE(ports)];

    return (struct flow){.family = IP4,
                         .proto = IPPROTO_TCP,
                         .has_ports = true,
                         .original = {from, to, 40000, port},
                         .reply = {to, from, port, 40000}};
}

static struct flow *make_flows(const struct inventory *inventory)
{
    struct flow *flows = xcalloc(FLOWS, sizeof(*flows));
    _cleanup_free_ struct ip *addresses = NULL;
    unsigned seed = 1;
    size_t n = 0;

    for (const struct container *c = inventory->containers; c; c = c->hh.next)
        *ARRAY_ADD(addresses, n) = c->endpoints[0].ip[IP4];
    for (unsigned i = 0; i < FLOWS; i++)
        flows[i] = make_flow(addresses, n, i, &seed);
    return flows;
}

static void measure_judging(const struct policy_set *policies, const struct inventory *inventory,
                            struct sample *sample)
{
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    const struct evaluation with = {policies, inventory, settings, NULL};
    _cleanup_free_ struct flow *flows = make_flows(inventory);
    double times[LOADS];

    for (size_t i = 0; i < LOADS; i++) {
        uint64_t before = now_ns();
        _cleanup_(flow_judge_freep) struct flow_judge *judge = flow_judge_new(&with);

        sample->denied = 0;
        for (size_t j = 0; j < FLOWS; j++)
            sample->denied += flow_judge(judge, &flows[j]) == FLOW_DENIED;
        times[i] = (double)(now_ns() - before);
    }
    sample->judge_ms = median(times, LOADS) / 1e6;
}

/* ---- telling ------------------------------------------------------------------------------------------ */

static void print_row(const char *what, const char *unit, const double *values)
{
    printf("  %-34s %-3s", what, unit);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        printf(" %10.1f", values[i]);
    printf("   %8.2f %8.2f\n", values[1] / values[0], values[2] / values[0]);
}

#define ROW(what, unit, member)                                                                              \
    print_row(what, unit, (double[]){samples[0].member, samples[1].member, samples[2].member})

static void print_samples(const struct sample *samples, bool dual)
{
    printf("\n%d policies, %d Compose services, %s\n", 2 * SERVICES, SERVICES,
           dual ? "IPv4 and IPv6" : "IPv4");
    printf("  %-38s", "containers");
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        printf(" %10zu", sizes[i]);
    printf("   %8s %8s\n", "100/10", "1000/10");
    ROW("compile everything", "ms", compile_ms);
    ROW("load everything: our part", "ms", load_user_ms);
    ROW("load everything: kernel", "ms", load_kernel_ms);
    ROW("load everything: operations", "", load_elements);
    ROW("read everything back", "ms", read_ms);
    ROW("find no difference", "ms", compare_ms);
    ROW("one start: our part", "us", start_user_us);
    ROW("one start: kernel", "us", start_kernel_us);
    ROW("one start: elements", "", start_elements);
    ROW("one stop: our part", "us", stop_user_us);
    ROW("one stop: kernel", "us", stop_kernel_us);
    ROW("judge 100,000 flows", "ms", judge_ms);
    ROW("judge 100,000 flows: denied", "", denied);
}

static void run(const struct policy_set *policies, bool dual)
{
    struct sample samples[ARRAY_SIZE(sizes)] = {0};

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        _cleanup_(inventory_freep) struct inventory *inventory = make_inventory(sizes[i], dual);
        _cleanup_(nft_socket_closep) struct nft_socket *socket = NULL;
        _cleanup_(compiler_freep) struct compiler *compiler = NULL;
        int r = nft_socket_open(&socket);

        if (r < 0)
            die("nft_socket_open", r, NULL);
        compiler = measure_loads(socket, policies, inventory, &samples[i]);
        measure_reads(socket, compiler_ruleset(compiler), &samples[i]);
        measure_starts(socket, compiler, inventory, &samples[i]);
        measure_judging(policies, inventory, &samples[i]);
    }
    print_samples(samples, dual);
}

int main(void)
{
    _cleanup_(policy_set_freep) struct policy_set *policies = NULL;

    if (unshare(CLONE_NEWNET) < 0) {
        perror("a network namespace of its own (root is needed)");
        return 1;
    }
    policies = make_policies();
    print_machine();
    run(policies, false);
    run(policies, true);
    return 0;
}
