// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "checks.h"
#include "util/mem.h"

/* The only list of checks, in the order in which they are told. The IDs are for scripts: they do not change. */
static const struct {
    const char *id;
    check_judge judge;
} checks[] = {
    {"daemon", judge_daemon},
    {"tables", judge_tables},
    {"unenforced", judge_unenforced},
    {"problems", judge_problems},
    {"settings", judge_settings},
    {"policies", judge_policies},
    {"file-permissions", judge_permissions},
    {"default-mode", judge_default_mode},
    {"unknown-endpoints", judge_unknown_endpoints},
    {"service", judge_service},

    {"engine", judge_engine},
    {"engine-tcp", judge_engine_tcp},
    {"engine-socket", judge_engine_socket},
    {"engines", judge_engines},
    {"rootless", judge_rootless},
    {"swarm", judge_swarm},
    {"privileged", judge_privileged},
    {"host-powers", judge_host_powers},
    {"icc", judge_icc},
    {"userland-proxy", judge_userland_proxy},
    {"live-restore", judge_live_restore},
    {"docker-rules", judge_docker_rules},
    {"docker-dns", judge_docker_dns},
    {"userns", judge_userns},

    {"kernel-rules", judge_kernel_rules},
    {"table-owner", judge_table_owner},
    {"br-netfilter", judge_br_netfilter},
    {"bridge-filtering", judge_bridge_filtering},
    {"bridge-nf-call", judge_bridge_calls},
    {"linklocal-learn", judge_linklocal},
    {"route-localnet", judge_route_localnet},
    {"source-route", judge_source_route},
    {"accept-ra", judge_accept_ra},
    {"proxy-arp", judge_proxy_arp},
    {"rp-filter", judge_rp_filter},
    {"ip-forward", judge_ip_forward},
    {"tcp-loose", judge_tcp_loose},
    {"conntrack-room", judge_conntrack_room},
    {"conntrack-helper", judge_conntrack_helper},
    {"conntrack-events", judge_conntrack_events},

    {"flowtables", judge_flowtables},
    {"netdev-hooks", judge_netdev_hooks},
    {"xdp", judge_xdp},
    {"same-priority", judge_same_priority},
    {"mark-bit", judge_mark_bit},
    {"untracked", judge_untracked},
    {"translation", judge_translation},
    {"other-firewalls", judge_other_firewalls},
    {"iptables-legacy", judge_legacy},
};

const char *finding_level_name(enum finding_level level)
{
    static const char *const names[FINDING_LEVELS] = {"ok", "note", "unchecked", "warn", "bad"};

    return names[level];
}

/* ---- what the judges say ------------------------------------------------------------------------------ */

static size_t count_lines(const char *text)
{
    size_t n = *text != '\0';

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void add_line(struct finding *finding, const char *line)
{
    char *joined;

    if (count_lines(finding->found) >= FOUND_LINES_MAX) {
        finding->n_more++;
        return;
    }
    joined = xasprintf("%s%s%s", finding->found, *finding->found ? "\n" : "", line);
    free(finding->found);
    finding->found = joined;
}

void finding_say(struct finding *finding, enum finding_level level, const char *format, ...)
{
    _cleanup_free_ char *line = NULL;
    va_list args;

    va_start(args, format);
    line = xvasprintf(format, args);
    va_end(args);
    /* Texts of others must not look like lines of ours. */
    for (char *p = line; *p; p++)
        if (*p == '\n')
            *p = ' ';
    if (level > finding->level)
        finding->level = level;
    add_line(finding, line);
}

void finding_unchecked(struct finding *finding, const char *what, int error)
{
    if (error == -EPERM || error == -EACCES)
        finding_say(finding, FINDING_UNCHECKED, "%s: needs root", what);
    else
        finding_say(finding, FINDING_UNCHECKED, "%s: %s", what, strerror(-error));
}

void finding_advise(struct finding *finding, const char *means, const char *mend)
{
    finding->means = means;
    finding->mend = mend;
}

/* ---- what several of them ask ------------------------------------------------------------------------- */

bool is_managed_bridge(const struct host_facts *facts, const char *name)
{
    const struct network_list *networks = &facts->engine.networks;

    for (size_t i = 0; i < networks->n; i++) {
        const struct network *network = networks->v[i];

        if (network && network->managed && network->bridge && strcmp(network->bridge, name) == 0)
            return true;
    }
    return false;
}

bool is_managed_port(const struct host_facts *facts, const struct link *link)
{
    for (size_t i = 0; link->master && i < facts->kernel.n_devices; i++) {
        const struct link *other = &facts->kernel.devices[i].link;

        if (other->index == link->master)
            return other->is_bridge && is_managed_bridge(facts, other->name);
    }
    return false;
}

bool tables_stand(const struct host_facts *facts)
{
    return facts->self.tables_error == 0 && facts->self.tables[TABLE_INET].exists &&
           facts->self.tables[TABLE_BRIDGE].exists;
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

static void examine(const struct host_facts *facts, size_t i, struct finding *finding)
{
    *finding = (struct finding){.id = checks[i].id, .found = xstrdup("")};
    checks[i].judge(facts, finding);
    if (finding->n_more) {
        char *joined = xasprintf("%s\nand %zu more", finding->found, finding->n_more);

        free(finding->found);
        finding->found = joined;
    }
    if (finding->level == FINDING_OK || finding->level == FINDING_UNCHECKED)
        finding->means = finding->mend = NULL;
}

void doctor_examine(const struct host_facts *facts, struct findings *ret)
{
    ret->v = xcalloc(ARRAY_SIZE(checks), sizeof(*ret->v));
    ret->n = ARRAY_SIZE(checks);
    for (size_t i = 0; i < ret->n; i++)
        examine(facts, i, &ret->v[i]);
}

bool findings_are_well(const struct findings *findings)
{
    for (size_t i = 0; i < findings->n; i++)
        if (findings->v[i].level > FINDING_NOTE)
            return false;
    return true;
}

void findings_clear(struct findings *findings)
{
    for (size_t i = 0; i < findings->n; i++)
        free(findings->v[i].found);
    free(findings->v);
    *findings = (struct findings){0};
}
