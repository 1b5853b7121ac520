/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Netlink's answers to a batch: ACKs and errors, with the kernel's own words (extended ACKs). Pure.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nft/encode.h"
#include "util/diag.h"

#define ACK_TEXT_MAX 128
#define ANSWERS_MAX 64 /* errors kept of one batch; a broken table draws one for each message */

struct ack {
    uint32_t seq;
    int error;               /* 0 or a negative errno */
    uint32_t offset;         /* of the attribute at fault in the request; 0: none named */
    char text[ACK_TEXT_MAX]; /* what the kernel says; may be empty */
};

/* Reads a message of type NLMSG_ERROR. 0, or -EBADMSG when it is shorter than it must be. */
int ack_parse(const struct nlmsghdr *message, struct ack *ret);

/* What the kernel answered to one batch. */
struct answers {
    struct ack errors[ANSWERS_MAX];
    size_t n_errors; /* all, also those not kept */
    bool end_acked;  /* the end message was acknowledged */
    bool overrun;    /* some answers were lost */
};

void answers_add(struct answers *answers, const struct ack *ack, const struct nft_batch *batch);

/* The transaction failed for reasons that pass by themselves, and nothing of it was committed. */
bool answers_may_retry(const struct answers *answers);

/* Says for each error which operation it is about, where that comes from, and what to do. */
void answers_report(const struct answers *answers, const struct nft_batch *batch, const struct op_list *ops,
                    struct diags *diags);
/* The same for an operation that could not be encoded, and for a failure of the socket. */
void report_encode_error(const struct op *op, int error, struct diags *diags);
void report_socket_error(const char *what, int error, struct diags *diags);
