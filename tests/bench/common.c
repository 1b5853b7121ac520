// SPDX-License-Identifier: GPL-2.0-or-later
#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "policy/parse.h"
#include "util/mem.h"

uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t busy_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), compare_doubles);
    return values[n / 2];
}

void die(const char *what, int r, const struct diags *diags)
{
    if (diags)
        diags_print(diags, stderr, false);
    fprintf(stderr, "%s: %s\n", what, strerror(-r));
    exit(1);
}

/* ---- the simulated host ------------------------------------------------------------------------------- */

/* Each service may be reached by its neighbour on two ports and from outside on one, and may reach two
 * others. */
static const char policy_text[] = "policy: service-%u\n"
                                  "select: {compose: bench/s%u}\n"
                                  "ingress:\n"
                                  "  - {from: [{compose: bench/s%u}], ports: [5432/tcp]}\n"
                                  "  - {from: [outside], ports: [443/tcp]}\n"
                                  "egress:\n"
                                  "  - {to: [{compose: bench/s%u}], ports: [5432/tcp]}\n"
                                  "---\n"
                                  "policy: extra-%u\n"
                                  "select: {compose: bench/s%u}\n"
                                  "ingress:\n"
                                  "  - {from: [{compose: bench/s%u}], ports: [9100/tcp]}\n"
                                  "egress:\n"
                                  "  - {to: [dns]}\n";

struct policy_set *make_policies(void)
{
    struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    for (unsigned i = 0; i < SERVICES; i++) {
        unsigned next = (i + 1) % SERVICES, previous = (i + SERVICES - 1) % SERVICES;
        char text[1024];
        int len = snprintf(text, sizeof(text), policy_text, i, i, previous, next, i, i, next);

        (void)policy_parse(set, "bench.yaml", text, (size_t)len, &diags);
    }
    if (policy_set_finish(set, &diags) < 0 || diags.n_errors)
        die("policies", -EBADMSG, &diags);
    return set;
}

struct policy_set *parse_policies(const char *text)
{
    struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    if (*text)
        (void)policy_parse(set, "other.yaml", text, strlen(text), &diags);
    if (policy_set_finish(set, &diags) < 0 || diags.n_errors)
        die("policies", -EBADMSG, &diags);
    return set;
}

struct policy_set *make_strangers(struct inventory *inventory, const char *port)
{
    char *text = xstrdup("");
    unsigned i = 0;

    for (struct container *c = inventory->containers; c; c = c->hh.next, i++) {
        free(c->labels[0].value);
        free(c->labels[1].value);
        c->labels[0].value = xasprintf("g%u", i / 10);
        c->labels[1].value = xasprintf("s%u", i % 10);
    }
    for (unsigned p = 0; p < 100; p++) {
        char *longer = xasprintf("%s---\npolicy: p%u\nselect: {compose: g%u}\ningress:\n", text, p, p);

        for (unsigned s = 0; s < 20; s++) {
            char *before = longer;

            longer = s < 10
                         ? xasprintf("%s  - {from: [{compose: g%u/s%u}, outside], ports: [%u/tcp, icmp]}\n",
                                     before, (p + 1) % 100, s, 1000 + s)
                         : xasprintf("%s%s  - {to: [{compose: g%u/s%u}, internet], ports: [%u/tcp, %s]}\n",
                                     before, s == 10 ? "egress:\n  - {to: [dns]}\n" : "", (p + 99) % 100,
                                     s - 10, 1000 + s - 10, port);
            free(before);
        }
        free(text);
        text = longer;
    }
    struct policy_set *set = parse_policies(text);
    free(text);
    return set;
}

static struct container *make_container(unsigned number, bool dual)
{
    struct container *container = container_new();
    unsigned network = number % NETWORKS, host = number / NETWORKS + 2;
    struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);

    container->id = xasprintf("%064u", number);
    container->name = xasprintf("bench-s%u-%u", number % SERVICES, number);
    container->image = xstrdup("bench:1");
    container->running = container->labels_known = container->dns_known = true;
    *ARRAY_ADD(container->labels, container->n_labels) =
        (struct label){xstrdup("com.docker.compose.project"), xstrdup("bench"), false};
    *ARRAY_ADD(container->labels, container->n_labels) =
        (struct label){xstrdup("com.docker.compose.service"), xasprintf("s%u", number % SERVICES), false};
    endpoint->network_id = xasprintf("network-%u", network);
    endpoint->network_name = xasprintf("net%u", network);
    endpoint->id = xasprintf("endpoint-%u", number);
    endpoint->ip[IP4] = (struct ip){.num = 0xac100000u + (network << 16) + host, .family = IP4};
    endpoint->has_ip[IP4] = true;
    endpoint->ip[IP6] =
        (struct ip){.num = ((ipnum)0xfd00 << 112) + ((ipnum)network << 64) + host, .family = IP6};
    endpoint->has_ip[IP6] = dual;
    endpoint->mac = (struct mac){{2, 0x42, 0, (uint8_t)network, (uint8_t)(host >> 8), (uint8_t)host}};
    endpoint->has_mac = true;
    snprintf(endpoint->port, sizeof(endpoint->port), "vethb%u", number);
    return container;
}

struct inventory *make_inventory(size_t n, bool dual)
{
    struct inventory *inventory = inventory_new();

    for (unsigned i = 0; i < NETWORKS; i++) {
        struct network *network = network_new();

        network->id = xasprintf("network-%u", i);
        network->name = xasprintf("net%u", i);
        network->driver = xstrdup("bridge");
        network->scope = xstrdup("local");
        network->bridge = xasprintf("br-bench%u", i);
        network->managed = true;
        inventory_put_network(inventory, network);
    }
    for (unsigned i = 0; i < n; i++)
        inventory_put_container(inventory, make_container(i, dual));
    return inventory;
}

void print_machine(void)
{
    char line[256], model[256] = "unknown processor";
    FILE *cpuinfo = fopen("/proc/cpuinfo", "re");
    struct utsname name;
    double load = 0;

    while (cpuinfo && fgets(line, sizeof(line), cpuinfo)) {
        if (sscanf(line, "model name : %255[^\n]", model) == 1)
            break;
    }
    if (cpuinfo)
        fclose(cpuinfo);
    (void)uname(&name);
    (void)getloadavg(&load, 1);
    printf("%s, Linux %s, load average %.2f\n", model, name.release, load);
}
