// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/counters.h"

#include <errno.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "dump.h"

#define ATTEMPTS 8

static int read_message(const struct nlmsghdr *message, void *userdata)
{
    return nft_counters_decode(userdata, message);
}

static int read_rules(struct nft_socket *socket, struct table_counters *counters)
{
    char buffer[MNL_NLMSG_HDRLEN + 128];
    struct nlmsghdr *request = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETRULE, NFPROTO_INET, 0, 0);

    mnl_attr_put_strz(request, NFTA_RULE_TABLE, TABLE_NAME);
    return nft_dump(socket, request, read_message, counters);
}

/* The table's handle before and after: whatever others do meanwhile, these are its rules. */
static int read_once(struct nft_socket *socket, struct table_counters *counters)
{
    struct nft_table_state before, after;
    int r = nft_table_state(socket, TABLE_INET, &before);

    if (r < 0 || !before.exists)
        return r;
    counters->table = before.handle;
    r = read_rules(socket, counters);
    if (r == 0)
        r = nft_table_state(socket, TABLE_INET, &after);
    if (r == -ENOENT || (r == 0 && (!after.exists || after.handle != before.handle)))
        return -EAGAIN;
    return r;
}

int nft_counters_read(struct nft_socket *socket, struct table_counters *ret)
{
    struct table_counters counters = {0};
    int r = -EAGAIN;

    for (int i = 0; i < ATTEMPTS && r == -EAGAIN; i++) {
        table_counters_clear(&counters);
        r = read_once(socket, &counters);
    }
    if (r < 0)
        table_counters_clear(&counters);
    else
        *ret = counters;
    return r;
}
