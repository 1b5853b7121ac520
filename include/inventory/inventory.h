/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inventory: the containers, networks and endpoints as now known. A plain value, filled from the Engine's
 * API and from the kernel's links, read by everybody else.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include <uthash.h>

#include "policy/model.h"
#include "util/addr.h"

struct label {
    char *key, *value;
    bool from_image; /* merely repeats the image's own label: not trusted, see `image_labels` in the settings
                      */
};

enum network_mode {
    NETMODE_BRIDGE, /* networks of its own, perhaps none yet */
    NETMODE_NONE,
    NETMODE_HOST,
    NETMODE_CONTAINER, /* shares the network of another container */
};

/* One container on one network. */
struct endpoint {
    char *network_id;
    char *network_name;
    char *id; /* the Engine's EndpointID; NULL while the endpoint is not live (the container does not run) */
    struct mac mac;
    bool has_mac;
    struct ip ip[IP_FAMILIES];
    bool has_ip[IP_FAMILIES];
    char port[IFNAMSIZ]; /* the bridge port (host side of the veth pair); "" when not known (yet) */
    unsigned port_index; /* its ifindex; 0 when not known */
};

/* What the Engine publishes: a port of the host that leads to one of a container's. */
struct published_port {
    struct ip address;   /* of the host; 0.0.0.0 or :: for every one of its family */
    enum port_kind kind; /* never PORT_ICMP */
    uint16_t outer;      /* on the host */
    uint16_t inner;      /* as the container, and each policy, sees it */
};

/* Ports as the container, and each policy, sees them; sorted, each once. */
struct container_port {
    enum port_kind kind; /* never PORT_ICMP */
    uint16_t number;
};

struct container_ports {
    struct container_port *v;
    size_t n;
};

#define CONTAINER_MOUNTS_MAX 256 /* of one container; more are left out */

/* A folder or file of the host's that a container sees. */
struct mount {
    char *path;     /* on the host; NULL when the Engine does not say, as of volumes that are elsewhere */
    char *volume;   /* its name; NULL: a bind mount, which has a path */
    bool read_only; /* for this container */
};

struct container {
    char *id;
    char *name;       /* without the leading slash */
    bool name_unsure; /* it has another one as well: it is just being renamed */
    char *image;      /* the reference given at creation */
    char *image_id;
    bool running;
    bool labels_known;    /* the image's labels were compared; until then no label counts */
    struct label *labels; /* sorted by key */
    size_t n_labels;
    struct label *overlay; /* those that Cofferdam was told to give it, sorted by key: they beat Docker's */
    size_t n_overlay;
    enum network_mode mode;
    char *mode_target; /* NETMODE_CONTAINER: name or ID as the Engine gives it */
    bool dns_known;    /* the Engine was asked for --dns; until then the peer `dns` grants nothing */
    struct ip *dns;    /* from --dns */
    size_t n_dns;
    bool privileged, net_admin; /* has CAP_NET_ADMIN; both known together with dns */
    struct mount *mounts;
    size_t n_mounts;
    char *pid_target,
        *ipc_target; /* whose namespaces of these kinds it shares, as mode_target; known with dns */
    bool
        own_kernel; /* its sockets need not be this kernel's: it runs in a sandbox or a virtual machine, or may */
    struct published_port *published; /* sorted by published_port_compare(); none while it does not run */
    size_t n_published;
    struct container_ports
        exposed;          /* so its image or its maker says, published ones too; none while it does not run */
    bool listening_known; /* its sockets have been looked at (TCP and UDP) */
    struct container_ports listening, on_loopback; /* on_loopback: there alone, where nobody else gets */
    struct endpoint *endpoints;
    size_t n_endpoints;
    UT_hash_handle hh; /* by id */
};

struct network {
    char *id;
    char *name;
    char *driver;
    char *scope;
    char *bridge; /* interface name; NULL unless driver is "bridge" */
    char *parent; /* of a macvlan or ipvlan network: the interface that it sits on; NULL where it has none */
    bool internal;
    bool ipv6;
    bool ipv6_open; /* the Engine keeps other networks' containers from it over IPv4 only */
    bool
        icc_off; /* com.docker.network.bridge.enable_icc=false: Docker itself blocks between its containers */
    bool managed;
    char *unmanaged_reason; /* when not managed: why, for people */
    bool elsewhere; /* containers are on it, and no interface of this network namespace is its bridge */
    struct cidr *subnets;
    size_t n_subnets;
    UT_hash_handle hh; /* by id */
};

struct inventory {
    struct container *containers; /* uthash by id */
    struct network *networks;     /* uthash by id */
    struct ip *name_servers;      /* the host's, as its containers get them */
    size_t n_name_servers;
    struct ip *host_addresses; /* the host's own, for `explain` */
    size_t n_host_addresses;
    bool rootless;          /* the Engine is: its bridges are in a network namespace of its own */
    bool lookups_by_engine; /* the Engine sends on, from the host, what containers ask it */
};

struct inventory *inventory_new(void);
struct inventory *inventory_free(struct inventory *inventory);
DEFINE_CLEANUP(struct inventory *, inventory_free);
struct container *container_new(void);
struct container *container_free(struct container *container);
DEFINE_CLEANUP(struct container *, container_free);
struct network *network_new(void);
struct network *network_free(struct network *network);
DEFINE_CLEANUP(struct network *, network_free);

/* Takes ownership; replaces and frees one of the same ID. */
void inventory_put_container(struct inventory *inventory, struct container *container);
void inventory_put_network(struct inventory *inventory, struct network *network);
void inventory_drop_container(struct inventory *inventory, const char *id);
void inventory_drop_network(struct inventory *inventory, const char *id);

struct container *inventory_container(const struct inventory *inventory, const char *id);
struct network *inventory_network(const struct inventory *inventory, const char *id);

/*
 * Finds a container as `docker` names it: name, ID or unique ID prefix. 0; -ENOENT; -ENOTUNIQ when an ID
 * prefix fits several.
 */
int inventory_find(const struct inventory *inventory, const char *word, const struct container **ret);

void endpoint_clear(struct endpoint *endpoint);
struct endpoint endpoint_copy(const struct endpoint *endpoint);

/* By protocol, container's port, host's port and address, as qsort(3) asks. */
int published_port_compare(const void *a, const void *b);

/* Adds one, wherever it belongs. */
void container_ports_add(struct container_ports *ports, enum port_kind kind, uint16_t number);
bool container_ports_have(const struct container_ports *ports, enum port_kind kind, uint16_t number);
bool container_ports_equal(const struct container_ports *a, const struct container_ports *b);
void container_ports_clear(struct container_ports *ports);
/* "5432/tcp", both ways; parsing returns false for anything else. */
#define CONTAINER_PORT_TEXT_MAX sizeof("65535/sctp")
const char *container_port_format(const struct container_port *port,
                                  char text[static CONTAINER_PORT_TEXT_MAX]);
bool container_port_parse(const char *text, struct container_port *ret);

/* "tcp", "udp" or "sctp", both ways; parsing returns false for any other. */
const char *transport_name(enum port_kind kind);
bool transport_parse(const char *text, enum port_kind *ret);

/* By key, as container_label() needs them. */
void labels_sort(struct label *labels, size_t n);

struct label *labels_copy(const struct label *labels, size_t n);
void labels_free(struct label *labels, size_t n);

/* The value of a label that counts, or NULL: the overlay's, else Docker's, unless that merely repeats the image's. */
const char *container_label(const struct container *container, const char *key);

/* Who has this address: fills what is found, returns false when no endpoint of a running container has it. */
bool inventory_owner(const struct inventory *inventory, struct ip ip, const struct container **ret_container,
                     const struct endpoint **ret_endpoint);

/* Do its lookups leave from the host, past every rule? On networks other than the default one, containers ask the Engine,
 * which may ask on from there; with --dns of its own, it asks from within the container. */
bool container_lookups_by_engine(const struct inventory *inventory, const struct container *container);

/*
 * Decides from the settings' `networks` whether a network is managed and sets managed and unmanaged_reason.
 * Only local networks of driver "bridge" can be; docker_gwbridge (Swarm's) is not.
 */
struct settings;
void network_decide_managed(struct network *network, const struct settings *settings);

/*
 * The network, if any, whose bridge this one sits on as a macvlan or ipvlan network (or on a VLAN of it): frames from there
 * come to the bridge as the host's own do, and past all rules.
 */
const struct network *network_sits_on(const struct inventory *inventory, const struct network *network);

/* The same for a network, whatever the settings say of it: "its driver is macvlan, not bridge". */
char *network_unenforced_reason(const struct inventory *inventory, const struct network *network);
/* Why Cofferdam cannot enforce anything for this container ("uses the host's network", ...), or NULL when it
 * can. The caller frees the text. */
char *container_unenforced_reason(const struct inventory *inventory, const struct container *container);

/* What enforcing does not mean for a running container, as its privileges or the namespace that it shares have it; NULL
 * when there is nothing to say. The caller frees the text. */
char *container_caution(const struct inventory *inventory, const struct container *container);
