/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All tables of nf_tables, whoever's they are, as far as they matter to ours: where their chains hook in, and what kind
 * of thing their rules do. linux/netfilter/nf_tables.h; for the rules of iptables-nft, linux/netfilter/xt_*.h.
 *
 * The codec is pure, and trusts nothing: what is cut short is an error, what it does not know is passed over.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nft/socket.h"

#define SURVEY_MAX 65536 /* chains, and rules' jumps of one chain: more are an error, -E2BIG */
#define SURVEY_DEVICES_MAX 4096

enum survey_does {
    DOES_ACCEPT = 1 << 0,
    DOES_DROP = 1 << 1, /* or rejects */
    DOES_UNTRACK = 1 << 2,
    DOES_TRANSLATE = 1 << 3, /* any address translation */
    DOES_OFFLOAD = 1 << 4,   /* flow add: later packets skip the forward hook */
    DOES_MAP = 1 << 5,       /* a verdict map: it may jump to any chain of its table, or drop */
    DOES_REDIRECT = 1 << 6,  /* fwd, dup: packets leave for another interface */
};

struct survey_chain {
    unsigned family; /* NFPROTO_* */
    char *table, *name;
    bool base;
    char *type; /* base chains: "filter" */
    unsigned hook;
    int priority;
    bool policy_drop;
    char *devices; /* netdev: "eth0 eth1"; NULL: none said */
    size_t n_rules;
    unsigned does;      /* DOES_*, of all its rules together */
    uint32_t mark_bits; /* bits of the packet mark that some rule may change */
    char **jumps;       /* names of chains, each once */
    size_t n_jumps;
};

struct survey_table {
    unsigned family;
    char *name;
    uint32_t flags, owner;
};

struct survey_flowtable {
    unsigned family;
    char *table, *name, *devices;
};

struct nft_survey {
    struct survey_table *tables;
    size_t n_tables;
    struct survey_chain *chains;
    size_t n_chains;
    size_t last_chain; /* whose rule came last */
    struct survey_flowtable *flowtables;
    size_t n_flowtables;
};

void nft_survey_clear(struct nft_survey *survey);
#define _cleanup_nft_survey_ _cleanup_(nft_survey_clear)

/* "inet", "ip", "ip6", "bridge", "netdev", "arp"; "?" */
const char *nft_family_name(unsigned family);

/* Adds a message of a dump; chains must come before their rules. 0, -EBADMSG, or -E2BIG. */
int nft_survey_decode(struct nft_survey *survey, const struct nlmsghdr *message);

/* What the rules of a base chain of the survey do, and those of all chains that it can lead to. */
unsigned nft_survey_does(const struct nft_survey *survey, const struct survey_chain *base,
                         uint32_t *ret_mark_bits);

/*
 * Asks the kernel. 0; -EAGAIN: somebody changes nftables rules without a pause; another negative errno.
 */
int nft_survey_read(struct nft_socket *socket, struct nft_survey *ret);
