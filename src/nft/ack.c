// SPDX-License-Identifier: GPL-2.0-or-later
#include "ack.h"

#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>

/* With NETLINK_CAP_ACK an error carries the header of the request only, else all of it, before the
 * attributes. */
static size_t attributes_offset(const struct nlmsghdr *message, const struct nlmsgerr *error)
{
    size_t offset = sizeof(*error);

    if (!(message->nlmsg_flags & NLM_F_CAPPED) && error->error && error->msg.nlmsg_len > sizeof(error->msg))
        offset += NLMSG_ALIGN(error->msg.nlmsg_len - sizeof(error->msg));
    return offset;
}

static void parse_attribute(const struct nlattr *attr, struct ack *ack)
{
    size_t len = mnl_attr_get_payload_len(attr);

    if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG) {
        size_t n = strnlen(mnl_attr_get_payload(attr), len);

        n = n < sizeof(ack->text) ? n : sizeof(ack->text) - 1;
        memcpy(ack->text, mnl_attr_get_payload(attr), n);
        ack->text[n] = '\0';
    } else if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_OFFS && len >= sizeof(uint32_t)) {
        ack->offset = mnl_attr_get_u32(attr);
    }
}

int ack_parse(const struct nlmsghdr *message, struct ack *ret)
{
    const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
    const struct nlattr *attr;
    struct ack ack;

    if (mnl_nlmsg_get_payload_len(message) < sizeof(*error))
        return -EBADMSG;
    ack = (struct ack){.seq = message->nlmsg_seq, .error = error->error};
    if (message->nlmsg_flags & NLM_F_ACK_TLVS) {
        size_t offset = attributes_offset(message, error);

        if (offset <= mnl_nlmsg_get_payload_len(message)) {
            mnl_attr_for_each (attr, message, offset)
                parse_attribute(attr, &ack);
        }
    }
    *ret = ack;
    return 0;
}

void answers_add(struct answers *answers, const struct ack *ack, const struct nft_batch *batch)
{
    if (ack->seq - batch->seq_first > batch->seq_last - batch->seq_first)
        return; /* left over from something else */
    if (ack->error) {
        if (answers->n_errors < ANSWERS_MAX)
            answers->errors[answers->n_errors] = *ack;
        answers->n_errors++;
    } else if (ack->seq == batch->seq_last) {
        answers->end_acked = true;
    }
}

bool answers_may_retry(const struct answers *answers)
{
    if (answers->n_errors == 0)
        return answers->overrun && !answers->end_acked;
    for (size_t i = 0; i < answers->n_errors && i < ANSWERS_MAX; i++) {
        int error = answers->errors[i].error;

        if (error != -ERESTART && error != -EAGAIN && error != -EINTR && error != -ENOBUFS)
            return false;
    }
    return true;
}
