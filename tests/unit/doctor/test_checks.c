// SPDX-License-Identifier: GPL-2.0-or-later
/* Each check on a host where all is well, and on one where one thing is not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <linux/netfilter.h>

#include "doctor/doctor.h"
#include "nft/encode.h"
#include "util/mem.h"

/* ---- a host where all is well ------------------------------------------------------------------------- */

static struct network *add_network(struct fact_engine *engine, const char *name, const char *bridge)
{
    struct network *network = network_new();

    network->id = xstrdup(name);
    network->name = xstrdup(name);
    network->driver = xstrdup("bridge");
    network->bridge = xstrdup(bridge);
    network->managed = true;
    *ARRAY_ADD(engine->networks.v, engine->networks.n) = network;
    return network;
}

static struct docker_powers *add_container(struct host_facts *facts, const char *name)
{
    struct fact_powers *powers = ARRAY_ADD(facts->engine.powers, facts->engine.n_powers);

    powers->name = xstrdup(name);
    return &powers->powers;
}

static void add_mount(struct host_facts *facts, const char *source)
{
    struct docker_powers *powers = add_container(facts, "watchtower");

    *ARRAY_ADD(powers->mounts, powers->n_mounts) = xstrdup(source);
}

static struct fact_dockerd *add_dockerd(struct host_facts *facts, bool here)
{
    struct fact_dockerd *dockerd = ARRAY_ADD(facts->engine.dockerds, facts->engine.n_dockerds);

    dockerd->pid = 100;
    dockerd->here = here;
    return dockerd;
}

static void well_engine(struct host_facts *facts)
{
    struct fact_engine *engine = &facts->engine;

    engine->socket = xstrdup("/var/run/docker.sock");
    engine->version = xstrdup("28.5.1");
    engine->api_minor = 51;
    engine->info_known = engine->networks_known = engine->containers_known = true;
    add_network(engine, "shop", "br-shop");
    add_container(facts, "web");
    add_dockerd(facts, true);
}

static struct fact_device *add_device(struct host_facts *facts, const char *name, unsigned index)
{
    struct fact_device *device = ARRAY_ADD(facts->kernel.devices, facts->kernel.n_devices);

    snprintf(device->link.name, sizeof(device->link.name), "%s", name);
    device->link.index = index;
    return device;
}

static void well_kernel(struct host_facts *facts)
{
    struct fact_device *device;

    facts->kernel.sysctl[HOST_IP_FORWARD].value = 1;
    facts->kernel.sysctl[HOST_CT_MAX].value = 262144;
    facts->kernel.sysctl[HOST_CT_BUCKETS].value = 65536;
    facts->kernel.sysctl[HOST_CT_TCP_LOOSE].value = 1;
    facts->kernel.sysctl[HOST_CT_EVENTS].value = 2;
    add_device(facts, "lo", 1)->sysctl[DEV_ROUTE_LOCALNET].value = 1; /* of no meaning there */
    add_device(facts, "eth0", 2);
    device = add_device(facts, "br-shop", 3);
    device->link.is_bridge = true;
    device->link.switches.nf_call_iptables = device->link.switches.nf_call_ip6tables = true;
    device = add_device(facts, "veth1", 4);
    device->link.is_veth = true;
    device->link.master = 3;
}

static struct survey_chain *add_chain(struct host_facts *facts, unsigned family, const char *table,
                                      const char *name)
{
    struct nft_survey *survey = &facts->firewall.survey;
    struct survey_chain *chain = ARRAY_ADD(survey->chains, survey->n_chains);

    chain->family = family;
    chain->table = xstrdup(table);
    chain->name = xstrdup(name);
    return chain;
}

static struct survey_chain *add_base(struct host_facts *facts, unsigned family, const char *table,
                                     const char *name, unsigned hook, int priority)
{
    struct survey_chain *chain = add_chain(facts, family, table, name);

    chain->base = true;
    chain->hook = hook;
    chain->priority = priority;
    chain->type = xstrdup("filter");
    chain->n_rules = 1;
    return chain;
}

static void add_jump(struct survey_chain *chain, const char *target)
{
    *ARRAY_ADD(chain->jumps, chain->n_jumps) = xstrdup(target);
}

/* Our own, and Docker's by iptables-nft. */
static void well_firewall(struct host_facts *facts)
{
    struct survey_chain *chain;

    facts->firewall.can_protect = true;
    add_base(facts, NFPROTO_INET, "cofferdam", "forward", NF_INET_FORWARD, -10)->does = DOES_DROP;
    chain = add_base(facts, NFPROTO_IPV4, "filter", "FORWARD", NF_INET_FORWARD, 0);
    chain->policy_drop = true;
    add_jump(chain, "DOCKER-USER");
    add_jump(chain, "DOCKER-FORWARD");
    add_chain(facts, NFPROTO_IPV4, "filter", "DOCKER-USER");
    add_chain(facts, NFPROTO_IPV4, "filter", "DOCKER-FORWARD")->does = DOES_DROP;
    chain = add_base(facts, NFPROTO_IPV4, "nat", "PREROUTING", NF_INET_PRE_ROUTING, -100);
    free(chain->type);
    chain->type = xstrdup("nat");
    chain->does = DOES_TRANSLATE;
}

static struct fact_file *add_file(struct host_facts *facts, const char *path, unsigned mode)
{
    struct fact_file *file = ARRAY_ADD(facts->self.files, facts->self.n_files);

    file->path = xstrdup(path);
    file->mode = mode;
    return file;
}

static void well_self(struct host_facts *facts)
{
    struct fact_self *self = &facts->self;

    self->settings = settings_new();
    self->n_policies = 3;
    add_file(facts, "/etc/cofferdam", S_IFDIR | 0755);
    add_file(facts, "/etc/cofferdam/cofferdam.yaml", S_IFREG | 0644);
    add_file(facts, "/var/lib/cofferdam", 0)->error = -ENOENT;
    for (size_t i = 0; i < TABLES; i++)
        self->tables[i] = (struct nft_table_state){.exists = true, .flags = NFT_TABLE_PROTECTED, .owner = 7};
    self->daemon_version = xstrdup("0.1.0");
    self->tables_protected = self->tables_kept = self->engine_connected = true;
    self->n_containers = 1;
    self->systemd = self->unit_found = self->unit_enabled = true;
    self->systemd_version = 257;
}

static void well(struct host_facts *facts)
{
    *facts = (struct host_facts){0};
    well_engine(facts);
    well_kernel(facts);
    well_firewall(facts);
    well_self(facts);
}

static const struct finding *find(const struct findings *findings, const char *id)
{
    for (size_t i = 0; i < findings->n; i++)
        if (strcmp(findings->v[i].id, id) == 0)
            return &findings->v[i];
    fail_msg("no check %s", id);
    return NULL;
}

/* ---- what goes wrong ---------------------------------------------------------------------------------- */

static void daemon_down(struct host_facts *f)
{
    f->self.daemon_error = -ECONNREFUSED;
}

static void nothing_there(struct host_facts *f)
{
    daemon_down(f);
    f->self.tables[TABLE_INET].exists = f->self.tables[TABLE_BRIDGE].exists = false;
}

static void daemon_silent(struct host_facts *f)
{
    f->self.daemon_error = -ETIMEDOUT;
}

static void daemon_refuses(struct host_facts *f)
{
    f->self.daemon_refused = xstrdup("not now");
}

static void not_root(struct host_facts *f)
{
    f->self.daemon_error = -EACCES;
    f->self.tables_error = f->firewall.error = f->kernel.legacy_error = -EPERM;
    f->engine.dockerds[0].listeners_error = -EACCES;
}

static void table_orphaned(struct host_facts *f)
{
    f->self.tables[TABLE_BRIDGE].flags = NFT_TABLE_PERSIST;
    f->self.tables[TABLE_BRIDGE].owner = 0;
}

static void table_not_kept(struct host_facts *f)
{
    f->self.tables_kept = false;
}

static void one_unenforced(struct host_facts *f)
{
    *ARRAY_ADD(f->self.unenforced, f->self.n_unenforced) =
        (struct fact_unenforced){xstrdup("proxy"), xstrdup("it uses\nthe host's network")};
}

static void many_unenforced(struct host_facts *f)
{
    for (int i = 0; i < 20; i++)
        one_unenforced(f);
}

static void daemon_without_engine(struct host_facts *f)
{
    f->self.engine_connected = false;
}

static void one_problem(struct host_facts *f)
{
    *ARRAY_ADD(f->self.problems, f->self.n_problems) = xstrdup("lookups are not filtered");
}

static void bad_settings(struct host_facts *f)
{
    f->self.settings_error = xstrdup("cofferdam.yaml:3: unknown key");
}

static void bad_policies(struct host_facts *f)
{
    f->self.n_policy_errors = 2;
    f->self.policies_error = xstrdup("shop.yaml:3: unknown key");
}

static void nothing_readable(struct host_facts *f)
{
    bad_settings(f);
    bad_policies(f);
    f->self.access_error = -EACCES;
}

static void no_policies(struct host_facts *f)
{
    f->self.n_policies = 0;
}

static void world_writable(struct host_facts *f)
{
    add_file(f, "/etc/cofferdam/policies/shop.yaml", S_IFREG | 0666);
}

static void sticky_folder(struct host_facts *f)
{
    add_file(f, "/tmp", S_IFDIR | 01777);
}

static void others_file(struct host_facts *f)
{
    add_file(f, "/etc/cofferdam/policies/shop.yaml", S_IFREG | 0644)->uid = 1000;
}

static void group_writable(struct host_facts *f)
{
    add_file(f, "/etc/cofferdam/policies", S_IFDIR | 0775)->gid = 50;
}

static void unreadable(struct host_facts *f)
{
    add_file(f, "/etc/cofferdam/policies", 0)->error = -EACCES;
}

static void audit(struct host_facts *f)
{
    f->self.settings->default_mode = MODE_AUDIT;
}

static void lenient(struct host_facts *f)
{
    f->self.settings->unknown_endpoints = UNKNOWN_INTERNET;
}

static void unit_disabled(struct host_facts *f)
{
    f->self.unit_enabled = false;
}

static void unit_missing(struct host_facts *f)
{
    f->self.unit_found = f->self.unit_enabled = false;
}

static void systemd_old(struct host_facts *f)
{
    f->self.systemd_version = 252;
}

static void no_engine(struct host_facts *f)
{
    f->engine.error = xstrdup("nobody listens at /var/run/docker.sock");
    f->engine.info_known = f->engine.networks_known = f->engine.containers_known = false;
}

static struct listener *listens(struct host_facts *f, const char *address, unsigned port)
{
    struct fact_dockerd *dockerd = &f->engine.dockerds[0];
    struct listener *listener = ARRAY_ADD(dockerd->listeners, dockerd->n_listeners);

    assert_int_equal(ip_parse(address, &listener->ip), 0);
    listener->port = port;
    return listener;
}

static void add_host(struct host_facts *f, const char *host)
{
    struct dockerd_options *options = &f->engine.dockerds[0].options;

    *ARRAY_ADD(options->hosts, options->n_hosts) = xstrdup(host);
}

static void tcp_open(struct host_facts *f)
{
    listens(f, "0.0.0.0", 2375);
}

static void tcp_odd_port(struct host_facts *f)
{
    add_host(f, "tcp://[::]:4243");
    listens(f, "::", 4243);
}

static void tcp_loopback(struct host_facts *f)
{
    add_host(f, "tcp://127.0.0.1");
    listens(f, "127.0.0.1", 2375);
}

static void tcp_tls(struct host_facts *f)
{
    tcp_open(f);
    f->engine.dockerds[0].options.tlsverify = OPTION_ON;
}

static void tcp_tls_alone(struct host_facts *f)
{
    listens(f, "0.0.0.0", 2376);
    f->engine.dockerds[0].options.tls = OPTION_ON;
}

static void tcp_published(struct host_facts *f)
{
    listens(f, "0.0.0.0", 8080);
    f->engine.dockerds[0].options.userland_proxy = OPTION_OFF;
}

static void tcp_swarm(struct host_facts *f)
{
    listens(f, "0.0.0.0", 2377);
    listens(f, "::", 7946);
}

static void tcp_unnamed(struct host_facts *f)
{
    add_host(f, "fd://");
    listens(f, "0.0.0.0", 4243);
}

static void no_dockerd(struct host_facts *f)
{
    f->engine.dockerds[0].here = false;
}

static void socket_mounted(struct host_facts *f)
{
    add_mount(f, "/run/docker.sock");
}

static void run_mounted(struct host_facts *f)
{
    add_mount(f, "/var/run/");
}

static void root_mounted(struct host_facts *f)
{
    add_mount(f, "/");
}

static void other_mounted(struct host_facts *f)
{
    add_mount(f, "/var/run/docker.sock.d");
    add_mount(f, "/srv");
    add_mount(f, "/runner");
}

static void containerd_mounted(struct host_facts *f)
{
    add_mount(f, "/run/containerd/containerd.sock");
}

static void some_unread(struct host_facts *f)
{
    f->engine.n_unread = 2;
}

static void one_privileged(struct host_facts *f)
{
    add_container(f, "dind")->privileged = true;
}

static void host_admin(struct host_facts *f)
{
    struct docker_powers *powers = add_container(f, "vpn");

    powers->host_network = powers->net_admin = true;
}

static void own_admin(struct host_facts *f)
{
    add_container(f, "vpn")->net_admin = true; /* of its own network */
}

static void host_pid(struct host_facts *f)
{
    add_container(f, "agent")->host_pid = true;
}

static void second_engine(struct host_facts *f)
{
    add_dockerd(f, true);
}

static void engine_elsewhere(struct host_facts *f)
{
    add_dockerd(f, false);
}

static void rootless(struct host_facts *f)
{
    f->engine.info.rootless = true;
}

static void swarm(struct host_facts *f)
{
    f->engine.info.swarm = true;
}

static void icc_off(struct host_facts *f)
{
    f->engine.networks.v[0]->icc_off = true;
}

static void proxy_off(struct host_facts *f)
{
    f->engine.dockerds[0].options.userland_proxy = OPTION_OFF;
}

static void iptables_off(struct host_facts *f)
{
    f->engine.dockerds[0].options.iptables = OPTION_OFF;
}

static void nftables_backend(struct host_facts *f)
{
    f->engine.info.firewall_backend = xstrdup("nftables");
}

static void bad_config(struct host_facts *f)
{
    f->engine.dockerds[0].config_error = xstrdup("no JSON");
}

static void engine_dns(struct host_facts *f)
{
    struct dockerd_options *options = &f->engine.dockerds[0].options;

    *ARRAY_ADD(options->dns, options->n_dns) = xstrdup("9.9.9.9");
}

static void rules_refused(struct host_facts *f)
{
    f->firewall.trial_refused = xstrdup("no such expression");
}

static void rules_untried(struct host_facts *f)
{
    f->firewall.trial_error = -ENOMEM;
}

static void old_kernel(struct host_facts *f)
{
    f->firewall.can_protect = false;
}

static void protect_off(struct host_facts *f)
{
    f->self.settings->protect_table = PROTECT_OFF;
}

static void no_br_netfilter(struct host_facts *f)
{
    for (size_t i = HOST_CALL_IPTABLES; i <= HOST_CALL_ARPTABLES; i++)
        f->kernel.sysctl[i].error = -ENOENT;
}

static void no_br_netfilter_yet(struct host_facts *f)
{
    no_br_netfilter(f);
    nothing_there(f);
}

static void call_all(struct host_facts *f)
{
    f->kernel.sysctl[HOST_CALL_IP6TABLES].value = 1;
}

static void filtering_off(struct host_facts *f)
{
    f->kernel.devices[2].link.switches.nf_call_ip6tables = false;
}

static void filtering_not_on_yet(struct host_facts *f)
{
    filtering_off(f);
    nothing_there(f);
}

static void other_bridge_unfiltered(struct host_facts *f)
{
    add_device(f, "virbr0", 9)->link.is_bridge = true;
}

static void learning(struct host_facts *f)
{
    f->kernel.devices[2].link.has_no_linklocal_learn = true;
}

static void localnet_all(struct host_facts *f)
{
    f->kernel.all[DEV_ROUTE_LOCALNET].value = 1;
}

static void localnet_uplink(struct host_facts *f)
{
    f->kernel.devices[1].sysctl[DEV_ROUTE_LOCALNET].value = 1;
}

static void localnet_bridge(struct host_facts *f)
{
    f->kernel.devices[2].sysctl[DEV_ROUTE_LOCALNET].value = 1;
}

static void source_route(struct host_facts *f)
{
    f->kernel.all[DEV_SOURCE_ROUTE].value = f->kernel.devices[1].sysctl[DEV_SOURCE_ROUTE].value = 1;
}

static void source_route6(struct host_facts *f)
{
    f->kernel.all[DEV_SEG6].value = f->kernel.devices[1].sysctl[DEV_SEG6].value = 1;
}

static void source_route_of_one(struct host_facts *f)
{
    f->kernel.devices[1].sysctl[DEV_SOURCE_ROUTE].value = 1; /* the kernel's default: not without "all" */
    f->kernel.all[DEV_SEG6].value = -1;
    f->kernel.devices[1].sysctl[DEV_SEG6].value = 1;
}

static void accept_ra(struct host_facts *f)
{
    f->kernel.devices[2].sysctl[DEV_ACCEPT_RA].value = 1;
}

static void accept_ra_open(struct host_facts *f)
{
    accept_ra(f);
    nothing_there(f);
}

static void accept_ra_forwarding(struct host_facts *f)
{
    accept_ra(f);
    f->kernel.devices[2].sysctl[DEV_FORWARDING6].value = 1;
}

static void accept_ra_always(struct host_facts *f)
{
    accept_ra_forwarding(f);
    f->kernel.devices[2].sysctl[DEV_ACCEPT_RA].value = 2;
}

static void proxy_arp(struct host_facts *f)
{
    f->kernel.all[DEV_PROXY_ARP].value = 1;
}

static void not_forwarding(struct host_facts *f)
{
    f->kernel.sysctl[HOST_IP_FORWARD].value = 0;
}

static void not_forwarding_ipv6(struct host_facts *f)
{
    f->kernel.all[DEV_FORWARDING6].value = 0;
    f->engine.networks.v[0]->ipv6 = true;
}

static void forwarding_by_file(struct host_facts *f)
{
    f->kernel.forward_file = xstrdup("/etc/sysctl.d/60-router.conf");
}

static void open_forward(struct host_facts *f)
{
    free(f->engine.version);
    f->engine.version = xstrdup("20.10.24");
    f->firewall.survey.chains[1].policy_drop = false;
}

static void open_forward_alone(struct host_facts *f)
{
    open_forward(f);
    nothing_there(f);
}

/* Docker's chain is in the old firewall, whose rules are not looked at. */
static void old_forward_alone(struct host_facts *f)
{
    open_forward_alone(f);
    free(f->firewall.survey.chains[1].name);
    f->firewall.survey.chains[1].name = xstrdup("forward");
    f->kernel.legacy_tables = xstrdup("nat filter");
}

static void liberal(struct host_facts *f)
{
    f->kernel.sysctl[HOST_CT_TCP_LIBERAL].value = 1;
}

static void table_full(struct host_facts *f)
{
    f->kernel.sysctl[HOST_CT_COUNT].value = 262144;
}

static void table_filling(struct host_facts *f)
{
    f->kernel.sysctl[HOST_CT_COUNT].value = 200000;
}

static void few_buckets(struct host_facts *f)
{
    f->kernel.sysctl[HOST_CT_BUCKETS].value = 4096;
}

static void helpers(struct host_facts *f)
{
    f->kernel.sysctl[HOST_CT_HELPER].value = 1;
}

static void no_events(struct host_facts *f)
{
    f->kernel.sysctl[HOST_CT_EVENTS].value = 0;
}

static void flowtable(struct host_facts *f)
{
    struct survey_flowtable *table =
        ARRAY_ADD(f->firewall.survey.flowtables, f->firewall.survey.n_flowtables);

    *table =
        (struct survey_flowtable){NFPROTO_INET, xstrdup("router"), xstrdup("fast"), xstrdup("eth0 br-shop")};
}

static void flowtable_used(struct host_facts *f)
{
    flowtable(f);
    add_base(f, NFPROTO_INET, "router", "forward", NF_INET_FORWARD, 5)->does = DOES_OFFLOAD;
}

static struct survey_chain *netdev(struct host_facts *f, const char *device, unsigned does)
{
    struct survey_chain *chain = add_base(f, NFPROTO_NETDEV, "edge", "in", 0, 0);

    chain->devices = xstrdup(device);
    chain->does = does;
    return chain;
}

static void netdev_drops(struct host_facts *f)
{
    netdev(f, "eth0", DOES_DROP);
}

static void netdev_redirects(struct host_facts *f)
{
    netdev(f, "eth0 veth1", DOES_REDIRECT);
}

static void netdev_redirects_another(struct host_facts *f)
{
    netdev(f, "veth11", DOES_REDIRECT);
}

static void netdev_redirects_both(struct host_facts *f)
{
    netdev(f, "veth11 veth1", DOES_REDIRECT);
}

static void netdev_redirects_some(struct host_facts *f)
{
    netdev(f, "eth0 vet*", DOES_REDIRECT);
}

static void xdp(struct host_facts *f)
{
    f->kernel.devices[1].link.has_xdp = true;
}

static void xdp_on_port(struct host_facts *f)
{
    f->kernel.devices[3].link.has_xdp = true;
}

static void same_priority(struct host_facts *f)
{
    add_base(f, NFPROTO_IPV6, "mine", "in", NF_INET_LOCAL_IN, -10);
}

static void same_priority_bridge(struct host_facts *f)
{
    add_base(f, NFPROTO_BRIDGE, "mine", "late", NF_INET_FORWARD, 50);
}

static void other_priority(struct host_facts *f)
{
    add_base(f, NFPROTO_BRIDGE, "mine", "early", NF_INET_PRE_ROUTING, -301);
    add_base(f, NFPROTO_ARP, "mine", "arp", NF_INET_FORWARD, -10);
}

static void mark_changed(struct host_facts *f)
{
    struct survey_chain *base = add_base(f, NFPROTO_INET, "qos", "forward", NF_INET_FORWARD, 0);

    add_jump(base, "classes");
    add_chain(f, NFPROTO_INET, "qos", "classes")->mark_bits = 0xf000;
}

static void mark_elsewhere(struct host_facts *f)
{
    add_base(f, NFPROTO_INET, "qos", "forward", NF_INET_FORWARD, -150)->mark_bits = UINT32_MAX;
    add_base(f, NFPROTO_INET, "qos", "late", NF_INET_FORWARD, 10)->mark_bits = 0xff0f;
    f->self.settings->mark = 0x20;
}

static void notrack(struct host_facts *f)
{
    add_base(f, NFPROTO_IPV4, "raw", "PREROUTING", NF_INET_PRE_ROUTING, -300)->does = DOES_UNTRACK;
}

static void own_translation(struct host_facts *f)
{
    add_base(f, NFPROTO_IPV4, "vpn", "post", NF_INET_POST_ROUTING, 100)->does = DOES_TRANSLATE;
}

static void kubernetes(struct host_facts *f)
{
    add_jump(&f->firewall.survey.chains[4], "KUBE-SERVICES");
}

static void ufw(struct host_facts *f)
{
    add_jump(&f->firewall.survey.chains[1], "ufw-before-forward");
    add_chain(f, NFPROTO_IPV4, "filter", "ufw-before-forward")->does = DOES_DROP;
}

static void firewalld(struct host_facts *f)
{
    add_base(f, NFPROTO_INET, "firewalld", "filter_FORWARD", NF_INET_FORWARD, 10)->does =
        DOES_MAP | DOES_DROP;
}

static void host_firewall(struct host_facts *f)
{
    struct survey_chain *chain = add_base(f, NFPROTO_IPV4, "filter", "INPUT", NF_INET_LOCAL_IN, 0);

    chain->policy_drop = true;
    add_jump(chain, "ufw-before-input");
    add_base(f, NFPROTO_IPV4, "filter", "early", NF_INET_PRE_ROUTING, 0)->does = DOES_DROP;
}

static void own_drops_in_docker_user(struct host_facts *f)
{
    assert_string_equal(f->firewall.survey.chains[2].name, "DOCKER-USER");
    f->firewall.survey.chains[2].does = DOES_DROP;
}

static void closed_host(struct host_facts *f)
{
    struct survey_chain *chain = add_base(f, NFPROTO_INET, "filter", "forward", NF_INET_FORWARD, 0);

    chain->policy_drop = true;
    chain->n_rules = 0;
}

static void legacy(struct host_facts *f)
{
    f->kernel.legacy_tables = xstrdup("nat filter");
}

static const struct {
    void (*change)(struct host_facts *facts);
    const char *id;
    enum finding_level level;
    const char *found; /* a part of it; NULL: anything */
} cases[] = {
    {daemon_down, "daemon", FINDING_WARN, "nothing answers at /run/cofferdam/control.sock"},
    {nothing_there, "daemon", FINDING_BAD, NULL},
    {daemon_silent, "daemon", FINDING_WARN, "timed out"},
    {daemon_refuses, "daemon", FINDING_WARN, "not now"},
    {not_root, "daemon", FINDING_UNCHECKED, "needs root"},
    {nothing_there, "tables", FINDING_BAD, "table inet cofferdam is not in the kernel"},
    {table_orphaned, "tables", FINDING_WARN, "table bridge cofferdam belongs to nobody"},
    {table_not_kept, "tables", FINDING_NOTE, "no service manager"},
    {not_root, "tables", FINDING_UNCHECKED, "needs root"},
    {one_unenforced, "unenforced", FINDING_WARN, "container proxy: it uses the host's network"},
    {many_unenforced, "unenforced", FINDING_WARN, "\nand 8 more"},
    {daemon_down, "unenforced", FINDING_UNCHECKED, "does not answer"},
    {daemon_without_engine, "unenforced", FINDING_UNCHECKED, "no Engine"},
    {one_problem, "problems", FINDING_NOTE, "lookups are not filtered"},
    {bad_settings, "settings", FINDING_WARN, "cofferdam.yaml:3"},
    {bad_policies, "policies", FINDING_WARN,
     "2 mistakes in /etc/cofferdam/policies: shop.yaml:3: unknown key"},
    {nothing_readable, "settings", FINDING_UNCHECKED, "needs root"},
    {nothing_readable, "policies", FINDING_UNCHECKED, "needs root"},
    {no_policies, "policies", FINDING_NOTE, "no policies"},
    {world_writable, "file-permissions", FINDING_BAD, "shop.yaml may be written by everybody (mode 0666)"},
    {sticky_folder, "file-permissions", FINDING_OK, NULL},
    {others_file, "file-permissions", FINDING_BAD, "belongs to user 1000"},
    {group_writable, "file-permissions", FINDING_WARN, "by group 50"},
    {unreadable, "file-permissions", FINDING_UNCHECKED, "needs root"},
    {audit, "default-mode", FINDING_NOTE, "audit"},
    {lenient, "unknown-endpoints", FINDING_NOTE, "internet"},
    {unit_disabled, "service", FINDING_WARN, "not enabled"},
    {unit_missing, "service", FINDING_WARN, "no unit"},
    {systemd_old, "service", FINDING_NOTE, "systemd 252"},
    {no_engine, "engine", FINDING_WARN, "nobody listens"},
    {tcp_open, "engine-tcp", FINDING_BAD, "0.0.0.0 port 2375"},
    {tcp_odd_port, "engine-tcp", FINDING_BAD, ":: port 4243"},
    {tcp_loopback, "engine-tcp", FINDING_WARN, "127.0.0.1 port 2375"},
    {tcp_tls, "engine-tcp", FINDING_NOTE, "for clients with a certificate"},
    {tcp_tls_alone, "engine-tcp", FINDING_BAD, "port 2376 and asks nobody"},
    {tcp_published, "engine-tcp", FINDING_OK, NULL},
    {tcp_swarm, "engine-tcp", FINDING_OK, NULL},
    {tcp_unnamed, "engine-tcp", FINDING_NOTE, "port 4243, which its options do not name"},
    {no_dockerd, "engine-tcp", FINDING_UNCHECKED, NULL},
    {not_root, "engine-tcp", FINDING_UNCHECKED, "needs root"},
    {socket_mounted, "engine-socket", FINDING_WARN, "container watchtower has /run/docker.sock"},
    {run_mounted, "engine-socket", FINDING_WARN, NULL},
    {root_mounted, "engine-socket", FINDING_WARN, "has / of the host"},
    {containerd_mounted, "engine-socket", FINDING_WARN, NULL},
    {other_mounted, "engine-socket", FINDING_OK, NULL},
    {some_unread, "engine-socket", FINDING_UNCHECKED, "2 running containers"},
    {no_engine, "engine-socket", FINDING_UNCHECKED, NULL},
    {second_engine, "engines", FINDING_WARN, "2 processes dockerd"},
    {engine_elsewhere, "engines", FINDING_NOTE, "1 more process dockerd"},
    {rootless, "rootless", FINDING_BAD, NULL},
    {swarm, "swarm", FINDING_WARN, NULL},
    {one_privileged, "privileged", FINDING_WARN, "container dind"},
    {host_admin, "host-powers", FINDING_WARN, "container vpn has the host's network and CAP_NET_ADMIN"},
    {own_admin, "host-powers", FINDING_OK, NULL},
    {host_pid, "host-powers", FINDING_NOTE, "container agent"},
    {icc_off, "icc", FINDING_NOTE, "network shop"},
    {proxy_off, "userland-proxy", FINDING_NOTE, "off"},
    {second_engine, "userland-proxy", FINDING_UNCHECKED, "several"},
    {bad_config, "userland-proxy", FINDING_UNCHECKED, "/etc/docker/daemon.json: no JSON"},
    {no_engine, "live-restore", FINDING_UNCHECKED, NULL},
    {iptables_off, "docker-rules", FINDING_NOTE, "\"iptables\" is off"},
    {nftables_backend, "docker-rules", FINDING_NOTE, "docker-bridges"},
    {engine_dns, "docker-dns", FINDING_WARN, "9.9.9.9"},
    {no_engine, "userns", FINDING_UNCHECKED, NULL},
    {rules_refused, "kernel-rules", FINDING_BAD, "no such expression"},
    {rules_untried, "kernel-rules", FINDING_UNCHECKED, "memory"},
    {not_root, "kernel-rules", FINDING_UNCHECKED, "needs root"},
    {old_kernel, "table-owner", FINDING_NOTE, "6.9"},
    {protect_off, "table-owner", FINDING_NOTE, "protect_table"},
    {no_br_netfilter, "br-netfilter", FINDING_WARN, NULL},
    {no_br_netfilter_yet, "br-netfilter", FINDING_NOTE, NULL},
    {filtering_off, "bridge-filtering", FINDING_WARN, "nf_call_ip6tables is off on br-shop"},
    {filtering_not_on_yet, "bridge-filtering", FINDING_NOTE, NULL},
    {other_bridge_unfiltered, "bridge-filtering", FINDING_OK, NULL},
    {no_engine, "bridge-filtering", FINDING_UNCHECKED, NULL},
    {call_all, "bridge-nf-call", FINDING_NOTE, "bridge-nf-call-ip6tables is 1"},
    {learning, "linklocal-learn", FINDING_WARN, "br-shop"},
    {localnet_all, "route-localnet", FINDING_BAD, "all interfaces"},
    {localnet_uplink, "route-localnet", FINDING_BAD, "eth0"},
    {localnet_bridge, "route-localnet", FINDING_NOTE, "br-shop"},
    {source_route, "source-route", FINDING_WARN, "eth0 accepts IPv4"},
    {source_route6, "source-route", FINDING_WARN, "eth0 accepts IPv6"},
    {source_route_of_one, "source-route", FINDING_OK, NULL},
    {accept_ra, "accept-ra", FINDING_NOTE, "br-shop"},
    {accept_ra_open, "accept-ra", FINDING_WARN, "br-shop"},
    {accept_ra_forwarding, "accept-ra", FINDING_OK, NULL},
    {accept_ra_always, "accept-ra", FINDING_NOTE, NULL},
    {proxy_arp, "proxy-arp", FINDING_NOTE, "br-shop"},
    {no_engine, "rp-filter", FINDING_UNCHECKED, NULL},
    {not_forwarding, "ip-forward", FINDING_WARN, NULL},
    {not_forwarding_ipv6, "ip-forward", FINDING_WARN, "network shop has IPv6"},
    {forwarding_by_file, "ip-forward", FINDING_OK, "by /etc/sysctl.d/60-router.conf"},
    {open_forward, "ip-forward", FINDING_OK, "no file"},
    {open_forward_alone, "ip-forward", FINDING_NOTE, "FORWARD is not drop"},
    {old_forward_alone, "ip-forward", FINDING_OK, "no file"},
    {liberal, "tcp-loose", FINDING_NOTE, "be_liberal"},
    {table_full, "conntrack-room", FINDING_WARN, "262144 of 262144"},
    {table_filling, "conntrack-room", FINDING_NOTE, NULL},
    {few_buckets, "conntrack-room", FINDING_NOTE, "4096 buckets"},
    {helpers, "conntrack-helper", FINDING_NOTE, NULL},
    {no_events, "conntrack-events", FINDING_NOTE, "nf_conntrack_events is 0"},
    {flowtable_used, "flowtables", FINDING_BAD, "flow table fast in table inet router, devices eth0 br-shop"},
    {flowtable, "flowtables", FINDING_NOTE, "no rule adds"},
    {not_root, "flowtables", FINDING_UNCHECKED, "needs root"},
    {netdev_drops, "netdev-hooks", FINDING_NOTE, "chain in in table netdev edge, devices eth0"},
    {netdev_redirects, "netdev-hooks", FINDING_WARN, "veth1"},
    {netdev_redirects_another, "netdev-hooks", FINDING_NOTE, "veth11"},
    {netdev_redirects_both, "netdev-hooks", FINDING_WARN, "veth11 veth1"},
    {netdev_redirects_some, "netdev-hooks", FINDING_WARN, "eth0 vet*"},
    {xdp, "xdp", FINDING_NOTE, "eth0"},
    {xdp_on_port, "xdp", FINDING_WARN, "veth1"},
    {same_priority, "same-priority", FINDING_NOTE, "chain in in table ip6 mine"},
    {same_priority_bridge, "same-priority", FINDING_NOTE, "chain late in table bridge mine"},
    {other_priority, "same-priority", FINDING_OK, NULL},
    {mark_changed, "mark-bit", FINDING_WARN,
     "chain forward in table inet qos, or of one it leads to, may change bit 0x2000"},
    {mark_elsewhere, "mark-bit", FINDING_OK, "0x20"},
    {notrack, "untracked", FINDING_NOTE, "chain PREROUTING in table ip raw"},
    {own_translation, "translation", FINDING_NOTE, "chain post in table ip vpn"},
    {kubernetes, "translation", FINDING_NOTE, "Kubernetes: "},
    {ufw, "other-firewalls", FINDING_NOTE, "ufw: chain FORWARD in table ip filter"},
    {firewalld, "other-firewalls", FINDING_NOTE, "firewalld: chain filter_FORWARD"},
    {host_firewall, "other-firewalls", FINDING_NOTE,
     "ufw: chain INPUT in table ip filter drops all that its rules do not accept of what is sent to the host"},
    {own_drops_in_docker_user, "other-firewalls", FINDING_NOTE,
     "chain DOCKER-USER in table ip filter drops some"},
    {closed_host, "other-firewalls", FINDING_WARN, "drops everything"},
    {legacy, "iptables-legacy", FINDING_NOTE, "nat filter"},
    {not_root, "iptables-legacy", FINDING_UNCHECKED, "needs root"},
};

static void check_case(size_t i)
{
    _cleanup_findings_ struct findings findings = {0};
    struct host_facts facts;
    const struct finding *finding;

    well(&facts);
    cases[i].change(&facts);
    doctor_examine(&facts, &findings);
    finding = find(&findings, cases[i].id);
    if (finding->level != cases[i].level || (cases[i].found && !strcasestr(finding->found, cases[i].found)))
        fail_msg("case %zu: %s is %s, not %s: %s", i, cases[i].id, finding_level_name(finding->level),
                 finding_level_name(cases[i].level), finding->found);
    assert_int_equal(finding->means != NULL,
                     finding->level != FINDING_OK && finding->level != FINDING_UNCHECKED);
    assert_int_equal(finding->mend != NULL, finding->means != NULL);
    if (cases[i].level > FINDING_NOTE)
        assert_false(findings_are_well(&findings));
    host_facts_clear(&facts);
}

static void each_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_case(i);
}

static bool has_other_case(const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (strcmp(cases[i].id, id) == 0 && cases[i].level != FINDING_OK)
            return true;
    return false;
}

static void a_sound_host_is_well(void **state)
{
    _cleanup_findings_ struct findings findings = {0};
    struct host_facts facts;

    (void)state;
    well(&facts);
    doctor_examine(&facts, &findings);
    for (size_t i = 0; i < findings.n; i++) {
        if (findings.v[i].level != FINDING_OK)
            fail_msg("%s: %s", findings.v[i].id, findings.v[i].found);
        assert_true(findings.v[i].found[0] != '\0');
        if (!has_other_case(findings.v[i].id))
            fail_msg("no case in which %s is not well", findings.v[i].id);
    }
    assert_true(findings_are_well(&findings));
    host_facts_clear(&facts);
}

/* Nothing known at all: nobody says that anything is well that was not looked at. */
static void an_unseen_host_is_not_well(void **state)
{
    _cleanup_findings_ struct findings findings = {0};
    struct host_facts facts = {.self.settings = settings_new()};

    (void)state;
    facts.engine.error = xstrdup("no socket");
    facts.engine.processes_error = facts.kernel.devices_error = facts.firewall.error = -EACCES;
    facts.self.daemon_error = -EACCES;
    facts.self.tables_error = facts.kernel.legacy_error = -EPERM;
    for (size_t i = 0; i < HOST_SYSCTLS; i++)
        facts.kernel.sysctl[i].error = -EACCES;
    doctor_examine(&facts, &findings);
    for (size_t i = 0; i < findings.n; i++) {
        static const char *const of_files[] = {"settings", "file-permissions", "default-mode",
                                               "unknown-endpoints", "service"};
        bool known = findings.v[i].level != FINDING_OK;

        for (size_t j = 0; j < ARRAY_SIZE(of_files); j++)
            known = known || strcmp(findings.v[i].id, of_files[j]) == 0;
        if (!known)
            fail_msg("%s is well: %s", findings.v[i].id, findings.v[i].found);
    }
    assert_false(findings_are_well(&findings));
    host_facts_clear(&facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_host_is_well),
        cmocka_unit_test(each_is_found),
        cmocka_unit_test(an_unseen_host_is_not_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
