// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cofferdam-bench-plan: how long the daemon is busy with one dry run.
 *
 * 1,000 simulated containers with both families, 100 policies in force and loaded into the kernel of a network namespace of
 * its own, 100,000 open connections. Reading the files and asking conntrack for the connections are not in it. Times are
 * medians, of the processor: what the kernel does for it is in them, and what else runs on the machine counts for little.
 * Memory is what the process has at most while it makes the plan and writes the answer as one text, less what it has
 * before; the new policies, which are parsed before, are no part of either.
 */
#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "brain_private.h"
#include "common.h"
#include "daemon/plan.h"
#include "nft/read.h"
#include "util/mem.h"
#include "verdict/lint.h"

#define CONTAINERS 1000
#define FLOWS 100000
#define RUNS 5

struct times {
    double read, compile, validate, flows, lint, tell, all;
};

/* ---- the host ----------------------------------------------------------------------------------------- */

static struct brain *make_brain(const struct settings *settings, struct inventory *inventory,
                                struct policy_set *policies)
{
    struct brain *brain = brain_new(&(struct brain_config){.settings = settings}, policies, 1);

    inventory_free(brain->inventory);
    brain->inventory = inventory;
    brain_compile_all(brain, brain->compiler);
    brain->loaded = brain->inventory_known = true;
    return brain;
}

static struct policy_set *other_port(void)
{
    struct policy_set *set = make_policies();
    struct port *port = &set->policies[SERVICES].rules[INGRESS][0].ports[0];

    port->first = port->last = 5433;
    return set;
}

static struct policy_set *no_policies(void)
{
    struct policy_set *set = policy_set_new();

    set->finished = true;
    return set;
}

static struct flow make_flow(const struct brain *brain, const struct container **from, unsigned i)
{
    const struct container *to = (*from)->hh.next ?: brain->inventory->containers;
    struct flow flow = {.family = IP4, .proto = 6, .has_ports = true, .confirmed = true, .id = i};

    flow.original = (struct flow_tuple){.source = (*from)->endpoints[0].ip[IP4],
                                        .destination = to->endpoints[0].ip[IP4],
                                        .source_port = (uint16_t)(1024 + i % 50000),
                                        .destination_port = 5432};
    flow.reply = (struct flow_tuple){.source = flow.original.destination,
                                     .destination = flow.original.source,
                                     .source_port = 5432,
                                     .destination_port = flow.original.source_port};
    *from = to;
    return flow;
}

static void add_flows(const struct brain *brain, struct plan *plan)
{
    const struct container *from = brain->inventory->containers;

    for (unsigned i = 0; i < FLOWS; i++) {
        struct flow flow = make_flow(brain, &from, i);

        plan_add_flow(plan, &flow);
    }
}

/* ---- measuring ---------------------------------------------------------------------------------------- */

/* Of /proc/self/status, in MiB. */
static double memory(const char *key)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    double kib = 0;

    if (!file)
        die("/proc/self/status", -errno, NULL);
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtod(line + strlen(key), NULL);
    fclose(file);
    return kib / 1024;
}

/* What the process has now; the most that it had is counted from here. */
static double start_memory(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");

    malloc_trim(0);
    if (!file || fputs("5", file) < 0 || fclose(file) != 0)
        die("/proc/self/clear_refs", -errno, NULL);
    return memory("VmRSS:");
}

static double ms_since(uint64_t *at)
{
    uint64_t before = *at;

    *at = busy_ns();
    return (double)(*at - before) / 1e6;
}

/* What telling takes for the problems that the inventory shows: measured apart, and no part of the whole. */
static double lint_once(struct brain *brain, const struct policy_set *policies)
{
    _cleanup_diags_ struct diags diags = {0};
    uint64_t at = busy_ns();

    inventory_lint(&(struct evaluation){policies, brain->inventory, brain->settings, NULL}, &diags);
    return ms_since(&at);
}

static size_t plan_once(struct brain *brain, struct nft_socket *socket, const struct policy_set *policies,
                        struct times *ret)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    _cleanup_(plan_freep) struct plan *plan = NULL;
    _cleanup_diags_ struct diags diags = {0};
    struct plan_facts facts = {.lines = true, .full = true};
    ret->lint = lint_once(brain, policies);
    uint64_t start = busy_ns(), at = start;
    int status, r = nft_read(socket, &tables);

    if (r < 0)
        die("nft_read", r, NULL);
    ret->read = ms_since(&at);
    plan = plan_new(brain, policies, STEAL(tables.ruleset));
    ret->compile = ms_since(&at);
    r = nft_validate(socket, plan_delta(plan), &diags);
    if (r < 0)
        die("nft_validate", r, &diags);
    ret->validate = ms_since(&at);
    add_flows(brain, plan);
    ret->flows = ms_since(&at);
    json_t *result = plan_to_json(plan, &facts, &status);
    _cleanup_free_ char *text = json_dumps(result, JSON_COMPACT);
    ret->tell = ms_since(&at);
    ret->all = (double)(at - start) / 1e6;
    json_decref(result);
    return strlen(text);
}

static void run(const char *name, struct brain *brain, struct nft_socket *socket, struct policy_set *policies)
{
    struct times times[RUNS];
    double values[RUNS];
    double before = start_memory();
    size_t size = 0;

    for (size_t i = 0; i < RUNS; i++)
        size = plan_once(brain, socket, policies, &times[i]);
    printf("  %-28s", name);
#define COLUMN(member)                                                                                       \
    for (size_t i = 0; i < RUNS; i++)                                                                        \
        values[i] = times[i].member;                                                                         \
    printf(" %9.1f", median(values, RUNS));
    COLUMN(read)
    COLUMN(compile)
    COLUMN(validate)
    COLUMN(flows)
    COLUMN(lint)
    COLUMN(tell)
    COLUMN(all)
    printf(" %9.1f %9.1f\n", memory("VmHWM:") - before, (double)size / (1 << 20));
    policy_set_free(policies);
}

static void load(struct brain *brain, struct nft_socket *socket)
{
    _cleanup_delta_ struct delta delta = {0};
    _cleanup_diags_ struct diags diags = {0};

    delta_load(compiler_ruleset(brain->compiler), &delta);
    int r = nft_apply(socket, &delta, &diags);
    if (r < 0)
        die("loading the rules", r, &diags);
}

static void run_services(const struct settings *settings, struct nft_socket *socket)
{
    _cleanup_(brain_freep) struct brain *brain =
        make_brain(settings, make_inventory(CONTAINERS, true), make_policies());

    load(brain, socket);
    run("the same policies", brain, socket, make_policies());
    run("one policy, another port", brain, socket, other_port());
    run("no policies any more", brain, socket, no_policies());
}

static void run_strangers(const struct settings *settings, struct nft_socket *socket)
{
    struct inventory *inventory = make_inventory(CONTAINERS, true);
    _cleanup_(brain_freep) struct brain *brain =
        make_brain(settings, inventory, make_strangers(inventory, "443/tcp"));

    load(brain, socket);
    run("all different, another port", brain, socket, make_strangers(inventory, "8443/tcp"));
}

int main(void)
{
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    _cleanup_(nft_socket_closep) struct nft_socket *socket = NULL;

    if (unshare(CLONE_NEWNET) < 0)
        die("a network namespace of its own (root is needed)", -errno, NULL);
    int r = nft_socket_open(&socket);
    if (r < 0)
        die("nf_tables", r, NULL);
    print_machine();
    printf(
        "%d containers, IPv4 and IPv6, %d policies, %d open connections; ms, MiB of memory, and MiB of JSON\n",
        CONTAINERS, 2 * SERVICES, FLOWS);
    printf("  %-28s %9s %9s %9s %9s %9s %9s %9s %9s %9s\n", "", "read", "compile", "validate", "flows",
           "(lint)", "tell", "all", "memory", "JSON");
    run_services(settings, socket);
    run_strangers(settings, socket);
    return 0;
}
