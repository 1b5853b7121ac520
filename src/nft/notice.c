// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/notice.h"

#include <arpa/inet.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "ruleset/ruleset.h"

/* NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, ...: it is the first everywhere. */
#define ATTR_TABLE 1

static bool is_ours(const struct nlmsghdr *message)
{
    const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
    const struct nlattr *attr;

    if (header->nfgen_family != NFPROTO_INET && header->nfgen_family != NFPROTO_BRIDGE)
        return false;
    mnl_attr_for_each (attr, message, sizeof(*header)) {
        if (mnl_attr_get_type(attr) == ATTR_TABLE)
            return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 &&
                   (strcmp(mnl_attr_get_str(attr), TABLE_NAME) == 0 ||
                    strcmp(mnl_attr_get_str(attr), STANDBY_NAME) == 0);
    }
    return false;
}

/* A process chooses its own name: what is not plain text is masked. */
static void copy_name(char *to, size_t size, const char *from)
{
    size_t i = 0;

    for (; from[i] && i + 1 < size; i++)
        to[i] = from[i] > ' ' && from[i] < 0x7f ? from[i] : '?';
    to[i] = '\0';
}

static void read_generation(struct notice_reader *reader, const struct nlmsghdr *message,
                            struct nft_change *change)
{
    const struct nlattr *attr;

    mnl_attr_for_each (attr, message, sizeof(struct nfgenmsg)) {
        unsigned type = mnl_attr_get_type(attr);

        if (type == NFTA_GEN_ID && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0) {
            uint32_t generation = ntohl(mnl_attr_get_u32(attr));
            if ((int32_t)(generation - reader->generation) > 0)
                reader->generation = generation;
        } else if (type == NFTA_GEN_PROC_PID && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0) {
            change->pid = ntohl(mnl_attr_get_u32(attr));
        } else if (type == NFTA_GEN_PROC_NAME && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0) {
            copy_name(change->process, sizeof(change->process), mnl_attr_get_str(attr));
        }
    }
}

bool notice_read(struct notice_reader *reader, const struct nlmsghdr *message, struct nft_change *ret_change)
{
    bool own = message->nlmsg_pid == reader->own_port;
    struct nft_change change = {0};

    if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
        mnl_nlmsg_get_payload_len(message) < sizeof(struct nfgenmsg))
        return false;
    /* Whatever else there is, in kernels to come too: what names our table has changed it. */
    if ((message->nlmsg_type & 0xff) != NFT_MSG_NEWGEN) {
        reader->touched = reader->touched || (!own && is_ours(message));
        return false;
    }
    read_generation(reader, message, &change);
    if (own)
        reader->n_own++;
    bool touched = reader->touched;
    reader->touched = false;
    if (touched)
        *ret_change = change;
    return touched;
}
