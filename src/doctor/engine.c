// SPDX-License-Identifier: GPL-2.0-or-later
/* The Docker Engine: who reaches it, what it lets containers do, and which of its settings matter to policies. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"

#define TCP_SCHEME "tcp://"
#define PORT_PLAIN 2375 /* registered for the Engine's API, without and with TLS */
#define PORT_TLS 2376
#define PORT_SWARM 2377 /* and that of its gossip */
#define PORT_GOSSIP 7946

static size_t count_here(const struct fact_engine *engine)
{
    size_t n = 0;

    for (size_t i = 0; i < engine->n_dockerds; i++)
        n += engine->dockerds[i].here;
    return n;
}

/* The Engine's own process, where it is the only one here. */
static const struct fact_dockerd *own_dockerd(const struct fact_engine *engine)
{
    size_t i = 0;

    if (count_here(engine) != 1)
        return NULL;
    while (!engine->dockerds[i].here)
        i++;
    return &engine->dockerds[i];
}

/* The options of its process; NULL, and then it is said why, where they are not known. */
static const struct dockerd_options *options_of(const struct fact_engine *engine, struct finding *finding)
{
    const struct fact_dockerd *dockerd = own_dockerd(engine);

    if (engine->processes_error)
        finding_unchecked(finding, "processes", engine->processes_error);
    else if (!dockerd)
        finding_say(finding, FINDING_UNCHECKED,
                    "its settings: no process dockerd is seen in this network namespace, or several are");
    else if (dockerd->error)
        finding_unchecked(finding, "the command line of dockerd", dockerd->error);
    else if (dockerd->config_error)
        finding_say(finding, FINDING_UNCHECKED, "%s: %s", dockerd->config ? dockerd->config : DOCKERD_CONFIG,
                    dockerd->config_error);
    else
        return &dockerd->options;
    return NULL;
}

static bool is_answering(const struct fact_engine *engine, bool known, struct finding *finding)
{
    if (engine->error)
        finding_say(finding, FINDING_UNCHECKED, "the Docker Engine does not answer");
    else if (!known)
        finding_say(finding, FINDING_UNCHECKED, "the Docker Engine did not tell");
    return !engine->error && known;
}

void judge_engine(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_engine *engine = &facts->engine;

    if (engine->error)
        finding_say(finding, FINDING_WARN, "%s", engine->error);
    else
        finding_say(finding, FINDING_OK, "Docker Engine %s at %s, API 1.%u", engine->version, engine->socket,
                    engine->api_minor);
    finding_advise(
        finding,
        "Without the Engine it is not known which containers there are. Rules that stand stay in force, and "
        "containers that start meanwhile have no network.",
        "Start it (systemctl start docker), or say in the settings where its socket is (docker: PATH).");
}

/* ---- who reaches it ----------------------------------------------------------------------------------- */

/* The port of "tcp://address:port"; the usual one where there is none. */
static unsigned port_of_host(const char *host, bool tls)
{
    const char *colon = strrchr(host + strlen(TCP_SCHEME), ':');
    unsigned port = colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;

    return port ? port : tls ? PORT_TLS : PORT_PLAIN;
}

/* Without userland-proxy, dockerd itself listens on the ports that it publishes. */
static bool is_other_port(const struct dockerd_options *options, unsigned port)
{
    return port == PORT_SWARM || port == PORT_GOSSIP || options->userland_proxy == OPTION_OFF;
}

static bool is_api_port(const struct dockerd_options *options, unsigned port)
{
    bool tls = options->tls == OPTION_ON || options->tlsverify == OPTION_ON;

    for (size_t i = 0; i < options->n_hosts; i++)
        if (strncmp(options->hosts[i], TCP_SCHEME, strlen(TCP_SCHEME)) == 0 &&
            port_of_host(options->hosts[i], tls) == port)
            return true;
    return port == PORT_PLAIN || port == PORT_TLS;
}

static void judge_listener(const struct dockerd_options *options, const struct listener *listener,
                           struct finding *finding)
{
    char text[IP_TEXT_MAX];
    const char *ip = ip_format(listener->ip, text);

    if (!is_api_port(options, listener->port) && is_other_port(options, listener->port))
        return;
    if (!is_api_port(options, listener->port))
        finding_say(finding, FINDING_NOTE, "dockerd listens on %s port %u, which its options do not name", ip,
                    listener->port);
    else if (options->tlsverify == OPTION_ON)
        finding_say(finding, FINDING_NOTE, "dockerd listens on %s port %u, for clients with a certificate",
                    ip, listener->port);
    else
        finding_say(finding, ip_is_loopback(listener->ip) ? FINDING_WARN : FINDING_BAD,
                    "dockerd listens on %s port %u and asks nobody for a certificate", ip, listener->port);
}

void judge_engine_tcp(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_engine *engine = &facts->engine;

    if (engine->processes_error)
        finding_unchecked(finding, "processes", engine->processes_error);
    for (size_t i = 0; i < engine->n_dockerds; i++) {
        const struct fact_dockerd *dockerd = &engine->dockerds[i];

        if (!dockerd->here)
            continue;
        if (dockerd->error || dockerd->listeners_error)
            finding_unchecked(finding, "the sockets of dockerd", dockerd->error ?: dockerd->listeners_error);
        for (size_t j = 0; j < dockerd->n_listeners; j++)
            judge_listener(&dockerd->options, &dockerd->listeners[j], finding);
    }
    if (!*finding->found && count_here(engine) == 0)
        finding_say(finding, FINDING_UNCHECKED, "no process dockerd is seen");
    else if (!*finding->found)
        finding_say(finding, FINDING_OK, "the Engine's API is not on TCP");
    finding_advise(
        finding,
        "Whoever reaches the Engine's API is root on this host: it starts containers with the host's network "
        "and files, to which no policy applies. On a loopback address, that is every local user and every "
        "container with the host's network.",
        "Take the tcp:// address out of \"hosts\" in " DOCKERD_CONFIG " and out of -H, and use ssh:// from "
        "elsewhere; or have clients show a certificate (tlsverify).");
}

/* ---- what containers may do to the host --------------------------------------------------------------- */

/* /var/run is /run. */
static const char *without_var(const char *path)
{
    return strncmp(path, "/var/run", 8) == 0 && (path[8] == '/' || path[8] == '\0') ? path + 4 : path;
}

/* Is the path what is mounted, or below it? */
static bool mount_has(const char *mount, const char *path)
{
    size_t len;

    mount = without_var(mount);
    path = without_var(path);
    len = strlen(mount);
    while (len > 0 && mount[len - 1] == '/')
        len--;
    return strncmp(mount, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);

    return len >= n && strcmp(text + len - n, end) == 0;
}

/* Sockets by which a container gets root on the host. Those of other engines are known by their names. */
static bool gives_engine(const char *mount, const char *socket)
{
    static const char *const usual[] = {"/run/docker.sock", "/run/containerd/containerd.sock"};

    if (ends_with(mount, "/docker.sock") || ends_with(mount, "/containerd.sock"))
        return true;
    /* /var holds /var/run, which is a link: followed inside the container, it does not lead there. */
    for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
        if (mount_has(mount, usual[i]))
            return true;
    return socket && mount_has(mount, socket);
}

static void say_unread(const struct fact_engine *engine, struct finding *finding)
{
    if (engine->n_unread)
        finding_say(finding, FINDING_UNCHECKED, "%zu running container%s: the Engine did not tell about %s",
                    engine->n_unread, plural(engine->n_unread), engine->n_unread == 1 ? "it" : "them");
}

void judge_engine_socket(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_engine *engine = &facts->engine;

    if (!is_answering(engine, engine->containers_known, finding))
        return;
    for (size_t i = 0; i < engine->n_powers; i++) {
        const struct docker_powers *powers = &engine->powers[i].powers;

        for (size_t j = 0; j < powers->n_mounts; j++)
            if (gives_engine(powers->mounts[j], engine->socket))
                finding_say(finding, FINDING_WARN, "container %s has %s of the host", engine->powers[i].name,
                            powers->mounts[j]);
    }
    say_unread(engine, finding);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no running container has the Engine's socket");
    finding_advise(
        finding,
        "Whoever is in there is root on this host: the Engine starts containers with the host's network and "
        "files for it, to which no policy applies. Mounting the socket read-only does not change that.",
        "Put a proxy in between that passes only the requests that it needs, or do without.");
}

void judge_privileged(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_engine *engine = &facts->engine;

    if (!is_answering(engine, engine->containers_known, finding))
        return;
    for (size_t i = 0; i < engine->n_powers; i++)
        if (engine->powers[i].powers.privileged)
            finding_say(finding, FINDING_WARN, "container %s is privileged", engine->powers[i].name);
    say_unread(engine, finding);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no running container is privileged");
    finding_advise(
        finding,
        "A privileged container has the host's devices and all capabilities: its root can become the host's, "
        "and then remove every rule.",
        "Run it without --privileged, with the capabilities and devices that it needs.");
}

static void judge_powers(const struct fact_powers *powers, struct finding *finding)
{
    const struct docker_powers *p = &powers->powers;

    if (p->privileged)
        return; /* has a finding of its own */
    if (p->host_network && (p->net_admin || p->sys_admin))
        finding_say(finding, FINDING_WARN, "container %s has the host's network and %s", powers->name,
                    p->net_admin ? "CAP_NET_ADMIN" : "CAP_SYS_ADMIN");
    else if (p->host_pid)
        finding_say(finding, p->sys_admin ? FINDING_WARN : FINDING_NOTE,
                    "container %s sees the host's processes%s", powers->name,
                    p->sys_admin ? " and has CAP_SYS_ADMIN" : "");
}

void judge_host_powers(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_engine *engine = &facts->engine;

    if (!is_answering(engine, engine->containers_known, finding))
        return;
    for (size_t i = 0; i < engine->n_powers; i++)
        judge_powers(&engine->powers[i], finding);
    say_unread(engine, finding);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no running container may change the host's network");
    finding_advise(
        finding,
        "With the host's network and CAP_NET_ADMIN, a container may change the rules of the host; with the "
        "host's processes and CAP_SYS_ADMIN, enter the host's network and do the same.",
        "Take the capability away (cap_add), or give it a network of its own (network_mode, pid).");
}

/* ---- the Engine's settings ---------------------------------------------------------------------------- */

void judge_engines(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_engine *engine = &facts->engine;
    size_t n_here = count_here(engine);

    if (engine->processes_error) {
        finding_unchecked(finding, "processes", engine->processes_error);
        return;
    }
    if (n_here > 1)
        finding_say(finding, FINDING_WARN, "%zu processes dockerd run in this network namespace", n_here);
    if (engine->n_dockerds > n_here)
        finding_say(finding, FINDING_NOTE,
                    "%zu more process%s dockerd, in other network namespaces or of other users",
                    engine->n_dockerds - n_here, engine->n_dockerds - n_here == 1 ? "" : "es");
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no other Engine is seen");
    finding_advise(
        finding,
        "Cofferdam follows the one Engine of its settings. The bridges and containers of others are not "
        "enforced; in other network namespaces (Docker in Docker, rootless Docker) no rule of the host sees "
        "what passes between them.",
        "Run one Engine on this host, or know that policies end at the others.");
}

void judge_rootless(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_engine *engine = &facts->engine;

    if (!is_answering(engine, engine->info_known, finding))
        return;
    if (engine->info.rootless)
        finding_say(finding, FINDING_BAD, "the Engine is rootless");
    else
        finding_say(finding, FINDING_OK, "the Engine runs as root, in the host's network");
    finding_advise(
        finding,
        "Its bridges are in a network namespace of its own, where no rule of Cofferdam is: nothing is enforced.",
        "Use an Engine that runs as root.");
}

void judge_swarm(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_engine *engine = &facts->engine;

    if (!is_answering(engine, engine->info_known, finding))
        return;
    if (engine->info.swarm)
        finding_say(finding, FINDING_WARN, "this node is part of a swarm");
    else
        finding_say(finding, FINDING_OK, "Swarm is not used");
    finding_advise(
        finding,
        "Overlay networks and docker_gwbridge are not enforced: services on them reach each other, and by "
        "docker_gwbridge the outside, whatever the policies say.",
        "Run what policies are to hold on bridge networks; docker swarm leave where Swarm is not used.");
}

void judge_icc(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_engine *engine = &facts->engine;

    if (!is_answering(engine, engine->networks_known, finding))
        return;
    for (size_t i = 0; i < engine->networks.n; i++) {
        const struct network *network = engine->networks.v[i];

        if (network && network->icc_off)
            finding_say(finding, FINDING_NOTE, "network %s has com.docker.network.bridge.enable_icc=false",
                        network->name);
    }
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "Docker lets the containers of one network reach each other");
    finding_advise(
        finding, "Docker itself drops what its containers send each other, whatever the policies allow.",
        "Leave enable_icc (and \"icc\" in " DOCKERD_CONFIG ") alone where policies are to decide.");
}

void judge_userland_proxy(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_engine *engine = &facts->engine;
    const struct dockerd_options *options = options_of(engine, finding);

    if (!options)
        return;
    if (options->userland_proxy == OPTION_OFF)
        finding_say(finding, FINDING_NOTE, "userland-proxy is off");
    else
        finding_say(finding, FINDING_OK,
                    "userland-proxy is on, with %zu process%s; what comes by them counts as the host",
                    engine->n_proxies, engine->n_proxies == 1 ? "" : "es");
    finding_advise(
        finding,
        "Docker then turns route_localnet on for its bridges, so that the host's 127.0.0.1 reaches published "
        "ports. Containers could reach what listens on 127.0.0.1 there; while Cofferdam's rules are in force, none "
        "does, whatever the policies say.",
        "Nothing, while Cofferdam runs; else leave userland-proxy on.");
}

void judge_live_restore(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_engine *engine = &facts->engine;

    if (is_answering(engine, engine->info_known, finding))
        finding_say(finding, FINDING_OK, "live-restore is %s: containers %s while the Engine is restarted",
                    engine->info.live_restore ? "on" : "off",
                    engine->info.live_restore ? "run on, enforced," : "stop");
}

/* Docker's own rules: the settings that leave work to others. */
void judge_docker_rules(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_engine *engine = &facts->engine;
    const struct dockerd_options *options = options_of(engine, finding);
    const char *backend = engine->info_known && engine->info.firewall_backend ? engine->info.firewall_backend
                          : options                                           ? options->firewall_backend
                                                                              : NULL;

    if (!options)
        return;
    if (options->iptables == OPTION_OFF)
        finding_say(finding, FINDING_NOTE, "\"iptables\" is off: Docker translates and publishes nothing");
    if (options->ip6tables == OPTION_OFF)
        finding_say(finding, FINDING_NOTE,
                    "\"ip6tables\" is off: Docker translates and publishes nothing for IPv6");
    if (backend && strcmp(backend, "nftables") == 0)
        finding_say(finding, FINDING_NOTE, "Docker's rules are nftables' own, in the tables docker-bridges");
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "Docker makes its own rules, by %s", backend ? backend : "iptables");
    finding_advise(
        finding,
        "Cofferdam only takes away from what Docker permits. Without Docker's rules nothing that policies "
        "allow is translated or published, unless others do it; with its nftables backend, which is still an "
        "experiment of Docker's, Cofferdam is not tested.",
        "Leave iptables and ip6tables on in " DOCKERD_CONFIG ", and firewall-backend at iptables.");
}

void judge_docker_dns(const struct host_facts *facts, struct finding *finding)
{
    const struct dockerd_options *options = options_of(&facts->engine, finding);

    if (!options)
        return;
    for (size_t i = 0; i < options->n_dns; i++)
        finding_say(finding, FINDING_WARN, "the Engine gives every container the name server %s",
                    options->dns[i]);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "containers have the host's name servers, or their own");
    finding_advise(
        finding,
        "The Engine's API does not tell these. The peer `dns` of policies means a container's own name servers "
        "or those of the host's resolv.conf, and so lets nobody reach them.",
        "Allow them by address (to: [{cidr: ADDRESS}], ports: [53/udp, 53/tcp]), or give containers --dns.");
}

void judge_userns(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_engine *engine = &facts->engine;

    if (is_answering(engine, engine->info_known, finding))
        finding_say(finding, FINDING_OK, "root in containers is %s root on the host",
                    engine->info.userns ? "not" : "also");
}
