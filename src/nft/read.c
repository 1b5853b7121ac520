// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/read.h"

#include <errno.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "dump.h"

#define ATTEMPTS 8

/* A request for objects of a table of ours. Where the kernel cannot choose by table (attr 0), it tells those
 * of all, and the decoder chooses. */
struct question {
    uint16_t type;
    uint16_t attr;
};

static int read_message(const struct nlmsghdr *message, void *userdata)
{
    return nft_decode(userdata, message);
}

static int ask(struct nft_socket *socket, struct nft_decoder *decoder, enum table_id table,
               const struct question *question, const char *set)
{
    char buffer[MNL_NLMSG_HDRLEN + 1024];
    struct nlmsghdr *request = nftnl_nlmsg_build_hdr(
        buffer, question->type, table == TABLE_INET ? NFPROTO_INET : NFPROTO_BRIDGE, 0, 0);

    if (question->attr)
        mnl_attr_put_strz(request, question->attr,
                          table_pair_name(nft_decoder_ruleset(decoder)->pair, false));
    if (set)
        mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_SET, set);
    return nft_dump(socket, request, read_message, decoder);
}

static int read_elements(struct nft_socket *socket, struct nft_decoder *decoder, enum table_id id)
{
    static const struct question question = {NFT_MSG_GETSETELEM, NFTA_SET_ELEM_LIST_TABLE};
    int r = 0;

    for (const struct set *set = nft_decoder_ruleset(decoder)->tables[id].sets; set && r == 0;
         set = set->hh.next) {
        if (!set->foreign)
            r = ask(socket, decoder, id, &question, set->name);
    }
    return r == -ENOENT ? -EAGAIN : r; /* the set went meanwhile */
}

static int read_table(struct nft_socket *socket, struct nft_decoder *decoder, enum table_id id)
{
    static const struct question questions[] = {
        {NFT_MSG_GETTABLE, 0},
        {NFT_MSG_GETCHAIN, 0},
        {NFT_MSG_GETSET, NFTA_SET_TABLE},
        {NFT_MSG_GETRULE, NFTA_RULE_TABLE},
        {NFT_MSG_GETOBJ, NFTA_OBJ_TABLE},
        {NFT_MSG_GETFLOWTABLE, NFTA_FLOWTABLE_TABLE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
        int r = ask(socket, decoder, id, &questions[i], NULL);

        /* No such table, or no such thing as flow tables in this kernel: there is nothing then. */
        if (r < 0 && r != -ENOENT && !(questions[i].type == NFT_MSG_GETFLOWTABLE && r == -EOPNOTSUPP))
            return r;
    }
    return read_elements(socket, decoder, id);
}

static int read_once(struct nft_socket *socket, enum table_pair pair, struct nft_tables *ret)
{
    _cleanup_(nft_decoder_freep) struct nft_decoder *decoder = nft_decoder_new(pair);
    uint32_t before, after;
    int r = nft_generation(socket, &before);

    for (size_t i = 0; i < TABLES && r == 0; i++)
        r = read_table(socket, decoder, i ? TABLE_BRIDGE : TABLE_INET);
    if (r < 0)
        return r;
    r = nft_generation(socket, &after);
    if (r == 0 && after != before)
        r = -EAGAIN;
    if (r < 0)
        return r;
    nft_decoder_finish(decoder, ret);
    ret->generation = after;
    return 0;
}

int nft_read_pair(struct nft_socket *socket, enum table_pair pair, struct nft_tables *ret)
{
    int r = -EAGAIN;

    for (int i = 0; i < ATTEMPTS && r == -EAGAIN; i++)
        r = read_once(socket, pair, ret);
    return r;
}

int nft_read(struct nft_socket *socket, struct nft_tables *ret)
{
    return nft_read_pair(socket, PAIR_RULES, ret);
}
