/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The abstract ruleset: what we want the kernel to hold, in nftables' own words, for our two tables. It knows
 * just the expressions that Cofferdam uses. The printer turns it into nft text, the codec into netlink
 * messages; both show the same thing, and the kernel's listing of it is the printer's text again.
 *
 * Set and map keys are kept as the kernel wants them: the concatenated fields in network byte order
 * (interface names as text), each padded to a multiple of four bytes.
 *
 * A ruleset read back from the kernel can hold what no ruleset of ours does. Such a thing is marked foreign:
 * it never equals anything, not even itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include "policy/model.h"
#include "ruleset/deny.h"
#include "util/addr.h"
#include "util/mem.h"

#define TABLE_NAME "cofferdam"
#define STANDBY_NAME TABLE_NAME "-standby" /* of either family: see delta_replace() */
#define LOCK_TABLE_NAME TABLE_NAME "_lockdown"
#define LOCK_STANDBY_NAME LOCK_TABLE_NAME "-standby"

/* The priorities of our base chains at their hooks. */

/* Before Docker's, ufw's and libvirt's filter chains (0), after destination NAT and connection tracking. */
#define PRIORITY_INET (-10)
/* Before anything of the bridge looks at a frame (NF_BR_PRI_NAT_DST_BRIDGED). */
#define PRIORITY_BRIDGE_IN (-300)
/*
 * Before br_netfilter (0), which runs only those of the forward hook's later chains whose priority is above its own: one
 * of the same priority is skipped where the rules stood before the first bridge was made, as they do after a boot.
 */
#define PRIORITY_BRIDGE_OUT (-10)
/* Behind br_netfilter and the inet forward hook, which it calls. */
#define PRIORITY_BRIDGE_SEEN 50
/* How far the lock tables' chains come before ours: the standby's are one before. */
#define PRIORITY_LOCK_LEAD 2

enum table_id { TABLE_INET, TABLE_BRIDGE, TABLES }; /* "inet cofferdam", "bridge cofferdam" */

/*
 * We have two pairs of tables of both families: the rules, and what `cofferdam lockdown` cuts while no daemon answers
 * (ruleset/lock_tables.h).
 */
enum table_pair { PAIR_RULES, PAIR_LOCK };
const char *table_pair_name(enum table_pair pair, bool standby); /* TABLE_NAME, ... */

/* What a rule can look at. Each implies what nft adds by itself (`tcp dport` implies `meta l4proto tcp`). */
enum field {
    FIELD_IIF, /* its index; 0: there is none, the host sends it itself */
    FIELD_IIFNAME,
    FIELD_OIFNAME,
    FIELD_ETHER_SADDR,
    FIELD_ETHER_DADDR,
    FIELD_ETHER_TYPE,
    FIELD_ARP_HTYPE,
    FIELD_ARP_PTYPE, /* an ether type */
    FIELD_ARP_HLEN,
    FIELD_ARP_PLEN,
    FIELD_ARP_OPERATION,
    FIELD_ARP_SADDR_ETHER,
    FIELD_ARP_SADDR_IP,
    FIELD_IP_SADDR,
    FIELD_IP_DADDR,
    FIELD_IP6_SADDR,
    FIELD_IP6_DADDR,
    FIELD_IP6_LENGTH, /* of what follows the header, in bytes */
    FIELD_IP6_NEXTHDR,
    FIELD_IP6_HOPLIMIT,
    FIELD_NFPROTO, /* NFPROTO_IPV4 (2) or NFPROTO_IPV6 (10); table inet only */
    FIELD_L4PROTO,
    FIELD_TCP_DPORT,
    FIELD_UDP_SPORT,
    FIELD_UDP_DPORT,
    FIELD_SCTP_DPORT,
    FIELD_ICMP_TYPE,
    FIELD_ICMPV6_TYPE,
    FIELD_IGMP_TYPE,
    /* The ports of whatever has such, or what stands there: the first and the second two bytes of the transport header. */
    FIELD_TH_SPORT,
    FIELD_TH_DPORT,
    /* Of the connection that the packet belongs to or, an error, is about; as tracked, before or after translation. */
    FIELD_CT_ORIGINAL_IP_SADDR,
    FIELD_CT_ORIGINAL_IP6_SADDR,
    FIELD_CT_ORIGINAL_IP_DADDR,
    FIELD_CT_ORIGINAL_IP6_DADDR,
    FIELD_CT_REPLY_IP_SADDR,
    FIELD_CT_REPLY_IP6_SADDR,
    /*
     * Of neighbour discovery (RFC 4861, 4.3 and 4.4), where nothing stands between the IPv6 header and it; nft has no
     * names for them, and they imply nothing.
     */
    FIELD_ND_TARGET,
    FIELD_ND_OPTION,     /* the first option's type and length, in one number */
    FIELD_ND_OPTION_MAC, /* what follows it */
    FIELDS,
};

/* The types that set keys are made of. */
enum key_type {
    KEY_IFNAME,
    KEY_ETHER_ADDR,
    KEY_IPV4_ADDR,
    KEY_IPV6_ADDR,
    KEY_ICMP_TYPE,
    KEY_ICMPV6_TYPE,
    KEY_INET_PROTO,
    KEY_INET_SERVICE,
    KEY_ETHER_TYPE,
    /* A set with one of these is declared by the fields that it is looked up with (typeof), for want of a type's name. */
    KEY_ND_TARGET,
    KEY_ND_OPTION_MAC,
    KEY_TYPES,
};

#define KEY_FIELDS_MAX 4
#define KEY_BYTES_MAX 64 /* NFT_DATA_VALUE_MAXLEN */

size_t key_type_size(enum key_type type);      /* bytes, without padding */
size_t key_type_padded(enum key_type type);    /* bytes, in a concatenation */
const char *key_type_name(enum key_type type); /* as nft says it: "ifname" */

enum table_verdict {
    V_NONE, /* the rule only counts */
    V_ACCEPT,
    V_DROP,
    V_RETURN,
    V_JUMP,
    V_GOTO,
    V_REJECT_TCP_RESET,
    V_REJECT_ADMIN, /* reject with icmpx admin-prohibited */
};

enum match_kind {
    MATCH_VALUE,    /* field == or != value */
    MATCH_RANGE,    /* field in first..last; with len prefix bits: see MATCH_PREFIX */
    MATCH_PREFIX,   /* address field in a CIDR block */
    MATCH_SET,      /* field or concatenation in (or not in) a named set */
    MATCH_CT_STATE, /* ct state, any of a mask of CT_* */
    MATCH_NOT_SYN,  /* tcp flags != syn / fin,syn,rst,ack */
    MATCH_OPTIONS,  /* ip hdrlength != 5: the IPv4 header has options */
    MATCH_MARK,     /* meta mark has one of the bits of a mask */
    MATCH_UPDATE,   /* puts field or concatenation into a meter; holds as the meter's limit says */
};

enum {
    CT_INVALID = 1,
    CT_ESTABLISHED = 2,
    CT_RELATED = 4,
    CT_NEW = 8,
    CT_UNTRACKED = 64
}; /* NFT's state bits */

struct match {
    enum match_kind kind;
    bool negate; /* MATCH_VALUE, MATCH_SET */
    enum field fields[KEY_FIELDS_MAX];
    size_t n_fields; /* 1 except for a concatenation before a set */
    /* MATCH_VALUE: first. MATCH_RANGE: first and last. Numbers in host byte order; ether type likewise. */
    uint32_t first, last;
    struct cidr prefix; /* MATCH_PREFIX */
    const char *set; /* MATCH_SET, MATCH_UPDATE: a set's name, interned in the ruleset (see ruleset_intern) */
    unsigned ct_states; /* MATCH_CT_STATE */
    uint32_t mark;      /* MATCH_MARK */
};

/* The other bits of the mark are other programs': no rule touches them. */
enum mark_change { MARK_KEEP, MARK_SET, MARK_CLEAR };

/*
 * What rules of which policy a rule stands for: of one, or of several that nothing in the kernel tells apart. It says
 * nothing to the kernel, and is never compared.
 */
struct rule_source {
    const char *policy; /* interned; NULL: it is no policy's */
    enum direction direction;
    unsigned *indices; /* of the policy's rules, each once */
    size_t n;
};

struct rule_stmt {
    struct match *matches;
    size_t n_matches;
    bool counter;
    uint64_t packets, bytes;      /* what it has counted, where it was read from the kernel; never compared */
    enum mark_change mark_change; /* what becomes of the bits `mark`, before the verdict */
    uint32_t mark;                /* unless MARK_KEEP */
    const char *log_prefix; /* what the packet is logged with, interned, at most 127 bytes; NULL: it is not */
    uint16_t log_group;     /* of NFLOG */
    enum table_verdict verdict;
    const char *target; /* V_JUMP, V_GOTO: a chain's name, interned */
    const char *vmap;   /* instead of a verdict: a verdict map's name, interned, looked up with vmap_field */
    enum field vmap_field;
    char *comment; /* may be NULL; at most 127 bytes, printable ASCII without double quote or backslash */
    enum deny_point deny; /* why it drops; says nothing to the kernel (ruleset/deny.h) */
    char *origin; /* for error messages: "policies/shop.yaml:12 (policy shop-db, ingress 1)"; may be NULL */
    struct rule_source source;
    char *foreign; /* read from the kernel, and no rule that we can say: what it is made of; else NULL */
};

enum chain_hook { HOOK_NONE, HOOK_PREROUTING, HOOK_INPUT, HOOK_FORWARD, HOOK_OUTPUT };

struct chain {
    const char *name; /* interned */
    enum chain_hook hook;
    int priority; /* base chains only; the policy is always accept: a drop is a rule */
    struct rule_stmt *rules;
    size_t n_rules;
    char *foreign;     /* read from the kernel: what of the chain itself we never say; else NULL */
    UT_hash_handle hh; /* by name */
};

struct element {
    uint8_t key[KEY_BYTES_MAX];
    uint8_t key_end[KEY_BYTES_MAX]; /* interval sets (one field): the last value, included */
    bool catchall;                  /* "*", maps only */
    bool foreign;                   /* read from the kernel, with what we never say: a timeout, a comment */
    enum table_verdict verdict;     /* maps */
    const char *target;             /* V_JUMP, V_GOTO: interned */
    UT_hash_handle hh;              /* by key, set->key_len bytes; the catch-all is kept apart */
};

/*
 * What makes a set a meter: packets put its elements in (MATCH_UPDATE), and each counts and limits those that did. An
 * element goes by itself when no packet has updated it for a while. What is in one is not ours to compare.
 */
struct meter {
    uint32_t size;             /* elements at most; 0: the set is no meter */
    uint32_t timeout;          /* seconds */
    uint32_t rate, per, burst; /* rate packets in so many seconds, and so many at first */
    bool over;                 /* an update holds for packets that are beyond that, else for those within */
};

/*
 * A set, or a verdict map. None but a meter is given a size: the kernel makes a sized hash as large as it may become (1
 * MiB of buckets for 65,536 elements), and one without grows as it needs to.
 */
struct set {
    const char *name; /* interned */
    bool map;         /* : verdict */
    bool interval;    /* one field only */
    struct meter meter;
    enum key_type key[KEY_FIELDS_MAX];
    size_t n_key;
    size_t key_len;           /* bytes, padded */
    struct element *elements; /* uthash */
    struct element *catchall; /* or NULL */
    char *origin;             /* for error messages: "selector compose: shop/web"; may be NULL */
    char *foreign; /* read from the kernel: what of the set itself we never say; its elements are not read */
    UT_hash_handle hh; /* by name */
};

struct table {
    struct chain *chains; /* uthash by name, in order of creation */
    struct set *sets;     /* uthash by name, in order of creation */
    /* Read from the kernel: */
    bool absent;  /* there is no such table */
    bool standby; /* the pair's standby of its family is there, whatever is in it */
    char **odd;   /* what only replacing the table mends, in words: "flags dormant", "flowtable f" */
    size_t n_odd;
};

struct interned;

struct ruleset {
    enum table_pair pair; /* PAIR_RULES, unless it is set */
    struct table tables[TABLES];
    struct interned *strings;
};

struct ruleset *ruleset_new(void);
struct ruleset *ruleset_free(struct ruleset *ruleset);
DEFINE_CLEANUP(struct ruleset *, ruleset_free);

/* The ruleset's own copy of a name; lives as long as the ruleset. */
const char *ruleset_intern(struct ruleset *ruleset, const char *name);

/* Is there any table of ours, the standby apart? */
bool ruleset_stands(const struct ruleset *ruleset);
/* Notes what only replacing the table mends; text is copied. Beyond a number none is added. */
void table_add_odd(struct table *table, const char *text);

struct chain *table_chain(const struct table *table, const char *name); /* or NULL */
struct set *table_set(const struct table *table, const char *name);     /* or NULL */

/* The name must be new in its table. The object belongs to the ruleset. */
struct chain *ruleset_add_chain(struct ruleset *ruleset, enum table_id table, const char *name);
struct set *ruleset_add_set(struct ruleset *ruleset, enum table_id table, const char *name, size_t n_key,
                            const enum key_type *key);
/* A set of address ranges in table inet, with its elements. */
struct set *ruleset_add_ranges(struct ruleset *ruleset, const char *name, enum ip_family family,
                               const struct ip_ranges *ranges);
/* An empty rule at the end of the chain, valid until the next is added. */
struct rule_stmt *chain_add_rule(struct chain *chain);
/* It stands for this rule of its policy, too. */
void rule_source_add(struct rule_source *source, unsigned index);
/* A zeroed match at the end of the rule, valid until the next is added. */
struct match *rule_add_match(struct rule_stmt *rule);

struct element *set_find(const struct set *set, const uint8_t *key); /* or NULL */
/* Copies *element in; false when the key is there already. */
bool set_insert(struct set *set, const struct element *element);
/* false when the key is not there. */
bool set_remove(struct set *set, const uint8_t *key);
bool element_equal(const struct set *set, const struct element *a, const struct element *b);
size_t set_count(const struct set *set);
/* Has its key a field that nft has no type for? */
bool set_has_raw_key(const struct set *set);

/* What is foreign equals nothing; where rules come from does not count. */
bool rule_equal(const struct rule_stmt *a, const struct rule_stmt *b);
/* Same hook and priority; rules are not compared. */
bool chain_same_type(const struct chain *a, const struct chain *b);
bool chain_equal(const struct chain *a, const struct chain *b);
/* Same kind and key; elements are not compared. */
bool set_same_type(const struct set *a, const struct set *b);

const char *table_family_name(enum table_id table); /* "inet", "bridge" */
const char *hook_name(enum chain_hook hook);
