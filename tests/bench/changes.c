// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cofferdam-bench-changes: what it costs to find which connections another policy set decides differently.
 *
 * 1,000 simulated containers with both families, 100 policies. Each case runs in a process of its own; its memory is
 * what that process had at most, less what one has that only holds the inventory and both sets. Times are medians, of
 * finding the changes and writing them as text, and the processor's: what else runs on the machine counts for little.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "policy/settings.h"
#include "util/mem.h"
#include "verdict/changes.h"

#define CONTAINERS 1000
#define RUNS 3

struct host {
    struct inventory *inventory;
    struct policy_set *before, *after;
};

struct result {
    double ms;
    size_t lines, pairs;
};

/* ---- cases -------------------------------------------------------------------------------------------- */

static void nothing(struct host *host)
{
    host->before = make_policies();
    host->after = make_policies();
}

static void one_policy(struct host *host)
{
    struct port *port;

    nothing(host);
    port = &host->after->policies[SERVICES].rules[INGRESS][0].ports[0];
    port->first = port->last = 5433;
}

static void everything(struct host *host)
{
    nothing(host);
    host->before = policy_set_free(host->before);
    host->before = parse_policies("");
}

static void every_port(struct host *host)
{
    nothing(host);
    for (size_t p = 0; p < host->after->n_policies; p++)
        for (enum direction d = 0; d < DIRECTIONS; d++)
            for (size_t r = 0; r < host->after->policies[p].n_rules[d]; r++)
                for (size_t i = 0; i < host->after->policies[p].rules[d][r].n_ports; i++) {
                    struct port *port = &host->after->policies[p].rules[d][r].ports[i];

                    port->first = port->last = (uint16_t)(port->first + 1);
                }
}

/* 250 projects of four containers, which one policy lets talk among themselves. */
static void projects(struct host *host)
{
    unsigned i = 0;

    for (struct container *c = host->inventory->containers; c; c = c->hh.next, i++) {
        free(c->labels[0].value);
        c->labels[0].value = xasprintf("p%u", i / 4);
    }
    host->before = parse_policies("");
    host->after = parse_policies("policy: compose\nselect: {labels: {com.docker.compose.project: '*'}}\n"
                                 "ingress: [{from: [{same: com.docker.compose.project}]}]\n"
                                 "egress: [{to: [{same: com.docker.compose.project}]}, {to: [internet]}]\n");
}

/* 100 policies about 200 services, each of which the rules tell from all others. */
static void services(struct host *host)
{
    char *text = xstrdup("");
    unsigned i = 0;

    for (struct container *c = host->inventory->containers; c; c = c->hh.next, i++) {
        free(c->labels[1].value);
        c->labels[1].value = xasprintf("s%u", i % 200);
    }
    for (unsigned p = 0; p < 100; p++) {
        char *longer =
            xasprintf("%s---\npolicy: p%u\nselect: {compose: bench/s%u}\n"
                      "ingress: [{from: [{compose: bench/s%u}, outside], ports: [%u/tcp, icmp]}]\n"
                      "egress: [{to: [{compose: bench/s%u}, internet], ports: [443/tcp]}, {to: [dns]}]\n",
                      text, p, p, p + 100, 1000 + p, (p + 1) % 100);

        free(text);
        text = longer;
    }
    host->before = parse_policies("");
    host->after = parse_policies(text);
    free(text);
}

static void strangers(struct host *host)
{
    host->before = parse_policies("");
    host->after = make_strangers(host->inventory, "443/tcp");
}

static void strangers_as_before(struct host *host)
{
    host->before = make_strangers(host->inventory, "443/tcp");
    host->after = make_strangers(host->inventory, "443/tcp");
}

static void strangers_other_port(struct host *host)
{
    host->before = make_strangers(host->inventory, "443/tcp");
    host->after = make_strangers(host->inventory, "8443/tcp");
}

static const struct scenario {
    const char *name;
    void (*make)(struct host *host);
} scenarios[] = {
    {"nothing changes", nothing},
    {"one policy, another port", one_policy},
    {"100 policies, none before", everything},
    {"100 policies, other ports", every_port},
    {"100 policies, 200 services", services},
    {"250 projects, each to itself", projects},
    {"1,000 different, as before", strangers_as_before},
    {"1,000 different, none before", strangers},
    {"1,000 different, another port", strangers_other_port},
};

/* ---- measuring ---------------------------------------------------------------------------------------- */

static struct host make_host(const struct scenario *scenario)
{
    struct host host = {.inventory = make_inventory(CONTAINERS, true)};

    scenario->make(&host);
    return host;
}

static struct result measure(const struct host *host)
{
    struct settings *settings = settings_new();
    const struct evaluation before = {host->before, host->inventory, settings, NULL};
    const struct evaluation after = {host->after, host->inventory, settings, NULL};
    double times[RUNS];
    struct result result = {0};

    for (size_t i = 0; i < RUNS; i++) {
        uint64_t start = busy_ns();
        struct changes *changes = changes_find(&before, &after);
        char *text = changes_text(changes, true);

        times[i] = (double)(busy_ns() - start) / 1e6;
        result.lines = changes->n;
        result.pairs = 0;
        for (size_t j = 0; j < changes->n; j++)
            result.pairs += changes->v[j].n_pairs;
        free(text);
        changes_free(changes);
    }
    settings_free(settings);
    result.ms = median(times, RUNS);
    return result;
}

static void child(const struct scenario *scenario, bool measuring, int out)
{
    struct host host = make_host(scenario);
    struct result result = {0};

    if (measuring)
        result = measure(&host);
    if (write(out, &result, sizeof(result)) != (ssize_t)sizeof(result))
        die("write", -errno, NULL);
    _exit(0);
}

/* Returns the most memory that the process had, in MiB. */
static double run(const struct scenario *scenario, bool measuring, struct result *ret)
{
    struct rusage usage;
    int pipes[2], status;
    pid_t pid;

    if (pipe(pipes) < 0)
        die("pipe", -errno, NULL);
    pid = fork();
    if (pid < 0)
        die("fork", -errno, NULL);
    if (pid == 0)
        child(scenario, measuring, pipes[1]);
    close(pipes[1]);
    if (read(pipes[0], ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
        die(scenario->name, -EIO, NULL);
    close(pipes[0]);
    if (wait4(pid, &status, 0, &usage) < 0 || status != 0)
        die(scenario->name, -EIO, NULL);
    return (double)usage.ru_maxrss / 1024;
}

/* With an argument, the scenarios whose names begin with it. */
int main(int argc, char **argv)
{
    print_machine();
    printf("%d containers, IPv4 and IPv6, %d policies\n", CONTAINERS, 2 * SERVICES);
    printf("  %-30s %10s %10s %10s %10s\n", "", "ms", "MiB", "lines", "pairs");
    for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
        struct result result;

        if (argc > 1 && strncmp(scenarios[i].name, argv[1], strlen(argv[1])) != 0)
            continue;
        double idle = run(&scenarios[i], false, &result), busy = run(&scenarios[i], true, &result);

        printf("  %-30s %10.1f %10.1f %10zu %10zu\n", scenarios[i].name, result.ms, busy - idle, result.lines,
               result.pairs);
    }
    return 0;
}
