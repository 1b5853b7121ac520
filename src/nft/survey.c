// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/survey.h"

#include <errno.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "dump.h"
#include "util/mem.h"

#define ATTEMPTS 8

static int read_message(const struct nlmsghdr *message, void *userdata)
{
    return nft_survey_decode(userdata, message);
}

static int read_once(struct nft_socket *socket, struct nft_survey *survey)
{
    /* Flow tables last: kernels without them say so. */
    static const uint16_t questions[] = {NFT_MSG_GETTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE,
                                         NFT_MSG_GETFLOWTABLE};
    uint32_t before, after;
    int r = nft_generation(socket, &before);

    for (size_t i = 0; i < ARRAY_SIZE(questions) && r == 0; i++) {
        char buffer[MNL_NLMSG_HDRLEN + 64];
        struct nlmsghdr *request = nftnl_nlmsg_build_hdr(buffer, questions[i], NFPROTO_UNSPEC, 0, 0);

        r = nft_dump(socket, request, read_message, survey);
        if (r == -EOPNOTSUPP && questions[i] == NFT_MSG_GETFLOWTABLE)
            r = 0;
    }
    if (r == 0)
        r = nft_generation(socket, &after);
    return r == 0 && after != before ? -EAGAIN : r;
}

int nft_survey_read(struct nft_socket *socket, struct nft_survey *ret)
{
    struct nft_survey survey = {0};
    int r = -EAGAIN;

    for (int i = 0; i < ATTEMPTS && r == -EAGAIN; i++) {
        nft_survey_clear(&survey);
        r = read_once(socket, &survey);
    }
    if (r < 0)
        nft_survey_clear(&survey);
    else
        *ret = survey;
    return r;
}
