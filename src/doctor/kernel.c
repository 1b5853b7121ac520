// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel: what its nf_tables can do, how bridges are set, and sysctls by which packets go other ways. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"

/* ---- nf_tables ---------------------------------------------------------------------------------------- */

void judge_kernel_rules(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_firewall *firewall = &facts->firewall;

    if (firewall->error)
        finding_unchecked(finding, "nf_tables", firewall->error);
    else if (firewall->trial_error)
        finding_unchecked(finding, "Cofferdam's rules could not be tried", firewall->trial_error);
    else if (firewall->trial_refused)
        finding_say(finding, FINDING_BAD, "the kernel refuses Cofferdam's rules: %s%s%s",
                    firewall->trial_refused, firewall->trial_help ? "; " : "",
                    firewall->trial_help ? firewall->trial_help : "");
    else
        finding_say(finding, FINDING_OK, "the kernel takes Cofferdam's rules (tried, not loaded)");
    finding_advise(
        finding, "The daemon will not start on this kernel.",
        "Load or build the missing parts of nf_tables: nft_ct, and tables of the families inet and bridge.");
}

void judge_table_owner(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_firewall *firewall = &facts->firewall;

    if (firewall->error)
        finding_unchecked(finding, "nf_tables", firewall->error);
    else if (facts->self.settings->protect_table == PROTECT_OFF)
        finding_say(finding, FINDING_NOTE, "protect_table is off in the settings");
    else if (firewall->can_protect)
        finding_say(finding, FINDING_OK, "tables can have an owner and outlive it");
    else
        finding_say(finding, FINDING_NOTE,
                    "this kernel knows no tables that have an owner and outlive it (Linux 6.9)");
    finding_advise(
        finding,
        "Another program with the right to, such as `nft flush ruleset` in a script, can remove Cofferdam's "
        "rules. The daemon sees it and loads them again at once; in between, what was closed is open.",
        "Use Linux 6.9 or later, with protect_table: auto.");
}

/* ---- bridges ------------------------------------------------------------------------------------------ */

void judge_br_netfilter(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_number *switched = &facts->kernel.sysctl[HOST_CALL_IPTABLES];

    if (switched->error == -ENOENT)
        finding_say(finding, tables_stand(facts) ? FINDING_WARN : FINDING_NOTE, "br_netfilter is not loaded");
    else if (switched->error)
        finding_unchecked(finding, "br_netfilter", switched->error);
    else
        finding_say(finding, FINDING_OK, "br_netfilter is there");
    finding_advise(
        finding,
        "Without it the inet rules do not see what passes between two containers of one bridge, and "
        "Cofferdam's bridge rules drop it all. The service loads it when it starts.",
        "modprobe br_netfilter; then systemctl restart cofferdamd.");
}

void judge_bridge_calls(const struct host_facts *facts, struct finding *finding)
{
    static const struct {
        enum host_sysctl sysctl;
        const char *name;
    } switches[] = {{HOST_CALL_IPTABLES, "bridge-nf-call-iptables"},
                    {HOST_CALL_IP6TABLES, "bridge-nf-call-ip6tables"},
                    {HOST_CALL_ARPTABLES, "bridge-nf-call-arptables"}};

    for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
        const struct fact_number *number = &facts->kernel.sysctl[switches[i].sysctl];

        if (number->error == 0 && number->value)
            finding_say(finding, FINDING_NOTE, "net.bridge.%s is 1", switches[i].name);
        else if (number->error && number->error != -ENOENT)
            finding_unchecked(finding, switches[i].name, number->error);
    }
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "bridged packets pass the rules where a bridge says so itself");
    finding_advise(
        finding,
        "The frames of every bridge of this host pass the rules for routed packets, those of virtual machines "
        "too. Cofferdam does not need it: it turns the filtering on for each bridge that it manages.",
        "Nothing, where Docker or you want it so; else net.bridge.bridge-nf-call-iptables = 0 in sysctl.d.");
}

/* True when there are bridges to look at; else it has been said why not. */
static bool bridges_known(const struct host_facts *facts, struct finding *finding)
{
    if (facts->kernel.devices_error)
        finding_unchecked(finding, "interfaces", facts->kernel.devices_error);
    else if (facts->engine.error || !facts->engine.networks_known)
        finding_say(finding, FINDING_UNCHECKED,
                    "which bridges are Docker's: the Docker Engine does not answer");
    else
        return true;
    return false;
}

static const struct fact_device *next_managed_bridge(const struct host_facts *facts, size_t *place)
{
    const struct fact_kernel *kernel = &facts->kernel;

    while (*place < kernel->n_devices) {
        const struct fact_device *device = &kernel->devices[(*place)++];

        if (device->link.is_bridge && is_managed_bridge(facts, device->link.name))
            return device;
    }
    return NULL;
}

void judge_bridge_filtering(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_device *bridge;
    size_t place = 0;

    if (!bridges_known(facts, finding))
        return;
    while ((bridge = next_managed_bridge(facts, &place))) {
        const char *off = !bridge->link.switches.nf_call_iptables    ? "nf_call_iptables"
                          : !bridge->link.switches.nf_call_ip6tables ? "nf_call_ip6tables"
                                                                     : NULL;

        if (off)
            finding_say(finding, tables_stand(facts) ? FINDING_WARN : FINDING_NOTE, "%s is off on %s", off,
                        bridge->link.name);
    }
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "the rules see what passes between containers of one bridge");
    finding_advise(
        finding,
        "While Cofferdam's rules are in force, everything between containers of that bridge is dropped, "
        "whatever the policies say. The daemon turns the switch on when it starts or sees it off.",
        "systemctl start cofferdamd; if it runs, see `cofferdam status` for why it cannot.");
}

void judge_linklocal(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_device *bridge;
    size_t place = 0;

    if (!bridges_known(facts, finding))
        return;
    while ((bridge = next_managed_bridge(facts, &place)))
        if (bridge->link.has_no_linklocal_learn && !bridge->link.switches.no_linklocal_learn)
            finding_say(finding, FINDING_WARN, "%s learns addresses from frames to 01:80:c2:00:00:00 to 0f",
                        bridge->link.name);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no frame that skips the bridge's rules teaches a bridge addresses");
    finding_advise(
        finding,
        "Such frames skip the rules of the bridge's prerouting hook. A container that sends one under its "
        "neighbour's hardware address draws the neighbour's frames to its own port, where Cofferdam's rules "
        "drop them: the neighbour loses its connections.",
        "Start the daemon, which turns this off for the bridges that it manages; or ip link set BRIDGE type "
        "bridge no_linklocal_learn 1.");
}

/* ---- sysctls of interfaces ---------------------------------------------------------------------------- */

static bool devices_known(const struct host_facts *facts, struct finding *finding)
{
    if (facts->kernel.devices_error)
        finding_unchecked(finding, "interfaces", facts->kernel.devices_error);
    return !facts->kernel.devices_error;
}

static long long value_of(const struct fact_number *number)
{
    return number->error ? 0 : number->value;
}

static bool is_loopback_device(const struct fact_device *device)
{
    return strcmp(device->link.name, "lo") == 0;
}

/* Docker itself turns it on for its bridges where userland-proxy is off. */
static enum finding_level localnet_level(const struct host_facts *facts, const struct fact_device *device)
{
    if (is_managed_bridge(facts, device->link.name))
        return FINDING_NOTE;
    return device->link.master ? FINDING_WARN : FINDING_BAD;
}

void judge_route_localnet(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_kernel *kernel = &facts->kernel;

    if (!devices_known(facts, finding))
        return;
    if (value_of(&kernel->all[DEV_ROUTE_LOCALNET]))
        finding_say(finding, FINDING_BAD, "route_localnet is on for all interfaces");
    for (size_t i = 0; i < kernel->n_devices; i++) {
        const struct fact_device *device = &kernel->devices[i];

        if (!is_loopback_device(device) && value_of(&device->sysctl[DEV_ROUTE_LOCALNET]))
            finding_say(finding, localnet_level(facts, device), "route_localnet is on for %s",
                        device->link.name);
    }
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "127.0.0.0/8 stays inside the host");
    finding_advise(
        finding,
        "Neighbours on that network can reach what listens on the host's 127.0.0.1, ports published there "
        "included, by sending packets to that address. What comes from a managed bridge, Cofferdam's rules drop.",
        "sysctl net.ipv4.conf.INTERFACE.route_localnet=0 (and what sets it, such as kube-proxy).");
}

/* IPv4 asks both "all" and the interface, IPv6 the lower of the two; Documentation/networking/ip-sysctl.rst. */
void judge_source_route(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_kernel *kernel = &facts->kernel;

    if (!devices_known(facts, finding))
        return;
    for (size_t i = 0; i < kernel->n_devices; i++) {
        const struct fact_device *device = &kernel->devices[i];
        bool is_v4 = value_of(&kernel->all[DEV_SOURCE_ROUTE]) && value_of(&device->sysctl[DEV_SOURCE_ROUTE]);
        bool is_v6 = value_of(&kernel->all[DEV_SEG6]) > 0 && value_of(&device->sysctl[DEV_SEG6]) > 0;

        if (!is_loopback_device(device) && (is_v4 || is_v6))
            finding_say(finding, FINDING_WARN, "%s accepts %s packets with a route of the sender's",
                        device->link.name,
                        is_v4 && is_v6 ? "IPv4 and IPv6"
                        : is_v4        ? "IPv4"
                                       : "IPv6");
    }
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no interface accepts packets with a route of the sender's");
    finding_advise(
        finding,
        "The sender chooses by which hosts its packet goes (IPv4 source routes, IPv6 segment routing): it passes "
        "this one under an address that is not where it ends. What containers send so is dropped.",
        "sysctl net.ipv4.conf.all.accept_source_route=0 net.ipv6.conf.all.seg6_enabled=0");
}

/* 1: unless the interface forwards; 2: always. */
static bool takes_advertisements(const struct fact_device *device)
{
    long long accept = value_of(&device->sysctl[DEV_ACCEPT_RA]);

    return accept == 2 || (accept == 1 && !value_of(&device->sysctl[DEV_FORWARDING6]));
}

void judge_accept_ra(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_device *bridge;
    size_t place = 0;

    if (!bridges_known(facts, finding))
        return;
    while ((bridge = next_managed_bridge(facts, &place)))
        if (takes_advertisements(bridge))
            finding_say(finding, tables_stand(facts) ? FINDING_NOTE : FINDING_WARN,
                        "the host accepts router advertisements on %s", bridge->link.name);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "the host accepts no router advertisements from containers");
    finding_advise(
        finding,
        "A container could become the host's IPv6 router (CVE-2020-13401). While Cofferdam's rules are in "
        "force they drop such packets from containers.",
        "sysctl net.ipv6.conf.BRIDGE.accept_ra=0");
}

void judge_proxy_arp(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_device *bridge;
    size_t place = 0;

    if (!bridges_known(facts, finding))
        return;
    while ((bridge = next_managed_bridge(facts, &place)))
        if (value_of(&bridge->sysctl[DEV_PROXY_ARP]) || value_of(&facts->kernel.all[DEV_PROXY_ARP]))
            finding_say(finding, FINDING_NOTE, "proxy_arp is on for %s", bridge->link.name);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "the host answers no container for others");
    finding_advise(
        finding,
        "The host answers containers for addresses of other networks, and their packets then go by it. "
        "Policies still decide what passes.",
        "sysctl net.ipv4.conf.BRIDGE.proxy_arp=0, unless somebody needs it.");
}

void judge_rp_filter(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_device *bridge;
    size_t place = 0, n = 0;

    if (!bridges_known(facts, finding))
        return;
    while ((bridge = next_managed_bridge(facts, &place)))
        n += !value_of(&bridge->sysctl[DEV_RP_FILTER]) && !value_of(&facts->kernel.all[DEV_RP_FILTER]);
    if (n)
        finding_say(
            finding, FINDING_OK,
            "rp_filter is off on %zu of Docker's bridges; Cofferdam's rules check who sends from which address",
            n);
    else
        finding_say(finding, FINDING_OK, "rp_filter is on for Docker's bridges");
}

/* ---- forwarding --------------------------------------------------------------------------------------- */

/* The policy of iptables' FORWARD chain. Where it may be in the old firewall, which is not looked at, the best is said. */
static bool forward_policy_drops(const struct host_facts *facts)
{
    const struct nft_survey *survey = &facts->firewall.survey;

    for (size_t i = 0; i < survey->n_chains; i++)
        if (survey->chains[i].base && strcmp(survey->chains[i].name, "FORWARD") == 0 &&
            strcmp(survey->chains[i].table, "filter") == 0 &&
            strcmp(nft_family_name(survey->chains[i].family), "ip") == 0)
            return survey->chains[i].policy_drop;
    return facts->kernel.legacy_tables;
}

/* Where Docker did not turn it on, it leaves the policy of its chain at accept; since 28 it drops by itself. */
static bool is_open_to_neighbours(const struct host_facts *facts)
{
    const struct fact_engine *engine = &facts->engine;

    return !tables_stand(facts) && !facts->firewall.error && !engine->error &&
           strtoul(engine->version, NULL, 10) < 28 && !forward_policy_drops(facts);
}

static void say_unforwarded_ipv6(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_number *forwarding = &facts->kernel.all[DEV_FORWARDING6];
    const struct network_list *networks = &facts->engine.networks;

    for (size_t i = 0; !forwarding->error && !forwarding->value && i < networks->n; i++)
        if (networks->v[i]->managed && networks->v[i]->ipv6)
            finding_say(finding, FINDING_WARN, "net.ipv6.conf.all.forwarding is 0, and network %s has IPv6",
                        networks->v[i]->name);
}

void judge_ip_forward(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_number *forward = &facts->kernel.sysctl[HOST_IP_FORWARD];
    const char *file = facts->kernel.forward_file;

    finding_advise(
        finding,
        "No packet passes from one interface to another: containers reach neither other networks nor the "
        "outside, and published ports only by docker-proxy.",
        "sysctl net.ipv4.ip_forward=1, or net.ipv6.conf.all.forwarding=1; where Docker is not to turn it on, put "
        "it into sysctl.d.");
    say_unforwarded_ipv6(facts, finding);
    if (forward->error)
        finding_unchecked(finding, "net.ipv4.ip_forward", forward->error);
    else if (!forward->value)
        finding_say(finding, FINDING_WARN, "net.ipv4.ip_forward is 0");
    else
        finding_say(finding, FINDING_OK, "net.ipv4.ip_forward is 1, by %s",
                    file ? file : "no file: Docker does it when it starts");
    if (forward->error || !forward->value || !is_open_to_neighbours(facts))
        return;
    finding_say(finding, FINDING_NOTE, "the policy of Docker's chain FORWARD is not drop");
    finding_advise(
        finding,
        "Without Cofferdam's rules, a neighbour that sends packets for a container to this host reaches "
        "every port of it, published or not.",
        "Start Cofferdam; or iptables -P FORWARD DROP.");
}

/* ---- connection tracking ------------------------------------------------------------------------------ */

void judge_tcp_loose(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_number *loose = &facts->kernel.sysctl[HOST_CT_TCP_LOOSE];
    const struct fact_number *liberal = &facts->kernel.sysctl[HOST_CT_TCP_LIBERAL];

    if (loose->error == -ENOENT)
        finding_say(finding, FINDING_OK, "connection tracking is not in use yet");
    else if (loose->error)
        finding_unchecked(finding, "nf_conntrack_tcp_loose", loose->error);
    else
        finding_say(
            finding, FINDING_OK,
            "nf_conntrack_tcp_loose is %lld; Cofferdam opens no connection without a SYN, whatever it says",
            loose->value);
    if (liberal->error == 0 && liberal->value)
        finding_say(finding, FINDING_NOTE, "nf_conntrack_tcp_be_liberal is 1");
    finding_advise(
        finding,
        "TCP packets outside the window count as part of their connection: whoever can send under an end's "
        "address may disturb it. Cofferdam's rules leave that to nobody on its bridges.",
        "sysctl net.netfilter.nf_conntrack_tcp_be_liberal=0, unless asymmetric routes need it.");
}

void judge_conntrack_room(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_number *count = &facts->kernel.sysctl[HOST_CT_COUNT],
                             *max = &facts->kernel.sysctl[HOST_CT_MAX];
    const struct fact_number *buckets = &facts->kernel.sysctl[HOST_CT_BUCKETS];

    if (max->error == -ENOENT || count->error == -ENOENT)
        finding_say(finding, FINDING_OK, "connection tracking is not in use yet");
    else if (max->error || count->error)
        finding_unchecked(finding, "nf_conntrack_max", max->error ? max->error : count->error);
    else if (max->value <= 0)
        finding_say(finding, FINDING_OK, "%lld connections, without a limit", count->value);
    else
        finding_say(finding,
                    count->value >= max->value / 10 * 9  ? FINDING_WARN
                    : count->value >= max->value / 4 * 3 ? FINDING_NOTE
                                                         : FINDING_OK,
                    "%lld of %lld connections are in use", count->value, max->value);
    if (max->error == 0 && buckets->error == 0 && buckets->value > 0 && max->value / buckets->value > 8)
        finding_say(finding, FINDING_NOTE,
                    "the table has only %lld buckets for them: looking one up takes long", buckets->value);
    finding_advise(
        finding, "When the table is full, the kernel drops new connections of everybody, containers or not.",
        "sysctl net.netfilter.nf_conntrack_max=NUMBER, and find out who opens so many (conntrack -L).");
}

void judge_conntrack_helper(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_number *helper = &facts->kernel.sysctl[HOST_CT_HELPER];

    if (helper->error == -ENOENT)
        finding_say(finding, FINDING_OK, "this kernel assigns no helpers by itself");
    else if (helper->error)
        finding_unchecked(finding, "nf_conntrack_helper", helper->error);
    else
        finding_say(finding, helper->value ? FINDING_NOTE : FINDING_OK, "nf_conntrack_helper is %lld",
                    helper->value);
    finding_advise(
        finding,
        "A peer can have the kernel expect further connections (FTP, SIP). Cofferdam's rules let related "
        "packets pass only where they report errors, so containers get none of them.",
        "sysctl net.netfilter.nf_conntrack_helper=0");
}

void judge_conntrack_events(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_number *events = &facts->kernel.sysctl[HOST_CT_EVENTS];

    if (events->error == -ENOENT)
        finding_say(finding, FINDING_OK,
                    "connection tracking is not in use yet, or this kernel's makes no events");
    else if (events->error)
        finding_unchecked(finding, "nf_conntrack_events", events->error);
    else
        finding_say(finding, events->value ? FINDING_OK : FINDING_NOTE, "nf_conntrack_events is %lld",
                    events->value);
    finding_advise(
        finding,
        "With 0 the kernel tells of no connection that is allowed: they are in no log, and nobody can follow "
        "them. What is denied is logged all the same.",
        "sysctl net.netfilter.nf_conntrack_events=2 (the kernel's default), or 1.");
}
